"""Workers of the agents in a test process, forked from one server: it loads JAX once for all tests.

It is the package's fork server, which an agent with several workers starts, and which ends with it.
Here it stays, and single workers come from it too. A test of how a worker starts or ends sets
``OWN_WORKERS = True`` in its module, and gets workers as users do.
"""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

# One fork server serves all tests.
from thetahat.sweep.workers import _fork_server, _fork_server_main as server_main

FOLDER = "TESTED_FOLDER"
DECISIVE = ("JAX", "XLA", "PYTHON", "OMP", "THETAHAT", "CUDA")
"""Variables that begin so may be read while modules are loaded: each set of them has its server."""
SHARE = "THETAHAT_WORKER_SHARE"
"""This one, which tells how many workers share the machine, is read when a worker begins."""


class SharedServer(_fork_server.ForkServer):
    """A fork server for agents one after the other, also those in threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def fork(self, setup: _fork_server.WorkerSetup) -> _fork_server.WorkerHandle:
        """Fork a worker in its own folder and environment."""
        with self._lock, _fork_server.appended(setup.log):
            if self._link is None:
                self._begin(setup)
            child = _fork_server.ForkedProcess(self, self._count)
            self._children[self._count] = child
            self._count += 1
            own = {**setup.env, **setup.own, FOLDER: str(setup.folder)}
            self._send(child.number, own, str(setup.log))
        return child

    def _begin(self, setup: _fork_server.WorkerSetup) -> None:
        self._link, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env=dict(setup.env),
            stdin=subprocess.DEVNULL,
            cwd="/",  # it outlives the folder of this test
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()

    def signal(self, child: _fork_server.ForkedProcess, number: int) -> None:
        """Send a child a signal; one that is not forked yet is forked before it is read."""
        with self._lock:
            self._send(child.number, number)

    def read(self, timeout_s: float = 0.0) -> None:
        """Read how the children are."""
        with self._lock:
            super().read(timeout_s)

    def _shut(self) -> int:
        # Without children it waits for the next agent.
        return super()._shut() if self._children else 0

    def close(self) -> None:
        """End the server."""
        super()._shut()


_servers: dict[tuple[tuple[str, str], ...], SharedServer] = {}


def fork(setup: _fork_server.WorkerSetup) -> _fork_server.WorkerHandle:
    """Fork a worker from the server of its environment."""
    decisive = {k: v for k, v in setup.env.items() if k.startswith(DECISIVE) and k != SHARE}
    key = tuple(sorted(decisive.items()))
    return _servers.setdefault(key, SharedServer()).fork(setup)


def close() -> None:
    """End all servers."""
    for server in _servers.values():
        server.close()
    _servers.clear()


def main() -> None:
    """Load what workers need, fork, and in each child, work."""
    link = Connection(int(sys.argv[1]))
    os.set_inheritable(link.fileno(), False)
    for name in server_main.LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    own = server_main.serve(link)
    os.chdir(own.pop(FOLDER))
    os.environ.clear()
    os.environ.update(own)
    sys.path[0] = os.getcwd()
    worker = importlib.import_module(_fork_server.WORKER[1])
    sys.argv = [str(Path(worker.__file__ or ""))]
    worker.work()


if __name__ == "__main__":
    main()
