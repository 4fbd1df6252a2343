"""What a graded program may not do: network, processes, and changes outside its own folder.

Python reports each such act to an audit hook before it is done. This stops accidents and simple
tricks; it is no jail for code that calls the system by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.remove": "deletes",
    "os.rmdir": "deletes",
    "shutil.rmtree": "deletes",
    "os.rename": "moves",
    "shutil.move": "moves",
    "os.mkdir": "makes",
    "os.link": "makes",
    "os.symlink": "makes",
    "os.truncate": "changes",
    "os.chmod": "changes",
    "os.chown": "changes",
}
_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
_KILLS = ("os.kill", "os.killpg")
_NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto")


def cut_network() -> None:
    """Leave the network, on a Linux that lets a user do so."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


class ActGuard:
    """An audit hook that is on inside ``with``; ``refused`` says what the program tried first.

    Args:    folder: the only one in which the program may change anything.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)
        self._on = self._inside = False
        self.refused = ""
        sys.addaudithook(self._hook)

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._on or self._inside or event in ("import", "compile", "exec"):
            return
        self._inside = True
        try:
            said = self._refusal(event, args)
        finally:
            self._inside = False
        if said:
            self.refused = self.refused or said
            raise PermissionError(said)

    def _refusal(self, event: str, args: tuple[Any, ...]) -> str:
        if event in _NETWORK:
            return "uses the network; a graded program may not"
        if event in _PROCESSES:
            return "starts another process; a graded program may not (num_workers=0 for a loader)"
        if event in _KILLS:
            return "sends a signal; a graded program may not"
        if event in _CHANGES:
            paths = args[:2] if event in ("os.rename", "os.link", "shutil.move") else args[:1]
            outside = next((path for path in paths if not self._allows(path)), None)
            if outside is not None:
                return f"{_CHANGES[event]} {_shown(outside)}; write only into the current folder"
        if event == "open" and self._writes(args) and not self._allows(args[0]):
            return f"writes {_shown(args[0])}; write only into the current folder"
        return ""

    def _writes(self, args: tuple[Any, ...]) -> bool:
        mode, flags = args[1], args[2]
        if isinstance(mode, str) and set(mode) & set("wax+"):
            return True
        return isinstance(flags, int) and bool(flags & _WRITES)

    def _allows(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a file that is open already
        real = os.path.realpath(os.fsdecode(path))
        within = real == self._folder or Path(self._folder) in Path(real).parents
        return within or real in (os.devnull, "/dev/tty") or real.startswith("/dev/shm/")


def _shown(path: Any) -> str:
    text = os.fsdecode(path)
    return repr(text if len(text) <= 80 else f"...{text[-77:]}")
