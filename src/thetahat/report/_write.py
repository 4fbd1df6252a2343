"""From an id to a report: find the sweep or run, write files whole, refuse foreign files."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from thetahat.analysis import CellRule
from thetahat.core.errors import ConfigError, StoreError, did_you_mean
from thetahat.core.files import replacing
from thetahat.report._document import MADE_BY, Document
from thetahat.report._halves import in_halves
from thetahat.report._html import html_report
from thetahat.report._run import run_document
from thetahat.report._sweep import TOP, sweep_document
from thetahat.report._text import WRITERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store, SweepRow

REPORT_FORMATS = ("html", "latex", "md", "csv")
SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".tex": "latex",
    ".md": "md",
    ".markdown": "md",
    ".csv": "csv",
}


def find_subject(store: Store, name: str) -> SweepRow | RunRow:
    """Find a sweep or run by name; ``last`` is the latest sweep, else the latest run.

    Raises:  StoreError: nothing of that name (the nearest is offered), or more than one.
    """
    from thetahat.store import find_sweep, list_sweeps, standing

    sweeps = list_sweeps(store)
    words = [word for sweep in sweeps for word in (sweep.id, sweep.name)]
    if name in words or (name == "last" and sweeps):
        return find_sweep(store, name)
    near = [word for word in words if name and word.startswith(name)]
    known = store.names()
    runs = [*known, *known.values()]
    is_run = any(name and word.startswith(name) for word in runs) or (name == "last" and runs)
    if not near and not is_run:
        close = get_close_matches(name, [*words, *known.values()], n=1, cutoff=0.5)
        latest = [f"{sweep.id} ({sweep.name})" for sweep in sweeps[-3:]] + runs[-3:]
        hint = f"did you mean {close[0]!r}?" if close else f"the latest are {', '.join(latest)}"
        hint = hint if runs or words else "it is empty"
        raise StoreError(f"the store {store.path} has no sweep and no run {name!r}; {hint}")
    if near and name not in runs:
        if is_run:
            raise StoreError(f"{name!r} could be the sweep {near[0]!r} or a run; give more of it")
        return find_sweep(store, name)
    return standing(store, [store.run(name)])[0]


def make_report(
    store: Store,
    name: str,
    *,
    metric: str | None = None,
    min_cell: int = 1,
    top: int = TOP,
) -> Document:
    """Make the report of a sweep or a run; ``render`` makes a file of it.

    Args:    name: id or name.   metric: in place of the sweep file's.
             min_cell: nothing is shown that rests on fewer runs.   top: settings in the table.
    Raises:  StoreError: no such sweep or run.   ConfigError: a metric that no run has.
    """
    rule = CellRule(min_cell)
    found = find_subject(store, name)
    if hasattr(found, "text"):
        return sweep_document(store, found, metric=metric, rule=rule, top=top)  # pyright: ignore[reportArgumentType]
    return run_document(store, found, rule)  # pyright: ignore[reportArgumentType]


def render(document: Document, format: str = "html") -> str:
    """Write a report as text; the same store gives the same text.

    Args:    format: "html", "latex", "md" or "csv".
    Raises:  ConfigError: another format.
    """
    if format == "html":
        return html_report(document)
    if format not in WRITERS:
        raise ConfigError(f"no report format {format!r}{did_you_mean(format, REPORT_FORMATS)}")
    return WRITERS[format](document)


def format_of(path: str | os.PathLike[str]) -> str:
    """Read the format from a file's ending.

    Raises:  ConfigError: a name that asks for none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"-o {os.fspath(path)}: its ending says no format; end it in .html, .tex, .md or .csv,"
            " or give --format"
        )
    return SUFFIXES[suffix]


def save_figures(document: Document, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a report's figures as PDF, PNG and SVG; return the files.

    Raises:  MissingExtra: matplotlib is not installed.   ConfigError: they cannot be written, or
             one would replace a file that is no figure of thetahat; then none is written.
    """
    from thetahat import figures

    where = Path(folder)
    written: list[Path] = []
    taken: set[str] = set()
    drawn = [(file_name(p.name, taken), p.draw) for p in document.pictures if p.draw is not None]
    for stem, _ in drawn:
        for kind in figures.KINDS:
            path = where / f"{stem}.{kind}"
            refuse_foreign(path, f"--figures {path}", is_figure)
    images = in_halves([partial(_images, stem, draw) for stem, draw in drawn])
    for (stem, _), made in zip(drawn, images, strict=True):
        for kind, data in made.items():
            path = where / f"{stem}.{kind}"
            write_whole(path, data, make_folder=True)
            written.append(path)
    return written


def _images(stem: str, draw: Callable[[], Figure]) -> dict[str, bytes]:
    """Draw a figure, and return the file of each kind."""
    from thetahat import figures

    figure = draw()
    return {kind: figures.image(figure, kind, salt=stem) for kind in figures.KINDS}


def file_name(name: str, taken: set[str]) -> str:
    """Make a name that every file system accepts.

    >>> file_name("slice-a/../b", set())
    'slice-a-b'
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:80] or "figure"
    found, k = plain, 2
    while found.lower() in taken:
        found, k = f"{plain}-{k}", k + 1
    taken.add(found.lower())
    return found


def write_whole(path: Path, data: bytes, *, make_folder: bool = False) -> None:
    """Write a file whole, or leave the old one unchanged.

    Raises:  ConfigError: it cannot be written.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new:
            new.write_bytes(data)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"cannot write {path}: {why}; give another place with -o") from error


_FIGURE = b"thetahat"
"""A mark in the metadata of every figure that thetahat writes."""
_LOOK = 4096
"""Bytes of a file's start and end that are read."""


def refuse_foreign(path: Path, option: str, ours: Callable[[bytes], bool]) -> None:
    """Refuse to replace a file that thetahat did not write.

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
    """Refuse to overwrite the input, by whatever path or link.

    Raises:  ConfigError: they are one file.
    """
    try:
        same = os.path.samefile(path, source)
    except OSError:
        return  # one of them is not there
    if same:
        raise ConfigError(f"{option} is {what} itself, and would be overwritten; give another name")


def is_report(text: str, format: str) -> Callable[[bytes], bool]:
    """Return a test for former reports: their mark, or the header line of their CSV."""
    if format == "csv":
        header = text.partition("\n")[0].rstrip("\r")
        return lambda ends: _first_line(ends) == header
    return lambda ends: MADE_BY.encode() in ends


def is_predictions(ends: bytes) -> bool:
    """Tell whether a file holds fitted values: row, target, [weight,] fitted, [prob_...,] part; or
    predictions: row, predicted, ..."""
    if ends.startswith(b"PAR1"):
        return f"{MADE_BY}: fitted".encode() in ends
    first = _first_line(ends)
    if first.startswith('[{"row": 1, '):
        ours = first.startswith('[{"row": 1, "predicted')
        return ours or ('"fitted": ' in first and '"part": ' in first)
    header = next(csv.reader([first], delimiter="\t" if "\t" in first else ","), [])
    if "fitted" in header:  # probabilities of classes may follow
        at = header.index("fitted") + 1
        header = header[:at] + [name for name in header[at:] if not name.startswith("prob_")]
    numbered = len(header) in (4, 5) and header[0] == "row"
    if header[:1] == ["row"] and header[1:2] and header[1].split("_")[0] == "predicted":
        return True
    return header[-2:] == ["fitted", "part"] and (numbered or len(header) == 3)


def is_figure(ends: bytes) -> bool:
    """Tell whether thetahat wrote a figure."""
    return ends.startswith((b"%PDF", b"\x89PNG", b"<?xml")) and _FIGURE in ends


def _first_line(ends: bytes) -> str:
    return ends.partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "replace")


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(_LOOK)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(len(head), size - _LOOK))
        return head + file.read()
