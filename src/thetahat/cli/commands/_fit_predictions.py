"""Files of predictions (``fit --predict``, ``predict``): every row of a table, in order.

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
from thetahat.core.errors import ConfigError, DataError, MissingExtra, did_you_mean
from thetahat.core.files import replacing
from thetahat.format import CsvLines

if TYPE_CHECKING:
    from thetahat.data import Table
    from thetahat.train import Result, Results

DELIMITED = {".csv": ",", ".tsv": "\t", ".txt": ",", "": ","}
PARQUET = (".parquet", ".pq")
QUANTILES = (0.1, 0.9)
"""Over seeds, beside their median."""
_OWN = ("row", "fitted", "part", "predicted", "out_of_bag")


@dataclass(frozen=True)
class Predictions:
    """Columns of equal length, one value for every row of the table; None where there is none."""

    columns: Mapping[str, Sequence[Any]]
    fitted: int
    """Rows that have a fitted value."""
    reasons: Sequence[str] = ()
    """Why the others have none."""

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.columns["row"])

    @property
    def lost(self) -> str:
        """How many rows have no value, and why, to follow a sentence; empty if all have one."""
        n = self.rows - self.fitted
        return (
            f"; {n:,} of them {'has' if n == 1 else 'have'} none: {', '.join(self.reasons)}"
            if n
            else ""
        )


def writable(
    path: Path,
    table: Path,
    names: Sequence[str | None],
    classes: Sequence[Any] = (),
    flag: str = "--predict",
) -> Path:
    """Check, before anything runs, that the file can be written and replaces no other file.

    Args:    names: columns of the table that will stand in it.   classes: of the target.
             flag: that names the file.
    Raises:  ConfigError: it cannot be written, or should not be.   MissingExtra: no pyarrow.
    """
    from thetahat.report import is_predictions, refuse_foreign, refuse_input

    option = f"{flag} {path}"
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


def predictions(file: str, table: Table, members: Sequence[Result]) -> Predictions:
    """List every row of a file in order: its number, target, weight, fitted value and part.

    A row has a fitted value wherever its features allow one, whether or not the fit used it. That
    of several seeds is made as ``predictions_of`` does.

    Args:    table: as it was read from the file for the fit.   members: one fit, or its seeds.
    Raises:  DataError: the file has changed since.
    """
    from thetahat.cli.commands._fit_table import rows_of
    from thetahat.data import table_columns
    from thetahat.train import Bag, Results

    result, encoder = members[0], table.encoder
    config = result.config
    features = [feature.name for feature in encoder.features]
    targets = encoder.targets or (table.target,)
    shown = [name for name in (*targets, config["weights"]) if name is not None]
    found = table_columns(file, [*features, *shown], encoder.cells)
    n = len(found[targets[0]].values)
    used = np.ones(n, bool)
    if config["weights"] is not None:
        used = found[config["weights"]].values != 0
    if config["missing"] == "drop":
        used &= ~np.any([column.gone() for column in found.values()], axis=0)
    if used.sum() != len(table):
        raise DataError(f"{file!r} has changed since it was read; fit it again")
    enough = encoder.readable(found)
    x = encoder.encode({name: found[name].values[enough] for name in features})
    fitted = _over(Results(members), x, "fitted", QUANTILES, encoder.targets)
    part, outside = np.full(n, None, object), {}
    for name, rows in rows_of(result, table).items():
        part[np.flatnonzero(used)[rows]] = name
        if name == "train" and isinstance(result, Bag) and result.classes is None:
            at = np.flatnonzero(used)[rows]
            for label, values in _outputs("out_of_bag", result.out_of_bag, encoder.targets):
                outside[label] = np.full(n, None, object)
                outside[label][at] = [None if v != v else v for v in values.tolist()]
    columns = {
        "row": list(range(1, n + 1)),
        **{name: _values(found[name]) for name in shown},
        **{name: _spread(values, enough) for name, values in fitted.items()},
        "part": part.tolist(),
        **{name: values.tolist() for name, values in outside.items()},
    }
    return Predictions(columns, int(enough.sum()), encoder.reasons(found))


def predictions_of(file: str, members: Results[Any], quantiles: Sequence[float]) -> Predictions:
    """List every row of a file in order: its number and what fitted functions predict.

    A row has a prediction wherever its features allow one. That of several members is their median,
    with quantiles over them; of classes, the label whose mean probability is largest.

    Args:    file: has the columns of the fit, in any order; its target is not needed.
    Raises:  DataError: a column of the fit is absent.
    """
    from thetahat.train import predictor_of

    x, enough, reasons = _inputs(file, members)
    targets = getattr(getattr(predictor_of(members[0]).transform, "encoder", None), "targets", ())
    columns: dict[str, Sequence[Any]] = {"row": list(range(1, len(enough) + 1))}
    made = {"predicted": np.zeros(0)}
    if enough.any():
        made = _over(members, x, "predicted", quantiles, targets)
    columns |= {name: _spread(values, enough) for name, values in made.items()}
    return Predictions(columns, int(enough.sum()), reasons)


def _over(
    members: Results[Any], x: Any, name: str, quantiles: Sequence[float], targets: Sequence[str]
) -> dict[str, np.ndarray]:
    """Columns of what members predict: one member's own, else the median and quantiles; of
    classes, labels and mean probabilities."""
    classes = members[0].classes
    if classes is not None:
        proba = members.predict_proba(x).mean(axis=0)
        labels = members[0].predict(x) if len(members) == 1 else classes[proba.argmax(axis=1)]
        return {name: labels, **dict(zip(label_columns(classes), proba.T, strict=True))}
    values = members.predict(x)
    found = {name: values[0] if len(members) == 1 else np.quantile(values, 0.5, axis=0)}
    if len(members) > 1:
        found |= {f"q{100 * q:g}": np.quantile(values, q, axis=0) for q in quantiles}
    return {
        label: one
        for name, column in found.items()
        for label, one in _outputs(name, column, targets)
    }


def _inputs(file: str, members: Sequence[Any]) -> tuple[Any, np.ndarray, list[str]]:
    """The inputs of the rows that have all features, which rows these are, and why not all."""
    from thetahat.data import table_columns, table_names
    from thetahat.train import predictor_of

    there, ones = table_names(file), [predictor_of(member) for member in members]
    encoder = getattr(ones[0].transform, "encoder", None)
    if encoder is None or encoder.unnamed:
        return _plain_inputs(file, there, ones)
    names = [feature.name for feature in encoder.features]
    for name in names:
        if name not in there:
            raise DataError(f"{file!r} has no column {name!r} (feature){did_you_mean(name, there)}")
    found = table_columns(file, names, encoder.cells)
    encoders = {one.transform.encoder for one in ones}
    enough: Any = np.all([each.readable(found) for each in encoders], axis=0)
    x = {name: found[name].values[enough] for name in names}
    return x if enough.any() else (), enough, next(iter(encoders)).reasons(found)


def _plain_inputs(
    file: str, there: Sequence[str], ones: Sequence[Any]
) -> tuple[Any, np.ndarray, list[str]]:
    """The inputs of functions that were fitted to arrays: the columns of the table, by their names
    if the fit had a frame, else in the table's order."""
    from thetahat.data import table_columns
    from thetahat.train import columns_of

    shape = ones[0].shape
    wide = None if shape is None or len(shape) != 1 else shape[0]
    fitted = {None if one.transform is not None else columns_of(one) for one in ones}
    if len(fitted) > 1:
        raise DataError("the models were fitted to frames with other columns; predict one by one")
    if names := next(iter(fitted)):
        lost = [name for name in names if name not in there]
        if lost:
            hint = did_you_mean(lost[0], there)
            raise DataError(f"{file!r} has no column {lost[0]!r} (feature){hint}")
        there = names
    elif wide != len(there):
        takes = "inputs of another kind" if wide is None else f"{wide} inputs without names"
        raise DataError(
            f"the model was fitted to arrays and takes {takes}; {file!r} has {len(there)} columns"
            f" ({', '.join(there)}): give a table with its inputs alone, in their order"
        )
    found = table_columns(file, there)
    for name, column in found.items():
        if column.kind != "number":
            raise DataError(
                f"column {name!r} of {file!r} holds {column.what}, e.g. {column.example!r}; the"
                " model was fitted to numbers"
            )
    rows = np.stack([found[name].values for name in there], axis=1)
    enough = np.asarray(np.isfinite(rows).all(axis=1))
    n = int((~enough).sum())
    return rows[enough], enough, [f"{n:,} lack{'s' * (n == 1)} a number"]


def _outputs(name: str, values: np.ndarray, targets: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Columns of predictions (n,), or (n, k) of k targets or outputs."""
    if values.ndim == 1:
        return [(name, values)]
    labels = targets or [str(k + 1) for k in range(values.shape[1])]
    return [(f"{name}_{label}", column) for label, column in zip(labels, values.T, strict=True)]


def write(path: Path, made: Predictions, flag: str = "--predict") -> None:
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
        raise ConfigError(f"{flag} {path} cannot be written: {why}") from error


def _spread(values: np.ndarray, enough: np.ndarray) -> list[Any]:
    """Put values into the rows that have one; None elsewhere, and for NaN."""
    column = np.full(len(enough), None, object)
    column[enough] = [None if value != value else value for value in values.tolist()]
    return column.tolist()


def _values(column: Any) -> list[Any]:
    """List a column's values as they were given, None if missing."""
    kind = {"bool": bool, "int64": int}.get(column.dtype, lambda v: v)
    return [None if v is None or v != v else kind(v) for v in column.values.tolist()]


def _write_delimited(file: TextIO, made: Predictions, delimiter: str) -> None:
    writer = csv.writer(CsvLines(file), delimiter=delimiter)
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
