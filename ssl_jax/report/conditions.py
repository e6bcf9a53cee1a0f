"""Under which conditions the numbers of a folder of results were made."""

from collections.abc import Iterable
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json
from ssl_jax.common.provenance import notes_of
from ssl_jax.config import AZIMUTHS, BUNDLED

SOUNDS = ("speech", "noise", "heads")


def read_conditions(results: Path, name: str) -> dict[str, str]:
    """What results/name was made from and on, by what it is.

    Raises
    ------
    InputError
        If settings.json or timing.json is missing or incomplete.
    """
    folder = results / name
    try:
        settings = read_json(folder / "settings.json")
        timing = read_json(folder / "timing.json")
        return {
            **conditions_of_database(settings["database"]),
            "hair cell": settings["front"]["hair_cell"],
            "hop": f"{settings['front']['hop']} samples",
            "seeds": seeds_of(settings),
            **conditions_of_machine(timing),
        }
    except InputError:
        raise
    except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
        incomplete = "settings.json or timing.json is missing or incomplete"
        remedy = "run ./reproduce.sh with the same options to its end first"
        raise InputError(f"{folder}: {incomplete}: {remedy}") from None


def conditions_of_database(database: dict) -> dict[str, str]:
    """Sounds, mixtures and how they are split."""
    return {
        "sounds": sounds_of(database),
        "mixtures": f"{database['clips'] * AZIMUTHS:,}",
        "directions": database["direction_rule"].replace("_", " "),
        "SNR of each noise": f"{database['snr_low']:g} to {database['snr_high']:g} dB",
        "split by": ", ".join(database["disjoint"] or ["mixture"]),
    }


def sounds_of(database: dict) -> str:
    """Where speech, noise and heads come from, in words."""
    sources = {kind: database[kind] for kind in SOUNDS}
    if set(sources.values()) == {BUNDLED}:
        text = f"{BUNDLED} speech, noise and heads"
    else:
        text = ", ".join(f"{kind} {source}" for kind, source in sources.items())
    targets = database.get("targets", BUNDLED)  # not in settings of old
    if targets != BUNDLED:
        text += f", targets {targets}"
    if database["noise_kinds"]:
        text += f" (kinds of noise {', '.join(database['noise_kinds'])})"
    if database["rooms"]:
        text += f" in {database['rooms']:,} rooms"
    return text


def seeds_of(settings: dict) -> str:
    """Seeds of the mixtures and of the runs, in words."""
    runs = sorted({run["seed"] for run in settings["runs"].values()})
    return f"{settings['database']['seed']} for mixtures, {', '.join(map(str, runs))} for runs"


def conditions_of_machine(timing: dict) -> dict[str, str]:
    """Where and how long the stages ran, and of which commit they are."""
    stages = timing["stages"].values()
    minutes = sum(stage["seconds"] for stage in stages) / 60
    memory_gib = max(stage["peak_memory_mb"] for stage in stages) / 1024
    return {
        "machine": notes_of(timing, timing["stages"], "machine"),
        "wall time": f"{minutes:.1f} minutes",
        "peak memory": f"{memory_gib:.1f} GiB",
        "commit": notes_of(timing, timing["stages"], "commit"),
    }


def conditions_line(conditions: dict[str, str], without: Iterable[str] = ()) -> str:
    """Conditions in one line."""
    facts = [f"{what}: {fact}" for what, fact in conditions.items() if what not in without]
    return "; ".join(facts) + "."
