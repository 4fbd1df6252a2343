"""How long does a new page take to answer first, of a store of 100,000 runs?

For SQLite and, with ``--postgres`` in a server that it starts, or with the address of an empty
database, for PostgreSQL with the same rows (copied by ``thetahat store copy``). Each round starts
a server of the page and asks it, in this order, for the page of the sweep, its runs (of which the
page draws a sample), the first rows of its table, and the overview. Seconds are those of who asks;
CPU is that of the server of the page.

    python -m benchmarks.reading.first_answer [--postgres] [--runs 100000] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import machine
from benchmarks.postgres import OwnServer
from benchmarks.reading.__main__ import filled
from thetahat.store import copy_store, find_sweep, open_store

GOAL_S = 1.0
_UI = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
_FLAGS = ("--no-browser", "--no-token", "--port", "0")


@contextmanager
def page(place: str) -> Iterator[tuple[str, psutil.Process]]:
    """A new server of a store's page: its address and its process."""
    words = [sys.executable, "-c", _UI, "ui", "--store", place, *_FLAGS]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        match = re.search(r"http://[^/\s]+", said)
        assert match is not None, said
        yield match.group(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def one_round(place: str, sweep: str) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of the server's CPU, of each question."""
    asks = {
        "the page": f"/sweep/{sweep}",
        "its runs": f"/api/sweeps/{sweep}",
        "50 rows of its table": f"/api/sweeps/{sweep}/rows?start=0&n=50&sort=number",
        "the overview": "/api/home",
    }
    found = {}
    with page(place) as (url, server):
        for name, path in asks.items():
            cpu, began = sum(server.cpu_times()[:2]), time.perf_counter()
            with urllib.request.urlopen(url + path) as answer:
                assert len(answer.read()) > 100
            found[name] = (time.perf_counter() - began, sum(server.cpu_times()[:2]) - cpu)
    return found


def main() -> None:
    """Run the rounds, print the table, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading.first_answer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--postgres", action="store_true", help="also in a server that it starts")
    parser.add_argument("--store", help="an empty database of PostgreSQL, with ?folder=")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stores", default="", help="a folder: use its store again if it has one")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine.as_installed()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        if asked.postgres:
            asked.store = ends.enter_context(OwnServer()).place()
        large = Path(asked.stores or folder) / "large"
        sweep = filled(large, asked.runs)
        places = {"SQLite": str(large)}
        if asked.store:
            with open_store(large, create=False) as old, open_store(asked.store) as store:
                if not store.names():
                    copy_store(old, store)
            with open_store(asked.store, create=False) as store:
                assert find_sweep(store, "last").id == sweep, "the database has other rows"
            places["PostgreSQL"] = asked.store
        rounds = [
            {name: one_round(place, sweep) for name, place in places.items()}
            for _ in range(asked.rounds)
        ]
    about = machine.facts(("thetahat", "sqlalchemy", "starlette"))
    lines = ["# The first answers of a new page", "", *machine.said(about)]
    lines += [
        f"- {asked.runs:,} runs; medians of {asked.rounds} rounds; goal: {GOAL_S:g} s each, idle",
        "",
        "| store | question | seconds | CPU seconds of the page |",
        "|---|---|---|---|",
    ]
    for name in places:
        for question in rounds[0][name]:
            pairs = [one[name][question] for one in rounds]
            took, used = (statistics.median(values) for values in zip(*pairs, strict=True))
            lines.append(f"| {name} | {question} | {took:.2f} | {used:.2f} |")
    print("\n".join(lines))
    if asked.write:
        answer = {"facts": about, "runs": asked.runs, "rounds": rounds}
        machine.write_results("reading-first-answer", about, "\n".join(lines), answer)


if __name__ == "__main__":
    main()
