"""Rows of a table that a fitted function cannot predict: a feature is missing or was never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.core.errors import notify
from thetahat.data._columns import TableColumn
from thetahat.data._named_rows import NamedRows

if TYPE_CHECKING:
    from thetahat.data._encoder import Encoder

_SHOWN = 5
"""Rows that a notice names."""


def readable(found: Mapping[str, TableColumn], encoder: Encoder) -> np.ndarray:
    """Tell which rows have the features that a prediction needs, (n,)."""
    lacking, unknown = _lacking(found, encoder)
    return ~np.any([lacking, *unknown.values()], axis=0)


def reasons_of(found: Mapping[str, TableColumn], encoder: Encoder) -> list[str]:
    """Say why rows have no prediction, each reason with its number of rows."""
    lacking, unknown = _lacking(found, encoder)
    n = int(lacking.sum())
    said = [f"{n:,} lack{'s' * (n == 1)} a feature"] if n else []
    for name, rows in unknown.items():
        if n := int(rows.sum()):
            has = "has" if n == 1 else "have"
            if found[name].kind == "number" and np.isinf(found[name].values[rows]).all():
                said.append(f"{n:,} {has} an infinite {name!r}")
                continue
            values = zip(found[name].levels_or_none(), rows, strict=True)
            new = list(dict.fromkeys(value for value, here in values if here))
            shown = ", ".join(map(repr, new[:3])) + ", ..." * (len(new) > 3)
            said.append(f"{n:,} {has} a {name!r} that the fit has not seen ({shown})")
    return said


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


def _lacking(
    found: Mapping[str, TableColumn], encoder: Encoder
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Tell which rows lack a feature, (n,), and by feature which have an unknown level or an
    infinite number."""
    lacking = np.zeros(len(next(iter(found.values())).values), bool)
    unknown = {}
    for feature in encoder.features:
        column = found[feature.name]
        if not encoder.imputes:
            lacking |= column.gone()
        if feature.levels is not None:
            known = {None, *feature.levels}
            unknown[feature.name] = np.array(
                [level not in known for level in column.levels_or_none()], bool
            )
        elif column.kind == "number":
            unknown[feature.name] = np.isinf(column.values)
    return lacking, unknown
