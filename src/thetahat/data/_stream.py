"""Tables larger than memory: Parquet written once to a spool, then read row by row.

A spool is a folder of raw row-major numbers, named by a hash of the files, their sizes and times,
and the columns; it is renamed into place when complete. ``th.split`` and the engine read the same
rows, order and bits from a spool as from memory.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, DataError, RunFailed, notify
from thetahat.data._checks import Scan, TablePlan, check_single, look, lost_rows, plan, verdict
from thetahat.data._classes import Classes
from thetahat.data._columns import TableColumn, columns_of
from thetahat.data._encoder import Encoder, Feature
from thetahat.data._readers import PARQUET, checked_path, parquet_file
from thetahat.data._table import Table, arrays

_BLOCK_VALUES = 1 << 21  # numbers held at once while spooling: 16 MB in double precision
_FORMAT = 3


@arguments_named
def stream_table(
    paths: str | Path | Sequence[str | Path],
    target: str,
    features: Sequence[str] | str | None = None,
    weights: str | None = None,
    missing: str = "refuse",
    standardize: bool = True,
    target_scale: bool | None = None,
    categorical: Sequence[str] | str | None = None,
    cache: str | Path | None = None,
    dtype: str = "float64",
) -> Table:
    """Read Parquet files larger than memory as a Table whose arrays stay on disk.

    Args:    paths: one Parquet file, or several with the same columns, in order.
             cache: the folder of spools; ``.thetahat/spool`` here by default.
             dtype: of the spool, "float64" or "float32" (half the disk).
             The others: as ``read_table``; missing="median" needs the data in memory.
    Returns: a Table of memory maps; its parts are read batch by batch.
    Raises:  DataError: as ``read_table``; too little space on the disk for the spool.
             MissingExtra: pyarrow is not installed.   RunFailed: the disk is full.
    """
    if dtype not in ("float32", "float64"):
        raise ConfigError(f"dtype={dtype!r}; give 'float32' or 'float64'")
    if missing == "median":
        raise DataError("missing='median' needs the data in memory; stream with missing='mean'")
    several: Sequence[Any] = paths if isinstance(paths, (list, tuple)) else [paths]
    files = [checked_path(p) for p in several]
    if not files:
        raise DataError("no files to stream; give at least one Parquet file")
    for path in files:
        if path.suffix.lower() not in PARQUET:
            raise DataError(f"{path.name!r} cannot be streamed; write it as Parquet")
    names = _common_names(files)
    roles = plan(names, target, features, weights, missing, standardize, target_scale, categorical)
    folder = Path(cache or Path(".thetahat") / "spool")
    spool = folder / _key(files, roles, dtype)
    if not (spool / "spool.json").exists():
        _spool(files, roles, np.dtype(dtype), spool)
    elif lost := json.loads((spool / "spool.json").read_text(encoding="utf-8")).get("lost"):
        notify(lost)
    return _open(spool, roles)


def _common_names(files: Sequence[Path]) -> list[str]:
    names = list(parquet_file(files[0]).schema_arrow.names)
    for path in files[1:]:
        there = parquet_file(path).schema_arrow.names
        if lost := [name for name in names if name not in there]:
            raise DataError(
                f"{path.name!r} has no column {lost[0]!r}, unlike {files[0].name!r};"
                " give files with the same columns"
            )
    return names


def _key(files: Sequence[Path], roles: TablePlan, dtype: str) -> str:
    """Name the spool by a hash of the files and of the columns read from them."""
    stats = [(str(path.resolve()), path.stat()) for path in files]
    said = {
        "format": _FORMAT,
        # A copy may keep the time of the contents (mtime), but not of the last change (ctime).
        "files": [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats],
        # The split standardises, so both cases share a spool.
        "roles": {**asdict(roles), "standardize": None, "target_scale": None},
        "dtype": dtype,
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]


def _blocks(
    files: Sequence[Path], wanted: list[str], width: int
) -> Iterator[dict[str, TableColumn]]:
    """Yield blocks of rows of bounded size, independent of row groups."""
    import pyarrow

    rows = max(1, _BLOCK_VALUES // width)
    for path in files:
        try:
            file = parquet_file(path, buffer_size=1 << 18)
            for batch in file.iter_batches(batch_size=rows, columns=wanted):
                yield columns_of(pyarrow.Table.from_batches([batch]), wanted)
        except (pyarrow.ArrowInvalid, OSError) as error:
            said = str(error).strip().splitlines()[0].rstrip(".")
            raise DataError(
                f"{path.name!r} cannot be read completely ({said}); check the file"
            ) from error


def _spool(files: Sequence[Path], roles: TablePlan, dtype: np.dtype, spool: Path) -> None:
    scan = Scan()
    for columns in _blocks(files, roles.used, len(roles.used)):
        look(scan, columns, roles)
    encoder = verdict(scan, roles)
    if dtype == np.float32:
        check_single(scan)
    width = len(encoder.names) + 1 + (roles.weights is not None)
    try:
        spool.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(spool.parent).free
        need = scan.kept * (width * dtype.itemsize + 8 * (scan.kept < scan.rows))
        if need > free:
            raise DataError(
                f"the spool needs {need / 1e9:.1f} GB and {str(spool.parent)!r} has "
                f"{free / 1e9:.1f} GB; give cache= on a larger disk, or dtype='float32'"
            )
        building = Path(tempfile.mkdtemp(prefix=f"{spool.name}.", dir=spool.parent))
    except PermissionError as error:
        raise DataError(
            f"the spool folder {str(spool.parent)!r} cannot be written; give cache="
            " in another place"
        ) from error
    try:
        _write(files, roles, encoder, dtype, building, scan)
        _publish(building, spool)
    except OSError as error:
        full = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise RunFailed(f"writing the spool into {str(spool.parent)!r} failed: {full}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(
    files: Sequence[Path],
    roles: TablePlan,
    encoder: Encoder,
    dtype: np.dtype,
    folder: Path,
    scan: Scan,
) -> None:
    weighted, before = roles.weights is not None, 0
    with (
        (folder / "x.bin").open("wb") as x_file,
        (folder / "y.bin").open("wb") as y_file,
        (folder / "weight.bin").open("wb") as weight_file,
        (folder / "rows.bin").open("wb") as rows_file,
    ):
        for columns in _blocks(files, roles.used, len(encoder.names) + len(roles.used)):
            keep = look(Scan(), columns, roles)
            x, y, weight = arrays(encoder, columns, keep, roles)
            x_file.write(np.ascontiguousarray(x, dtype).data)
            y_file.write(np.ascontiguousarray(y, dtype).data)
            if weight is not None:
                weight_file.write(np.ascontiguousarray(weight, dtype).data)
            if scan.kept < scan.rows:
                rows_file.write((before + np.flatnonzero(keep)).astype(np.int64).data)
            before += len(keep)
    features = [{"name": f.name, "levels": f.levels} for f in encoder.features]
    said = {"rows": scan.kept, "dtype": dtype.str, "weighted": weighted, "features": features}
    classes = None if encoder.classes is None else asdict(encoder.classes)
    said |= {"classes": classes, "dtype_y": encoder.dtype, "dropped": scan.kept < scan.rows}
    said |= {"lost": lost_rows(scan, roles)}
    (folder / "spool.json").write_text(json.dumps(said), encoding="utf-8")


def _publish(building: Path, spool: Path) -> None:
    """Rename into place, unless another process has written the same spool."""
    try:
        os.replace(building, spool)
    except OSError:
        if not (spool / "spool.json").exists():
            raise


def _open(spool: Path, roles: TablePlan) -> Table:
    said: dict[str, Any] = json.loads((spool / "spool.json").read_text(encoding="utf-8"))
    features = tuple(
        Feature(f["name"], None if f["levels"] is None else tuple(f["levels"]))
        for f in said["features"]
    )
    found = said["classes"]
    classes = None if found is None else Classes(tuple(found["labels"]), found["dtype"])
    encoder = Encoder(features, roles.target, roles.missing, classes, said["dtype_y"])
    rows, dtype = said["rows"], np.dtype(said["dtype"])

    def array(name: str, shape: tuple[int, ...], dtype: np.dtype = dtype) -> np.memmap:
        path = spool / f"{name}.bin"
        if path.stat().st_size != int(np.prod(shape)) * dtype.itemsize:
            raise DataError(f"the spool {str(spool)!r} is damaged; remove it and start again")
        return np.memmap(path, dtype, "r", shape=shape)

    return Table(
        array("x", (rows, len(encoder.names))),
        array("y", (rows,)),
        array("weight", (rows,)) if said["weighted"] else None,
        encoder,
        roles.standardize,
        roles.target_scale and classes is None,
        array("rows", (rows,), np.dtype(np.int64)) if said.get("dropped") else None,
    )
