"""The last value of each name that a program logs or puts into its summary, of whatever type.

Rows of numbers are kept by others: this counts what else the summary has, and which of the rows'
numbers it no longer has.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class LastValues:
    """Keeps one value for each name: a later value replaces an earlier one of another type."""

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        """Numbers that were put beside the rows, after the last row with their name."""
        self.words: dict[str, Any] = {}
        """Values that are not numbers."""
        self.left_out: set[str] = set()
        """Names whose numbers of rows are no longer in the summary."""

    def log(self, names: Iterable[str]) -> None:
        """Take the names of a row of numbers."""
        if self.numbers or self.words or self.left_out:
            for name in names:
                self.numbers.pop(name, None)
                self.words.pop(name, None)
                self.left_out.discard(name)

    def put(
        self,
        numbers: Mapping[str, float],
        words: Mapping[str, Any],
        removed: Iterable[str] = (),
    ) -> None:
        """Take values of the summary, and names that were removed from it."""
        self.log(numbers)
        self.numbers.update(numbers)
        for name in (*removed, *words):
            self.numbers.pop(name, None)
            self.words.pop(name, None)
            self.left_out.add(name)
        self.words.update(words)

    def summary(self, last: Mapping[str, float]) -> dict[str, float]:
        """Return the numbers of the summary.

        Args:    last: the last value of each name in the rows.

        >>> values = LastValues()
        >>> values.put({"loss": 9.0}, {"note": "warm"})
        >>> values.log(["loss", "note"])
        >>> values.summary({"loss": 1.0, "note": 2.0}), values.words
        ({'loss': 1.0, 'note': 2.0}, {})
        """
        whole = {**last, **self.numbers}
        return {name: value for name, value in whole.items() if name not in self.left_out}
