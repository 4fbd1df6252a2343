"""The server: a port, the printed address, a browser; alone or beside a working command."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from thetahat.core.errors import ConfigError, MissingExtra, StoreError
from thetahat.web._auth import Access, access_for
from thetahat.web._source import Source

if TYPE_CHECKING:
    import uvicorn

PORT = 8642
_TRIES = 20
_COMMAND = "import sys; from thetahat.web._server import main; sys.exit(main(sys.argv[1:]))"
_NEW_GROUP = 0x00000200
"""Windows' CREATE_NEW_PROCESS_GROUP."""


def serve(
    store: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    token: bool = True,
    tokens: str | os.PathLike[str] | None = None,
    behind: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    say_readers: Callable[[str], None] | None = None,
) -> None:
    """Serve the page of a store until Ctrl-C.

    Args:
        port: by default 8642, or the next free one; behind a proxy 8642 alone, which must know it.
        token: whether the page asks for the token in the address that ``say`` gets.
        tokens: a file that keeps the tokens, so that addresses and open pages stay valid when the
            server starts anew; made if it is new. None: they end with the server.
        behind: the address at which a reverse proxy serves the page, such as
            ``https://lab.example.org/wages``.
        say: called with the page's address as soon as the server answers.
        say_readers: called with the address whose token only reads; None: there is no such token.
    Raises:  ConfigError: the address or the file of tokens cannot be used.  MissingExtra: no
        Starlette or uvicorn.
    """
    import asyncio

    readers = say_readers is not None
    access = access_for(host, token=token, readers=readers, tokens=tokens, behind=behind)
    otherwise = "give another, or none"
    if behind is not None and port is None:
        port, otherwise = PORT, "give --port another one, to which the proxy passes the page"
    with _listen(host, port, otherwise) as listening:
        url = _url(access, listening.getsockname()[1], access.token)
        source = Source(store)
        server = make_server(source, access)

        async def run() -> None:
            task = asyncio.ensure_future(server.serve(sockets=[listening]))
            while not server.started and not task.done():
                await asyncio.sleep(0.005)
            if server.started:
                say(url)
                if say_readers is not None:
                    say_readers(_url(access, listening.getsockname()[1], access.reader))
                threading.Thread(target=_warm, args=(source,), daemon=True).start()
                if browser:
                    opened = _url(access, listening.getsockname()[1], token and access.ticket())
                    threading.Thread(target=webbrowser.open, args=(opened,), daemon=True).start()
            await task

        asyncio.run(run())


def make_server(source: Source, access: Access) -> uvicorn.Server:
    """Configure the server without starting it.

    Raises:  MissingExtra: no Starlette or uvicorn.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the page", "ui") from error
    from thetahat.web._app import make_app

    config = uvicorn.Config(
        make_app(source, access),
        log_level="error",  # warnings about requests of strangers do not concern the user
        access_log=False,
        lifespan="off",
        loop="asyncio",
        http="h11",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=2,  # open pages hold a connection for their events
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    source.ending = lambda: server.should_exit
    return server


def _warm(source: Source) -> None:
    """Import and open what the first request needs while the browser starts."""
    # The page itself shows the error of a missing or broken store.
    with contextlib.suppress(StoreError):
        source.store()

    import thetahat.web._views  # noqa: F401


def _listen(host: str, port: int | None, otherwise: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = [port] if port is not None else [*range(PORT, PORT + _TRIES), 0]
    for tried in ports:
        # Without the explicit IPPROTO_TCP asyncio leaves Nagle's algorithm on, and the body of a
        # small answer waits 40 ms until the browser has acknowledged its head.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name != "nt":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((host, tried))
        except (OSError, OverflowError) as error:
            made.close()
            if tried == ports[-1]:
                why = getattr(error, "strerror", None) or error
                raise ConfigError(
                    f"--host {host} --port {tried} cannot be used ({why}); {otherwise}"
                ) from error
        else:
            made.listen(128)
            return made
    raise AssertionError("the last port that is tried answers or raises")


def _url(access: Access, port: int, token: str | bool | None) -> str:
    if access.behind is not None:
        return f"{access.behind.origin}{access.root}/" + (f"?token={token}" if token else "")
    host = socket.gethostname() if access.host in ("0.0.0.0", "::") else access.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


@dataclass(frozen=True)
class PageProcess:
    """A page that another process serves."""

    url: str
    process: subprocess.Popen[str]

    def wait(self) -> None:
        """Return only when the page has ended."""
        self.process.wait()


@contextlib.contextmanager
def page_beside(
    store: str | os.PathLike[str] | None = None, *, browser: bool = False
) -> Iterator[PageProcess]:
    """Serve the page from a process of its own, until the block or this process ends.

    Args:    store: as ``--store`` gives it.   browser: whether to open one.
    Raises:  MissingExtra: no Starlette or uvicorn.  ConfigError: the page did not start.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise MissingExtra("the page", "ui")
    words = [sys.executable, "-c", _COMMAND, "1" if browser else "0"]
    words += [] if store is None else [os.fspath(store)]
    # A process group of its own: Ctrl-C reaches the command only, which ends after its chunk.
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        creationflags=_NEW_GROUP if os.name == "nt" else 0,
        start_new_session=os.name != "nt",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line.startswith("http"):
            raise ConfigError(line or f"the page ended at once (code {process.wait()})")
        yield PageProcess(line, process)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main(words: list[str]) -> int:
    """Serve until standard input ends, as it does when the parent ends or is killed."""

    def follow() -> None:
        sys.stdin.read()
        # The server only reads the store, and need not wait for open pages.
        os._exit(0)

    def say(line: str) -> None:
        print(line, flush=True)  # noqa: T201

    threading.Thread(target=follow, daemon=True).start()
    try:
        serve(words[1] if len(words) > 1 else None, browser=words[0] == "1", say=say)
    except ConfigError as error:
        say(str(error))
        return 2
    return 0
