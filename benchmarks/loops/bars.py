"""The bars that the project set itself: printed as met or not, never asserted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.loops.contestants import FLOOR, FLOOR_MANY, OURS, OURS_MANY

Medians = Mapping[str, Mapping[str, float]]
"""Problem to contestant to CPU microseconds a step."""


@dataclass(frozen=True)
class Bar:
    """``over`` / ``under`` is at most (or at least) ``limit``."""

    problem: str
    over: str
    under: str
    limit: float
    at_most: bool

    def judge(self, medians: Medians) -> dict[str, object] | None:
        """The measured ratio and whether it meets the bar; None if one side did not run."""
        found = medians.get(self.problem, {})
        if self.over not in found or self.under not in found:
            return None
        ratio = found[self.over] / found[self.under]
        return {
            "problem": self.problem,
            "ratio": f"{self.over} / {self.under}",
            "bar": f"{'at most' if self.at_most else 'at least'} {self.limit:g}",
            "measured": ratio,
            "met": ratio <= self.limit if self.at_most else ratio >= self.limit,
        }


BARS = (
    Bar("P1", OURS, FLOOR, 1.0, at_most=True),
    Bar("P2", OURS, FLOOR, 1.10, at_most=True),
    Bar("P3", OURS, FLOOR, 1.10, at_most=True),
    Bar("P4", OURS, FLOOR, 1.10, at_most=True),
    Bar("P2", "lectures_nnx", OURS, 20, at_most=False),
    Bar("P3", "lectures_nnx", OURS, 50, at_most=False),
    Bar("P4", "lectures_nnx", OURS, 100, at_most=False),
    Bar("P2", "lightning_bare", OURS, 30, at_most=False),
    Bar("P2", "keras_steps", OURS, 3, at_most=False),
    Bar("P2", "torch_loader", "ours_converted", 20, at_most=False),
    Bar("P3", "torch_loader", "ours_converted", 100, at_most=False),
    Bar("P4", "torch_loader", "ours_converted", 100, at_most=False),
    Bar("P3", "torch_loader", "ours_torch", 2, at_most=False),
    Bar("P4", "torch_loader", "ours_torch", 2, at_most=False),
    Bar("P3", "lightning_bare", "ours_torch", 5, at_most=False),
    Bar("P3x64", OURS_MANY, FLOOR_MANY, 1.15, at_most=True),
    Bar("P4x64", OURS_MANY, FLOOR_MANY, 1.15, at_most=True),
)


def judged(medians: Medians) -> list[dict[str, object]]:
    """Every bar whose two sides ran."""
    verdicts = (bar.judge(medians) for bar in BARS)
    return [verdict for verdict in verdicts if verdict is not None]
