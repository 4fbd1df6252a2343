"""Agents that die: no point lost, none run to its end twice, caps exact."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from at_work import LOSES

from children import start
from thetahat.store import list_agents

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9")

GRID = (
    "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters:\n  x: {min: 1, max: 500}\n"
)
RANDOM = GRID.replace("grid", "random").replace("500", "100000") + "run_cap: 400\n"

AGENT = Path(__file__).parent / "programs" / "agent_in_process.py"


def agents_under_fire(at, sweep: str, n: int, seed: int, kills: int, until_s: float) -> int:
    """n agents, killed at random moments and replaced, then left alone; how many held runs."""
    rng, held, give_up = random.Random(seed), 0, time.monotonic() + until_s
    parent = start([str(AGENT), sweep], at.folder, stdin=subprocess.PIPE)

    def begin() -> int:
        parent.stdin.write(f"{rng.randrange(10**6)}\n")
        parent.stdin.flush()
        return int(parent.stdout.readline())

    pids = [begin() for _ in range(n)]
    alive = set(pids)
    with at.store() as store:
        while alive:
            assert time.monotonic() < give_up, "the agents never come to an end"
            time.sleep(rng.uniform(0.01, 0.15))
            alive = {pid for pid in alive if lives(pid)}
            if kills and alive:
                # Mostly one that holds runs; else any, also one that is only just beginning.
                agents = {a["id"]: a["pid"] for a in list_agents(store, sweep)}
                running = store.runs(sweep_id=sweep, status="running")
                holders = sorted(alive & {agents[run.agent] for run in running})
                if kills % 4 and not holders:
                    continue
                victim = rng.choice(holders if kills % 4 else sorted(alive))
                time.sleep(rng.uniform(0.0, 0.05))
                os.kill(victim, signal.SIGKILL)
                kills -= 1
                held += victim in holders
                alive.discard(victim)
                pids.remove(victim)
                pids.append(begin())
                alive.add(pids[-1])
    _, err = parent.communicate()
    assert err == ""
    assert all((at.folder / f"done-{pid}").exists() for pid in pids)
    return held


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("text", "points"), [(GRID, 500), (RANDOM, 400)], ids=["grid", "cap"])
def test_eight_agents_killed_at_random_moments(at, thetahat, text, points) -> None:
    _, out, _ = thetahat("sweep", at.sweep(text, LOSES), "--format", "json")
    sweep = json.loads(out)["id"]
    held = agents_under_fire(at, sweep, 8, seed=points, kills=20, until_s=280)
    assert held >= 3
    runs = at.runs(sweep)
    assert len(runs) == points
    assert {str(run.status) for run in runs} == {"finished"}
    if text is GRID:
        assert sorted(run.config["x"] for run in runs) == list(range(1, 501))
    assert len({run.point for run in runs}) == points
    assert max(run.attempt for run in runs) > 1
    # Each run has the records of one attempt, and the value that its config gives.
    with at.store() as store:
        for run in runs:
            assert run.metrics == {"loss": float(run.config["x"])}
            history = store.history(run.id)
            assert list(history["epoch"]) == [1, 2]
        assert at.row(sweep).state == "finished"
        assert all(agent["ended"] is not None for agent in list_agents(store, sweep))
        left = {path.stem for path in (at.folder / ".thetahat" / "agents").glob("*.lock")}
        assert not left & {agent["id"] for agent in list_agents(store, sweep)}
