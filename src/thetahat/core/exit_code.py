"""Let a program that ends fail with a message if results could not be stored."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any

CODE = 120
"""The exit code of a Python program whose last output could not be written."""


def at_exit(say: Callable[[], str]) -> Callable[[], None]:
    """Call ``say`` when this process ends; the program fails if it returns a message.

    Returns: a function that unregisters it.
    """
    owner = os.getpid()

    def ended() -> None:
        if os.getpid() != owner:
            return
        words = say()
        if words:
            fail(words)

    atexit.register(ended)
    return lambda: atexit.unregister(ended)


def fail(words: str) -> None:
    """Print the reason, and let the interpreter, which is ending, exit with an error.

    Python ignores exceptions of exit functions. Only an output that cannot be flushed changes the
    exit code; ``os._exit`` would skip the exit functions that follow.
    """
    if sys.stderr is not None:
        sys.stderr.write(f"thetahat: {words}\n")
        sys.stderr.flush()
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.unraisablehook = _quiet(sys.unraisablehook)
        sys.stdout = _Lost(sys.stdout)


class _Lost:
    """Standard output whose last flush fails."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)

    def flush(self) -> None:
        self._stdout.flush()
        if sys.is_finalizing():
            raise _LostError


class _LostError(Exception):
    """Results are lost; the message was printed."""


def _quiet(hook: Callable[[Any], None]) -> Callable[[Any], None]:
    def show(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, _LostError):
            hook(unraisable)

    return show
