"""Inputs of a prediction as the model takes them: a part's are encoded already, others not yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import ShapeError
from thetahat.core.errors import did_you_mean, notify
from thetahat.data import (
    ColumnNames,
    Data,
    Observations,
    as_part,
    column_names,
    named_row,
)


def inputs_of_part(data: Data, x: Any) -> Any:
    """Return the inputs of a part, if x is one, its name, or (rows of) its inputs; else None.

    Rows are known by their numbers, where parts are standardised: a copy of ``data.test.x``, or the
    same of the Data that the Task was given, is not in a table's units.

    Raises:  ShapeError: Observations that are not rows of a part; a word that does not name one.
    """
    found = {name: getattr(data, name) for name in ("train", "val", "test")}
    parts = {name: part for name, part in found.items() if hasattr(part, "x")}
    if isinstance(x, str):
        if x in parts:
            return parts[x].x
        if not Path(x).suffix and not Path(x).exists():
            hint = did_you_mean(x, parts)
            raise ShapeError(f"predict({x!r:.80}): neither a part of the data nor a file{hint}")
    inputs = x.x if isinstance(x, Observations) else x
    for part in parts.values():
        if x is part:
            return part.x
        both = isinstance(inputs, np.ndarray) and isinstance(part.x, np.ndarray)
        if inputs is part.x or (both and np.shares_memory(inputs, part.x)):
            return inputs
    if data.transform is None:
        if not isinstance(x, Observations):
            return None
        columns = inputs_names(data)
        return inputs if columns is None else columns.of_prediction(inputs)
    found = [rows for part in parts.values() if (rows := _as_rows(part.x, inputs)) is not None]
    if not found and isinstance(x, Observations):
        raise ShapeError(
            "predict got Observations that are no rows of the data that were fitted; give rows of"
            " the table, in its units"
        )
    if found and not isinstance(x, Observations) and _both_units(data.transform, found[0]):
        notify(
            "predict got numbers that stand in a standardised part too; they are taken in the"
            " table's own units. Name a part by predict('test')"
        )
        return None
    return found[0] if found else None


def inputs_names(data: Data) -> ColumnNames | None:
    """Return the names of the columns of x, where it was given as a frame; else None."""
    return None if data.columns is None else data.columns.of_inputs(data.train)


def points_in_order(data: Any, points: Any) -> Any:
    """Return points, as the training part holds them, with the columns of their frames in order.

    Args:    data: of the Task: Data, or the training observations alone.
    Raises:  DataError: a column that is missing, or one too many.
    """
    columns = data.columns if isinstance(data, Data) else column_names(data)
    encoder = getattr(getattr(data, "transform", None), "encoder", None)
    if encoder is not None and not encoder.unnamed:
        names = ColumnNames((("", encoder.names),))
    else:
        train = data.train if isinstance(data, Data) else data
        names = None if columns is None else columns.of_inputs(train)
    if names is not None:
        columns = names.inside(points)
    return as_part(points if columns is None else columns.of_parts(points, "points"))


def _both_units(transform: Any, rows: np.ndarray) -> bool:
    """Whether rows of a standardised part may as well be a user's numbers: 0, 1 or 2.5."""
    several = np.atleast_2d(rows)
    short = np.array_equal(several, np.round(several, 3))
    return short and not np.allclose(transform.encode(several), several, rtol=1e-6, atol=1e-9)


def _as_rows(own: Any, x: Any) -> np.ndarray | None:
    """Return x as rows of a part's own inputs (n, d), if every row is one of them; else None."""
    if isinstance(x, (str, Path, Mapping)) or hasattr(x, "columns") or hasattr(x, "to_frame"):
        return None
    if not isinstance(own, np.ndarray) or own.ndim != 2 or own.dtype.kind != "f":
        return None
    try:
        given = np.asarray(x)
    except ValueError:  # a ragged list
        return None
    if given.dtype.kind not in "fiu":
        return None
    rows = given.astype(own.dtype)
    several = np.atleast_2d(rows)
    if not several.size or several.shape[1:] != own.shape[1:] or several.ndim != 2:
        return None
    if not (own == several[0]).all(axis=1).any():
        return None
    known = {row.tobytes() for row in own + 0}  # no -0
    return rows if all(row.tobytes() in known for row in several + 0) else None


def encoded(data: Data, x: Any) -> np.ndarray:
    """Return inputs as the model takes them, by the transform of a table if the data have one.

    A backend decodes its predictions in turn: ``data.transform.decode(y_hat)``.

    Args:    x: one input or many; of a table also a file, a frame or a mapping of columns.
    """
    own = inputs_of_part(data, x)
    if own is not None:
        return np.asarray(own)
    if data.transform is None:
        columns = inputs_names(data)
        return np.asarray(x if columns is None else columns.of_prediction(x))
    if (named := named_row(x)) is not None:
        return data.transform.encode(named)[0]
    if np.ndim(x) == 1 and not hasattr(x, "columns"):
        return data.transform.encode(np.asarray(x)[None])[0]
    return data.transform.encode(x)
