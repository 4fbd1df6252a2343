"""A process that logs with th.log: its rows are read, its ending taken over."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

import thetahat
from thetahat.core.run import Status
from thetahat.store import Store, open_store

# A program is run without an agent.
from thetahat.sweep.processes._metrics import Metrics
from thetahat.sweep.processes._process import Ending, Order, ProgramProcess, environment
from thetahat.sweep.spec import argv_of

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = str(Path(thetahat.__file__).parents[1])


def run_program(store: Store, run_id: str, program: Path) -> tuple[Ending, Metrics]:
    folder = store.folder / "files"
    base = {**os.environ, "PYTHONPATH": SOURCE}
    config = {"lr": 0.5}
    given = {"folder": folder, "run_id": run_id, "sweep_id": "s1", "store": store.path}
    env = environment(config, base=base, **given)
    command = ["${interpreter}", "${program}", "${args}"]
    argv = argv_of(command, str(program), config, env={"PATH": ""}, folder=folder)
    assert argv[0] == sys.executable
    metrics = Metrics(folder, PROGRAMS, run_id, store)
    process = ProgramProcess(
        Order(argv, env, folder, PROGRAMS),
        on_stdout=metrics.take_stdout,
        on_stderr=metrics.take_stderr,
    )
    return process.wait(), metrics


def test_rows_of_th_log_are_read_once_and_are_the_agents_to_store(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        run = store.create_run({"lr": 0.5})
        store.log_block(run.id, {"step": [0], "val_risk": [7.0]})
        ended, metrics = run_program(store, run.id, PROGRAMS / "logs_numbers.py")
        assert (ended.status, ended.reason) == (Status.FINISHED, "")
        assert metrics.new() == [
            {"step": k, "val_risk": 0.5 / (k + 1), "epoch": k} for k in range(3)
        ]
        assert metrics.summary() == {"val_risk": 0.5 / 3, "epoch": 2.0}
        (columns,) = metrics.unstored()
        assert columns["val_risk"] == (0.5, 0.25, 0.5 / 3)
        assert (metrics.new(), metrics.unstored()) == ([], [])
        assert store.run(run.id).status == "running"
        assert [row.id for row in store.runs()] == [run.id]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("start().finish('diverged', 'beyond 1e6')", "diverged", "beyond 1e6"),
        ("start().finish()", "finished", ""),
        ("start().finish('stopped', 'x'); 1 / 0", "failed", "exit code 1: ZeroDivisionError: "),
        ("with start(): raise OSError('disk')", "failed", "exit code 1: OSError: disk"),
    ],
)
def test_the_agent_takes_over_what_the_program_said(
    tmp_path: Path, code: str, status: str, reason: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"from thetahat import start\n{textwrap.dedent(code)}\n")
    with open_store(tmp_path / "runs") as store:
        run = store.create_run({"lr": 0.5})
        ended, _ = run_program(store, run.id, program)
        assert ended.status == status
        assert ended.reason.startswith(reason)
        assert store.run(run.id).status == "running"


def test_rows_that_a_program_stores_itself_are_not_stored_again(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import thetahat\nthetahat.start(name='mine').log({'val_risk': 0.5})\n")
    with open_store(tmp_path / "runs") as store:
        run = store.create_run({"lr": 0.5})
        _, metrics = run_program(store, run.id, program)
        assert metrics.new() == [{"step": 0, "val_risk": 0.5}]
        assert metrics.unstored() == []
        assert store.run(run.id).name == "mine"


def test_an_ending_of_an_earlier_attempt_does_not_count(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        run = store.create_run({"lr": 0.5})
        (store.folder / "files").mkdir()
        (store.folder / "files" / "ending.json").write_text('["diverged", "old"]')
        ended, _ = run_program(store, run.id, PROGRAMS / "logs_numbers.py")
        assert (ended.status, ended.reason) == (Status.FINISHED, "")


@pytest.mark.parametrize("text", ["", "[1", '["running", ""]', '["odd", ""]', "3", '["stopped"]'])
def test_an_ending_that_says_nothing(tmp_path: Path, text: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import os, pathlib\npathlib.Path(os.environ['THETAHAT_RUN_ENDING']).write_text({text!r})\n"
    )
    with open_store(tmp_path / "runs") as store:
        run = store.create_run({"lr": 0.5})
        ended, _ = run_program(store, run.id, program)
        assert (ended.status, ended.reason) == (Status.FINISHED, "")
