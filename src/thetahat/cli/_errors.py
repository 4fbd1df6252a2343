"""From errors to exit codes: one clear line for what the user gave, a traceback for what broke."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from thetahat.cli.terminal._output import wrapped
from thetahat.cli.terminal._stderr import standard_error_may_fail
from thetahat.core.errors import InputError, Notice, ThetahatError

BROKE = 1
INTERRUPTED = 130
_OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})


def guarded(action: Callable[[], int]) -> int:
    """Do ``action`` and give the exit code; what it raises becomes a message on standard error."""
    _open_what_is_closed()
    with standard_error_may_fail():
        return _guarded(action)


def _guarded(action: Callable[[], int]) -> int:
    try:
        with notices_as_lines():
            code = action()
            sys.stdout.flush()
    except ThetahatError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt as stopped:
        say("; ".join(["interrupted", *map(str, stopped.args)]))
        return INTERRUPTED
    except BrokenPipeError:
        _silence()
        return 0
    except Exception as error:  # noqa: BLE001 - the last frame of a program: shown, never swallowed
        if isinstance(error, OSError) and error.filename is None and _stdout_refuses():
            say(f"standard output cannot be written ({error.strerror or error})")
            _silence()
            return InputError.exit_code
        show_traceback(error)
        return BROKE
    return code


def _open_what_is_closed() -> None:
    """Give a standard stream that the caller closed (``>&-``) somewhere to go.

    Python has None in its place, and the next file to be opened would take its number: the words
    of a child process would end up in a store.
    """
    for name, way in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, way, encoding="utf-8"))  # noqa: SIM115 - stays open


def _stdout_refuses() -> bool:
    """Whether it was standard output that failed: then what it still holds fails again."""
    try:
        if getattr(sys.stdout, "write_through", False):
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def say(message: str) -> None:
    """One message to the user, on standard error."""
    _print("thetahat:", "1;31", message.removeprefix("thetahat "))


def note(message: str) -> None:
    """One line the user should read once, on standard error."""
    _print("note:", "33", message)


def _print(who: str, colour: str, message: str) -> None:
    text = wrapped(f"{who} {message}").removeprefix(who)
    print(f"\x1b[{colour}m{who}\x1b[0m{text}" if _coloured() else who + text, file=sys.stderr)


@contextlib.contextmanager
def notices_as_lines() -> Iterator[None]:
    """Print notices as lines; other warnings as Python does."""
    before = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if issubclass(category, Notice):
            note(str(message))
        else:
            before(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def show_traceback(error: BaseException) -> None:
    """A traceback of the user's own lines; all of it where THETAHAT_TRACEBACK is set, or no line is
    the user's (then the fault is ours)."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((_OURS, *_LIBRARIES, "<frozen"))]
    if os.environ.get("THETAHAT_TRACEBACK") or not own:
        traceback.print_exception(error)
        return
    print("Traceback (your own lines; THETAHAT_TRACEBACK=1 shows all):", file=sys.stderr)
    said = [*traceback.format_list(own), *traceback.format_exception_only(error)]
    print("".join(said).rstrip(), file=sys.stderr)


def _coloured() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr is not None and sys.stderr.isatty() and not plain and sys.platform != "win32"


def _silence() -> None:
    """Whatever the interpreter still flushes at its end must have somewhere to go."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
