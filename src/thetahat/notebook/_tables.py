"""The tables of a sweep's runs as one pandas frame, which knows its settings and its seeds."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.analysis import (
    TABLE_QUANTILES,
    Study,
    flat_config,
    free_name,
    quantile_name,
    quantiles_by_code,
)
from thetahat.core.errors import ConfigError, did_you_mean, notify
from thetahat.core.run import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store

_WELL = [str(status) for status in Status if status.well]


def table_frame(pandas: Any, store: Store, study: Study, name: str) -> Any:
    """Return a frame with a line for each run and row of its table: run, status, config, columns.

    Raises:  ConfigError: no run has such a table.
    """
    from thetahat.store import stack_tables

    stack = stack_tables(store, study.sweep.id, name)
    by_id = {run.id: run for run in study.runs}
    if not {*stack.runs} <= by_id.keys():  # runs that began after the sweep was read
        stack = stack_tables(store, study.sweep.id, name, ids=list(by_id))
    there = [by_id[run] for run in stack.runs]
    configs = [flat_config(run.config) for run in there]
    keys = dict.fromkeys([*study.parameters, *study.seeds, *(k for c in configs for k in c)])
    varying = [
        key
        for key in keys
        if key in study.parameters
        or key in study.seeds
        or len({repr(config.get(key)) for config in configs}) > 1
    ]
    places, columns = stack.places, {}

    def of_run(head: str, key: str, values: Sequence[Any]) -> None:
        plain = _number_array(values)
        own = free_name(key, head, {*stack.names, *columns})
        if plain is not None:
            columns[own] = plain[places]
        else:
            words = [str(value) if value is not None else None for value in values]
            kinds = pandas.Categorical(words)
            columns[own] = pandas.Categorical.from_codes(kinds.codes[places], kinds.categories)
        named[key if head == "config" else f"its {key}"] = own

    named: dict[str, str] = {}
    of_run("run", "name", [run.name for run in there])
    of_run("run", "status", [str(run.status) for run in there])
    for key in varying:
        of_run("config", key, [config.get(key) for config in configs])
    frame = _frame_class()({**columns, **stack.columns}, copy=False)
    facts = {"table": name, "columns": list(stack.columns), "seeds": study.seeds}
    frame.attrs["thetahat"] = facts | _facts(study, named, varying, there)
    return frame


def _number_array(values: Sequence[Any]) -> Any:
    """Return numbers as an array, None among them as NaN; None if some are text or too large."""
    import numpy as np

    kinds, there = {*map(type, values)}, [v for v in values if v is not None]
    if not there or not kinds <= {int, float, bool, type(None)}:
        return None
    if type(None) in kinds and bool in kinds:
        return None
    most = 2**53 if kinds & {float, type(None)} else 2**63 - 1
    if any(type(v) is int and abs(v) > most for v in there):
        return None
    return np.array(there if len(there) == len(values) else [_nan(v) for v in values])


def _nan(value: Any) -> Any:
    return math.nan if value is None else value


def _facts(
    study: Study, named: Mapping[str, str], varying: Sequence[str], there: Sequence[RunRow]
) -> dict[str, Any]:
    """Return what a frame knows of its sweep.

    Args:    named: columns of the frame, by parameter.   there: runs that have the table.
    """
    return {
        "status": named["its status"],
        # What a program added to its config, such as a path, splits no setting.
        "settings": [named[key] for key in varying if key in study.parameters],
        "ends": [
            (
                {named[k]: v for k, v in one.varying.items() if k in named},
                one.group.failed,
                one.group.unfinished,
            )
            for one in study.settings
        ],
        "counts": {
            "runs": len(study.runs),
            "with the table": len(there),
            "failed": sum(run.status.failed for run in study.runs),
            "unfinished": sum(run.status.unfinished for run in study.runs),
            "well": sum(str(run.status) in _WELL for run in there),
        },
    }


class _Tables:
    """What a frame of tables can do beside what every frame of pandas can."""

    @property
    def counts(self) -> dict[str, int]:
        """How many runs the sweep has, how many have the table, and how many failed."""
        return dict(self._facts()["counts"])

    def quantiles(
        self,
        by: str | Sequence[str],
        q: Sequence[float] = TABLE_QUANTILES,
        *,
        over: str | Sequence[str] = (),
    ) -> Any:
        """Return quantiles over the runs that ended well: a line for each setting and value of
        ``by``; column ``n`` counts its numbers, and ``failed`` the setting's failed runs.

        Args:    by: the column, or columns, whose values identify a row of the table.
                 q: probabilities.   over: parameters to average out, beside the seeds.
        Raises:  ConfigError: an unknown column or parameter, a probability outside [0, 1].
        """
        return _quantiles(self, by, q, over)

    def plot(self, x: str, y: str | None = None, **how: Any) -> Figure:
        """Draw medians and bands over the seeds: see ``sweep.table``.

        Args:    x, y: columns.   q: three probabilities.   exact: a column to draw beside.
                 over: parameters to average out.   path: where to write the figure too.
        """
        from thetahat.report import plot_table

        return plot_table(self._facts(), self, self.quantiles, x, y, **how)

    def _facts(self) -> dict[str, Any]:
        frame: Any = self
        try:
            return frame.attrs["thetahat"]
        except KeyError:
            raise ConfigError(
                "this frame has lost what it knew of its sweep; take it from"
                " sweep.table(name) again, and filter its rows only"
            ) from None

    def _said(self) -> str:
        frame: Any = self
        counts = frame.attrs.get("thetahat", {}).get("counts")
        if counts is None:
            return ""
        lost = [f"{counts[w]:,} {w}" for w in ("failed", "unfinished") if counts[w]]
        said = f"{counts['with the table']:,} of {counts['runs']:,} runs have this table"
        return "; ".join([said, *lost])


@functools.cache
def _frame_class() -> Any:
    """Return the class of such frames; pandas is loaded only for it."""
    import pandas

    class TableFrame(_Tables, pandas.DataFrame):
        """The tables of one name of a sweep's runs: a line for each run and row.

        ``quantiles(by="k")`` takes quantiles over the seeds, ``plot("k", "c")`` draws them, and
        ``counts`` says how many runs there are, failed ones included.
        """

        @property
        def _constructor(self) -> Any:
            return TableFrame

        def __repr__(self) -> str:
            said = self._said()
            return super().__repr__() + (f"\n\n[{said}]" if said else "")

        def _repr_html_(self) -> str | None:
            import html

            return f"{super()._repr_html_()}<p>{html.escape(self._said())}</p>"  # pyright: ignore

    return TableFrame


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _quantiles(frame: Any, by: Any, q: Any, over: Any) -> Any:
    import numpy as np
    import pandas

    facts, by = frame._facts(), _listed(by)
    probabilities = [q] if isinstance(q, (int, float)) else list(q)
    _check_asked(facts, frame.columns, by, probabilities, _listed(over))
    settings = [s for s in facts["settings"] if s not in _listed(over) and s not in by]
    well = frame[frame[facts["status"]].isin(_WELL)]
    numbers = [
        c
        for c in facts["columns"]
        if c not in by and c in well.columns and pandas.api.types.is_numeric_dtype(well[c])
    ]
    if not numbers:
        raise ConfigError(f"the table {facts['table']!r} has no column of numbers beside {by}")
    values: Any = pandas.DataFrame(well)
    values = values[values[by].notna().all(axis=1)]
    keys = [*settings, *by]
    # A setting whose parameter is None is a setting.
    codes = values.groupby(keys, observed=True, sort=True, dropna=False).ngroup().to_numpy()
    _, first = np.unique(codes, return_index=True)
    found: Any = values[keys].iloc[first].reset_index(drop=True)
    counts: dict[str, Any] = {}
    for c in numbers:
        column = values[c].to_numpy(float, na_value=math.nan)
        quantiles, counts[c] = quantiles_by_code(column, codes, len(found), probabilities)
        for p, row in zip(probabilities, quantiles, strict=True):
            found[_name(f"{c} {quantile_name(p)}", keys)] = row
    if all((n == counts[numbers[0]]).all() for n in counts.values()):
        found[_name("n", keys)] = counts[numbers[0]]
    else:
        for c, n in counts.items():
            found[_name(f"{c} n", keys)] = n
    if len(found) and all((n <= 1).all() for n in counts.values()):
        _say_alone(facts)
    lost = _lost(facts["ends"], found[settings])
    for k, what in enumerate(("failed", "unfinished")):
        if facts["counts"][what]:
            found[_name(what, keys)] = [each[k] for each in lost]
    return found


def _lost(ends: Sequence[Any], settings: Any) -> list[list[int]]:
    """Return how many runs failed, and are unfinished, of each row of a frame of settings."""
    from pandas.api.types import is_numeric_dtype

    names = [s for s in settings.columns if any(s in setting for setting, *_ in ends)]
    words = {s for s in names if not is_numeric_dtype(settings[s])}
    counted: dict[Any, list[int]] = {}
    for setting, *lost in ends:
        key = tuple(_value(setting.get(s), s in words) for s in names)
        known = counted.setdefault(key, [0, 0])
        counted[key] = [a + b for a, b in zip(known, lost, strict=True)]
    columns = [[_value(v, s in words) for v in settings[s].tolist()] for s in names]
    rows = zip(*columns, strict=True) if names else [()] * len(settings)
    return [counted.get(row, [0, 0]) for row in rows]


def _check_asked(
    facts: Any, columns: Any, by: Sequence[str], q: Sequence[float], over: Sequence[str]
) -> None:
    """Refuse probabilities outside [0, 1], and columns and parameters that are not there."""
    if not q or not all(0 <= p <= 1 for p in q):
        raise ConfigError(f"q={q!r}: give probabilities from 0 to 1, such as (0.05, 0.5, 0.95)")
    for column in by:
        if column not in columns:
            raise ConfigError(
                f"the table {facts['table']!r} has no column {column!r}"
                f"{did_you_mean(column, facts['columns'])}"
            )
    for name in over:
        if name not in facts["settings"]:
            known = facts["settings"]
            raise ConfigError(
                f"no parameter {name!r} varies between settings{did_you_mean(name, known)}"
            )


def _name(name: str, keys: Sequence[str]) -> str:
    return free_name(name, "runs", keys)


def _value(value: Any, is_word: bool) -> Any:
    """Return a parameter's value as a column of the frame has it; None where there is none."""
    if value is None or value != value:
        return None
    return str(value) if is_word else float(value)


def _say_alone(facts: Any) -> None:
    """Say that every value of ``by`` occurs once: then quantiles show no spread."""
    if facts["counts"]["well"] > 1:
        notify(
            f"no two runs share a row of the table {facts['table']!r}, so that quantiles show no"
            " spread; evaluate the table on the same grid in every run, or round the column"
        )
