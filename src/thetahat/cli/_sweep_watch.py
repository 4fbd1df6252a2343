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

from thetahat.cli._sweep_block import AgentLine, Best, Standing
from thetahat.core.run import Status

if TYPE_CHECKING:
    from thetahat.search import Metric
    from thetahat.store import Store, SweepRow, Together

LOOK_S = 0.5
"""Seconds between two looks, at least; more where that would take more than a
fiftieth of a processor."""
SILENT_S = 20.0
"""An agent beats every five seconds; one that is silent for so long may have died."""
GONE_S = 600.0
_BAD = (Status.FAILED, Status.DIVERGED)


class Watch:
    """A sweep as the store has it, and its best run so far.

    Args:    paths: where the parameters that the sweep searches stand in a config.
    """

    def __init__(
        self,
        store: Store,
        sweep: SweepRow,
        metric: Metric | None,
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
        self._began_s = time.monotonic()
        self._next_s = 0.0
        self._cost_s = 0.0
        """What the last look cost; the first one also loads what it needs, and does not count."""
        self._until = ""
        """When the last run ended that was read."""
        self._others = True
        """Whether somebody else has worked on the sweep since the last look."""
        self._speed = Speed()

    def change(self, sweep: SweepRow, paths: tuple[tuple[str, ...], ...]) -> None:
        """The sweep was given another file."""
        self.sweep, self.paths = sweep, paths
        self.standing = replace(self.standing, points=sweep.points)
        self._speed = Speed()

    def best(self, value: float, name: str, run: str) -> None:
        """Take in a run that has ended; it shows with the next look, as all of it does."""
        best, sign = self._best, 1 if self.metric is None else self.metric.sign
        if best is None or sign * value < sign * best.value:
            self._best = Best(value, name, run)

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
        if self.metric is not None and (others or self._others):
            self._read_ended()
        self._others = others
        self._best = self._with_setting(self._best)
        failed = sum(counts.get(str(status), 0) for status in _BAD)
        running, waiting = counts.get("running", 0), counts.get("queued", 0)
        done = sum(counts.values()) - failed - running - waiting
        over = done + failed
        part = min(float(running), sum(group.share for group in groups))
        self._speed.take(began, over, over + part, self.sweep.points)
        self.standing = replace(
            self.standing,
            done=done,
            failed=failed,
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
            value = run.metrics.get(self.metric.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.best(float(value), run.name, run.id)

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

    Work is counted in runs, those that train by their share of epochs. The rate is the median over
    the latest stretches of time, so that a pause or a compilation does not count for long.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, float]] = deque(maxlen=120)
        self._points: int | None = None

    def take(self, at_s: float, over: int, work: float, points: int | None) -> None:
        """Take in how many runs were over, and how much work was done."""
        self._points = points
        if self._seen and (over, work) < self._seen[-1][1:]:
            # Runs went back to the queue: what was seen before does not count on.
            self._seen.clear()
        if not self._seen or (over, work) != self._seen[-1][1:] or at_s - self._seen[-1][0] > 5:
            self._seen.append((at_s, over, work))

    def runs_per_second(self) -> float | None:
        """Runs that ended a second, lately; None until some have."""
        if len(self._seen) < 2:
            return None
        (since, before, _), (at, over, _) = self._seen[0], self._seen[-1]
        return (over - before) / (at - since) if over > before else None

    def left_s(self, clock: float) -> float | None:
        """Seconds until all is done; None where there is no end, or nobody can know yet."""
        if self._points is None or len(self._seen) < 3:
            return None
        at, _, work = self._seen[-1]
        speed = self._median_speed()
        left = self._points - work
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
