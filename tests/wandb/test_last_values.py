"""Of each name the summary has the last value that a program gave, whatever its type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from thetahat.store import RunRow, Store, open_store

OWN_PYTHONS = True
"""Programs of the sweep start as users start them."""

PROGRAM = """\
import wandb

with wandb.init() as run:
    run.summary["loss"] = 9.0
    run.log({"loss": 1.0})
    run.log({"late": 1.0})
    run.summary["late"] = 5.0
    run.log({"st": "text"})
    run.log({"st": 4.0})
    run.summary.update({"word": "yes"})
    run.log({"word": 3.0})
    run.log({"n": 1.0})
    run.log({"n": "word"})
    run.log({"gone": 2.0})
    del run.summary["gone"]
    run.log({"back": 2.0})
    del run.summary["back"]
    run.log({"back": 3.0})
    run.define_metric("least", summary="min")
    run.log({"least": 2.0})
    run.log({"least": 3.0})
    run.log({"m": 1.0, "w": "text"})
    run.log({"m": {"a": 2.0, "b": {"c": 1.0}}, "w": {"x": 3.0}})
    run.log({"m": {"b": 7.0}})
    run.log({"q": {"a": 1.0, "b": "text"}})
    run.log({"q": 3.0})
    run.summary["r"] = 1.0
    run.summary["r"] = {"c": 4.0, "d": 4.0}
    run.summary["r"] = {"c": 2**60 + 1}
    run.log({"s": {"a": 1.0}})
    run.summary["s"] = {"b": 1.0}
    run.log({"s": {"c": 5.0}})
    run.log({"u.v": 1.0})
    run.log({"u": 2.0})
"""
NUMBERS = {"loss": 1.0, "late": 5.0, "st": 4.0, "word": 3.0, "back": 3.0}
NUMBERS |= {"m.a": 2.0, "m.b": 7.0, "w.x": 3.0, "q": 3.0, "s.c": 5.0, "u.v": 1.0, "u": 2.0}
NUMBERS["r.c"] = 2**60 + 1
LEAST = {"least": 3.0, "least.min": 2.0}
WORDS = {"n": "word"}
"""What wandb 0.31 has in the summary of the program; ``least`` is what its rows have."""


def kept(store: Store, run: RunRow) -> tuple[dict[str, Any], dict[str, Any]]:
    run = store.run(run.id)
    return dict(run.metrics), (run.detail or {}).get("logged", {})


def test_the_summary_has_the_last_value_of_each_name(client, here: Path, store: Store) -> None:
    exec(compile(PROGRAM, "program.py", "exec"), {})
    (run,) = store.runs()
    assert kept(store, run) == (NUMBERS | LEAST, WORDS)
    read = client.Api().runs()[0].summary
    assert {name: read[name] for name in (*NUMBERS, "n")} == {**NUMBERS, **WORDS}
    assert (read["m"], read["q"], read["r"]) == ({"a": 2, "b": 7}, 3, {"c": 2**60 + 1})


def test_the_agent_reads_the_last_value_of_each_name(here: Path, thetahat, store: Store) -> None:
    (here / "solve.py").write_text(PROGRAM)
    (here / "sweep.yaml").write_text(
        "program: solve.py\nmethod: grid\nmetric: {name: loss}\n"
        'parameters: {x: {values: [0]}}\ncommand: ["${interpreter}", "${program}"]\n'
    )
    code, _, err = thetahat("sweep", "sweep.yaml", "--run", "--workers", "1")
    assert code == 0, err
    (run,) = store.runs()
    assert kept(store, run) == (NUMBERS | LEAST, WORDS)


@pytest.mark.slow
def test_an_import_has_the_last_value_of_each_name(here: Path, thetahat) -> None:
    (here / "solve.py").write_text(PROGRAM)
    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "solve.py"], env=env, check=True, capture_output=True)
    assert thetahat("import", "wandb", "wandb", "--store", "imported")[0] == 0
    with open_store(here / "imported") as imported:
        (run,) = imported.runs()
        assert kept(imported, run) == (NUMBERS | LEAST, WORDS)


def test_an_export_has_the_last_value_of_each_name(client, store: Store, here, thetahat) -> None:
    exec(compile(PROGRAM, "program.py", "exec"), {})
    assert thetahat("export", "out", "--to", "wandb")[0] == 0
    assert thetahat("import", "wandb", "out", "--store", "again")[0] == 0
    with open_store(here / "again") as again:
        (run,) = again.runs()
        assert kept(again, run) == (NUMBERS | LEAST, WORDS)


def test_a_later_session_replaces_values_of_an_earlier_one(client, store: Store) -> None:
    with client.init(id="a", project="p") as run:
        run.log({"st": "text", "phase": "warm", "loss": 2.0, "n": 1.0})
    with client.init(id="a", project="p", resume="must") as run:
        assert (run.summary["phase"], run.summary["loss"]) == ("warm", 2)
        run.log({"st": 4.0, "n": "word"})
        del run.summary["loss"]
    (row,) = store.runs()
    assert kept(store, row) == ({"st": 4.0}, {"phase": "warm", "n": "word"})
    found = client.Api().run("p/a")
    found.summary.update({"n": 7.0, "st": "put"})
    assert kept(store, row) == ({"n": 7.0}, {"phase": "warm", "st": "put"})


def test_a_line_of_json_replaces_a_text_by_a_number(here: Path, thetahat, store: Store) -> None:
    (here / "solve.py").write_text(
        'print(\'{"loss": 1.0, "st": "text"}\')\nprint(\'{"loss": 2.0, "st": 4.0}\')\n'
    )
    (here / "sweep.yaml").write_text(
        "program: solve.py\nmethod: grid\nmetric: {name: loss}\n"
        'parameters: {x: {values: [0]}}\ncommand: ["${interpreter}", "${program}"]\n'
    )
    assert thetahat("sweep", "sweep.yaml", "--run", "--workers", "1")[0] == 0
    (run,) = store.runs()
    assert kept(store, run) == ({"loss": 2.0, "st": 4.0}, {})
