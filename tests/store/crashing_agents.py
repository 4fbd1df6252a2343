"""Agents that are killed at any moment, on a server that is restarted: is each point finished once?

An agent here claims one point of a grid at a time and finishes it in the next transaction, as the
agents of sweeps do, without training. The transaction that finishes a run also leaves a notice, so
that the notices of a run count how often it was finished.

    python crashing_agents.py URL SWEEP AGENT CAP
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thetahat.core import Status, StoreError
from thetahat.store import (
    NewRun,
    NewSweep,
    Offer,
    Queue,
    Store,
    SweepRow,
    create_sweep,
    find_sweep,
    found_no_answer,
    open_store,
    pack,
)

# The lease of real agents.
from thetahat.sweep.agent._liveness import AgentWatch, proof_of_life
from thetahat.sweep.processes._process_group import host_name


def grid(sweep: SweepRow, begun: int, n: int) -> Offer:
    """A search without an end: points follow from their numbers."""
    at = sweep.position
    new = [
        NewRun(config={"x": k}, sweep_id=sweep.id, point=k, status=Status.QUEUED)
        for k in range(at, at + n)
    ]
    return Offer(new, at + n)


def work(url: str, sweep: str, name: str, cap: int) -> None:
    """Work as one agent until the sweep is finished."""
    store = opened(url)
    watch, looked = AgentWatch(store.folder / "agents"), 0.0
    with proof_of_life(store.folder / "agents", name):
        queue = Queue(store, sweep, name, cap=cap, ahead=16)
        joined, unsure = False, False
        while True:
            try:
                if not joined:
                    queue.join(host_name(), os.getpid())
                    joined = True
                if unsure:
                    # What was claimed or being written when the server went away.
                    queue.return_unknown(())
                    unsure = False
                if time.monotonic() - looked > 0.2:
                    looked = time.monotonic()
                    queue.beat()
                    dead = watch.dead(queue.others())
                    if dead:
                        queue.recover(dead)
                        watch.forget(dead)
                if not turn(store, queue):
                    return
            except StoreError as error:
                if not found_no_answer(error):
                    raise
                unsure = True
                time.sleep(0.05)


def turn(store: Store, queue: Queue) -> bool:
    """Claim a run and finish it; return False once the sweep is finished."""
    claim = queue.claim(1, grid)
    if not claim.runs:
        if claim.sweep.over:
            return False
        if claim.exhausted and claim.open == 0:
            queue.finish(claim.sweep)
        time.sleep(0.02)
        return True
    run = claim.runs[0]
    with store.batch(beside=True) as writer:
        if queue.still_mine(writer, [run.id]):
            writer.log_blocks([(run.id, pack({"epoch": [1], "loss": [1.0]}))])
            writer.finish_run(run.id, status=Status.FINISHED, metrics={"loss": 1.0})
            writer.note(run.id, f"finished by {queue.agent}")
    return True


def opened(url: str) -> Store:
    """Open a store whose server may be away for a moment."""
    while True:
        try:
            return open_store(url, timeout_s=60)
        except StoreError as error:
            if not found_no_answer(error):
                raise
            time.sleep(0.1)


@dataclass(frozen=True)
class Outcome:
    """What became of the points."""

    finished: Counter[int]
    """How often each point was finished."""
    statuses: Counter[str]
    attempts: int
    """Attempts beyond the first of all runs."""
    seconds: float


def crash(
    url: str,
    *,
    agents: int,
    points: int,
    kills: int,
    restarts: Sequence[Callable[[], None]] = (),
    seed: int = 0,
    limit_s: float = 240.0,
) -> Outcome:
    """Let agents work, kill them at random moments, and restart the server in between."""
    draw, began = random.Random(seed), time.monotonic()
    with open_store(url) as store:
        sweep = create_sweep(store, NewSweep("method: grid")).id
    number = 0

    def start() -> subprocess.Popen[bytes]:
        nonlocal number
        number += 1
        words = [sys.executable, str(Path(__file__)), url, sweep, f"agent{number}", str(points)]
        return subprocess.Popen(words)

    alive = [start() for _ in range(agents)]
    events: list[Callable[[], None] | None] = [None] * kills
    for k, restart in enumerate(restarts, 1):
        events.insert(k * len(events) // (len(restarts) + 1), restart)
    store = opened(url)
    # Crashes are spread over the points, so that none comes after the end.
    for k, event in enumerate(events, 1):
        wait_for(store, sweep, k * points // (len(events) + 2), began + limit_s)
        if event is None:
            victim = draw.randrange(len(alive))
            alive[victim].kill()
            alive[victim].wait()
            alive[victim] = start()
        else:
            event()
    codes = [one.wait(max(1.0, began + limit_s - time.monotonic())) for one in alive]
    assert codes == [0] * agents, codes
    assert find_sweep(store, sweep).state == "finished"
    runs = store.runs(sweep_id=sweep)
    finished = Counter({run.point or 0: len(store.notices(run.id)) for run in runs})
    statuses = Counter(str(run.status) for run in runs)
    more = sum(run.attempt - 1 for run in runs)
    store.close()
    return Outcome(finished, statuses, more, time.monotonic() - began)


def wait_for(store: Store, sweep: str, n: int, until: float) -> None:
    """Wait until ``n`` runs have finished."""
    while True:
        try:
            if len(store.runs(sweep_id=sweep, status="finished")) >= n:
                return
        except StoreError as error:
            if not found_no_answer(error):
                raise
        assert time.monotonic() < until, f"fewer than {n} runs have finished"
        time.sleep(0.05)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
