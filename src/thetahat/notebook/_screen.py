"""The screen of a sweep that Python runs: a terminal's, a notebook's, or none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal import _sweep_progress as progress
from thetahat.core.card import card

if TYPE_CHECKING:
    from thetahat.cli.terminal._sweep_screen import SweepCounts
    from thetahat.search import Objective
    from thetahat.store import Store, SweepRow

EVERY_S = 0.5
"""Seconds between two drawings of a notebook's screen, at least."""


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def view_of(store: Store, sweep: SweepRow, metric: Objective | None, *, quiet: bool) -> Any:
    """Return the screen, a context whose ``say`` takes an agent's events."""
    kind = NotebookView if in_notebook() and not quiet else progress.View
    return kind(store, sweep, metric, quiet=quiet, where="")


class NotebookView(progress.View):
    """A card below the cell that is drawn anew while agents work."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        self._html: Callable[[str], Any] = HTML
        self._shown: Any = display(HTML(self._card()), display_id=True)
        self._next_s = 0.0

    def say(self, event: Any) -> None:
        """Show an event of the agent."""
        super().say(event)
        if time.monotonic() >= self._next_s:
            self.draw()

    def draw(self) -> None:
        """Draw the sweep as it stands."""
        self.watch.look(at_once=True)
        self._shown.update(self._html(self._card()))
        self._next_s = time.monotonic() + EVERY_S

    def __exit__(self, *error: Any) -> None:
        from thetahat.store import find_sweep

        super().__exit__(*error)
        self._follow(find_sweep(self.store, self.sweep.id))
        self.draw()

    def _print(self) -> None:
        """Print no lines: the card has the counts."""

    def _card(self) -> str:
        return screen_card(self.watch.now())


def screen_card(now: SweepCounts) -> str:
    """Draw a sweep's counts as a card with a bar."""
    of = "" if now.points is None else f" of {now.points:,}"
    facts: dict[str, Any] = {"runs over": f"{now.over:,}{of}", "running": now.running}
    facts |= {"failed": now.failed or None, "waiting": now.waiting or None}
    if now.left_s is not None and now.state == "running":
        facts["time left"] = progress.span(now.left_s)
    if now.best is not None and now.metric is not None:
        facts[f"best {now.metric}"] = f"{now.best.value:.4g} ({now.best.says})"
    wrong = ["contaminated: it tunes on the test set"] if now.contaminated else []
    return card(now.name, f"{now.method}, {now.state}", facts, [_bar(now)], wrong)


def _bar(now: SweepCounts) -> str:
    if not now.points:
        return ""
    parts = [(now.done, "#2a7f4f"), (now.failed + now.cut, "#b3372f"), (now.running, "#3f7fbf")]
    pieces = "".join(
        f'<div style="width:{100 * n / now.points:.2f}%;background:{colour}"></div>'
        for n, colour in parts
    )
    look = "display:flex;height:6px;margin-top:6px;background:rgba(128,128,128,.25)"
    return f'<div style="{look}">{pieces}</div>'
