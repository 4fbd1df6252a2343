"""Classes of a target: their labels, coded once as 0..k-1 and decoded in predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np

from thetahat.core.errors import DataError, notify
from thetahat.data._columns import WHOLE, TableColumn, columns_of
from thetahat.data._named_rows import NamedRows

_SHOWN = 6
"""Number of labels that a message lists."""
_MOST = 1000
"""Number of different whole numbers up to which they may be labels."""
_SINGLE = 2**24
"""Whole numbers up to it are exact in single precision."""


@dataclass(frozen=True)
class Classes:
    """Labels of the classes 0..k-1, in order, and their type in predictions.

    Args:    labels: Python bools, integers, floats or text.
             dtype: of NumPy, "str" for its own text, "object" for Python's.
    Raises:  ValueError: another dtype.
    >>> Classes(("no", "yes"), "object").decode(np.array([1, 0]))
    array(['yes', 'no'], dtype=object)
    """

    labels: tuple[Any, ...]
    dtype: str = "object"

    def __post_init__(self) -> None:
        if self.dtype not in ("str", "object") and np.dtype(self.dtype).kind not in "biuf":
            raise ValueError(f"labels of dtype {self.dtype!r}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def array(self) -> np.ndarray:
        """The labels as an array, (k,)."""
        return np.array(self.labels, self.dtype)

    def decode(self, codes: Any) -> np.ndarray:
        """Return the labels of codes 0..k-1, in the shape of the codes."""
        return self.array[np.asarray(codes)]

    def codes(self, values: Sequence[Any], where: str, names: NamedRows) -> np.ndarray:
        """Return the positions of labels, (n,) of int32.

        Raises:  DataError: an unknown label; the message starts with ``where``.
        """
        position = {label: code for code, label in enumerate(self.labels)}
        codes = np.array([position.get(value, -1) for value in values], np.int32)
        if (unknown := np.flatnonzero(codes < 0)).size:
            own = np.sort(names.of(unknown))
            first = values[int(unknown[np.argsort(names.of(unknown), kind="stable")[0]])]
            raise DataError(
                f"{where} has the label {first!r} {names.word} {names.said(own[:3], unknown.size)},"
                f" which the training part lacks (it has {listed(self.labels)}); give train some"
                " such observations, or drop these"
            )
        return codes


def made_classes(labels: set[Any], dtype: str | None, order: Sequence[Any] | None) -> Classes:
    """Make the classes of the labels that occur.

    Args:    dtype: in predictions; None: that of the labels.
             order: of a categorical; None: numbers by size, then text.
    >>> made_classes({2.0, 1.0}, "int64", None)
    Classes(labels=(1, 2), dtype='int64')
    """
    if order is None:
        found = tuple(sorted(labels, key=lambda v: (isinstance(v, str), v)))
    else:
        found = tuple(label for label in order if label in labels)
    _say_alike(found)
    if dtype in (None, "object"):
        dtype = _dtype_of(found)
    return Classes(
        tuple(np.array(found, dtype).tolist()) if dtype not in ("str", "object") else found, dtype
    )


def _say_alike(labels: Sequence[Any]) -> None:
    """Note text labels that differ in case or spaces only."""
    seen: dict[str, str] = {}
    for label in labels:
        if isinstance(label, str):
            other = seen.setdefault(" ".join(label.split()).casefold(), label)
            if other != label:
                notify(
                    f"the labels {other!r} and {label!r} differ in case or spaces only, and are two"
                    " classes; write them alike if they are one"
                )


def _dtype_of(labels: Sequence[Any]) -> str:
    kinds = {type(label) for label in labels}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int64"
    if kinds == {str} and not any(label.endswith("\0") for label in labels):
        return "str"  # NumPy drops zeros at the end of text
    return "float64" if kinds <= {int, float} else "object"


def listed(labels: Sequence[Any]) -> str:
    """List labels for a message, the first few of many.

    >>> listed((False, True))
    'False, True'
    """
    shown = ", ".join(map(repr, labels[:_SHOWN]))
    return shown + (f", ... ({len(labels)})" if len(labels) > _SHOWN else "")


def single_class(where: str, label: Any) -> DataError:
    """Make the error of a target with one class."""
    return DataError(f"{where} has the single class {label!r}; there is nothing to estimate")


def check_levels(where: str, levels: set[Any]) -> None:
    """Check that levels are text or numbers, which doubles hold.

    Raises:  DataError: they are not; the message starts with ``where``.
    """
    odd = [level for level in levels if not isinstance(level, (str, int, float))]
    if odd:
        raise DataError(
            f"{where} has the level {odd[0]!r}, a {type(odd[0]).__name__};"
            " make the levels text or numbers"
        )
    large = [v for v in levels if not isinstance(v, str) and abs(v) > WHOLE]
    if large:
        raise DataError(
            f"{where} has the level {large[0]!r}, which double precision rounds;"
            " make the levels text"
        )


def coded(parts: Mapping[str, Any]) -> tuple[dict[str, Any], Classes | None]:
    """Replace labels y of the parts by their codes; parts whose y is numbers stay as they are.

    Labels are text, Python objects or a categorical, in an array, a list or a Series. The first
    part, the training part, has the classes.

    Raises:  DataError: missing labels, labels of different types, a label the first part lacks.
    """
    columns = {name: _labels(name, part) for name, part in parts.items()}
    first = next(iter(columns))
    column = columns[first]
    if column is None:
        if strange := next((name for name, found in columns.items() if found is not None), None):
            raise DataError(
                f"y of {strange} holds labels, and y of {first} numbers; give all parts labels"
            )
        return dict(parts), None
    levels = set(column.levels_or_none())
    check_levels(_where(first), levels)
    classes = made_classes(levels, column.dtype, column.order)
    if len(classes) == 1:
        raise single_class(_where(first), classes.labels[0])
    made = {}
    for name, part in parts.items():
        found = columns[name]
        if found is None:
            raise DataError(f"y of {first} holds labels, and y of {name} not; give both labels")
        codes = classes.codes(found.levels_or_none(), _where(name), NamedRows())
        made[name] = with_y(part, codes)
    return made, classes


def whole_labels(y: Any) -> Classes | None:
    """Return the different values of y as classes, where they may be labels; None elsewhere.

    They may be, if they are few whole numbers that single precision holds.

    >>> whole_labels(np.array([2, 1, 2]))
    Classes(labels=(1, 2), dtype='int64')
    """
    if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype.kind not in "biuf":
        return None
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        return None
    seen = np.unique(y)
    if len(seen) > _MOST or np.abs(seen[[0, -1]].astype(np.float64)).max() > _SINGLE:
        return None
    return Classes(tuple(seen.tolist()), str(y.dtype))


def _labels(name: str, part: Any) -> TableColumn | None:
    """Return the labels of a part's y, checked; None if y is numbers, or absent."""
    y, where = y_of(part), _where(name)
    if y is None or not _may_be_labels(y):
        return None
    if len(np.shape(y)) != 1:
        raise DataError(f"{where} holds labels of shape {np.shape(y)}; give shape (N,)")
    column = columns_of({"y": y})["y"]
    if column.kind == "number" and column.dtype == "float64":
        return None
    if column.kind == "other":
        raise DataError(
            f"{where} holds {column.what}, e.g. {column.example!r}; make all labels text, or all"
            " whole numbers"
        )
    if (gone := np.flatnonzero(column.gone())).size:
        raise DataError(
            f"{where} has {gone.size} missing label{'s' * (gone.size > 1)}, first at index"
            f" {gone[0]}; drop those rows"
        )
    if getattr(getattr(y, "dtype", None), "kind", "") != "U":
        return column
    if "nan" in column.values:
        notify(
            f"{where} has the label 'nan': NumPy makes this text of a missing value among text;"
            " if it is one, drop those rows",
        )
    return replace(column, dtype="str")


def _where(name: str) -> str:
    return "y" if name == "obs" else f"y of {name}"


def y_of(part: Any) -> Any:
    """Return y of observations, as they were given; None if there is none."""
    if isinstance(part, Mapping):
        return part.get("y")
    if isinstance(part, (tuple, list)):
        return part[1] if len(part) == 2 else None
    return getattr(part, "y", None) if is_dataclass(part) else None


def _may_be_labels(y: Any) -> bool:
    if isinstance(y, (list, tuple)):
        return any(isinstance(value, str) for value in y)
    dtype: Any = getattr(y, "dtype", None)
    if type(y).__module__.split(".")[0] == "polars":
        return not (dtype.is_numeric() or str(dtype) == "Boolean")
    if getattr(dtype, "kind", "") == "b" and hasattr(y, "isna"):
        return bool(np.any(y.isna()))
    return hasattr(dtype, "categories") or getattr(dtype, "kind", "") in ("U", "O", "T")


def with_y(part: Any, y: Any) -> Any:
    """Return observations with another y."""
    if isinstance(part, Mapping):
        return {**part, "y": y}
    if isinstance(part, (tuple, list)):
        kind: Any = type(part)
        return kind(part[0], y) if hasattr(part, "_fields") else kind((part[0], y))
    return replace(part, y=y)
