"""Sweeps that change while agents work on them, and programs that cannot be loaded."""

from __future__ import annotations

import os
import sys

import pytest
from at_work import LINE, LOSES

from children import AFTER_ONE, HOLD, until
from thetahat.store import list_sweeps

GRID = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [1, 2, 3, 4, 5, 6]}
"""


def statuses(at):
    return [str(run.status) for run in at.runs()]


def test_an_agent_at_work_goes_on_with_another_file(at, thetahat) -> None:
    child = at.start("sweep", at.sweep(GRID, LOSES + AFTER_ONE), "--run", "--workers", "1")
    until(lambda: at.any() and statuses(at) == ["finished", "running"])
    at.sweep(GRID.replace("[1, 2, 3, 4, 5, 6]", "[1, 2, 30, 40]"), name="more.yaml")
    code, _, _ = thetahat("sweep", "last", "--extend", "more.yaml")
    assert code == 0
    at.go()
    _, err = child.communicate()
    assert child.returncode == 0
    assert "note: the sweep was given another file: it goes on with that" in err
    assert [run.config["lr"] for run in at.runs()] == [1, 2, 30, 40]
    assert at.row().state == "finished"


def test_an_agent_at_work_goes_on_with_another_program(at, thetahat) -> None:
    child = at.start("sweep", at.sweep(GRID, LOSES + AFTER_ONE), "--run", "--workers", "1")
    until(lambda: at.any() and statuses(at) == ["finished", "running"])
    at.write("other.py", LOSES + 'print(json.dumps({"loss": 1, "other": 7}))\n')
    text = GRID.replace("train.py", "other.py").replace("6]", "60]")
    at.sweep(text, name="more.yaml")
    thetahat("sweep", "last", "--extend", "more.yaml")
    at.go()
    child.communicate()
    assert child.returncode == 0
    runs = at.runs()
    by_program = ["other" in run.metrics for run in runs]
    assert by_program == sorted(by_program)
    assert by_program[0] is False
    assert by_program[-1] is True
    assert [run.config["lr"] for run in runs if "other" in run.metrics][-1] == 60
    assert set(statuses(at)) == {"finished"}


def test_a_cap_can_be_raised_while_agents_work(at, thetahat) -> None:
    text = GRID.replace("grid", "random") + "run_cap: 2\n"
    child = at.start("sweep", at.sweep(text, LOSES + AFTER_ONE), "--run", "--workers", "1")
    until(lambda: at.any() and statuses(at) == ["finished", "running"])
    at.sweep(text.replace("run_cap: 2", "run_cap: 4"), name="more.yaml")
    thetahat("sweep", "last", "--extend", "more.yaml")
    at.go()
    child.communicate()
    assert statuses(at) == ["finished"] * 4


def test_a_sweep_is_cancelled_under_its_agents(at, thetahat) -> None:
    child = at.start("sweep", at.sweep(GRID, LOSES + HOLD + "hold()\n"), "--run", "--workers", "2")
    until(lambda: at.any() and statuses(at) == ["running"] * 2)
    thetahat("sweep", "last", "--cancel")
    _, err = child.communicate()
    assert child.returncode == 0
    assert "note: the sweep is cancelled" in err
    runs = at.runs()
    assert [(str(r.status), r.reason) for r in runs] == [
        ("cancelled", "the sweep was cancelled")
    ] * 2


def test_a_paused_sweep_holds_its_agents_until_it_is_resumed(at, thetahat) -> None:
    program = LOSES + AFTER_ONE + "if float(given['lr']) > 2: hold('on')\n"
    child = at.start("sweep", at.sweep(GRID, program), "--run", "--workers", "1")
    until(lambda: at.any() and statuses(at) == ["finished", "running"])
    thetahat("sweep", "last", "--pause")
    at.go()
    until(lambda: "note: the sweep is paused: no new runs begin" in child.said())
    until(lambda: "running" not in statuses(at))
    assert statuses(at) == ["finished"] * 2
    assert child.poll() is None
    thetahat("sweep", "last", "--resume")
    until(lambda: "note: it goes on" in child.said())
    at.go("on")
    child.communicate()
    assert child.returncode == 0
    assert statuses(at) == ["finished"] * 6


def test_two_agents_of_one_file_share_one_sweep(at) -> None:
    # The first run of either holds until the other works too.
    both = "if given['lr'] in '12':\n    open('begun-' + given['lr'], 'w')\n    hold('begun-2')\n"
    file = at.sweep(GRID, LOSES + HOLD + both)
    # Another order of hashing must not make it another sweep.
    children = [
        at.start("agent", file, "--workers", "1", PYTHONHASHSEED=seed) for seed in ("1", "2")
    ]
    for child in children:
        _, err = child.communicate()
        assert child.returncode == 0, err
    with at.store() as store:
        assert len(list_sweeps(store)) == 1
    runs = at.runs()
    assert [run.config["lr"] for run in runs] == [1, 2, 3, 4, 5, 6]
    assert statuses(at) == ["finished"] * 6
    assert len({run.agent for run in runs}) == 2


BANDS = """\
program: train.py
method: grid
metric: {name: loss}
early_terminate: {type: hyperband, min_iter: 2, eta: 2}
parameters:
  lr: {values: [0.3, 0.9, 0.6, 5.0]}
  epochs: {value: 6}
"""


def test_early_termination_stops_processes_at_bands(at, thetahat) -> None:
    # The worst goes on for ever after its first band.
    holds = (
        "    if given['lr'] == '5.0' and epoch == 2:\n        sys.stdout.flush()\n        hold()\n"
    )
    program = HOLD + LOSES + holds
    code, _, _ = thetahat("sweep", at.sweep(BANDS, program), "--run", "--workers", "4")
    assert code == 0
    runs = at.runs()
    by_lr = {run.config["lr"]: run for run in runs}
    reason = "hyperband: its loss is not among the best 50% of its band"
    assert (str(by_lr[5.0].status), by_lr[5.0].reason) == ("stopped", reason)
    assert (str(by_lr[0.3].status), by_lr[0.3].epochs) == ("finished", 6)
    assert by_lr[5.0].epochs == 2
    for run in runs:
        if str(run.status) == "stopped":
            band = 4 if run.epochs >= 4 else 2
            best, mine = (at.history(r)["loss"][band - 1] for r in (by_lr[0.3], run))
            assert mine > best


# -- experiments that cannot be loaded --------------------------------------------------------------

LOADS = {
    "raise ValueError('bad day')": (
        "train.py cannot be loaded: ValueError: bad day (line 3); run it alone to see more: python"
        " train.py --help"
    ),
    "sys.exit(4)": (
        "train.py cannot be loaded: SystemExit: 4 (line 3); run it alone to see more: python"
        " train.py --help"
    ),
}


@pytest.mark.parametrize("line", LOADS)
@pytest.mark.parametrize("words", [("--run",), ()], ids=["run", "make"])
def test_an_experiment_that_raises_when_it_is_loaded(at, thetahat, line, words) -> None:
    file = at.sweep(
        GRID.replace("{name: loss}", "{name: val_risk}"), f"import sys\n\n{line}\n{LINE}"
    )
    code, out, err = thetahat("sweep", file, *words, "--workers", "1")
    assert (code, out) == (2, "")
    assert LOADS[line] in err
    with at.store() as store:
        assert list_sweeps(store) == []


@pytest.mark.parametrize("line", [*LOADS, "import os; os._exit(7)"])
def test_an_experiment_that_broke_after_its_sweep_was_made(at, thetahat, line) -> None:
    file = at.sweep(GRID.replace("{name: loss}", "{name: val_risk}"), LINE)
    thetahat("sweep", file)
    at.write("train.py", f"import sys\n\n{line}\n{LINE}")
    code, _, err = thetahat("agent", "last", "--workers", "1")
    assert code == 2
    if line in LOADS:
        assert err == f"thetahat: {LOADS[line]}\n"
    else:
        assert err.startswith(
            "thetahat: a worker ended while it loaded the experiment: exit code 7; its output is"
        )
    assert at.runs() == []


def test_a_metric_that_an_experiment_never_logs_is_refused_before_it_runs(at, thetahat) -> None:
    text = GRID.replace("{name: loss}", "{name: val_loss}").replace("[1, 2, 3, 4, 5, 6]", "[0.1]")
    code, _, err = thetahat("sweep", at.sweep(text, LINE), "--run", "--workers", "1")
    assert code == 2
    said = "sweep.yaml:3: metric.name: line() does not record 'val_loss'; did you mean 'val_risk'?"
    assert said in err
    assert not (at.folder / ".thetahat" / "store.db").exists() or not list_sweeps(at.store())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_runs_environment_is_its_own(at, thetahat) -> None:
    program = LOSES + "import os\nprint(json.dumps({'pid': os.getpid(), 'loss': 1}))\n"
    thetahat("sweep", at.sweep(GRID, program), "--run")
    pids = [run.metrics["pid"] for run in at.runs()]
    assert len(set(pids)) == 6
    assert os.getpid() not in pids


def test_a_sweep_file_that_is_not_there_makes_no_store(at, thetahat) -> None:
    code, out, err = thetahat("agent", "nofile.yaml")
    assert (code, out) == (2, "")
    assert err == "thetahat: there is no file nofile.yaml; give the path of a sweep file\n"
    assert list(at.folder.iterdir()) == []
