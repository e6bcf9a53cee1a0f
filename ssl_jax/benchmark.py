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

from .auditory_model import GF_spectrogram
from .binaural_feature import get_cues_clean
from .config import AZIMUTHS, RUNS, Database, FrontEnd
from .corpora import load_corpus
from .database import Sounds, block_size, render, render_and_extract
from .devices import data_mesh, on_all, place, shared_out
from .files import atomic_write, write_json
from .filter_design import centre_frequencies
from .hrtf import load_heads
from .peers import sample_loop, sosfilt_cascade, torch_train_step, vectorised
from .progress import track
from .recipes import Recipes, recipes_of
from .trainer import Trainer

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
    return {
        "matrix_flops": mesh.size * 2 * n**3 / seconds_of(lambda: product(a)),
        "memory_bytes": 2 * big.nbytes / seconds_of(lambda: copy(big)),
    }


def needs() -> dict[str, tuple[float, float]]:
    """(operations, bytes) that a second of sound needs, by the equations alone.

    A biquad with one zero takes 4 multiply-adds; a lag of the correlation one; at every sample each
    lag's two sums (6 operations) and its comparison (4). Bytes are what must go to or come from
    memory: sound in, outputs or cues out.
    """
    samples, channels = FRONT.fs, FRONT.channels
    lags = 2 * round(FRONT.fs * FRONT.max_itd) + 1
    sound = 2 * samples * 4
    filters = 2 * samples * channels * 4 * 4 * 2
    n = 45_056  # FFT size near one second
    fft = 2.5 * n * np.log2(n)
    network = 3 * 2 * (100 * 5 * (32 * 64 + 64 * 64) * 3)  # one mixture, forwards and backwards
    return {
        "filterbank": (filters, sound + 2 * samples * channels * 4),
        "cues, hop 441": (filters + samples * channels * lags * 2, sound + 3 * channels * 100 * 2),
        "cues, hop 1": (filters + samples * channels * lags * 10, sound + 4 * channels * samples * 4),
        "rendering": (fft * (3 + 6 + 6), 3 * samples * 4 + sound),
        "rendering and cues, hop 441": (
            filters + samples * channels * lags * 2 + fft * 15, 3 * samples * 4 + 3 * channels * 100 * 2
        ),
        "training step, per mixture": (network, 3 * 32 * 100 * 2),
    }


def measure() -> dict:
    """Run everything; times in seconds per second of sound (training: per mixture)."""
    mesh = data_mesh()
    corpus, heads = load_corpus(None, 4, FRONT.fs), load_heads(None, "horizontal", FRONT.fs)
    batch = block_size() * mesh.size
    recipes, _ = recipes_of(Database(clips=4), corpus, heads)
    some = np.linspace(0, 4 * AZIMUTHS, batch, endpoint=False, dtype=int)
    recipes = Recipes(*(f[some] for f in recipes))
    sounds = jax.device_put(Sounds(corpus.noise, heads.hrirs), on_all(mesh))
    speech = corpus.speech[recipes.clip]
    mixtures = np.asarray(jax.jit(render)(sounds, speech, recipes))  # batch, 2, samples: real speech
    ears = jax.device_put(mixtures, shared_out(mesh))
    pair = jax.device_put(mixtures[: mesh.size], shared_out(mesh))
    few = jax.device_put(mixtures[: 4 * mesh.size], shared_out(mesh))
    one = mixtures[0].astype(np.float64)
    cfs = centre_frequencies(FRONT.fs)
    bands = np.asarray(GF_spectrogram(mixtures[0], FRONT.fs))  # 2, channels, samples

    def cues(hop):
        return on_all_devices(lambda x: get_cues_clean(x.swapaxes(1, 2), FRONT.fs, hop=hop), mesh)

    each, all_of_it = PartitionSpec("data"), PartitionSpec()
    rendering = jax.jit(jax.shard_map(render, mesh=mesh, in_specs=(all_of_it, each, each), out_specs=each,
                                      check_vma=False))
    whole = render_and_extract(FRONT, mesh)
    filterbank, hop441, hop1 = on_all_devices(partial(GF_spectrogram, fs=FRONT.fs), mesh), cues(441), cues(1)
    part = FRONT.fs // 50  # the sample loop is timed on a fiftieth of a second of one channel
    loop = 50 * FRONT.channels
    jobs = [
        ("filterbank", "ours, a clip a device", lambda: filterbank(pair), len(pair)),
        ("filterbank", f"the same, {batch} clips at once", lambda: filterbank(ears), batch),
        ("filterbank", "scipy.signal.sosfilt", lambda: sosfilt_cascade(one, FRONT.fs, cfs), 1),
        ("cues, hop 441", "ours, filterbank included", lambda: hop441(ears), batch),
        ("cues, hop 441", "vectorised NumPy, cues alone", lambda: vectorised(*bands, FRONT.fs, 441), 1),
        ("cues, hop 1", "ours, filterbank included", lambda: hop1(few), len(few)),
        ("cues, hop 1", "vectorised NumPy, cues alone", lambda: vectorised(*bands, FRONT.fs, 1), 1),
        ("cues, hop 1", "sample loop, cues alone",
         lambda: sample_loop(bands[0, 9, :part], bands[1, 9, :part], FRONT.fs), 1 / loop),
        ("rendering", "ours", lambda: rendering(sounds, speech, recipes), batch),
        ("rendering and cues, hop 441", "ours", lambda: whole(sounds, speech, recipes), batch),
    ]
    with contextlib.suppress(ImportError):
        from gammatone import filters as detly

        coefficients = detly.make_erb_filters(FRONT.fs, cfs)
        jobs.insert(2, ("filterbank", "gammatone (detly)", lambda: [
            detly.erb_filterbank(ear, coefficients) for ear in one], 1))
    run = RUNS["model2"]
    trainer = Trainer(run, 1)
    maps = np.random.default_rng(0).standard_normal((run.batch, 3, 32, 100)).astype(np.float16)
    labels = np.arange(run.batch, dtype=np.int32)

    def steps():
        return trainer.train_epoch(place((maps, labels), shared_out(trainer.mesh)) for _ in range(20))

    jobs.append(("training step, per mixture", "ours", steps, 20 * run.batch))
    torch_step = torch_train_step(run.batch)
    if torch_step:
        jobs.append(("training step, per mixture", "PyTorch", lambda: [torch_step() for _ in range(20)],
                     20 * run.batch))
    rates = machine_rates(mesh)
    rows = [{"stage": stage, "who": who, "seconds": seconds_of(work) / per}
            for stage, who, work, per in track(jobs, "benchmark", total=len(jobs))]
    for row in rows:
        ours = next(r["seconds"] for r in rows if r["stage"] == row["stage"] and r["who"].startswith("ours"))
        operations, traffic = needs()[row["stage"]]
        floor = max(operations / rates["matrix_flops"], traffic / rates["memory_bytes"])
        row |= {"ratio_to_ours": row["seconds"] / ours, "operations": operations, "bytes": traffic,
                "floor_seconds": floor, "share_of_floor": floor / row["seconds"]}
    return {"devices": mesh.size, **rates, "rows": rows}


def table(results: dict, where: str) -> str:
    """The measurements as Markdown."""
    lines = [
        f"Machine: {where}; {results['matrix_flops'] / 1e9:.0f} GFLOP/s in float32 matrix products, "
        f"{results['memory_bytes'] / 1e9:.0f} GB/s, both measured in this run.", "",
        "| stage | who | ms per second of sound | times ours | floor, ms | share of the floor |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in results["rows"]:
        ours = row["who"].startswith("ours")
        digits = 3 if row["seconds"] < 1e-3 else 1
        share = f"{100 * row['share_of_floor']:.0f} %" if ours else ""
        lines.append(f"| {row['stage']} | {row['who']} | {1e3 * row['seconds']:,.{digits}f} "
                     f"| {row['ratio_to_ours']:,.1f} | {1e3 * row['floor_seconds']:.{digits + 1}f} | {share} |")
    return "\n".join(lines) + "\n"


def benchmark(folder: Path, where: str, commit: str) -> str:
    """Measure, write folder/cpu.json (or gpu.json) and the table beside it, and return the table."""
    results = {"machine": where, "commit": commit, **measure()}
    kind = jax.default_backend()
    write_json(folder / f"{kind}.json", results)
    text = table(results, where) + f"\nCommit {commit}; `python -m ssl_jax benchmark`.\n"
    with atomic_write(folder / f"{kind}.md", "w") as stream:
        stream.write(text)
    return text
