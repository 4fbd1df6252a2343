"""A PostgreSQL server of a benchmark's own, as users have one: fsync on, default buffers."""

from __future__ import annotations

import sys
import tempfile
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

    def cpu_s(self) -> float:
        """Processor time of the server so far, of processes that live and of those that ended."""
        assert (
            self._server._server is not None
        )  # the tests' own server, whose processes are counted
        main = psutil.Process(self._server._server.pid)
        own = main.cpu_times()
        children = [one.cpu_times() for one in main.children()]
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
