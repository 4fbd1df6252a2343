"""Runs, or their records, as columns of one table, and as a CSV or Parquet file."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError, MissingExtra
from thetahat.core.json import plain_value
from thetahat.store._rows import RunRow
from thetahat.store._store import Store

_OWN = ("id", "name", "project", "experiment", "sweep_id", "status", "reason", "epochs", "created")
_LABELS = ("group", "job_type", "notes", "tags")
OWN_COLUMNS = frozenset({*_OWN, *_LABELS, "seconds", "state"})
"""Names of columns that say what a run is; ``state`` is W&B's word for the status."""
HEADS = ("config.", "metrics.", "logged.")
"""What begins the names of columns: of parameters, of metrics, and of logged words whose own name
another column has."""
_EXACT = 2**53
"""Whole numbers up to this size are exact as float64."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula of a spreadsheet."""


def run_columns_of(store: Store, runs: Sequence[RunRow]) -> dict[str, list[Any]]:
    """Return a row for each run: its own columns, config.NAME, metrics.NAME and labels.

    A metric that is not finite is NaN, one that is missing None.
    """
    rows = []
    for row in runs:
        run = store.run(row.id)
        flat: dict[str, Any] = {name: getattr(run, name) for name in _OWN}
        flat |= {"seconds": run.total_seconds, "status": str(run.status)}
        flat |= {f"config.{name}": value for name, value in _flat(run.config)}
        numbers = {k: math.nan if v is None else v for k, v in run.metrics.items()}
        flat |= {f"metrics.{name}": value for name, value in numbers.items()}
        flat |= {
            name: _tags_text(value) if name == "tags" else value
            for name, value in run.labels.items()
            if name in _LABELS
        }
        words = _flat((run.detail or {}).get("logged", {}))
        flat |= {_own_name(name, "logged", OWN_COLUMNS): value for name, value in words}
        rows.append(flat)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _tags_text(tags: Sequence[str]) -> str:
    """Return tags as one text: with commas between them, or as JSON if a tag has one itself."""
    text = ",".join(tags)
    return text if tags_in(text) == list(tags) else json.dumps(list(tags), ensure_ascii=False)


def tags_in(text: str) -> list[str]:
    """Return the tags in the cell of a table.

    >>> tags_in("a, b"), tags_in('["a,b", "c"]')
    (['a', 'b'], ['a,b', 'c'])
    """
    try:
        found = json.loads(text) if text.startswith("[") else None
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(tag, str) for tag in found):
        return found
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def plain_name(name: str) -> str:
    """Return the name of a column as it is compared: ``Job Type`` is ``job_type``."""
    return name.lower().replace(" ", "_")


def _own_name(name: str, head: str, own: Collection[str]) -> str:
    """Return the name of a column; with its head if it would be taken for another one."""
    taken = plain_name(name) in own or name.startswith(HEADS)
    return f"{head}.{name}" if taken else name


def history_columns(store: Store, runs: Sequence[RunRow]) -> dict[str, list[Any]]:
    """Return a row for each record of each run: the run's id, name and config, then the record."""
    parts = [(run, store.history(run.id)) for run in runs]
    logged = dict.fromkeys(name for _, history in parts for name in history)
    config = dict.fromkeys(name for run, _ in parts for name, _ in _flat(run.config))
    made: dict[str, list[Any]] = {name: [] for name in ("id", "name")}
    made |= {f"config.{name}": [] for name in config}
    heads = {name: _own_name(name, "metrics", ("id", "name")) for name in logged}
    made |= {head: [] for head in heads.values()}
    for run, history in parts:
        n = len(next(iter(history.values()), ()))
        known = dict(_flat(run.config))
        made["id"] += [run.id] * n
        made["name"] += [run.name] * n
        for name in config:
            made[f"config.{name}"] += [known.get(name)] * n
        for name in logged:
            found = history.get(name)
            made[heads[name]] += [None] * n if found is None else found.tolist()
    return made


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]], nan: str = "nan") -> int:
    """Write columns to a file that ends in .csv or .parquet; return the number of rows.

    Args:    nan: the cell of NaN in CSV.
    Raises:  InputError: it cannot be written.   MissingExtra: Parquet without pyarrow.
    """
    rows = len(next(iter(columns.values()), ()))
    new = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix == ".csv":
            with new.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([_cell(name, nan) for name in columns])
                writer.writerows(
                    [_cell(v, nan) for v in row] for row in zip(*columns.values(), strict=True)
                )
        else:
            _write_parquet(new, columns)
        os.replace(new, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error})") from error
    finally:
        new.unlink(missing_ok=True)
    return rows


def _write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("Parquet files", "tables") from error
    pq.write_table(pa.table({name: arrow_column(v) for name, v in columns.items()}), path)


def arrow_column(values: Sequence[Any]) -> Any:
    """Return a column as an array of pyarrow; None is missing.

    Mixed cells, and whole numbers that no column of numbers holds exactly, make a column of text.
    """
    import pyarrow as pa

    if getattr(getattr(values, "dtype", None), "kind", "O") != "O":
        return pa.array(values, from_pandas=False)
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, float} and kinds:
        most = _EXACT if float in kinds else 2**63 - 1
        plain = all(abs(v) <= most for v in values if type(v) is int)
    else:
        plain = len(kinds) == 1 and not kinds & {list, tuple, dict}
    known = list(values) if plain else [_text(v) for v in values]
    return pa.array(known, None if plain else pa.string(), from_pandas=False)


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", value))
    return found


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None if value != value else str(value)  # NaN is missing, as in a column of numbers
    return json.dumps(value, default=plain_value)


def _cell(value: Any, nan: str) -> Any:
    """Return a cell of CSV: a text that a spreadsheet would run gets an apostrophe."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, float):
        return repr(value) if value == value else nan
    return json.dumps(value) if isinstance(value, (list, dict, bool)) else value
