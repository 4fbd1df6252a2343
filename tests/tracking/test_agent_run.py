"""The run of a program that an agent started: what it logs is in a file that the agent reads."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thetahat
from thetahat.core import ConfigError, StoreError
from thetahat.store import Store, open_store

# A program of an agent is simulated: its environment, and what its process keeps.
from thetahat.sweep.processes._metrics import Metrics
from thetahat.sweep.processes._process import environment
from thetahat.tracking import _start

SOURCE = str(Path(thetahat.__file__).parents[1])
RUN_ID = "abc"
LIMIT_S = 240


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run that an agent has begun."""
    return tmp_path / "run"


@pytest.fixture
def env(folder: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of its program."""
    config = {"lr": 0.5, "net": {"width": 8}}
    base = {**os.environ, "PYTHONPATH": SOURCE}
    store = tmp_path / "no-store"
    return environment(
        config, folder=folder, store=store, run_id=RUN_ID, sweep_id="s", name="calm", base=base
    )


@pytest.fixture
def inside(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be the program."""
    for name in env:
        if name.startswith("THETAHAT_RUN"):
            monkeypatch.setenv(name, env[name])
    monkeypatch.setattr(_start, "_latest", [])


@pytest.fixture
def metrics(folder: Path, tmp_path: Path) -> Metrics:
    """The agent's reader."""
    return Metrics(folder, tmp_path, RUN_ID)


def program(code: str, env: dict[str, str], **more: Any) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(argv, env=env, text=True, stdout=-1, stderr=-1, **more)


def output(code: str, env: dict[str, str]) -> str:
    with program(code, env) as process:
        out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    return out


def test_logging_loads_no_library_and_hardly_any_module_of_thetahat(
    env: dict[str, str], metrics: Metrics
) -> None:
    found = output(
        """
        import sys
        import thetahat as th
        th.log({"loss": 0.5})
        print(*sorted(sys.modules))
        """,
        env,
    ).split()
    tops = {name.partition(".")[0] for name in found}
    assert not tops & {"sqlalchemy", "sqlite3", "jax", "numpy", "optuna", "dataclasses", "inspect"}
    ours = {name for name in found if name.startswith("thetahat.")}
    rooms = {"thetahat.tracking", "thetahat.tracking._start", "thetahat.tracking._agent_run"}
    assert ours == {"thetahat._names", *rooms}
    assert metrics.new() == [{"step": 0, "loss": 0.5}]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_program_loses_no_row(env: dict[str, str], metrics: Metrics) -> None:
    code = """
        import itertools
        import thetahat as th
        for k in itertools.count():
            th.log({"loss": k / 7})
            print(k, flush=True)
    """
    with program(code, env) as process:
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(50)][-1]
        process.send_signal(signal.SIGKILL)
        last = max([last, *(int(k) for k in process.stdout.read().split("\n")[:-1])])
    rows = metrics.new()
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert [row["loss"] for row in rows] == [k / 7 for k in range(len(rows))]
    assert len(rows) >= last + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_rows_of_several_processes_are_whole(env: dict[str, str], metrics: Metrics) -> None:
    output(
        """
        import os
        import thetahat as th
        th.log({"first": 1.0})
        child = os.fork()
        for k in range(2000):
            th.log({"child" if child == 0 else "parent": float(k)}, step=k)
        if child:
            os.waitpid(child, 0)
        """,
        env,
    )
    rows = metrics.new()
    for name in ("child", "parent"):
        assert [row[name] for row in rows if name in row] == list(range(2000))


@pytest.mark.usefixtures("inside")
def test_rows_have_steps_and_any_librarys_scalars_are_numbers(metrics: Metrics) -> None:
    with thetahat.start() as run:
        run.log({"a": np.float32(0.5), "b": np.array([2.0]), "c": True, "d": 3})
        thetahat.log({"a": math.nan, "b": math.inf}, step=7)
        thetahat.log({"a": 1.0, "step": 9})
        thetahat.log({"a": 2.0})
    rows = metrics.new()
    assert rows[0] == {"a": 0.5, "b": 2.0, "c": 1.0, "d": 3.0, "step": 0}
    assert math.isnan(rows[1].pop("a"))
    assert rows[1:] == [{"b": math.inf, "step": 7}, {"a": 1.0, "step": 9}, {"a": 2.0, "step": 10}]
    assert metrics.summary()["a"] == 2.0


@pytest.mark.usefixtures("inside")
def test_what_is_not_a_number_is_refused_as_in_any_run(metrics: Metrics) -> None:
    run = thetahat.start()
    with pytest.raises(ConfigError) as caught:
        thetahat.log({"loss": "low"})
    assert str(caught.value).startswith("run.log: loss='low' is not a number (str); log numbers")
    with pytest.raises(ConfigError, match=r"step=0.5 is not an integer"):
        thetahat.log({"loss": 1.0}, step=0.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a run cannot end with the status 'running'"):
        run.finish("running")
    run.finish()
    with pytest.raises(ConfigError) as caught:
        run.log({"loss": 1.0})
    assert str(caught.value) == "the run 'calm' has ended; th.start(...) begins another"
    assert metrics.new() == []


@pytest.mark.usefixtures("inside")
def test_start_has_the_sweeps_values_and_the_agent_learns_the_programs(
    folder: Path, metrics: Metrics
) -> None:
    with thetahat.start({"lr": 9.0, "net": {"depth": 2}}, project="wages") as run:
        assert (run.id, run.name) == (RUN_ID, "calm")
        assert run.config == {"lr": 0.5, "net": {"depth": 2, "width": 8}}
    assert metrics.new() == []
    about = metrics.about()
    assert about.config == {"lr": 9.0, "net": {"depth": 2}}
    assert about.labels == {"project": "wages"}
    assert json.loads((folder / "ending.json").read_text()) == ["finished", "", {}]
    with pytest.raises(ConfigError, match=r"config=3 is not a mapping; give names and values"):
        thetahat.start(3)  # type: ignore[arg-type]


@pytest.mark.usefixtures("inside")
def test_an_exception_and_finish_tell_the_agent_how_the_run_ended(folder: Path) -> None:
    with pytest.raises(OSError, match="disk"), thetahat.start():
        raise OSError("disk")
    ending = folder / "ending.json"
    line = test_an_exception_and_finish_tell_the_agent_how_the_run_ended.__code__.co_firstlineno + 3
    reason = f"OSError: disk (test_agent_run.py, line {line})"
    assert json.loads(ending.read_text()) == ["failed", reason, {}]
    thetahat.start().finish("diverged", "beyond 1e6", {"loss": math.inf})
    assert json.loads(ending.read_text()) == ["diverged", "beyond 1e6", {"loss": None}]


@pytest.mark.usefixtures("inside")
@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed")
def test_a_program_whose_run_the_agent_ended_is_told_soon(folder: Path) -> None:
    thetahat.log({"loss": 1.0})
    (folder / "rows.jsonl").unlink()
    with pytest.raises(StoreError) as caught:
        _log_on()
    assert str(caught.value) == (
        "the run 'calm' is not this program's any more: its agent ended it, or another agent has"
        " claimed it; this program can stop"
    )
    _start._latest[0].__dict__[
        "_waiting"
    ].clear()  # else this test process tries again when it ends


def test_a_cut_last_line_is_read_when_it_is_whole(folder: Path, metrics: Metrics, env: Any) -> None:
    assert env
    with (folder / "rows.jsonl").open("ab", buffering=0) as file:
        file.write(b'{"loss": 1.0, "step": 0}\n{"loss": 2')
        assert metrics.new() == [{"loss": 1.0, "step": 0}]
        assert metrics.new() == []
        file.write(b'.5, "step": 1}\n')
        assert metrics.new() == [{"loss": 2.5, "step": 1}]


@pytest.mark.skipif(os.name == "nt", reason="needs limits of file sizes")
def test_rows_without_room_are_an_error_and_are_written_when_there_is_room(
    env: dict[str, str], metrics: Metrics
) -> None:
    out = output(
        """
        import resource
        import thetahat as th
        th.log({"loss": 0.5})
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))
        try:
            for k in range(100):
                th.log({"loss": k / 3})
        except th.core.StoreError as error:
            print(k, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        """,
        env,
    )
    refused, _, words = out.strip().partition(" ")
    assert words == (
        "rows of the run 'calm' cannot be written (File too large); free some space, or give"
        " another store with store= (--store)"
    )
    expected = [0.5, *(k / 3 for k in range(int(refused) + 1))]
    assert [row["loss"] for row in metrics.new()] == expected


def test_a_program_without_an_agents_file_logs_to_the_store(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with open_store(tmp_path / "runs") as store:
        run = store.create_run({"lr": 0.5})
        env |= {"THETAHAT_STORE": str(store.path), "THETAHAT_RUN_ID": run.id}
        env["THETAHAT_RUN_ROWS"] = str(tmp_path / "gone" / "rows.jsonl")
        output("import thetahat as th; th.log({'loss': 0.25})", env)
        _wait_for_rows(store, run.id)


def _log_on() -> None:
    while True:  # the program looks now and then
        thetahat.log({"loss": 2.0})


def _wait_for_rows(store: Store, run_id: str) -> None:
    while not store.blocks(run_id):
        time.sleep(0.01)
    assert list(store.history(run_id)["loss"]) == [0.25]
