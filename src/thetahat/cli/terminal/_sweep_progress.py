"""The messages of an agent at work: live lines on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from thetahat.cli._errors import print_error, print_note
from thetahat.cli.terminal._fit_progress import span
from thetahat.cli.terminal._live import RefreshRate, Window, is_live, live
from thetahat.cli.terminal._output import emit, many_runs, say
from thetahat.cli.terminal._sweep_screen import block, plain
from thetahat.cli.terminal._sweep_status import SweepWatch
from thetahat.core.acceptance import accepted_words
from thetahat.core.run import Status

if TYPE_CHECKING:
    from rich.text import Text

    from thetahat.search import Objective
    from thetahat.store import RunRow, Store, SweepRow
    from thetahat.sweep.agent import AgentEvent, Ended, Tally

EVERY_S = 2.0
"""Seconds between two lines at first, if standard error is a file or a pipe."""
BEST_RUNS = 10


class View:
    """The messages of an agent, for people. Use it as a context."""

    def __init__(
        self, store: Store, sweep: SweepRow, metric: Objective | None, *, quiet: bool, where: str
    ) -> None:
        from thetahat.sweep.agent import spec_of

        self.store, self.sweep, self.metric = store, sweep, metric
        self.quiet, self.where = quiet, where
        self.watch = SweepWatch(store, sweep, metric, spec_of(sweep).method, _searched(sweep))
        self._said: set[str] = set()
        self._began_s = time.monotonic()
        self._pace = RefreshRate(EVERY_S, share=0.05)
        self._live = is_live(quiet=quiet)
        self._stack = ExitStack()

    def __enter__(self) -> View:
        if self._live:
            self._stack.enter_context(live(self._lines))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lines(self, window: Window) -> Sequence[Text]:
        return block(self.watch.now(), window)

    def say(self, event: AgentEvent) -> None:
        """Show an event of the agent."""
        from thetahat.sweep.agent import Alive, Ended, Noted, Remarked

        match event:
            case Ended():
                self._take(event)
                self._print()
            case Noted(line=line):
                self._once(line)
            case Remarked(line=line, again=again):
                self._once(line, again=again)
            case Alive(agent=agent, sweep=sweep):
                self.watch.agent = agent
                self._follow(sweep)
                if self._live:
                    self.watch.look()

    def summary(self, tally: Tally, *, as_json: bool) -> None:
        """Print the best runs, and how to look at the others."""
        if self.quiet and tally.interrupted and not self._over():
            print_error(f"interrupted; go on with: thetahat agent {self.sweep.id}{self.where}")
        if as_json or self.quiet:
            return
        from thetahat.cli.terminal._run_table import print_runs
        from thetahat.store import find_sweep, standing_runs

        sweep = find_sweep(self.store, self.sweep.id)
        every = standing_runs(self.store, sweep_id=sweep.id)
        runs = [run for run in every if run.status.over]
        took = span(time.monotonic() - self._began_s)
        counts = f"{many_runs(len(runs))}{self._lost(runs)}{_left(sweep, every)}; {took}"
        say(f"sweep {sweep.id} ({sweep.name}) {sweep.state}: {counts}")
        if self.watch.several:
            self._front(sweep)
        elif self.metric is not None:
            self._best(sweep, every, self.metric)
        elif runs:
            print_runs(runs[:BEST_RUNS], "table", None, tell=False)
        if sweep.contaminated:
            print_note(
                "contaminated: tuned on the test set; its best value is no estimate of the risk"
            )
        emit(f"look at all of them: thetahat runs {sweep.id}{self.where}\n")
        if tally.interrupted and not sweep.over:
            print_error(f"interrupted; go on with: thetahat agent {sweep.id}{self.where}")

    def _front(self, sweep: SweepRow) -> None:
        """Print the runs or settings that no other improves on."""
        from thetahat.analysis import front_of, read_file
        from thetahat.cli.terminal._output import print_table
        from thetahat.cli.terminal._run_table import front_rows
        from thetahat.store import tried_runs

        front = front_of(sweep, read_file(sweep.spec), tried_runs(self.store, sweep.id))
        if not front.points:
            return
        names = " and ".join(name for name, _ in front.objectives)
        more = len(front.points) - BEST_RUNS
        first = f", the first {BEST_RUNS}" if more > 0 else ""
        say(f"the Pareto front of {names}{first}: {front.says} that no other improves on")
        print_table(*front_rows(front.listing(), BEST_RUNS))

    def _best(self, sweep: SweepRow, runs: Sequence[RunRow], metric: Objective) -> None:
        """Print the best settings by their median; the best run is often a lucky one."""
        from thetahat.analysis import (
            best_first,
            ending,
            finite,
            flat_config,
            place_of,
            replicates_of,
            seeds_of,
            settings_of,
        )
        from thetahat.cli.terminal._run_table import print_runs, print_settings, shared_words
        from thetahat.store import shared_orders

        name, sign = metric.name, metric.sign
        if self._fold_means(sweep, metric):
            return
        shared = shared_orders(self.store, sweep.id)
        groups = settings_of(sweep, runs, name, shared=shared)
        if replicates_of(sweep) > 1 or any(group.runs > 1 for group in groups):
            ranked = best_first(groups, name, sign, replicates_of(sweep))
            have = [group for group in ranked if name in group.metrics]
            if have:
                seeds = seeds_of(
                    sweep, dict.fromkeys(k for r in runs for k in flat_config(r.config))
                )
                over = " and ".join(seeds) or "seeds"
                places = [place_of(group, name, sign, replicates_of(sweep)) for group in have]
                same = places.count(places[0])
                say(f"the best settings by {name}, its median over {over}{_alike(same)}:")
                print_settings(have[:BEST_RUNS], name)
            return
        # The numbers of runs that failed, were cancelled or did not move do not count.
        found = [run for run in runs if ending(run, name) == "well"]
        found = [run for run in found if finite(run.metrics.get(name)) is not None]
        found.sort(key=lambda run: sign * (finite(run.metrics[name]) or 0.0))
        if found:
            same = sum(run.metrics[name] == found[0].metrics[name] for run in found)
            say(f"the best by {name}{_alike(same)}{_early(found[0])}:")
            print_runs(found[:BEST_RUNS], "table", None, tell=False, first=[name])
            searched = (".".join(path) for path in _searched(sweep))
            if told := shared_words(found[:BEST_RUNS], searched):
                say(told)

    def _fold_means(self, sweep: SweepRow, metric: Objective) -> bool:
        """Print the best settings of a sweep over folds; return whether it is one."""
        from thetahat.analysis import flat_config, fold_means
        from thetahat.cli.terminal._output import print_table
        from thetahat.store import tried_runs

        if sweep.plan.get("folds", 1) < 2:
            return False
        found = fold_means(sweep, tried_runs(self.store, sweep.id), metric.name, metric.sign)
        if found:
            names = [".".join(path) for path in _searched(sweep)]
            say(f"the best settings by {metric.name}, its mean over the folds:")
            rows = [
                {**{n: flat_config(one.config).get(n) for n in names}, **vars(one)}
                for one in found[:BEST_RUNS]
            ]
            print_table(rows, [*names, "n", "failed", "mean", "sd"])
        return True

    def _lost(self, runs: Sequence[RunRow]) -> str:
        """Count the runs that failed, did not finish, or never logged the metric."""
        from thetahat.analysis import ending, finite

        name = None if self.metric is None else self.metric.name
        well = [run for run in runs if name is not None and ending(run, name) == "well"]
        silent = sum(finite(run.metrics.get(name or "")) is None for run in well)
        failed = sum(ending(run, name) == "failed" for run in runs)
        short = Counter(str(run.status) for run in runs if run.status.unfinished)
        parts = [f"{failed:,} failed"] if failed else []
        parts += [f"{n:,} {status}" for status, n in sorted(short.items())]
        parts += [f"{silent:,} without {name}"] if silent else []
        parts += filter(None, [accepted_words(runs)])
        return "".join(f", {one}" for one in parts)

    def _over(self) -> bool:
        from thetahat.store import find_sweep

        return find_sweep(self.store, self.sweep.id).over

    # -- parts ----------------------------------------------------------------------------------

    def _take(self, ended: Ended) -> None:
        if ended.status is Status.FAILED:
            self._once(f"{ended.name} failed: {ended.reason}", key=ended.reason, bad=True)
        if self.metric is not None and ended.status.well:
            value = ended.metrics.get(self.metric.name)
            if value is not None:
                self.watch.best(value, ended.name, str(ended.run))

    def _follow(self, sweep: SweepRow) -> None:
        """Take in how the sweep stands, and its file, if it was given another one."""
        if (sweep.text, sweep.plan) != (self.sweep.text, self.sweep.plan):
            self.watch.change(sweep, _searched(sweep))
        self.sweep = sweep
        if self.watch.counts.state != sweep.state:
            self.watch.counts = replace(self.watch.counts, state=sweep.state)

    def _print(self) -> None:
        if self._live:
            self.watch.look()
        if self.quiet or self._live or not self._pace.due():
            return
        self.watch.look(at_once=True)
        say(plain(self.watch.now()), beside=True)

    def _once(
        self, line: str, *, key: str | None = None, again: bool = False, bad: bool = False
    ) -> None:
        if (key or line) in self._said and not again:
            return
        self._said.add(key or line)
        if bad or not self.quiet:
            print_note(line)


def _alike(n: int) -> str:
    """Say how many share the first place, if several do."""
    return f" (the first {n:,} are alike)" if n > 1 else ""


def _early(best: RunRow) -> str:
    """Say that early termination stopped the best run, so that its number is of fewer epochs."""
    of = f" of {best.max_epochs:,}" if best.max_epochs else ""
    return f" (stopped early, at epoch {best.epochs:,}{of})" if best.stopped_early else ""


def _left(sweep: SweepRow, runs: Sequence[RunRow]) -> str:
    """Count what is left of a sweep: runs that train, runs that wait, and the rest."""
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
    """List the searched parameters of a sweep as paths into a config."""
    from thetahat.sweep.agent import spec_of

    return tuple(dimension.path for dimension in spec_of(sweep).space.searched)
