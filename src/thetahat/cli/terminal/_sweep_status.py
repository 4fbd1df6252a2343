"""What an agent's view knows of its sweep: read from the store now and then, never often.

Other agents, of other processes, work on the same sweep: only the store knows them all.
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
    Standing as SettingStanding,
    band_words,
    names_of,
    replicates_of,
    seeds_of,
    standings,
    tied,
)
from thetahat.cli.terminal._sweep_screen import AgentLine, Best, Standing
from thetahat.core.run import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thetahat.search import Objective
    from thetahat.store import Store, SweepRow, Together

LOOK_S = 0.5
"""Seconds between two looks, at least; more where that would take more than a
fiftieth of a processor."""
SILENT_S = 20.0
"""An agent beats every five seconds; one that is silent for so long may have died."""
GONE_S = 600.0


class Watch:
    """A sweep as the store has it, and its best run so far.

    Args:    paths: where the parameters that the sweep searches stand in a config.
    """

    def __init__(
        self,
        store: Store,
        sweep: SweepRow,
        metric: Objective | None,
        method: str,
        paths: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self.store, self.sweep, self.metric, self.paths = store, sweep, metric, paths
        self.standing = Standing(
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
        """What the last look cost; the first one also loads what it needs, and does not count."""
        self._until = ""
        """When the last run ended that was read."""
        self._others = True
        """Whether somebody else has worked on the sweep since the last look."""
        self._speed = Speed()
        self._repeats = _repeats(sweep, paths)

    def change(self, sweep: SweepRow, paths: tuple[tuple[str, ...], ...]) -> None:
        """The sweep was given another file."""
        self.sweep, self.paths = sweep, paths
        self.standing = replace(self.standing, points=sweep.points)
        self._speed = Speed()
        self._repeats = _repeats(sweep, paths)

    def best(self, value: float, name: str, run: str) -> None:
        """Take in a run that ended well; it shows with the next look, as all of it does."""
        best, sign = self._best, 1 if self.metric is None else self.metric.sign
        if best is None or sign * value < sign * best.value:
            self._best, self._tied = Best(value, name, run), {run}
        elif value == best.value and run not in self._tied:
            self._tied.add(run)
            self._best = replace(best, tied=len(self._tied))

    def now(self) -> Standing:
        """The sweep as far as it is known, and how long it has taken; asks the store nothing."""
        clock = time.monotonic()
        left = self._speed.left_s(clock)
        return replace(self.standing, took_s=clock - self._began_s, left_s=left)

    def look(self, *, at_once: bool = False) -> None:
        """Read how the sweep stands, unless that was done a moment ago."""
        from thetahat.store import count_runs, list_agents, running_now

        began, cpu = time.monotonic(), time.thread_time()
        if began < self._next_s and not at_once:
            return
        counts = count_runs(self.store, self.sweep.id)
        groups = running_now(self.store, self.sweep.id)
        agents = [a for a in list_agents(self.store, self.sweep.id) if a["ended"] is None]
        others = any(a["id"] != self.agent for a in agents)
        if self.metric is not None and not self._repeats and (others or self._others):
            self._read_ended()
        self._others = others
        best = self._with_setting(self._best)
        if self.metric is not None and self._repeats:
            best = self._best_setting(self.metric) or best
        self._best = best
        running, waiting = counts.get("running", 0), counts.get("queued", 0)
        failed = sum(n for status, n in counts.items() if Status(status).failed)
        done = sum(n for status, n in counts.items() if Status(status).well)
        cut = sum(counts.values()) - done - failed - running - waiting
        part = min(float(running), sum(group.share for group in groups))
        over = done + failed + cut
        self._speed.take(began, over, over + part, self.sweep.points, failed + cut)
        self.standing = replace(
            self.standing,
            done=done,
            failed=failed,
            cut=cut,
            running=running,
            waiting=waiting,
            best=self._best,
            per_second=self._speed.runs_per_second(),
            agents=tuple(self._agents(agents, groups)),
        )
        took, self._cost_s = min(self._cost_s, time.thread_time() - cpu), time.thread_time() - cpu
        self._next_s = began + max(LOOK_S, 50 * took)

    def _read_ended(self) -> None:
        """The runs that others have ended; at the first look, also what was there before."""
        from thetahat.store import ended_since

        assert self.metric is not None
        mine = self.agent if self._until else None
        for run in ended_since(self.store, self.sweep.id, self._until, but=mine):
            self._until = max(self._until, run.finished)
            if not Status(run.status).well:
                continue
            value = run.metrics.get(self.metric.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.best(float(value), run.name, run.id)

    def _best_setting(self, metric: Objective) -> Best | None:
        """The best setting by its median; the best single run where none has more than one."""
        from thetahat.store import tried_runs

        runs = tried_runs(self.store, self.sweep.id)
        seeds, name = seeds_of(self.sweep, names_of(runs)), metric.name
        replicates = replicates_of(self.sweep)
        found = standings(runs, seeds, name, metric.sign, replicates=replicates)
        if not found or found[0].spread is None:
            return None
        if replicates == 1 and all(one.runs == 1 for one in found):
            named = {run.id: run.name for run in runs}
            (run,) = found[0].ids
            best = Best(found[0].spread.median, named[run], run, tied=tied(found))
            return self._with_setting(best)
        return replace(_of_setting(found[0], self.paths, seeds), tied=tied(found))

    def _with_setting(self, best: Best | None) -> Best | None:
        if best is None or best.setting or not self.paths:
            return best
        config = self.store.run(best.run).config
        return replace(best, setting=_picked(config, self.paths))

    def _agents(self, agents: list[dict[str, Any]], groups: list[Together]) -> list[AgentLine]:
        now, lines = datetime.now(UTC), []
        mine = [a for a in agents if a["id"] == self.agent]
        for agent in [*mine, *(a for a in reversed(agents) if a["id"] != self.agent)]:
            silent_s = (now - datetime.fromisoformat(agent["heartbeat"])).total_seconds()
            if silent_s > GONE_S:
                continue
            his = [group for group in groups if group.agent == agent["id"]]
            known = [group for group in his if group.max_epochs]
            name = "this agent" if agent["id"] == self.agent else f"{agent['host']}:{agent['pid']}"
            lines.append(
                AgentLine(
                    name,
                    sum(group.runs for group in his),
                    agent["doing"].partition(", ")[2],
                    (min(g.epochs[0] for g in known), max(g.epochs[1] for g in known))
                    if known
                    else None,
                    max((g.max_epochs or 0 for g in known), default=None),
                    tuple(g.runs for g in his if g.cohort is not None),
                    silent_s if silent_s > SILENT_S and agent["id"] != self.agent else 0.0,
                )
            )
        return lines


class Speed:
    """How fast runs end, and how long the rest will take.

    Work is counted in runs that ended well, those that train by their share of epochs: runs that
    fail at once say nothing of how long the others take. The rate is the median over the latest
    stretches of time, so that a pause or a compilation does not count for long.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, float]] = deque(maxlen=120)
        """Times, runs that were over, and work that was done well."""
        self._points: int | None = None
        self._lost = 0
        self._last = (0, 0.0)

    def take(self, at_s: float, over: int, work: float, points: int | None, lost: int = 0) -> None:
        """Take in how many runs are over, how much work that is with what is under way, and how
        many of them failed or were cut short."""
        self._points, self._lost = points, lost
        if self._seen and (over, work) < self._last:
            # Runs went back to the queue: what was seen before does not count on.
            self._seen.clear()
        if not self._seen or (over, work) != self._last or at_s - self._seen[-1][0] > 5:
            self._seen.append((at_s, over, work - lost))
        self._last = (over, work)

    def runs_per_second(self) -> float | None:
        """Runs that ended a second, lately; None until some have."""
        if len(self._seen) < 2:
            return None
        (since, before, _), (at, over, _) = self._seen[0], self._seen[-1]
        return (over - before) / (at - since) if over > before else None

    def left_s(self, clock: float) -> float | None:
        """Seconds until all is done; None where there is no end, or nobody can know yet: also
        where all runs that are over failed."""
        (over, work), well = self._last, self._last[0] - self._lost
        if self._points is None or len(self._seen) < 3 or (over and not well):
            return None
        speed, at = self._median_speed(), self._seen[-1][0]
        # Of the rest as many will end well as of those that are over.
        left = (self._points - work) * (well / over if over else 1.0)
        if speed <= 0 or left <= 0:
            return None
        return max(0.0, left / speed - (clock - at))

    def _median_speed(self) -> float:
        """The median over up to nine stretches of equal length."""
        seen = list(self._seen)
        step = max(1, (len(seen) - 1) // 9)
        ends = seen[::-step][::-1]
        pairs = list(pairwise(ends))
        found = statistics.median((b[2] - a[2]) / (b[0] - a[0]) for a, b in pairs)
        whole = (seen[-1][2] - seen[0][2]) / (seen[-1][0] - seen[0][0])
        # Cohorts end all at once: most stretches may then see nothing.
        return found or whole


def _repeats(sweep: SweepRow, paths: tuple[tuple[str, ...], ...]) -> bool:
    """Whether settings of a sweep may have several runs: the best of them is then a setting."""
    return replicates_of(sweep) > 1 or bool(seeds_of(sweep, map(".".join, paths)))


def _of_setting(
    found: SettingStanding, paths: tuple[tuple[str, ...], ...], seeds: Sequence[str]
) -> Best:
    spread = found.spread
    assert spread is not None
    lost = [(found.failed, "failed"), (found.unfinished, "unfinished")]
    said = [f"median of {spread.n}", *(f"{n} {how}" for n, how in lost if n)]
    known = {name: found.config.get(name) for name in (".".join(path) for path in paths)}
    setting = {k: v for k, v in known.items() if v is not None and k not in seeds}
    band = band_words(spread)
    return Best(spread.median, ", ".join(said), found.ids[0], setting, band)


def _picked(config: Any, paths: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """The searched parameters of a config."""
    found: dict[str, Any] = {}
    for path in paths:
        value = config
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            found[".".join(path)] = value
    return found
