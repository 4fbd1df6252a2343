"""How an agent's work looks: a bar on a terminal, else a line now and then; and its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from thetahat.cli._guard import note, say as complain
from thetahat.cli._progress import span
from thetahat.cli._tables import emit, read_screen
from thetahat.report import short

if TYPE_CHECKING:
    from thetahat.search import Metric
    from thetahat.store import Store, SweepRow
    from thetahat.sweep.work import Closed, Tally

EVERY_S = 2.0
"""Seconds between two lines, where standard error is no terminal."""
BEST_RUNS = 10


class View:
    """What an agent says, for people. Use it as a context."""

    def __init__(
        self, store: Store, sweep: SweepRow, metric: Metric | None, *, quiet: bool, where: str
    ) -> None:
        self.store, self.sweep, self.metric = store, sweep, metric
        self.quiet, self.where = quiet, where
        self.best: tuple[float, str] | None = None
        self.ended = self.failed = self.begun = 0
        self._said: set[str] = set()
        self._last_s = self._began_s = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> View:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._bar = Progress(
                SpinnerColumn(style="cyan"),
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=20, complete_style="cyan", pulse_style="cyan"),
                TextColumn("{task.fields[words]}"),
                console=Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )
            self._bar.start()
            self._task = self._bar.add_task(
                self.sweep.name, total=self.sweep.points, words="starting"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, what: str, facts: Mapping[str, Any]) -> None:
        """Take in a word of the agent."""
        if what == "ended":
            for closed in facts["closed"]:
                self._take(closed, facts["names"][closed.run])
            self._draw(facts["tally"])
        elif what == "claimed":
            self.begun += facts["runs"]
            if self._bar is not None and not self.ended:
                self._bar.update(self._task, words=f"{self.begun} runs begun, compiling")
        elif what == "note":
            self._once(facts["line"])
        elif what == "recovered":
            agents = "an agent" if facts["agents"] == 1 else f"{facts['agents']} agents"
            self._once(f"{agents} died; {facts['runs']} runs went back to the queue", again=True)
        elif what == "retried":
            self._once(f"{facts['runs']} runs are tried again: {facts['reason']}", again=True)
        elif what == "state":
            said = {"paused": "the sweep is paused: no new runs begin", "running": "it goes on"}
            self._once(said.get(facts["state"], f"the sweep is {facts['state']}"), again=True)
        elif what == "extended":
            self.sweep = facts["sweep"]
            self._once("the sweep was given another file: it goes on with that", again=True)
        elif what == "target":
            self._once(f"{facts['reason']}: no new runs begin")
        elif what == "interrupted":
            self._once("stopping; runs go back to the queue. Ctrl-C again stops at once")
        elif what == "waiting" and facts["open"] and facts["state"] == "running":
            self._once("all runs have begun; waiting for those of other agents")

    def summary(self, tally: Tally, *, as_json: bool) -> None:
        """The end: the best runs, and how to look at the others."""
        if as_json or self.quiet:
            return
        from thetahat.cli._runs import print_runs
        from thetahat.core.run import Status
        from thetahat.store import find_sweep, value_of

        sweep = find_sweep(self.store, self.sweep.id)
        runs = [run for run in self.store.runs(sweep_id=sweep.id) if run.status.over]
        took = span(time.monotonic() - self._began_s)
        bad = sum(run.status in (Status.FAILED, Status.DIVERGED) for run in runs)
        failed = f", {bad} failed" if bad else ""
        many = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
        print(f"sweep {sweep.id} ({sweep.name}) {sweep.state}: {many}{failed}; {took}")
        if self.metric is not None:
            name, sign = self.metric.name, self.metric.sign
            have = [run for run in runs if isinstance(value_of(run, name), (int, float))]
            have.sort(key=lambda run: sign * float(value_of(run, name)))
            if have:
                print(f"the best by {name}:")
                print_runs(have[:BEST_RUNS], "table", None, read_screen())
        elif runs:
            print_runs(runs[:BEST_RUNS], "table", None, read_screen())
        if sweep.contaminated:
            note("contaminated: tuned on the test set; its best value is no estimate of the risk")
        emit(f"look at all of them: thetahat runs {sweep.id}{self.where}\n")
        if tally.interrupted:
            complain(f"interrupted; go on with: thetahat agent {sweep.id}{self.where}")

    # -- parts ----------------------------------------------------------------------------------

    def _take(self, closed: Closed, name: str) -> None:
        from thetahat.core.run import Status

        self.ended += 1
        if closed.status is Status.FAILED:
            self.failed += 1
            self._once(f"{name} failed: {closed.reason}", key=closed.reason)
        if self.metric is not None:
            value = closed.metrics.get(self.metric.name)
            sign = self.metric.sign
            if value is not None and (self.best is None or sign * value < sign * self.best[0]):
                self.best = (value, name)

    def _draw(self, tally: Tally) -> None:
        now = time.monotonic()
        of = "" if self.sweep.points is None else f" of {self.sweep.points:,}"
        words = [f"{self.ended:,}{of} runs"]
        if self.failed:
            words.append(f"{self.failed} failed")
        if self.best is not None and self.metric is not None:
            words.append(f"best {self.metric.name} {short(self.best[0])} ({self.best[1]})")
        rate = self.ended / max(1e-3, now - tally.began_s)
        left = "" if self.sweep.points is None else self._left(rate)
        words += [f"{short(rate, 3)} runs/s", *([left] if left else [])]
        if self._bar is not None:
            self._bar.update(self._task, completed=self.ended, words="  ".join(words))
        elif not self.quiet and now - self._last_s > EVERY_S:
            self._last_s = now
            print("; ".join(words), file=sys.stderr)

    def _left(self, rate: float) -> str:
        left = (self.sweep.points or 0) - self.ended
        return f"{span(left / rate)} left" if left > 0 and rate > 0 else ""

    def _once(self, line: str, *, key: str | None = None, again: bool = False) -> None:
        if (key or line) in self._said and not again:
            return
        self._said.add(key or line)
        if not self.quiet:
            note(line)
