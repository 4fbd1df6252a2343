"""Messages on a terminal: lines end between words, and never inside of a command to be copied."""

from __future__ import annotations

import os
import re
import sys

_COMMAND = re.compile(r"\b(?:thetahat|python|pip) [^;,()]+")
_STAYS = "\x00"


def wrapped(message: str) -> str:
    """A message as standard error shows it: as it is, unless it is too long for a terminal."""
    width = _width()
    return message if width is None else wrap(message, width)


def wrap(message: str, width: int) -> str:
    """A message in lines of at most so many signs, where its words allow that.

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
