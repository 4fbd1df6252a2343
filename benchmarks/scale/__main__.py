"""How many agents can work on one store in PostgreSQL, and what limits them?

Two measurements, on a server of its own with fsync on:

    costs     each thing that an agent asks, many times by one agent: processor time of the server,
              of the agent, and bytes; with few agents in the sweep and with many
    agents    simulated agents, each on a connection of its own, at the rhythm of real ones: a run
              of a minute, a block of 64 records every five seconds, a heartbeat every five, a look
              at the sweep every second. They claim, record and finish; nothing is trained. Server
              and agents share the cores of this machine

From the costs follows what more agents need: rates times costs, printed as a table.

    python -m benchmarks.scale [--agents 10,30,100,300] [--seconds 30] [--smoke] [--write]

Nothing that was timed fails; a point that is claimed twice does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "store"))

from postgres_server import PostgresServer, lacking

from benchmarks import machine
from benchmarks.scale.simulated import KINDS, Rhythm, SimulatedAgent, ask_often
from thetahat.store import NewSweep, create_sweep, open_store

PROCESSES = 4
TIMES = 400
"""Questions of each kind whose cost is measured."""
SIZES = (100, 1_000, 10_000)
"""Numbers of agents of which the table says what they need."""
SPARE = 20
"""Connections of the server beside those of the agents."""


class Measured:
    """A server, and the processor time of all its processes."""

    def __init__(self, agents: int) -> None:
        self.server = PostgresServer(
            {"fsync": "on", "max_connections": str(agents + SPARE), "shared_buffers": "128MB"}
        )
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"{self.server.create('store')}?folder={self.folder.name}/runs"
        with open_store(self.url) as store:
            self.sweep = create_sweep(store, NewSweep("method: grid", name="scale")).id

    def cpu_s(self) -> float:
        """Processor time so far, of the processes that live."""
        assert self.server._server is not None  # the tests' own server, whose processes are counted
        main = psutil.Process(self.server._server.pid)
        times = [one.cpu_times() for one in (main, *main.children())]
        return sum(one.user + one.system for one in times)

    def memory_mb(self) -> float:
        """Memory of a connection's process that no other shares: the median."""
        assert self.server._server is not None
        found = [
            one.memory_full_info().uss / 1e6
            for one in psutil.Process(self.server._server.pid).children()
            if any("127.0.0.1" in word for word in one.cmdline())
        ]
        return statistics.median(found)

    def __enter__(self) -> Measured:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.folder.cleanup()


def costs(times: int, crowd: int) -> dict[str, dict[str, float]]:
    """What each question costs, with ``crowd`` agents in the sweep."""
    with Measured(SPARE) as at:
        with open_store(at.url) as store, store.batch() as writer:
            writer.execute(
                "INSERT INTO agents (id, sweep_id, host, pid, started, heartbeat, doing)"
                " SELECT 'far' || k, :sweep, 'host' || k, k, '-', '-', '1 run, 1 worker'"
                " FROM generate_series(1, :n) AS k",
                {"sweep": at.sweep, "n": crowd},
            )
        agent = SimulatedAgent(at.url, at.sweep, "measured", Rhythm())
        agent.claim()
        found: dict[str, dict[str, float]] = {}
        for kind in ("records", "beat", "look", "others", "claim"):
            ask_often(agent, kind, 5)
            before = at.cpu_s(), time.process_time(), time.perf_counter(), *agent.traffic()
            ask_often(agent, kind, times)
            after = at.cpu_s(), time.process_time(), time.perf_counter(), *agent.traffic()
            own = [(b - a) / times for a, b in zip(before, after, strict=True)]
            found[kind] = {
                "server_ms": 1e3 * own[0],
                "agent_ms": 1e3 * own[1],
                "wait_ms": 1e3 * own[2],
                "sent_bytes": own[3],
                "received_bytes": own[4],
            }
        # A claim was measured with the finish that must follow it.
        found["claim and finish"] = found.pop("claim")
        agent.store.close()
        return found


def work(agents: int, seconds: float, rhythm: Rhythm) -> dict[str, Any]:
    """Have so many agents work for some seconds."""
    with Measured(agents) as at:
        share = [agents // PROCESSES + (k < agents % PROCESSES) for k in range(PROCESSES)]
        command = [sys.executable, "-m", "benchmarks.scale.simulated", at.url, at.sweep]
        rest = [str(seconds), json.dumps(asdict(rhythm))]
        children = [
            subprocess.Popen(
                [*command, str(sum(share[:k])), f"{mine}/{agents}", *rest],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
            for k, mine in enumerate(share)
            if mine
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        before = at.cpu_s()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        watched = at.memory_mb()
        told = [json.loads(child.stdout.readline()) for child in children if child.stdout]
        server_s = at.cpu_s() - before
        for child in children:
            child.communicate("over\n")
        with open_store(at.url, create=False) as store:
            points = Counter(run.point for run in store.runs(sweep_id=at.sweep))
        assert max(points.values()) == 1, "each point is claimed once"
    took = max(one["ended"] for one in told) - min(one["began"] for one in told)
    waits = {kind: sorted(w for one in told for w in one["waits"].get(kind, ())) for kind in KINDS}
    lags = sorted(lag for one in told for lag in one["lags"])
    done = sum(map(len, waits.values()))
    return {
        "agents": agents,
        "asked_per_s": agents * sum(rhythm.rates(agents).values()),
        "done_per_s": done / took,
        "lag_p99_s": _at(lags, 0.99),
        "waits_ms": {
            kind: {"median": 1e3 * _at(all_, 0.5), "p99": 1e3 * _at(all_, 0.99)}
            for kind, all_ in waits.items()
            if all_
        },
        "server_cores": server_s / took,
        "agent_cores": sum(one["cpu_s"] for one in told) / took,
        "kb_per_s": sum(one["sent"] + one["received"] for one in told) / took / 1e3,
        "connection_mb": watched,
    }


def needs(found: dict[int, dict[str, dict[str, float]]], rhythm: Rhythm) -> list[dict[str, float]]:
    """What numbers of agents need, by the costs of each question.

    Args:    found: costs, by the number of agents in the sweep; between these numbers, and beyond
             them, the cost of looking for dead agents is a line in their number.
    """
    few, many = sorted(found)

    def cost(kind: str, what: str, agents: int) -> float:
        low, high = found[few][kind][what], found[many][kind][what]
        if kind != "others":
            return statistics.mean((low, high))
        return max(0.0, low + (high - low) * (agents - few) / (many - few))

    rows = []
    for agents in SIZES:
        rates = rhythm.rates(agents)
        rates = {"claim and finish": rates["claim"]} | {
            kind: rate for kind, rate in rates.items() if kind in found[few]
        }
        parts = {kind: agents * rate for kind, rate in rates.items()}
        rows.append(
            {
                "agents": agents,
                "connections": agents,
                **{f"{kind}_per_s": n for kind, n in parts.items()},
                **{
                    f"{kind}_cores": n * cost(kind, "server_ms", agents) / 1e3
                    for kind, n in parts.items()
                },
                "server_cores": sum(
                    n * cost(kind, "server_ms", agents) / 1e3 for kind, n in parts.items()
                ),
                "mb_per_s": sum(
                    n
                    * (cost(kind, "sent_bytes", agents) + cost(kind, "received_bytes", agents))
                    / 1e6
                    for kind, n in parts.items()
                ),
                "commits_per_s": sum(
                    n * (2 if kind == "claim and finish" else 1)
                    for kind, n in parts.items()
                    if kind in ("claim and finish", "records", "beat")
                ),
            }
        )
    return rows


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def measure(sizes: Sequence[int], seconds: float, *, smoke: bool) -> dict[str, Any]:
    """All numbers."""
    times, crowds, rhythm = (20, (10, 100), Rhythm()) if smoke else (TIMES, (10, 1000), Rhythm())
    found = {crowd: costs(times, crowd) for crowd in crowds}
    return {
        "question": __doc__.splitlines()[0],  # pyright: ignore[reportOptionalMemberAccess]
        "smoke": smoke,
        "rhythm": asdict(rhythm),
        "seconds": seconds,
        "costs": {str(crowd): one for crowd, one in found.items()},
        "work": [work(agents, seconds, rhythm) for agents in sizes],
        "needs": needs(found, rhythm),
        "facts": machine.facts(("thetahat", "sqlalchemy", "psycopg")),
    }


def markdown(answer: dict[str, Any]) -> str:
    """The whole page."""
    page = [f"# {answer['question']}", ""]
    page += [line for line in machine.said(answer["facts"]) if not line.startswith("- pinned")]
    page += [""]
    if answer["smoke"]:
        page += ["**A smoke run: few questions, and times that mean nothing.**", ""]
    numbers = list(answer["costs"])
    few = answer["costs"][numbers[0]]
    page += [
        f"What one question costs; looking for dead agents with {numbers[0]} and with {numbers[1]}"
        " agents in the sweep:",
        "",
        "| question | server, ms of processor | agent, ms of processor | bytes sent | received |",
        "|---|---|---|---|---|",
    ]
    for kind, row in few.items():
        rows = [(kind, row)]
        if kind == "others":
            rows = [(f"{kind}, of {n}", one[kind]) for n, one in answer["costs"].items()]
        page += [
            f"| {name} | {r['server_ms']:.2f} | {r['agent_ms']:.2f} | {r['sent_bytes']:,.0f} |"
            f" {r['received_bytes']:,.0f} |"
            for name, r in rows
        ]
    page += [
        "",
        f"Simulated agents for {answer['seconds']:g} s, each on a connection of its own; the server"
        " and all agents share this machine's cores:",
        "",
        "| agents | asked a second | done | 99th lag, s | claim, ms | 99th | records, ms | 99th |"
        " server, cores | agents, cores | KB/s | MB a connection |",
        "|---" * 12 + "|",
    ]
    for row in answer["work"]:
        none = {"median": 0.0, "p99": 0.0}
        claim, records = (row["waits_ms"].get(kind, none) for kind in ("claim", "records"))
        page.append(
            f"| {row['agents']:,} | {row['asked_per_s']:,.0f} | {row['done_per_s']:,.0f} |"
            f" {row['lag_p99_s']:.2f} | {claim['median']:.1f} | {claim['p99']:.0f} |"
            f" {records['median']:.1f} | {records['p99']:.0f} | {row['server_cores']:.2f} |"
            f" {row['agent_cores']:.2f} | {row['kb_per_s']:,.0f} | {row['connection_mb']:.1f} |"
        )
    page += [
        "",
        "Extrapolated: rates of the rhythm times these costs.",
        "",
        "| agents | claims/s | blocks/s | heartbeats/s | looks/s | searches/s | commits/s |"
        " MB/s | server, cores | of these, searches for dead agents |",
        "|---" * 10 + "|",
    ]
    for row in answer["needs"]:
        page.append(
            f"| {row['agents']:,} | {row['claim and finish_per_s']:,.1f} |"
            f" {row['records_per_s']:,.0f} | {row['beat_per_s']:,.0f} | {row['look_per_s']:,.0f} |"
            f" {row['others_per_s']:,.0f} | {row['commits_per_s']:,.0f} | {row['mb_per_s']:.1f} |"
            f" {row['server_cores']:.2f} | {row['others_cores']:.2f} |"
        )
    return "\n".join(page) + "\n"


def main() -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--agents", default="10,30,100,300")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--smoke", action="store_true", help="few agents, few seconds")
    parser.add_argument("--write", action="store_true", help="results/scale-<date>.*")
    asked = parser.parse_args()
    why = lacking()
    if why is not None:
        print(f"not measured: {why}")
        return 0 if asked.smoke else 1
    sizes = (4, 8) if asked.smoke else tuple(map(int, asked.agents.split(",")))
    answer = measure(sizes, 3.0 if asked.smoke else asked.seconds, smoke=asked.smoke)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("scale", answer["facts"], page, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
