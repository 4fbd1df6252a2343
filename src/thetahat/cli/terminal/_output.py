"""Output of the commands: the screen, careful writing, wrapped messages."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thetahat.format import Column


@dataclass(frozen=True)
class Screen:
    """What standard output can show."""

    width: int | None
    """Cells; None for a pipe or a file, in which nothing is cut."""
    colour: bool
    ascii_only: bool

    @property
    def look(self) -> dict[str, Any]:
        """The options of ``table`` that fit a table to it."""
        return {"width": self.width, "colour": self.colour, "ascii_only": self.ascii_only}


def read_screen() -> Screen:
    """Read what standard output can show; NO_COLOR and FORCE_COLOR decide on colours."""
    stream: Any = sys.stdout
    terminal = is_terminal(stream)
    forced = bool(os.environ.get("FORCE_COLOR"))
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    sized = terminal or "COLUMNS" in os.environ
    return Screen(
        width=shutil.get_terminal_size((80, 24)).columns if sized else None,
        colour=forced or (terminal and not plain and not _old_windows()),
        ascii_only=not can_write(stream, "─–…█"),
    )


def say(line: str, *, beside: bool = False) -> None:
    """Print a line for people, on standard output or beside it; all that came from outside is
    escaped: no name gives orders to a terminal."""
    from thetahat.format import escaped  # late: --help needs none of it

    print(escaped(line, keep="\n\t"), file=sys.stderr if beside else sys.stdout, flush=True)


def emit(text: str, *, painted: bool = False) -> None:
    """Write data to standard output, on a terminal escaped, elsewhere unchanged.

    A reader that ended early is not an error.

    Args:    painted: text for people: it may have colours, and its words are escaped already.
    """
    if is_terminal(sys.stdout):
        from thetahat.format import escaped

        parts = _COLOUR.split(text) if painted else [text]
        for i in range(0, len(parts), 2):
            parts[i] = escaped(parts[i].replace("\r\n", "\n"), keep="\n\t")
        text = "".join(parts)
    try:
        sys.stdout.flush()
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:
            sys.stdout.write(text)
        else:
            encoding = sys.stdout.encoding or "utf-8"
            # CSV brings its own line ends; the text layer of Windows would double them.
            binary.write(text.encode(encoding, "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column | str] | None = None,
    format: str = "table",
    *,
    raw: bool = False,
) -> None:
    """Print rows in the format of ``--format``; a table for people fits the screen.

    Args:    raw: whether CSV keeps text that a spreadsheet would run as a formula.
    """
    from thetahat.format import table

    text = table(rows, columns, format, raw=raw, **read_screen().look)
    emit(text, painted=format == "table")


def discard_stdout() -> None:
    """Redirect standard output to nowhere, so that flushing it at the end of Python succeeds."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def is_terminal(stream: Any) -> bool:
    """Tell whether a stream is a terminal; it is None in a program without a console."""
    return stream is not None and stream.isatty()


def print_beside(line: str) -> None:
    """Print a line on standard error, beside the data on standard output."""
    say(wrapped(line), beside=True)


def many_runs(n: int) -> str:
    """Write a number of runs.

    >>> many_runs(0), many_runs(1), many_runs(1200)
    ('no runs', '1 run', '1,200 runs')
    """
    return "no runs" if n == 0 else "1 run" if n == 1 else f"{n:,} runs"


def can_write(stream: Any, sample: str) -> bool:
    """Tell whether a stream has these characters: Windows consoles and old locales may not."""
    try:
        sample.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _old_windows() -> bool:
    if sys.platform != "win32":
        return False
    from rich.console import Console

    return Console().legacy_windows


_COLOUR = re.compile(r"(\x1b\[(?:[012]|3[1-6])m)")
"""What ``paint`` writes."""
_COMMAND = re.compile(r"\b(?:thetahat|python|pip) [^;,()]+")
_STAYS = "\x00"


def wrapped(message: str) -> str:
    """Wrap a message if standard error is a terminal that is too narrow for it."""
    width = _width()
    return message if width is None else wrap(message, width)


def wrap(message: str, width: int) -> str:
    """Wrap a message between words, but never inside a command to be copied.

    >>> print(wrap("it is over; go on with: thetahat resume calm-otter-7", 34))
    it is over; go on with:
    thetahat resume calm-otter-7
    """
    import textwrap

    lines = []
    for line in message.split("\n"):
        whole = _COMMAND.sub(lambda match: match[0].replace(" ", _STAYS), line)
        fits = len(line) <= width
        lines += [whole] if fits else textwrap.wrap(
            whole, width, break_long_words=False, break_on_hyphens=False
        )  # fmt: skip
    return "\n".join(lines).replace(_STAYS, " ")


def _width() -> int | None:
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):
        return None
