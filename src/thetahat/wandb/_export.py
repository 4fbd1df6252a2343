"""Write runs of a store as offline runs of W&B, which the real package reads and sends.

The file is that of ``_wandb_file``: a log of protobuf records behind seven bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from thetahat.core.errors import StoreError
from thetahat.core.json import from_json
from thetahat.store import RunRow, Store, list_files, list_tables, read_table
from thetahat.sweep.processes._wandb_file import (
    BLOCK,
    FIRST,
    FULL,
    HEADER,
    IDENT,
    LAST,
    MAGIC,
    MIDDLE,
    START,
    VERSION,
)
from thetahat.wandb._artifacts import KIND
from thetahat.wandb._import import read_run
from thetahat.wandb._run import NESTED, OWN_STEP

_Field = tuple[int, "int | bytes | str"]
_HISTORY, _SUMMARY, _FILES, _RUN, _EXIT = 2, 3, 6, 17, 18
_LABELS = {"group": 6, "job_type": 7, "notes": 9}


def export_runs(store: Store, rows: Iterable[RunRow], folder: Path) -> int:
    """Write runs below ``folder``, each as ``offline-run-TIME-ID``.

    W&B has one run of an id in a project. Of several, the latest keeps it, as ``Api.run`` finds
    that one; the others get the store's id behind it.

    Returns: how many runs have got another id.
    Raises:  StoreError: one cannot be written, or is there already.
    """
    ordered = sorted(rows, key=lambda row: row.number)
    latest = {_identity(row): row.id for row in ordered}
    others = 0
    for row in ordered:
        project, id_ = _identity(row)
        if latest[project, id_] != row.id:
            id_, others = f"{id_}-{row.id}", others + 1
        _export_run(store, store.run(row.id), id_, project, folder)
    return others


def _identity(row: RunRow) -> tuple[str, str]:
    """Return the project and the id of a run, as W&B has them."""
    project = row.project or str(row.labels.get("project", ""))
    return project, str(row.labels.get("id") or row.id)


def _export_run(store: Store, run: RunRow, id_: str, project: str, folder: Path) -> None:
    began = datetime.fromisoformat(run.started or run.created)
    word = re.sub(r"[^\w.-]", "_", id_)  # an id of a program's own may be no name of a file
    place = folder / f"offline-run-{began:%Y%m%d_%H%M%S}-{word}"
    if _has_another(place, project):
        place = folder / f"{place.name}-{run.id}"
    try:
        (place / "files").mkdir(parents=True)
        with (place / f"run-{word}.wandb").open("wb") as file:
            file.write(_log(_records(store, run, id_, began, place / "files")))
    except FileExistsError as error:
        raise StoreError(f"{place} is there already; give another folder") from error
    except OSError as error:
        raise StoreError(f"{place} cannot be written ({error.strerror or error})") from error


def _has_another(place: Path, project: str) -> bool:
    """Whether a folder has the run of another project, which has the same id."""
    there = next(place.glob("run-*.wandb"), None)
    return there is not None and read_run(there).labels.get("project", "") != project


def _records(
    store: Store, run: RunRow, id_: str, began: datetime, files: Path
) -> Iterator[tuple[_Field, ...]]:
    labels = run.labels
    config = [(1, _item(name, value)) for name, value in run.config.items()]
    seconds = began.timestamp()
    clock = ((1, int(seconds)), (2, int(seconds % 1 * 1e9)))
    yield (
        (
            _RUN,
            _message(
                (1, id_),
                (3, run.project or str(labels.get("project", ""))),
                (4, _message(*config)),
                *(
                    (number, str(labels[name]))
                    for name, number in _LABELS.items()
                    if name in labels
                ),
                (8, run.name),
                *((10, str(tag)) for tag in labels.get("tags", ())),
                (17, _message(*clock)),
            ),
        ),
    )
    media = _tables(store, run, files)
    steps = _rows(store, run)
    for step in sorted({*steps, *media}):
        row = {**steps.get(step, {}), **media.get(step, {}), "_step": step}
        items = [(1, _item(name, value)) for name, value in row.items()]
        yield ((_HISTORY, _message(*items, (2, _message((1, step))))),)
    metrics = {k: math.nan if v is None else v for k, v in run.metrics.items()}
    summary = {**metrics, **(run.detail or {}).get("logged", {})}
    if OWN_STEP in summary:
        summary["step"] = summary.pop(OWN_STEP)
    mappings = _mappings(store, run.id)
    items = [(1, _item(name, value, mappings)) for name, value in summary.items()]
    logged = {name for row in steps.values() for name in row}
    axes = {block.columns[0] for block in store.blocks(run.id)}
    gone = [(2, _item(name, None)) for name in sorted(logged - summary.keys() - axes)]
    yield ((_SUMMARY, _message(*items, *gone)),)
    for name in _kept(store, run, files):
        yield ((_FILES, _message((1, _message((1, name))))),)
    ended = run.total_seconds or 0.0
    code = 0 if run.status.well else 1
    yield ((_EXIT, _message((1, code), (2, int(ended)))),)


def _mappings(store: Store, run: str) -> Collection[str]:
    """Return the names that a run logged as mappings: a hidden label."""
    from sqlalchemy import text

    with store.reading() as connection:
        query = text("SELECT labels FROM runs WHERE id = :run")
        (labels,) = connection.execute(query, {"run": run}).one()
    return from_json(labels).get(NESTED, ())


def _rows(store: Store, run: RunRow) -> dict[int, dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for block in store.blocks(run.id):
        axis = [int(step) for step in block.column(block.columns[0])]
        for name in block.columns[1:]:
            known = "step" if name == OWN_STEP else name
            for step, value in zip(axis, block.column(name), strict=True):
                rows.setdefault(step, {})[known] = value
        if block.columns[0] == "epoch":
            for step in axis:
                rows.setdefault(step, {})["epoch"] = step
    return rows


def _tables(store: Store, run: RunRow, files: Path) -> dict[int, dict[str, Any]]:
    """Write the tables of a run, and return what history says of them, by step."""
    found: dict[int, dict[str, Any]] = {}
    for table in list_tables(store, run.id):
        columns = read_table(store, run.id, table.name, table.step)
        step = table.step or 0
        if table.kind == "histogram" and {*columns} == {"left", "right", "count"}:
            found.setdefault(step, {})[table.name] = _histogram(columns)
            continue
        cells = [column.tolist() for column in columns.values()]
        rows = [list(row) for row in zip(*cells, strict=True)]
        text = json.dumps({"columns": list(columns), "data": rows}).encode()
        digest = hashlib.sha256(text).hexdigest()
        inner = f"media/table/{table.name}_{step}_{digest[:20]}.table.json"
        path = _inside(files, inner)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        about = {"_type": "table-file", "ncols": len(columns), "nrows": table.rows, "path": inner}
        more = {"sha256": digest, "size": len(text)}
        found.setdefault(step, {})[table.name] = {**about, **more}
    return found


def _histogram(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a histogram as W&B has it: edges of the bins, and counts."""
    left, right, count = (columns[name].tolist() for name in ("left", "right", "count"))
    return {"_type": "histogram", "bins": [*left, *right[-1:]], "values": count}


def _kept(store: Store, run: RunRow, files: Path) -> Iterator[str]:
    """Copy the files of a run, and yield their names."""
    latest = {file.name: file for file in list_files(store, run.id)}
    for name, file in latest.items():
        path = _inside(files, f"{name}/manifest.json" if file.kind == KIND else name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):  # another file has the folder's name
            path = files / path.relative_to(files).as_posix().replace("/", "_")
        path = _free(path)
        shutil.copyfile(file.path, path)
        yield path.relative_to(files).as_posix()


def _inside(files: Path, name: str) -> Path:
    """Return where a file of this name lies: inside ``files``, as a name is a label, not a path."""
    parts = [part.replace(":", "_") for part in name.replace("\\", "/").split("/")]
    return files.joinpath(*[part for part in parts if part not in ("", ".", "..")] or ["file"])


def _free(path: Path) -> Path:
    """Return a path that no other file has: names that differ may make one path."""
    found, k = path, 1
    while found.exists():
        k += 1
        found = path.with_name(f"{path.stem}-{k}{path.suffix}")
    return found


def _item(name: str, value: Any, mappings: Collection[str] = ()) -> bytes:
    """Return a value by its name, or below the mapping that has it."""
    above = next((m for m in mappings if name.startswith(f"{m}.")), None)
    keys = [name] if above is None else [above, *name[len(above) + 1 :].split(".")]
    return _message(*((2, key) for key in keys), (16, json.dumps(value)))


def _message(*fields: _Field) -> bytes:
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            data = value.encode("utf-8", "backslashreplace") if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _log(records: Iterator[tuple[_Field, ...]]) -> bytes:
    """Return records as a log: in blocks, each chunk with its checksum."""
    out = bytearray(START.pack(IDENT, MAGIC, VERSION))
    for number, record in enumerate(records, 1):
        rest, first = _message((1, number), *record), True
        while first or rest:
            left = BLOCK - len(out) % BLOCK
            if left < HEADER.size:
                out += bytes(left)
                continue
            part, rest = rest[: left - HEADER.size], rest[left - HEADER.size :]
            kind = (FIRST if first else MIDDLE) if rest else (FULL if first else LAST)
            crc = zlib.crc32(part, zlib.crc32(bytes([kind])))
            out += HEADER.pack(crc, len(part), kind) + part
            first = False
    return bytes(out)
