"""Python children that have JAX loaded: forks of one server, in place of a second of imports each.

In tests, ``subprocess.Popen`` is the one of this module. A child whose program needs thetahat or JAX is
forked from a process that has loaded their code, and has started none of it. The child gets the
folder, the environment, the files and the group that a Python of its own would get, and runs the same
words to the same exit code. It is a child of the test process, which waits for it and signals it as
any other; only in ``ps`` it has the command line of the server. All other children, and all on systems
but Linux, are Pythons of their own. A test module whose subject is how Pythons start or what they
leave sets ``OWN_PYTHONS = True``, and gets Pythons as users do.

The server forks twice, and the process between ends: then the test process adopts the child, since it
is a subreaper at that moment. A child that may start others gets a server of its own, also a fork.
"""

from __future__ import annotations

import atexit
import builtins
import ctypes
import fcntl
import gc
import importlib
import inspect
import io
import os
import pickle
import re
import runpy
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

LOADED = (
    *("flax.nnx", "jsonargparse", "optax", "pandas", "rich.live", "ruamel.yaml"),
    *("sqlalchemy.dialects.sqlite", "thetahat.cli", "thetahat.models", "thetahat.optim"),
    *("thetahat.risk", "thetahat.store", "thetahat.sweep", "thetahat.sweep.workers._worker"),
    "thetahat.train",
)
DECISIVE = ("JAX", "LANG", "LC_", "LD_", "MALLOC", "MKL", "OMP", "OPENBLAS", "PYTHON")
"""Variables that begin so are read while Python or a module starts."""
LATE = ("PYTHONPATH", "PYTHONPYCACHEPREFIX")
"""Of them, a child reads these anew, or they change nothing that a test sees."""
SERVED = "PYTHONUTF8"
"""Each value of this one has a server."""
NEEDS = re.compile(rb"thetahat|\bjax\b")
"""A program with these words needs what the server has loaded."""
LOOKS = re.compile(rb"sys\.(modules|meta_path)")
"""A program with these words looks at what is loaded."""
STARTS = re.compile(rb"subprocess|sweep|agent")
"""A program with these words may start others."""
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
OWN_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
serving = True
"""Whether children are forks."""
NAME = "preloaded"
"""What the server of a child is called in /proc."""
_SET_NAME, _SUBREAPER = 15, 36
_FREE = 512
"""The files of a child wait above this number."""


_Own = subprocess.Popen


class Popen(subprocess.Popen[Any]):
    """``subprocess.Popen``, of a fork where that is the same.

    Args:    terminal: its standard input becomes the terminal of its session.
    """

    def __init__(self, args: Sequence[Any], *, terminal: bool = False, **more: Any) -> None:
        self._terminal = terminal
        super().__init__(args, **more)

    def _execute_child(self, *all: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(start).bind(*all).arguments
        request = _request(given, self._terminal)
        pid = None
        if request and (server := _server(request["env"])):
            files = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
            files = [n if file == -1 else file for n, file in enumerate(files)]
            pid = server.fork(request, [*files, *given["pass_fds"]])
        if pid is None:
            if self._terminal:
                given["args"] = [sys.executable, "-c", OWN_TERMINAL, *given["args"]]
            start(*given.values())
            return
        self.pid = pid
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in PIPES))  # type: ignore[attr-defined]


def _request(given: dict[str, Any], terminal: bool) -> dict[str, Any] | None:
    """Return what a fork needs to know; None where only a Python of its own is the same."""
    others = ("preexec_fn", "executable", "shell", "gid", "gids", "uid")
    plain = given["close_fds"] and given["umask"] < 0 and not any(given[k] for k in others)
    if not (serving and plain and sys.platform == "linux") or isinstance(
        given["args"], str | bytes
    ):
        return None
    words = [os.fsdecode(word) for word in given["args"]]
    folder = os.path.abspath(given["cwd"] or os.getcwd())
    env = dict(os.environ if given["env"] is None else given["env"])
    if words[:2] == ["/usr/bin/env", "python"]:
        words[:2] = [shutil.which("python", path=env.get("PATH")) or ""]
    program = _program(words, folder)
    if program is None or LOOKS.search(program) or not NEEDS.search(program):
        return None
    if _hides([os.path.dirname(os.path.join(folder, words[1])), *_folders(env)]):
        return None
    return {
        "words": words,
        "folder": folder,
        "env": env,
        "session": given["start_new_session"],
        "group": given["process_group"],
        "terminal": terminal,
        "numbers": [0, 1, 2, *given["pass_fds"]],
        "starts": words[1] != "-m" and bool(STARTS.search(program + " ".join(words[2:]).encode())),
    }


def _program(words: Sequence[str], folder: str) -> bytes | None:
    """Return the text, the module's name or the script that a Python runs; None if it is none."""
    if words[:1] != [sys.executable] or len(words) < 2 or not os.path.isdir(folder):
        return None
    if words[1] in ("-c", "-m"):
        return os.fsencode(words[2]) if len(words) > 2 else None
    try:
        with open(os.path.join(folder, words[1]), "rb") as file:
            return file.read()
    except OSError:
        return None


def _folders(env: dict[str, str]) -> list[str]:
    return [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _hides(folders: Sequence[str]) -> bool:
    """Whether a folder that this process does not know has a module of a name that is loaded."""
    names = {name.partition(".")[0] for name in LOADED}
    files = [f"{name}{rest}" for name in names for rest in (".py", "/__init__.py")]
    new = set(folders) - set(sys.path)
    return any(os.path.isfile(os.path.join(folder, file)) for folder in new for file in files)


class _Server:
    """A server, over a link to its process."""

    starts = True
    """Whether this process starts servers."""

    def __init__(self, link: socket.socket, env: dict[str, str], process: Any = None) -> None:
        self._lock, self._link, self._process = threading.Lock(), link, process
        self._decisive = _decisive(env)

    def fits(self, env: dict[str, str]) -> bool:
        """Whether its modules are those that a Python in an environment would load."""
        return _decisive(env) == self._decisive

    def fork(self, request: dict[str, Any], files: Sequence[int]) -> int | None:
        """Fork a child; return its id, None if the server has ended."""
        data = pickle.dumps(request)
        prctl = ctypes.CDLL(None).prctl
        with self._lock:
            prctl(_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._link, [struct.pack("I", len(data))], files)
                self._link.sendall(data)
                answer = self._link.recv(4, socket.MSG_WAITALL)
            except OSError:
                return None
            finally:
                prctl(_SUBREAPER, 0, 0, 0, 0)
        return struct.unpack("I", answer)[0] if answer else None

    def close(self) -> None:
        """End it."""
        self._link.close()
        if self._process is not None:
            self._process.wait()


_ours = dict(os.environ)
_servers: dict[str | None, _Server] = {}
_lock = threading.Lock()


def _server(env: dict[str, str]) -> _Server | None:
    """Return the server for an environment; None if a Python of its own must read it."""
    with _lock:
        key = env.get(SERVED)
        if key not in _servers and _Server.starts:
            # Without this, a library that pandas loads starts a thread.
            own = {**_ours, SERVED: key, "JE_ARROW_MALLOC_CONF": "background_thread:false"}
            own = {k: v for k, v in own.items() if v is not None}
            link, theirs = socket.socketpair()
            with theirs:
                number = theirs.fileno()
                words = [sys.executable, __file__, str(number)]
                null = subprocess.DEVNULL
                # In no folder of a test: it outlives them.
                process = _Own(words, env=own, stdin=null, pass_fds=(number,), cwd="/")
            _servers[key] = _Server(link, own, process)
        server = _servers.get(key)
    return server if server and server.fits(env) else None


def _decisive(env: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in env.items() if k.startswith(DECISIVE) and k not in LATE}


@atexit.register
def close() -> None:
    """End the servers."""
    while _servers:
        _servers.popitem()[1].close()


# The server, and its children.


def _serve(link: socket.socket) -> dict[str, Any]:
    """Fork at each request, until its client ends; return in each child."""
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        head, files, _, _ = socket.recv_fds(link, 4, 250)
        if len(head) < 4:
            os._exit(0)
        request = pickle.loads(link.recv(*struct.unpack("I", head), socket.MSG_WAITALL))
        told, tells = os.pipe()
        between = os.fork()
        if not between:
            between, child = os.getpid(), os.fork()
            if child:
                os.write(tells, struct.pack("I", child))
                os._exit(0)
            ctypes.CDLL(None).prctl(_SET_NAME, b"python")
            tells = fcntl.fcntl(tells, fcntl.F_DUPFD, _FREE)
            os.close(link.detach())
            _take(request, files, interrupt)
            os.close(tells)
            while os.getppid() == between:
                time.sleep(0.0005)
            return request
        for number in (tells, *files):
            os.close(number)
        os.waitpid(between, 0)
        child = os.read(told, 4)
        os.read(told, 1)  # The child has its files and its group.
        os.close(told)
        link.sendall(child)


def _take(request: dict[str, Any], files: Sequence[int], interrupt: Any) -> None:
    """Give a child its files, folder and group."""
    above = [fcntl.fcntl(number, fcntl.F_DUPFD, _FREE) for number in files]
    os.closerange(3, _FREE)
    for number, as_number in zip(above, request["numbers"], strict=True):
        os.dup2(number, as_number)
        os.close(number)
    os.chdir(request["folder"])
    if request["session"]:
        os.setsid()
    if request["group"] >= 0:
        os.setpgid(0, request["group"])
    if request["terminal"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler if request["terminal"] else interrupt)


def _begin(request: dict[str, Any], path: Sequence[str]) -> None:
    """Set what Python sets before it runs a program."""
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.modules["numpy.random"].seed()
    for n, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        at_once = n > 0 and old.write_through
        file = open(n, "wb" if n else "rb", buffering=0 if at_once else -1, closefd=False)  # noqa: SIM115
        new = io.TextIOWrapper(
            file,
            encoding=old.encoding,
            errors=old.errors,
            newline="\n" if n else None,
            line_buffering=not at_once and (n == 2 or os.isatty(n)),
            write_through=at_once,
        )
        new.mode = "w" if n else "r"  # type: ignore[attr-defined]
        (file if at_once else file.raw).name = f"<{name}>"
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    words = request["words"]
    text = words[1] in ("-c", "-m")
    sys.orig_argv, sys.argv = words, ["-c", *words[3:]] if text else words[1:]
    first = os.path.dirname(os.path.realpath(words[1]))
    if text:
        first = "" if words[1] == "-c" else os.getcwd()
    sys.path[:] = [first, *_folders(request["env"]), *path]


def _run(words: Sequence[str]) -> None:
    """Run a program as the main module."""
    main = sys.modules["__main__"] = ModuleType("__main__")
    vars(main).update(__annotations__={}, __builtins__=builtins)
    if words[1] == "-m":
        runpy._run_module_as_main(words[2])  # type: ignore[attr-defined]
        return
    if words[1] == "-c":
        text, name = words[2], "<string>"
    else:
        name = main.__file__ = os.path.abspath(words[1])
        vars(main)["__cached__"] = None
        main.__loader__ = SourceFileLoader("__main__", name)
        with open(name, "rb") as file:
            text = file.read()
    exec(compile(text, name, "exec"), vars(main))


def _keep() -> None:
    """Keep the modules that are no part of Python: clearing them would take a tenth of a second."""
    part = {*sys.stdlib_module_names, "__main__"}
    names = [name for name in sys.modules if name.partition(".")[0] not in part]
    kept = [sys.modules.pop(name) for name in names]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def _main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(link.fileno(), False)
    for name in LOADED:
        importlib.import_module(name)
    atexit.register(_keep)
    path = [folder for folder in sys.path[1:] if folder not in _folders(dict(os.environ))]
    gc.collect()
    gc.freeze()
    assert len(os.listdir("/proc/self/task")) == 1, "a module has started a thread"
    request = _serve(link)
    while request["starts"]:
        link, theirs = socket.socketpair()
        if os.fork():
            theirs.close()
            _link_to(link)
            break
        link.close()
        ctypes.CDLL(None).prctl(_SET_NAME, NAME.encode())
        request = _serve(_quiet(theirs))
    _begin(request, path)
    try:
        _run(request["words"])
        code = 0
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    except BaseException as error:
        # The frames of this file are not the program's.
        trace = error.__traceback__ and error.__traceback__.tb_next
        error.__traceback__ = trace and trace.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook = lambda *_: None
        raise
    _end(code)


def _end(code: int) -> None:
    """End as Python does, but clear no module except the program: that takes 0.05 seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    vars(sys.modules["__main__"]).clear()
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        sys.exit(code)
    if sys.stdout is not sys.__stdout__:
        sys.exit(code)  # Its last flush may decide; see thetahat.core.exit_code.
    os._exit(code & 0xFF)


def _link_to(link: socket.socket) -> None:
    """Let this child start others from a server of its own."""
    _Server.starts = False
    _servers[os.environ.get(SERVED)] = _Server(link, dict(os.environ))
    subprocess.Popen = Popen  # type: ignore[misc]


def _quiet(link: socket.socket) -> socket.socket:
    """Keep nothing of a child in its server, but its group."""
    number = fcntl.fcntl(link.detach(), fcntl.F_DUPFD_CLOEXEC, _FREE)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.closerange(3, _FREE)
    return socket.socket(fileno=number)


if __name__ == "__main__":
    _main()
