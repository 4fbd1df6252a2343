"""Names of the columns of frames that are given as arrays, and their order in later frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from thetahat.core.errors import DataError
from thetahat.data._columns import named_row

_SHOWN = 8
"""Number of names that a message lists."""


@dataclass(frozen=True)
class ColumnNames:
    """Names of the columns of frames, by the path of each frame in a pytree.

    A frame whose columns are called 0, 1, ... in this order has no names: it is taken by position.

    Args:    by_path: pairs of a path, as JAX writes it, and the names of the columns.
    """

    by_path: tuple[tuple[str, tuple[str, ...]], ...]

    def of_inputs(self, part: Any) -> ColumnNames | None:
        """Return the names in the inputs of a part, by their path there; None if there are none.

        Args:    part: observations with x, or (x, y), or x alone.
        """
        begin = _path_of_inputs(part)
        found = [
            (path.removeprefix(begin), n) for path, n in self.by_path if path.startswith(begin)
        ]
        return ColumnNames(tuple(found)) if found else None

    def inside(self, part: Any) -> ColumnNames:
        """Return these names of inputs, by their path in a part that may be another container."""
        begin = _path_of_inputs(part)
        return ColumnNames(tuple((begin + path, names) for path, names in self.by_path))

    @property
    def single(self) -> tuple[str, ...] | None:
        """The names, where the inputs are one frame with names; else None."""
        names = dict(self.by_path).get("")
        return None if names is None or _are_numbers(names) else names

    def of_parts(self, part: Any, name: str) -> Any:
        """Return a part with the columns of its frames in this order.

        Raises:  DataError: a column that is missing, or one too many.
        """

        def where(path: str) -> tuple[str, str]:
            return f"{name}{path} is a table", "the training part has"

        return self._in_order(part, where)

    def of_prediction(self, x: Any) -> Any:
        """Return inputs of a prediction with the columns of their frames in this order.

        Args:    x: also one row with names, a pandas Series.
        Raises:  DataError: a column that is missing, or one too many.
        """

        def where(path: str) -> tuple[str, str]:
            return f"predict got a table{' ' * bool(path)}{path}", "the model was fitted to"

        names = dict(self.by_path).get("")
        if names is not None and (row := named_row(x)) is not None:
            at = _order(tuple(row), names, where(""))
            values = np.asarray(x)
            return values if at is None else values[at]
        return self._in_order(x, where)

    def of_row(self, x: Any) -> Any:
        """Return one observation with its numbers in this order: a Series or a mapping of names to
        values goes by name, anything else stays as it is.

        Raises:  DataError: a column that is missing, or one too many.
        """
        names, row = self.single, named_row(x)
        if row is None and isinstance(x, Mapping):
            row = {str(name): [value] for name, value in x.items()}
        if names is None or row is None:
            return x
        at = _order(tuple(row), names, ("the model got a row", "it was fitted to"))
        values = [value for (value,) in row.values()]
        values = values if at is None else [values[k] for k in at]
        traced = any(isinstance(value, Tracer) for value in values)
        return jnp.stack(values) if traced else np.asarray(values)

    def _in_order(self, tree: Any, where: Any) -> Any:
        names = dict(self.by_path)

        def leaf(path: Any, value: Any) -> Any:
            found = jax.tree_util.keystr(path)
            own = frame_names(value)
            if own is None or found not in names:
                return value
            at = _order(own, names[found], where(found))
            return value if at is None else _taken(value, at)

        return jax.tree_util.tree_map_with_path(leaf, tree, is_leaf=_is_leaf)


def _path_of_inputs(part: Any) -> str:
    """The path of the inputs in a part: observations with x, or (x, y), or x alone."""
    if hasattr(part, "x"):
        return ".x"
    if isinstance(part, Mapping):
        return "['x']"
    return "[0]" if isinstance(part, (tuple, list)) else ""


def frame_names(value: Any) -> tuple[str, ...] | None:
    """Return the names of a frame's columns, of any library; None of what is not a frame.

    >>> frame_names(np.ones((2, 2))) is None
    True
    """
    if isinstance(value, type) or not any(
        hasattr(value, name) for name in ("to_numpy", "collect_schema", "to_pandas")
    ):
        return None
    if hasattr(value, "collect_schema"):  # of polars
        return tuple(value.collect_schema().names())
    columns = getattr(value, "column_names", None)  # of pyarrow
    columns = getattr(value, "columns", None) if columns is None else columns
    if columns is None or callable(columns) or len(getattr(value, "shape", ())) != 2:
        return None
    return tuple(map(str, columns))


def column_names(part: Any) -> ColumnNames | None:
    """Return the names of the columns of frames in a part; None if it has no frames.

    A Table has the names of the numbers that it was encoded as.
    """
    if (encoder := getattr(part, "encoder", None)) is not None:
        return ColumnNames(((".x", tuple(encoder.names)),))
    leaves = jax.tree_util.tree_flatten_with_path(part, is_leaf=_is_leaf)[0]
    named = [(jax.tree_util.keystr(path), frame_names(leaf)) for path, leaf in leaves]
    found = [(path, names) for path, names in named if names is not None]
    return ColumnNames(tuple(found)) if found else None


def aligned_parts(parts: Mapping[str, Any]) -> tuple[dict[str, Any], ColumnNames | None]:
    """Put the columns of frames into the order of the first part that has names for them.

    Returns: the parts, and the names.
    Raises:  DataError: a column that another part lacks.
    """
    known: dict[str, tuple[str, ...]] = {}
    for part in parts.values():
        if (names := column_names(part)) is not None:
            known = {**dict(names.by_path), **known}
    if not known:
        return dict(parts), None
    columns = ColumnNames(tuple(known.items()))
    _check_tables(parts, known.get(".x", ()))
    return {name: columns.of_parts(part, name) for name, part in parts.items()}, columns


def _check_tables(parts: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse Tables whose numbers are other columns or classes than those of the first part."""
    found = {k: part.encoder for k, part in parts.items() if hasattr(part, "encoder")}
    for name, encoder in found.items():
        if tuple(encoder.names) != tuple(names):
            raise DataError(
                f"{name} is a table with the columns {_listed(encoder.names)}, and the training"
                f" part has {_listed(names)}; read both with the same features, levels and order"
            )
        first = next(iter(found.values()))
        own, others = (None if e.classes is None else e.classes.labels for e in (encoder, first))
        if own != others:
            raise DataError(
                f"{name} is a table whose target has the classes {own}, and that of the training"
                f" part has {others}; read one table with all rows, and split it"
            )


def _is_leaf(value: Any) -> bool:
    """Whether a value is a list of numbers, or of lists, or read only once: it holds no frames."""
    if isinstance(value, Iterator):
        return True
    return type(value) is list and not any(frame_names(one) for one in value[:2])


def _order(own: Sequence[str], names: Sequence[str], said: tuple[str, str]) -> list[int] | None:
    """Return the positions of names among a frame's own; None where they stay as they are."""
    if tuple(own) == tuple(names):
        return None
    same = len(own) == len(set(own)) and len(names) == len(set(names)) and set(own) == set(names)
    if same:
        return [own.index(name) for name in names]
    if not _are_numbers(own) and not _are_numbers(names):
        _refuse(own, names, said)
    return None


def _are_numbers(names: Sequence[str]) -> bool:
    """Whether columns are called 0, 1, ..., as in a frame without names."""
    return list(names) == [str(k) for k in range(len(names))]


def _refuse(own: Sequence[str], names: Sequence[str], said: tuple[str, str]) -> NoReturn:
    what, other = said
    lost = [name for name in names if name not in own]
    more = [name for name in own if name not in names]
    twice = [name for k, name in enumerate(own) if name in own[:k]]
    twice += [name for k, name in enumerate(names) if name in names[:k]]
    differ = [f"without the column {name!r}" for name in lost[:1]]
    differ += [f"with the column {name!r}, which is not among them" for name in more[:1]]
    if not differ:
        differ = [f"with two columns {twice[0]!r}, in another order"]
    raise DataError(
        f"{what} {' and '.join(differ)}; {other} {_listed(names)}: give these columns alone, in any"
        " order"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)


def _taken(frame: Any, at: Sequence[int]) -> Any:
    """Take the columns of a frame at these positions."""
    if hasattr(frame, "iloc"):
        return frame.iloc[:, list(at)]
    names = frame_names(frame)
    assert names is not None
    return frame.select([names[k] for k in at])
