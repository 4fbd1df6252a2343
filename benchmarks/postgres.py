"""A PostgreSQL server of a benchmark's own, as users have one: fsync on, default buffers."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from postgres_server import PostgresServer, lacking


class OwnServer:
    """A server on loopback, and a folder for its stores; both are gone at the end.

    Args:    settings: of the server, beside fsync, synchronous_commit and shared_buffers.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        why = lacking()
        if why is not None:
            sys.exit(why)
        as_users = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "128MB"}
        self._server = PostgresServer({**as_users, **(settings or {})})
        self._folder = tempfile.TemporaryDirectory()
        self._stores = 0

    def place(self) -> str:
        """The address of a new store."""
        self._stores += 1
        name = f"store{self._stores}"
        return f"{self._server.create(name)}?folder={self._folder.name}/{name}"

    def cpu_s(self, *, alone: bool = False) -> float:
        """Processor time of the server so far, of processes that live and of those that ended.

        Args:    alone: all clients have left: wait until their processes have ended, since the
                 time of one that is just ending is in neither number.
        """
        running = self._server._server  # the tests' own server, whose processes are counted
        assert running is not None
        main = psutil.Process(running.pid)
        give_up = time.monotonic() + 30
        while alone and any(map(_serves, main.children())) and time.monotonic() < give_up:
            time.sleep(0.01)
        own = main.cpu_times()
        children = []
        for one in main.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                children.append(one.cpu_times())
        ended = own.children_user + own.children_system
        return ended + sum(one.user + one.system for one in (own, *children))

    def close(self) -> None:
        """Stop the server, and remove the folder."""
        self._server.close()
        self._folder.cleanup()

    def __enter__(self) -> OwnServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serves(process: psutil.Process) -> bool:
    """Whether a process of the server has a client, or is ending."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return True
    return not words or "127.0.0.1" in words
