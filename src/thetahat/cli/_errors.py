"""Errors become exit codes: one line for wrong input, a traceback for a bug."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from thetahat.cli.terminal._output import discard_stdout, say, wrapped
from thetahat.cli.terminal._stderr import standard_error_may_fail
from thetahat.core.errors import InputError, Notice, ThetahatError

BROKE = 1
_BAD_NAMES = (errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of names that no file can have."""
INTERRUPTED = 130
_JAX_NOTE = "JAX has removed its internal frames"
"""A note that JAX adds to errors; our tracebacks show the user's lines alone."""
_OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})


def guarded(action: Callable[[], int]) -> int:
    """Run ``action`` and give the exit code; print what it raises on standard error."""
    _open_closed_streams()
    with standard_error_may_fail():
        return _guarded(action)


def _guarded(action: Callable[[], int]) -> int:
    try:
        with notices_as_lines():
            code = action()
            sys.stdout.flush()
    except ThetahatError as error:
        if os.environ.get("THETAHAT_TRACEBACK"):
            traceback.print_exception(error)
        print_error(str(error))
        return error.exit_code
    except KeyboardInterrupt as stopped:
        print_error("; ".join(["interrupted", *map(str, stopped.args)]))
        return INTERRUPTED
    except BrokenPipeError:
        discard_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - the last frame of a program: printed, never swallowed
        if isinstance(error, OSError) and error.filename is None and _stdout_fails():
            print_error(f"standard output cannot be written ({error.strerror or error})")
            discard_stdout()
            return InputError.exit_code
        if isinstance(error, OSError) and error.errno in _BAD_NAMES and not _own_lines(error):
            name = str(error.filename)
            shown = name if len(name) <= 80 else f"{name[:80]}..."
            print_error(f"{shown!r} cannot be opened ({error.strerror}); give another name")
            return InputError.exit_code
        show_traceback(error)
        return BROKE
    return code


def _open_closed_streams() -> None:
    """Open standard streams that the caller closed (``>&-``).

    Otherwise the next file to be opened would take their number, and the output of a child process
    would be written into a store.
    """
    for name, way in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, way, encoding="utf-8"))  # noqa: SIM115 - stays open


def _stdout_fails() -> bool:
    """Tell whether standard output failed: then writing the rest of it fails again."""
    try:
        if getattr(sys.stdout, "write_through", False):
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def print_error(message: str) -> None:
    """Print an error on standard error."""
    _print("thetahat:", "1;31", message.removeprefix("thetahat "))


def print_note(message: str) -> None:
    """Print a note on standard error."""
    _print("note:", "33", message)


def _print(who: str, colour: str, message: str) -> None:
    from thetahat.format import escaped

    text = escaped(wrapped(f"{who} {message}").removeprefix(who), keep="\n\t")
    print(f"\x1b[{colour}m{who}\x1b[0m{text}" if _coloured() else who + text, file=sys.stderr)


@contextlib.contextmanager
def notices_as_lines() -> Iterator[None]:
    """Print notices as lines; other warnings as Python does."""
    before = warnings.showwarning

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if issubclass(category, Notice):
            print_note(str(message))
        else:
            before(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield


def show_traceback(error: BaseException) -> None:
    """Print the traceback of the user's lines; all lines if THETAHAT_TRACEBACK is set or none is
    the user's, because the bug is then ours."""
    own = _own_lines(error)
    if os.environ.get("THETAHAT_TRACEBACK") or not own:
        traceback.print_exception(error)
        return
    said = [one for one in traceback.format_exception_only(error) if _JAX_NOTE not in one]
    said = [one for one in said if one.strip("-\n ")]
    lines = [*traceback.format_list(own), *said]
    head = "Traceback (your own lines; THETAHAT_TRACEBACK=1 shows all):\n"
    say(head + "".join(lines).rstrip(), beside=True)


def _own_lines(error: BaseException) -> list[traceback.FrameSummary]:
    """List the frames of a traceback that are the user's."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f for f in frames if not f.filename.startswith((_OURS, *_LIBRARIES, "<frozen"))]


def _coloured() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr is not None and sys.stderr.isatty() and not plain and sys.platform != "win32"
