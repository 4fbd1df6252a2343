"""Read the offline runs of the real package into a store: config, history, tables, files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError
from thetahat.core.run import Status
from thetahat.core.summary_forms import KEPT
from thetahat.store import (
    NewRun,
    Store,
    Writer,
    columns_of,
    knows_id,
    pack,
    record_file,
    record_table,
)
from thetahat.sweep.processes._wandb import put_path
from thetahat.sweep.processes._wandb_file import (
    Exit,
    LogTail,
    Named,
    Row,
    WandbConfig,
    WandbSummary,
    read_record,
)
from thetahat.sweep.processes._wandb_summary import FileSummary
from thetahat.wandb._define import SUMMARIES
from thetahat.wandb._files import KIND
from thetahat.wandb._media import distinct
from thetahat.wandb._run import NESTED, OWN_STEP

_OWN_FILES = frozenset(
    {
        *("config.yaml", "wandb-metadata.json", "wandb-summary.json", "requirements.txt"),
        *("output.log", "conda-environment.yaml", "diff.patch"),
    }
)
"""Files that wandb writes for itself."""


@dataclass
class OfflineRun:
    """What a file of wandb says of a run."""

    path: Path
    name: str = ""
    id: str = ""
    labels: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    media: list[tuple[int, str, Mapping[str, Any]]] = field(default_factory=list)
    summary: FileSummary = field(default_factory=FileSummary)
    began: float | None = None
    seconds: float = 0.0
    exit_code: int | None = None
    problem: str = ""

    @property
    def files(self) -> Path:
        """The folder of its files."""
        return self.path.parent / "files"


@dataclass(frozen=True)
class ImportedRun:
    """A run that is in the store now."""

    name: str
    rows: int
    tables: int
    files: int
    notes: tuple[str, ...] = ()


def find_runs(place: Path) -> list[Path]:
    """Return the files of wandb's runs at or below a place, the earliest first.

    Raises:  InputError: there are none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"there is no folder {place}; give the folder wandb/ of a program")
    found = sorted(place.rglob("run-*.wandb"), key=lambda path: (path.parent.name, path.name))
    if not found:
        raise InputError(
            f"{place} has no run of wandb (run-*.wandb); give the folder wandb/ of a program that"
            " ran with WANDB_MODE=offline, or one of its runs"
        )
    return found


def read_run(path: Path) -> OfflineRun:
    """Read a file of wandb.

    Raises:  InputError: it is no file of wandb.
    """
    run = OfflineRun(path)
    tail = LogTail(path)
    for data in tail.new():
        try:
            record = read_record(data)
        except (ValueError, RecursionError) as error:
            run.problem = run.problem or f"a record cannot be read ({error}) and is left out"
            continue
        _take(run, record)
    run.problem = run.problem or tail.problem
    if run.problem and not (run.id or run.rows):
        raise InputError(f"{path}: {run.problem}")
    return run


def _take(run: OfflineRun, record: Any) -> None:
    match record:
        case Row():
            row = dict(record.values)
            if "step" in row:
                row[OWN_STEP] = row.pop("step")
            if row:
                run.rows.setdefault(record.step, {}).update(row)
            run.summary.take(record)
            run.media += [(record.step, name, about) for name, about in record.media.items()]
        case WandbSummary():
            run.summary.take(record)
        case Named():
            run.name, run.began = record.name or run.name, record.began or run.began
            run.id = record.place.get("id", run.id)
            run.labels |= {**record.labels, **record.place}
            _change(run.config, record.config)
        case WandbConfig():
            _change(run.config, record)
        case Exit():
            run.exit_code, run.seconds = record.code, record.seconds
        case _:
            pass


def _change(config: dict[str, Any], change: WandbConfig) -> None:
    for path, value in change.values:
        put_path(config, path, value)


def import_run(store: Store, path: Path, project: str | None = None) -> ImportedRun | None:
    """Read a run into a store; None if the store has it already, by its id.

    Args:    project: of a run that names none.

    Raises:  InputError: it is no file of wandb.   StoreError: the store cannot be written.
    """
    run = read_run(path)
    if run.id and knows_id(store, run.id, run.labels.get("project") or project):
        return None
    labels = {k: v for k, v in run.labels.items() if k not in ("project", "entity")}
    labels |= _forms_of(run)
    began = datetime.fromtimestamp(run.began or path.stat().st_mtime, UTC)
    new = NewRun(
        config=run.config,
        name=run.name or run.id or None,
        project=run.labels.get("project") or project,
        labels=labels,
        provenance={"imported": os.fspath(path.absolute())},
    )
    with store.batch() as writer:
        id_, name = writer.create_run(new)
        writer.log_blocks((id_, pack(columns, "step")) for columns in columns_of(run.rows))
        _end(writer, id_, run, began)
    open_ = _Imported(store, id_)
    notes = [run.problem] if run.problem else []
    tables = files = 0
    for step, key, about in run.media:
        done = _keep(open_, run, step, key, about, notes)
        tables += done == "table"
        files += done == "file"
    for file in _saved(run.files):
        record_file(open_, file.relative_to(run.files).as_posix(), file, kind=KIND)
        files += 1
    return ImportedRun(name, len(run.rows), tables, files, tuple(notes))


def _forms_of(run: OfflineRun) -> dict[str, list[str]]:
    """Return the hidden labels of what was logged as a mapping, and of definitions.

    A mapping with the name of a number in the rows may be what ``define_metric`` asked for.
    """
    logged = {name for row in run.rows.values() for name in row}
    summary, numbers = run.summary, run.summary.values.numbers
    kinds = [(base, kind) for base in summary.mappings if base in logged for kind in sorted(KEPT)]
    asked = [f"{base}.{kind}" for base, kind in kinds if f"{base}.{kind}" in numbers]
    nested = [
        m for m in {**summary.whole, **summary.mappings} if m not in logged or m in summary.whole
    ]
    labels = {NESTED: nested, SUMMARIES: asked}
    return {name: names for name, names in labels.items() if names}


def _end(writer: Writer, id_: str, run: OfflineRun, began: datetime) -> None:
    status, reason = Status.FINISHED, ""
    if run.exit_code is None:
        status, reason = Status.INTERRUPTED, "the file of wandb has no end"
    elif run.exit_code:
        status, reason = Status.FAILED, f"exit code {run.exit_code}"
    last = {name: value for step in sorted(run.rows) for name, value in run.rows[step].items()}
    if OWN_STEP in last:
        last["step"] = last.pop(OWN_STEP)
    summary = run.summary.values.summary(last)
    if "step" in summary:
        summary[OWN_STEP] = summary.pop("step")
    writer.finish_run(
        id_,
        status=status,
        reason=reason,
        metrics=summary,
        seconds={"total": run.seconds} if run.seconds else None,
        detail={"logged": run.summary.values.words} if run.summary.values.words else None,
    )
    start = began.isoformat(timespec="milliseconds")
    end = datetime.fromtimestamp(began.timestamp() + run.seconds, UTC)
    writer.execute(
        "UPDATE runs SET created = :start, started = :start, finished = :end, heartbeat = :end"
        " WHERE id = :run",
        {"run": id_, "start": start, "end": end.isoformat(timespec="milliseconds")},
    )


@dataclass
class _Imported:
    """A run to which tables and files are added."""

    store: Store
    id: str

    @property
    def folder(self) -> Path:
        return self.store.folder

    def writing(self) -> AbstractContextManager[Writer]:
        return self.store.batch()


def _keep(
    open_: _Imported,
    run: OfflineRun,
    step: int,
    key: str,
    about: Mapping[str, Any],
    notes: list[str],
) -> str:
    """Keep media of a row; return what it became: a table, a file, or nothing."""
    kind = str(about.get("_type"))
    if kind == "histogram":
        bins, counts = _bins(about)
        columns = {"left": bins[:-1], "right": bins[1:], "count": counts}
        record_table(open_, key, columns, step=step, kind="histogram")
        return "table"
    paths = about.get("filenames") or about.get("paths") or [about.get("path")]
    found = [run.files / str(path) for path in paths if path]
    if "filenames" in about and kind.startswith("images"):
        found = [run.files / "media" / "images" / Path(str(p)).name for p in paths]
    kept = ""
    for k, path in enumerate(found):
        if not path.is_file():
            notes.append(f"{key}: the file {path.name} is not in {run.files}")
            continue
        if kind in ("table-file", "partitioned-table"):
            record_table(open_, key, table_of(path), step=step)
            kept = "table"
        else:
            name = f"{key}{path.suffix}" if len(found) == 1 else f"{key}/{k}{path.suffix}"
            record_file(open_, name, path, step=step, kind=kind.removesuffix("-file"))
            kept = "file"
    return kept


def table_of(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a table that wandb wrote as JSON."""
    read = json.loads(path.read_text(encoding="utf-8"))
    names = distinct([str(name) for name in read["columns"]], f"the table {path.name}")
    return {name: [row[k] for row in read["data"]] for k, name in enumerate(names)}


def _bins(about: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    counts = list(about.get("values", ()))
    if "bins" in about:
        return list(about["bins"]), counts
    low, size, n = (about.get(f"packedBins.{name}", 0) for name in ("min", "size", "count"))
    return [low + size * k for k in range(int(n) + 1)], counts


def _saved(folder: Path) -> Iterator[Path]:
    """Yield the files that the program saved."""
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] != "media" and inner.as_posix() not in _OWN_FILES:
            yield path
