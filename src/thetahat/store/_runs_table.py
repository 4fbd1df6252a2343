"""Runs, or their records, as columns of one table, and as a CSV or Parquet file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError, MissingExtra
from thetahat.store._rows import RunRow
from thetahat.store._store import Store

_OWN = ("id", "name", "project", "experiment", "sweep_id", "status", "reason", "epochs", "created")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula of a spreadsheet."""


def run_columns_of(store: Store, runs: Sequence[RunRow]) -> dict[str, list[Any]]:
    """Return a row for each run: its own columns, config.NAME, metrics.NAME and labels."""
    rows = []
    for row in runs:
        run = store.run(row.id)
        flat: dict[str, Any] = {name: getattr(run, name) for name in _OWN}
        flat |= {"seconds": run.total_seconds, "status": str(run.status)}
        flat |= {f"config.{name}": value for name, value in _flat(run.config)}
        flat |= {f"metrics.{name}": value for name, value in run.metrics.items()}
        flat |= {
            name: ",".join(value) if name == "tags" else value
            for name, value in run.labels.items()
            if name in ("group", "job_type", "notes", "tags")
        }
        flat |= dict(_flat((run.detail or {}).get("logged", {})))
        rows.append(flat)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def history_columns(store: Store, runs: Sequence[RunRow]) -> dict[str, list[Any]]:
    """Return a row for each record of each run: the run's id, name and config, then the record."""
    parts = [(run, store.history(run.id)) for run in runs]
    logged = dict.fromkeys(name for _, history in parts for name in history)
    config = dict.fromkeys(name for run, _ in parts for name, _ in _flat(run.config))
    made: dict[str, list[Any]] = {name: [] for name in ("id", "name")}
    made |= {f"config.{name}": [] for name in config} | {name: [] for name in logged}
    for run, history in parts:
        n = len(next(iter(history.values()), ()))
        known = dict(_flat(run.config))
        made["id"] += [run.id] * n
        made["name"] += [run.name] * n
        for name in config:
            made[f"config.{name}"] += [known.get(name)] * n
        for name in logged:
            found = history.get(name)
            made[name] += [None] * n if found is None else found.tolist()
    return made


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> int:
    """Write columns to a file that ends in .csv or .parquet; return the number of rows.

    Raises:  InputError: it cannot be written.   MissingExtra: Parquet without pyarrow.
    """
    rows = len(next(iter(columns.values()), ()))
    new = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.suffix == ".csv":
            with new.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(list(map(_cell, columns)))
                writer.writerows(
                    [_cell(v) for v in row] for row in zip(*columns.values(), strict=True)
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
    arrays = {}
    for name, values in columns.items():
        kinds = {type(value) for value in values} - {type(None)}
        plain = kinds <= {int, float} or len(kinds) == 1
        known = values if plain and not kinds & {list, dict} else [_text(v) for v in values]
        arrays[name] = pa.array(known, from_pandas=False)
    pq.write_table(pa.table(arrays), path)


def _flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", value))
    return found


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _cell(value: Any) -> Any:
    """Return a cell of CSV: a text that a spreadsheet would run gets an apostrophe."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, float):
        return repr(value) if value == value else ""
    return json.dumps(value) if isinstance(value, (list, dict, bool)) else value
