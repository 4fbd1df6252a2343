"""A real terminal (pty) for a child, and what stands on its screen (pyte)."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

import preloaded
from children import COMMAND, environment


class Terminal:
    """A child in a terminal of so many columns. Use it as a context."""

    def __init__(
        self, words: Sequence[str], folder: Path, columns: int = 80, /, **more: str
    ) -> None:
        rows = 60
        self.columns, self.rows = columns, rows
        self.screen = pyte.HistoryScreen(columns, rows, history=2000)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        """All that the child wrote."""
        self._drawn = (-1, "")
        """How much was written when the screen was last drawn as text, and that text."""
        self._master, child = pty.openpty()
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(child, termios.TIOCSWINSZ, size)
        env = {**environment(), "TERM": "xterm-256color", "PYTHONUTF8": "1", **more}
        env = {k: v for k, v in env.items() if v and k not in ("COLUMNS", "LINES")}
        self.process = preloaded.Popen(
            [sys.executable, *words],
            terminal=True,
            cwd=folder,
            env=env,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def read(self, for_s: float) -> bool:
        """Take in what comes; False once the child has ended and all is read."""
        until = time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._master], [], [], left)[0]:
                return True
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux: the child has closed its side
                return False
            if not data:
                return False
            self.written += data
            self._stream.feed(data)
        return True

    def wait_for(self, seen: Callable[[], object], for_s: float = 240.0) -> None:
        """Read until something is seen."""
        until = time.monotonic() + for_s
        while not seen():
            alive = self.read(0.05)
            assert time.monotonic() < until, f"never seen; the screen is:\n{self.text()}"
            assert alive or seen(), f"the child ended first; the screen is:\n{self.text()}"

    def end(self, for_s: float = 240.0) -> int:
        """Read to the end; the exit code."""
        until = time.monotonic() + for_s
        while self.read(0.05):
            assert time.monotonic() < until, f"does not end; the screen is:\n{self.text()}"
        return self.process.wait()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.press("\x03")

    def press(self, keys: str) -> None:
        """Keys of the keyboard."""
        os.write(self._master, keys.encode())

    def lines(self) -> list[str]:
        """The screen, without the empty lines at its end."""
        return self.text().split("\n")

    def text(self) -> str:
        """The screen as text. It is drawn anew once something was written: that takes long."""
        if self._drawn[0] != len(self.written):
            text = "\n".join(line.rstrip() for line in self.screen.display).rstrip()
            self._drawn = (len(self.written), text)
        return self._drawn[1]

    def past(self) -> str:
        """What has scrolled off, and the screen."""
        top = [
            "".join(line[x].data for x in range(self.columns)).rstrip()
            for line in self.screen.history.top
        ]
        return "\n".join([*top, self.text()])

    @property
    def cursor_shown(self) -> bool:
        """Whether the cursor is there."""
        return not self.screen.cursor.hidden


def thetahat_in(folder: Path, *words: str, columns: int = 80, **more: str) -> Terminal:
    """The ``thetahat`` command in a terminal."""
    return Terminal(["-c", COMMAND, *words], folder, columns, **more)
