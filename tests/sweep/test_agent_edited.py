"""A program that somebody edits while its agent works."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from at_work import LINE, LOSES

from children import AFTER_ONE, STEPS, until
from thetahat.sweep import read_sweep
from thetahat.sweep.spec import Code, Examined

# A worker is asked directly, as by its agent.
from thetahat.sweep.workers._connection import WorkerProcess
from thetahat.sweep.workers._messages import Examine

USES = STEPS + "from helper import SLOPE\n" + LINE.replace("2 * x[:, 0]", "SLOPE * x[:, 0]")
TEXT = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  epochs: {values: [40, 41, 42]}
  lr: {value: 0.0001}
"""
SAID = "new runs use the new program"


def codes(at):
    return [run.provenance["code"] for run in map(at.run, at.runs()) if run.provenance]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["cohort", "worker"])
def test_runs_that_begin_after_an_edit_use_the_new_program(at, mode) -> None:
    at.write("helper.py", "SLOPE = 2.0\n")
    file = at.sweep(TEXT, USES)
    at.hold(20)
    child = at.start("sweep", file, "--run", "--workers", "1", "--cohort", "1", "--mode", mode)
    until(lambda: at.any() and any(r.epochs for r in at.runs()))
    at.write("helper.py", "SLOPE = 200.0\n")
    at.hold()
    _, err = child.communicate()
    assert child.returncode == 0, err
    assert err.count(f"note: helper.py has changed: {SAID}") == 1
    runs = at.runs()
    assert [str(run.status) for run in runs] == ["finished"] * 3
    steep = [at.history(run)["train_risk"][0] > 100 for run in runs]
    assert steep == sorted(steep)
    assert (steep[0], steep[-1]) == (False, True)
    # Each run says with which code it ran.
    found = [code["helper.py"] for code in codes(at)]
    assert len(set(found)) == 2
    assert [code == found[-1] for code in found] == steep
    assert len({code["train.py"] for code in codes(at)}) == 1
    first = at.run(runs[0]).provenance
    assert {"thetahat", "jax", "numpy"} <= set(first["versions"])
    assert first["prng_impl"]


@pytest.mark.slow
def test_agent_works_on_while_its_program_is_half_written(at) -> None:
    file = at.sweep(TEXT, STEPS + LINE)
    at.hold(20)
    child = at.start("sweep", file, "--run", "--workers", "1", "--cohort", "1")
    until(lambda: at.any() and any(r.epochs for r in at.runs()))
    at.write("train.py", STEPS + LINE + "def half(:\n")
    at.hold()
    _, err = child.communicate()
    assert child.returncode == 0, err
    line = (STEPS + LINE).count("\n") + 1
    said = f"note: train.py is not Python now (line {line}): new runs use the program as it was"
    assert err.count(said) == 1
    assert [str(run.status) for run in at.runs()] == ["finished"] * 3


def test_processes_report_that_their_program_has_changed(at) -> None:
    program = LOSES + AFTER_ONE
    text = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [1, 2, 3, 4]}}"
    child = at.start("sweep", at.sweep(text, program), "--run", "--workers", "1")
    until(lambda: at.any() and [str(r.status) for r in at.runs()] == ["finished", "running"])
    at.write("train.py", program + "print(json.dumps({'more': 1}))\n")
    at.go()
    _, err = child.communicate()
    assert child.returncode == 0
    assert err.count(f"note: train.py has changed: {SAID}") == 1
    new = ["more" in run.metrics for run in at.runs()]
    found = [code["train.py"] for code in codes(at)]
    assert (new[0], new[-1]) == (False, True)
    # A run whose process starts while the file is written may read what came after its hash.
    assert found[0] != found[-1]
    assert (
        sum((code == found[-1]) is not is_new for code, is_new in zip(found, new, strict=True)) < 2
    )


# -- the source -------------------------------------------------------------------------------------


def source(folder: Path) -> Code:
    package = folder / "lib"
    (package / "deep").mkdir(parents=True)
    (folder / "train.py").write_text(
        "import json\nimport one, lib.two as two\nfrom lib import three\n"
    )
    (folder / "one.py").write_text("import train\n")  # a circle
    (package / "__init__.py").write_text("")
    (package / "two.py").write_text("from . import four\nfrom .deep.five import x\n")
    (package / "three.py").write_text("def broken(:\n")
    (package / "four.py").write_text("")
    (package / "deep" / "five.py").write_text("x = 1\n")
    (folder / "unused.py").write_text("")
    return Code(folder / "train.py", folder)


def later(path: Path, text: str) -> None:
    """Write a file whose time of change differs whatever the system's clock can tell."""
    path.write_text(text)
    stamp = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(stamp, stamp))


def test_code_hashes_all_that_a_program_imports_from_its_folder(tmp_path) -> None:
    names = ["train.py", "one.py", *(f"lib/{n}.py" for n in ("__init__", "two", "three", "four"))]
    assert sorted(source(tmp_path).hashes) == sorted([*names, "lib/deep/five.py"])


def test_code_look_reports_different_content_only(tmp_path) -> None:
    code = source(tmp_path)
    later(tmp_path / "unused.py", "x = 2\n")
    assert code.look(settled_s=0.0).anew is False
    later(tmp_path / "one.py", "import train\n")
    assert code.look(settled_s=0.0).anew is False
    later(tmp_path / "one.py", "import train, unused\n")
    assert code.look().settled is False
    change = code.look(settled_s=0.0)
    assert (change.settled, change.anew) == (True, True)
    assert change.say == f"one.py, unused.py have changed: {SAID}"
    later(tmp_path / "unused.py", "x = 3\n")
    assert code.look(settled_s=0.0).say == f"unused.py has changed: {SAID}"
    assert code.look().settled is True
    later(tmp_path / "one.py", "import (")
    assert code.look(settled_s=0.0).say.startswith("one.py is not Python now (line 1): new runs")
    later(tmp_path / "unused.py", "x = 4\n")
    assert code.look(settled_s=0.0).anew is False
    later(tmp_path / "one.py", "import train, unused\n")
    assert code.look(settled_s=0.0).say == f"unused.py has changed: {SAID}"


def test_code_reports_a_missing_program_once(tmp_path) -> None:
    code = source(tmp_path)
    (tmp_path / "lib" / "three.py").write_text("")
    (tmp_path / "train.py").unlink()
    change = code.look(settled_s=0.0)
    said = "train.py cannot be read (No such file or directory): new runs use the program as it was"
    assert (change.anew, change.say) == (False, said)
    assert code.look(settled_s=0.0).say == ""


def test_worker_gets_messages_that_were_sent_before_it_connected(at) -> None:
    spec = read_sweep(at.sweep(TEXT, LINE)).spec
    assert spec is not None
    program = at.folder / "train.py"
    worker = WorkerProcess(program, at.folder, at.folder / "log", {})
    try:
        worker.send(Examine(spec))
        heard: list = []
        while not any(isinstance(message, Examined) for message in heard):
            heard += worker.messages()
            time.sleep(0.01)
        assert heard[-1].experiment == "line"
    finally:
        worker.close()
