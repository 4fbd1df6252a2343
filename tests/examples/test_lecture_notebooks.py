"""The lectures' notebooks run from their first cell to their last, and show what they say.

Their code runs in this process: a kernel of its own for each would import and compile everything
again. Other tests run notebooks in a kernel.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure

from thetahat.figures import image

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("lecture_*.ipynb"))


def cells(name: str) -> list[str]:
    """The code of a notebook, which is kept without outputs."""
    book = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    return [cell.source for cell in code]


def ran(name: str) -> tuple[dict[str, Any], list[Any]]:
    """The names that a notebook leaves, and the values that its cells show."""
    left: dict[str, Any] = {}
    shown: list[Any] = []
    for text in cells(name):
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), left)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), name, "eval"), left))
    figures = [value for value in shown if isinstance(value, Figure)]
    assert all(image(figure, "png", dpi=20).startswith(b"\x89PNG") for figure in figures)
    assert figures
    return left, shown


def test_there_is_one_for_each_lecture_and_each_is_short() -> None:
    assert len(NAMES) == 5
    page = (FOLDER.parents[1] / "docs" / "lab.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"examples/notebooks/{name}.ipynb" in page
        assert sum(len(text.splitlines()) for text in cells(name)) <= 80


def test_the_lecture_on_optimisation() -> None:
    left, _ = ran("lecture_optimisation")
    steps, turned = left["steps"], left["turned"]
    assert (steps["gradient descent"][-1], steps["preconditioned"][-1]) == (2597, 1042)
    assert 0 < turned["preconditioned"][-1] < 1042
    assert left["batches"]["sequential 1 end"] > left["batches"]["shuffle 1 end"]
    assert left["paths"]["1 / t end"] < left["paths"]["constant end"]


def test_the_lecture_on_optimisation_in_jax() -> None:
    left, _ = ran("lecture_optimisation_jax")
    exact = np.asarray(left["exact"])
    for theta in (left["by_hand"], left["solved"].params["kernel"].ravel()):
        np.testing.assert_allclose(theta, exact, atol=1e-4)
    for name, fit in left["fits"].items():
        near = 1e-4 if name != "adam" else 1e-2
        np.testing.assert_allclose(fit.params["kernel"].ravel(), exact, atol=near)
    apart = np.abs(left["batched"].params["kernel"].ravel() - exact).max()
    assert 1e-4 < apart < 0.1


def test_the_lecture_on_neural_networks() -> None:
    left, _ = ran("lecture_neural_networks")
    assert left["counts"] == {64: 4417, 128: 17025, 256: 66817}
    assert (left["noisy"]["best_epoch"] < 50).all()
    assert np.median(left["quiet"]["best_epoch"]) == 50


def test_the_lecture_on_representations() -> None:
    left, _ = ran("lecture_representations")
    assert left["solved"]["solved"] >= 9
    assert left["forward"] == pytest.approx(left["backward"], rel=1e-5)
    assert left["by_size"]["deep set"][-1].mean() > left["by_size"]["MLP"][-1].mean() + 0.3


def test_the_lecture_on_generalisation() -> None:
    left, _ = ran("lecture_generalisation")
    fitted, new = (np.median(left["permuted"][k], axis=1) for k in ("net fitted", "net new"))
    assert fitted[-1] > 0.9
    assert new[-1] < 0
    assert 0.09 < np.median(left["test"]) < 0.3
