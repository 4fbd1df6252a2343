"""How a sweep looks while agents work on it: its bar, its best, and a line for every agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thetahat.cli.terminal._fit_progress import span
from thetahat.cli.terminal._live import Piece, Window, bar, cells_of, cut, fit, spinner
from thetahat.format import short, word

_LEAST_BAR, _MOST_BAR = 8, 40


@dataclass(frozen=True)
class Best:
    """The best run so far, or the best setting where settings are replicated."""

    value: float
    """The run's, or the setting's median."""
    name: str
    """Of the run; of a setting what it rests on, such as "median of 6, 4 failed"."""
    run: str
    """The run's id; of a setting that of one of its runs."""
    setting: Mapping[str, Any] = field(default_factory=dict)
    band: str = ""
    """Of a setting, where its runs lie."""
    tied: int = 1
    """How many runs, or settings, have this number."""

    @property
    def says(self) -> str:
        """Its name, and how many others have the same number."""
        return self.name + (f"; {self.tied - 1:,} more alike" if self.tied > 1 else "")


@dataclass(frozen=True)
class AgentLine:
    """An agent that works on the sweep, in this process or another."""

    name: str
    runs: int = 0
    workers: str = ""
    """How many, in its own words."""
    epochs: tuple[int, int] | None = None
    """The least and the most that its runs have done, of ``max_epochs``."""
    max_epochs: int | None = None
    cohorts: tuple[int, ...] = ()
    """Runs of each group that it trains together."""
    silent_s: float = 0.0


@dataclass(frozen=True)
class Standing:
    """A sweep at a moment, with all that is said of it."""

    name: str
    method: str
    points: int | None
    state: str = "running"
    metric: str | None = None
    done: int = 0
    """Runs that ended well."""
    failed: int = 0
    cut: int = 0
    """Runs that are over, and did not finish: cancelled, interrupted, or nothing moved."""
    running: int = 0
    waiting: int = 0
    """Handed back, to be gone on with."""
    best: Best | None = None
    contaminated: bool = False
    per_second: float | None = None
    left_s: float | None = None
    took_s: float = 0.0
    agents: tuple[AgentLine, ...] = ()

    @property
    def over(self) -> int:
        """Runs that have ended."""
        return self.done + self.failed + self.cut


def block(now: Standing, window: Window) -> list[list[Piece]]:
    """The lines of a sweep."""
    lines = [_head(now, window), _pace(now, window)]
    if now.best is not None:
        lines.append(_best(now, now.best, window))
    room = max(1, window.height - len(lines) - 2)
    shown = now.agents if len(now.agents) <= room else now.agents[: room - 1]
    lines += _agents(shown, window)
    if len(shown) < len(now.agents):
        lines.append([("  ", ""), (f"and {len(now.agents) - len(shown)} agents more", "dim")])
    return lines


def plain(now: Standing) -> str:
    """A sweep in one line, for a log."""
    of = "" if now.points is None else f" of {now.points:,}"
    words = [f"{now.over:,}{of} runs"]
    if now.failed:
        words.append(f"{now.failed:,} failed")
    if now.cut:
        words.append(f"{now.cut:,} not finished")
    if now.best is not None:
        words.append(f"best {now.metric} {short(now.best.value)} ({now.best.says})")
    words += filter(None, [rate_said(now.per_second), left_said(now.left_s)])
    if len(now.agents) > 1:
        words.append(f"{len(now.agents)} agents")
    return "; ".join(words)


def many_runs(n: int) -> str:
    """So many runs, in words.

    >>> many_runs(1), many_runs(1200)
    ('1 run', '1,200 runs')
    """
    return "1 run" if n == 1 else f"{n:,} runs"


def rate_said(per_second: float | None) -> str:
    """Runs a second, a minute or an hour: whichever is a number to think with.

    >>> rate_said(12.34), rate_said(0.05), rate_said(0.001)
    ('12.3 runs/s', '3 runs/min', '3.6 runs/h')
    """
    if not per_second:
        return ""
    for seconds, unit in ((1, "s"), (60, "min")):
        if per_second * seconds >= 1:
            return f"{_rounded(per_second * seconds)} runs/{unit}"
    return f"{_rounded(per_second * 3600)} runs/h"


def left_said(left_s: float | None) -> str:
    """The time left; nothing where nobody knows."""
    return "" if left_s is None else f"{span(left_s)} left"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else short(value, 3)


def _head(now: Standing, window: Window) -> list[Piece]:
    name = cut(word(now.name), max(10, window.width // 3))
    head: list[Piece] = [(spinner(window), "cyan"), (" ", ""), (name, "bold")]
    state = "" if now.state == "running" else now.state
    for text, style in ((now.method, "dim"), (state, "yellow")):
        if text and cells_of(head) + len(text) + 2 + _LEAST_BAR + 14 <= window.width:
            head += [("  ", ""), (text, style)]
    count = f"{now.over:,}" if now.points is None else f"{now.over:,}/{now.points:,}"
    count += " runs" if window.width >= 60 else ""
    cells = min(_MOST_BAR, window.width - cells_of(head) - len(count) - 4)
    if now.points is None or cells < _LEAST_BAR:
        return [*head, ("  ", ""), (count, "")]
    left = max(0, now.points - now.over - now.running)
    parts = [
        ("done", now.done),
        ("failed", now.failed + now.cut),
        ("running", now.running),
        ("left", left),
    ]
    return [*head, ("  ", ""), *bar(parts, cells, window), ("  ", ""), (count, "")]


def _pace(now: Standing, window: Window) -> list[Piece]:
    waiting = now.waiting
    if now.points is not None:
        waiting = max(0, now.points - now.over - now.running)
    words = fit(
        [
            (6, f"{now.done:,} done" if now.over or not now.running else "", "green"),
            (8, f"{now.failed:,} failed" if now.failed else "", "red"),
            (7, f"{now.cut:,} not finished" if now.cut else "", "yellow"),
            (5, f"{now.running:,} running" if now.running else "", "cyan"),
            (2, f"{waiting:,} waiting" if waiting else "", "dim"),
            (4, rate_said(now.per_second), ""),
            (9, left_said(now.left_s), ""),
            (1, f"{span(now.took_s)} so far", "dim"),
        ],
        window.width - 2,
    )
    return [("  ", ""), *words]


def _best(now: Standing, best: Best, window: Window) -> list[Piece]:
    setting = ", ".join(f"{name}={short(value)}" for name, value in best.setting.items())
    value = f"best {now.metric} {short(best.value)}"
    room = window.width - 2
    # Of a setting that is what the number means; of a run merely its name.
    pieces = [(9, value, "bold"), (8 if best.band else 5, word(best.says), "")]
    if best.band:
        pieces.append((4, best.band, "dim"))
    if now.contaminated:
        pieces.append((7, "contaminated", "yellow"))
    words = fit(pieces, room)
    left = room - cells_of(words) - 3
    if setting and left >= 10:
        words += [("   ", ""), (cut(word(setting), left), "dim")]
    return [("  ", ""), *words]


def _agents(agents: Sequence[AgentLine], window: Window) -> list[list[Piece]]:
    """Names under names, numbers under numbers."""
    if not agents:
        return []
    widest = max(10, window.width // 3)
    names = [cut(word(agent.name), widest) for agent in agents]
    doing = [_doing(agent) for agent in agents]
    name_w, doing_w = max(map(len, names)), max(map(len, doing))
    lines: list[list[Piece]] = []
    for agent, name, what in zip(agents, names, doing, strict=True):
        head: list[Piece] = [("  ", ""), (name.ljust(name_w), "dim"), ("  ", "")]
        room = window.width - cells_of(head)
        if agent.silent_s:
            said = f"silent for {span(agent.silent_s)}"
            lines.append([*head, *fit([(1, what.ljust(doing_w), ""), (2, said, "yellow")], room)])
            continue
        words = fit([(2, what.ljust(doing_w), ""), (1, _epochs(agent), "")], room, gap=2)
        left = room - cells_of(words)
        cohorts = _cohorts(agent)
        if cohorts and len(cohorts) + 2 <= left:
            words += [("  ", ""), (cohorts, "dim")]
            left -= len(cohorts) + 2
        done = _share(agent)
        if done is not None and left >= _LEAST_BAR + 2:
            cells = min(16, left - 2)
            words += [("  ", ""), *bar([("running", done), ("left", 1 - done)], cells, window)]
        lines.append([*head, *words])
    return lines


def _doing(agent: AgentLine) -> str:
    runs = "no runs" if agent.runs == 0 else "1 run" if agent.runs == 1 else f"{agent.runs:,} runs"
    return ", ".join(filter(None, [word(agent.workers), runs]))


def _epochs(agent: AgentLine) -> str:
    if agent.epochs is None or not agent.max_epochs:
        return ""
    low, high = agent.epochs
    at = f"{low:,}" if low == high else f"{low:,}-{high:,}"
    return f"epoch {at}/{agent.max_epochs:,}"


def _cohorts(agent: AgentLine) -> str:
    together = [n for n in agent.cohorts if n > 1]
    if not together:
        return ""
    return f"{' + '.join(f'{n:,}' for n in together[:3])}{' ...' * (len(together) > 3)} together"


def _share(agent: AgentLine) -> float | None:
    if agent.epochs is None or not agent.max_epochs:
        return None
    return min(1.0, sum(agent.epochs) / 2 / agent.max_epochs)
