"""Tables in Markdown, and the scores that stand in several of them."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_text

# what `metrics.evaluate` gives, by name
EVALUATED_TITLES = {
    "top1": "Top-1",
    "top5_published": "Top-5*",
    "top5": "Top-5, standard",
    "mean_angular_error": "mean error",
    "median_angular_error": "median error",
    "within_5": "within 5°",
    "within_10": "within 10°",
    "front_back": "front-back",
}
EVALUATED = list(EVALUATED_TITLES)
SCORES = {"train_top1": "train Top-1", **EVALUATED_TITLES}
DEGREES = ("mean_angular_error", "median_angular_error")


def score_cells(metrics: dict) -> list[str]:
    """What `evaluate` gives, in the order of EVALUATED, as cells of a table."""
    cells = []
    for score in EVALUATED:
        unit = "°" if score in DEGREES else ""
        cells.append(f"{metrics[score]:.2f}{unit}")
    return cells


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, which ends in a line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def snr_cells(row: Iterable[str]) -> list[str]:
    """A row of `scores_by_snr` as cells: range in dB, mixtures, Top-1, mean error, front-back."""
    low, high, mixtures, hits, error, confused = row
    return [f"{float(low):g}-{float(high):g}", mixtures, hits, f"{error}°", confused]


def mean_and_deviation(values: Sequence[float], unit: str = "", digits: str = ".2f") -> str:
    """Mean, and standard deviation where there are several: "43.10 ± 0.52"."""
    mean = format(statistics.fmean(values), digits)
    if len(values) == 1:
        return mean + unit
    deviation = format(statistics.stdev(values), digits.lstrip("+"))
    return f"{mean} ± {deviation}{unit}"


def put_section(page: Path, name: str, section: str) -> None:
    """Replace what stands between two marker lines of a page.

    Raises
    ------
    InputError
        For a page that is not UTF-8 text, or has not each of the markers once.
    """
    begin = f"<!-- {name}: begin -->"
    end = f"<!-- {name}: end -->"
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{page}: is not UTF-8 text: save it as such") from None
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(
            f"{page}: needs one line {begin} and, after it, one line {end}: put them back"
        )
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    write_text(page, f"{before}{begin}\n{section}\n{end}{after}")
