"""The notebook docs/tour.ipynb: its cells run, and their outputs are those that are stored."""

import json
import re
import runpy

import matplotlib.pyplot as plt
import pytest

from support.runs import ROOT

TOUR = runpy.run_path(str(ROOT / ".ci/tour.py"))
STORED = TOUR["code_cells"](TOUR["read_notebook"](TOUR["NOTEBOOK"]))
MAX_BYTES = 400_000  # a page that loads at once
NUMBER = r"\d+(?:\.\d+)?"
# what networks and filters may differ by on another CPU: cues are rounded to float16
ALIKE = {"rel": 0.02, "abs": 0.02}


@pytest.fixture(scope="module")
def fresh():
    """The outputs of every cell, run one after the other in one namespace."""
    plt.close("all")  # what other tests left open is no output
    names = {"__name__": "tour"}
    return [TOUR["run_cell"](cell, names) for cell in STORED]


def texts(outputs):
    """What a cell printed or gave, as one text."""
    parts = []
    for output in outputs:
        parts += output.get("text") or output["data"].get("text/plain", [])
    return "".join(parts)


def pictures(outputs):
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_the_stored_texts_are_what_the_cells_print(fresh):
    for cell, outputs in zip(STORED, fresh, strict=True):
        stored, printed = texts(cell["outputs"]), texts(outputs)
        assert re.sub(NUMBER, "N", printed) == re.sub(NUMBER, "N", stored)
        numbers = [float(number) for number in re.findall(NUMBER, printed)]
        assert numbers == pytest.approx(
            [float(number) for number in re.findall(NUMBER, stored)], **ALIKE
        )


def test_the_cells_draw_the_pictures_that_are_stored(fresh):
    drawn = [len(pictures(outputs)) for outputs in fresh]
    assert drawn == [len(pictures(cell["outputs"])) for cell in STORED]
    assert sum(drawn) >= 2


def test_the_file_is_small_and_as_jupyter_writes_it():
    text = TOUR["NOTEBOOK"].read_text("utf-8")
    assert len(text.encode()) < MAX_BYTES
    assert text == TOUR["as_text"](json.loads(text))


def test_a_cell_gives_what_jupyter_would_show():
    cell = {"source": ["print(1)\n", "x = 2\n", "x"], "execution_count": 3}
    stream, result = TOUR["run_cell"](cell, {})
    assert stream == {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
    assert result["data"] == {"text/plain": ["2"]} and result["execution_count"] == 3
