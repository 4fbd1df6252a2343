"""The run of a program that an agent started: its rows go to a file that the agent reads.

Every row is in the file when ``log`` returns: nothing is lost if the program is killed. The first
line of the file is the agent's: the run's id, its name and its config. Modules that only errors and
unusual numbers need are loaded when needed: a program's first ``log`` loads little but ``json``.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    from thetahat.core.run import Status
    from thetahat.store import Store
    from thetahat.store._plain_store import PlainStore
    from thetahat.store._run_writer import RunWriter

ROWS = "THETAHAT_RUN_ROWS"
"""The file in which a program that an agent started leaves its rows."""
ENDING = "THETAHAT_RUN_ENDING"
"""The file in which the program tells the agent how its run ended."""
LOOK_S = 0.25
"""Seconds between two looks whether the agent still reads the file."""
EXIT_S, PAUSE_S = 10.0, 0.5
"""Seconds for which a program that ends waits for space on a full disk, and between two tries."""


class AgentRun:
    """The agent's run, in the program that the agent started; made by ``th.start``.

    Args:    path: the file that the agent reads.
    Raises:  OSError: it cannot be opened. ValueError: it does not begin with the agent's line.
    """

    def __init__(self, path: str) -> None:
        # Lines of several processes do not mix: each is appended by one write.
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        with open(path, "rb") as file:
            given = json.loads(file.readline())
        self.id: str = given["run"]
        self.name: str = given["name"]
        self.config: dict[str, Any] = given["config"]
        self.quiet_end = True
        self._over = False
        self._next_step = 0
        self._waiting = bytearray()
        """Lines, or the rest of one, for which there was no room."""
        self._names: dict[str, str] = {}
        """Names of columns as JSON."""
        self._looked_s = -LOOK_S
        self._opened: Store | PlainStore | None = None
        """The store, for tables and files."""
        self._owner = self._pid = os.getpid()
        self._lock = threading.Lock()
        atexit.register(self._at_exit)

    @property
    def store(self) -> Store:
        """The sweep's store; the agent writes rows there a moment after they were logged."""
        from thetahat.store import open_store

        return open_store(create=False)

    @property
    def next_step(self) -> int:
        """The step of the next row."""
        return self._next_step

    def describe(self, config: Mapping[str, Any] | None, project: str | None) -> None:
        """Tell the agent of the program's own config and project."""
        from thetahat.core.errors import ConfigError
        from thetahat.core.json import merge, plain_value

        if config is not None and not hasattr(config, "items"):
            raise ConfigError(
                f"config={config!r} is not a mapping; give names and values: {{'lr': 0.1}}"
            )
        self.config = merge(config or {}, self.config)
        labels = {} if project is None else {"project": project}
        self.tell({"config": plain_value(config or {}), "labels": labels})

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Tell the agent what the program says of its run, as JSON types.

        Args:    facts: config, labels, name; summary (numbers), words (other values), removed.
        """
        with self._lock:
            self._append(json.dumps({"told": facts}) + "\n")

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log one row of numbers; ``step`` counts up from 0 unless given.

        Rows of one step are merged; later values replace earlier ones.

        Raises:  ConfigError: a value that is not a number. StoreError: the row cannot be written.
        """
        if os.getpid() != self._pid:
            self._pid, self._lock = os.getpid(), threading.Lock()
        with self._lock:
            self._check()
            row, at = metrics, self._next_step
            if step is not None or "step" in row or set(map(type, row.values())) - {float, int}:
                from thetahat.core.logged import checked_row

                row, at = checked_row(metrics, step, at)
            self._put(row, at)

    def log_numbers(self, row: Mapping[str, float], step: int) -> None:
        """Log a row of numbers that need no check."""
        with self._lock:
            self._check()
            self._put(row, step)

    def _put(self, row: Mapping[str, float], at: int) -> None:
        self._next_step = at + 1
        total = sum(row.values())
        if total - total == 0.0:  # all are finite: three times as fast as ``json.dumps``
            names = self._names
            cells = [f"{names.get(k) or self._name(k)}:{v!r}" for k, v in row.items()]
            self._append(f'{{{",".join(cells)},"step":{at}}}\n' if cells else "")
        else:
            self._append(json.dumps({**row, "step": at}) + "\n")

    def log_table(self, name: str, columns: Any, step: int | None = None) -> None:
        """Keep a table: see ``ManualRun.log_table``."""
        from thetahat.store._logged_things import record_table

        record_table(self, name, columns, step=step)

    def log_file(
        self, name: str | os.PathLike[str], content: Any = None, step: int | None = None
    ) -> None:
        """Keep a file: see ``ManualRun.log_file``."""
        from thetahat.store._logged_things import record_file

        record_file(self, name, content, step=step)

    def writing(self) -> AbstractContextManager[RunWriter]:
        """Begin a transaction that writes to the run's store, while the run is the program's."""
        self._check()
        self._looked_s = -LOOK_S
        self._flush()  # fails if another agent has claimed the run
        return self._kept_in().batch()

    @property
    def folder(self) -> Path:
        """The folder of the run's store."""
        return self._kept_in().folder

    def _kept_in(self) -> Store | PlainStore:
        if self._opened is None:
            from thetahat.store._live_run import store_to_log

            self._opened = store_to_log(None)
        return self._opened

    def finish(
        self,
        status: Status | str = "finished",
        reason: str = "",
        metrics: Mapping[str, float | None] | None = None,
    ) -> None:
        """Tell the agent how the run ends: with this status and reason, unless the program fails.

        Raises:  ConfigError: a status with which a run cannot end. StoreError: as for ``log``.
        """
        from thetahat.core.json import to_json
        from thetahat.core.logged import checked_ending

        status = checked_ending(status)
        if self._over:
            return
        self._check()
        self._flush()
        self._over = True
        atexit.unregister(self._at_exit)
        os.close(self._file)
        if path := os.environ.get(ENDING):
            text = to_json([status, reason, metrics or {}], numbers=True)
            try:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            except OSError:
                pass  # the agent uses the exit code

    def __enter__(self) -> AgentRun:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from thetahat.core.logged import ending_of

        self.finish(*ending_of(error))

    def __repr__(self) -> str:
        return f"AgentRun({self.name!r}, id={self.id!r})"

    def _check(self) -> None:
        if self._over:
            from thetahat.core.errors import ConfigError

            raise ConfigError(f"the run {self.name!r} has ended; th.start(...) begins another")

    def _name(self, name: str) -> str:
        quoted = self._names[name] = json.dumps(str(name))
        return quoted

    def _append(self, line: str) -> None:
        self._waiting += line.encode()
        self._flush()

    def _flush(self) -> None:
        problem = ""
        try:
            now = time.monotonic()
            if now > self._looked_s + LOOK_S and os.fstat(self._file).st_nlink == 0:
                problem = f"the run {self.name!r} is not this program's any more: its agent ended"
                problem += " it, or another agent has claimed it; this program can stop"
            elif now > self._looked_s + LOOK_S:
                self._looked_s = now
            while self._waiting and not problem:
                del self._waiting[: os.write(self._file, self._waiting)]
        except OSError as error:
            problem = f"rows of the run {self.name!r} cannot be written ({error.strerror});"
            problem += " free some space, or give another store with store= (--store)"
        if problem:
            from thetahat.core.errors import StoreError

            raise StoreError(problem)

    def _at_exit(self) -> None:
        if os.getpid() != self._owner or self._over or not self._waiting:
            return  # the agent takes the ending from the exit code
        from thetahat.core.errors import StoreError
        from thetahat.core.exit_code import fail

        give_up = time.monotonic() + EXIT_S
        while True:
            try:
                self._flush()
                return
            except StoreError as refused:
                if time.monotonic() > give_up:
                    rows = self._waiting.count(b"\n")
                    fail(f"{rows:,} rows of the run {self.name} could not be kept: {refused}")
                    return
            time.sleep(PAUSE_S)
