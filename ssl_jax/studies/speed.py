"""How fast, against whom, and how far from the floor: per second of 44.1 kHz stereo, 32 channels."""

import contextlib
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from ssl_jax.common.devices import data_mesh, on_all, shared_out, to_devices
from ssl_jax.common.files import write_json, write_text
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, RUNS, Database, FrontEnd
from ssl_jax.database.program import block_size, render, render_and_extract, waveforms_of
from ssl_jax.database.recipes import load_sounds, recipes_of
from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.report.tables import markdown_table
from ssl_jax.studies.peers import sample_loop, sosfilt_cascade, torch_train_step, vectorised
from ssl_jax.training.trainer import Trainer

FRONT = FrontEnd()


def seconds_of(work, repeats: int = 15) -> float:
    """Median wall time of `work()` after a warm-up; fewer repeats where one takes over a second."""
    jax.block_until_ready(work())
    times = []
    while len(times) < repeats and sum(times) < 4:
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def on_all_devices(function, mesh):
    """`function` of a batch (clips, ...), the clips shared among all devices."""
    each = PartitionSpec("data")
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=each, out_specs=each, check_vma=False))


def machine_rates(mesh) -> dict[str, float]:
    """Measured float32 matrix products (FLOP/s) and memory traffic (bytes/s), all devices at work."""
    share = shared_out(mesh)
    n = 2048
    a = jax.device_put(np.random.default_rng(0).standard_normal((mesh.size, n, n), np.float32), share)
    product = on_all_devices(lambda x: jnp.matmul(x[0], x[0], precision="highest")[None], mesh)
    big = jax.device_put(np.ones((mesh.size, 2**26 // mesh.size), np.float32), share)
    copy = on_all_devices(lambda x: x + 1, mesh)
    flops = mesh.size * 2 * n**3 / seconds_of(lambda: product(a))
    return {"matrix_flops": flops, "memory_bytes": 2 * big.nbytes / seconds_of(lambda: copy(big))}


def needs() -> dict[str, tuple[float, float]]:
    """(operations, bytes) that a second of sound needs, by the equations alone.

    A biquad with one zero takes 4 multiply-adds, a lag of the correlation one; at every sample each
    lag's two sums take 6 operations and its comparison 4. Bytes are what goes to or comes from memory.
    """
    samples, channels = FRONT.fs, FRONT.channels
    sound, sources, cues = 2 * samples * 4, 3 * samples * 4, 3 * channels * 100 * 2
    filters, lags = (
        2 * samples * channels * 32,
        samples * channels * (2 * round(FRONT.fs * FRONT.max_itd) + 1),
    )
    rendering = 15 * 2.5 * 45_056 * np.log2(45_056)  # FFTs of a size near one second
    network = 3 * 2 * (100 * 5 * (32 * 64 + 64 * 64) * 3)  # one mixture, forwards and backwards
    return {
        "filterbank": (filters, sound + 2 * samples * channels * 4),
        "cues, hop 441": (filters + lags * 2, sound + cues),
        "cues, hop 1": (filters + lags * 10, sound + 4 * channels * samples * 4),
        "rendering": (rendering, sources + sound),
        "rendering and cues, hop 441": (filters + lags * 2 + rendering, sources + cues),
        "training step, per mixture": (network, cues),
    }


def jobs_of(mesh) -> list[tuple]:
    """(stage, who, work, seconds of sound that it does) of everything that is timed but training."""
    batch, sounds = block_size() * mesh.size, load_sounds(None, Database(clips=4), FRONT.fs)
    some = np.linspace(0, 4 * AZIMUTHS, batch, endpoint=False, dtype=int)
    recipes = recipes_of(Database(clips=4), sounds)[0].rows(some)
    waveforms, speech = jax.device_put(waveforms_of(sounds), on_all(mesh)), sounds.corpus.speech[recipes.clip]
    mixtures = np.asarray(jax.jit(render)(waveforms, speech, recipes))  # batch, 2, samples: real speech
    shares = (batch, mesh.size, 4 * mesh.size)
    ears, pair, few = (jax.device_put(mixtures[:n], shared_out(mesh)) for n in shares)
    one, bands = mixtures[0].astype(np.float64), np.asarray(GF_spectrogram(mixtures[0], FRONT.fs))
    each, all_of_it = PartitionSpec("data"), PartitionSpec()
    specs = {"in_specs": (all_of_it, each, each), "out_specs": each, "check_vma": False}
    rendering, whole = jax.jit(jax.shard_map(render, mesh=mesh, **specs)), render_and_extract(FRONT, mesh)
    filterbank = on_all_devices(partial(GF_spectrogram, fs=FRONT.fs), mesh)

    def cues(hop):
        return on_all_devices(lambda x: get_cues_clean(x.swapaxes(1, 2), FRONT.fs, hop=hop), mesh)

    hop441, hop1 = cues(441), cues(1)
    ear = bands[:, 9, : FRONT.fs // 50]  # the sample loop does a fiftieth of a second of one channel
    jobs = [
        ("filterbank", "ours, a clip a device", lambda: filterbank(pair), len(pair)),
        ("filterbank", f"the same, {batch} clips at once", lambda: filterbank(ears), batch),
        ("filterbank", "scipy.signal.sosfilt", lambda: sosfilt_cascade(one, FRONT.fs, FRONT.cfs), 1),
        ("cues, hop 441", "ours, filterbank included", lambda: hop441(ears), batch),
        ("cues, hop 441", "vectorised NumPy, cues alone", lambda: vectorised(*bands, FRONT.fs, 441), 1),
        ("cues, hop 1", "ours, filterbank included", lambda: hop1(few), len(few)),
        ("cues, hop 1", "vectorised NumPy, cues alone", lambda: vectorised(*bands, FRONT.fs, 1), 1),
        (
            "cues, hop 1",
            "sample loop, cues alone",
            lambda: sample_loop(*ear, FRONT.fs),
            1 / 50 / FRONT.channels,
        ),
        ("rendering", "ours", lambda: rendering(waveforms, speech, recipes), batch),
        ("rendering and cues, hop 441", "ours", lambda: whole(waveforms, speech, recipes), batch),
    ]
    with contextlib.suppress(ImportError):
        from gammatone import filters as detly

        made = detly.make_erb_filters(FRONT.fs, FRONT.cfs)

        def theirs():
            return [detly.erb_filterbank(ear, made) for ear in one]

        jobs.insert(2, ("filterbank", "gammatone (detly)", theirs, 1))
    return jobs


def training_jobs() -> list[tuple]:
    """The same of a training step of Model 2 per mixture, with PyTorch where it is installed."""
    run, stage = RUNS["model2"], "training step, per mixture"
    trainer = Trainer(run, 1, FRONT)
    maps = np.random.default_rng(0).standard_normal((run.batch, 3, 32, 100)).astype(np.float16)
    batch = (maps, np.arange(run.batch, dtype=np.int32))

    def steps():
        return trainer.train_epoch(to_devices(batch, shared_out(trainer.mesh)) for _ in range(20))

    jobs, torch_step = [(stage, "ours", steps, 20 * run.batch)], torch_train_step(run.batch)
    if torch_step:
        jobs.append((stage, "PyTorch", lambda: [torch_step() for _ in range(20)], 20 * run.batch))
    return jobs


def measure() -> dict:
    """Run everything; times in seconds per second of sound (training: per mixture)."""
    mesh = data_mesh()
    jobs, rates = [*jobs_of(mesh), *training_jobs()], machine_rates(mesh)
    timed = track(jobs, "benchmark", total=len(jobs))
    rows = [{"stage": s, "who": who, "seconds": seconds_of(work) / per} for s, who, work, per in timed]
    for row in rows:
        ours = next(r["seconds"] for r in rows if r["stage"] == row["stage"] and r["who"].startswith("ours"))
        operations, traffic = needs()[row["stage"]]
        floor = max(operations / rates["matrix_flops"], traffic / rates["memory_bytes"])
        row |= {"ratio_to_ours": row["seconds"] / ours, "operations": operations, "bytes": traffic}
        row |= {"floor_seconds": floor, "share_of_floor": floor / row["seconds"]}
    return {"devices": mesh.size, **rates, "rows": rows}


def table(results: dict, where: str) -> str:
    """The measurements as Markdown."""
    rows = []
    for row in results["rows"]:
        digits = 3 if row["seconds"] < 1e-3 else 1
        share = f"{100 * row['share_of_floor']:.0f} %" if row["who"].startswith("ours") else ""
        times = [f"{1e3 * row['seconds']:,.{digits}f}", f"{row['ratio_to_ours']:,.1f}"]
        rows.append([row["stage"], row["who"], *times, f"{1e3 * row['floor_seconds']:.{digits + 1}f}", share])
    head = ["stage", "who", "ms per second of sound", "times ours", "floor, ms", "share of the floor"]
    rates = f"{results['matrix_flops'] / 1e9:.0f} GFLOP/s in float32 matrix products"
    rates += f", {results['memory_bytes'] / 1e9:.0f} GB/s, both measured in this run"
    return f"Machine: {where}; {rates}.\n\n{markdown_table(head, rows)}"


def run_benchmark(args) -> None:
    """The stage `benchmark`: write cpu.json (or gpu.json) and the table beside it, and print the table."""
    folder, kind, where = Path(args.results) / "benchmark", jax.default_backend(), machine()
    results = {"machine": where, "commit": commit(), **measure()}
    write_json(folder / f"{kind}.json", results)
    text = table(results, where) + f"\nCommit {results['commit']}; `ssl_jax benchmark`.\n"
    write_text(folder / f"{kind}.md", text)
    print(text)
