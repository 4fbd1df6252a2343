"""Small-cell suppression: with ``--min-cell K`` nothing is said that rests on fewer than K runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError

if TYPE_CHECKING:
    from thetahat.store import RunRow

_OBSERVED = ("n_train", "n_val", "n_test", "n_obs", "n_observations", "N")
"""Names under which experiments say how many observations a number rests on."""


@dataclass(frozen=True)
class CellRule:
    """What may be said of how few. ``least`` 1 hides nothing."""

    least: int = 1

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ConfigError(f"--min-cell={self.least}: give a whole number of at least 1")

    @property
    def on(self) -> bool:
        """Whether anything can be hidden."""
        return self.least > 1

    @property
    def word(self) -> str:
        """What stands in place of a number.

        >>> CellRule(5).word
        'suppressed (<5)'
        """
        return f"suppressed (<{self.least})"

    def hides(self, n: int) -> bool:
        """Whether a number that rests on ``n`` runs is hidden."""
        return self.on and n < self.least

    def hides_count(self, n: int) -> bool:
        """Whether the count itself is hidden: none at all says nothing of anybody."""
        return self.on and 0 < n < self.least

    def hides_run(self, run: RunRow) -> bool:
        """Whether a run rests on too few observations, as far as it says how many there were."""
        found = observations(run)
        return found is not None and self.hides(found)

    def hidden(self, sizes: Sequence[int]) -> list[bool]:
        """Which of some cells are hidden; never exactly one, which the total would give away.

        >>> CellRule(5).hidden([9, 3, 6])
        [False, True, True]
        >>> CellRule(5).hidden([9, 3, 2])
        [False, True, True]
        """
        hides = [self.hides(n) for n in sizes]
        if sum(hides) == 1 and len(sizes) > 1:
            open_cells = [i for i, hidden in enumerate(hides) if not hidden]
            hides[min(open_cells, key=lambda i: (sizes[i], i))] = True
        return hides


def observations(run: RunRow) -> int | None:
    """The fewest observations that a run's config or metrics name; None where they name none."""
    known: list[Mapping[str, Any]] = [run.config, run.metrics]
    found = [
        int(section[name])
        for section in known
        for name in _OBSERVED
        if isinstance(section.get(name), (int, float)) and not isinstance(section[name], bool)
    ]
    return min((n for n in found if n > 0), default=None)
