"""Runs the notebook docs/tour.ipynb and stores what its cells print and draw; see `main`.

A notebook is JSON: this needs no Jupyter, and so neither do the tests.
"""

import ast
import base64
import contextlib
import io
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs/tour.ipynb"
DPI = 80  # small files: a figure is as wide as the text of a page


def main() -> None:
    """Write the notebook anew, with the outputs of this machine."""
    notebook = read_notebook(NOTEBOOK)
    names: dict = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), 1):
        cell["execution_count"] = number
        cell["outputs"] = run_cell(cell, names)
    NOTEBOOK.write_text(as_text(notebook), "utf-8")


def as_text(notebook: dict) -> str:
    """The file of a notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read_notebook(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run_cell(cell: dict, names: dict) -> list[dict]:
    """Run a cell as Jupyter does, and return its outputs as nbformat 4 has them."""
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "tour.ipynb", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "tour.ipynb", "eval"), names)
    outputs = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": cell["execution_count"],
                "data": data,
                "metadata": {},
            }
        )
    return outputs + figure_outputs()


def figure_outputs() -> list[dict]:
    """All figures that are open, as PNG; they are closed."""
    outputs = []
    for number in plt.get_fignums():
        stream = io.BytesIO()
        plt.figure(number).savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
        plt.close(number)
        data = {"image/png": base64.b64encode(stream.getvalue()).decode()}
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    return outputs


if __name__ == "__main__":
    main()
