"""One run as a process: started, polled, ended; nothing here waits.

The process gets a group of its own, so that what it starts ends with it, and no keyboard: Ctrl-C
reaches the agent alone, which decides.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from thetahat.core.errors import InputError, StoreError
from thetahat.core.run import Status
from thetahat.sweep.processes._capture import LIMIT, TAIL, Stream, without_colours
from thetahat.sweep.processes._exit_reason import exit_reason
from thetahat.sweep.processes._process_group import WINDOWS, has_living, kill_tree, signal_group
from thetahat.sweep.processes._wandb import wandb_preferences, wandb_settings, write_parameters

GRACE_S = 10.0
"""How long a program has to end by itself once it was asked to."""
LINGER_S = 2.0
"""How long what a program started may go on after the program itself."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_ENDING = "ending.json"
_Told = tuple[Status, str, dict[str, float | None]]
_SAYS_MORE = (Status.DIVERGED, Status.UNMOVED)


@dataclass(frozen=True)
class Order:
    """What to run, and where.

    Args:
        argv: the words of the command line, as ``argv_of`` gives them.
        env: all of the environment, as ``environment`` gives it.
        folder: of this run alone: ``stdout.log``, ``stderr.log`` and wandb's files lie there.
        cwd: where the program runs.
        timeout_s: seconds after which it is ended; None for never.
        grace_s: seconds between asking it to end and killing it.
        keep: bytes kept of each stream, half from its beginning and half from its end.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    cwd: Path
    timeout_s: float | None = None
    grace_s: float = GRACE_S
    keep: int = LIMIT


@dataclass(frozen=True)
class Ending:
    """How a process ended. ``code`` is its exit code, negative for a signal, as Popen has it."""

    status: Status
    reason: str
    code: int
    seconds: float
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """What the program itself said were its final numbers."""


def environment(
    config: Mapping[str, Any],
    *,
    folder: Path,
    run_id: str,
    sweep_id: str,
    store: str | os.PathLike[str],
    name: str = "",
    threads: int = 1,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The environment of a run; the sweep's values are written into its folder for wandb.

    Threads are pinned and output is not held back, unless the user has set otherwise.

    Args:    name: the run's.   base: the agent's own environment.
             threads: for each of the usual libraries.
    Raises:  StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parameters(config, folder)
        (folder / _ENDING).unlink(missing_ok=True)
    except OSError as error:
        raise _no_folder(folder, error) from error
    preferences = {
        **dict.fromkeys(THREADS, str(threads)),
        # Metrics printed to a pipe would else arrive when a buffer is full.
        "PYTHONUNBUFFERED": "1",
        **wandb_preferences(name),
    }
    if threads == 1:
        preferences["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    if WINDOWS:
        preferences["PYTHONIOENCODING"] = "utf-8"
    env = {
        **preferences,
        **base,
        **wandb_settings(folder, sweep_id=sweep_id, run_id=run_id),
        "THETAHAT_STORE": os.fspath(store),
        "THETAHAT_RUN_ID": run_id,
        "THETAHAT_RUN_ENDING": str(folder / _ENDING),
    }
    # The address of a wandb service that the agent's own process may have.
    env.pop("WANDB_SERVICE", None)
    return env


class Process:
    """A program that runs. ``poll`` it again and again; it returns an Ending once.

    Args:
        order: what to run.
        on_stdout, on_stderr: called with every whole line, by other threads.
        on_long: called with the size of a line of JSON on stdout that was too long to be read.
    Raises:  InputError: it cannot be started; nothing has run then.
             StoreError: its folder cannot be written, which is no fault of the program's.
    """

    def __init__(
        self,
        order: Order,
        *,
        on_stdout: Callable[[str], None] = lambda line: None,
        on_stderr: Callable[[str], None] = lambda line: None,
        on_long: Callable[[int], None] = lambda size: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.order = order
        self._clock = clock
        self._popen = _start(order)
        self._began = clock()
        self._exited: float | None = None
        self._deadline: float | None = None
        self._asked: tuple[Status, str] | None = None
        self._killed = False
        self._notes: list[str] = []
        self._ending: Ending | None = None
        try:
            self._streams = {
                "stdout": _stream(self._popen.stdout, order, "stdout.log", on_stdout, on_long),
                "stderr": _stream(self._popen.stderr, order, "stderr.log", on_stderr),
            }
        except OSError as error:  # the folder went away while it began
            self._kill_group()
            self._popen.wait()
            if self._popen.stderr is not None:
                self._popen.stderr.close()
            raise _no_folder(order.folder, error) from error

    @property
    def pid(self) -> int:
        """The program's process id, which is also its group's."""
        return self._popen.pid

    def poll(self) -> Ending | None:
        """How it ended, or None while it runs. Ends it where its time is over."""
        if self._ending is not None:
            return self._ending
        now = self._clock()
        code = self._popen.poll()
        if code is None:
            limit = self.order.timeout_s
            if self._asked is None and limit is not None and now - self._began > limit:
                self.stop(Status.FAILED, f"timed out after {limit:g} s")
            if self._deadline is not None and now > self._deadline:
                self._kill_group()
            return None
        self._exited = now if self._exited is None else self._exited
        until = max(self._exited + LINGER_S, self._deadline or 0.0)
        alive = self._group_lives()
        open_ = not all(stream.ended for stream in self._streams.values())
        if (alive or open_) and now <= until and not self._killed:
            return None
        if alive and not self._killed:
            self._end_group()
        # What a killed process had written is still on its way.
        if open_ and now <= until + 1.0:
            return None
        self._ending = self._finish(code)
        return self._ending

    def stop(self, status: Status = Status.STOPPED, reason: str = "") -> None:
        """Ask the program to end, and kill it when its grace is over; ``poll`` goes on.

        Its run will end with this status and reason. Nothing happens where it has ended, or has
        been asked before.
        """
        if self._asked is not None or self._popen.poll() is not None:
            return
        self._asked = (status, reason)
        self._deadline = self._clock() + self.order.grace_s
        if WINDOWS:
            self._popen.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        else:
            signal_group(self.pid, signal.SIGTERM)

    def kill(self, status: Status = Status.INTERRUPTED, reason: str = "") -> None:
        """End the program and what it started now, without grace."""
        if self._asked is None and self._popen.poll() is None:
            self._asked = (status, reason)
        self._deadline = self._clock()
        self._kill_group()

    def wait(self, pause_s: float = 0.01) -> Ending:
        """Poll until it has ended: for programs that run one process at a time."""
        while (ending := self.poll()) is None:
            time.sleep(pause_s)
        return ending

    def _kill_group(self) -> None:
        self._killed = True
        if WINDOWS:
            kill_tree(self.pid)
        else:
            signal_group(self.pid, signal.SIGKILL)

    def _end_group(self) -> None:
        self._kill_group()
        if self._asked is None:
            self._notes.append(
                "the program ended, but what it had started still ran"
                f" {LINGER_S:g} s later, and was ended"
            )

    def _group_lives(self) -> bool:
        return not WINDOWS and signal_group(self.pid, 0) and has_living(self.pid)

    def _finish(self, code: int) -> Ending:
        for name, stream in self._streams.items():
            stream.close()
            if stream.problem:
                self._notes.append(f"{name}.log could not be written whole: {stream.problem}")
        told = _told(self.order.folder)
        status, reason = self._asked or self._verdict(code, told)
        seconds = round((self._exited or self._clock()) - self._began, 6)
        metrics = {} if told is None else told[2]
        return Ending(status, reason, code, seconds, tuple(self._notes), metrics)

    def _verdict(self, code: int, told: _Told | None) -> tuple[Status, str]:
        # An experiment that diverged exits with 1, and says more than that.
        if told is not None and (code == 0 or told[0] in _SAYS_MORE):
            return told[:2]
        if code == 0:
            return Status.FINISHED, ""
        return Status.FAILED, exit_reason(code, self._streams["stderr"].recent())


def _stream(
    pipe: IO[bytes] | None,
    order: Order,
    name: str,
    take: Callable[[str], None],
    drop: Callable[[int], None] = lambda size: None,
) -> Stream:
    if pipe is None:
        raise AssertionError("the process was started with pipes")
    try:
        return Stream(pipe, order.folder / name, take=take, drop=drop, limit=order.keep)
    except OSError:
        pipe.close()
        raise


def _start(order: Order) -> subprocess.Popen[bytes]:
    group = None if WINDOWS else 0
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
        # Where the logs cannot be written, say so before anything runs.
        for name in ("stdout.log", "stderr.log"):
            (order.folder / name).write_bytes(b"")
    except OSError as error:
        raise _no_folder(order.folder, error) from error
    try:
        return subprocess.Popen(
            list(order.argv),
            env=dict(order.env),
            cwd=order.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=group,
            creationflags=flags,
        )
    except (OSError, ValueError) as error:
        raise InputError(_not_started(order, error)) from error


def _not_started(order: Order, error: OSError | ValueError) -> str:
    word, what = order.argv[0], getattr(error, "strerror", None) or str(error)
    if not order.cwd.is_dir():
        return f"command: the folder {order.cwd}, where it is to run, does not exist"
    if isinstance(error, OSError) and error.errno == 8:
        return (
            f"command: {word!r} is no program that this system can run ({what}); begin it with a"
            " line such as '#!/usr/bin/env bash', or put ${interpreter} before it"
        )
    if isinstance(error, OSError) and error.errno == 7:
        return f"command: its words are too long for this system ({what}); use ${{args_json_file}}"
    return f"command: {word!r} cannot be started ({what})"


def _no_folder(folder: Path, error: OSError) -> StoreError:
    what = error.strerror or error
    return StoreError(
        f"the run's folder {folder} cannot be written ({what}); give another store with --store"
    )


def _told(folder: Path) -> _Told | None:
    """What the program itself said, by ``run.finish``, of how its run ended."""
    try:
        told = json.loads((folder / _ENDING).read_text(encoding="utf-8"))
        status, reason, metrics = Status(told[0]), str(told[1]), dict(told[2])
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return (status, reason, metrics) if status.over else None


def ending(code: int, log: Path) -> str:
    """Why a process ended, from its exit code (negative for a signal) and the end of its log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    return exit_reason(code, without_colours(text))
