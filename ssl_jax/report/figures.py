"""Every figure of an experiment, from the front-end and from the logs under results/."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import require_writable
from ssl_jax.common.progress import track
from ssl_jax.experiments import Experiment
from ssl_jax.report.curves import training_curves
from ssl_jax.report.directions import RUN_STYLES, confusion, errors, recall
from ssl_jax.report.logs import TITLES
from ssl_jax.report.scenes import scene, surround
from ssl_jax.report.style import STYLE, plt, write_figure


@dataclass(frozen=True)
class Drawing:
    """A figure still to be drawn."""

    name: str  # of the file, without its ending
    draw: Callable[[], Figure]


def drawings_of(results: Path, ex: Experiment) -> list[Drawing]:
    """Every figure that the results of an experiment suffice for, the quick ones first.

    Raises
    ------
    InputError
        Where no run has a log.
    """
    folder = results / ex.name
    trained = [run for run in TITLES if (folder / f"{run}.csv").exists()]
    if not trained:
        raise InputError(f"{folder}: no log of any run: run the train stage first")
    drawings = []
    for runs in curves_of(trained):
        draw = partial(training_curves, results, ex.name, runs)
        drawings.append(Drawing(f"training_{runs[0]}", draw))
    for run in trained:
        draw = partial(confusion, results, ex.name, run)
        drawings.append(Drawing(f"confusion_{run}", draw))
    compared = [run for run in RUN_STYLES if (folder / f"{run}_by_snr.csv").exists()]
    if compared:
        drawings.append(Drawing("errors", partial(errors, results, ex.name, compared)))
    if (folder / "model2_to40_last_confusion.csv").exists():
        drawings.append(Drawing("recall_model2_to40", partial(recall, results, ex.name)))
    drawings.append(Drawing("surround", partial(surround, ex.front)))
    drawings.append(Drawing("scene_snr", partial(scene, ex.front)))
    return drawings


def curves_of(trained: list[str]) -> list[list[str]]:
    """The runs that stand in one figure of curves each: those that go on from one another.

    Others than the published networks have curves where none of these is trained.
    """
    families = [[run for run in trained if run.startswith(model)] for model in ("model1", "model2")]
    return [family for family in families if family] or [[run] for run in trained]


def draw_all(results: Path, ex: Experiment, figures: Path, formats: tuple[str, ...]) -> None:
    """Draw every figure of an experiment into `figures`/name, a file in each of the formats."""
    folder = figures / ex.name
    drawings = drawings_of(results, ex)
    require_writable(folder)
    with plt.rc_context(STYLE):
        for drawing in track(drawings, "figures", total=len(drawings)):
            figure = drawing.draw()
            for kind in formats:
                write_figure(figure, folder / f"{drawing.name}.{kind}")
            plt.close(figure)
