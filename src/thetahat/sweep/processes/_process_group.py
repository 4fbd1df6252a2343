"""Process groups: who is alive, and how a program and its children are ended.

This module is also a program, the *watchdog*: it ends an agent's programs if the agent is killed.
The agent writes to the watchdog which programs run. When the agent ends for any reason, the pipe
between them closes, and the watchdog ends the programs that still run. A pipe does so on every
system; a death signal of Linux reaches the program only, not its children. If the watchdog was
killed too, the next agent ends the programs (``end_programs``) before it runs their runs again: two
programs of one run would overwrite each other's outputs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from thetahat.store import RunRow, Store

WINDOWS = sys.platform == "win32"
TERMINATE_S, KILL_S = 2.0, 2.0
"""Seconds for programs that were asked to end, and for programs that were killed."""
LOGS = "logs"
_FILE = "process.json"
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a group; return whether any process in it is alive."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # macOS refuses a group of zombies; other systems a program that changed its user.
        return False
    return True


def has_living(group: int) -> bool:
    """Whether a group has a process that is not a zombie: some containers keep zombies for ever."""
    return signal_group(group, 0) and any(
        _group_of(pid) == group and lives(pid) for pid in psutil.pids()
    )


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() not in _ENDED
    except psutil.Error:
        return False


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, as by Ctrl-Z; False where that cannot be told."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def kill_tree(pid: int) -> None:
    """Kill a program of Windows and its children, which are found only while the program lives."""
    words = ["taskkill", "/T", "/F", "/PID", str(pid)]
    subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def began_at(pid: int) -> str | None:
    """Return when a process began, on a clock that cannot be set; None if it does not run.

    Process ids are reused: an id and this text identify one process.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in _ENDED:
            return None
        # Elsewhere than on Windows psutil counts from the boot and adds the time of the boot.
        boot = 0.0 if WINDOWS else psutil.boot_time()
        return f"{process.create_time() - boot:.2f} of {_boot_id()}"
    except psutil.Error:
        return None


def end_groups(known: Iterable[tuple[int, str]]) -> set[int]:
    """Terminate programs and their children, then kill them; return those that were running.

    Args:    known: id and ``began_at`` of each; a process that reuses an id is left alone.
    """
    alive = {pid for pid, began in known if began_at(pid) == began}
    found = set(alive)
    for number, patience_s in ((signal.SIGTERM, TERMINATE_S), (None, KILL_S)):
        for pid in alive:
            if WINDOWS:
                kill_tree(pid)
            else:
                signal_group(pid, signal.SIGKILL if number is None else number)
        until = time.monotonic() + patience_s
        while alive and time.monotonic() < until:
            time.sleep(0.01)
            alive = {pid for pid in alive if (lives if WINDOWS else has_living)(pid)}
    return found


class Watchdog:
    """The agent's end of the watchdog, which starts before the first program."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the watchdog, before a program that it could not learn of in time."""
        if self._process is None:
            # If no process can be started, the next agent ends the programs.
            with contextlib.suppress(OSError):
                self._process = _start_watchdog()

    def watch(self, pid: int, began: str) -> None:
        """Report that a program runs."""
        self._write(f"+{pid} {began}\n")

    def release(self, pid: int) -> None:
        """Report that a program has ended."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """End the watchdog, and programs that were not released."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
        self._process = None

    def _write(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # If the watchdog was killed, the next agent ends the programs.
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def _start_watchdog() -> subprocess.Popen[bytes]:
    # In a session of its own: a signal to the agent's group must not end its watchdog.
    return subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=not WINDOWS,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def keep(stream: IO[bytes]) -> None:
    """Read which programs run until the agent has ended, then end those that still run."""
    known: dict[int, str] = {}
    for line in stream:
        pid, _, began = line.decode()[1:].strip().partition(" ")
        if line.startswith(b"+"):
            known[int(pid)] = began
        else:
            known.pop(int(pid), None)
    end_groups(known.items())


def host_name() -> str:
    """Return the name of this machine as the agents' table has it."""
    return socket.gethostname()


def folder_of_run(store: Store, run: RunRow) -> Path:
    """Return the folder with the files of a run's attempt."""
    return store.folder / LOGS / f"{run.id}.{run.attempt}"


def remember_program(folder: Path, pid: int, began: str) -> None:
    """Write into a run's folder which process runs it."""
    program = {"host": host_name(), "pid": pid, "began": began}
    # On a full disk the watchdog still knows the program.
    with contextlib.suppress(OSError):
        (folder / _FILE).write_text(json.dumps(program), encoding="utf-8")


def end_programs(store: Store, runs: Iterable[RunRow]) -> int:
    """End the programs of a dead agent's runs on this machine; return how many were running."""
    known = (_program(folder_of_run(store, run)) for run in runs)
    return len(end_groups([one for one in known if one is not None]))


def _program(folder: Path) -> tuple[int, str] | None:
    try:
        found = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        if found["host"] != host_name():
            return None
        return int(found["pid"]), str(found["began"])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _boot_id() -> str:
    """Return the id of this boot of Linux: process ids and start times repeat after a boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    # The watchdog ends only when its agent has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep(sys.stdin.buffer)
