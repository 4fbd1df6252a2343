"""The server: a port, the address that is printed, and a browser."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

from thetahat.core.errors import ConfigError, MissingExtra, StoreError
from thetahat.web._auth import Door, door_for
from thetahat.web._source import Source

if TYPE_CHECKING:
    import uvicorn

PORT = 8642
_TRIES = 20


def serve(
    store: str | os.PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve the page of a store until Ctrl-C.

    Args:
        port: by default 8642, or the next one that is free.
        say: called with the page's address, once it answers.
    Raises:  ConfigError: the address cannot be used.  MissingExtra: no Starlette or uvicorn.
    """
    door = door_for(host)
    listening = _listen(host, port)
    url = _url(door, listening.getsockname()[1])
    source = Source(store)
    server = make_server(source, door)

    def ready() -> None:
        say(url)
        threading.Thread(target=_warm, args=(source,), daemon=True).start()
        if browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    try:
        _run(server, listening, ready)
    finally:
        listening.close()


def make_server(source: Source, door: Door) -> uvicorn.Server:
    """The server, not yet running.

    Raises:  MissingExtra: no Starlette or uvicorn.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingExtra("the page", "ui") from error
    from thetahat.web._app import make_app

    config = uvicorn.Config(
        make_app(source, door),
        log_level="error",  # what a stranger sends is no news for the terminal
        access_log=False,
        lifespan="off",
        loop="asyncio",
        http="h11",
        ws="none",
        server_header=False,
        # Pages that are open hold a connection for their events.
        timeout_graceful_shutdown=2,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    source.ending = lambda: server.should_exit
    return server


def _warm(source: Source) -> None:
    """Import and open what the first question needs, while the browser starts."""
    import thetahat.web._views  # noqa: F401

    # A store that is not there, or is broken, is what the page itself says.
    with contextlib.suppress(StoreError):
        source.store()


def _run(server: uvicorn.Server, listening: socket.socket, ready: Callable[[], None]) -> None:
    import asyncio

    async def main() -> None:
        task = asyncio.ensure_future(server.serve(sockets=[listening]))
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if server.started:
            ready()
        await task

    asyncio.run(main())


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = [port] if port is not None else [*range(PORT, PORT + _TRIES), 0]
    for tried in ports:
        # Said to be TCP, or asyncio leaves Nagle's algorithm on: the body of a small answer would
        # wait 40 ms until the browser has acknowledged its head.
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
                    f"--host {host} --port {tried} cannot be used ({why}); give another, or none"
                ) from error
        else:
            made.listen(128)
            return made
    raise AssertionError("the last port that is tried answers or raises")


def _url(door: Door, port: int) -> str:
    host = socket.gethostname() if door.host in ("0.0.0.0", "::") else door.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={door.token}" if door.token else "")
