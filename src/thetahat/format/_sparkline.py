"""A curve in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*#"


def sparkline(
    values: Sequence[float],
    width: int = 48,
    *,
    ascii_only: bool = False,
    span: tuple[float, float] | None = None,
) -> str:
    """Draw a curve as at most ``width`` bars, on a log scale if all values are above zero.

    Each bar is the mean of its values; it is a gap if none is finite.

    Args:    span: the values of the lowest and the highest bar; by default the curve's own.
    >>> sparkline([1, 2, 4, 8, 16, 32, 64, 128])
    '▁▂▃▄▅▆▇█'
    """
    bars = ASCII_BARS if ascii_only else BARS
    seen = [float(v) for v in values]
    finite = [*filter(math.isfinite, seen)]
    if not finite:
        return ""
    low, high = span or (min(finite), max(finite))
    log = low > 0
    scale = math.log if log else float
    n = min(width, len(seen))
    cells = [seen[i * len(seen) // n : (i + 1) * len(seen) // n] for i in range(n)]
    heights = [_mean([*map(scale, filter(math.isfinite, cell))]) for cell in cells]
    bottom, top = scale(low), scale(high)
    return "".join(_bar(h, bottom, top, bars) for h in heights)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _bar(height: float | None, bottom: float, top: float, bars: str) -> str:
    if height is None:
        return " "
    share = (height - bottom) / (top - bottom) if top > bottom else 0.0
    return bars[min(len(bars) - 1, max(0, round(share * (len(bars) - 1))))]
