"""What a million hours of mixtures cost, by the measured rates of one machine alone."""

from .config import FrontEnd
from .report import markdown_table

HOURS = 1_000_000  # of mixtures, each of one second
EPOCHS = 20  # of Model 2 (published)
FLEETS = (1, 8, 64, 512, 4096)  # accelerators whose needed rate is listed


def amount(value: float, unit: str) -> str:
    """With three digits and a prefix: 69.1 TB."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def costs(row: dict[str, dict]) -> str:
    """Markdown of what HOURS of mixtures take, from a cell of either stage (see `growth.rows_of`)."""
    made, trained, front = row["database"], row["train"], FrontEnd()
    mixtures = HOURS * 3600
    cue_bytes = made["bytes"] / made["mixtures"]
    making, training = (cell["seconds"] / cell["mixtures"] for cell in (made, trained))  # s a mixture
    hours = {"made": mixtures * making / 3600, "epoch": mixtures * training / 3600}
    whole = hours["made"] + EPOCHS * hours["epoch"]
    table = markdown_table(["of a million hours (3.6e9 mixtures)", "value", "from"], [
        ["cue store, hop 441, float16", amount(mixtures * cue_bytes, "B"),
         f"{cue_bytes:,.0f} bytes a mixture measured"],
        ["cue store, hop 1", amount(mixtures * 3 * front.channels * front.fs * 2, "B"),
         f"3 x {front.channels} x {front.fs:,} values of 2 bytes"],
        ["16-bit stereo sound instead", amount(mixtures * front.fs * 4, "B"), f"{front.fs:,} x 2 samples of 2 bytes"],
        ["manifest", amount(mixtures * made["manifest_bytes"] / made["mixtures"], "B"),
         f"{made['manifest_bytes'] / made['mixtures']:,.0f} bytes a mixture measured"],
        ["recipes and manifest, not shared among processes",
         f"{mixtures * made['recipe_seconds'] / made['mixtures'] / 3600:,.1f} hours",
         f"{1e6 * made['recipe_seconds'] / made['mixtures']:.1f} microseconds a mixture measured"],
        ["shards of 720 mixtures", f"{mixtures / 720:,.0f}", f"{amount(720 * cue_bytes, 'B')} each"],
        ["shards of 72,000 mixtures", f"{mixtures / 72_000:,.0f}", f"{amount(72_000 * cue_bytes, 'B')} each"],
        ["making it", f"{hours['made']:,.0f} machine-hours", f"{1e3 * making:.2f} ms a mixture measured"],
        ["an epoch of Model 2", f"{hours['epoch']:,.0f} machine-hours", f"{1e3 * training:.2f} ms a mixture measured"],
        [f"both, {EPOCHS} epochs", f"{whole:,.0f} machine-hours", ""],
        ["machines that make it in a day", f"{hours['made'] / 24:,.0f}", "of the kind measured"],
        [f"steps of 32 mixtures, one after another, for {EPOCHS} epochs in a day",
         f"{EPOCHS * mixtures / 32 / 86_400:,.0f} a second", "batch of Model 2 (published)"],
        [f"extracting in every one of {EPOCHS} epochs instead of storing",
         f"{EPOCHS * (hours['made'] + hours['epoch']):,.0f} machine-hours", ""],
        ["training reads, a machine", amount(cue_bytes / training, "B/s"), ""],
        ["a machine-hour of making yields", amount(3600 / making * cue_bytes, "B"), "of cues"],
    ])
    rates = {n: mixtures / 86_400 / n for n in FLEETS}  # mixtures a second
    fleet = markdown_table(["H100s, or others", "mixtures a second each must make", "times the machine measured"],
                           [[f"{n:,}", f"{rate:,.0f}", f"{rate * making:,.1f}"] for n, rate in rates.items()])
    return (f"Measured on {made['machine']}, with {made['mixtures']:,} mixtures ({made['corpus']}, seed 0), made on "
            f"{made['devices']} devices, trained on {trained['devices']}; commit {made['commit']}; `python -m ssl_jax growth --data DIR "
            f"--scale docs/scale.md`.\n\n{table}\nTo make the database in a day:\n\n{fleet}")
