"""What cannot be kept when a program ends: it says so, and its exit code is not 0."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any

CODE = 120
"""The exit code of a Python program whose last output could not be written."""


def at_exit(say: Callable[[], str]) -> Callable[[], None]:
    """Call ``say`` when this process ends; the program fails if it has anything to say.

    Returns: a function that forgets it.
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
    """Say why, and have the interpreter, which is ending, give an exit code of its own.

    Python gives the code of a program that has ended well whatever its exit functions raise. Only
    an output that cannot be flushed changes it, and to end the process here would skip the exit
    functions that are still to come.
    """
    if sys.stderr is not None:
        sys.stderr.write(f"thetahat: {words}\n")
        sys.stderr.flush()
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.unraisablehook = _quiet(sys.unraisablehook)
        sys.stdout = _Lost(sys.stdout)


class _Lost:
    """Standard output, of which the last flush fails."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)

    def flush(self) -> None:
        self._stdout.flush()
        if sys.is_finalizing():
            raise _LostError


class _LostError(Exception):
    """What was to be kept is lost; it has been said."""


def _quiet(hook: Callable[[Any], None]) -> Callable[[Any], None]:
    def show(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, _LostError):
            hook(unraisable)

    return show
