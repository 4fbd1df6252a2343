"""python -m benchmarks.reading: see the package."""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import benchmarks.reading
from benchmarks import machine
from benchmarks.reading.stores import fill
from thetahat.store import find_sweep, open_store

COMMAND = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
FLOOR = "SELECT id FROM runs ORDER BY json_extract(metrics, '$.val_risk') IS NULL,"
FLOOR += " json_extract(metrics, '$.val_risk'), number LIMIT 10"
IDLE = "new Promise((ok) => requestIdleCallback(() => ok(performance.now())))"
GOALS = {
    "runs --sort val_risk --limit 10": 0.6,
    "report of a tenth of the runs": 2.0,
    "page usable": 2.5,
}
"""Seconds, on an idle machine."""


def main() -> int:
    """Run the rounds, print the table, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=benchmarks.reading.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stores", default="", help="a folder: use its stores again if it has any")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="'' for no browser")
    parser.add_argument("--before", default="", help="a folder: the source of another version")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine.as_installed()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(asked.stores or folder)
        large, small = where / "large", where / "small"
        sweep = filled(large, asked.runs)
        filled(small, asked.runs // 10)
        size = sum(f.stat().st_size for f in large.iterdir() if f.is_file()) / 1e6
        rounds = [one_round(large, small, sweep, asked) for _ in range(asked.rounds)]
    answer = {
        "facts": machine.facts(("sqlalchemy", "starlette", "matplotlib", "playwright")),
        "sqlite": sqlite3.sqlite_version,
        "runs": asked.runs,
        "store_MB": size,
        "rounds": rounds,
    }
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("reading", answer["facts"], page, answer)
    return 0


def filled(where: Path, runs: int) -> str:
    """Return the sweep of a store of so many runs; write the store if there is none."""
    if not where.is_dir():
        return fill(where, runs)
    with open_store(where, create=False) as store:
        assert len(store.names()) == runs, f"{where} has another number of runs"
        return find_sweep(store, "last").id


def one_round(
    large: Path, small: Path, sweep: str, asked: argparse.Namespace
) -> dict[str, tuple[float, ...]]:
    """Seconds by the clock and of CPU, and megabytes at the peak, of each question."""
    commands = {
        "thetahat --version": ["--version"],
        "runs --sort val_risk --limit 10": ["runs", "--sort", "val_risk", "--limit", "10"],
        "runs --where lr>0.09 --limit 10": ["runs", "--where", "lr>0.09", "--limit", "10"],
        "runs SWEEP --group-by width": ["runs", sweep, "--group-by", "width"],
        "show last": ["show", "last"],
    }
    found: dict[str, tuple[float, ...]] = {
        "floor: one query of SQLite": timed(lambda: floor(large))
    }
    asks = {
        name: [*words, *(["--store", str(large)] if len(words) > 1 else [])]
        for name, words in commands.items()
    }
    out = str(small / "report.html")
    asks["report of a tenth of the runs"] = ["report", "last", "-o", out, "--store", str(small)]
    for name, words in asks.items():
        if asked.before:
            found[f"{name}, before"] = of_child(words, asked.before)
        found[name] = of_child(words)
    if asked.chromium:
        found |= in_browser(large, sweep, asked.chromium)
    return found


def floor(where: Path) -> None:
    """Ask SQLite alone for the ten best."""
    connection = sqlite3.connect(where / "store.db")
    assert len(connection.execute(FLOOR).fetchall()) == 10
    connection.close()


def timed(action: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock and of this process's CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - cpu


def of_child(words: list[str], source: str = "") -> tuple[float, float, float]:
    """Seconds of a command by the clock and of its CPU, and megabytes at its peak.

    Args:    source: a folder whose package is used in place of this one.
    """
    env, began = dict(os.environ), time.perf_counter()
    if source:
        env |= {"PYTHONPATH": f"{source}/src", "PYTHONPYCACHEPREFIX": f"{source}/bytecode"}
    command, none = [sys.executable, "-c", COMMAND, *words], subprocess.DEVNULL
    child = subprocess.Popen(command, env=env, stdout=none, stderr=none)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0, words
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def in_browser(where: Path, sweep: str, chromium: str) -> dict[str, tuple[float, ...]]:
    """What a person waits for, of a new server and a new browser; CPU is the server's."""
    import psutil
    from playwright.sync_api import sync_playwright

    from benchmarks.web.__main__ import ARGS, serving

    found: dict[str, tuple[float, ...]] = {}
    with serving(where, {}) as (url, process), sync_playwright() as started:
        server = psutil.Process(process.pid)

        def cpu() -> float:
            return server.cpu_times().user + server.cpu_times().system

        browser = started.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_selector("main[aria-busy=false]")
        before = cpu()
        page.goto(f"{url}/sweep/{sweep}", wait_until="commit")
        page.wait_for_selector("main[data-rows]", state="attached")
        page.wait_for_selector("[data-lines]", state="attached")
        found["page usable"] = (page.evaluate(IDLE) / 1000, cpu() - before)
        page.wait_for_selector("section[aria-label='What matters'] .meter")

        def step(name: str, act: Callable[[], Any], seen: str) -> None:
            began, before = time.perf_counter(), cpu()
            act()
            page.wait_for_selector(seen, state="attached")
            found[name] = (time.perf_counter() - began, cpu() - before)

        table = page.locator("section[aria-label=Runs]")
        row = ".rows:not([aria-busy]) .row[data-id]"
        step("its table, once scrolled to", table.scroll_into_view_if_needed, row)
        click = page.locator(".rows-head button[data-sort='c.lr']").click
        step(
            "its table sorted by lr",
            click,
            ".rows:not([aria-busy]) [aria-sort=ascending] [data-sort='c.lr']",
        )
        scroll = "document.querySelector('.rows').scrollTop = 1e6"
        step(
            "35,000 rows further down",
            lambda: page.evaluate(scroll),
            ".rows:not([aria-busy]) .row[aria-rowindex='35720'][data-id]",
        )
        browser.close()
    return found


def markdown(answer: dict[str, Any]) -> str:
    """The page of results."""
    lines = ["# Reading a store of many runs", "", *machine.said(answer["facts"])]
    lines += [
        f"- {answer['runs']:,} runs, {answer['store_MB']:.0f} MB, SQLite {answer['sqlite']};"
        f" medians of {len(answer['rounds'])} rounds",
        "- the peak of a small process is that of the benchmark itself, from which it starts",
        "- seconds by the clock depend on what else the machine does; of the page, CPU is that of"
        " the server",
        "",
        "| what | seconds | CPU seconds | peak MB | goal, idle |",
        "|---|---|---|---|---|",
    ]
    for name in answer["rounds"][0]:
        clock, cpu, *most = map(
            statistics.median, zip(*(one[name] for one in answer["rounds"]), strict=True)
        )
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        peak = f"{most[0]:.0f}" if most else ""
        lines.append(f"| {name} | {clock:.3g} | {cpu:.3g} | {peak} | {goal} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ.setdefault("THETAHAT_CACHE", "off")
    sys.exit(main())
