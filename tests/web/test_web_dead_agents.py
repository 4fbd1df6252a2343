"""Runs whose agent was killed: page, counts, lists and report say the same, without asking."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thetahat.analysis import read_study
from thetahat.report import make_report, render
from thetahat.store import (
    NewSweep,
    Store,
    count_all,
    count_runs,
    create_sweep,
    find_sweep,
    list_agents,
    open_store,
    pulse,
    running_now,
    standing,
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
        claim = queue.claim(2, lambda *_: Offer(new, 2))
        print(*(run.id for run in claim.runs), flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[tuple[Store, str, Callable[[], None]]]:
    """A sweep of one finished run and two that an agent holds; and what kills the agent."""
    with open_store(tmp_path / "s") as store:
        sweep = create_sweep(store, NewSweep(TEXT))
        done = store.create_run({"x": 3}, sweep_id=sweep.id, point=3)
        store.finish_run(done.id, status="finished", metrics={"loss": 1.0})
        words = [sys.executable, "-c", textwrap.dedent(AGENT), str(store.path), sweep.id]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as child:
            assert child.stdout is not None
            assert len(child.stdout.readline().split()) == 2

            def kill() -> None:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()

            yield store, sweep.id, kill
            child.kill()


def statuses(answer: dict) -> list[str]:
    """What a page's runs say, as columns or as one word for all."""
    found = answer["runs"]
    return found["columns"].get("status") or [found["same"]["status"]] * found["n"]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_page_counts_and_report_agree_on_the_runs_of_a_killed_agent(killed, client_of) -> None:
    store, sweep, kill = killed
    client = client_of(store.path)

    def page() -> dict:
        return client.get(f"/api/sweeps/{sweep}").json()

    alive = {"finished": 1, "running": 2}
    assert (count_runs(store, sweep), count_all(store)[sweep]) == (alive, alive)
    assert pulse(store)["counts"] == alive
    before, heard = page(), pulse(store)
    assert (statuses(before), before["counts"]) == (["finished", "running", "running"], alive)
    assert [agent["alive"] for agent in before["agents"]] == [True]
    assert sum(group.runs for group in running_now(store, sweep)) == 2

    kill()
    dead = {"finished": 1, "queued": 2}
    listed = [str(run.status) for run in standing(store, store.runs(sweep_id=sweep))]
    assert listed == ["finished", "queued", "queued"]
    assert (count_runs(store, sweep), count_all(store)[sweep]) == (dead, dead)
    assert pulse(store)["counts"] == dead
    assert pulse(store) != heard, "a page that is open asks again"
    assert running_now(store, sweep) == []
    after = page()
    assert (statuses(after), after["counts"]) == (listed, dead)
    assert "its agent died" in after["runs"]["columns"]["reason"][1]
    assert [agent["alive"] for agent in after["agents"]] == [False]
    home = client.get("/api/home").json()
    assert (home["sweeps"][0]["counts"], home["counts"]) == (dead, dead)
    run = store.runs(sweep_id=sweep)[1]
    assert client.get(f"/api/runs/{run.id}").json()["status"] == "queued"
    assert "It is queued" in render(make_report(store, run.id), "md")
    study = read_study(store, find_sweep(store, sweep))
    assert [str(run.status) for run in study.runs] == listed
    # Only an agent may write it: the rows are as they were.
    with sqlite3.connect(store.path) as raw:
        rows = raw.execute("SELECT status FROM runs ORDER BY number").fetchall()
    assert [status for (status,) in rows] == ["finished", "running", "running"]
    assert [agent["ended"] for agent in list_agents(store)] == [None]


def test_agents_of_other_machines_are_not_judged(killed, client_of) -> None:
    store, sweep, _kill = killed
    with sqlite3.connect(store.path) as raw:
        raw.execute("UPDATE agents SET host = 'elsewhere'")
    raw.close()
    _kill()
    assert count_runs(store, sweep) == {"finished": 1, "running": 2}
    page = client_of(store.path).get(f"/api/sweeps/{sweep}").json()
    assert statuses(page) == ["finished", "running", "running"]
