"""LaTeX whose structure holds whatever the names are: no LaTeX is there to ask."""

from __future__ import annotations

from pathlib import Path

import latex_structure
import numpy as np
import pytest
from hostile import HOSTILE, hostile_sweep
from hypothesis import example, given, strategies as st

from thetahat.cli import run
from thetahat.format import latex_text, table
from thetahat.report import make_report, render
from thetahat.store import Store, open_store

WORDS = [
    HOSTILE,
    r"\end{tabular}\input{/etc/passwd}",
    "a & b \\\\ \\hline % gone",
    "[1ex]", "*", "$x^2$ #1 ~ {", "}", "50% & a_b",
    "--lr ``x'' ,, ?`", "σ ≤ θ² Größe 🙂 \u202e \x1b[31m\r\n", "", "\\", '"a"|<b>',
]  # fmt: skip
NUMBERS = [0.1, float("nan"), float("inf"), -float("inf"), -1e-12, 3, None, True, np.float32(2)]
signs = st.text(st.sampled_from("\\{}$&%#_^~[]*|<>\"'`-,?! aσ\n0é"), max_size=12)


@pytest.mark.parametrize("word", WORDS)
def test_a_table_of_hostile_words(word: str) -> None:
    rows = [{"name": word, word + "x": n, "v": [word, n]} for n in NUMBERS]
    (found,) = latex_structure.check(table(rows, format="latex"))
    assert len(found) == 1 + len(NUMBERS)
    assert found[1][0] == found[2][0] == found[-1][0]


@example([""], " [", 0.0)
@given(st.lists(signs, min_size=1, max_size=4, unique=True), signs, st.floats())
def test_any_words_and_numbers(names: list[str], value: str, number: float) -> None:
    rows = [dict.fromkeys(names, value), dict.fromkeys(names, number), {}]
    (found,) = latex_structure.check(table(rows, format="latex"))
    assert [len(row) for row in found] == [len(names)] * 4


def test_numbers_that_are_none_are_dashes() -> None:
    rows = [{"x": 0.5}, {"x": float("nan")}, {"x": float("inf")}, {"x": None}]
    assert latex_structure.check(table(rows, format="latex")) == [
        [["x"], ["0.5"], ["--"], ["--"], ["--"]]
    ]


def test_signs_that_pdflatex_does_not_know_and_ligatures() -> None:
    assert latex_text("σ≤θ") == r"\ensuremath{\sigma}\ensuremath{\le}\ensuremath{\theta}"
    assert latex_text("--lr ---") == "-{}-lr -{}-{}-"
    assert latex_text("``a'' !`") == "`{}`a'{}' !{}`"
    assert latex_text('"') == r"\char34{}"


def test_a_report_of_hostile_words(empty: Store) -> None:
    document = make_report(empty, hostile_sweep(empty))
    (found,) = latex_structure.check(render(document, "latex"))
    assert len(found) == 1 + len(document.grid.rows)
    one = next(iter(empty.runs()))
    assert latex_structure.check(render(make_report(empty, one.id), "latex"))


@pytest.mark.parametrize(
    "name", ["wages, two layers", "twenty seeds a width", "tuned on the test set"]
)
def test_a_report(store: Store, name: str) -> None:
    document = make_report(store, name)
    (found,) = latex_structure.check(render(document, "latex"))
    assert len(found[0]) == len(document.grid.columns)


def test_the_commands(tmp_path: Path, capsys) -> None:
    with open_store(tmp_path) as store:
        sweep = hostile_sweep(store)
        names = [found.name for found in store.runs()]
    for words in (["runs", sweep], ["show", names[0]], ["show", names[0], "--history"]):
        assert run([*words, "--store", str(tmp_path), "--format=latex"]) == 0
        tables = latex_structure.check(capsys.readouterr().out)
        assert len(tables) == 1


@pytest.mark.parametrize(
    "text",
    [
        "\\begin{tabular}{lr}\n\\toprule\na \\\\\n\\midrule\n\\bottomrule\n\\end{tabular}",
        "\\begin{tabular}{l|r}\n\\toprule\na & b \\\\\n\\midrule\n\\bottomrule\n\\end{tabular}",
        "\\begin{tabular}{l}\n\\hline\na \\\\\n\\midrule\n\\bottomrule\n\\end{tabular}",
        "a_b", "50%", "{", "}", "$x$", "\\input", "\\begin{table}", "{\\begin{table}}\\end{table}",
    ],
)  # fmt: skip
def test_the_reader_is_strict(text: str) -> None:
    with pytest.raises(AssertionError):
        latex_structure.check(text)
