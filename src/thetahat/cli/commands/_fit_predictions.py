"""The file of ``thetahat fit --predict``: every row of the table, in order, with its fitted value.

A row's number is its key: the file can be merged back into the table whatever was left out of the
fit. Numbers are written with all their digits, so that what is recomputed from the file is what was
printed.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from thetahat.cli.commands._fit_classes import label_columns
from thetahat.core.errors import ConfigError, DataError, MissingExtra
from thetahat.core.files import replacing

if TYPE_CHECKING:
    from thetahat.data import Table
    from thetahat.train import Result

DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": ",", "": ","}
PARQUET = (".parquet", ".pq")
_OWN = ("row", "fitted", "part")


@dataclass(frozen=True)
class Predictions:
    """Columns of equal length, one value for every row of the table; None where there is none."""

    columns: Mapping[str, Sequence[Any]]
    fitted: int
    """Rows that have a fitted value."""

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.columns["row"])


def writable(
    path: Path, table: Path, names: Sequence[str | None], classes: Sequence[Any] = ()
) -> Path:
    """Check, before anything runs, that the file can be written and replaces no other file.

    Args:    names: columns of the table that will stand in it.   classes: of the target.
    Raises:  ConfigError: it cannot be written, or should not be.   MissingExtra: no pyarrow.
    """
    from thetahat.report import is_predictions, refuse_foreign, refuse_input

    option = f"--predict {path}"
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"{option} cannot be written; give a file in a folder that exists and is yours"
        )
    kind = path.suffix.lower()
    if kind not in (*DELIMITED, *PARQUET, ".json"):
        raise ConfigError(
            f"{option}: fitted values are written as .csv, .tsv, .json or .parquet, and not as"
            f" {path.suffix}; give another ending"
        )
    if kind in PARQUET:
        _pyarrow()
    own = (*_OWN, *label_columns(classes))
    for name in names:
        if name in own:
            raise ConfigError(
                f"{option}: the table's column {name!r} is called like one of the file's"
                f" ({', '.join(own)}); rename it in the table"
            )
    refuse_input(path, option, table, "the table")
    refuse_foreign(path, option, is_predictions)
    return path


def predictions(file: str, table: Table, result: Result) -> Predictions:
    """List every row of a file in order: its number, target, weight, fitted value and part.

    A row has a fitted value wherever its features allow one, whether or not the fit used it.

    Args:    table: as it was read from the file for the fit.
    Raises:  DataError: the file has changed since.
    """
    from thetahat.cli.commands._fit_table import rows_of
    from thetahat.data import table_columns

    config, encoder = result.config, table.encoder
    features = [feature.name for feature in encoder.features]
    shown = [name for name in (table.target, config["weights"]) if name is not None]
    found = table_columns(file, [*features, *shown])
    n = len(found[table.target].values)
    used = np.ones(n, bool)
    if config["missing"] == "drop":
        used = ~np.any([column.gone() for column in found.values()], axis=0)
    if used.sum() != len(table):
        raise DataError(f"{file!r} has changed since it was read; fit it again")
    enough = _enough(found, encoder)
    x = encoder.encode({name: found[name].values[enough] for name in features})
    fitted = {"fitted": result.predict(x)}
    if result.classes is not None:
        fitted |= zip(label_columns(result.classes), result.predict_proba(x).T, strict=True)
    part = np.full(n, None, object)
    for name, rows in rows_of(result.data, len(table), int(config["split_seed"])).items():
        part[np.flatnonzero(used)[rows]] = name
    columns = {
        "row": list(range(1, n + 1)),
        **{name: _values(found[name]) for name in shown},
        **{name: _spread(values, enough) for name, values in fitted.items()},
        "part": part.tolist(),
    }
    return Predictions(columns, int(enough.sum()))


def write(path: Path, made: Predictions) -> None:
    """Write fitted values in the format of the file's ending, whole or not at all.

    Raises:  ConfigError: the file cannot be written.
    """
    kind = path.suffix.lower()
    try:
        with replacing(path) as new:
            if kind in PARQUET:
                _write_parquet(new, made)
            else:
                with new.open("w", newline="", encoding="utf-8") as file:
                    if kind == ".json":
                        _write_json(file, made)
                    else:
                        _write_delimited(file, made, DELIMITED[kind])
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"--predict {path} cannot be written: {why}") from error


def _spread(values: np.ndarray, enough: np.ndarray) -> list[Any]:
    """Put values into the rows that have one; None elsewhere, and for NaN."""
    column = np.full(len(enough), None, object)
    column[enough] = [None if value != value else value for value in values.tolist()]
    return column.tolist()


def _enough(found: Mapping[str, Any], encoder: Any) -> np.ndarray:
    """Tell which rows have the features that a fitted value needs, (n,)."""
    enough = np.ones(len(next(iter(found.values())).values), bool)
    for feature in encoder.features:
        column = found[feature.name]
        if encoder.missing not in ("mean", "median"):
            enough &= ~column.gone()
        if feature.levels is not None:
            known = {None, *feature.levels}
            enough &= np.array([level in known for level in column.levels_or_none()], bool)
        elif column.kind == "number":
            enough &= ~np.isinf(column.values)
    return enough


def _values(column: Any) -> list[Any]:
    """List a column's values as they were given, None if missing."""
    kind = {"bool": bool, "int64": int}.get(column.dtype, lambda v: v)
    return [None if v is None or v != v else kind(v) for v in column.values.tolist()]


def _write_delimited(file: TextIO, made: Predictions, delimiter: str) -> None:
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(made.columns)
    writer.writerows(zip(*made.columns.values(), strict=True))


def _write_json(file: TextIO, made: Predictions) -> None:
    lines = (
        json.dumps(dict(zip(made.columns, row, strict=True)), ensure_ascii=False)
        for row in zip(*made.columns.values(), strict=True)
    )
    file.write("[" + ",\n ".join(lines) + "]\n")


def _write_parquet(path: Path, made: Predictions) -> None:
    from thetahat.report import MADE_BY

    pyarrow = _pyarrow()
    from pyarrow import parquet

    table = pyarrow.table({key: pyarrow.array(list(v)) for key, v in made.columns.items()})
    parquet.write_table(table.replace_schema_metadata({"maker": f"{MADE_BY}: fitted"}), path)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise MissingExtra("writing Parquet", "tables") from None
    return pyarrow
