"""How well the packed networks do on any other head: scenes of the embedded corpus through its SOFA file."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from .audit_report import EVALUATED, SCORES, score_cells
from .config import AZIMUTHS, Database
from .corpora import load_corpus
from .database import Sounds, block_size, render_and_extract
from .devices import data_mesh
from .evaluation import evaluate
from .files import atomic_write
from .hrtf import load_heads_from
from .progress import track
from .recipes import Recipes, recipes_of
from .report import markdown_table
from .weights import available, load_weights


def score_heads(paths: list[Path], names: list[str] | None = None, clips: int = 10) -> dict[tuple[str, str], dict]:
    """Metrics of (network, head): `clips` voices from 72 azimuths of the horizontal plane, noises at 15 to 40 dB.

    Voices, noises and their recipes are those of the embedded corpus with seed 0, the same for every head.

    Raises
    ------
    InputError
        A SOFA file is unreadable, or has nothing measured near an azimuth of the horizontal plane.
    """
    found, mesh, block = {}, data_mesh(1), block_size()
    for name in names or available():
        model, front = load_weights(name)
        corpus = load_corpus(None, clips * 9, front.fs)
        # every ninth clip: voices of all languages, which take turns
        corpus = corpus._replace(speech=corpus.speech[::9], speech_info=corpus.speech_info[::9])
        program, network = render_and_extract(front, mesh), jax.jit(lambda cues, model=model: model(cues))
        for path in paths:
            heads = load_heads_from([path], "horizontal", front.fs)
            recipes, _ = recipes_of(Database(clips=clips), corpus, heads)
            sounds = Sounds(jnp.asarray(corpus.noise), jnp.asarray(heads.hrirs))
            logits = []
            blocks = range(0, clips * AZIMUTHS, block)
            for at in track(blocks, f"{name} on {heads.names[0]}", total=len(blocks)):
                some = Recipes(*(f[at : at + block] for f in recipes))
                logits.append(np.asarray(network(program(sounds, corpus.speech[some.clip], some))))
            found[name, heads.names[0]] = evaluate(np.concatenate(logits), np.asarray(recipes.azimuth))
    return found


def write_scores(found: dict[tuple[str, str], dict], path: Path, where: str, commit: str, clips: int) -> str:
    """Write the table and return it."""
    rows = [[f"`{name}`", head, *score_cells(metrics)]
            for (name, head), metrics in found.items()]
    text = ("# Heads that no training heard\n\n"
            f"{clips} seconds of the embedded corpus's voices from each of 72 azimuths, two of its noises at 15 to 40 dB each, "
            "seed 0: other voices, noises and heads than in training, but for `embedded`, whose training had these voices and "
            "noises. `python -m ssl_jax check FILE.sofa ...`; "
            f"{where}; commit {commit}.\n\n"
            + markdown_table(["network", "head", *(SCORES[s] for s in EVALUATED)], rows))
    with atomic_write(path, "w") as stream:
        stream.write(text)
    return text
