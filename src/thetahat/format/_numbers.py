"""Numbers and text as cells: one style for a whole column, so that digits align."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

DIGITS = 4
NOT_FINITE = "not finite"
"""The cell of a number that was NaN or infinite; that of a missing one is empty."""
_MOST_DECIMALS = 6
_WIDEST = 1e6


def plain(value: Any) -> Any:
    """Convert a value to Python's own types: scalars of NumPy and others become numbers."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return value.tolist()
    return value


def is_number(value: Any) -> bool:
    """Tell whether a cell holds a number; a truth value is text."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def column_cells(values: Sequence[Any], digits: int = DIGITS) -> list[str]:
    """Write the values of one column in one style, so that decimal points align.

    The largest number gets ``digits`` significant digits and the smallest one fewer at least;
    decimals that are zero all the way down are left out; a range too wide for fixed decimals is
    written in powers of ten. Whole numbers stay whole; missing and not finite give empty text.

    >>> column_cells([0.123456, 0.0567891, None])
    ['0.1235', '0.0568', '']
    >>> column_cells([0.1, 0.001])
    ['0.100', '0.001']
    >>> column_cells([1.0, 0.00001234])
    ['1.000e+00', '1.234e-05']
    """
    values = [plain(value) for value in values]
    if any(isinstance(value, float) for value in values):
        values = [float(v) if is_number(v) else v for v in values]
    style = _style([v for v in values if isinstance(v, float) and math.isfinite(v)], digits)
    return [_cell(value, style) for value in values]


def word(value: Any) -> str:
    """Write a value that is not a number as one line of printable text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(short(item) for item in value) + "]"
    return escaped(str(value))


def escaped(text: str, *, keep: str = "") -> str:
    """Escape what a terminal would obey, reorder or not show; ``keep`` lists exceptions."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def short(value: Any, digits: int = DIGITS) -> str:
    """Write one number in as few characters as ``digits`` significant digits need.

    >>> short(0.001), short(123456.789), short(2.5e-7), short(64)
    ('0.001', '1.235e+05', '2.5e-07', '64')
    """
    value = plain(value)
    if isinstance(value, float):
        return f"{value:.{digits}g}" if math.isfinite(value) else ""
    return str(value) if is_number(value) else word(value)


def cut(text: str, room: int, more: str = "..") -> str:
    """Cut text to at most ``room`` cells of a terminal, ``more`` at its end.

    >>> cut("calm-otter-7", 8)
    'calm-o..'
    """
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - len(more))).rstrip() + more


def _style(numbers: list[float], digits: int) -> str:
    sizes = [abs(v) for v in numbers if v != 0]
    if not sizes:
        return ".0f"
    smallest, largest = (math.floor(math.log10(size)) for size in (min(sizes), max(sizes)))
    decimals = max(0, digits - 1 - largest, digits - 2 - smallest)
    decimals = min(decimals, max(_decimals(v) for v in numbers))
    if decimals <= _MOST_DECIMALS and largest < math.log10(_WIDEST):
        return f".{decimals}f"
    # Digits that no number of the column has are left out, but for those of every other column.
    needed = max(len(Decimal(repr(v)).normalize().as_tuple().digits) for v in numbers) - 1
    return f".{min(digits - 1, max(DIGITS - 1, needed))}e"


def _decimals(value: float) -> int:
    """Count the decimals that write a number exactly."""
    return max(0, -int(Decimal(repr(value)).normalize().as_tuple().exponent))


def _cell(value: Any, style: str) -> str:
    if isinstance(value, float):
        return format(value, style) if math.isfinite(value) else ""
    if is_number(value):
        return str(value)
    return word(value)


def size(count: float) -> str:
    """Write a number of bytes.

    >>> size(512), size(2048)
    ('512 bytes', '2.0 KB')
    """
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
