"""What an agent says while it works: lines that live on a terminal, else one now and then."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from thetahat.cli._guard import note, say as complain
from thetahat.cli._live import Pace, Piece, Window, is_live, live
from thetahat.cli._progress import span
from thetahat.cli._sweep_block import block, many_runs, plain
from thetahat.cli._sweep_watch import Watch
from thetahat.cli._tables import emit, read_screen

if TYPE_CHECKING:
    from thetahat.search import Metric
    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.sweep.work import Closed, Tally

EVERY_S = 2.0
"""Seconds between two lines at first, where standard error is no terminal."""
BEST_RUNS = 10


class View:
    """What an agent says, for people. Use it as a context."""

    def __init__(
        self, store: Store, sweep: SweepRow, metric: Metric | None, *, quiet: bool, where: str
    ) -> None:
        from thetahat.sweep.work import spec_of

        self.store, self.sweep, self.metric = store, sweep, metric
        self.quiet, self.where = quiet, where
        self.watch = Watch(store, sweep, metric, spec_of(sweep).method, _searched(sweep))
        self._said: set[str] = set()
        self._began_s = time.monotonic()
        self._pace = Pace(EVERY_S, share=0.05)
        self._live = is_live(quiet=quiet)
        self._stack = ExitStack()

    def __enter__(self) -> View:
        if self._live:
            self._stack.enter_context(live(self._lines))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _lines(self, window: Window) -> Sequence[Sequence[Piece]]:
        return block(self.watch.now(), window)

    def say(self, what: str, facts: Mapping[str, Any]) -> None:
        """Take in a word of the agent."""
        if what == "ended":
            for closed in facts["closed"]:
                self._take(closed, facts["names"][closed.run])
            self._print()
        elif what == "alive":
            self.watch.agent = facts["agent"]
            if self._live:
                self.watch.look()
        elif what == "note":
            self._once(facts["line"])
        elif what == "recovered":
            agents = "an agent" if facts["agents"] == 1 else f"{facts['agents']} agents"
            self._once(f"{agents} died; {facts['runs']} runs went back to the queue", again=True)
        elif what == "retried":
            self._once(f"{facts['runs']} runs are tried again: {facts['reason']}", again=True)
        elif what == "state":
            self.watch.standing = replace(self.watch.standing, state=facts["state"])
            said = {"paused": "the sweep is paused: no new runs begin", "running": "it goes on"}
            self._once(said.get(facts["state"], f"the sweep is {facts['state']}"), again=True)
        elif what == "extended":
            self.sweep = facts["sweep"]
            self.watch.change(self.sweep, _searched(self.sweep))
            self._once("the sweep was given another file: it goes on with that", again=True)
        elif what == "target":
            self._once(f"{facts['reason']}: no new runs begin")
        elif what == "interrupted":
            self._once("stopping; runs go back to the queue. Ctrl-C again stops at once")
        elif what == "waiting" and facts["open"] and facts["state"] == "running":
            self._once("all runs have begun; waiting for those of other agents")

    def summary(self, tally: Tally, *, as_json: bool) -> None:
        """The end: the best runs, and how to look at the others."""
        if self.quiet and tally.interrupted and not self._over():
            complain(f"interrupted; go on with: thetahat agent {self.sweep.id}{self.where}")
        if as_json or self.quiet:
            return
        from thetahat.cli._runs import print_runs
        from thetahat.core.run import Status
        from thetahat.store import find_sweep, value_of

        sweep = find_sweep(self.store, self.sweep.id)
        every = self.store.runs(sweep_id=sweep.id)
        runs = [run for run in every if run.status.over]
        took = span(time.monotonic() - self._began_s)
        bad = sum(run.status in (Status.FAILED, Status.DIVERGED) for run in runs)
        failed = f", {bad} failed" if bad else ""
        said = f"{many_runs(len(runs))}{failed}{_left(sweep, every)}; {took}"
        print(f"sweep {sweep.id} ({sweep.name}) {sweep.state}: {said}")
        seed = sweep.plan.get("found", {}).get("seed")
        if self.metric is not None and seed is not None and runs:
            self._settings(runs, seed, self.metric)
        elif self.metric is not None:
            name, sign = self.metric.name, self.metric.sign
            have = [run for run in runs if isinstance(value_of(run, name), (int, float))]
            have.sort(key=lambda run: sign * float(value_of(run, name)))
            if have:
                print(f"the best by {name}:")
                print_runs(have[:BEST_RUNS], "table", None, read_screen(), tell=False)
        elif runs:
            print_runs(runs[:BEST_RUNS], "table", None, read_screen(), tell=False)
        if sweep.contaminated:
            note("contaminated: tuned on the test set; its best value is no estimate of the risk")
        emit(f"look at all of them: thetahat runs {sweep.id}{self.where}\n")
        if tally.interrupted and not sweep.over:
            complain(f"interrupted; go on with: thetahat agent {sweep.id}{self.where}")

    def _settings(self, runs: Sequence[RunRow], seed: str, metric: Metric) -> None:
        """The best settings over their replicates: the best of single runs is a lucky one."""
        from thetahat.analysis import group_runs
        from thetahat.cli._runs import best_first, print_settings

        # What failed before it began may lack the seed that it was to have.
        known = [run for run in runs if seed in run.config]
        groups = best_first(group_runs(known, [seed] if known else []), metric.name, metric.sign)
        have = [group for group in groups if metric.name in group.metrics]
        if have:
            print(f"the best settings by {metric.name}, its median over {seed}:")
            print_settings(have[:BEST_RUNS], metric.name, read_screen())

    def _over(self) -> bool:
        from thetahat.store import find_sweep

        return find_sweep(self.store, self.sweep.id).over

    # -- parts ----------------------------------------------------------------------------------

    def _take(self, closed: Closed, name: str) -> None:
        from thetahat.core.run import Status

        if closed.status is Status.FAILED:
            self._once(f"{name} failed: {closed.reason}", key=closed.reason, bad=True)
        if self.metric is not None:
            value = closed.metrics.get(self.metric.name)
            if value is not None:
                self.watch.best(value, name, closed.run)

    def _print(self) -> None:
        if self._live:
            self.watch.look()
        if self.quiet or self._live or not self._pace.due():
            return
        self.watch.look(at_once=True)
        print(plain(self.watch.now()), file=sys.stderr, flush=True)

    def _once(
        self, line: str, *, key: str | None = None, again: bool = False, bad: bool = False
    ) -> None:
        if (key or line) in self._said and not again:
            return
        self._said.add(key or line)
        if bad or not self.quiet:
            note(line)


def _left(sweep: SweepRow, runs: Sequence[RunRow]) -> str:
    """What is left of a sweep that is not over: runs at work, those that wait, and the rest."""
    if sweep.over:
        return ""
    standing = Counter(str(run.status) for run in runs)
    rest = 0 if sweep.points is None else max(0, sweep.points - len(runs))
    parts = [
        (standing["running"], "running"),
        (standing["queued"], "waiting to go on"),
        (rest, "not begun"),
    ]
    return "".join(f", {n:,} {what}" for n, what in parts if n)


def _searched(sweep: SweepRow) -> tuple[tuple[str, ...], ...]:
    """Where the parameters that a sweep searches stand in a config."""
    from thetahat.sweep.work import spec_of

    return tuple(dimension.path for dimension in spec_of(sweep).space.searched)
