"""Tables of one name over a sweep's runs: quantiles over seeds, row by row, for each setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thetahat.analysis._best import names_of, seeds_of
from thetahat.analysis._groups import check_over, check_quantiles, ending, members_of, quantile_name
from thetahat.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from thetahat.store import StackedTable, Store, SweepRow, TriedRun

TABLE_QUANTILES = (0.05, 0.5, 0.95)
_SORTED = 500_000
"""Numbers that are sorted at a time."""
_MOST_CODES = 2**62
"""Places of groups up to this number fit into int64."""
_REFERENCES = ("exact", "true", "truth", "reference")
"""Names of columns that are drawn as a reference."""


def drawn_columns(numbers: Sequence[str], kind: str = "table") -> tuple[str, str]:
    """Choose the column of a table to draw, and the one that is its reference; "" for none.

    Args:    numbers: the columns of numbers beside the one that identifies a row.

    >>> drawn_columns(["exact", "c"])
    ('c', 'exact')
    >>> drawn_columns(["right", "count"], "histogram")
    ('count', '')
    """
    if kind == "histogram" and "count" in numbers:
        return "count", ""
    exact = next((c for c in numbers if c in _REFERENCES), "")
    y = next((c for c in numbers if c != exact), exact)
    return y, "" if exact == y else exact


def free_name(name: str, head: str, taken: Collection[str]) -> str:
    """Return a name that no other column has: with ``head`` before it, if one has it.

    A table's own columns keep their names. A parameter of the same name is ``config.NAME``, and
    what is computed over runs is ``runs.NAME``.

    >>> free_name("n", "runs", ["k"]), free_name("n", "runs", ["n"])
    ('n', 'runs.n')
    """
    while name in taken:
        name = f"{head}.{name}"
    return name


@dataclass(frozen=True)
class TableSetting:
    """One setting of a sweep, and its runs by how they ended."""

    config: Mapping[str, Any]
    """The parameters that vary between settings."""
    runs: Sequence[TriedRun]

    @property
    def ends(self) -> Counter[str]:
        """Its runs that ended "well", that "failed", and that are "unfinished"."""
        return Counter(map(ending, self.runs))

    @property
    def well(self) -> list[str]:
        """The ids of its runs that ended well."""
        return [run.id for run in self.runs if run.status.well]


@dataclass(frozen=True)
class TableBands:
    """Quantiles of the columns of a table over the runs of one setting, by the values of ``by``.

    Args:    by: columns (G,).   q: probabilities.   columns: of each column (len(q), G), NaN where
             no run has a number.   counts: of each column (G,): numbers that a quantile rests on.
             runs: how many have the table and ended well.   without: ended well and lack it.
             table: names of all columns of the table.
    """

    setting: TableSetting
    by: Mapping[str, np.ndarray]
    q: Sequence[float]
    columns: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]
    runs: int
    without: int
    table: Sequence[str]

    @property
    def over_runs(self) -> list[str]:
        """The names of the columns of counts: numbers, runs that failed, unfinished ones."""
        return [self._name(n) for n in ("n", "failed", "unfinished")]

    def quantile_names(self, column: str) -> list[str]:
        """Return the names of the columns of a column's quantiles."""
        return [self._name(f"{column} {quantile_name(p)}") for p in self.q]

    @cached_property
    def _config(self) -> dict[str, Any]:
        """The parameters of the setting, by the names of their columns."""
        found: dict[str, Any] = {}
        for name, value in self.setting.config.items():
            found[free_name(name, "config", {*self.table, *self.by, *found})] = value
        return found

    def _name(self, name: str) -> str:
        return free_name(name, "runs", {*self.by, *self._config})

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each value of ``by``: quantiles, how many numbers, how many failed."""
        ends, (n, failed, unfinished) = self.setting.ends, self.over_runs
        last = {failed: ends["failed"], unfinished: ends["unfinished"] + self.without}
        last = {name: many for name, many in last.items() if many}
        named = {name: self.quantile_names(name) for name in self.columns}
        numbers = [list(count) for count in self.counts.values()]
        same = all(one == numbers[0] for one in numbers)
        found: list[dict[str, Any]] = []
        for g in range(len(next(iter(self.by.values())))):
            row = {**self._config, **{k: _plain(v[g]) for k, v in self.by.items()}}
            for name, values in self.columns.items():
                row |= {k: _plain(v[g]) for k, v in zip(named[name], values, strict=True)}
                if not same:
                    row[self._name(f"{name} n")] = int(self.counts[name][g])
            found.append({**row, **({n: int(numbers[0][g])} if same else {}), **last})
        return found


def table_settings(store: Store, sweep: SweepRow, over: Sequence[str] = ()) -> list[TableSetting]:
    """Return the settings of a sweep in the order of their first runs.

    Args:    over: parameters to average out, beside the seeds.
    Raises:  ConfigError: no run has such a parameter; the nearest is offered.
    """
    from thetahat.store import standing_runs, tried_runs

    listed = tried_runs(store, sweep.id)
    names = names_of(listed)
    if not {*over} <= {*names}:
        check_over(standing_runs(store, sweep_id=sweep.id), over)
    made = members_of(listed, [*seeds_of(sweep, names), *over])
    keys = dict.fromkeys(key for config, _ in made for key in config)
    varying = [k for k in keys if len({repr(config.get(k)) for config, _ in made}) > 1]
    return [TableSetting({k: config.get(k) for k in varying}, runs) for config, runs in made]


def table_bands(
    store: Store,
    sweep: SweepRow,
    name: str,
    by: Sequence[str],
    q: Sequence[float] = TABLE_QUANTILES,
    *,
    columns: Collection[str] | None = None,
    over: Sequence[str] = (),
    only: Collection[int] | None = None,
    most: int | None = None,
) -> list[TableBands]:
    """Compute the quantiles of a table over the runs that ended well, for each setting.

    Args:    by: the columns whose values identify a row.   q: probabilities.
             columns: of numbers; by default all of them.   over: as for ``table_settings``.
             only: places of the settings to compute.   most: runs of a setting that are read, drawn
             evenly.
    Raises:  ConfigError: no such table, column or parameter; a column of text; a bad probability.
    """
    from thetahat.store import stack_tables

    check_quantiles(q)
    settings = table_settings(store, sweep, over)
    chosen = [s for k, s in enumerate(settings) if only is None or k in only]
    ids = [run for setting in chosen for run in _some(setting.well, most)]
    some = len(chosen) < len(settings) or len(ids) < sum(len(one.well) for one in chosen)
    asked = None if columns is None else dict.fromkeys([*by, *columns])
    stack = stack_tables(store, sweep.id, name, asked, ids=ids if some else None)
    for column in by:
        if column not in stack.columns:
            what = f"the table {name!r} has no column {column!r}"
            raise ConfigError(f"{what}{did_you_mean(column, stack.columns)}")
    numbers = _numbers(stack, by, columns)
    return [_bands_of(stack, setting, by, q, numbers, most) for setting in chosen]


def _some(ids: Sequence[str], most: int | None) -> Sequence[str]:
    return ids if most is None or len(ids) <= most else ids[:: -(-len(ids) // most)]


def _numbers(
    stack: StackedTable, by: Sequence[str], columns: Collection[str] | None
) -> dict[str, np.ndarray]:
    """Return the columns of numbers, as float64."""
    wanted = [c for c in (stack.columns if columns is None else columns) if c not in by]
    words = [c for c in wanted if stack.columns[c].dtype.kind not in "fib"]
    if columns is not None and words:
        raise ConfigError(
            f"the column {words[0]!r} of the table {stack.name!r} is text, which has no quantiles;"
            " give columns of numbers"
        )
    found = {c: stack.columns[c].astype(float, copy=False) for c in wanted if c not in words}
    if not found:
        raise ConfigError(
            f"the table {stack.name!r} has no column of numbers beside {', '.join(by)}; give"
            " another column to group by"
        )
    return found


def _bands_of(
    stack: StackedTable,
    setting: TableSetting,
    by: Sequence[str],
    q: Sequence[float],
    numbers: Mapping[str, np.ndarray],
    most: int | None,
) -> TableBands:
    import numpy as np

    mine = {*_some(setting.well, most)}
    have = np.array([run in mine for run in stack.runs], bool)
    n = int(have.sum())
    whole = bool(have.all())
    rows = slice(None) if whole else np.repeat(have, stack.counts)
    keys = [stack.columns[column][rows] for column in by]
    values = {column: array[rows] for column, array in numbers.items()}
    lengths = stack.counts if whole else stack.counts[have]
    order = same_grid(keys, lengths)
    if order is not None:
        size = int(lengths[0])
        groups = [key[:size][order] for key in keys]
        found = {c: _by_place(v.reshape(n, size), order, q) for c, v in values.items()}
    else:
        groups, codes = _coded(keys)
        found = {c: quantiles_by_code(v, codes, len(groups[0]), q) for c, v in values.items()}
    return TableBands(
        setting,
        dict(zip(by, groups, strict=True)),
        q,
        {c: quantiles for c, (quantiles, _) in found.items()},
        {c: counts for c, (_, counts) in found.items()},
        n,
        len(mine) - n,
        stack.names,
    )


def same_grid(keys: Sequence[np.ndarray], lengths: np.ndarray) -> Any:
    """Return the order of the rows of one run, if all runs have the same distinct rows; else None.

    Args:    keys: columns (rows,) of all runs under each other.   lengths: rows of each run.
    """
    import numpy as np

    if not len(lengths) or not lengths[0] or (lengths != lengths[0]).any():
        return None
    size = int(lengths[0])
    for key in keys:
        shaped = key.reshape(len(lengths), size)
        if key.dtype.kind not in "fib" or np.isnan(shaped[0].astype(float)).any():
            return None
        if (shaped != shaped[0]).any():
            return None
    first = [key[:size] for key in keys]
    order = np.lexsort(first[::-1])
    steps = [np.diff(key[order]) != 0 for key in first]
    return order if not steps or np.logical_or.reduce(steps).all() else None


def _by_place(table: np.ndarray, order: np.ndarray, q: Sequence[float]) -> Any:
    """Return quantiles (len(q), rows) over runs, NaN left out, and how many numbers there are."""
    import numpy as np

    runs, rows = table.shape
    found, counts = np.empty((len(q), rows)), np.empty(rows, np.int64)
    width = max(1, _SORTED // max(1, runs))
    for start in range(0, rows, width):  # a part at a time: it stays in the processor's cache
        part = np.ascontiguousarray(table[:, start : start + width].T)
        part.sort(axis=1)  # NaN comes last
        lost = np.isnan(part).sum(axis=1) if np.isnan(part[:, -1]).any() else 0
        n = np.broadcast_to(runs - lost, len(part))
        starts = np.arange(len(part)) * runs
        counts[start : start + width] = n
        found[:, start : start + width] = _interpolated(part.reshape(-1), starts, n, q)
    return found[:, order], counts[order]


def quantiles_by_code(
    values: np.ndarray, codes: np.ndarray, groups: int, q: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles (len(q), groups) of values by group, and how many numbers there are.

    Args:    values: (rows,), NaN left out.   codes: (rows,), places of groups; -1 for none.
    """
    import numpy as np

    real = ~np.isnan(values) & (codes >= 0)
    values, codes = values[real], codes[real]
    counts = np.bincount(codes, minlength=groups)
    ordered = values[np.lexsort((values, codes))]
    return _interpolated(ordered, np.cumsum(counts) - counts, counts, q), counts


def _interpolated(
    ordered: np.ndarray, starts: np.ndarray, counts: np.ndarray, q: Sequence[float]
) -> np.ndarray:
    """Interpolate quantiles linearly between order statistics, as pandas and NumPy do.

    A quantile that falls on an order statistic is that one, whatever lies above. Between -inf and
    a number it is -inf, and between -inf and inf NaN.
    """
    import numpy as np

    found = np.full((len(q), len(counts)), np.nan)
    there = counts > 0
    for k, probability in enumerate(q):
        at = probability * (counts[there] - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, counts[there] - 1)
        below, above = ordered[starts[there] + low], ordered[starts[there] + high]
        with np.errstate(invalid="ignore"):
            between = below + (at - low) * (above - below)
        # Elsewhere the formula gives NaN: zero times infinity, and -inf + inf.
        exact = (at == low) | (above == below) | (np.isneginf(below) & np.isfinite(above))
        found[k, there] = np.where(exact, below, between)
    return found


def _coded(keys: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the distinct rows of columns, sorted, and of each row its place; -1 for missing."""
    import numpy as np

    codes, gone, values = np.zeros(len(keys[0]), np.int64), np.zeros(len(keys[0]), bool), []
    size = 1
    for key in keys:
        if key.dtype.kind in "fib":
            distinct, own = np.unique(key, return_inverse=True)
            gone |= np.isnan(key.astype(float))
        else:
            words = np.array(["" if cell is None else str(cell) for cell in key], object)
            names = sorted(set(words.tolist()))
            place = {name: k for k, name in enumerate(names)}
            distinct = np.array(names, object)
            own = np.array([place[word] for word in words.tolist()], np.int64)
            gone |= np.array([cell is None for cell in key], bool)
        values.append((distinct, own))
        many = max(1, len(distinct))
        if size * many > _MOST_CODES:
            _, codes = np.unique(codes, return_inverse=True)
            size = len(codes)
        codes, size = codes * many + own, size * many
    kept = codes[~gone]
    _, first, inverse = np.unique(kept, return_index=True, return_inverse=True)
    rows = np.flatnonzero(~gone)[first]
    placed = np.full(len(codes), -1, np.int64)
    placed[~gone] = inverse
    return [distinct[own[rows]] for distinct, own in values], placed


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and value != value else value
