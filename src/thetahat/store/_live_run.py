"""The run of a program that is not an experiment, logged number by number (``th.start``).

If an agent started the program, THETAHAT_RUN_ID names its run: the numbers go to that run, and the
agent ends it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.exit_code import fail
from thetahat.core.json import from_json, merge, to_json
from thetahat.core.logged import checked_ending, checked_row, ending_of
from thetahat.core.places import ENVIRONMENT, Server, locate
from thetahat.core.provenance import command_line, provenance, short_path
from thetahat.core.run import Status
from thetahat.store._blocks import pack
from thetahat.store._owner_lock import Owner
from thetahat.store._plain_store import PlainStore, plain_store
from thetahat.store._reserved_space import Reserve
from thetahat.store._rows import NewRun, utc_now
from thetahat.store._run_of_id import run_of_id
from thetahat.store._sqlite_errors import found_no_room

if TYPE_CHECKING:
    from thetahat.store._run_writer import RunWriter
    from thetahat.store._store import Store

FLUSH_S = 0.5
BEAT_S = 15.0
EXIT_S = 10.0
"""Seconds for which a program that ends waits for space on a full disk."""
MANY_ROWS = 4096
"""Limit of rows that wait for the next write."""

RUN_ID = "THETAHAT_RUN_ID"
"""The run for which an agent started this program, in the store THETAHAT_STORE."""
ENDING = "THETAHAT_RUN_ENDING"
"""The file in which the program tells the agent how its run ended."""

_AGAIN = (
    "UPDATE runs SET status = 'running', reason = '', finished = NULL, heartbeat = :now"
    " WHERE id = :run"
)

_RowsByStep = dict[int, dict[str, float]]


def begin_run(
    config: Mapping[str, Any] | None,
    *,
    name: str | None,
    project: str | None,
    store: Store | str | os.PathLike[str] | None,
    labels: Mapping[str, Any] | None = None,
    own: bool = False,
) -> ManualRun:
    """Begin a run that a program logs by hand, as ``th.start`` does.

    Args:    labels: group, job_type, tags and notes.
             own: whether it is another run than that of the agent that started this program.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(
            f"config={config!r} is not a mapping; give names and values: {{'lr': 0.1}}"
        )
    if not own and os.environ.get(RUN_ID) and os.environ.get(ENVIRONMENT):
        return _attach(os.environ[RUN_ID], config or {}, name, project)
    opened = store_to_log(store)
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else None
    source = script if script is not None and script.is_file() else None
    new = NewRun(
        config=config or {},
        name=name,
        project=project,
        labels=labels or {},
        experiment=None if source is None else source.stem,
        source=None if source is None else short_path(source),
        command=f"thetahat exec {command_line()}" if own else command_line(),
        provenance=provenance(source),
    )
    reserve, owner = Reserve(opened.folder), Owner(opened.folder)
    reserve.take()
    opened.settle_gone()
    with opened.batch() as writer:
        run_id, given = writer.create_run(new)
        owner.hold([run_id])
    return ManualRun(opened, run_id, given, dict(config or {}), kept=(reserve, owner))


def continue_run(wanted: str, project: str | None = None) -> ManualRun | None:
    """Let a run of the program's own go on; None if the store has none of this id.

    Args:    wanted: the store's id, or the one that the program gave (the label ``id``).
             project: of the run; None is any, if one project alone has a run of this id.
    Raises:  ConfigError: several projects have one, and none was given.
    """
    opened = store_to_log(None)
    reserve, owner = Reserve(opened.folder), Owner(opened.folder)
    with opened.batch() as writer:
        row = run_of_id(writer, wanted, project)
        if row is None:
            return None
        run_id, name, config, labels, project, last, epochs, detail = row
        metrics = writer.metrics_of(run_id)
        writer.execute(_AGAIN, {"run": run_id, "now": utc_now()})
        owner.hold([run_id])
    run = ManualRun(opened, run_id, name, from_json(config), kept=(reserve, owner))
    run.labels = {**from_json(labels), **({"project": project} if project else {})}
    run.metrics, run.words = metrics, from_json(detail or "{}").get("logged") or {}
    run._next_step = int(from_json(last).get("step", (epochs or 0) - 1)) + 1
    return run


def store_to_log(store: Store | str | os.PathLike[str] | None) -> Store | PlainStore:
    """Open a store: without SQLAlchemy, which takes long to load, if that is possible."""
    if store is None or isinstance(store, (str, os.PathLike)):
        place = locate(store)
        plain = None if isinstance(place, Server) else plain_store(place)
        if plain is not None:
            return plain
    from thetahat.store._store import Store, open_store

    return store if isinstance(store, Store) else open_store(store)


def _attach(
    run_id: str, config: Mapping[str, Any], name: str | None, project: str | None
) -> ManualRun:
    from thetahat.store._described_run import describe_run
    from thetahat.store._store import open_store

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
    return ManualRun(store, run_id, own, whole, attempt=row.attempt)


class ManualRun:
    """A run that a program logs by hand; made by ``th.start``.

    A thread writes rows at most half a second after they were logged. The run of a program that was
    killed is ``interrupted``.
    """

    def __init__(
        self,
        store: Store | PlainStore,
        run_id: str,
        name: str,
        config: dict[str, Any],
        *,
        attempt: int | None = None,
        kept: tuple[Reserve, Owner] | None = None,
    ) -> None:
        self._store = store
        self.id = run_id
        self.name = name
        self.config = config
        self.labels: Mapping[str, Any] = {}
        """Those of a run that goes on."""
        self.metrics: Mapping[str, float | None] = {}
        self.words: Mapping[str, Any] = {}
        """The summary of a run that goes on: numbers, and other values."""
        self._attempt = attempt
        """The attempt of the agent's run; None for a run of the program's own."""
        self.quiet_end = attempt is not None
        """Whether the program may end without ``finish``."""
        self._full: Store | None = None
        self._began = time.monotonic()
        self._over = False
        self._owner = os.getpid()
        self._next_step = 0
        self._reserve, self._holds = kept or (Reserve(store.folder), Owner(store.folder))
        self._fresh()
        atexit.register(self._at_exit)

    @property
    def next_step(self) -> int:
        """The step of the next row."""
        return self._next_step

    @property
    def store(self) -> Store:
        """The store of the run."""
        if isinstance(self._store, PlainStore):
            from thetahat.store._store import open_store

            self._full = self._full or open_store(self._store.path)
            return self._full
        return self._store

    def describe(
        self,
        config: Mapping[str, Any],
        *,
        name: str | None = None,
        project: str | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> None:
        """Add to the config, the name and the labels of a run of the program's own."""
        from thetahat.store._described_run import describe_run

        self.config = merge(self.config, config)
        with self._store.batch() as writer:
            self.name = describe_run(
                *(writer, self.id),
                config=config,
                name=name,
                project=project,
                labels=labels,
                swept=self._attempt is not None,
            )

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log one row of numbers; ``step`` counts up from 0 unless given.

        Rows of one step are merged; later values replace earlier ones.

        Raises:  ConfigError: a value that is not a number. StoreError: the store cannot be written.
        """
        if os.getpid() != self._pid:
            self._fresh()
        with self._lock:
            self._check()
            row, at = checked_row(metrics, step, self._next_step)
            self._next_step = at + 1
            self._rows.setdefault(at, {}).update(row)
            many = len(self._rows) >= MANY_ROWS and time.monotonic() >= self._again_s
        if many:
            self._flush()
        self._wake()

    def log_table(self, name: str, columns: Any, step: int | None = None) -> None:
        """Keep a table, in place of an earlier one of this name (and step).

        Args:    columns: by name, of equal length; or a frame of pandas, polars or pyarrow.
                 step: to keep one for each of several steps; pages show the latest.
        Raises:  ConfigError: columns that cannot be kept.   StoreError: as for ``log``.
        """
        from thetahat.store._logged_things import record_table

        record_table(self, name, columns, step=step)

    def log_file(
        self, name: str | os.PathLike[str], content: Any = None, step: int | None = None
    ) -> None:
        """Keep a file: ``log_file("out/fit.png")``, or ``log_file("fit.png", figure)``.

        Args:    name: of the file; alone, its path. The ending chooses how pages show it.
                 content: a path (``pathlib.Path``), bytes, a text, a figure of matplotlib, an image
                 of Pillow, or an array (rows, columns[, 3 or 4]).
                 step: to keep one for each of several steps.
        Raises:  ConfigError: no such file, or one above 1 GiB.   StoreError: as for ``log``.
        """
        from thetahat.store._logged_things import record_file

        record_file(self, name, content, step=step)

    @contextlib.contextmanager
    def writing(self) -> Iterator[RunWriter]:
        """Begin a transaction that writes to the run's store, while the run is the program's."""
        self._check()
        with self._store.batch(beside=True) as writer:
            self._check_attempt(writer)
            yield writer

    @property
    def folder(self) -> Path:
        """The folder of the run's store."""
        return self._store.folder

    def finish(
        self,
        status: Status | str = Status.FINISHED,
        reason: str = "",
        metrics: Mapping[str, float | None] | None = None,
        words: Mapping[str, Any] | None = None,
        removed: Sequence[str] = (),
    ) -> None:
        """Write the rows that wait, and end the run.

        Its metrics are the last value of each column, updated by ``metrics``. An agent ends its run
        when the program has ended, with this status and reason unless the program fails.

        Args:    words: values that are not numbers, for the run's page: they replace numbers of
                 these names.   removed: names that the metrics leave out.
        Raises:  ConfigError: a status with which a run cannot end. StoreError: as for ``log``.
        """
        status = checked_ending(status)
        with self._lock:
            if self._over:
                return
            self._check()
            self._over = True
        try:
            self._flush()
            if self._attempt is None:
                self._end(status, reason, metrics, words, removed)
            else:
                _tell_agent(status, reason, metrics or {})
        except StoreError as error:
            self._over = False
            if self._attempt is None and found_no_room(error):
                self._end_unkept(status, reason, metrics)
            raise
        self._stop.set()
        if isinstance(self._store, PlainStore):
            self._store.close()
        self._reserve.done()
        self._holds.release()
        atexit.unregister(self._at_exit)

    def _end(
        self,
        status: Status,
        reason: str,
        metrics: Mapping[str, float | None] | None,
        words: Mapping[str, Any] | None = None,
        removed: Sequence[str] = (),
    ) -> None:
        with self._store.batch(beside=True) as writer:
            whole = {**writer.metrics_of(self.id), **(metrics or {})}
            gone = {*removed, *(words or ())}
            writer.finish_run(
                self.id,
                status=status,
                reason=reason,
                metrics={name: value for name, value in whole.items() if name not in gone},
                seconds={"run": round(time.monotonic() - self._began, 6)},
                detail={"logged": words} if words or self.words else None,
            )

    def _end_unkept(
        self, status: Status, reason: str, metrics: Mapping[str, float | None] | None
    ) -> None:
        """End the run as failed on a full disk, without the rows that do not fit."""
        self._reserve.release()
        lost = f"{len(self._rows):,} rows could not be kept: the disk is full"
        ended = Status.FAILED if status is Status.FINISHED else status
        with contextlib.suppress(StoreError):
            self._end(ended, f"{reason}; {lost}" if reason else lost, metrics)

    def __enter__(self) -> ManualRun:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.finish(*ending_of(error))

    def __repr__(self) -> str:
        return f"ManualRun({self.name!r}, id={self.id!r})"

    def _fresh(self) -> None:
        """Reset the buffers, the lock and the thread, also in a forked child."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        """Guards the buffer."""
        self._one_writer = threading.Lock()
        self._stop = threading.Event()
        self._rows: _RowsByStep = {}
        self._broken: StoreError | None = None
        self._again_s = 0.0
        """When many rows may be written at once again after an error."""
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
                with self._store.batch(beside=True) as writer:
                    # The batch holds the write lock: no agent can claim the run meanwhile.
                    self._check_attempt(writer)
                    writer.log_blocks(
                        (self.id, pack(columns, "step")) for columns in columns_of(rows)
                    )
            except StoreError:
                with self._lock:
                    self._rows = {**rows, **self._rows}
                # Else each new row would try to write all rows.
                self._again_s = time.monotonic() + BEAT_S
                raise

    def _check_attempt(self, writer: RunWriter) -> None:
        if self._attempt is None:
            return
        # PostgreSQL locks the row: no agent can claim the run until this has been written.
        now = writer.attempt_of(self.id)
        if now != self._attempt:
            raise StoreError(
                f"the run {self.name!r} has been claimed by another agent (attempt {now}; this"
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
                    with self._store.batch(beside=True) as writer:
                        writer.beat([self.id])
                    beat = time.monotonic()
            except StoreError as error:
                # Raised by the next log() or finish().
                self._broken, pause_s = error, BEAT_S

    def _at_exit(self) -> None:
        if os.getpid() != self._owner or self._over:
            return
        error = getattr(sys, "last_value", None)
        status, reason = ending_of(error)
        if not self.quiet_end:
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
        """Describe what could not be stored when the program ended."""
        rows = len(self._rows)
        what = f"{rows:,} rows of the run {self.name}" if rows else f"the end of run {self.name}"
        return f"{what} could not be kept: {refused}"


def _tell_agent(status: Status, reason: str, metrics: Mapping[str, float | None]) -> None:
    path = os.environ.get(ENDING)
    if path:
        # If the file cannot be written, the agent uses the exit code.
        with contextlib.suppress(OSError):
            text = to_json([status, reason, metrics], numbers=True)
            Path(path).write_text(text, encoding="utf-8")


def columns_of(rows: _RowsByStep) -> list[dict[str, Sequence[float]]]:
    """Return rows by step as columns, by set of names, the set with the last step last."""
    groups: dict[tuple[str, ...], list[tuple[float, ...]]] = {}
    for step in sorted(rows):
        row = rows[step]
        groups.setdefault(tuple(row), []).append((step, *row.values()))
    found: list[dict[str, Sequence[float]]] = [
        dict(zip(("step", *names), zip(*group, strict=True), strict=True))
        for names, group in groups.items()
    ]
    return sorted(found, key=lambda columns: columns["step"][-1])
