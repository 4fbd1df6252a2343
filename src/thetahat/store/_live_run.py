"""``th.start`` and ``th.log``: track a program that is no experiment, number by number.

Where a sweep's agent started the program, THETAHAT_RUN_ID names the run that is already there:
then the numbers go to it, and how it ends is for the agent to say.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, select, update

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.json import from_json, merge, to_json
from thetahat.core.places import ENVIRONMENT
from thetahat.core.provenance import command_line, provenance, short_path
from thetahat.core.run import Status
from thetahat.store._blocks import Block, pack, read_block
from thetahat.store._exit_code import fail
from thetahat.store._owner_lock import Owner
from thetahat.store._reserved_space import Reserve
from thetahat.store._rows import NewRun, text
from thetahat.store._schema import records, runs
from thetahat.store._sqlite import found_no_room
from thetahat.store._store import Store, open_store
from thetahat.store._writer import Writer

FLUSH_S = 0.5
BEAT_S = 15.0
EXIT_S = 10.0
"""Seconds that a program which ends waits for room on a full disk."""
MANY_ROWS = 4096
"""Rows that are written at once, without waiting for the half second to pass."""

RUN_ID = "THETAHAT_RUN_ID"
"""The run that an agent started this program for; beside it THETAHAT_STORE."""
ENDING = "THETAHAT_RUN_ENDING"
"""A file of the agent's, for how the program says that its run ended."""

_Rows = dict[int, dict[str, float]]
_latest: list[ManualRun] = []
"""The run that this process started last, for ``log``."""


def start(
    config: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    project: str | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> ManualRun:
    """Begin a tracked run of any program; log numbers to it, then finish it.

    In a program that a sweep's agent started this is the run that the agent made: it is kept in the
    sweep's store, takes this name, and its config is ``config`` with the sweep's values over it. A
    project is taken over where the sweep names none.

    Args:
        config: what the run depends on; shown in tables, open to filters.
        name: a name of your own; by default a memorable one.
        project: a word to group runs by.
        store: a store, or where it lies; else THETAHAT_STORE, else ``.thetahat/`` here.
    Returns: the run, also a context manager: an exception inside makes it ``failed``.
    Raises:  StoreError: the store cannot be opened or written.

    >>> import tempfile
    >>> with start({"lr": 0.1}, store=tempfile.mkdtemp()) as run:
    ...     for step in range(3):
    ...         run.log({"loss": 1.0 / (1 + step)})
    >>> run.name
    'bright-magnolia-1'
    """
    if os.environ.get(RUN_ID) and os.environ.get(ENVIRONMENT):
        return _attach(os.environ[RUN_ID], config or {}, name, project)
    opened = store if isinstance(store, Store) else open_store(store)
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else None
    source = script if script is not None and script.is_file() else None
    new = NewRun(
        config=config or {},
        name=name,
        project=project,
        experiment=None if source is None else source.stem,
        source=None if source is None else short_path(source),
        command=command_line(),
        provenance=provenance(source),
    )
    reserve, owner = Reserve(opened.folder), Owner(opened.folder)
    reserve.take()
    opened.settle_gone()
    with opened.batch() as writer:
        run_id, given = writer.create_run(new)
        owner.hold([run_id])
    run = ManualRun(opened, run_id, given, dict(config or {}), kept=(reserve, owner))
    return _remembered(run)


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Log one row of numbers to this program's run: the one it started last, or the agent's.

    A program that has none begins one with the first call, and finishes it when it ends.

    Args:
        metrics: numbers by name.
        step: counts up from 0 unless given, here or as ``metrics["step"]``.
    Raises:  ConfigError: a value that is no number, or the run has been finished.
             StoreError: the store cannot be written.
    """
    if not _latest:
        start()._quiet_end = True
    _latest[0].log(metrics, step)


def _remembered(run: ManualRun) -> ManualRun:
    _latest[:] = [run]
    return run


def _attach(
    run_id: str, config: Mapping[str, Any], name: str | None, project: str | None
) -> ManualRun:
    store = open_store(create=False)
    row = store.run(run_id)
    if row.id != run_id:
        raise StoreError(
            f"the store {store.path} has no run {run_id!r}, which {RUN_ID} names; take {RUN_ID} out"
            " of the environment, unless an agent has set it"
        )
    own = row.name
    if config or name or project:
        with store.batch() as writer:
            own = describe_run(writer, run_id, config=config, name=name, project=project)
    whole = merge(config, row.config)
    run = ManualRun(store, run_id, own, whole, attempt=row.attempt)
    return _remembered(run)


class ManualRun:
    """A run that a program logs by hand; made by ``th.start``.

    Rows are written at most half a second after they were logged, by a thread that also says the
    program is alive. The run of a program that was killed is ``interrupted``.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        name: str,
        config: dict[str, Any],
        *,
        attempt: int | None = None,
        kept: tuple[Reserve, Owner] | None = None,
    ) -> None:
        self.store = store
        self.id = run_id
        self.name = name
        self.config = config
        self._attempt = attempt
        """Of the agent's run that this program is; None for a run of the program's own."""
        self._quiet_end = attempt is not None
        self._began = time.monotonic()
        self._over = False
        self._owner = os.getpid()
        self._next_step = 0
        self._reserve, self._holds = kept or (Reserve(store.folder), Owner(store.folder))
        self._fresh()
        atexit.register(self._at_exit)

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log one row of numbers; ``step`` counts up from 0 unless given.

        Rows of the same step are one row: what is logged later wins.

        Raises:  ConfigError: a value that is no number. StoreError: the store cannot be written.
        """
        if step is None:
            step = metrics.get("step")
        row = {key: _number(key, value) for key, value in metrics.items() if key != "step"}
        if os.getpid() != self._pid:
            self._fresh()
        with self._lock:
            self._check()
            at = self._next_step if step is None else _whole(step)
            self._next_step = at + 1
            self._rows.setdefault(at, {}).update(row)
            many = len(self._rows) >= MANY_ROWS and time.monotonic() >= self._again_s
        if many:
            self._flush()
        self._wake()

    def finish(
        self,
        status: Status | str = Status.FINISHED,
        reason: str = "",
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        """Write what waits and end the run.

        Its metrics are the last value of each column, but where ``metrics`` says otherwise.

        An agent's run is ended by the agent, when the program has: it takes over this status and
        reason unless the program then fails.

        Raises:  ConfigError: no status that a run can end with. StoreError: as for ``log``.
        """
        status = _ending(status)
        with self._lock:
            if self._over:
                return
            self._check()
            self._over = True
        try:
            self._flush()
            if self._attempt is None:
                self._end(status, reason, metrics)
            else:
                _tell_agent(status, reason, metrics or {})
        except StoreError as error:
            self._over = False
            if self._attempt is None and found_no_room(error):
                self._end_unkept(status, reason, metrics)
            raise
        self._stop.set()
        self._reserve.done()
        self._holds.release()
        atexit.unregister(self._at_exit)

    def _end(self, status: Status, reason: str, metrics: Mapping[str, float | None] | None) -> None:
        self.store.finish_run(
            self.id,
            status=status,
            reason=reason,
            metrics={**self.store.run(self.id).metrics, **(metrics or {})},
            seconds={"run": round(time.monotonic() - self._began, 6)},
        )

    def _end_unkept(
        self, status: Status, reason: str, metrics: Mapping[str, float | None] | None
    ) -> None:
        """End the run on a full disk, where its rows find no room, as one that has failed."""
        self._reserve.release()
        lost = f"{len(self._rows):,} rows could not be kept: the disk is full"
        ended = Status.FAILED if status is Status.FINISHED else status
        with contextlib.suppress(StoreError):
            self._end(ended, f"{reason}; {lost}" if reason else lost, metrics)

    def __enter__(self) -> ManualRun:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(*_verdict(error))

    def __repr__(self) -> str:
        return f"ManualRun({self.name!r}, id={self.id!r})"

    def _fresh(self) -> None:
        """Empty buffers, a new lock and a thread yet to start: also in a forked child."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        """Guards the buffer, briefly."""
        self._one_writer = threading.Lock()
        self._stop = threading.Event()
        self._rows: _Rows = {}
        self._broken: StoreError | None = None
        self._again_s = 0.0
        """When many rows are written at once again: after a while, where they could not be."""
        self._thread: threading.Thread | None = None

    def _check(self) -> None:
        if self._over:
            raise ConfigError(f"the run {self.name!r} has ended; th.start(...) begins another")
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken

    def _flush(self) -> None:
        with self._one_writer:
            with self._lock:
                rows, self._rows = self._rows, {}
            if not rows:
                return
            try:
                with self.store.batch() as writer:
                    # The batch holds the write lock: nobody can take the run over in between.
                    self._check_attempt()
                    writer.log_blocks((self.id, block) for block in blocks_of(rows))
            except StoreError:
                with self._lock:
                    self._rows = {**rows, **self._rows}
                # Each row that is logged would else write all that wait.
                self._again_s = time.monotonic() + BEAT_S
                raise

    def _check_attempt(self) -> None:
        if self._attempt is None:
            return
        now = self.store.run(self.id).attempt
        if now != self._attempt:
            raise StoreError(
                f"the run {self.name!r} has been handed to another agent (attempt {now}; this"
                f" program is attempt {self._attempt}); this program can stop"
            )

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name=f"run-{self.name}", daemon=True)
            self._thread.start()

    def _keep(self) -> None:
        beat, pause_s = time.monotonic(), FLUSH_S
        while not self._stop.wait(pause_s) and not self._over:
            pause_s = FLUSH_S
            try:
                if self._rows:
                    self._flush()
                    beat = time.monotonic()
                elif self._attempt is None and time.monotonic() - beat > BEAT_S:
                    with self.store.batch() as writer:
                        writer.beat([self.id])
                    beat = time.monotonic()
            except StoreError as error:
                # Raised where the program can see it: at its next log() or finish().
                self._broken, pause_s = error, BEAT_S

    def _at_exit(self) -> None:
        if os.getpid() != self._owner or self._over:
            return
        # The interpreter keeps the exception that ended the program, if one did.
        error = getattr(sys, "last_value", None)
        status, reason = _verdict(error)
        if not self._quiet_end:
            reason = reason or "the program ended without run.finish()"
        give_up = time.monotonic() + EXIT_S
        while True:
            self._broken = None
            try:
                self.finish(status, reason)
                return
            except StoreError as refused:
                if not found_no_room(refused) or time.monotonic() > give_up:
                    fail(self._lost(refused))
                    return
            time.sleep(FLUSH_S)

    def _lost(self, refused: StoreError) -> str:
        """What the end of the program leaves unkept."""
        rows = len(self._rows)
        what = f"{rows:,} rows of the run {self.name}" if rows else f"the end of run {self.name}"
        return f"{what} could not be kept: {refused}"


def _tell_agent(status: Status, reason: str, metrics: Mapping[str, float | None]) -> None:
    path = os.environ.get(ENDING)
    if path:
        # A program may outlive its folder, or run where it cannot be written: the exit code stays.
        with contextlib.suppress(OSError):
            told = to_json([status, reason, metrics], numbers=True)
            Path(path).write_text(told, encoding="utf-8")


def rows_after(store: Store, run_id: str, after: int = 0) -> tuple[list[dict[str, float]], int]:
    """A run's records since a place, oldest first, each a row with its axis; and the next place."""
    mine = (records.c.run_id == run_id) & (records.c.id > after)
    found = store.read(select(records).where(mine).order_by(records.c.id))
    rows = []
    for record in found:
        block = read_block(*(record[c] for c in ("first", "last", "count", "columns", "data")))
        columns = [block.column(name) for name in block.columns]
        rows += [dict(zip(block.columns, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows, found[-1]["id"] if found else after


def blocks_of(rows: _Rows) -> list[Block]:
    """Rows by step as blocks, one per set of columns, the block that reaches furthest last."""
    groups: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for step in sorted(rows):
        row = rows[step]
        groups.setdefault(tuple(row), []).append((step, *row.values()))
    blocks = [
        pack(dict(zip(("step", *names), zip(*group, strict=True), strict=True)), "step")
        for names, group in groups.items()
    ]
    return sorted(blocks, key=lambda block: block.last)


def _verdict(error: BaseException | None) -> tuple[Status, str]:
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return Status.FINISHED, ""
    if isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED, "Ctrl-C"
    return Status.FAILED, f"{type(error).__name__}: {error}".rstrip(": ")


def _ending(status: Status | str) -> Status:
    endings = [s.value for s in Status if s.over]
    if status not in endings:
        raise ConfigError(f"no run ends {str(status)!r}; give one of {', '.join(endings)}")
    return Status(status)


def _number(key: str, value: Any) -> float:
    if isinstance(value, (float, int)):
        return float(value)
    shape = getattr(value, "shape", None)
    if shape is not None and callable(getattr(value, "item", None)):
        if math.prod(shape) != 1:
            raise ConfigError(
                f"run.log: {key!r} has the shape {tuple(shape)}; log one number, such as its mean"
            )
        one = value.item()
        if isinstance(one, (float, int)):
            return float(one)
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__float__"):
        return float(value)
    raise ConfigError(_no_number(key, value))


def _no_number(key: str, value: Any) -> str:
    return (
        f"run.log: {key}={value!r} is no number ({type(value).__name__}); log numbers only, and put"
        " words into the config"
    )


def _whole(step: Any) -> int:
    if hasattr(step, "__index__") and not isinstance(step, bool):
        return int(step)
    raise ConfigError(f"run.log: step={step!r} is no whole number; leave it out to count up from 0")


def describe_run(
    writer: Writer,
    run_id: str,
    *,
    config: Mapping[str, Any],
    proposed: Mapping[str, Any] | None = None,
    name: str | None = None,
    project: str | None = None,
    labels: Mapping[str, Any] | None = None,
) -> str:
    """Keep what a run's own program says of it, beneath what its sweep said; its name then.

    Args:
        config: values of the program's own; what its sweep ``proposed`` stays where they differ
            (by default, what it proposed is what the run has when it is first described).
        name: taken over; one that another run has gets the run's number behind it.
        project, labels: a project is taken over where the run has none, and a label else.
    """
    connection = writer.connection
    known = ("number", "name", "project", "config", "labels", "proposed")
    query = select(*(runs.c[column] for column in known))
    row = connection.execute(query.where(runs.c.id == run_id)).one()
    before = from_json(row.config)
    if proposed is None and row.proposed is not None:
        proposed = from_json(row.proposed)
    whole = merge(merge(before, config), before if proposed is None else proposed)
    found = {**from_json(row.labels), **(labels or {})}
    project = project or found.pop("project", None)
    if project is not None and row.project not in (None, project):
        found["project"] = project
    word = _own_name(connection, run_id, row.number, row.name, text(name))
    values = {
        "name": word,
        "config": to_json(whole),
        "proposed": to_json(before if proposed is None else proposed),
        "labels": to_json(found),
        "project": row.project or text(project),
    }
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))
    return word


def _own_name(
    connection: Connection, run_id: str, number: int, before: str, wanted: str | None
) -> str:
    if not wanted or before in (wanted, f"{wanted}-{number}"):
        return before
    taken = select(runs.c.id).where((runs.c.name == wanted) & (runs.c.id != run_id))
    while connection.execute(taken).first() is not None:
        wanted = f"{wanted}-{number}"
        taken = select(runs.c.id).where((runs.c.name == wanted) & (runs.c.id != run_id))
    return wanted
