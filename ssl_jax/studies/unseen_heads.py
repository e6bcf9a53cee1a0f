"""How well the packed networks do on any other head: scenes of the embedded corpus through its SOFA file."""

from pathlib import Path

import jax
import numpy as np

from ssl_jax.common.devices import data_mesh
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_text
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, Database
from ssl_jax.database.program import block_size, render_and_extract, waveforms_of
from ssl_jax.database.recipes import Sounds, recipes_of
from ssl_jax.metrics import evaluate
from ssl_jax.networks.packed import available, load_weights
from ssl_jax.report.tables import EVALUATED, SCORES, markdown_table, score_cells
from ssl_jax.sounds.corpora import load_corpus
from ssl_jax.sounds.hrtf import load_heads_from


def score_heads(paths: list[Path], names: list[str], clips: int, **sides) -> list[list[str]]:
    """Rows of network, head and scores: `clips` voices from 72 azimuths of the horizontal plane, with noises.

    Voices, noises and their recipes are those of the embedded corpus with seed 0, the same for every
    head. Raises InputError for a SOFA file that is unreadable, or without directions near the plane.
    """
    rows, mesh, block = [], data_mesh(1), block_size()
    for name in names:
        model, front = load_weights(name)
        corpus = load_corpus(None, clips * 9, front.fs)
        # every ninth clip: voices of all languages, which take turns
        corpus = corpus._replace(speech=corpus.speech[::9], speech_info=corpus.speech_info[::9])
        program, network = render_and_extract(front, mesh), jax.jit(lambda cues, model=model: model(cues))
        for path in paths:
            sounds = Sounds(corpus, load_heads_from([path], "horizontal", front.fs, **sides))
            recipes, _ = recipes_of(Database(clips=clips), sounds)
            waveforms, head = jax.device_put(waveforms_of(sounds)), sounds.heads.names[0]
            logits, blocks = [], range(0, clips * AZIMUTHS, block)
            for at in track(blocks, f"{name} on {head}", total=len(blocks)):
                some = recipes.rows(slice(at, at + block))
                logits.append(np.asarray(network(program(waveforms, corpus.speech[some.clip], some))))
            found = evaluate(np.concatenate(logits), np.asarray(recipes.azimuth))
            rows.append([f"`{name}`", head, *score_cells(found)])
    return rows


def run_check(args) -> None:
    """The stage `check`: write results/unseen_heads.md and print it."""
    if not 1 <= args.clips <= 70:
        raise InputError(f"--clips {args.clips}: out of range: use 1 to 70")
    sides = {"ears": args.ears, "azimuths": args.azimuths}
    rows = score_heads(args.files, args.model or available(), args.clips, **sides)
    text = (
        f"# Heads that no training heard\n\n{args.clips} seconds of the embedded corpus's voices from each "
        "of 72 azimuths, two of its noises at 15 to 40 dB each, seed 0: other voices, noises and heads than "
        "in training, but for `embedded`, whose training had these voices and noises. "
        f"`ssl_jax check FILE.sofa ...`; {machine()}; commit {commit()}.\n\n"
    )
    text += markdown_table(["network", "head", *(SCORES[s] for s in EVALUATED)], rows)
    write_text(args.results / "unseen_heads.md", text)
    print(text)
