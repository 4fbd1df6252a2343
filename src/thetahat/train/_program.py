"""What every backend offers the driver: a program that trains C members together.

One driver trains everything: a single fit is a cohort of one. A backend is anything that prepares
such programs; the conformance suite holds them all to the same results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

STOPPED, RUNNING, DIVERGED, UNMOVED, FIRST_RULE = -1, 0, 1, 2, 3
"""Outcome codes of a member; STOPPED by the host; ``FIRST_RULE + k`` is the k-th stopping rule."""


@dataclass(frozen=True)
class Standing:
    """How the members stand between two chunks. Arrays of shape (C,)."""

    active: np.ndarray
    outcome: np.ndarray
    epochs: np.ndarray
    best_epoch: np.ndarray
    best_value: np.ndarray
    moved: np.ndarray


class Program(Protocol):
    """C members of one estimation, compiled together. States are opaque to the driver."""

    size: int
    max_chunk: int
    """Epochs that one ``advance`` may take at most."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that ``advance`` records, one value per epoch and member."""
        ...

    def init(self) -> Any:
        """The state before the first epoch."""
        ...

    def advance(self, state: Any, epoch: int, n: int) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more, from ``epoch`` on; records have shape (C, n)."""
        ...

    def standing(self, state: Any) -> Standing:
        """How the members stand."""
        ...

    def stop(self, state: Any, which: np.ndarray) -> Any:
        """The state in which the members ``which`` (C,) train no more: their outcome is STOPPED."""
        ...

    def evaluate(self, state: Any, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state, by column: (C,).

        The best state is the last one where nothing chooses another.
        """
        ...

    def pack(self, state: Any) -> dict[str, np.ndarray]:
        """The state as named arrays, for a checkpoint."""
        ...

    def unpack(
        self, arrays: Mapping[str, np.ndarray], first: Any = None, *, new_rules: bool = False
    ) -> Any:
        """The state that ``pack`` gave.

        Args:    first: the state before the first epoch, where it is at hand.
                 new_rules: whether the stopping rules' own states are taken from that one.
        """
        ...

    def replay(self, state: Any, records: Mapping[str, np.ndarray]) -> Any:
        """The state as its stopping rules would have it, had they seen the records (C, n)."""
        ...
