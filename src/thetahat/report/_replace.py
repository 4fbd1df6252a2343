"""Whose file it is: what thetahat wrote may be replaced, what somebody else wrote may not."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from thetahat.core.errors import ConfigError

MADE_BY = "Made by thetahat"
"""Stands in every report but CSV, in its first or its last lines."""
_FIGURE = b"thetahat"
"""Stands in the metadata of every figure that is written."""
_LOOK = 4096
"""Bytes of a file's beginning and of its end that are looked at."""


def refuse_foreign(path: Path, option: str, ours: Callable[[bytes], bool]) -> None:
    """See that a file that is to be written replaces nothing of somebody else.

    Args:    option: how to call it in the message, such as "-o table.tex".
             ours: whether a file with these first and last bytes is one of thetahat.
    Raises:  ConfigError: it is there, holds something, and is not ours.
    """
    if not path.exists():
        return
    try:
        known = path.is_file() and (path.stat().st_size == 0 or ours(_ends(path)))
    except OSError:
        known = False  # what cannot be read cannot be ours
    if not known:
        raise ConfigError(
            f"{option}: that file is there already, and thetahat did not write it; give another"
            " name, or move it away first"
        )


def refuse_input(path: Path, option: str, source: Path, what: str) -> None:
    """See that what is to be written is not what is read, by whatever path or link.

    Raises:  ConfigError: they are one file.
    """
    try:
        same = os.path.samefile(path, source)
    except OSError:
        return  # one of them is not there
    if same:
        raise ConfigError(f"{option} is {what} itself, and would be overwritten; give another name")


def is_report(text: str, format: str) -> Callable[[bytes], bool]:
    """What tells a former report from other files: its mark, or the header line of its CSV."""
    if format == "csv":
        header = text.partition("\n")[0].rstrip("\r")
        return lambda ends: _first_line(ends) == header
    return lambda ends: MADE_BY.encode() in ends


def is_predictions(ends: bytes) -> bool:
    """Whether a file holds fitted values: row, target, [weight,] fitted, part, in any format."""
    if ends.startswith(b"PAR1"):
        return f"{MADE_BY}: fitted".encode() in ends
    first = _first_line(ends)
    if first.startswith('[{"row": 1, '):
        return '"fitted": ' in first and '"part": ' in first
    header = next(csv.reader([first], delimiter="\t" if "\t" in first else ","), [])
    numbered = len(header) in (4, 5) and header[0] == "row"
    return header[-2:] == ["fitted", "part"] and (numbered or len(header) == 3)


def is_figure(ends: bytes) -> bool:
    """Whether a file is a figure of ours."""
    return ends.startswith((b"%PDF", b"\x89PNG", b"<?xml")) and _FIGURE in ends


def _first_line(ends: bytes) -> str:
    return ends.partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "replace")


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_LOOK)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(len(head), size - _LOOK))
        return head + file.read()
