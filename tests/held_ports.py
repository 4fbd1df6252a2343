"""Ports for servers that bind them later: until then, and between two servers, no other socket gets them."""

from __future__ import annotations

import socket
import sys


class HeldPort:
    """A free port of this machine, held until it is closed.

    On Linux a socket that is bound and does not listen keeps all others away from its port, except
    a server that sets SO_REUSEADDR, as servers do.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number: int = self._held.getsockname()[1]
        if sys.platform != "linux":
            self._held.close()  # there it would keep the server away too

    def close(self) -> None:
        """Let others have it."""
        self._held.close()
