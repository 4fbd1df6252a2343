"""The rule of a split, read from ``groups=``, ``order=`` or ``stratify=``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thetahat.core.errors import DataError, notify
from thetahat.data._cells import words_read
from thetahat.data._columns import TableColumn, column_of
from thetahat.data._named_rows import NamedRows
from thetahat.data._partition import GROUPS, ORDER, STRATIFY, Scheme
from thetahat.data._table import Table

_SORTS_AS_TEXT = re.compile(r"\d{4}(-?(\d\d|Q\d|[Ww]\d\d)(-?\d\d([ T][\d:.]*Z?)?)?)?")
"""Years, quarters, months, weeks, days and times in ISO 8601, which sort as text."""
_UNMET = 0.05


def read_scheme(obs: Any, n: int, given: Mapping[str, Any]) -> Scheme | None:
    """Read the rule of a split, if there is one.

    Args:    obs: what is split.   n: its rows.
             given: "groups", "order" and "stratify": each the name of a table's column, or one
             value per row, or None.
    Raises:  DataError: two rules, no such column, another length, missing values.
    """
    rules = {kind: value for kind, value in given.items() if value is not None}
    if not rules:
        return None
    if len(rules) > 1:
        raise DataError(f"{' and '.join(f'{k}=' for k in rules)} are given; a split has one rule")
    ((kind, value),) = rules.items()
    column, name = _column(obs, n, kind, value)
    if (lost := np.flatnonzero(column.gone())).size:
        names = NamedRows("table", obs.rows) if isinstance(obs, Table) else NamedRows("arrays")
        said = names.said(names.of(lost[:3]), lost.size)
        but = " (missing= reads features, weights and the target)" * isinstance(obs, Table)
        but = words_read({column.name: column.words}) or but
        raise DataError(
            f"{name} has {lost.size} missing value{'s' * (lost.size > 1)}, {names.word} {said};"
            f" fill them, or drop those rows first{but}"
        )
    scheme = Scheme(kind, name, *_codes(column, kind, name))
    if kind == STRATIFY and len(scheme.labels) > max(1, n // 2):
        raise DataError(
            f"{name} has {len(scheme.labels)} levels in {n} rows; give classes, for numbers"
            " intervals such as np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75]))"
        )
    if kind == GROUPS and isinstance(value, str) and value in _features(obs):
        notify(
            f"{name} is a feature too, and no part has the groups of another; leave it out of the"
            f" features, as read_table(..., ignore={value!r}) does",
        )
    return scheme


def say_unmet(scheme: Scheme, names: Sequence[str], asked: Sequence[int], rows: Any) -> None:
    """Say in a notice which parts could not get the rows, or the levels, that were asked for."""
    n = len(scheme.codes)
    if scheme.kind == STRATIFY:
        lacking = [
            f"{name} has no row of {_listed([scheme.labels[i] for i in gone])}"
            for name, at in zip(names, rows, strict=True)
            if len(gone := np.setdiff1d(np.arange(len(scheme.labels)), scheme.codes[at]))
        ]
        if lacking:
            notify(
                f"{scheme.name}: {'; '.join(lacking)}: too few rows to be in every part",
            )
        return
    off = [
        f"{name} has {len(at):,} rows, {size:,} asked for"
        for name, size, at in zip(names, asked, rows, strict=True)
        if abs(len(at) - size) > _UNMET * n
    ]
    if off:
        sizes = np.bincount(scheme.codes)
        top = int(sizes.argmax())
        notify(
            f"{scheme.name}: {'; '.join(off)}, since {scheme.labels[top]!r} has {sizes[top]:,} of"
            f" {n:,} rows and no {'group' if scheme.kind == GROUPS else 'value'} is divided",
        )


def _column(obs: Any, n: int, kind: str, value: Any) -> tuple[TableColumn, str]:
    if isinstance(value, str):
        if not isinstance(obs, Table):
            raise DataError(
                f"{kind}={value!r} names a column, and arrays have none; give one value"
                " per row, or split a table of th.read_table"
            )
        return obs.column(value, kind), f"{kind}={value!r}"
    length = len(value) if np.ndim(value) == 1 else -1
    if length != n and isinstance(obs, Table) and length == obs.rows_before():
        column = column_of(kind, value)  # a value for each row of the table as it was given
        return column.take(np.asarray(obs.rows)), kind
    if length != n:
        shape = np.shape(value)
        column = ", or the name of a column, also where rows were dropped"
        raise DataError(
            f"{kind} has shape {shape}; give one value per row, shape ({n},)"
            + (column if isinstance(obs, Table) else "")
        )
    return column_of(kind, value), kind


def _codes(column: TableColumn, kind: str, name: str) -> tuple[np.ndarray, list[Any]]:
    """Return of each row the position of its value among the sorted values, and these."""
    column = column if kind == ORDER else column.labels()
    if column.kind == "number":
        levels, codes = np.unique(column.values, return_inverse=True)
        return codes, [int(v) if v.is_integer() else v for v in levels.tolist()]
    values = column.values.tolist()
    levels = list(dict.fromkeys(values))
    if kind == ORDER:
        text = [v for v in levels if isinstance(v, str)]
        forms = {v: re.sub(r"\d", "0", v) for v in text}
        longest = max(forms.values(), key=len, default="")
        odd = [v for v in text if not _SORTS_AS_TEXT.fullmatch(v)]
        odd += [v for v in text if not longest.startswith(forms[v])]
        if odd:
            raise DataError(
                f"{name} holds text such as {odd[0]!r}, which does not sort by time; give dates,"
                " numbers, or text of one form such as 2020-01-31"
            )
    try:
        levels.sort()
    except TypeError:
        if kind == ORDER:
            raise DataError(f"{name} holds {column.what}, which have no order") from None
        levels.sort(key=lambda v: (type(v).__name__, str(v)))
    place = {level: i for i, level in enumerate(levels)}
    return np.array([place[v] for v in values], np.int64), levels


def _features(obs: Any) -> list[str]:
    return [feature.name for feature in obs.encoder.features] if isinstance(obs, Table) else []


def _listed(levels: Sequence[Any]) -> str:
    more = f", ... ({len(levels)} levels)" if len(levels) > 3 else ""
    return ", ".join(map(repr, levels[:3])) + more
