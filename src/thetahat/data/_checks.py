"""Checks of a table before estimation: every message names the column and the fix.

Columns are checked block by block, so that the same rules hold for a file larger than memory and
for a frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thetahat.core.errors import DataError, check_choice, did_you_mean, notify
from thetahat.data._cells import PLAIN, Cells, odd_cells, words_read
from thetahat.data._classes import check_levels, made_classes, single_class
from thetahat.data._columns import TableColumn
from thetahat.data._encoder import Encoder, Feature
from thetahat.data._named_rows import NamedRows

MISSING = ("refuse", "drop", "mean", "median")

NAMELESS = ("", "Unnamed: 0")
"""Names of a column without one: as written, and as pandas reads it."""

LARGEST = 1e150
"""Largest value whose square, in a deviation or a risk, does not overflow; that of its inverse is
not rounded to zero."""


@dataclass(frozen=True)
class TablePlan:
    """Roles of the columns, and the treatment of missing values."""

    targets: tuple[str, ...]
    features: tuple[str, ...]
    weights: str | None
    missing: str
    standardize: bool
    target_scale: bool
    categorical: tuple[str, ...]
    cells: Cells = PLAIN

    @property
    def target(self) -> str:
        """Name of the target; of several, their names."""
        return ", ".join(self.targets)

    @property
    def used(self) -> list[str]:
        """All columns to read, features first."""
        extra = [] if self.weights is None else [self.weights]
        return list(dict.fromkeys([*self.features, *self.targets, *extra]))


@dataclass
class ColumnFacts:
    """Facts of one column, from the kept rows of the blocks so far."""

    kind: str = "number"
    missing: int = 0
    infinite: int = 0
    first_infinite: int = -1
    low: float = np.inf
    high: float = -np.inf
    levels: set[Any] = field(default_factory=set)
    dtype: str | None = None
    order: tuple[Any, ...] | None = None
    words: Counter[str] = field(default_factory=Counter)


@dataclass
class Scan:
    """Facts of a table, from the blocks so far."""

    columns: dict[str, ColumnFacts] = field(default_factory=dict)
    rows: int = 0
    kept: int = 0
    unweighted: int = 0
    """Rows of weight 0: they are as if they were not there."""

    @property
    def weighted(self) -> int:
        """Rows that are not of weight 0."""
        return self.rows - self.unweighted


def plan(
    names: Iterable[str],
    target: Sequence[str] | str,
    features: Sequence[str] | str | None,
    weights: str | None,
    missing: str,
    standardize: bool,
    target_scale: bool | None,
    categorical: Sequence[str] | str | None,
    ignore: Sequence[str] | str | None = None,
    index: Sequence[str] = (),
) -> TablePlan:
    """Assign roles to the columns, or raise a DataError that names the wrong name.

    Args:    index: levels of a frame's index, which are no features unless they are listed.
    """
    names = [*names, *index]
    for name in _repeated([name for name in names if name not in NAMELESS]):
        raise DataError(f"the table has two columns {name!r}; rename one")
    names = dict.fromkeys(names)  # ordered, and quick to search
    targets, ignored = _several(target, "target"), _several(ignore or (), "ignore")
    if weights is not None and not isinstance(weights, str):
        raise DataError(
            f"weights is a {type(weights).__name__}; give the name of a column that holds them"
        )
    _known_roles(names, targets, weights, ignored)
    if features is None:
        taken = {*targets, weights, *ignored}
        features = _other_columns(names, {*taken, *index})
        if left := [name for name in index if name not in taken]:
            notify(
                f"the index of the frame ({', '.join(map(repr, left))}) is not taken as a feature;"
                f" to use it, list it in features; if it is an id, give ignore={left!r}"
            )
    features = _several(features, "features")
    wanted = set(features)
    _check_features(features, ignored, names)
    for name in targets:
        if name in wanted:
            raise DataError(f"target {name!r} is among the features; leave it out of them")
        if weights == name:
            raise DataError(f"target {name!r} is also the weights; give another column")
    if not features:
        beside = " and ".join(map(repr, targets))
        raise DataError(f"no features: the table has no column beside {beside}")
    categorical = _several(categorical or (), "categorical")
    for name in categorical:
        if name not in wanted and name not in targets:
            hint = did_you_mean(name, features)
            raise DataError(f"categorical {name!r} is not among the features{hint}")
    check_choice("missing", missing, MISSING, DataError)
    scale = standardize if target_scale is None else target_scale
    return TablePlan(targets, features, weights, missing, standardize, scale, categorical)


def _check_features(
    features: Sequence[str], ignored: Collection[str], names: Collection[str]
) -> None:
    for name in features:
        _known(name, "feature", names)
        if name in ignored:
            raise DataError(f"{name!r} is ignored, and is also among the features; leave one out")
    for name in _repeated(features):
        raise DataError(f"feature {name!r} is given twice; give it once")


def _known_roles(
    names: Collection[str], targets: Sequence[str], weights: str | None, ignored: Sequence[str]
) -> None:
    if not targets:
        raise DataError("target=[] names no column; give the column to estimate, or several")
    for name in targets:
        _known(name, "target", names)
    for name in _repeated(targets):
        raise DataError(f"target {name!r} is given twice; give it once")
    if weights is not None:
        _known(weights, "weights", names)
    for name in ignored:
        _known(name, "ignore", names)
        if name in targets or name == weights:
            raise DataError(f"{name!r} is ignored, and is also the target or the weights")


def _other_columns(names: Collection[str], taken: set[str | None]) -> list[str]:
    """List the columns that are features unless the user says otherwise: those with a name."""
    for at, name in enumerate(names):
        if name in NAMELESS and name not in taken:
            shown = f"named {name!r}" if name else "without a name"
            notify(
                f"column {at + 1} of the table is {shown}, as the index of a saved frame is: it is"
                " not taken as a feature" + ("; list it in features to use it" if name else ""),
            )
    return [name for name in names if name not in taken and name not in NAMELESS]


def look(scan: Scan, columns: dict[str, TableColumn], plan: TablePlan) -> np.ndarray:
    """Add the facts of one block of rows; return which rows are kept, (n,)."""
    there = _weighted(columns, plan)
    gone = {name: columns[name].gone() & there for name in plan.used}
    n, keep = len(there), there
    if plan.missing == "drop":
        keep = there & ~np.any(list(gone.values()), axis=0)
    features, categorical = set(plan.features), set(plan.categorical)
    for name in plan.used:
        column, seen = columns[name], scan.columns.setdefault(name, ColumnFacts())
        seen.missing += int(gone[name].sum())
        seen.words.update(column.words)
        seen.dtype = column.dtype if seen.dtype in (None, column.dtype) else "float64"
        seen.order = column.order if not seen.levels or seen.order == column.order else None
        as_levels = name in categorical or column.kind == "category"
        as_levels |= plan.targets == (name,) and _are_labels(column, plan.cells)
        if column.kind == "number":
            _look_at_numbers(seen, column.values, keep, scan.rows)
        spread = name in features or plan.targets == (name,)
        if as_levels and spread and column.kind != "other":
            seen.kind = "category"
            seen.dtype = seen.dtype if column.written is None else column.labels().dtype
            kept = column.levels_or_none()
            seen.levels |= {v for v, k in zip(kept, keep, strict=True) if k and v is not None}
        elif column.kind != "number" and not gone[name][there].all():
            labels = name in plan.features or plan.targets == (name,)
            odd = odd_cells(column, scan.rows, plan.cells, labels=labels)
            raise DataError(odd or _not_numbers(column, plan, columns))
    scan.rows += n
    scan.kept += int(keep.sum())
    scan.unweighted += n - int(there.sum())
    return keep


def _weighted(columns: Mapping[str, TableColumn], plan: TablePlan) -> np.ndarray:
    """Tell which rows are not of weight 0, (n,)."""
    n = len(columns[plan.used[0]].values)
    if plan.weights is None or columns[plan.weights].kind != "number":
        return np.ones(n, bool)
    return columns[plan.weights].values != 0


def verdict(scan: Scan, plan: TablePlan) -> Encoder:
    """Return the encoder of a table after its last block, or raise for its first fault."""
    if scan.rows == 0:
        raise DataError("the table has no rows; give at least one observation")
    if scan.weighted == 0:
        raise DataError(f"weights {plan.weights!r} are all zero; give some row a positive weight")
    for name in plan.used:
        if scan.columns[name].missing == scan.weighted:
            raise DataError(f"column {name!r} has missing values only; leave it out")
    _check_missing(scan, plan)
    if lost := lost_rows(scan, plan):
        notify(lost)
    for name in plan.used:
        seen = scan.columns[name]
        if seen.infinite:
            raise DataError(
                f"column {name!r} has {seen.infinite} infinite value{'s' * (seen.infinite > 1)}, "
                f"first in {NamedRows('table').said([seen.first_infinite], 1)};"
                " drop or fix those rows"
            )
        top = max(seen.high, -seen.low)
        if top > LARGEST:
            raise DataError(
                f"column {name!r} reaches {top:.3g}, whose square overflows double precision;"
                " rescale it"
            )
        if name != plan.weights and 0 < seen.high - seen.low < 1 / LARGEST:
            raise DataError(
                f"column {name!r} varies by {seen.high - seen.low:.3g}, whose square double"
                " precision rounds to zero; rescale it"
            )
    _check_weights(scan, plan)
    _check_varying(scan, plan)
    features = tuple(
        Feature(name, _sorted(scan.columns[name].levels))
        if scan.columns[name].kind == "category"
        else Feature(name)
        for name in plan.features
    )
    if len(plan.targets) > 1:
        return Encoder(features, plan.target, plan.missing, targets=plan.targets, cells=plan.cells)
    target, classes = scan.columns[plan.target], None
    if target.kind == "category":
        classes = made_classes(target.levels, target.dtype, target.order)
    dtype = target.dtype or "float64"
    return Encoder(features, plan.target, plan.missing, classes, dtype, cells=plan.cells)


def lost_rows(scan: Scan, plan: TablePlan) -> str:
    """Describe the rows that are left out, and the labels that may have been read as missing."""
    gone = {name: scan.columns[name].missing for name in plan.used if scan.columns[name].missing}
    if plan.missing != "drop" or not gone:
        return _words_read(scan, plan).removeprefix("; ")
    said = ", ".join(f"{name!r} in {n:,}" for name, n in gone.items())
    lost = scan.weighted - scan.kept
    return (
        f"{lost:,} of {scan.weighted:,} rows {'is' if lost == 1 else 'are'} left out"
        f" (missing='drop'), as they have missing values: {said}{_words_read(scan, plan)}"
    )


def _words_read(scan: Scan, plan: TablePlan) -> str:
    """Say which words of text were read as missing values, and how to keep them."""
    return words_read({name: scan.columns[name].words for name in plan.used})


def check_single(scan: Scan) -> None:
    """Check that single precision can represent the variation of every column.

    Raises:  DataError: a column whose rounding is more than a thousandth of its range.
    """
    for name, seen in scan.columns.items():
        step = float(np.finfo(np.float32).eps) * max(abs(seen.low), abs(seen.high))
        spread = seen.high - seen.low
        if seen.kind == "number" and spread > 0 and step > 1e-3 * spread:
            raise DataError(
                f"column {name!r} goes from {seen.low:.9g} to {seen.high:.9g}; float32 rounds it"
                f" to steps of {step:.2g}; give dtype='float64', or subtract its level first"
            )


def _look_at_numbers(seen: ColumnFacts, values: np.ndarray, keep: np.ndarray, before: int) -> None:
    infinite = np.flatnonzero(np.isinf(values) & keep)
    if infinite.size and not seen.infinite:
        seen.first_infinite = before + int(infinite[0])
    seen.infinite += infinite.size
    there = values[keep & ~np.isnan(values)]
    if there.size:
        seen.low = min(seen.low, float(there.min()))
        seen.high = max(seen.high, float(there.max()))


def _check_missing(scan: Scan, plan: TablePlan) -> None:
    gone = {name: scan.columns[name].missing for name in plan.used if scan.columns[name].missing}
    if plan.missing == "drop":
        if scan.kept == 0:
            said = ", ".join(f"{name} {count}" for name, count in gone.items())
            raise DataError(
                f"all {scan.weighted} rows have a missing value ({said}); leave a column out, or"
                " impute" + _words_read(scan, plan)
            )
        return
    if gone and plan.missing == "refuse":
        said = ", ".join(f"{name!r} in {n} of {scan.weighted} rows" for name, n in gone.items())
        stuck = [name for name in (*plan.targets, plan.weights) if name in gone]
        others = (
            f", which leaves those rows out ({' and '.join(map(repr, stuck))} cannot be imputed)"
            if stuck
            else ", 'mean' or 'median', or leave the columns out"
        )
        raise DataError(
            f"missing values: {said}; give missing='drop' (--missing drop){others}"
            + _words_read(scan, plan)
        )
    for role, name in (*(("target", name) for name in plan.targets), ("weights", plan.weights)):
        if name in gone and name is not None:
            raise DataError(
                f"{role} {name!r} has {gone[name]} missing value{'s' * (gone[name] > 1)}, which "
                f"cannot be imputed; give missing='drop' (--missing drop), or {_without_gaps(name)}"
                + _words_read(scan, plan)
            )


def _without_gaps(name: str) -> str:
    return f"leave these rows out first and impute the features: frame.dropna(subset=[{name!r}])"


def _check_weights(scan: Scan, plan: TablePlan) -> None:
    if plan.weights is None:
        return
    seen = scan.columns[plan.weights]
    if seen.low < 0:
        raise DataError(
            f"weights {plan.weights!r} has negative values (least {seen.low:g}); "
            "weights must be at least 0"
        )


def _check_varying(scan: Scan, plan: TablePlan) -> None:
    for name in plan.targets:
        target = scan.columns[name]
        if target.kind == "category":
            check_levels(f"column {name!r}", target.levels)
            if len(target.levels) == 1:
                raise single_class(f"target {name!r}", next(iter(target.levels)))
        elif target.low == target.high:
            raise DataError(
                f"target {name!r} is constant ({target.low:g}); there is nothing to estimate"
            )
    for name in plan.features:
        seen = scan.columns[name]
        check_levels(f"column {name!r}", seen.levels)
        if seen.kind == "category" and len(seen.levels) == 1:
            level = next(iter(seen.levels))
            raise DataError(f"column {name!r} has the single level {level!r}; leave it out")
        if seen.kind == "number" and seen.low == seen.high and plan.standardize:
            raise DataError(
                f"column {name!r} is constant ({seen.low:g}) and cannot be standardised; "
                "leave it out"
            )


def _are_labels(column: TableColumn, cells: Cells) -> bool:
    """Tell whether text is labels: not numbers in part, nor numbers with other marks.

    Whole numbers are, if different text is one number, such as 007 and 7.
    """
    if column.written is not None:
        there = ~column.gone()
        return len(set(column.written[there])) > len(np.unique(column.values[there]))
    if column.kind != "text" or odd_cells(column, 0, cells) is not None:
        return False
    levels = {value for value in column.values.tolist() if value is not None}
    return sum(cells.number(v) is not None for v in levels) in (0, len(levels))


def _not_numbers(column: TableColumn, plan: TablePlan, columns: Mapping[str, TableColumn]) -> str:
    text = [
        name
        for name in plan.features
        if name not in plan.categorical and columns[name].kind == "text"
        if odd_cells(columns[name], 0, plan.cells) is None
    ]
    if column.name in text and len(text) > 1:
        return (
            f"columns {', '.join(map(repr, text))} hold text, e.g. {column.example!r} in"
            f" {column.name!r}; declare them with categorical={text!r} (--categorical"
            f" {','.join(text)}), or leave them out of the features"
        )
    role = "target" if column.name in plan.targets else "column"
    if column.name not in plan.features:
        role = "weights" if column.name == plan.weights else role
        fix = "turn it into numbers"
        if plan.targets == (column.name,) and column.kind == "text":
            fix = (
                f"declare its classes with categorical=[{column.name!r}] (--categorical"
                f" {column.name}), or turn it into numbers"
            )
    elif column.kind == "text":
        fix = (
            f"declare it with categorical=[{column.name!r}] (--categorical {column.name}), "
            "or leave it out of the features"
        )
        if _all_numbers(column, plan.cells):
            fix = f"turn it into numbers (pandas.to_numeric), or, if they are labels, {fix}"
    else:
        fix = "turn it into numbers, or leave it out of the features"
    return f"{role} {column.name!r} holds {column.what}, e.g. {str(column.example)!r}; {fix}"


def _all_numbers(column: TableColumn, cells: Cells) -> bool:
    there = [value for value in column.values.tolist() if value is not None]
    return all(not isinstance(v, str) or cells.number(v) is not None for v in there)


def _known(name: str, role: str, names: Collection[str]) -> None:
    if name not in names:
        raise DataError(f"the table has no column {name!r} ({role}){did_you_mean(name, names)}")


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _several(names: Any, role: str) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else names
    if not isinstance(found, Iterable) or not all(isinstance(name, str) for name in found):
        shown = (
            repr(names) if isinstance(names, (int, float, list, tuple)) else type(names).__name__
        )
        raise DataError(
            f"{role}={shown:.80}; give the name of a column as text, or a list of names"
        )
    return tuple(found)


def _sorted(levels: set[Any]) -> tuple[Any, ...]:
    """Sort levels: numbers by size, then text."""
    return tuple(sorted(levels, key=lambda v: (isinstance(v, str), v)))
