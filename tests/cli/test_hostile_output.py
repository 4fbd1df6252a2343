"""Names and values that came from outside give no orders: to a terminal, a spreadsheet, a shell."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from thetahat.core.run import Status
from thetahat.core.shell import pasteable
from thetahat.format import table
from thetahat.store import NewSweep, create_sweep, open_store

ORDERS = "a\x1b[31m\x1b]0;title\x07\u202eb\x9bc"
SWEEP = """\
name: "{orders}"
program: train.py
method: grid
metric: {{name: loss}}
parameters:
  lr: {{values: [1, 2]}}
  act: {{values: ["{orders}"]}}
  "x{orders}": {{values: [1]}}
"""
WRITTEN = ORDERS.encode("unicode_escape").decode().replace("\\x9b", "\\u009b")


@pytest.fixture
def hostile(folder: Path) -> str:
    """A store here whose every word is an order to a terminal; the id of its sweep."""
    (folder / "bad.yaml").write_text(SWEEP.format(orders=WRITTEN), encoding="utf-8")
    (folder / "train.py").write_text(f"raise SystemExit({ORDERS!r})", encoding="utf-8")
    with open_store() as store:
        sweep = create_sweep(store, NewSweep("method: grid\nparameters: {}", ORDERS))
        made = store.create_run(
            {"act": ORDERS, ORDERS: 1}, experiment=ORDERS, name=f"run {ORDERS}", sweep_id=sweep.id
        )
        store.finish_run(made.id, status=Status.FAILED, reason=ORDERS)
    return sweep.id


COMMANDS = (
    ("check", "bad.yaml"),
    ("check", "bad.yaml", "--list=2"),
    ("check", ORDERS),
    ("sweep", "bad.yaml"),
    ("sweep", "SWEEP", "--pause"),
    ("agent", "SWEEP"),
    ("agent", ORDERS),
    ("runs",),
    ("runs", ORDERS),
    ("runs", "--where", f"{ORDERS}=1"),
    ("runs", "--sort", ORDERS),
    ("runs", "--group-by=act"),
    ("show", "last"),
    ("show", ORDERS),
    ("report", "SWEEP", "--format=md"),
    ("resume", "last"),
    ("fit", ORDERS, "--target=y"),
    (ORDERS,),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words)[:24])
def test_no_command_prints_an_order_to_a_terminal(hostile: str, thetahat, words) -> None:
    _, out, err = thetahat(*(hostile if word == "SWEEP" else word for word in words))
    assert out + err
    assert not {*out, *err} & {*"\x1b\x07\u202e\x9b"}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
@pytest.mark.parametrize("format", ["csv", "json", "table"])
def test_data_on_a_terminal_are_escaped_and_in_a_pipe_are_not(hostile: str, format: str) -> None:
    code = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "runs", "--format", format]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "4000"}
    subprocess.run(words, stdout=theirs, check=True, env=environment)
    os.close(theirs)
    shown = b""
    while part := os.read(ours, 65536) if b"finished" not in shown else b"":
        shown += part
        if len(part) < 4096:
            break
    os.close(ours)
    assert b"\x1b[31m" not in shown
    assert "\u202e".encode() not in shown
    piped = subprocess.run(words, capture_output=True, check=True).stdout
    assert (b"\x1b[31m" in piped) == (format == "csv")


FORMULAS = ("=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1")


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_holds_no_formula_unless_it_is_asked_for(text: str) -> None:
    rows = [{"name": text, text: 1.0, "x": -1.5, "y": "-1e-3"}]
    head, row = csv.reader(io.StringIO(table(rows, format="csv")))
    assert (head[0], head[1]) == ("name", f"'{text}")
    assert row == [f"'{text}", "1.0", "-1.5", "-1e-3"]
    assert next(csv.reader(io.StringIO(table(rows, format="csv", raw=True))))[1] == text


def test_runs_and_reports_as_csv_hold_no_formula(folder: Path, thetahat) -> None:
    with open_store() as store:
        sweep = create_sweep(store, NewSweep("method: grid\nparameters: {a: {values: [1]}}", "s"))
        for a in (FORMULAS[0], "plain"):
            made = store.create_run({"a": a}, name=f"{FORMULAS[1]}{a}", sweep_id=sweep.id)
            store.finish_run(made.id, status=Status.FINISHED, metrics={"m": 1.0})
    for words in (("runs",), ("report", sweep.id)):
        _, out, _ = thetahat(*words, "--format=csv")
        assert f"'{FORMULAS[0]}" in out
        assert f",{FORMULAS[0]}" not in out
    _, out, _ = thetahat("runs", "--format=csv", "--raw")
    assert f",{FORMULAS[0]}," in out


@pytest.mark.parametrize(
    "words",
    [
        ["python", "a b.py", "--x=it's"],
        ["python", "--act=x\u202ey\x1b[31m", "--b=\\n\n\t'"],
        ["python", "é.py", "--y=$HOME`id`", ""],
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_a_command_to_paste_reads_as_what_it_runs(words: list[str]) -> None:
    line = pasteable(words)
    assert line.isprintable()
    show = shlex.join([sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"])
    said = subprocess.run(
        ["bash", "-c", f"{show} {line}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert json.loads(said.stdout) == words


def test_emoji_do_not_stop_pdflatex() -> None:
    text = table([{"name": "run 🎈", "lr": 1.0}], format="latex")
    assert "run [U+1F388]" in text
    assert "café" in table([{"name": "café"}], format="latex")
