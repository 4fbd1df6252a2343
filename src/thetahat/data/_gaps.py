"""Rows that a fitted function cannot predict: the notice of them, and NaN in their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core.errors import notify
from thetahat.data._named_rows import NamedRows

_SHOWN = 5
"""Rows that a notice names."""


def say_gone(gone: np.ndarray, why: Sequence[str], table: Any) -> None:
    """Notify of the rows of a table without a prediction."""
    if not (at := np.flatnonzero(gone)).size:
        return
    names = NamedRows("table" if isinstance(table, (str, Path)) else "given")
    notify(
        f"{len(at):,} of {len(gone):,} rows have no prediction, which is NaN (None for a label):"
        f" {', '.join(why)}; {names.said(at[:_SHOWN], len(at))}"
    )


def blank(values: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Replace rows by NaN; of labels, by None."""
    if not gone.any():
        return values
    numbers = values.dtype.kind == "f"
    values = values.copy() if numbers else values.astype(object)
    values[gone] = np.nan if numbers else None
    return values
