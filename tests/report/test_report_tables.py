"""Tables: one set of rows, four formats, and a terminal of any width."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from thetahat.core import ConfigError
from thetahat.format import (
    Column,
    column_cells,
    fit_width,
    json_text,
    latex_text,
    short,
    sparkline,
    strict,
    table,
    word,
)

ROWS: list[dict[str, Any]] = [
    {"name": "calm-otter-1", "status": "finished", "lr": 0.01, "val_risk": 0.012345, "epochs": 100},
    {"name": "mild-sun-2", "status": "diverged", "lr": 0.3, "val_risk": math.nan, "epochs": 3},
]


def test_a_table_for_the_terminal() -> None:
    assert table(ROWS) == (
        "name          status      lr  val_risk  epochs\n"
        "──────────────────────────────────────────────\n"
        "calm-otter-1  finished  0.01   0.01235     100\n"
        "mild-sun-2    diverged  0.30         –       3\n"
    )


def test_a_table_in_ascii() -> None:
    long = [{"name": "x" * 60, "val_risk": None}]
    assert table(long, ascii_only=True) == (
        "name                                      val_risk\n"
        "--------------------------------------------------\n"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..  -\n"
    )


def test_colours_follow_the_status_and_never_the_text() -> None:
    coloured = table(ROWS, colour=True)
    assert "\x1b[32mfinished\x1b[0m" in coloured
    assert "\x1b[31mdiverged\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == table(ROWS)
    assert "\x1b" not in table([{"name": "\x1b[31mred", "note": "[bold]x[/bold]\n"}], colour=False)


def test_the_least_dear_columns_go_first_and_the_kept_ones_stay_in_order() -> None:
    columns = [
        Column("name", priority=9, least=40),
        Column("lr", priority=1),
        Column("val_risk", priority=5),
        Column("epochs", priority=1),
    ]
    kept, gone = fit_width(ROWS, columns, 32)
    assert [c.key for c in kept] == ["name", "lr", "val_risk"]
    assert [c.key for c in gone] == ["epochs"]
    kept, gone = fit_width(ROWS, columns, 22)
    assert [c.key for c in kept] == ["name", "val_risk"]
    assert [c.key for c in gone] == ["lr", "epochs"]
    kept, _ = fit_width(ROWS, columns, 1)
    assert [c.key for c in kept] == ["name"]
    assert fit_width(ROWS, columns, None) == (columns, [])


def test_long_words_are_cut_before_a_column_goes() -> None:
    rows = [{"name": "calm-otter-1", "reason": "val_risk has not improved for 50 epochs"}]
    columns = [Column("name", priority=9, least=40), Column("reason")]
    assert table(rows, columns, width=30).splitlines()[2] == "calm-otter-1  val_risk has no…"
    kept, gone = fit_width(rows, columns, 25)
    assert ([c.key for c in kept], [c.key for c in gone]) == (["name"], ["reason"])


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.text(max_size=30),
                "status": st.sampled_from(["finished", "failed"]),
                "x": st.none() | st.floats() | st.integers(-(10**6), 10**6),
                "note": st.text(max_size=80),
            }
        ),
        max_size=5,
    ),
    st.integers(60, 120),
)
def test_no_line_is_wider_than_the_window(rows: list[dict[str, Any]], width: int) -> None:
    columns = ["name", "status", "x", "note"]
    lines = table(rows, columns, width=width).splitlines()
    assert len(lines) == len(rows) + 2
    assert all(cell_len(line) <= width for line in lines)


def test_wide_characters_keep_the_columns_straight() -> None:
    lines = table([{"name": "日本語", "x": 1.5}, {"name": "abc", "x": 22.25}]).splitlines()
    assert {cell_len(line) for line in lines} == {len("日本語") * 2 + 2 + 5}


def test_json_is_strict_and_whole() -> None:
    rows = [{"a": math.nan, "b": np.float32(0.5), "c": [1, math.inf], "d": {"e": np.int64(3)}}]
    text = table(rows, format="json")
    assert json.loads(text, parse_constant=pytest.fail) == [
        {"a": None, "b": 0.5, "c": [1, None], "d": {"e": 3}}
    ]
    assert json.loads(table(ROWS, ["name", "none"], "json"))[0] == {
        "name": "calm-otter-1",
        "none": None,
    }
    assert json_text({"é": True}) == '{\n  "é": true\n}\n'
    assert strict({1: (object,)}) == {"1": ["<class 'object'>"]}


def test_csv_is_quoted_as_in_rfc_4180_with_lines_that_shells_understand() -> None:
    rows = [{"a,b": 'say "hi"', "x": 0.1, "y": None, "z": [1, 2], "ok": True, "line": "1\n2"}]
    text = table(rows, format="csv")
    assert text == ('"a,b",x,y,z,ok,line\n"say ""hi""",0.1,,"[1,2]",true,"1\n2"\n')
    assert list(csv.reader(io.StringIO(text, newline="")))[1][0] == 'say "hi"'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_csv_and_json_keep_every_digit(value: float) -> None:
    rows = [{"x": value}]
    assert float(table(rows, format="csv").splitlines()[1]) == value
    assert json.loads(table(rows, format="json")) == [{"x": value}]


def test_latex_is_booktabs_and_escaped() -> None:
    rows = [
        {"name": r"50% & a_b {x} \y ~^#$", "risk": 1.5e-9, "d": -0.5},
        {"name": None, "risk": 0.25, "d": None},
    ]
    assert table(rows, format="latex") == (
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "name & risk & d \\\\\n"
        "\\midrule\n"
        "50\\% \\& a\\_b \\{x\\} \\textbackslash{}y \\textasciitilde{}\\textasciicircum{}\\#\\$"
        " & $1.500 \\times 10^{-9}$ & $-0.5$ \\\\\n"
        "-- & $2.500 \\times 10^{-1}$ & -- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )
    assert latex_text('a<b>"c"|') == r"a\textless{}b\textgreater{}\char34{}c\char34{}\textbar{}"


def test_titles_stand_above_columns() -> None:
    columns = [Column("config.lr", "lr")]
    rows = [{"config.lr": 0.1}]
    assert table(rows, columns).splitlines()[0] == " lr"
    assert table(rows, columns, "csv") == "lr\n0.1\n"
    assert json.loads(table(rows, columns, "json")) == [{"config.lr": 0.1}]


def test_an_unknown_format() -> None:
    with pytest.raises(ConfigError) as caught:
        table(ROWS, format="latx")
    assert str(caught.value) == "unknown table format 'latx'; did you mean 'latex'?"


@pytest.mark.parametrize("format", ["table", "csv", "latex", "json"])
def test_no_rows(format: str) -> None:
    text = table([], ["a", "b"], format)
    assert text.endswith("\n")
    assert table([], format="json") == "[]\n"


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([0.1, 0.01, 0.001], ["0.100", "0.010", "0.001"]),
        ([123.456, 1.5], ["123.46", "1.50"]),
        ([1e-5, 1.0], ["0.00001", "1.00000"]),
        ([1.2346e-5, 1.0], ["1.235e-05", "1.000e+00"]),
        ([1e7 + 0.5], ["1.000e+07"]),
        ([0.0, 0.0], ["0", "0"]),
        ([2.0, None, math.inf], ["2", "", ""]),
        ([1, 10, 100], ["1", "10", "100"]),
        ([1, 0.5], ["1.0", "0.5"]),
        ([np.float32(0.5), np.int64(2)], ["0.5", "2.0"]),
        ([True, "a", ["b", 0.25]], ["yes", "a", "[b, 0.25]"]),
        ([-0.001234, 0.001], ["-0.001234", "0.001000"]),
    ],
)
def test_one_style_for_a_column(values: list[Any], cells: list[str]) -> None:
    assert column_cells(values) == cells


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=10))
def test_the_largest_number_keeps_four_digits(values: list[float]) -> None:
    shown = [float(cell) for cell in column_cells(values)]
    assert max(shown) == pytest.approx(max(values), rel=5e-4)
    assert min(shown) == pytest.approx(min(values), rel=5e-3)


def test_words_are_one_printable_line() -> None:
    assert word("a\n\x1b[31mb\t") == r"a\n\x1b[31mb\t"
    assert word(None) == ""
    assert (short(1 / 3), short(float("nan")), short("x")) == ("0.3333", "", "x")


def test_sparklines() -> None:
    assert sparkline([1, 2, 3, math.nan], 4) == "▁▅█ "
    assert sparkline([-1.0, 0.0, 1.0]) == "▁▅█"
    assert sparkline([1, 10, 100]) == "▁▅█", "a log scale where all is above zero"
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([]) == sparkline([math.nan]) == ""
    assert sparkline([1, 2], ascii_only=True) == "_#"
    assert sparkline([2, 4], span=(1, 16)) == "▃▅"
    assert len(sparkline(range(1, 1001), 48)) == 48
