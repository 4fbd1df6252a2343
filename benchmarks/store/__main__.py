"""How many epoch records a second does a store take?

A record is one epoch of one run: five numbers. Ways to write 100,000 of them (``--records``),
interleaved in one process, warm medians of seven, SQLite with WAL and synchronous NORMAL:

    agent, cohort    64 runs of a sweep, chunks of 64 epochs, one transaction a chunk of all, as
                     agents write what their workers train
    agent, gathers   the same where chunks come faster than they are written: an agent gathers what
                     comes in a quarter of a second, here 16 chunks of each run, an eighth at
                     500,000 records a second
    tracker, cohort  64 runs through store_tracker, chunks of 64 epochs, as training sends them
    blocks of 64     store.log_block, one transaction a block of one run
    th.start         run.log, one record a call
    row per record   sqlite3.executemany of 64 rows, one transaction a chunk
    row and commit   sqlite3, one row and one transaction a record (a tenth of the records)

The clock runs from before the store is opened until it is closed, and runs are claimed and finished
within; what is stored is counted after.
A busy machine shows in records/s, hardly in records a CPU second.

    python -m benchmarks.store [--postgres] [--records 100000] [--smoke] [--write]

With ``--postgres`` the store is in a server that it starts, with fsync on, and with ``--store URL``
in another: then only the ways of thetahat run, and bytes are not measured. A CPU second is one of
the program that writes; that of the server that it starts is beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import thetahat
import thetahat.store as s
from benchmarks import machine
from benchmarks.postgres import OwnServer
from thetahat.core import Ended, Logged, Started, Status

# What an agent does with events, without the programs that send them.
from thetahat.sweep.agent._recorder import Recorder

COLUMNS = ("epoch", "train_risk", "val_risk", "learning_rate", "seconds")
N, CHUNK, REPEATS = 100_000, 64, 7
"""Records that are written; of a chunk; rounds."""
GATHERED = 16
"""Chunks of each run that a busy agent writes in one transaction."""

Chunk = dict[str, np.ndarray]


def chunks(n: int) -> list[Chunk]:
    """``n`` epochs in chunks, as the engine makes them."""
    random.seed(0)
    epoch = np.arange(1.0, n + 1)
    whole = {name: np.array([random.random() for _ in range(n)]) for name in COLUMNS}
    whole["epoch"] = epoch
    return [{k: v[i : i + CHUNK] for k, v in whole.items()} for i in range(0, n, CHUNK)]


def agent(place: str | Path, gathered: int = 1) -> list[str]:
    """What an agent's recorder does with the chunks of 64 runs; so many chunks a transaction."""
    with s.open_store(place) as store:
        sweep = s.create_sweep(store, s.NewSweep("method: grid"))
        queue = s.Queue(store, sweep.id, "agent")
        new = [s.NewRun({"lr": 0.1}, sweep_id=sweep.id) for _ in range(64)]
        recorder = Recorder(store, queue, retries=0, keep=False)
        recorder.hold(queue.claim(64, lambda *_: s.Offer(new, 64)).runs)
        ids = list(recorder.runs)
        whole = DATA[: len(DATA) // 64]
        for i in range(0, len(whole), gathered):
            some = whole[i : i + gathered]
            recorder.write([Logged(0, chunk, run) for chunk in some for run in ids], "val_risk")
        ends = [
            Ended(0, Status.FINISHED, "", len(ROWS) // 64, {"val_risk": 1.0}, run=i) for i in ids
        ]
        recorder.write(ends, "val_risk")
    return ids


def tracker(place: str | Path) -> list[str]:
    with s.open_store(place) as store:
        track = s.store_tracker(store, experiment="bench")
        for member in range(64):
            track(Started(member, {"lr": 0.1}, len(ROWS) // 64, 17, {}, None))
        for chunk in DATA[: len(DATA) // 64]:
            for member in range(64):
                track(Logged(member, chunk))
        for member in range(64):
            track(
                Ended(member, Status.FINISHED, "", len(ROWS) // 64, {"val_risk": 1.0}, {"run": 1.0})
            )
        return [track.run_id(member) for member in range(64)]


def blocks(place: str | Path) -> list[str]:
    with s.open_store(place) as store:
        run = store.create_run({"lr": 0.1})
        for chunk in DATA:
            store.log_block(run.id, chunk)
    return [run.id]


def manual(place: str | Path) -> list[str]:
    with s.open_store(place) as store:
        rows = [dict(zip(COLUMNS[1:], r, strict=True)) for r in ROWS]
        with thetahat.start({"lr": 0.1}, store=store) as run:
            for row in rows:
                run.log(row)
    return [run.id]


def _plain(folder: str | Path) -> sqlite3.Connection:
    plain = sqlite3.connect(Path(folder) / "plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=NORMAL")
    plain.execute("CREATE TABLE r (run TEXT, epoch INT, a REAL, b REAL, c REAL, d REAL)")
    plain.execute("CREATE INDEX of_run ON r (run, epoch)")
    return plain


def row_per_record(folder: str | Path) -> list[str]:
    plain = _plain(folder)
    for chunk in DATA:
        columns = [chunk[name].tolist() for name in COLUMNS]
        plain.execute("BEGIN IMMEDIATE")
        plain.executemany("INSERT INTO r VALUES ('run', ?, ?, ?, ?, ?)", zip(*columns, strict=True))
        plain.execute("COMMIT")
    plain.close()
    return []


def row_and_commit(folder: str | Path) -> list[str]:
    plain = _plain(folder)
    for i, row in enumerate(ROWS[: len(ROWS) // 10]):
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("INSERT INTO r VALUES ('run', ?, ?, ?, ?, ?)", (i, *row))
        plain.execute("COMMIT")
    plain.close()
    return []


DATA: list[Chunk] = []
ROWS: list[tuple[float, ...]] = []
"""The records: in chunks, and without their epochs."""


def make(n: int) -> None:
    """Make the records that all ways write."""
    DATA[:] = chunks(n)
    ROWS[:] = [row for c in DATA for row in zip(*(c[k].tolist() for k in COLUMNS[1:]), strict=True)]


WAYS: dict[str, Callable[[str | Path], list[str]]] = {
    "agent, cohort of 64": agent,
    f"agent that gathers {GATHERED} chunks": partial(agent, gathered=GATHERED),
    "tracker, cohort of 64": tracker,
    "blocks of 64": blocks,
    "th.start, one record a call": manual,
    "sqlite3, row per record, 64 a commit": row_per_record,
    "sqlite3, row and commit": row_and_commit,
}


def once(name: str, url: str | None = None, server: OwnServer | None = None) -> dict[str, float]:
    """Records a second by the clock and by CPU time, and bytes a record on disk."""
    folder = Path(tempfile.mkdtemp())
    try:
        before = server.cpu_s() if server else 0.0
        began, cpu = time.perf_counter(), time.process_time()
        ids = WAYS[name](url or folder)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        served = server.cpu_s(alone=True) - before if server else math.inf
        size = sum(f.stat().st_size for f in folder.glob("*.db"))
        count = counted(url or folder, ids)
        wanted = len(ROWS) // 10 if name == "sqlite3, row and commit" else len(ROWS)
        assert count == (len(DATA) // 64 * 4096 if len(ids) == 64 else wanted), name
        return {
            "records_per_s": count / took,
            "per_cpu_s": count / used,
            "per_server_cpu_s": count / served,
            "bytes": size / count,
        }
    finally:
        shutil.rmtree(folder)


def counted(place: str | Path, ids: list[str]) -> int:
    """The records that are stored, of these runs; of a plain table, all."""
    if not ids:
        plain = sqlite3.connect(Path(place) / "plain.db")
        found = plain.execute("SELECT count(*) FROM r").fetchone()[0]
        plain.close()
        return int(found)
    with s.open_store(place, create=False) as store:
        return sum(block.count for run in ids for block in store.blocks(run))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one round")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/store-<date>.*")
    parser.add_argument("--postgres", action="store_true", help="in a server that it starts")
    parser.add_argument("--store", help="a store in PostgreSQL; by default SQLite, in new folders")
    parser.add_argument("--records", type=int, default=N, help="to be written by each way")
    args = parser.parse_args()
    make(args.records)
    with contextlib.ExitStack() as ends:
        server = ends.enter_context(OwnServer()) if args.postgres else None
        seen = measured(
            server.place() if server else args.store, server, 1 if args.smoke else REPEATS
        )
    keys = ("records_per_s", "per_cpu_s", "per_server_cpu_s", "bytes")
    ways = {
        name: {key: statistics.median(row[key] for row in rows) for key in keys}
        for name, rows in seen.items()
    }
    heads = ("records/s", "a CPU second", "of the server", "bytes/record")
    print(f"{'way':38}" + "".join(f"{head:>14}" for head in heads))
    for name, row in ways.items():
        print(f"{name:38}" + "".join(f"{row[key]:14,.0f}" for key in keys))
    if args.write:
        write("PostgreSQL" if args.store or args.postgres else "SQLite", ways, args.records)


def measured(
    url: str | None, server: OwnServer | None, repeats: int
) -> dict[str, list[dict[str, float]]]:
    """All ways, interleaved, after a first round that is not counted."""
    names = [name for name in WAYS if url is None or not name.startswith("sqlite3")]
    for name in names:
        once(name, url)
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repeats):
        for name in names:
            seen[name].append(once(name, url, server))
    return seen


def write(database: str, ways: dict[str, dict[str, float]], n: int) -> None:
    """Dated Markdown and JSON in ``benchmarks/results``."""
    about = machine.facts(("thetahat", "numpy", "sqlalchemy"))
    key, last = "bytes", "bytes a record"
    if database == "PostgreSQL":
        key, last = "per_server_cpu_s", "a CPU second of the server"
    version = f"SQLite {sqlite3.sqlite_version}" if database == "SQLite" else database
    lines = [
        "# Records a second into the store",
        "",
        *machine.said(about),
        f"- {version}; {n:,} records; medians of {REPEATS} rounds, interleaved",
        "",
        f"| way | records a second | a CPU second | {last} |",
        "|---|---|---|---|",
        *(
            f"| {name} | {r['records_per_s']:,.0f} | {r['per_cpu_s']:,.0f} | {r[key]:,.0f} |"
            for name, r in ways.items()
        ),
    ]
    name = "store" if database == "SQLite" else "store-postgresql"
    machine.write_results(name, about, "\n".join(lines), {"facts": about, "ways": ways})


if __name__ == "__main__":
    main()
