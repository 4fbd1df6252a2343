"""Data in the units that fitted parameters were fitted in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from thetahat.core.errors import DataError, notify
from thetahat.data._classes import Classes, listed
from thetahat.data._column_names import ColumnNames
from thetahat.data._containers import PARTS, Data, Observations, is_concrete
from thetahat.data._encoder import Encoder
from thetahat.data._rows import Rows
from thetahat.data._transform import Moved, Transform

_SHOWN = 3


def in_units_of(data: Data, fitted: Transform | None, *, labels: bool = False) -> Data:
    """Standardise data by the table that parameters were fitted to, in place of their own table.

        x' = (x_own * x_std_own + x_mean_own - x_mean) / x_std, and so y

    The parameters are then the same function of the table's columns as where they were fitted.

    Args:    fitted: the transform of the fit.   labels: the loss takes the target as it is.
    Raises:  DataError: other columns, levels or classes; or only one of the two is standardised.
    """
    own = data.transform
    if not isinstance(own, Transform) or not isinstance(fitted, Transform):
        _refuse_one_table(own, fitted)
        return data
    _refuse_other_columns(fitted.encoder, own.encoder)
    _say_other_fills(fitted, own)
    if not labels:
        _say_other_target(fitted, own)
    if labels and not _is_plain(fitted.y_mean, fitted.y_std):
        raise DataError(
            f"start was fitted to the standardised target {fitted.encoder.target!r}, and this"
            " loss takes its target as it is; start from a fit with the same loss"
        )
    x_same = _same(own.x_mean, fitted.x_mean) and _same(own.x_std, fitted.x_std)
    y_same = _same(own.y_mean, fitted.y_mean) and _same(own.y_std, fitted.y_std)
    if x_same and y_same:
        return data

    def moved(part: Any) -> Any:
        x = part.x if x_same else _moved(part.x, own.x_mean, own.x_std, fitted.x_mean, fitted.x_std)
        y = part.y if y_same else _moved(part.y, own.y_mean, own.y_std, fitted.y_mean, fitted.y_std)
        return Observations(x, y, part.weight)

    parts = {name: moved(part) for name in PARTS if (part := getattr(data, name)) is not None}
    names = ("x_mean", "x_std", "y_mean", "y_std")
    transform = replace(own, **{name: getattr(fitted, name) for name in names})
    return data.changed(**parts, transform=transform)


def _moved(values: Any, mean: Any, std: Any, to_mean: Any, to_std: Any) -> Any:
    """(values * std + mean - to_mean) / to_std; the difference of means in double precision."""
    to_mean, to_std = np.asarray(to_mean, np.float64), np.asarray(to_std, np.float64)
    if isinstance(values, Rows):
        return Rows(values.source, values.index, to_mean, to_std, values.fill)
    if isinstance(mean, Moved):
        gap = (np.asarray(mean.centre) - to_mean) / to_std
        shift = gap + np.asarray(mean.unit) / to_std * mean.part
    else:
        shift = (np.asarray(mean, np.float64) - to_mean) / to_std
    scale = std / to_std
    traced = not all(map(is_concrete, (*jax.tree.leaves(shift), scale, values)))
    if traced:
        shift, scale = (jax.numpy.asarray(a).astype(values.dtype) for a in (shift, scale))
    return values * scale + shift


def _is_plain(mean: Any, std: Any) -> bool:
    """Whether a transform leaves numbers as they are."""
    return _same(mean, np.zeros(np.shape(mean))) and _same(std, np.ones(np.shape(std)))


def _same(one: Any, other: Any) -> bool:
    if not all(map(is_concrete, jax.tree.leaves((one, other)))):
        return False
    return np.array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64))


def _refuse_one_table(own: Any, fitted: Any) -> None:
    for transform, which, other in (
        (own, "this table is standardised", "start was fitted to arrays as they were given"),
        (fitted, "start was fitted to a standardised table", "these data are arrays as given"),
    ):
        if not isinstance(transform, Transform):
            continue
        x_plain = _is_plain(transform.x_mean, transform.x_std)
        if not (x_plain and _is_plain(transform.y_mean, transform.y_std)):
            names = ", ".join(transform.encoder.names)
            raise DataError(
                f"{which} ({names}), and {other}: its parameters are in other units; give both"
                " fits a table with these columns, or both arrays"
            )


def _refuse_other_columns(fitted: Encoder, own: Encoder) -> None:
    unnamed = len(fitted.names) == len(own.names) and (fitted.unnamed or own.unnamed)
    if fitted.names != own.names and not unnamed:
        raise DataError(
            f"start was fitted to the columns {', '.join(fitted.names)}, and this table has"
            f" {', '.join(own.names)}; give the same columns, levels and order"
        )


def _say_other_target(fitted: Transform, own: Transform) -> None:
    """Say that the target has another name: its numbers may be of another size."""
    before, now = fitted.encoder.target, own.encoder.target
    if before != now and not (fitted.encoder.unnamed or own.encoder.unnamed):
        notify(
            f"start was fitted to the target {before!r}, and this table's is {now!r}: it is"
            f" standardised by the mean and spread that {before!r} had; if it is of another size,"
            " standardise it yourself or fit without start"
        )


def _say_other_fills(fitted: Transform, own: Transform) -> None:
    """Say in a notice which columns have other numbers in place of missing values than before.

    What a fit's data hold is filled already, so that this cannot be undone as units can.
    """
    if not (own.encoder.imputes and fitted.encoder.imputes):
        return
    new, old = (one.x_mean if one.x_fill is None else one.x_fill for one in (own, fitted))
    if not all(map(is_concrete, jax.tree.leaves((new, old)))):
        return
    filled = (np.asarray(one, np.float64) for one in (new, old))
    other = [
        f"{name!r} with {ours:.4g}, in the start with {before:.4g}"
        for name, ours, before in zip(own.encoder.names, *filled, strict=True)
        if not np.isclose(ours, before, rtol=1e-6, atol=0)
    ]
    if other:
        more = f", and {len(other) - _SHOWN} more" * (len(other) > _SHOWN)
        notify(
            f"start: this table's own train part fills missing values: {'; '.join(other[:_SHOWN])}"
            f"{more}; rows that lack one are predicted otherwise than by the start"
        )


def check_same_columns(fitted: ColumnNames | None, own: ColumnNames | None) -> None:
    """Refuse frames with other columns than those that parameters were fitted to, or in another
    order.

    Args:    fitted, own: names in the inputs; None of arrays, which are taken by position.
    Raises:  DataError: the columns differ.
    """
    names, others = (None if one is None else one.single for one in (fitted, own))
    if names is not None and others is not None and names != others:
        raise DataError(
            f"start was fitted to the columns {', '.join(names)}, and these data have"
            f" {', '.join(others)}; give the same columns in the same order"
        )


def check_same_classes(fitted: Classes | None, own: Classes | None) -> None:
    """Refuse classes in another order than those that parameters were fitted to.

    Raises:  DataError: the labels differ.
    """
    if fitted is None or own is None or fitted.labels == own.labels:
        return
    raise DataError(
        f"start was fitted to the classes {listed(fitted.labels)}, and these data have"
        f" {listed(own.labels)}; give the same classes in the same order"
    )
