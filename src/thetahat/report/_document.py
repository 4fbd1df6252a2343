"""A report independent of its format: words, tables and figures, nothing escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.format._numbers import column_cells, is_number, plain, word
from thetahat.format._table import Column

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MADE_BY = "Made by thetahat"
"""A mark in the first or last lines of every report but CSV."""


@dataclass(frozen=True)
class Grid:
    """A table with marks beside its numbers and notes below them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    marks: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Letters beside numbers, by row and column."""
    legend: Mapping[str, str] = field(default_factory=dict)
    """The meaning of the letters."""
    more: str = ""
    """A sentence on what the table leaves out."""
    best: int | None = None
    """The row to highlight."""
    full: Callable[[], Sequence[Mapping[str, Any]]] | None = None
    """Makes all rows, if ``rows`` are only some of them; for CSV."""
    full_columns: Sequence[Column] = ()
    of_runs: bool = False
    """Whether runs left it behind: LaTeX has such tables too."""


@dataclass(frozen=True)
class ShownColumn:
    """A column of a grid with its cells."""

    head: str
    numeric: bool
    """Whether it holds a number."""
    values: Sequence[Any]
    cells: Sequence[str]
    """The values as text."""
    marks: Sequence[str]
    """The letters beside each cell."""
    widest: int
    """The most letters beside a cell."""


def shown_columns(grid: Grid) -> list[ShownColumn]:
    """Format the cells of a grid.

    Numbers of one metric (``NAME.median``, ``NAME.q10``) have the same digits in all its columns.
    """
    values = {c.key: [plain(row.get(c.key)) for row in grid.rows] for c in grid.columns}
    together: dict[str, list[Column]] = {}
    for column in grid.columns:
        name, _, number = column.key.rpartition(".")
        of_metric = number in ("median", "mean") or number[:1] == "q"
        own = column.key.startswith("config.") or not of_metric
        together.setdefault(column.key if own else f"{name}.", []).append(column)
    n, cells = len(grid.rows), dict[str, list[str]]()
    for columns in together.values():
        texts = column_cells([v for c in columns for v in values[c.key]], columns[0].digits)
        cells |= {c.key: texts[k * n : (k + 1) * n] for k, c in enumerate(columns)}
    shown = []
    for column in grid.columns:
        key, marks = column.key, [grid.marks.get((i, column.key), "") for i in range(n)]
        numeric = any(map(is_number, values[key]))
        widest = max(map(len, marks), default=0)
        shown.append(
            ShownColumn(word(column.head), numeric, values[key], cells[key], marks, widest)
        )
    return shown


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn when a format needs it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure] | None
    """None if it may not be shown; the caption then says why."""


@dataclass(frozen=True)
class Document:
    """A report."""

    kind: str
    """"sweep", "run" or "effect"."""
    ident: str
    title: str
    subtitle: str
    summary: Sequence[str]
    """The main results, a sentence each."""
    warnings: Sequence[str]
    facts: Sequence[tuple[str, str]]
    """Labels and values of what was estimated."""
    grid: Grid
    """The main table."""
    grids: Sequence[Grid] = ()
    """Further tables."""
    pictures: Sequence[Picture] = ()
    notes: Sequence[tuple[str, str]] = ()
    """Labels and sentences on the origin of the numbers."""
    source: tuple[str, str] | None = None
    """The sweep file: its name and its text."""
    origin: str = " from its store; the same store gives the same file"
    """What the last line says after "Made by thetahat"."""
