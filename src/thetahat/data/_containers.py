"""Observations and Data: pytrees of arrays with N observations along the first axis.

JAX rebuilds both with any leaves (tracers, ``None``, shapes), so all checks are in
``__post_init__``, which unflattening skips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.tree_util import GetAttrKey, register_pytree_with_keys

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import DataError, notify
from thetahat.core.numbers import is_number
from thetahat.data._classes import Classes, coded, listed
from thetahat.data._column_names import ColumnNames, aligned_parts
from thetahat.data._named_rows import NamedRows
from thetahat.data._row_order import check_order, refuse_sparse, unmasked


@arguments_named
@dataclass(frozen=True, eq=False)
class Observations:
    """N observations of inputs and outcomes, with optional weights.

    Args:    x: inputs, (N, d) or any pytree of (N, ...).   y: outcomes, (N,) or (N, k).
             weight: (N,), at least 0; None weighs all alike.
    Has:     ``x, y = z`` unpacks N observations and, inside a residual, one; ``z[0]`` is x and
             ``z[1]`` is y, as in a pair. A slice or an array takes rows.
             units: the transform of the Data that standardised them, whose part they are; else
             None.
    >>> obs = Observations(np.ones((3, 2)), np.zeros(3))
    >>> len(obs), obs[:2].x.shape, obs[1].shape
    (3, (2, 2), (3,))
    """

    x: Any
    y: Any
    weight: Any = None
    units: Any = field(default=None, init=False)

    def __repr__(self) -> str:
        return f"Observations({_shapes_by_name(self)})"

    def __iter__(self) -> Iterator[Any]:
        return iter((self.x, self.y))

    def __len__(self) -> int:
        return n_observations(self)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, (int, np.integer)) and not isinstance(rows, bool):
            if rows not in (0, 1):
                raise IndexError(
                    f"index {rows} of observations: 0 is x, 1 is y; row {rows} is"
                    f" [{rows}:{int(rows) + 1}]"
                )
            return (self.x, self.y)[rows]
        return jax.tree.map(lambda leaf: leaf[rows], self)


def _shapes_by_name(part: Any) -> str:
    """Write the shapes of x, y and weight; of another part, those of its leaves."""
    if not isinstance(part, Observations):
        return _shapes(part)
    leaves = {"x": part.x, "y": part.y, "weight": part.weight}
    return ", ".join(f"{k}: {_shapes(v)}" for k, v in leaves.items() if v is not None)


def _shapes(value: Any) -> str:
    """Write the shapes of a tree's arrays: the numbers themselves are too many.

    >>> _shapes(np.ones((3, 2))), _shapes({"a": np.ones(3)})
    ('(3, 2)', '(3,)')
    """
    leaves = jax.tree.leaves(value)
    told = ", ".join(str(getattr(leaf, "shape", leaf)) for leaf in leaves[:4])
    return told + (", ..." if len(leaves) > 4 else "")


@arguments_named
@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """The train, validation and test parts of one estimation.

    Args:    train, val, test: pytrees of arrays of one structure, N observations along the first
             axis of every leaf (N may differ between parts). Frames become NumPy arrays.
             transform: from a table's columns to x and y, or None.
             targets: a table's own y by part, if y is standardised; for losses of a prediction
             (logistic, cross-entropy).
    Has:     rows: by part, (N,), the positions of its rows in the arrays or the table that was
             split, from 0; None if unknown, empty inside a traced program. They merge
             predictions back.
             classes: of y, if it was given as labels (text, a categorical): y is then 0..k-1.
             columns: names of the columns of x, where it was given as a frame: val, test and
             later predictions may have them in any order. None of arrays.
             levels: different whole numbers of y, where the split is traced; None elsewhere.
             largest: by part, the rows of the largest of several Data that are fitted alike, such
             as folds: they train by one program. None elsewhere.
    Raises:  DataError: an empty part, leaves of different N, parts of different structure or with
             other columns, values that are not finite. Traced values are not checked.
    >>> data = Data(train=(np.ones((8, 2)), np.ones(8)), val=(np.ones((2, 2)), np.ones(2)))
    >>> n_observations(data.val)
    2
    """

    train: Any
    val: Any = None
    test: Any = None
    transform: Any = None
    targets: Any = None
    rows: Any = field(default=None, init=False)
    classes: Classes | None = field(default=None, init=False)
    columns: ColumnNames | None = field(default=None, init=False)
    levels: Classes | None = field(default=None, init=False)
    largest: Mapping[str, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        there = {n: part for n in PARTS if (part := getattr(self, n)) is not None}
        standardised = [n for n, part in there.items() if getattr(part, "units", None) is not None]
        encoder = getattr(self.train, "encoder", None)  # of a Table
        for name, part in there.items():
            if not isinstance(part, Iterator):
                check_order(leaves_by_name(name, part))
        there, columns = aligned_parts(there)
        object.__setattr__(self, "columns", columns)
        there, classes = coded(there) if there else ({}, None)
        classes = classes if encoder is None else encoder.classes
        object.__setattr__(self, "classes", classes)
        for name in PARTS:
            part = there.get(name)
            if isinstance(part, Iterator):
                raise DataError(
                    f"{name} is a {type(part).__name__}, not an array, and can be read"
                    " only once; wrap it in np.array(list(...))"
                )
            part = as_part(part)
            if isinstance(part, Observations):  # a new object, as as_part makes them
                units = None if getattr(self.transform, "plain", False) else self.transform
                object.__setattr__(part, "units", units)
            object.__setattr__(self, name, part)
            for where, block in _blocks(name, part):
                check_part(where, block)
        if self.train is None:
            raise DataError("train is None; Data needs a training part")
        if self.transform is None:
            _say_lost_units(standardised)
        for name in ("val", "test"):
            if getattr(self, name) is not None:
                _check_alike(name, getattr(self, name), self.train)

    def __str__(self) -> str:
        return "\n  ".join(["Data", *(f"{what.ljust(5)}  {said}" for what, said in self._said())])

    def __repr__(self) -> str:
        return f"Data({'; '.join(f'{what} {said}' for what, said in self._said())})"

    def _said(self) -> list[tuple[str, str]]:
        """A few words about each part, the table and the classes."""
        there = {name: part for name in PARTS if (part := getattr(self, name)) is not None}
        found = [(name, _shapes_by_name(part)) for name, part in there.items()]
        if self.transform is not None:
            found.append(("table", self.transform.said))
        if self.classes is not None:
            found.append(("y", f"0..{len(self.classes) - 1}: {listed(self.classes.labels)}"))
        return found

    def named_rows(self, name: str) -> NamedRows:
        """Return the names of a part's rows, for messages."""
        encoder = getattr(self.transform, "encoder", None)
        tabular = encoder is not None and not encoder.of_arrays
        if not self.rows:
            return NamedRows("part" if tabular else "given")
        return NamedRows("table" if tabular else "arrays", self.rows[name])

    def changed(self, **fields: Any) -> Data:
        """Return a copy with other fields, without checks."""
        other = object.__new__(Data)
        for name in (*PARTS, "transform", "targets", *_KEPT):
            object.__setattr__(other, name, fields.get(name, getattr(self, name)))
        return other


PARTS = ("train", "val", "test")
_KEPT = ("rows", "classes", "columns", "levels", "largest")


def n_observations(part: Any) -> int:
    """Count the observations N of a part: the length of the first axis of its leaves.

    Args:    part: a pytree of (N, ...).
    Returns: an int.
    >>> n_observations((np.ones((5, 2)), np.ones(5)))
    5
    """
    leaves = jax.tree.leaves(part)
    if not leaves:
        raise DataError("a part without arrays; give observations with N along the first axis")
    return int(leaves[0].shape[0])


def weights_of(part: Any) -> Any:
    """Return the weights of a part, shape (N,), or None.

    Weights are the attribute ``weight``, or the entry "weight" of a dict.

    Args:    part: a pytree of (N, ...).
    Returns: an array (N,), or None.
    Raises:  DataError: weights that are negative, not finite or all zero (unless traced).
    >>> weights_of({"x": np.ones((2, 1)), "weight": np.array([1.0, 3.0])})
    array([1., 3.])
    """
    weight = part.get("weight") if isinstance(part, Mapping) else getattr(part, "weight", None)
    if weight is not None:
        _check_weight(weight)
    return weight


def is_concrete(value: Any) -> bool:
    """Return whether Python can read a value: whether it is neither a tracer nor a shape."""
    return not isinstance(value, (Tracer, jax.ShapeDtypeStruct))


def _check_weight(weight: Any) -> None:
    shape = getattr(weight, "shape", None)
    if shape is not None and len(shape) != 1:
        raise DataError(f"weights have shape {tuple(shape)}; give one per observation, shape (N,)")
    if not isinstance(weight, (np.ndarray, jax.Array)) or not is_concrete(weight):
        return
    values = np.asarray(weight)
    bad = np.flatnonzero(~(values >= 0) | ~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"weights must be finite and at least 0; got {values[bad[0]]} at index {bad[0]} "
            f"({bad.size} such); drop or fix those rows"
        )
    if not values.any():
        raise DataError("all weights are zero; give at least one observation a positive weight")


def _say_lost_units(names: list[str]) -> None:
    """Say in a notice which parts are standardised numbers, and no longer known to be."""
    if names:
        are = "is a part" if len(names) == 1 else "are parts"
        notify(
            f"{' and '.join(names)} {are} of data that were standardised, and this Data does not"
            " know their units: predictions and risks are of standardised numbers, and rows to"
            " predict too; split into the parts that you want (val=0 for none), or give rows in"
            " their own units"
        )


def as_part(part: Any) -> Any:
    """Return the observations of a value; convert frames and tensors to NumPy arrays."""
    obs = getattr(part, "obs", None)
    if isinstance(obs, Observations):
        part = obs
    return jax.tree.map(_on_host, _of_lists(part))


def _on_host(leaf: Any) -> Any:
    """Return a frame, or a tensor of PyTorch, as a NumPy array."""
    refuse_sparse(leaf)
    if hasattr(leaf, "to_numpy"):
        return leaf.to_numpy()
    if isinstance(leaf, np.ma.MaskedArray):
        return unmasked(leaf)
    return leaf.detach().cpu().numpy() if type(leaf).__module__ == "torch" else leaf


def _of_lists(part: Any) -> Any:
    """Return a pair (x, y) with its plain lists of numbers as arrays; anything else as it is."""
    if type(part) not in (tuple, list) or len(part) != 2 or list not in map(type, part):
        return part
    return tuple(_of_list(name, one) for name, one in zip("xy", part, strict=True))


def _of_list(name: str, given: Any) -> Any:
    first = given
    while type(first) is list and first:
        first = first[0]
    if type(given) is not list or not is_number(first):
        return given
    try:
        return np.asarray(given)
    except ValueError:
        raise DataError(
            f"{name} is a list of lists of different lengths; give every row the same number of"
            " values"
        ) from None


def as_pair(obs: Any) -> Any:
    """Return a pair (x, y) as Observations, so that arrays and tables have one kind of part."""
    obs = _of_lists(obs)
    if type(obs) in (tuple, list) and len(obs) == 2 and hasattr(obs[1], "shape"):
        return Observations(*obs)
    return obs


def _named_leaves(name: str, part: Any) -> list[tuple[str, Any]]:
    paths = jax.tree_util.tree_flatten_with_path(part)[0]
    return [(name + jax.tree_util.keystr(path), leaf) for path, leaf in paths]


def leaves_by_name(name: str, part: Any) -> dict[str, Any]:
    """The leaves of a part, named as a user names them."""
    if type(part) in (tuple, list) and len(part) == 2:
        return dict(zip(("x", "y"), part, strict=True))
    return {path.rpartition(".")[2]: leaf for path, leaf in _named_leaves(name, part)}


def _blocks(name: str, part: Any) -> list[tuple[str, Any]]:
    """The blocks of a part: entries of a dict that have N of their own; else the whole part."""
    if part is None:
        return []
    if isinstance(part, Mapping) and len(_lengths(part)) > 1:
        found = {key: _lengths(block) for key, block in part.items()}
        if all(len(lengths) == 1 for lengths in found.values()):
            return [(f"{name}[{key!r}]", block) for key, block in part.items()]
    return [(name, part)]


def _lengths(part: Any) -> set[int]:
    """The different N of the arrays of a part; of what is no array there is none."""
    shapes: list[Any] = [getattr(leaf, "shape", ()) for leaf in jax.tree.leaves(part)]
    return {int(shape[0]) for shape in shapes if len(shape)}


def check_one_length(data: Any) -> None:
    """Refuse data in blocks, for estimations that know no blocks.

    Raises:  DataError: arrays of a part have different N.
    """
    for name in PARTS:
        part = getattr(data, name, None)
        if isinstance(part, Mapping) and len(_lengths(part)) > 1:
            shapes = ", ".join(f"{path} {tuple(a.shape)}" for path, a in _named_leaves(name, part))
            raise DataError(
                f"leaves of {name} differ in their number of observations: {shapes}. For blocks of"
                " data give Task(residual={name: f}) with the same names"
            )


def check_part(name: str, part: Any) -> None:
    leaves = _named_leaves(name, part)
    if not leaves:
        raise DataError(f"{name} has no arrays; give observations with N along the first axis")
    for path, leaf in leaves:
        if isinstance(leaf, (str, Path)):
            raise DataError(
                f"{path} is the text {str(leaf)!r}; read a table first, as in"
                " th.read_table(path, target=...), or give arrays"
            )
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise DataError(
                f"{path} is a {type(leaf).__name__}, not an array; wrap it in np.asarray(...)"
            )
        if len(leaf.shape) == 0:
            raise DataError(
                f"{path} is a scalar; every leaf needs N observations along its first axis"
            )
    if len({leaf.shape[0] for _, leaf in leaves}) > 1:
        shapes = ", ".join(f"{path} {tuple(leaf.shape)}" for path, leaf in leaves)
        fix = "; of blocks of data, split each block by itself" if isinstance(part, Mapping) else ""
        raise DataError(f"leaves of {name} differ in their number of observations: {shapes}{fix}")
    if leaves[0][1].shape[0] == 0:
        raise DataError(f"empty split: {name} has no observations; give it some, or leave it None")
    for path, leaf in leaves:
        _check_values(path, leaf)
    weights_of(part)


def _check_values(path: str, leaf: Any) -> None:
    if getattr(leaf.dtype, "kind", "") == "c":
        raise DataError(f"{path} holds complex numbers; give real and imaginary part as columns")
    if np.dtype(object) == leaf.dtype or getattr(leaf.dtype, "kind", "") in "USMm":
        raise DataError(
            f"{path} has dtype {leaf.dtype}; give numbers (read_table encodes columns; labels y may"
            " be text)"
        )
    # A memory map is larger than memory by intent: it was checked when it was written.
    if isinstance(leaf, np.memmap) or not isinstance(leaf, (np.ndarray, jax.Array)):
        return
    if not is_concrete(leaf) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return
    values = np.asarray(leaf)
    if not np.issubdtype(values.dtype, np.inexact) or np.isfinite(values).all():
        return
    wrong = np.argwhere(~np.isfinite(values))
    raise DataError(
        f"{path} has {len(wrong)} non-finite value{'s' * (len(wrong) > 1)}, first at index "
        f"{wrong[0][0]}; drop those rows or impute them"
    )


def _check_alike(name: str, part: Any, train: Any) -> None:
    if jax.tree.structure(part) != jax.tree.structure(train):
        raise DataError(
            f"{name} and train differ in structure: {jax.tree.structure(part)} against "
            f"{jax.tree.structure(train)}; give all parts the same leaves"
        )
    pairs = zip(_named_leaves(name, part), _named_leaves("train", train), strict=True)
    for (path, leaf), (train_path, train_leaf) in pairs:
        if leaf.shape[1:] != train_leaf.shape[1:]:
            raise DataError(
                f"{path} has observations of shape {tuple(leaf.shape[1:])}, {train_path} of shape "
                f"{tuple(train_leaf.shape[1:])}; give all parts the same columns"
            )


def register(kind: type, fields: tuple[str, ...], static: tuple[str, ...] = ()) -> None:
    """Register a frozen dataclass as a pytree that JAX rebuilds without its checks."""

    def flatten(value: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children = [(GetAttrKey(name), getattr(value, name)) for name in fields]
        return children, tuple(getattr(value, name) for name in static)

    def unflatten(aux: tuple[Any, ...], children: Any) -> Any:
        value = object.__new__(kind)
        for name, child in zip((*fields, *static), (*children, *aux), strict=True):
            object.__setattr__(value, name, child)
        return value

    register_pytree_with_keys(kind, flatten, unflatten)


register(Observations, ("x", "y", "weight"))
register(Data, (*PARTS, "transform", "targets"), static=("classes", "columns", "levels"))
