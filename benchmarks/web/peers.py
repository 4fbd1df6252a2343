"""trackio and optuna-dashboard beside the page: each with runs like ours, by its own command.

They have other models of what a run is, so each is compared on what both have: an optuna study
holds a fifth as many trials with their params and final values (no curves; it takes its time to be
filled); a trackio project holds a hundredth of the runs with all their epochs, since its page reads
every record. Ours is measured on all three sizes in the same round.
"""

from __future__ import annotations

import importlib.util
import math
import os
import random
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

QUIET_S = 0.5
_WATCH = """
window.lastBusy = 0;
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    window.lastBusy = Math.max(window.lastBusy, one.startTime + one.duration);
  }
}).observe({ entryTypes: ["longtask"] });
"""


@dataclass(frozen=True)
class Contestant:
    """A dashboard: its command, its environment, where runs are shown, and what shows them."""

    name: str
    command: list[str]
    env: dict[str, str]
    path: str
    shown: str
    """An element that is there once runs are drawn."""


def installed(package: str) -> bool:
    """Whether a peer is here to be measured."""
    return importlib.util.find_spec(package) is not None


def ours(store: Path, sweep: str, runs: int) -> Contestant:
    """The page of this repository."""
    code = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
    words = [
        sys.executable,
        "-c",
        code,
        "ui",
        "--no-browser",
        "--no-token",
        "--port",
        "0",
        "--store",
        str(store),
    ]
    return Contestant(f"ours, {runs:,} runs", words, {}, f"/sweep/{sweep}", "main[data-rows]")


def trackio(folder: Path, runs: int, epochs: int) -> Contestant:
    """A trackio project, filled by its own storage."""
    code = f"""
import math
from trackio.sqlite_storage import SQLiteStorage
steps = list(range({epochs}))
falls = [math.exp(-0.02 * e) for e in steps]
rows = [{{"train_risk": v, "val_risk": v}} for v in falls]
for k in range({runs}):
    config = {{"lr": k, "width": 16}}
    SQLiteStorage.bulk_log("bench", f"run-{{k}}", rows, steps=steps, config=config)
"""
    env = {"TRACKIO_DIR": str(folder), "BROWSER": "/bin/true", "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", code], env=os.environ | env, check=True)
    words = [str(Path(sys.executable).with_name("trackio")), "show", "--project", "bench"]
    return Contestant(f"trackio, {runs:,} runs", words, env, "/?project=bench", "canvas, svg.marks")


def optuna_dashboard(folder: Path, trials: int) -> Contestant:
    """An optuna study in SQLite, filled by optuna."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial
    from sqlalchemy import event

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = f"sqlite:///{folder / 'optuna.db'}"
    rng = random.Random(1)
    space = {
        "lr": FloatDistribution(1e-4, 1e-1, log=True),
        "l2": FloatDistribution(1e-6, 1e-2, log=True),
        "momentum": FloatDistribution(0.0, 1.0),
        "width": CategoricalDistribution((16, 32, 64, 128)),
        "depth": CategoricalDistribution((1, 2, 3)),
    }
    storage = optuna.storages.RDBStorage(url)

    # A disk that is waited for after each of thousands of trials is no part of the question.
    @event.listens_for(storage.engine, "connect")
    def hasten(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    storage.engine.dispose()
    study = optuna.create_study(storage=storage, study_name="bench")
    for _ in range(trials):
        params: dict[str, Any] = {
            "lr": 10 ** rng.uniform(-4, -1),
            "l2": 10 ** rng.uniform(-6, -2),
            "momentum": rng.random(),
            "width": rng.choice([16, 32, 64, 128]),
            "depth": rng.choice([1, 2, 3]),
        }
        value = 0.02 * (1 + (math.log10(params["lr"]) + 2) ** 2)
        study.add_trial(create_trial(params=params, distributions=space, value=value))
    port = str(random.randrange(20_000, 40_000))
    words = [str(Path(sys.executable).with_name("optuna-dashboard")), url, "--port", port]
    shown = ".js-plotly-plot .main-svg"
    return Contestant(
        f"optuna-dashboard, {trials:,} trials", words, {}, "/dashboard/studies/1", shown
    )


@contextmanager
def served(one: Contestant, found: dict[str, float]) -> Iterator[tuple[str, psutil.Process]]:
    """A contestant's server, and the seconds from its command to its first page."""
    began = time.perf_counter()
    quiet = {"stderr": subprocess.STDOUT, "stdout": subprocess.PIPE}
    env = os.environ | {"PYTHONUNBUFFERED": "1"} | one.env
    process = subprocess.Popen(one.command, env=env, text=True, **quiet)
    try:
        assert process.stdout is not None
        match = None
        while match is None:
            line = process.stdout.readline()
            assert line, f"{one.name} ended at once"
            match = re.search(r"http://[\w.]+:\d+", line)
        url = match.group()
        while not _answers(url + "/"):
            time.sleep(0.01)
        found[f"{one.name}: first page, s"] = time.perf_counter() - began
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.read(1))
    except urllib.error.HTTPError:
        raise
    except OSError:
        return False


def measured(contestants: list[Contestant], launch: Callable[[], Any]) -> dict[str, float]:
    """First page, the page of the runs until nothing happens any more, and memory, of each."""
    found: dict[str, float] = {}
    for one in contestants:
        with served(one, found) as (url, process):
            browser = launch()
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.add_init_script(_WATCH)
            # The server's own first answer, and the browser's start, are no part of this.
            page.goto(url)
            page.wait_for_timeout(1500)
            page.goto(url + one.path, wait_until="commit")
            page.wait_for_selector(one.shown, state="attached", timeout=120_000)
            shown = page.evaluate("performance.now()") / 1000
            found[f"{one.name}: runs shown and quiet, s"] = max(shown, until_quiet(page))
            processes = [process, *process.children(recursive=True)]
            found[f"{one.name}: memory, MB"] = sum(p.memory_info().rss for p in processes) / 1e6
            browser.close()
    return found


def until_quiet(page: Any) -> float:
    """Seconds from the address until the end of the last long task; half a second of quiet came."""
    while True:
        now, last = page.evaluate("[performance.now(), window.lastBusy]")
        if now - last > 1000 * QUIET_S:
            return last / 1000
        page.wait_for_timeout(100)
