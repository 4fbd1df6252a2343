"""Gradient steps of a program, as the watches of JAX and PyTorch see them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import FrameType


@dataclass(frozen=True)
class GradientStep:
    """One computation of a gradient.

    Args:
        loss: the value that was differentiated.
        rows: observations whose prediction the loss depends on; 0 if not known.
        weight: of an observation in the loss, half the second derivative by its prediction; 0 if
            not known.
        line: where the loss is made; 0 if not known.
        square_line: where predictions and targets broadcast to (N, N); 0 if they do not.
        shared_line: where layers share a parameter; 0 if none do.
        has_layers: whether the computation has two layers or more, so that sharing shows.
    """

    loss: float
    rows: int = 0
    weight: float = 0.0
    line: int = 0
    square_line: int = 0
    shared_line: int = 0
    has_layers: bool = False

    @property
    def total(self) -> float:
        """The sum of squares over its rows."""
        return self.loss / self.weight if self.weight else float("nan")


BARE = GradientStep(float("nan"))
"""A step of which nothing more is known."""


@dataclass
class StepLog:
    """The steps of a run, in their order.

    Args:
        file: of the program.
        open: whether steps are being recorded.
        detailed: whether more is recorded than that there was a step.
    """

    file: str
    steps: list[GradientStep] = field(default_factory=list)
    open: bool = False
    detailed: bool = True


def user_lines(file: str, frame: FrameType | None = None) -> list[int]:
    """List the lines of the program that are being run, innermost first."""
    frame = frame or sys._getframe(1)
    lines = []
    while frame is not None:
        if frame.f_code.co_filename == file:
            lines.append(frame.f_lineno)
        frame = frame.f_back
    return lines
