"""How fast, against whom, how far from the floor: per second of 44.1 kHz stereo, 32 channels."""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from scipy import signal as sps

from ssl_jax.common.devices import copy_on_each, data_mesh, split_rows, to_devices
from ssl_jax.common.files import write_json
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, Database, SoundFolders
from ssl_jax.database.program import (
    block_size,
    render,
    render_and_extract,
    sources_of,
    waveforms_of,
)
from ssl_jax.database.recipes import recipes_of
from ssl_jax.experiments import experiment
from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.filter_design import gammatone_sos
from ssl_jax.frontend.reference import running_cues
from ssl_jax.frontend.segments import cues_in_segments
from ssl_jax.report.tables import markdown_table
from ssl_jax.runs import RUNS
from ssl_jax.sounds.sources import load_sounds
from ssl_jax.studies.floor import (
    ALL_CUES,
    CUES,
    EACH,
    FILTERBANK,
    FRONT,
    RENDERING,
    STEP,
    WHOLE,
    Need,
    machine_rates,
    needs,
    on_all_devices,
    seconds_of,
)
from ssl_jax.studies.pages import show_page
from ssl_jax.studies.peers import gammatone_filterbank, scipy_rendering, torch_train_step
from ssl_jax.studies.whole_commands import (
    commands_section,
    reproduction_section,
    time_all,
)
from ssl_jax.training.trainer import Trainer

RUN = RUNS["model2"]  # whose training step is timed
CLIPS = 4  # of the database whose mixtures are rendered
ROOMS = 3
CLIPS_AT_SAMPLES = 4  # a device: cues of every sample take memory
LONG_S = 600  # a long sound, that is cut into segments
STEPS = 20  # of training at a time
LOOP_CHANNEL = 9  # that the sample loop gets, for
LOOP_SHARE = 50  # one over this of a second: it is slow


@dataclass(frozen=True)
class Job:
    """Something that is timed."""

    stage: str  # a key of `needs`
    who: str
    work: Callable
    amount: float  # seconds of sound, or mixtures, that one call works on


@dataclass(frozen=True)
class Material:
    """What the jobs work on: mixtures of real speech, as many as the database makes at a time."""

    mesh: Mesh
    rendered_from: tuple  # arguments of `render`, on the devices
    rooms_from: tuple  # the same for rooms
    mixtures: np.ndarray  # (n, 2, samples)

    def on_devices(self, count: int) -> jax.Array:
        """The first `count` mixtures, shared among the devices."""
        return jax.device_put(self.mixtures[:count], split_rows(self.mesh))


def material_on(mesh: Mesh) -> Material:
    """Bundled speech, noises and heads, in the free field and in rooms."""
    batch = block_size() * mesh.size
    config = Database(clips=CLIPS)
    sounds = load_sounds(SoundFolders(), config, FRONT.fs)
    numbers = np.linspace(0, CLIPS * AZIMUTHS, batch, endpoint=False, dtype=int)
    every_recipe, _ = recipes_of(config, sounds)
    recipes = every_recipe.rows(numbers)
    speech = sounds.speech[recipes.clip]
    free_field = jax.device_put(waveforms_of(sounds), copy_on_each(mesh))
    halls = load_sounds(SoundFolders(), replace(config, rooms=ROOMS), FRONT.fs)
    rooms = jax.device_put(waveforms_of(halls), copy_on_each(mesh))
    rendered_from = (free_field, speech, recipes)
    mixtures = np.asarray(jax.jit(render)(*rendered_from))
    in_rooms = replace(recipes, head=recipes.head % ROOMS)
    return Material(mesh, rendered_from, (rooms, speech, in_rooms), mixtures)


def first_mixture(material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources (3, samples), their responses (3, 2, taps) and SNRs (2,) of the first mixture."""
    waveforms, speech, recipes = material.rendered_from
    first = recipes.rows(slice(1))
    sources, responses = sources_of(waveforms, speech[:1], first)
    return np.asarray(sources[0]), np.asarray(responses[0]), first.snr[0]


def filterbank_jobs(material: Material) -> list[Job]:
    """The filterbank, ours and others'."""
    mesh = material.mesh
    batch = len(material.mixtures)
    all_ears = material.on_devices(batch)
    a_clip_each = material.on_devices(mesh.size)
    ours = on_all_devices(partial(GF_spectrogram, fs=FRONT.fs), mesh)
    mixture = material.mixtures[0].astype(np.float64)
    sections = gammatone_sos(FRONT.fs, FRONT.cfs)
    jobs = [
        Job(FILTERBANK, "ours, a clip a device", lambda: ours(a_clip_each), mesh.size),
        Job(FILTERBANK, f"ours, {batch} clips at once", lambda: ours(all_ears), batch),
    ]
    with contextlib.suppress(ImportError):
        left, right = (gammatone_filterbank(ear, FRONT) for ear in mixture)
        jobs.append(Job(FILTERBANK, "gammatone (detly)", lambda: [left(), right()], 1))

    def filter_with_scipy():
        return [sps.sosfilt(section, mixture) for section in sections]

    jobs.append(Job(FILTERBANK, "scipy.signal.sosfilt", filter_with_scipy, 1))
    return jobs


def cue_jobs(material: Material) -> list[Job]:
    """Cues at both hops, of clips and of a long sound, and the published loop."""
    mesh = material.mesh
    batch = len(material.mixtures)
    ears = material.on_devices(batch)
    few = material.on_devices(CLIPS_AT_SAMPLES * mesh.size)
    every = replace(FRONT, hop=1)
    hop441 = on_all_devices(lambda x: FRONT.cues(x.swapaxes(1, 2)), mesh)
    hop1 = on_all_devices(lambda x: every.cues(x.swapaxes(1, 2)), mesh)
    bands = np.asarray(GF_spectrogram(material.mixtures[0], FRONT.fs))
    channel = slice(LOOP_CHANNEL, LOOP_CHANNEL + 1)
    left, right = bands[:, channel, : FRONT.fs // LOOP_SHARE]  # (1, samples) each
    looped = 1 / LOOP_SHARE / FRONT.channels
    loop = partial(running_cues, left, right, FRONT.fs)
    one_second = material.mixtures[0].T

    def long_sound():
        sound = itertools.repeat(one_second, LONG_S)
        return list(cues_in_segments(sound, **FRONT.arguments()))

    clips = f"{CLIPS_AT_SAMPLES} clips a device"
    return [
        Job(CUES, "ours, filterbank included", lambda: hop441(ears), batch),
        Job(CUES, f"ours, a sound of {LONG_S // 60} minutes", long_sound, LONG_S),
        Job(ALL_CUES, f"ours, filterbank included, {clips}", lambda: hop1(few), len(few)),
        Job(ALL_CUES, "sample loop, cues alone", loop, looped),
    ]


def rendering_jobs(material: Material) -> list[Job]:
    """Mixtures, in the free field and in rooms, and all the way to their cues."""
    batch = len(material.mixtures)
    rendering = on_all_devices(render, material.mesh, (jax.P(), EACH, EACH))
    whole = render_and_extract(FRONT, material.mesh)
    peer = scipy_rendering(*first_mixture(material))
    return [
        Job(RENDERING, "ours", lambda: rendering(*material.rendered_from), batch),
        Job(RENDERING, "scipy.signal.oaconvolve", peer, 1),
        Job(RENDERING, "ours, in rooms", lambda: rendering(*material.rooms_from), batch),
        Job(WHOLE, "ours", lambda: whole(*material.rendered_from), batch),
    ]


def training_jobs() -> list[Job]:
    """Training steps of the three-branch network."""
    rng = np.random.default_rng(0)
    frames = FRONT.fs // FRONT.hop
    shape = (RUN.batch, FRONT.map_count, FRONT.channels, frames)
    maps = rng.standard_normal(shape).astype(np.float16)
    labels = np.arange(RUN.batch, dtype=np.int32)
    trainer = Trainer(RUN, 1, FRONT)
    next_batch = partial(to_devices, (maps, labels), split_rows(trainer.mesh))
    taught = STEPS * RUN.batch

    def train_some_steps():
        trainer.train_epoch(next_batch() for _ in range(STEPS))  # waits for the last step

    jobs = [Job(STEP, "ours", train_some_steps, taught)]
    with contextlib.suppress(ImportError):
        torch_step = torch_train_step(RUN.batch)
        jobs.append(Job(STEP, "PyTorch", lambda: [torch_step() for _ in range(STEPS)], taught))
    return jobs


def measure(jobs: Sequence[Job], rates: dict[str, float]) -> list[dict]:
    """A row for each job; the first of a stage is ours, which the others are compared with."""
    needed = needs()
    rows = []
    stages = list(dict.fromkeys(job.stage for job in jobs))
    for stage in track(stages, "benchmark", total=len(stages)):
        of_stage = [job for job in jobs if job.stage == stage]
        seconds = seconds_of(*(job.work for job in of_stage))
        rows += stage_rows(of_stage, seconds, needed[stage], rates)
    return rows


def stage_rows(
    jobs: Sequence[Job], seconds: Sequence[float], need: Need, rates: dict[str, float]
) -> list[dict]:
    """The rows of one stage, whose jobs took so many seconds."""
    floor = max(need.operations / rates["matrix_flops"], need.traffic / rates["memory_bytes"])
    ours = seconds[0] / jobs[0].amount
    rows = []
    for job, taken in zip(jobs, seconds, strict=True):
        each = taken / job.amount
        row = {
            "stage": job.stage,
            "who": job.who,
            "seconds": each,
            "ratio_to_ours": each / ours,
            "operations": need.operations,
            "bytes": need.traffic,
            "floor_seconds": floor,
            "share_of_floor": floor / each,
        }
        rows.append(row)
    return rows


def table(measured: dict) -> str:
    """The measurements as Markdown."""
    head = ["stage", "who", "ms per second of sound", "times ours"]
    head += ["floor, ms", "share of the floor"]
    rows = []
    for row in measured["rows"]:
        digits = 3 if row["seconds"] < 1e-3 else 1
        ratio_digits = 2 if row["ratio_to_ours"] < 10 else 0
        is_ours = row["who"].startswith("ours")
        cells = [
            row["stage"],
            row["who"],
            f"{1e3 * row['seconds']:,.{digits}f}",
            f"{row['ratio_to_ours']:,.{ratio_digits}f}",
            f"{1e3 * row['floor_seconds']:.{digits + 1}f}",
            f"{100 * row['share_of_floor']:.0f} %" if is_ours else "",
        ]
        rows.append(cells)
    rates = (
        f"{measured['matrix_flops'] / 1e9:.0f} GFLOP/s in float32 matrix products, "
        f"{measured['memory_bytes'] / 1e9:.0f} GB/s, both measured in this run"
    )
    about = f"Machine: {measured['machine']}; {rates}.\n\n{markdown_table(head, rows)}"
    return f"{about}\nCommit {measured['commit']}; `ssl_jax benchmark`.\n"


def run_benchmark(results: Path, write: bool) -> None:
    """The stage `benchmark`: print its page, and write it where that is asked for.

    Parameters
    ----------
    results : the folder of all results, where ./reproduce.sh notes what it took
    write : also write benchmark/cpu.md and cpu.json there, or gpu.md and gpu.json
    """
    # first: a command that fails loses no measurements
    waited = time_all()
    mesh = data_mesh()
    material = material_on(mesh)
    jobs = [*filterbank_jobs(material), *cue_jobs(material), *rendering_jobs(material)]
    jobs += training_jobs()
    rates = machine_rates(mesh)
    measured = {
        "machine": machine(),
        "commit": commit(),
        "devices": mesh.size,
        **rates,
        "rows": measure(jobs, rates),
    }
    path = results / f"benchmark/{jax.default_backend()}.md" if write else None
    if path is not None:
        commands = [asdict(row) for row in waited]
        write_json(path.with_suffix(".json"), measured | {"commands": commands})
    reproduction = reproduction_section(results / experiment().name)
    show_page(path, table(measured), commands_section(waited), reproduction)
