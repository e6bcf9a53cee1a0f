"""Tables in Markdown, and the scores that stand in several of them."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_text

SCORES = {
    "train_top1": "train Top-1",
    "top1": "Top-1",
    "top5_published": "Top-5*",
    "top5": "Top-5, standard",
}
SCORES |= {"mean_angular_error": "mean error", "median_angular_error": "median error"}
SCORES |= {"within_5": "within 5°", "within_10": "within 10°", "front_back": "front-back"}
EVALUATED = list(SCORES)[1:]  # what `evaluate` gives
DEGREES = ("mean_angular_error", "median_angular_error")


def score_cells(metrics: dict) -> list[str]:
    """What `evaluate` gives, in the order of EVALUATED, as cells of a table."""
    return [f"{metrics[score]:.2f}{'°' if score in DEGREES else ''}" for score in EVALUATED]


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, which ends in a line break."""
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))


def snr_cells(row: Iterable[str]) -> list[str]:
    """A row of `scores_by_snr` as cells: the range in dB, mixtures, Top-1, mean error, front-back."""
    low, high, *scores, error, confused = row
    return [f"{float(low):g}-{float(high):g}", *scores, f"{error}°", confused]


def spread(values: list[float], unit: str = "", digits: str = ".2f") -> str:
    """Mean, and standard deviation where there are several: "43.10 ± 0.52"."""
    mean, several = f"{statistics.fmean(values):{digits}}", len(values) > 1
    return (f"{mean} ± {statistics.stdev(values):{digits.lstrip('+')}}" if several else mean) + unit


def write_page(path: Path, *parts: str) -> None:
    """Write a page of Markdown, a line break between its parts, and print it."""
    text = "\n".join(parts)
    write_text(path, text)
    print(text)


def put_section(page: Path, name: str, section: str) -> None:
    """Replace what stands between two marker lines of a page; raises InputError where they are missing."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{page}: is not UTF-8 text: save it as such") from None
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(
            f"{page}: needs one line {begin} and, after it, one line {end}: put them back"
        )
    before, rest = text.split(begin)
    write_text(page, f"{before}{begin}\n{section}\n{end}{rest.split(end)[1]}")
