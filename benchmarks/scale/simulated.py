"""Simulated agents: what an agent of a sweep asks of its store, at its rhythm, without training.

    python -m benchmarks.scale.simulated URL SWEEP FIRST AGENTS SECONDS RHYTHM

Each has a connection of its own, as each real agent has. One thread serves all agents of a process,
always the one that is due first: what a real agent would ask later than it should is its lag.
"""

from __future__ import annotations

import heapq
import json
import random
import socket
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.store.claims import grid
from thetahat.core import Status
from thetahat.store import AHEAD, Queue, Store, open_store, pack

# The rhythm of real agents.
from thetahat.sweep.agent._agent import BEAT_S, LOOK_S, between_searches_s

COLUMNS = ("epoch", "train_risk", "val_risk", "learning_rate", "seconds")
KINDS = ("claim", "records", "finish", "beat", "look", "others")


@dataclass(frozen=True)
class Rhythm:
    """What every agent does: it trains one run at a time.

    Args:    run_s: seconds of a run.   block_s: seconds between two blocks of records.
             block: epochs in a block.
    """

    run_s: float = 60.0
    block_s: float = 5.0
    block: int = 64

    def rates(self, agents: int) -> dict[str, float]:
        """How often an agent asks each thing, a second."""
        return {
            "claim": 1 / self.run_s,
            "records": 1 / self.block_s,
            "finish": 1 / self.run_s,
            "beat": 1 / BEAT_S,
            "look": 1 / LOOK_S,
            "others": 1 / between_searches_s(agents),
        }


def block_of(rhythm: Rhythm) -> dict[str, Any]:
    """Records as training sends them."""
    draw = np.random.default_rng(0)
    columns = {name: draw.random(rhythm.block) for name in COLUMNS}
    return columns | {"epoch": np.arange(1.0, rhythm.block + 1)}


class SimulatedAgent:
    """One agent, on a connection of its own."""

    def __init__(self, url: str, sweep: str, name: str, rhythm: Rhythm) -> None:
        self.store = open_store(url, create=False, timeout_s=60)
        self.queue = Queue(self.store, sweep, name, ahead=AHEAD)
        self.run: str | None = None
        self._block = block_of(rhythm)
        self.queue.join("simulated", 1)

    def claim(self) -> None:
        self.run = self.queue.claim(1, grid).runs[0].id

    def records(self) -> None:
        if self.run is not None:
            with self.store.batch(beside=True) as writer:
                assert self.queue.still_mine(writer, [self.run])
                writer.log_blocks([(self.run, pack(self._block))])

    def finish(self) -> None:
        run, self.run = self.run, None
        if run is not None:
            with self.store.batch(beside=True) as writer:
                assert self.queue.still_mine(writer, [run])
                writer.finish_run(run, status=Status.FINISHED, metrics={"val_risk": 0.5})

    def beat(self) -> None:
        self.queue.beat("1 run, 1 worker")

    def look(self) -> None:
        self.queue.look()

    def others(self) -> None:
        self.queue.others()

    def traffic(self) -> tuple[int, int]:
        """Bytes that were sent and received so far."""
        return bytes_of(self.store)


def bytes_of(store: Store) -> tuple[int, int]:
    """Bytes that the one connection of a store has sent and received, as Linux counts them."""
    raw: Any = store._engine.raw_connection()  # private: nothing else asks for it
    try:
        with socket.socket(fileno=raw.driver_connection.fileno()) as link:
            told = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
            link.detach()
    finally:
        raw.close()
    return struct.unpack_from("QQ", told, 120)


@dataclass
class Told:
    """What a process tells at its end."""

    began: float = 0.0
    ended: float = 0.0
    cpu_s: float = 0.0
    sent: int = 0
    received: int = 0
    lags: list[float] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each question, by its kind."""


def simulate(agents: list[SimulatedAgent], rhythm: Rhythm, seconds: float, n: int) -> Told:
    """Let agents work for some seconds.

    Args:    n: agents of all processes.
    """
    draw, told, tie = random.Random(len(agents)), Told(), 0
    every = {kind: 1 / rate for kind, rate in rhythm.rates(n).items()}
    due: list[tuple[float, int, str, SimulatedAgent]] = []
    began = time.monotonic()

    def plan(at: float, kind: str, agent: SimulatedAgent) -> None:
        nonlocal tie
        tie += 1
        heapq.heappush(due, (at, tie, kind, agent))

    for agent in agents:
        agent.claim()
        for kind in ("records", "beat", "look", "others"):
            plan(began + draw.random() * every[kind], kind, agent)
        plan(began + draw.random() * rhythm.run_s, "turn", agent)
    before = [agent.traffic() for agent in agents]
    cpu, told.began = time.process_time(), time.time()
    began = time.monotonic()
    while due[0][0] < began + seconds:
        at, _, kind, agent = heapq.heappop(due)
        time.sleep(max(0.0, at - time.monotonic()))
        told.lags.append(time.monotonic() - at)
        for one in ("finish", "claim") if kind == "turn" else (kind,):
            asked = time.monotonic()
            getattr(agent, one)()
            told.waits[one].append(time.monotonic() - asked)
        plan(at + (rhythm.run_s if kind == "turn" else every[kind]), kind, agent)
        if time.monotonic() > began + 2 * seconds:
            break  # it will not catch up
    told.ended, told.cpu_s = time.time(), time.process_time() - cpu
    after = [agent.traffic() for agent in agents]
    told.sent = sum(a[0] - b[0] for a, b in zip(after, before, strict=True))
    told.received = sum(a[1] - b[1] for a, b in zip(after, before, strict=True))
    return told


def ask_often(agent: SimulatedAgent, kind: str, n: int) -> None:
    """Ask one thing ``n`` times; finishing needs a claim, and a claim needs that."""
    asks: list[Callable[[], Any]] = {
        "claim": [agent.claim, agent.finish],
        "finish": [agent.claim, agent.finish],
    }.get(kind, [getattr(agent, kind)])
    for _ in range(n):
        for ask in asks:
            ask()


def main() -> None:
    url, sweep, first, count, seconds, rhythm = sys.argv[1:]
    how, n, at = Rhythm(**json.loads(rhythm)), int(count.split("/")[1]), int(first)
    mine = int(count.split("/")[0])
    agents = [SimulatedAgent(url, sweep, f"agent{at + k}", how) for k in range(mine)]
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(vars(simulate(agents, how, float(seconds), n))), flush=True)
    sys.stdin.readline()  # until the server's processes were counted


if __name__ == "__main__":
    main()
