"""Folds of a cross-validation."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import DataError
from thetahat.core.numbers import whole as whole_number
from thetahat.data._classes import Classes
from thetahat.data._containers import Data, n_observations
from thetahat.data._partition import STRATIFY, Scheme, cut, folds as rows_of_folds, shuffled
from thetahat.data._scheme import read_scheme, say_unmet
from thetahat.data._split import bounds_of, share_of, taken, whole


class FoldError(DataError, IndexError):
    """A fold that there is not; an IndexError too, which ends a loop over numbers."""


class Folds(Sequence[Data]):
    """The Data of each fold, made when it is asked for: ``folds[i]``, or in a loop."""

    def __init__(
        self, whole: tuple[Any, Any, Classes | None], rows: list[dict[str, np.ndarray]]
    ) -> None:
        self._whole, self._rows = whole, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Data: ...
    @overload
    def __getitem__(self, index: slice) -> list[Data]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        obs, part, classes = self._whole
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise FoldError(
                f"there are {len(self)} folds, numbered 0 to {len(self) - 1}; got fold {index}"
            )
        data = taken(obs, part, self._rows[index], classes)
        return data.changed(largest=self._largest)

    @cached_property
    def _largest(self) -> dict[str, int] | None:
        """The rows of the largest parts; None where folds differ by more than a row, or 2 %."""
        sizes = {name: [len(rows[name]) for rows in self._rows] for name in self._rows[0]}
        if any(max(n) - min(n) > max(1, max(n) // 50) for n in sizes.values()):
            return None
        return {name: max(n) for name, n in sizes.items()}

    def __repr__(self) -> str:
        sizes = ", ".join(str(len(rows["test"])) for rows in self._rows)
        return f"Folds(k={len(self)}, rows held out: {sizes})"

    def __iter__(self) -> Iterator[Data]:
        return (self[i] for i in range(len(self)))


@arguments_named
def folds(
    data: Any,
    k: int = 5,
    *,
    seed: int = 0,
    groups: Any = None,
    order: Any = None,
    stratify: Any = None,
    val: Any = None,
    standardize: bool | None = None,
    target_scale: bool | None = None,
) -> Folds:
    """Divide N observations into k folds: Data that each hold one fold out as their test part.

    Training rows are all others: as in scikit-learn's ``KFold``, ``GroupKFold``,
    ``StratifiedKFold`` and ``TimeSeriesSplit``, whose training rows are earlier ones. Each Data is
    standardised by its own training part, and its ``rows["test"]`` are the rows held out.

    Args:    data: as for ``th.split``.   k: at least 2.   seed: of which rows go together.
             groups, order, stratify: as for ``th.split``.
             val: a share, or a count, of a fold's training rows, to choose the epoch by; of an
             order the latest, of groups whole ones. By default none: the last epoch counts.
             standardize, target_scale: as for ``th.split``.
    Returns: a sequence of k Data.
    Raises:  DataError: k larger than N, or than the number of groups; as ``th.split``.
    >>> [data.rows["test"].tolist() for data in folds((np.ones((5, 1)), np.arange(5.0)), k=2)]
    [[2, 3, 4], [0, 1]]
    """
    k = whole_number("k", k, 2, of="folds", error=DataError)
    seed = whole_number("seed", seed, 0, of="folds", error=DataError)
    rules = {"groups": groups, "order": order, "stratify": stratify}
    obs, part, classes = whole(data, standardize, target_scale, rules)
    n = n_observations(part)
    if k > n:
        raise DataError(f"{n} observations cannot make {k} folds; give k={n} at most")
    scheme = read_scheme(obs, n, rules)
    pairs = rows_of_folds(scheme, n, k, seed)
    if scheme is not None and scheme.kind == STRATIFY:
        say_unmet(scheme, [f"fold {i}" for i in range(k)], [], [test for _, test in pairs])
    made = [{**_with_val(train, val, scheme, seed), "test": test} for train, test in pairs]
    return Folds((obs, part, classes), made)


def _with_val(
    train: np.ndarray, val: Any, scheme: Scheme | None, seed: int
) -> dict[str, np.ndarray]:
    """Divide a fold's training rows into train and val."""
    n, val = len(train), share_of("val", val)
    if not val:
        return {"train": train}
    rest = n - val if isinstance(val, int) else 1.0 - val
    bounds = bounds_of(n, {"train": rest, "val": val, "test": 0})
    sizes = [bounds[name][1] - bounds[name][0] for name in ("train", "val")]
    if scheme is None:
        order = shuffled(seed, n)
        at = [order[: sizes[0]], order[sizes[0] :]]
    else:
        at = cut(scheme.taken(train), sizes, seed)
    return {"train": np.sort(train[at[0]]), "val": np.sort(train[at[1]])}
