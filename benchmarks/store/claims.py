"""How many runs a second do eight agents claim from one store?

Each process claims one run at a time of a grid, as an agent does that has one free worker, and
finishes none. The data are synchronised as users have them: SQLite in WAL with synchronous NORMAL,
PostgreSQL with fsync and synchronous_commit on. Processes start together once all have opened the
store; the clock runs until the last has claimed its share. Waits are those of a single claim. CPU
is that of the agents, and of a server of the benchmark's own: busy machines change it little.

    python -m benchmarks.store.claims [--postgres] [--processes 8] [--claims 2000] [--write]

With ``--postgres`` the store is in a server that it starts, with ``--store URL`` in another.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.postgres import OwnServer
from thetahat.core import Status
from thetahat.store import AHEAD, NewRun, NewSweep, Offer, Queue, SweepRow, create_sweep, open_store


def grid(sweep: SweepRow, begun: int, n: int) -> Offer:
    """A search without an end: points follow from their numbers."""
    at = sweep.position
    new = [
        NewRun(
            config={"lr": 1e-3 * k, "width": k}, sweep_id=sweep.id, point=k, status=Status.QUEUED
        )
        for k in range(at, at + n)
    ]
    return Offer(new, at + n)


def work(url: str, sweep: str, name: str, n: int, ahead: int, start: Any, told: Any) -> None:
    """Claim ``n`` runs, one by one; tell when this began and ended, and the waits."""
    with open_store(url) as store:
        queue = Queue(store, sweep, name, ahead=ahead)
        start.wait()
        waits, began, before = [], time.time(), time.process_time()
        for _ in range(n):
            at = time.perf_counter()
            assert len(queue.claim(1, grid).runs) == 1
            waits.append(time.perf_counter() - at)
        told.put((began, time.time(), time.process_time() - before, waits))


def once(
    url: str, processes: int, claims: int, ahead: int, server: OwnServer | None = None
) -> dict[str, float]:
    """Claims a second of so many processes together, and what one costs."""
    with open_store(url) as store:
        sweep = create_sweep(store, NewSweep("method: grid", name=f"claims-{time.time_ns()}")).id
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(processes + 1), context.Queue()
    share = claims // processes
    agents = [
        context.Process(target=work, args=(url, sweep, f"a{k}", share, ahead, start, told))
        for k in range(processes)
    ]
    for agent in agents:
        agent.start()
    start.wait()
    before = server.cpu_s() if server else 0.0
    found = [told.get() for _ in agents]
    for agent in agents:
        agent.join()
    used = server.cpu_s(alone=True) - before if server else 0.0
    waits = sorted(wait for *_, each in found for wait in each)
    took = max(ended for _, ended, *_ in found) - min(began for began, *_ in found)
    with open_store(url, create=False) as store:
        points = [run.point for run in store.runs(sweep_id=sweep)]
    assert sorted(points) == list(range(share * processes)), "each point is claimed once"
    return {
        "claims_per_s": share * processes / took,
        "median_ms": 1000 * waits[len(waits) // 2],
        "p99_ms": 1000 * waits[int(0.99 * len(waits))],
        "worst_ms": 1000 * waits[-1],
        "cpu_ms_per_claim": 1000 * sum(cpu for _, _, cpu, _ in found) / len(waits),
        **({"server_cpu_ms_per_claim": 1000 * used / len(waits)} if server else {}),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store.claims", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="in a server that it starts")
    parser.add_argument("--store", help="a store; by default SQLite in a new folder")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--claims", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="results/store-claims-<date>.*")
    args = parser.parse_args(arguments)
    rows = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        server = ends.enter_context(OwnServer()) if args.postgres else None
        url = server.place() if server else args.store or str(Path(folder) / "runs")
        for processes in dict.fromkeys((1, args.processes)):
            for ahead in (0, AHEAD):
                n = args.claims if ahead else args.claims // 4
                rows[f"{processes} processes, {ahead} ahead"] = once(
                    url, processes, n, ahead, server
                )
    for name, row in rows.items():
        print(f"{name:26}" + "".join(f"{key}={value:9.1f}  " for key, value in row.items()))
    if args.write:
        write("PostgreSQL" if args.store or args.postgres else "SQLite", rows)


def write(database: str, rows: dict[str, dict[str, float]]) -> None:
    """Dated Markdown and JSON in ``benchmarks/results``."""
    about = machine.facts(("thetahat", "sqlalchemy"))
    keys = list(next(iter(rows.values())))
    lines = [
        f"# Claims a second, {database}",
        "",
        *machine.said(about),
        "",
        f"| processes, points ahead | {' | '.join(key.replace('_', ' ') for key in keys)} |",
        "|---" * (1 + len(keys)) + "|",
        *(f"| {n} | {' | '.join(f'{r[key]:,.1f}' for key in keys)} |" for n, r in rows.items()),
    ]
    name = f"store-claims-{database.lower()}"
    machine.write_results(name, about, "\n".join(lines), {"facts": about, "rows": rows})


if __name__ == "__main__":
    main()
