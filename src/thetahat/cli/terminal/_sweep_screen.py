"""The lines of a sweep while agents work on it: its bar, its best, and a line for every agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal._fit_progress import span
from thetahat.cli.terminal._live import Window, bar, fit, spinner
from thetahat.cli.terminal._output import many_runs
from thetahat.format import cut, short, word

if TYPE_CHECKING:
    from rich.text import Text

_LEAST_BAR, _MOST_BAR = 8, 40


@dataclass(frozen=True)
class Best:
    """The best run so far, or the best setting where settings are replicated."""

    value: float
    """The run's, or the setting's median."""
    name: str
    """Of the run; for a setting its sample, such as "median of 6, 4 failed"."""
    run: str
    """The run's id; for a setting the id of one of its runs."""
    setting: Mapping[str, Any] = field(default_factory=dict)
    band: str = ""
    """The range of a setting's runs, in words."""
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
    """How many, such as "2 workers"."""
    epochs: tuple[int, int] | None = None
    """The least and the most that its runs have done, of ``max_epochs``."""
    max_epochs: int | None = None
    cohorts: tuple[int, ...] = ()
    """Runs of each group that it trains together."""
    silent_s: float = 0.0


@dataclass(frozen=True)
class SweepCounts:
    """A sweep at a moment: its counts, its best, its agents."""

    name: str
    method: str
    points: int | None
    state: str = "running"
    metric: str | None = None
    done: int = 0
    """Runs that ended well."""
    failed: int = 0
    cut: int = 0
    """Runs that are over and did not finish: cancelled, interrupted, unmoved."""
    running: int = 0
    waiting: int = 0
    """Returned to the queue, to be continued."""
    best: Best | None = None
    front: str = ""
    """How large the Pareto front is, where there are several objectives."""
    contaminated: bool = False
    per_second: float | None = None
    left_s: float | None = None
    took_s: float = 0.0
    agents: tuple[AgentLine, ...] = ()

    @property
    def over(self) -> int:
        """Runs that have ended."""
        return self.done + self.failed + self.cut


def block(now: SweepCounts, window: Window) -> list[Text]:
    """Draw the lines of a sweep."""
    from rich.text import Text

    lines = [_head(now, window), _progress(now, window)]
    if now.front:
        lines.append(fit([(9, f"Pareto front: {now.front}", "bold")], window.width - 2))
    elif now.best is not None:
        lines.append(_best(now, now.best, window))
    room = max(1, window.height - len(lines) - 2)
    shown = now.agents if len(now.agents) <= room else now.agents[: room - 1]
    lines += _agents(shown, window)
    if len(shown) < len(now.agents):
        lines.append(Text(f"  and {len(now.agents) - len(shown)} agents more", "dim"))
    return lines


def plain(now: SweepCounts) -> str:
    """Describe a sweep in one line, for a log."""
    of = "" if now.points is None else f" of {now.points:,}"
    words = [f"{now.over:,}{of} runs"]
    if now.failed:
        words.append(f"{now.failed:,} failed")
    if now.cut:
        words.append(f"{now.cut:,} not finished")
    if now.front:
        words.append(f"Pareto front: {now.front}")
    elif now.best is not None:
        words.append(f"best {now.metric} {short(now.best.value)} ({now.best.says})")
    words += filter(None, [rate_words(now.per_second), left_words(now.left_s)])
    if len(now.agents) > 1:
        words.append(f"{len(now.agents)} agents")
    return "; ".join(words)


def rate_words(per_second: float | None) -> str:
    """Write a rate per second, minute or hour, whichever gives at least 1.

    >>> rate_words(12.34), rate_words(0.05), rate_words(0.001)
    ('12.3 runs/s', '3 runs/min', '3.6 runs/h')
    """
    if not per_second:
        return ""
    units = ((1, "s"), (60, "min"), (3600, "h"))
    seconds, unit = next((u for u in units if per_second * u[0] >= 1), units[-1])
    rate = per_second * seconds
    return f"{f'{rate:,.0f}' if rate >= 100 else short(rate, 3)} runs/{unit}"


def left_words(left_s: float | None) -> str:
    """Write the time left; nothing if it is unknown."""
    return "" if left_s is None else f"{span(left_s)} left"


def _head(now: SweepCounts, window: Window) -> Text:
    from rich.text import Text

    name = cut(word(now.name), max(10, window.width // 3))
    line = Text.assemble((spinner(window), "cyan"), " ", (name, "bold"))
    state = "" if now.state == "running" else now.state
    for text, style in ((now.method, "dim"), (state, "yellow")):
        if text and line.cell_len + len(text) + 2 + _LEAST_BAR + 14 <= window.width:
            line.append("  ").append(text, style)
    count = f"{now.over:,}" if now.points is None else f"{now.over:,}/{now.points:,}"
    count += " runs" if window.width >= 60 else ""
    cells = min(_MOST_BAR, window.width - line.cell_len - len(count) - 4)
    if now.points is not None and cells >= _LEAST_BAR:
        left = max(0, now.points - now.over - now.running)
        failed = now.failed + now.cut
        parts = {"done": now.done, "failed": failed, "running": now.running, "left": left}
        line.append("  ").append_text(bar(parts, cells, window))
    return line.append(f"  {count}")


def _progress(now: SweepCounts, window: Window) -> Text:
    from rich.text import Text

    waiting = now.waiting
    if now.points is not None:
        waiting = max(0, now.points - now.over - now.running)
    pieces = [
        (6, f"{now.done:,} done" if now.over or not now.running else "", "green"),
        (8, f"{now.failed:,} failed" if now.failed else "", "red"),
        (7, f"{now.cut:,} not finished" if now.cut else "", "yellow"),
        (5, f"{now.running:,} running" if now.running else "", "cyan"),
        (2, f"{waiting:,} waiting" if waiting else "", "dim"),
        (4, rate_words(now.per_second), ""),
        (9, left_words(now.left_s), ""),
        (1, f"{span(now.took_s)} so far", "dim"),
    ]
    return Text("  ").append_text(fit(pieces, window.width - 2))


def _best(now: SweepCounts, best: Best, window: Window) -> Text:
    from rich.text import Text

    room = window.width - 2
    # The sample of a setting has priority over its band; the name of a run is less important.
    pieces = [
        (9, f"best {now.metric} {short(best.value)}", "bold"),
        (8 if best.band else 5, word(best.says), ""),
        (4, best.band, "dim"),
        (7, "contaminated" if now.contaminated else "", "yellow"),
    ]
    line = Text("  ").append_text(fit(pieces, room))
    setting = ", ".join(f"{name}={short(value)}" for name, value in best.setting.items())
    left = window.width - line.cell_len - 3
    if setting and left >= 10:
        line.append("   ").append(cut(word(setting), left), "dim")
    return line


def _agents(agents: Sequence[AgentLine], window: Window) -> list[Text]:
    """Draw a line for each agent, names under names, numbers under numbers."""
    from rich.text import Text

    names = [cut(word(agent.name), max(10, window.width // 3)) for agent in agents]
    works = [", ".join(filter(None, [word(a.workers), many_runs(a.runs)])) for a in agents]
    name_w, work_w = max(map(len, names), default=0), max(map(len, works), default=0)
    lines = []
    for agent, name, work in zip(agents, names, works, strict=True):
        line = Text.assemble("  ", (name.ljust(name_w), "dim"), "  ")
        room = window.width - line.cell_len
        if agent.silent_s:
            silent = (2, f"silent for {span(agent.silent_s)}", "yellow")
            lines.append(line.append_text(fit([(1, work.ljust(work_w), ""), silent], room)))
            continue
        share, epochs = None, ""
        if agent.epochs is not None and agent.max_epochs:
            low, high = agent.epochs
            share = min(1.0, (low + high) / 2 / agent.max_epochs)
            at = f"{low:,}" if low == high else f"{low:,}-{high:,}"
            epochs = f"epoch {at}/{agent.max_epochs:,}"
        line.append_text(fit([(2, work.ljust(work_w), ""), (1, epochs, "")], room, gap=2))
        cohorts = _cohorts(agent)
        if cohorts and line.cell_len + len(cohorts) + 2 <= window.width:
            line.append("  ").append(cohorts, "dim")
        cells = min(16, window.width - line.cell_len - 2)
        if share is not None and cells >= _LEAST_BAR:
            parts = {"running": share, "left": 1 - share}
            line.append("  ").append_text(bar(parts, cells, window))
        lines.append(line)
    return lines


def _cohorts(agent: AgentLine) -> str:
    together = [n for n in agent.cohorts if n > 1]
    if not together:
        return ""
    return f"{' + '.join(f'{n:,}' for n in together[:3])}{' ...' * (len(together) > 3)} together"
