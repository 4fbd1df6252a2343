"""How long until the tables of many runs are a frame, bands, and a drawn page?

    frame      sweep.table("policy"), one line for each run and row
    pandas     its grouped quantiles, by frame.quantiles(by="k")
    bands      what the page and `thetahat table` compute, without pandas; compared to 1e-12
    page, cold from the sweep's address to the drawn bands, in headless Chromium: the server has
               just started, and the browser has shown the list of sweeps
    page       the same in a browser and a server at work, which have shown another sweep
    tab        from a click on the tab of another table to its bands, which are not yet computed

100 runs of 1,000 rows and 5 columns, and 10,000 runs of 1,000 rows and 3 columns. Medians of three;
a busy machine shows in seconds, hardly in CPU seconds.

    python -m benchmarks.run_tables [--smoke] [--write] [--chromium PATH]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import thetahat as th
from benchmarks import machine
from thetahat.analysis import table_bands
from thetahat.core import Status
from thetahat.core.packed_table import pack_table
from thetahat.store import NewRun, NewSweep, create_sweep, find_sweep, list_sweeps, open_store
from thetahat.web._kept import table_view

TEXT = "program: a.py\nmethod: grid\nparameters: {seed: {min: 0, max: 100000}}\n"
ROWS, REPEATS = 1000, 3
REST_MS = 2000
"""After which a page that was shown has nothing left to do."""
SIZES = {"100 x 1,000 x 5": (100, 5), "10,000 x 1,000 x 3": (10_000, 3)}
Q = (0.05, 0.5, 0.95)
LINUX = sys.platform == "linux"


def fill(folder: Path, runs: int, columns: int) -> float:
    """Make a sweep of so many seeds, each with two tables; return the CPU seconds."""
    rng, k = np.random.default_rng(0), np.linspace(0, 1, ROWS)
    began = time.process_time()
    with open_store(folder) as store:
        sweep = create_sweep(store, NewSweep(TEXT, f"{runs} runs"))
        for start in range(0, runs, 1000):
            with store.batch() as writer:
                for seed in range(start, min(runs, start + 1000)):
                    run, _ = writer.create_run(NewRun({"seed": seed}, sweep_id=sweep.id))
                    own = {
                        f"c{i}": np.sqrt(k) + rng.standard_normal(ROWS) for i in range(columns - 1)
                    }
                    writer.keep_table(run, "policy", pack_table("policy", {"k": k, **own}))
                    other = {"k": k, "d0": own["c0"] ** 2}
                    writer.keep_table(run, "squares", pack_table("squares", other))
                    writer.finish_run(run, status=Status.FINISHED, metrics={"loss": 1.0})
    return time.process_time() - began


def timed(way: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds and CPU seconds."""
    found = []
    for _ in range(REPEATS):
        began, cpu = time.perf_counter(), time.process_time()
        way()
        found.append((time.perf_counter() - began, time.process_time() - cpu))
    return tuple(statistics.median(one) for one in zip(*found, strict=True))  # pyright: ignore


def spent() -> float:
    """CPU seconds of this process and all below it so far: the server, the browser."""
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):  # it has just ended, or is no process
            number = int(folder.name)
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(words[1]), []).append(number)
            seconds[number] = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
    below, found = [os.getpid()], 0.0
    while below:
        number = below.pop()
        found += seconds.get(number, 0.0)
        below += children.get(number, [])
    return found


def drawn(folder: Path, chromium: str) -> dict[str, tuple[float, float | None]]:
    """Seconds, and CPU seconds on Linux, until the bands of the latest sweep are drawn.

    They are medians of servers and browsers; the CPU seconds are those of both. Each server first
    shows the list of sweeps; the "page" and the "tab" follow the page of the other sweep.
    """
    from playwright.sync_api import Page, sync_playwright

    serve = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
    words = [sys.executable, "-c", serve, "ui", "--store", str(folder), "--no-browser", "--port=0"]
    found: dict[str, list[tuple[float, float]]] = {"page, cold": [], "page": [], "tab": []}
    with open_store(folder, create=False) as store:
        other, sweep = (one.id for one in list_sweeps(store))

    def time_until(page: Page, column: str, begin: Callable[[], Any]) -> tuple[float, float]:
        before, began = spent() if LINUX else 0.0, time.perf_counter()
        begin()
        bands = f"section[aria-label=Tables] [aria-label^='{column} by k'] canvas"
        page.wait_for_selector(bands, state="attached")
        wall = time.perf_counter() - began
        return wall, spent() - before if LINUX else 0.0

    for k in range(2 * REPEATS):
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            url = next(word for word in server.stdout.readline().split() if word.startswith("http"))
            base = url.split("?")[0].rstrip("/")
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1280, "height": 1000})
                page.goto(url, wait_until="load")
                page.wait_for_selector("a[href^='/sweep/']")
                address = f"{base}/sweep/{sweep}"
                if k % 2 == 0:
                    cold = time_until(page, "c0", functools.partial(page.goto, address))
                    found["page, cold"].append(cold)
                else:
                    time_until(page, "c0", functools.partial(page.goto, f"{base}/sweep/{other}"))
                    page.wait_for_timeout(REST_MS)
                    warm = time_until(page, "c0", functools.partial(page.goto, address))
                    found["page"].append(warm)
                    page.wait_for_timeout(REST_MS)
                    tab = page.locator("section[aria-label=Tables] [role=tab]", has_text="squares")
                    found["tab"].append(time_until(page, "d0", tab.click))
                browser.close()
        finally:
            server.terminate()
            server.wait()
    medians = {
        what: [statistics.median(one) for one in zip(*times, strict=True)]
        for what, times in found.items()
    }
    return {what: (wall, cpu if LINUX else None) for what, (wall, cpu) in medians.items()}


def measure(runs: int, columns: int, chromium: str) -> dict[str, Any]:
    """Fill a store, and time each way of reading it."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        fill(where, 5, columns)
        written = fill(where, runs, columns)
        sweep = th.open_sweep("last", where)
        frame = sweep.table("policy")
        with open_store(where, create=False) as store:
            row = find_sweep(store, "last")
            [bands] = table_bands(store, row, "policy", ["k"], Q)
            expected = frame.groupby("k")[["c0", "c1"]].quantile(list(Q)).unstack()
            worst = max(
                np.abs(bands.columns[c].T - expected[c].to_numpy()).max() for c in ("c0", "c1")
            )
            asked = {"x": "k", "y": "c0", "exact": "", "which": (0,)}
            edges = iter(np.linspace(0.01, 0.2, 2 * REPEATS))  # never from the cache

            def view() -> str:
                low = float(next(edges))
                return table_view(store, row, "policy", **asked, q=(low, 1 - low))

            found: dict[str, Any] = {
                "frame": timed(lambda: sweep.table("policy")),
                "pandas": timed(lambda: frame.quantiles(by="k", q=Q)),
                "bands of all columns": timed(lambda: table_bands(store, row, "policy", ["k"], Q)),
                "view of the page": timed(view),
            }
        if chromium:
            found |= drawn(where, chromium)
        return {
            "seconds": found,
            "written_cpu_s": written,
            "megabytes": os.path.getsize(where / "store.db") / 1e6,
            "largest_difference": float(worst),
        }


def markdown(found: dict[str, Any], facts: dict[str, Any]) -> str:
    """The table of the results."""
    lines = [
        "# Tables of many runs",
        "",
        f"{facts['date']}, commit {facts['commit']}, {facts['machine']['cpu']}, load"
        f" {facts['machine']['load']}. `{facts['command']}`",
        "",
        "| runs x rows x columns | what | seconds | CPU seconds |",
        "|---|---|---|---|",
    ]
    for size, one in found.items():
        for what, (wall, cpu) in one["seconds"].items():
            spent = "" if cpu is None else f"{cpu:.2f}"
            lines.append(f"| {size} | {what} | {wall:.2f} | {spent} |")
        lines.append(f"| {size} | written | | {one['written_cpu_s']:.2f} |")
    lines += [""]
    lines += [
        f"{size}: {one['megabytes']:.0f} MB; largest difference to pandas"
        f" {one['largest_difference']:.1e}."
        for size, one in found.items()
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_tables", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="20 and 100 runs, no browser")
    parser.add_argument("--write", action="store_true", help="benchmarks/results/run-tables-DATE.*")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="'' for no browser")
    args = parser.parse_args()
    sizes = {"20 x 1,000 x 5": (20, 5), "100 x 1,000 x 3": (100, 3)} if args.smoke else SIZES
    chromium = "" if args.smoke else args.chromium
    found = {name: measure(*size, chromium) for name, size in sizes.items()}
    facts = machine.facts(["numpy", "pandas", "pyarrow"])
    text = markdown(found, facts)
    print(text)
    if args.write:
        machine.write_results("run-tables", facts, text, {**facts, "found": found})


if __name__ == "__main__":
    main()
