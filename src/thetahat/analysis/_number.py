"""What counts as a number, and how many of them are enough to say something."""

from __future__ import annotations

import math
from typing import Any

LEAST = 10
"""With fewer settings nothing is said of importance, and no interval keeps its 95 per cent."""


def number(value: Any) -> float | None:
    """A finite number, or None; truth values count as 0 and 1."""
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # A whole number beyond all floats.
        return None
