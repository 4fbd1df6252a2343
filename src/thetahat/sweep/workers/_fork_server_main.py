"""The process of the fork server: load what every worker loads, and fork one at each request.

It is started as ``python -m thetahat.sweep.workers._fork_server_main FD [MODULE ...]``. It answers
``ForkServer`` over FD. The process has one thread; if a module that it loads has started another
thread, its children load everything themselves.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

from thetahat.sweep.workers._fork_server import WORKER

LOADED = ("thetahat.sweep.workers._worker", "thetahat.train", "optax")


def serve(link: Connection) -> dict[str, str]:
    """Fork at each request, until the agent is gone; return in each child, with its environment."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, int] = {}
    while True:
        ready = wait([link, woken])
        if woken in ready:
            os.read(woken, 4096)
        _report_ended(link, children)
        if link not in ready:
            continue
        try:
            number, *what = link.recv()
        except (EOFError, OSError):
            os._exit(0)
        if len(what) == 1:
            for pid in [pid for pid, n in children.items() if n == number]:
                os.kill(pid, what[0])
            continue
        own, log = what
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(woken)
            os.close(wakes)
            link.close()
            _separate(log)
            return own
        children[pid] = number
        _send(link, "started", number, pid)


def _report_ended(link: Connection, children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _send(link, "ended", children.pop(pid), os.waitstatus_to_exitcode(status))


def _send(link: Connection, kind: str, number: int, value: int) -> None:
    # If the agent is gone, the next read finds out.
    with contextlib.suppress(OSError):
        link.send((kind, number, value))


def _separate(log: str) -> None:
    """Give a child its own group, output and random numbers."""
    os.setsid()
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def main() -> NoReturn:
    """Load, fork, and in each child, work."""
    # A batch system sends it to all processes of a job; the server ends when its agent has.
    signal.signal(signal.SIGTERM, lambda *_: None)
    link = Connection(int(sys.argv[1]))
    os.set_inheritable(link.fileno(), False)
    for name in (*LOADED, *sys.argv[2:]):
        # A worker loads it again, and says what is wrong with it.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    crowded = len(os.listdir("/proc/self/task")) > 1
    own = serve(link)
    os.environ.update(own)
    if crowded:
        os.execv(sys.executable, [sys.executable, *WORKER])
    sys.argv = [str(Path(__file__).with_name("_worker.py"))]
    from thetahat.sweep.workers import _worker

    _worker.work()


if __name__ == "__main__":
    main()
