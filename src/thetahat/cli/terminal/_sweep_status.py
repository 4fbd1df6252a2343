"""The counts, the best and the agents of a sweep, read from the store now and then.

Agents in other processes work on the same sweep: only the store has all of their runs.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from thetahat.analysis import (
    Standing,
    band_words,
    counts_by_mean,
    finite,
    flat_config,
    names_of,
    replicates_of,
    seeds_of,
    standings,
    tied,
)
from thetahat.cli.terminal._sweep_screen import AgentLine, Best, SweepCounts
from thetahat.core.run import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thetahat.search import Objective
    from thetahat.store import Store, SweepRow, Together

LOOK_S = 0.5
"""Least seconds between two reads; more if reading would take over 2 % of a processor."""
SILENT_S = 20.0
"""An agent renews its lease every five seconds; one that has not for so long is shown as silent."""
GONE_S = 600.0
"""An agent that has been silent for so long is not shown."""


class SweepWatch:
    """A sweep as the store has it, and its best run so far.

    Args:    paths: the searched parameters, as paths into a config.
    """

    def __init__(
        self,
        store: Store,
        sweep: SweepRow,
        metric: Objective | None,
        method: str,
        paths: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self.store, self.metric = store, metric
        self.counts = SweepCounts(
            sweep.name,
            method,
            sweep.points,
            metric=None if metric is None else metric.name,
            contaminated=sweep.contaminated,
        )
        self.agent: str | None = None
        self._best: Best | None = None
        self._tied: set[str] = set()
        """Runs with the best number."""
        self._began_s = time.monotonic()
        self._next_s = 0.0
        self._cost_s = 0.0
        """Of the last read. The first one also loads modules, and does not count."""
        self._until = ""
        """When the last run ended that was read."""
        self._others = True
        """Whether other agents have worked on the sweep since the last read."""
        self.change(sweep, paths)

    def change(self, sweep: SweepRow, paths: tuple[tuple[str, ...], ...]) -> None:
        """Replace the sweep: its file is another one."""
        self.sweep, self.paths = sweep, paths
        self.several = bool(sweep.spec.get("metrics"))
        """Whether the sweep has several objectives: then it has a front in place of a best run."""
        self.counts = replace(self.counts, points=sweep.points)
        self._speed = Speed()
        seeds = seeds_of(sweep, map(".".join, paths))
        self._repeats = replicates_of(sweep) > 1 or bool(seeds)
        """Whether settings may have several runs: then the best is a setting."""

    def best(self, value: float, name: str, run: str) -> None:
        """Record a run that ended well; the next read shows it."""
        best, sign = self._best, 1 if self.metric is None else self.metric.sign
        if best is None or sign * value < sign * best.value:
            self._best, self._tied = Best(value, name, run), {run}
        elif value == best.value and run not in self._tied:
            self._tied.add(run)
            self._best = replace(best, tied=len(self._tied))

    def now(self) -> SweepCounts:
        """Give the counts of the last read, with the time taken and left."""
        clock = time.monotonic()
        left = self._speed.left_s(clock)
        return replace(self.counts, took_s=clock - self._began_s, left_s=left)

    def look(self, *, at_once: bool = False) -> None:
        """Read the sweep from the store, unless that was done a moment ago."""
        from thetahat.store import count_runs, list_agents, running_now

        began, cpu = time.monotonic(), time.thread_time()
        if began < self._next_s and not at_once:
            return
        counts = count_runs(self.store, self.sweep.id)
        front = self._front() if self.several else ""
        groups = running_now(self.store, self.sweep.id)
        agents = [a for a in list_agents(self.store, self.sweep.id) if a["ended"] is None]
        others = any(a["id"] != self.agent for a in agents)
        if self.metric is not None and not self._repeats and (others or self._others):
            self._read_ended()
        self._others = others
        self._best = self._with_setting(self._best)
        if self.metric is not None and self._repeats:
            self._best = self._best_setting(self.metric) or self._best
        running, waiting = counts.get("running", 0), counts.get("queued", 0)
        failed = sum(n for status, n in counts.items() if Status(status).failed)
        done = sum(n for status, n in counts.items() if Status(status).well)
        cut = sum(counts.values()) - done - failed - running - waiting
        part = min(float(running), sum(group.share for group in groups))
        over = done + failed + cut
        self._speed.take(began, over, over + part, self.sweep.points, failed + cut)
        self.counts = replace(
            self.counts,
            done=done,
            failed=failed,
            cut=cut,
            running=running,
            waiting=waiting,
            best=self._best,
            front=front,
            per_second=self._speed.runs_per_second(),
            agents=tuple(self._agents(agents, groups)),
        )
        took, self._cost_s = min(self._cost_s, time.thread_time() - cpu), time.thread_time() - cpu
        self._next_s = began + max(LOOK_S, 50 * took)

    def _read_ended(self) -> None:
        """Record the runs that others have ended; at the first read, all that have ended."""
        from thetahat.store import ended_since

        assert self.metric is not None
        mine = self.agent if self._until else None
        for run in ended_since(self.store, self.sweep.id, self._until, but=mine):
            self._until = max(self._until, run.finished)
            if not Status(run.status).well:
                continue
            if (value := finite(run.metrics.get(self.metric.name))) is not None:
                self.best(value, run.name, run.id)

    def _front(self) -> str:
        """Say how large the front is; nothing before a run has every number."""
        from thetahat.analysis import front_of, read_file
        from thetahat.store import tried_runs

        file = read_file(self.sweep.spec)
        front = front_of(self.sweep, file, tried_runs(self.store, self.sweep.id))
        return front.says if front.points else ""

    def _best_setting(self, metric: Objective) -> Best | None:
        """Find the best setting, by its median or the mean of its folds; if no setting has two
        runs, the best run."""
        from thetahat.store import tried_runs

        runs = tried_runs(self.store, self.sweep.id)
        seeds, name = seeds_of(self.sweep, names_of(runs)), metric.name
        replicates = replicates_of(self.sweep)
        mean = counts_by_mean(self.sweep)
        found = standings(runs, seeds, name, metric.sign, replicates=replicates, by_mean=mean)
        if not found or found[0].spread is None:
            return None
        if replicates == 1 and all(one.runs == 1 for one in found):
            named = {run.id: run.name for run in runs}
            (run,) = found[0].ids
            best = Best(found[0].spread.center, named[run], run, tied=tied(found))
            return self._with_setting(best)
        return replace(_of_setting(found[0], self.paths, seeds), tied=tied(found))

    def _with_setting(self, best: Best | None) -> Best | None:
        if best is None or best.setting or not self.paths:
            return best
        config = flat_config(self.store.run(best.run).config)
        names = [name for path in self.paths if (name := ".".join(path)) in config]
        return replace(best, setting={n: config[n] for n in names if config[n] is not None})

    def _agents(self, agents: list[dict[str, Any]], groups: list[Together]) -> list[AgentLine]:
        """Describe the agents, this one first, then from the latest."""
        now, lines = datetime.now(UTC), []
        latest = agents[::-1]
        latest.sort(key=lambda a: a["id"] != self.agent)
        for agent in latest:
            mine = agent["id"] == self.agent
            silent_s = (now - datetime.fromisoformat(agent["heartbeat"])).total_seconds()
            if silent_s > GONE_S:
                continue
            own = [group for group in groups if group.agent == agent["id"]]
            known = [group for group in own if group.max_epochs]
            line = AgentLine(
                "this agent" if mine else f"{agent['host']}:{agent['pid']}",
                runs=sum(group.runs for group in own),
                workers=agent["doing"].partition(", ")[2],
                cohorts=tuple(g.runs for g in own if g.cohort is not None),
                silent_s=0.0 if mine or silent_s <= SILENT_S else silent_s,
            )
            if known:
                epochs = min(g.epochs[0] for g in known), max(g.epochs[1] for g in known)
                most = max(g.max_epochs or 0 for g in known)
                line = replace(line, epochs=epochs, max_epochs=most)
            lines.append(line)
        return lines


class Speed:
    """The rate at which runs end, and the time that the rest will take.

    Work is counted in runs that ended well, plus the share of epochs of those that train: runs
    that fail at once do not show how long the others take. The rate is the median over the latest
    intervals, so that a pause or a compilation does not count for long.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, float]] = deque(maxlen=120)
        """Times, runs that were over, and work that was done well."""
        self._points: int | None = None
        self._lost = 0
        self._last = (0, 0.0)

    def take(self, at_s: float, over: int, work: float, points: int | None, lost: int = 0) -> None:
        """Record the number of runs that are over, the work done, and how many runs were lost.

        Args:    work: runs that are over, plus the shares of those that train.
                 lost: runs that failed or did not finish.
        """
        self._points, self._lost = points, lost
        if self._seen and (over, work) < self._last:
            # Runs went back to the queue: the rate starts anew.
            self._seen.clear()
        if not self._seen or (over, work) != self._last or at_s - self._seen[-1][0] > 5:
            self._seen.append((at_s, over, work - lost))
        self._last = (over, work)

    def runs_per_second(self) -> float | None:
        """Compute the runs that ended per second lately; None until some have."""
        if len(self._seen) < 2:
            return None
        (since, before, _), (at, over, _) = self._seen[0], self._seen[-1]
        return (over - before) / (at - since) if over > before else None

    def left_s(self, clock: float) -> float | None:
        """Estimate the seconds until all is done; None if there is no end, if all runs that are
        over failed, or before enough of them have ended."""
        (over, work), well = self._last, self._last[0] - self._lost
        if self._points is None or len(self._seen) < 3 or (over and not well):
            return None
        speed, at = self._median_speed(), self._seen[-1][0]
        # The same share of the rest will end well.
        left = (self._points - work) * (well / over if over else 1.0)
        if speed <= 0 or left <= 0:
            return None
        return max(0.0, left / speed - (clock - at))

    def _median_speed(self) -> float:
        """Compute the median rate over up to nine intervals of equal length."""
        seen = list(self._seen)
        step = max(1, (len(seen) - 1) // 9)
        ends = seen[::-step][::-1]
        pairs = list(pairwise(ends))
        found = statistics.median((b[2] - a[2]) / (b[0] - a[0]) for a, b in pairs)
        whole = (seen[-1][2] - seen[0][2]) / (seen[-1][0] - seen[0][0])
        # The runs of a cohort end together: then most intervals have no run that ended.
        return found or whole


def _of_setting(found: Standing, paths: tuple[tuple[str, ...], ...], seeds: Sequence[str]) -> Best:
    spread = found.spread
    assert spread is not None
    lost = [(found.failed, "failed"), (found.unfinished, "unfinished")]
    parts = [f"{spread.word} of {spread.n}", *(f"{n} {how}" for n, how in lost if n)]
    known = {name: found.config.get(name) for name in (".".join(path) for path in paths)}
    setting = {k: v for k, v in known.items() if v is not None and k not in seeds}
    band = band_words(spread)
    return Best(spread.center, ", ".join(parts), found.ids[0], setting, band)
