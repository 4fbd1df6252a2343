"""Outcome, treatment, instrument and controls: arrays, or names of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.causal._nuisance import (
    NOTHING_LEFT,
    column_of_numbers,
    matrix_of_numbers,
    read_weights,
)
from thetahat.core import ConfigError, DataError
from thetahat.data import check_order, read_table


@dataclass(frozen=True, eq=False)
class Columns:
    """What is estimated from, and the names of it.

    Args:    rows: those with a weight above 0, of which these are; None for all.   n: all rows.
    """

    y: np.ndarray
    d: np.ndarray
    x: np.ndarray
    z: np.ndarray | None
    groups: Any
    weights: Any
    names: dict[str, str]
    controls: tuple[str, ...]
    rows: np.ndarray | None
    n: int


def columns_of(y: Any, d: Any, x: Any, z: Any, groups: Any, weights: Any, table: Any) -> Columns:
    """Read the columns.

    Args:    table: a frame, a mapping of columns or a file, of which the others are names; None
             where they are arrays.
    Raises:  InputError: no such column, missing values, text where numbers are needed.
    """
    given = {"y": y, "d": d, "z": z, "groups": groups, "weights": weights}
    if table is None:
        named = next((k for k, v in given.items() if isinstance(v, str)), None)
        if named is not None:
            raise ConfigError(
                f"{named}={given[named]!r} names a column, and there is no table; give data=, such"
                " as data=frame, or arrays"
            )
        if x is None:
            raise ConfigError("x is missing; give the controls, (n, d)")
        check_order({"y": y, "x": x, **given})
        names = {k: str(getattr(v, "name", None) or k) for k, v in given.items()}
        outcome, matrix = column_of_numbers("y", y), matrix_of_numbers("x", x)
        if len(matrix) != len(outcome):
            raise DataError(f"x has {len(matrix)} rows and y has {len(outcome)}; give as many")
        labels = getattr(x, "columns", None)
        controls = [f"x[{k}]" for k in range(matrix.shape[1])] if labels is None else labels
        return _checked(given, outcome, matrix, names, [str(c) for c in controls])
    return _from_table(given, x, table)


def _from_table(given: dict[str, Any], x: Any, table: Any) -> Columns:
    for k in ("y", "d"):
        if not isinstance(given[k], str):
            raise ConfigError(f"{k} must be the name of a column of data; got {given[k]!r:.40}")
    check_order({"data": table, **given})
    if isinstance(x, str):
        x = [x]
    used = [v for v in given.values() if isinstance(v, str)]
    for name in used:
        twice = [k for k, v in given.items() if isinstance(v, str) and v == name]
        if len(twice) > 1:
            raise ConfigError(
                f"{name!r} is given for {' and for '.join(twice)}; each needs a column of its own"
            )
    if x is not None and (both := [name for name in x if name in used]):
        raise ConfigError(f"{both[0]!r} is a control too; leave it out of x")
    if x is None:
        read = read_table(table, given["y"], ignore=[v for v in used if v != given["y"]])
    else:
        read = read_table(table, given["y"], features=list(x))
    found = {
        k: read.column(v, k).values if isinstance(v, str) and k != "y" else v
        for k, v in given.items()
    }
    names = {k: v if isinstance(v, str) else k for k, v in given.items()}
    y = np.asarray(read.y, np.float64)
    return _checked({**found, "y": y}, y, np.asarray(read.x, np.float64), names, read.names)


def _checked(
    given: dict[str, Any],
    y: np.ndarray,
    x: np.ndarray,
    names: dict[str, str],
    controls: Sequence[str],
) -> Columns:
    n = len(y)
    d = column_of_numbers(names["d"], given["d"], n)
    z = None if given["z"] is None else column_of_numbers(names["z"], given["z"], n)
    groups, weights, rows = given["groups"], read_weights(given["weights"], n), None
    if groups is not None and np.shape(groups) != (n,):
        raise DataError(f"groups has shape {np.shape(groups)}; give one per row, ({n},)")
    if weights is not None and not weights.all():
        rows = np.flatnonzero(weights)
        y, d, x, weights = y[rows], d[rows], x[rows], weights[rows]
        z = None if z is None else z[rows]
        groups = None if groups is None else np.asarray(groups)[rows]
    for name, values in (("y", y), ("d", d), ("z", z)):
        if values is None:
            continue
        if np.ptp(values) == 0:
            raise DataError(
                f"{names[name]} is {values[0]:g} in every row; its effect cannot be estimated"
                if name == "d"
                else f"{names[name]} is {values[0]:g} in every row; give one that varies"
            )
        if (copy := _copy_in(x, values)) is not None:
            raise DataError(
                f"the control {controls[copy]} is a copy of {names[name]}, in its own or in"
                " other units; leave it out of x"
            )
    return Columns(y, d, x, z, groups, weights, names, tuple(map(str, controls)), rows, n)


def _copy_in(x: np.ndarray, values: np.ndarray) -> int | None:
    """The column of x that is a linear function of the values, if there is one."""
    centred = values - values.mean()
    for k, column in enumerate(x.T):
        other = column - column.mean()
        scale = (other @ other) * (centred @ centred)
        if scale > 0 and (other @ centred) ** 2 >= (1 - NOTHING_LEFT**0.5) * scale:
            return k
    return None
