"""How fast, against whom, and how far from the floor: per second of 44.1 kHz stereo, 32 channels."""

import contextlib
import time
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import signal as sps

from ssl_jax.common.devices import data_mesh, on_all, shared_out, to_devices
from ssl_jax.common.files import write_json
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, RUNS, Database, FrontEnd
from ssl_jax.database.program import block_size, render, render_and_extract, waveforms_of
from ssl_jax.database.recipes import load_sounds, recipes_of
from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.filter_design import gammatone_sos
from ssl_jax.frontend.reference import running_cues
from ssl_jax.report.tables import markdown_table, write_page
from ssl_jax.training.trainer import Trainer

FRONT, EACH = FrontEnd(), jax.P("data")


def seconds_of(work, repeats: int = 15) -> float:
    """Median wall time of `work()` after a warm-up; fewer repeats where one takes over a second."""
    jax.block_until_ready(work())
    times: list[float] = []
    while len(times) < repeats and sum(times) < 4:
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def on_all_devices(function, mesh, specs=EACH):
    """`function` of a batch (clips, ...), the clips shared among all devices."""
    return jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=EACH, check_vma=False)
    )


def machine_rates(mesh) -> dict[str, float]:
    """Measured float32 matrix products (FLOP/s) and memory traffic (bytes/s), all devices at work."""
    n, rng, ones = (
        2048,
        np.random.default_rng(0),
        np.ones((mesh.size, 2**26 // mesh.size), np.float32),
    )
    a, big = jax.device_put(
        (rng.standard_normal((mesh.size, n, n), np.float32), ones), shared_out(mesh)
    )
    product = on_all_devices(lambda x: jnp.matmul(x[0], x[0], precision="highest")[None], mesh)
    copy = on_all_devices(lambda x: x + 1, mesh)
    flops = mesh.size * 2 * n**3 / seconds_of(lambda: product(a))
    return {"matrix_flops": flops, "memory_bytes": 2 * big.nbytes / seconds_of(lambda: copy(big))}


def needs() -> dict[str, tuple[float, float]]:
    """(operations, bytes to or from memory) that a second of sound needs, by the equations alone. A biquad
    with one zero takes 4 multiply-adds, a lag of the correlation one; at every sample each lag's two sums
    take 6 operations and its comparison 4."""
    samples, channels = FRONT.fs, FRONT.channels
    sound, sources, cues = 2 * samples * 4, 3 * samples * 4, 3 * channels * 100 * 2
    filters, lags = (
        2 * samples * channels * 32,
        samples * channels * (2 * round(samples * FRONT.max_itd) + 1),
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


def torch_train_step(batch: int):
    """A function that does one step of the three-branch network in PyTorch; ImportError without torch."""
    import torch
    from torch import nn

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers = [(nn.Conv1d(n, 64, 5, padding=2), nn.BatchNorm1d(64), nn.ReLU()) for n in (32, 64) * 3]
    branches = [nn.Sequential(*layers[k], *layers[k + 1]).to(device) for k in (0, 2, 4)]
    scores = [nn.Linear(64, 1, device=device) for _ in range(3)]
    attention = nn.MultiheadAttention(64, 4, batch_first=True, device=device)
    norm, classify = nn.LayerNorm(64, device=device), nn.Linear(192, 72, device=device)
    modules = nn.ModuleList([*branches, *scores, attention, norm, classify])
    optimiser = torch.optim.AdamW(modules.parameters(), lr=1e-3, weight_decay=0.01)
    cues, labels = (
        torch.randn(batch, 3, 32, 100, device=device),
        torch.arange(batch, device=device) % 72,
    )

    def step():
        optimiser.zero_grad()
        frames = [
            branch(cues[:, i]).transpose(1, 2) for i, branch in enumerate(branches)
        ]  # (B, T, 64)
        pooled = [(torch.softmax(score(x), dim=1) * x).sum(1) for score, x in zip(scores, frames)]
        x = torch.stack(pooled, dim=1)
        logits = classify(norm(attention(x, x, x)[0]).flatten(1))
        nn.functional.cross_entropy(logits, labels).backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def jobs_of(mesh) -> list[tuple]:
    """(stage, who, work, seconds of sound or mixtures in it) of everything that is timed."""
    batch, sounds = block_size() * mesh.size, load_sounds(None, Database(clips=4), FRONT.fs)
    some = np.linspace(0, 4 * AZIMUTHS, batch, endpoint=False, dtype=int)
    recipes, run = recipes_of(Database(clips=4), sounds)[0].rows(some), RUNS["model2"]
    drawn = (
        jax.device_put(waveforms_of(sounds), on_all(mesh)),
        sounds.corpus.speech[recipes.clip],
        recipes,
    )
    halls = waveforms_of(load_sounds(None, Database(clips=4, rooms=3), FRONT.fs))
    in_rooms = (
        jax.device_put(halls, on_all(mesh)),
        drawn[1],
        recipes._replace(head=recipes.head % 3),
    )
    mixtures = np.asarray(jax.jit(render)(*drawn))  # batch, 2, samples: real speech
    shares = (batch, mesh.size, batch // 3)
    ears, pair, few = (jax.device_put(mixtures[:n], shared_out(mesh)) for n in shares)
    one, bands = mixtures[0].astype(np.float64), np.asarray(GF_spectrogram(mixtures[0], FRONT.fs))
    ear, part = (
        bands[:, 9:10, : FRONT.fs // 50],
        1 / 50 / FRONT.channels,
    )  # of a second; the loop is slow
    rendering = on_all_devices(render, mesh, (jax.P(), EACH, EACH))
    whole, sections = render_and_extract(FRONT, mesh), gammatone_sos(FRONT.fs, FRONT.cfs)
    filterbank = on_all_devices(partial(GF_spectrogram, fs=FRONT.fs), mesh)
    hop441 = on_all_devices(lambda x: FRONT.cues(x.swapaxes(1, 2)), mesh)
    hop1 = on_all_devices(lambda x: replace(FRONT, hop=1).cues(x.swapaxes(1, 2)), mesh)
    maps = np.random.default_rng(0).standard_normal((run.batch, 3, 32, 100)).astype(np.float16)
    labelled, trainer = (maps, np.arange(run.batch, dtype=np.int32)), Trainer(run, 1, FRONT)
    steps, batch_there = range(20), partial(to_devices, labelled, shared_out(trainer.mesh))
    step, taught = "training step, per mixture", len(steps) * run.batch
    jobs = [
        ("filterbank", "ours, a clip a device", lambda: filterbank(pair), len(pair)),
        ("filterbank", f"the same, {batch} clips at once", lambda: filterbank(ears), batch),
        (
            "filterbank",
            "scipy.signal.sosfilt",
            lambda: [sps.sosfilt(sos, one) for sos in sections],
            1,
        ),
        ("cues, hop 441", "ours, filterbank included", lambda: hop441(ears), batch),
        ("cues, hop 1", "ours, filterbank included", lambda: hop1(few), len(few)),
        (
            "cues, hop 1",
            "sample loop, cues alone",
            lambda: running_cues(ear[0], ear[1], FRONT.fs),
            part,
        ),
        ("rendering", "ours", lambda: rendering(*drawn), batch),
        ("rendering", "ours, in rooms", lambda: rendering(*in_rooms), batch),
        ("rendering and cues, hop 441", "ours", lambda: whole(*drawn), batch),
        (step, "ours", lambda: trainer.train_epoch(batch_there() for _ in steps), taught),
    ]
    with contextlib.suppress(ImportError):
        torch_step = torch_train_step(run.batch)
        jobs.append((step, "PyTorch", lambda: [torch_step() for _ in steps], taught))
    with contextlib.suppress(ImportError):
        from gammatone.filters import erb_filterbank, make_erb_filters

        erb = make_erb_filters(FRONT.fs, FRONT.cfs)
        jobs.insert(
            2, ("filterbank", "gammatone (detly)", lambda: [erb_filterbank(x, erb) for x in one], 1)
        )
    return jobs


def table(results: dict) -> str:
    """The measurements as Markdown."""
    rows = []
    for row in results["rows"]:
        digits = 3 if row["seconds"] < 1e-3 else 1
        share = f"{100 * row['share_of_floor']:.0f} %" if row["who"].startswith("ours") else ""
        times = [f"{1e3 * row['seconds']:,.{digits}f}", f"{row['ratio_to_ours']:,.1f}"]
        rows.append(
            [
                row["stage"],
                row["who"],
                *times,
                f"{1e3 * row['floor_seconds']:.{digits + 1}f}",
                share,
            ]
        )
    head = [
        "stage",
        "who",
        "ms per second of sound",
        "times ours",
        "floor, ms",
        "share of the floor",
    ]
    rates = f"{results['matrix_flops'] / 1e9:.0f} GFLOP/s in float32 matrix products"
    rates += f", {results['memory_bytes'] / 1e9:.0f} GB/s, both measured in this run"
    about = f"Machine: {results['machine']}; {rates}.\n\n{markdown_table(head, rows)}"
    return f"{about}\nCommit {results['commit']}; `ssl_jax benchmark`.\n"


def run_benchmark(args) -> None:
    """The stage `benchmark`: write cpu.json (or gpu.json) and the table beside it, and print the table."""
    path, mesh = args.results / "benchmark" / jax.default_backend(), data_mesh()
    rows, ours = [], dict[str, float]()
    jobs, rates, needed = jobs_of(mesh), machine_rates(mesh), needs()
    for stage, who, work, per in track(jobs, "benchmark", total=len(jobs)):
        seconds, (operations, traffic) = seconds_of(work) / per, needed[stage]
        floor = max(operations / rates["matrix_flops"], traffic / rates["memory_bytes"])
        row = {"stage": stage, "who": who, "seconds": seconds}
        row |= {
            "ratio_to_ours": seconds / ours.setdefault(stage, seconds),
            "operations": operations,
        }
        rows.append(
            row | {"bytes": traffic, "floor_seconds": floor, "share_of_floor": floor / seconds}
        )
    results = {
        "machine": machine(),
        "commit": commit(),
        "devices": mesh.size,
        **rates,
        "rows": rows,
    }
    write_json(path.with_suffix(".json"), results)
    write_page(path.with_suffix(".md"), table(results))
