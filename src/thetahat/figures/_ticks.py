"""One axis of a figure in a page: its limits, its scale, and ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MARGIN = 0.05
_MOST_DECADES = 6


class PageAxis:
    """The axis of x or of y."""

    def __init__(self, axis_name: str) -> None:
        self.axis_name, self.label = axis_name, ""
        self.log = self.whole = self.sticky = False
        """Logarithmic; ticks at whole numbers alone; without a margin at zero."""
        self.most = 6
        """Ticks at most."""
        self.grid = self.ticks = True
        self.limits: tuple[float, float] | None = None
        self.fixed: list[tuple[float, str]] | None = None
        self.formatter: Callable[[float, Any], str] = lambda value, _: f"{value:.6g}"
        self.seen: list[float] = []

    def see(self, values: Iterable[float]) -> None:
        """Take values into the limits."""
        self.seen += values

    def set_major_formatter(self, formatter: Callable[[float, Any], str]) -> None:
        self.formatter = formatter

    def ends(self) -> tuple[float, float]:
        """The limits; with a margin, unless they were set."""
        if self.limits is not None:
            return self.limits
        known = [v for v in self.seen if math.isfinite(v) and (v > 0 or not self.log)]
        low, high = (min(known), max(known)) if known else (1.0, 2.0)
        if low == high:
            half = 0.05 * abs(low) or 0.05
            return (low / 1.2, high * 1.2) if self.log else (low - half, high + half)
        if self.log:
            edge = (high / low) ** _MARGIN
            return low / edge, high * edge
        edge = _MARGIN * (high - low)
        return (low if self.sticky and low == 0 else low - edge), high + edge

    def share(self, value: float) -> float:
        """The place of a value on the axis, from 0 to 1; NaN of one that has none."""
        low, high = self._ends
        if not self.log:
            return (value - low) / (high - low)
        return math.log(value / low) / math.log(high / low) if value > 0 else math.nan

    def shares(self, values: Sequence[float]) -> Any:
        """``share`` of many values, as an array."""
        import numpy as np

        low, high = self._ends
        given = np.asarray(values, float)
        if not self.log:
            return (given - low) / (high - low)
        known = np.where(given > 0, given, np.nan)
        return np.log(known / low) / math.log(high / low)

    def marks(self) -> list[tuple[float, str]]:
        """Ticks within the limits, with their text."""
        if self.fixed is not None:
            return self.fixed
        low, high = self._ends
        places = log_ticks(low, high) if self.log else self._linear(low, high)
        return [(value, self.formatter(value, None)) for value in places]

    @property
    def _ends(self) -> tuple[float, float]:
        key = len(self.seen), self.limits, self.log, self.sticky
        if getattr(self, "_known", (None, None))[0] != key:
            self._known = (key, self.ends())
        return self._known[1]

    def _linear(self, low: float, high: float) -> list[float]:
        return linear_ticks(low, high, self.most, whole=self.whole)


def linear_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Multiples of a round step between two numbers, at most ``most`` steps.

    >>> linear_ticks(0.0, 1.0, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> linear_ticks(0.4, 3.6, 6, whole=True)
    [1.0, 2.0, 3.0]
    """
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in _STEPS if s * power >= raw * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step - 1e-9)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(k * step, digits) + 0.0 for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, on a log scale.

    >>> log_ticks(0.5, 60.0)
    [1.0, 3.0, 10.0, 30.0]
    """
    decades = math.log10(high / low)
    parts = (1.0,) if decades > 2.3 else (1.0, 3.0) if decades > 1.6 else (1.0, 2.0, 5.0)
    every = max(1, math.ceil(decades / _MOST_DECADES))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = [float(f"{part:g}e{k}") for k in powers if k % every == 0 for part in parts]
    found = [value for value in places if low <= value <= high]
    return found if len(found) > 1 else linear_ticks(low, high, 5)
