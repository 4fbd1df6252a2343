"""Runs of a killed agent are queued in every listing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from thetahat.cli import run as command
from thetahat.store import (
    NewSweep,
    Store,
    create_sweep,
    dead_agents,
    metric_series,
    open_store,
    read_condition,
    run_values,
    runs_stand,
    standing_runs,
    tried_runs,
)

TEXT = """\
program: train.py
method: grid
metric: {name: loss}
parameters: {x: {values: [1, 2, 3]}}
"""
AGENT = """
    import sys
    from thetahat.store import NewRun, Offer, Queue, open_store
    from thetahat.sweep.agent._liveness import host_name, proof_of_life

    store, sweep = open_store(sys.argv[1]), sys.argv[2]
    queue = Queue(store, sweep, "agent-1")
    with proof_of_life(store.folder / "agents", "agent-1"):
        queue.join(host_name(), 1)
        new = [NewRun(config={"x": x}, sweep_id=sweep, point=x) for x in (1, 2)]
        queue.claim(2, lambda *_: Offer(new, 2))
        print("claimed", flush=True)
        sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9")


@pytest.fixture
def left(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    """A sweep of one finished run and two that a killed agent left."""
    with open_store(tmp_path / "s") as store:
        sweep = create_sweep(store, NewSweep(TEXT)).id
        done = store.create_run({"x": 3}, sweep_id=sweep, point=3)
        store.finish_run(done.id, status="finished", metrics={"loss": 1.0})
        words = [sys.executable, "-c", textwrap.dedent(AGENT), str(store.path), sweep]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as child:
            assert child.stdout is not None and child.stdout.readline()
            before = runs_stand(store, sweep)
            assert [str(run.status) for run in tried_runs(store, sweep)].count("running") == 2
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        assert dead_agents(store)
        assert runs_stand(store, sweep) != before, "what is kept of the sweep is computed anew"
        yield store, sweep


def test_every_listing_of_a_sweep_has_them_queued(left) -> None:
    store, sweep = left
    found = ["finished", "queued", "queued"]
    assert [str(run.status) for run in tried_runs(store, sweep)] == found
    assert run_values(store, sweep, ["status"])[1]["status"] == found
    stand, series = metric_series(store, sweep, "val_risk")
    assert [row[2] for row in sorted(series)] == found
    assert [row[0] for row in stand] == ["finished", "queued"] and stand == runs_stand(store, sweep)
    assert [str(run.status) for run in standing_runs(store, sweep_id=sweep)] == found


def test_runs_are_filtered_sorted_and_limited_as_they_stand(left, capsys) -> None:
    store, sweep = left
    where = [read_condition("status=queued")]
    assert [run.config["x"] for run in standing_runs(store, where=where)] == [1, 2]
    assert [run.config["x"] for run in standing_runs(store, where=where, limit=1)] == [1]
    assert len(standing_runs(store, status="queued")) == 2
    assert standing_runs(store, where=[read_condition("status=running")]) == []
    assert [str(r.status) for r in standing_runs(store, sort="-status")][-1] == "finished"
    words = ["runs", sweep, "--store", str(store.path), "--columns", "x,status", "--format", "csv"]
    assert command([*words, "--where", "status=queued", "--limit", "1"]) == 0
    assert capsys.readouterr().out.split() == ["x,status", "2,queued"]


def test_cancelling_the_sweep_cancels_them_too(left) -> None:
    store, sweep = left
    assert command(["sweep", sweep, "--cancel", "--store", str(store.path)]) == 0
    found = [str(run.status) for run in store.runs(sweep_id=sweep)]
    assert found == ["finished", "cancelled", "cancelled"]


def test_the_summary_of_an_agent_says_that_they_wait(left, capsys) -> None:
    # A live agent is simulated by its own sign of life.
    from thetahat.cli.terminal._sweep_progress import View
    from thetahat.store import find_sweep
    from thetahat.sweep.agent import Tally

    store, sweep = left
    view = View(store, find_sweep(store, sweep), None, quiet=False, where="")
    view.summary(Tally(), as_json=False)
    said = capsys.readouterr().out
    assert "1 run, 2 waiting to go on" in said
