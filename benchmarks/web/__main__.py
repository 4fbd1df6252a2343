"""python -m benchmarks.web: see the package."""

from __future__ import annotations

import argparse
import math
import random
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
from typing import Any

import psutil

import benchmarks.web
from benchmarks import machine
from benchmarks.web import peers
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, pack

COMMAND = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
TEXT = """\
program: b.py
method: random
metric: {name: val_risk}
parameters:
  lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
  width: {values: [16, 32, 64, 128]}
  depth: {values: [1, 2, 3]}
  l2: {distribution: log_uniform_values, min: 0.000001, max: 0.01}
  momentum: {min: 0, max: 1}
"""
ARGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PACKAGES = (
    *("starlette", "uvicorn", "sqlalchemy", "playwright"),
    *("trackio", "optuna", "optuna-dashboard"),
)
IDLE = "new Promise((ok) => requestIdleCallback(() => ok(performance.now())))"
LIMITS = {
    "first page, s": 0.6,
    "memory, MB": 200.0,
    "sweep page interactive, s": 1.5,
    "a record until its curve, s": 2.0,
}


def main() -> int:
    """Run the rounds, print the table, write it if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web",
        description=benchmarks.web.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--smoke", action="store_true", help="100 runs, one round")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.smoke:
        asked.rounds, asked.runs, asked.epochs = 1, 100, 20
    machine.as_installed()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        sweep = fill(where, asked.runs, asked.epochs)
        beside = contestants(where, sweep, asked)
        rounds = [one_round(where, sweep, asked, beside) for _ in range(asked.rounds + 1)][1:]
        size = sum(f.stat().st_size for f in where.iterdir() if f.is_file()) / 1e6
    answer = {
        "facts": machine.facts(PACKAGES),
        "runs": asked.runs,
        "epochs": asked.epochs,
        "store_MB": size,
        "rounds": rounds,
    }
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("web", answer["facts"], page, answer)
    return 0


def fill(where: Path, runs: int, epochs: int) -> str:
    """A store with one sweep; the sweep's id."""
    where.mkdir(exist_ok=True)
    rng = random.Random(1)
    steps = list(range(1, epochs + 1))
    falls = [math.exp(-0.02 * e) for e in steps]
    with open_store(where) as store:
        sweep = create_sweep(store, NewSweep(TEXT, "ten thousand"))
        for start in range(0, runs, 500):
            with store.batch() as writer:
                for k in range(start, min(runs, start + 500)):
                    config = {
                        "lr": 10 ** rng.uniform(-4, -1),
                        "width": rng.choice([16, 32, 64, 128]),
                        "depth": rng.choice([1, 2, 3]),
                        "l2": 10 ** rng.uniform(-6, -2),
                        "momentum": rng.random(),
                    }
                    floor = 0.02 * (1 + (math.log10(config["lr"]) + 2) ** 2) * rng.uniform(0.8, 1.2)
                    curve = [floor + f for f in falls]
                    run, _ = writer.create_run(NewRun(config, sweep_id=sweep.id, point=k))
                    block = pack({"epoch": steps, "train_risk": curve, "val_risk": curve})
                    writer.log_blocks([(run, block)])
                    metrics = {"train_risk": floor, "val_risk": floor, "test_risk": floor}
                    writer.finish_run(run, status="finished", metrics=metrics)  # type: ignore
    return sweep.id


def contestants(where: Path, sweep: str, asked: argparse.Namespace) -> list[peers.Contestant]:
    """Ours, and the peers that are installed, each beside ours with as many runs."""
    found = [peers.ours(where, sweep, asked.runs)]

    def alike(runs: int) -> peers.Contestant:
        folder = where / f"{runs}"
        return peers.ours(folder, fill(folder, runs, asked.epochs), runs)

    if peers.installed("optuna_dashboard"):
        some = max(20, asked.runs // 5)
        (where / "optuna").mkdir()
        found += [peers.optuna_dashboard(where / "optuna", some), alike(some)]
    if peers.installed("trackio"):
        few = max(10, asked.runs // 100)
        found += [peers.trackio(where / "trackio", few, asked.epochs), alike(few)]
    return found


def one_round(
    where: Path, sweep: str, asked: argparse.Namespace, beside: list[peers.Contestant]
) -> dict[str, float]:
    """All numbers, of servers of their own."""
    found: dict[str, float] = {}
    with serving(where, found) as (url, process):
        found |= timed_gets(url, sweep)
        before = psutil.Process(process.pid).cpu_times()
        found |= in_chromium(url, where, sweep, asked)
        after = psutil.Process(process.pid).cpu_times()
        found["server: CPU of all pages, s"] = (
            after.user + after.system - before.user - before.system
        )
        found["memory, MB"] = psutil.Process(process.pid).memory_info().rss / 1e6
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:

        def launch() -> Any:
            return started.chromium.launch(executable_path=asked.chromium, args=ARGS)

        found |= peers.measured(beside, launch)
    return found


@contextmanager
def serving(where: Path, found: dict[str, float]) -> Iterator[tuple[str, Any]]:
    """A new server; how long its first page and its first data took."""
    words = [
        sys.executable,
        "-c",
        COMMAND,
        "ui",
        "--no-browser",
        "--no-token",
        "--port",
        "0",
        "--store",
        str(where),
    ]
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        match = re.search(r"http://\S+", process.stdout.readline())
        assert match is not None
        url = match.group().rstrip("/")
        fetch(url + "/")
        found["first page, s"] = time.perf_counter() - began
        fetch(url + "/api/home")
        found["first data, s"] = time.perf_counter() - began
        yield url, process
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def fetch(url: str) -> bytes:
    """The body of an address."""
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def timed_gets(url: str, sweep: str) -> dict[str, float]:
    """What the server alone takes: at first, and again with the store as it was."""
    found = {}
    paths = {"runs of the sweep": "", "importance": "/importance?metric=val_risk"}
    for name, path in paths.items():
        for when in (", first", ""):
            began = time.perf_counter()
            body = fetch(f"{url}/api/sweeps/{sweep}{path}")
            found[f"server: {name}{when}, s"] = time.perf_counter() - began
        if not path:
            found["runs of the sweep, MB"] = len(body) / 1e6
    return found


def in_chromium(url: str, where: Path, sweep: str, asked: argparse.Namespace) -> dict[str, float]:
    """What a person waits for."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=asked.chromium, args=ARGS)
        page, seconds, cpu = opened(browser, url, sweep, asked.runs)
        found["sweep page interactive, s"] = seconds
        found["sweep page: CPU of its thread, s"] = cpu
        page.wait_for_selector("section[aria-label='What matters'] .meter")
        began = time.perf_counter()
        page.locator("section[aria-label=Runs]").scroll_into_view_if_needed()
        page.wait_for_selector(".tabulator-row")
        found["its table, once scrolled to, s"] = time.perf_counter() - began
        began = time.perf_counter()
        page.get_by_label("Filter runs").fill("lr>0.05")
        while int(page.locator("main").get_attribute("data-rows") or 0) == asked.runs:
            pass
        page.evaluate(IDLE)
        found["a filter typed, s"] = time.perf_counter() - began
        page.goto("about:blank")
        found["a record until its curve, s"] = until_curve(page, url, where)
        page.close()
        # The curve was written: the server reads the sweep anew, as it does while a sweep runs.
        _, seconds, _ = opened(browser, url, sweep, asked.runs)
        found["sweep page interactive, the store having changed, s"] = seconds
        browser.close()
    return found


def opened(browser: Any, url: str, sweep: str, runs: int) -> tuple[Any, float, float]:
    """The page of a sweep from that of the store; seconds until it is interactive, of CPU too."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector("main[aria-busy=false]")
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"{url}/sweep/{sweep}", wait_until="commit")
    page.wait_for_selector(f"main[data-rows='{runs}']", state="attached")
    page.wait_for_selector("[data-lines]", state="attached")
    seconds = page.evaluate(IDLE) / 1000
    told = {m["name"]: m["value"] for m in metrics.send("Performance.getMetrics")["metrics"]}
    return page, seconds, told["TaskDuration"]


def until_curve(page: Any, url: str, where: Path) -> float:
    """Seconds from a record's writing until its curve is drawn."""
    with open_store(where) as store:
        run = store.create_run({"lr": 0.1}).id
        page.goto(f"{url}/run/{run}")
        page.wait_for_selector("text=Nothing has been logged yet")
        page.wait_for_timeout(1000)
        began = time.perf_counter()
        store.log_block(run, {"epoch": [1, 2], "val_risk": [1.0, 0.5]})
        page.wait_for_selector(".chart canvas")
        took = time.perf_counter() - began
        store.finish_run(run, status="finished")
    return took


def markdown(answer: dict[str, Any]) -> str:
    """The page of results."""
    lines = ["# The page", "", *machine.said(answer["facts"])]
    lines += [
        f"- {answer['runs']:,} runs of {answer['epochs']} epochs, {answer['store_MB']:.0f} MB;"
        f" medians of {len(answer['rounds'])} rounds, each a new server and a new browser",
        "",
        "| what | median | least | most | wanted |",
        "|---|---|---|---|---|",
    ]
    for name in answer["rounds"][0]:
        values = [one[name] for one in answer["rounds"]]
        wanted = f"under {LIMITS[name]:g}" if name in LIMITS else ""
        numbers = (statistics.median(values), min(values), max(values))
        lines.append(f"| {name} | " + " | ".join(f"{v:.3g}" for v in numbers) + f" | {wanted} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
