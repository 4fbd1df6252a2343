"""Processes by their groups: who lives, who is who, and how a group is ended.

Also a program of its own, the *keeper*: an agent that is killed takes its programs with it. The
keeper reads from the agent which programs run; when the agent is gone, however it went, the pipe
between them ends, and the keeper ends what still runs. A pipe does that on every system. Linux
could do it with a death signal, but that reaches only the program and not what it started, counts
on the thread that began it, and needs code between fork and exec, in a process that has threads.

It uses nothing but the standard library: the keeper is there within milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

WINDOWS = sys.platform == "win32"
KIND_S, SURE_S = 2.0, 2.0
"""Seconds for those that were asked to end, and for those that were made to."""


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a group; whether anything in it lives."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS says so of a group of zombies; elsewhere of a program that changed its user.
        return False
    return True


def has_living(group: int) -> bool:
    """Whether a group has more than zombies, which a container without an init keeps for ever."""
    if not Path("/proc/self/stat").exists():
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(path)
        if fields and int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def kill_tree(pid: int) -> None:
    """End a program of Windows and what it started, which is found only while the program lives."""
    words = ["taskkill", "/T", "/F", "/PID", str(pid)]
    subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def began_at(pid: int) -> str | None:
    """When a process began, as its system writes it; None where there is no such process.

    Ids of processes are given again: an id and this are one process and no other.
    """
    if WINDOWS:
        return _began_on_windows(pid)
    path = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        fields = _fields(path)
        return None if fields is None or fields[0] in "ZX" else f"{fields[19]} of {_boot()}"
    words = ["ps", "-o", "lstart=", "-p", str(pid)]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return said.strip() or None


def end_groups(known: Iterable[tuple[int, str]]) -> set[int]:
    """End programs and what they started, kindly, then not; those that had not ended by themselves.

    Args:    known: id and ``began_at`` of each: one whose id is another's by now is left alone.
    """
    alive = {pid for pid, began in known if began_at(pid) == began}
    found = set(alive)
    for number, patience_s in ((signal.SIGTERM, KIND_S), (None, SURE_S)):
        for pid in alive:
            if WINDOWS:
                kill_tree(pid)
            else:
                signal_group(pid, signal.SIGKILL if number is None else number)
        until = time.monotonic() + patience_s
        while alive and time.monotonic() < until:
            time.sleep(0.01)
            alive = {pid for pid in alive if _lives(pid)}
    return found


class Keeper:
    """Ends an agent's programs when the agent is gone. It begins with the first of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int, began: str) -> None:
        """A program runs."""
        if self._process is None:
            # A system that has no process left: whoever takes the runs ends their programs then.
            with contextlib.suppress(OSError):
                self._process = _start_keeper()
        self._tell(f"+{pid} {began}\n")

    def release(self, pid: int) -> None:
        """It has ended."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """No program runs any more."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
        self._process = None

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # A keeper that was killed: the same.
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def _start_keeper() -> subprocess.Popen[bytes]:
    # Of no group of ours: what ends the agent must not end its keeper.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=not WINDOWS,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def keep(said: IO[bytes]) -> None:
    """Take in what the agent says until it is gone, then end what still runs."""
    known: dict[int, str] = {}
    for line in said:
        pid, _, began = line.decode()[1:].strip().partition(" ")
        if line.startswith(b"+"):
            known[int(pid)] = began
        else:
            known.pop(int(pid), None)
    end_groups(known.items())


def _fields(path: Path) -> list[str] | None:
    """The fields of a process in /proc from its state on."""
    try:
        # The name of the program stands in brackets, and may hold anything.
        return path.read_text(errors="replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lives(pid: int) -> bool:
    if WINDOWS:
        return began_at(pid) is not None
    return signal_group(pid, 0) and has_living(pid)


def _began_on_windows(pid: int) -> str | None:
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    limited_information, still_active = 0x1000, 259
    handle = kernel.OpenProcess(limited_information, False, pid)
    if not handle:
        return None
    try:
        times = [wintypes.FILETIME() for _ in range(4)]
        code = wintypes.DWORD()
        kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
        if code.value != still_active:
            return None
        kernel.GetProcessTimes(wintypes.HANDLE(handle), *(ctypes.byref(one) for one in times))
        return f"{times[0].dwHighDateTime}.{times[0].dwLowDateTime}"
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))


if __name__ == "__main__":
    # Only the agent ends it, by being gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep(sys.stdin.buffer)


def host_name() -> str:
    """This machine, as agents know it; it stays in the agents' table."""
    return socket.gethostname()
