"""One run as a process: started, polled and ended without waiting; and the reason that it ended.

The process has its own group, so that its children end with it, and no keyboard: Ctrl-C reaches
only the agent, which decides.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any

from thetahat.core.errors import InputError, StoreError
from thetahat.core.places import wandb_path
from thetahat.core.run import Status
from thetahat.sweep.processes._capture import LIMIT, Stream, tail_of, without_colours
from thetahat.sweep.processes._process_group import WINDOWS, has_living, kill_tree, signal_group
from thetahat.sweep.processes._rows_file import ROWS, open_rows
from thetahat.sweep.processes._wandb import wandb_preferences, wandb_settings, write_parameters

GRACE_S = 10.0
"""Seconds in which a program may end after it was asked to."""
LINGER_S = 2.0
"""Seconds in which the children of a program may go on after it has ended."""

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
ONE_XLA_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_ENDING = "ending.json"
_OwnEnding = tuple[Status, str, dict[str, float | None]]
_PRECISE = (Status.DIVERGED, Status.UNMOVED, Status.REJECTED)


@dataclass(frozen=True)
class Order:
    """A command line, and where it runs.

    Args:
        argv: the words of the command line, as ``argv_of`` gives them.
        env: all of the environment, as ``environment`` gives it.
        folder: of this run, with ``stdout.log``, ``stderr.log`` and wandb's files.
        cwd: where the program runs.
        timeout_s: seconds after which it is ended; None for no limit.
        grace_s: seconds between SIGTERM and SIGKILL.
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
    """How a process ended. ``code`` is its exit code, or the negative number of a signal."""

    status: Status
    reason: str
    code: int
    seconds: float
    notes: tuple[str, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """The final numbers that the program gave to ``run.finish``."""


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
    """Return the environment of a run, and write the sweep's values into its folder for wandb.

    Threads are pinned and output is not buffered, unless the user has set otherwise.

    Args:    name: the run's.   base: the agent's own environment.
             threads: for each of the usual libraries.
    Raises:  StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_parameters(config, folder)
        (folder / _ENDING).unlink(missing_ok=True)
        open_rows(folder, {"run": run_id, "name": name, "config": config})
    except OSError as error:
        raise _no_folder(folder, error) from error
    preferences = {
        **dict.fromkeys(THREADS, str(threads)),
        # Else printed metrics arrive when the buffer of the pipe is full.
        "PYTHONUNBUFFERED": "1",
        **wandb_preferences(name),
    }
    if threads == 1:
        preferences["XLA_FLAGS"] = ONE_XLA_THREAD
    if WINDOWS:
        preferences["PYTHONIOENCODING"] = "utf-8"
    env = {
        **preferences,
        **base,
        **wandb_settings(folder, sweep_id=sweep_id, run_id=run_id),
        "THETAHAT_STORE": os.fspath(store),
        "THETAHAT_RUN_ID": run_id,
        "THETAHAT_RUN_ENDING": str(folder / _ENDING),
        "THETAHAT_RUN_ROWS": str(folder / ROWS),
        **wandb_path(base),
    }
    # The address of the wandb service of the agent's process.
    env.pop("WANDB_SERVICE", None)
    return env


class ProgramProcess:
    """A running program. ``poll`` returns its Ending when it has ended.

    Args:
        order: what to run.
        on_stdout, on_stderr: called with every line, by other threads.
        on_long: called with the size of a line of JSON on stdout that is too long to read.
    Raises:  InputError: it cannot be started.
             StoreError: its folder cannot be written.
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
        except OSError as error:  # the folder was removed meanwhile
            self._kill_group()
            self._popen.wait()
            if self._popen.stderr is not None:
                self._popen.stderr.close()
            raise _no_folder(order.folder, error) from error

    @property
    def pid(self) -> int:
        """The program's process id, which is also its group's."""
        return self._popen.pid

    @property
    def received(self) -> int:
        """How many bytes it has printed."""
        return sum(stream.received for stream in self._streams.values())

    def last_line(self) -> str:
        """Return the last words of its stderr, else of its stdout."""
        said = (last_words(self._streams[name].recent()) for name in ("stderr", "stdout"))
        return next(filter(None, said), "")

    def poll(self) -> Ending | None:
        """Return how it ended, or None while it runs; end it after its time limit."""
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
        # The last output of a killed process may still be in the pipe.
        if open_ and now <= until + 1.0:
            return None
        self._ending = self._finish(code)
        return self._ending

    def stop(self, status: Status = Status.STOPPED, reason: str = "") -> None:
        """Ask the program to end; ``poll`` kills it after the grace period.

        Its run ends with this status and reason. A second call does nothing.
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
        """Kill the program and its children now."""
        if self._asked is None and self._popen.poll() is None:
            self._asked = (status, reason)
        self._deadline = self._clock()
        self._kill_group()

    def wait(self, pause_s: float = 0.01) -> Ending:
        """Poll until the program has ended."""
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
                f"the program ended, but a process that it had started still ran {LINGER_S:g} s"
                " later, and was ended"
            )

    def _group_lives(self) -> bool:
        return not WINDOWS and has_living(self.pid)

    def _finish(self, code: int) -> Ending:
        for name, stream in self._streams.items():
            stream.close()
            if stream.problem:
                self._notes.append(f"{name}.log could not be written whole: {stream.problem}")
        own = own_ending(self.order.folder)
        status, reason = self._asked or self._verdict(code, own)
        seconds = round((self._exited or self._clock()) - self._began, 6)
        metrics = {} if own is None else own[2]
        return Ending(status, reason, code, seconds, tuple(self._notes), metrics)

    def _verdict(self, code: int, own: _OwnEnding | None) -> tuple[Status, str]:
        # An experiment that diverged exits with 1; its own ending is more precise.
        if own is not None and (code == 0 or own[0] in _PRECISE):
            return own[:2]
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
        # If the logs cannot be written, fail before the program runs.
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
            f"command: {word!r} is not a program that this system can run ({what}); begin it with a"
            " line such as '#!/usr/bin/env bash', or put ${interpreter} before it"
        )
    if isinstance(error, OSError) and error.errno == 7:
        return f"command: its words are too long for this system ({what}); use ${{args_json_file}}"
    return f"command: {word!r} cannot be started ({what})"


def _no_folder(folder: Path, error: OSError) -> StoreError:
    what = error.strerror or error
    return StoreError(
        f"the run's folder {folder} cannot be written ({what}); give another store with"
        " store= (--store)"
    )


def own_ending(folder: Path) -> _OwnEnding | None:
    """Read how the program ended its run itself, by ``run.finish``."""
    try:
        found = json.loads((folder / _ENDING).read_text(encoding="utf-8"))
        status, reason, metrics = Status(found[0]), str(found[1]), dict(found[2])
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return (status, reason, metrics) if status.over else None


def ending(code: int, log: Path) -> str:
    """Return why a process ended, by its exit code (negative for a signal) and its log."""
    return exit_reason(code, without_colours(tail_of(log)))


LONGEST = 300
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'  File "(?!.*(?:site-packages|lib/python3|<frozen))(.*)", line (\d+)')
"""A line of a traceback that names a line of the user's program."""
_FATAL = ("Fatal Python error:", "terminate called", "panic:")
_ABORTS = re.compile(r"Fatal Python error:|terminate called|F\d{4} \d\d:")
"""The first words of lines that Python, C++ and XLA write when they abort a process."""
_OF_HYDRA = "Set the environment variable HYDRA_FULL_ERROR"
"""The last line of Hydra, below its message."""
_IGNORED = re.compile(rf"wandb:|{_OF_HYDRA}|See https?:")
_WINDOWS_CODES = {
    0xC0000005: "access violation",
    0xC00000FD: "stack overflow",
    0xC000013A: "Ctrl-C",
    0xC0000409: "stack buffer overrun",
}


def exit_reason(code: int, stderr: str = "") -> str:
    """Return the reason of a run whose program ended with ``code`` (negative for a signal).

    >>> exit_reason(3, "ValueError: no data")
    'exit code 3: ValueError: no data'
    >>> exit_reason(-11)
    'killed by SIGSEGV'
    """
    if code < 0:
        what = f"killed by {signal_name(-code)}"
        if signal_name(-code) == "SIGKILL":
            what += " (by the system, if memory ran out)"
    else:
        what = f"exit code {code}"
        inner = _WINDOWS_CODES.get(code) or (signal_name(code - 128) if 128 < code < 255 else "")
        # A shell exits with 128 + the signal that killed its program.
        what += f" ({inner})" if inner and not inner.startswith("signal") else ""
    last = last_words(stderr)
    return f"{what}: {last}" if last else what


def worker_reason(code: int, log: str = "") -> str:
    """Return why a worker ended, in one line, by its exit code.

    Args:    log: its output. All its runs write there, so only the message of a process that
             aborts is quoted.

    >>> worker_reason(-9)
    'the worker was killed by signal 9 (SIGKILL): by a person, or by a system short of memory'
    >>> worker_reason(3, "epoch 4: 0.25")
    'the worker ended with exit code 3'
    """
    if code >= 0:
        inner = _WINDOWS_CODES.get(code)
        return f"the worker ended with exit code {code}" + (f" ({inner})" if inner else "")
    name = signal_name(-code)
    what = f"the worker was killed by signal {-code}" + ("" if " " in name else f" ({name})")
    if name == "SIGKILL":
        return f"{what}: by a person, or by a system short of memory"
    fatal = [line.strip() for line in log.splitlines() if _ABORTS.match(line)]
    return f"{what}: {_short(fatal[-1])}" if fatal else what


def signal_name(number: int) -> str:
    """Return ``SIGSEGV`` for 11, ``signal 99`` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(stderr: str) -> str:
    """Return the exception of the last traceback of a stderr, else its last line.

    Hydra prints a mistake of a config without a traceback, and details below it.

    >>> last_words("Traceback (most recent call last):\\n  File ...\\nKeyError: 'x'\\nbye")
    "KeyError: 'x'"
    """
    lines = [line.rpartition("\r")[2].rstrip() for line in stderr.replace("\r\n", "\n").split("\n")]
    starts = [k for k, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    if starts:
        indent, where = lines[starts[-1]].removesuffix(_TRACEBACK), ""
        rest = [line.removeprefix(indent) for line in lines[starts[-1] + 1 :]]
        for k, line in enumerate(rest):
            if at := _FRAME.match(line):
                where = f" ({PurePath(at[1]).name}, line {at[2]})"
            if line and not line[0].isspace() and not line.startswith(("|", "+")):
                # "Error in call to target 'Net':" says what failed, the next line says why.
                below = [more.strip() for more in rest[k + 1 : k + 2] if line.endswith(":")]
                return _short(" ".join([line, *below]).rstrip(), where)
    hydra = [k for k, line in enumerate(lines) if line.startswith(_OF_HYDRA)]
    if hydra and (said := _words_of_hydra(lines[: hydra[-1]])):
        return _short(said)
    fatal = [line for line in lines if line.startswith(_FATAL)]
    said = fatal[-1:] or [line for line in lines if line.strip() and not _IGNORED.match(line)]
    return _short(said[-1].strip()) if said else ""


def _words_of_hydra(lines: Sequence[str]) -> str:
    """Return the message of Hydra at the end of these lines, without indented details and lists."""
    said: list[str] = []
    for k in range(len(lines) - 1, -1, -1):
        line = lines[k]
        detail = not line.strip() or line[0].isspace() or _IGNORED.match(line)
        if said and detail:
            break
        if not detail and not line.endswith(":"):  # the head of a list, such as the search path
            said.insert(0, line.rstrip("."))
    return "; ".join(said[-3:])


def _short(line: str, tail: str = "") -> str:
    return (line if len(line) <= LONGEST else line[: LONGEST - 4] + " ...") + tail
