"""A report before it is HTML, LaTeX, Markdown or CSV: words, tables, figures, nothing escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.format._numbers import column_cells, plain
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
    """By row and column, the letters beside a number."""
    legend: Mapping[str, str] = field(default_factory=dict)
    """What the letters mean."""
    more: str = ""
    """What the table leaves out."""
    best: int | None = None
    """The row that stands out."""
    full: Sequence[Mapping[str, Any]] | None = None
    """All rows, where ``rows`` are only some of them; for CSV."""
    full_columns: Sequence[Column] = ()


def grid_cells(grid: Grid) -> dict[str, list[str]]:
    """The cells of each column as text; the columns of one metric (``NAME.median``, ``NAME.q10``)
    write their numbers alike."""
    cells: dict[str, list[str]] = {}
    together: dict[str, list[Column]] = {}
    for column in grid.columns:
        name, _, number = column.key.rpartition(".")
        own = column.key.startswith("config.") or not (number == "median" or number[:1] == "q")
        together.setdefault(column.key if own else f"{name}.", []).append(column)
    for columns in together.values():
        values = [plain(row.get(column.key)) for column in columns for row in grid.rows]
        texts = column_cells(values, columns[0].digits)
        n = len(grid.rows)
        cells |= {column.key: texts[k * n : (k + 1) * n] for k, column in enumerate(columns)}
    return cells


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn when a format wants it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure] | None
    """None where it may not be shown; the caption then says why."""


@dataclass(frozen=True)
class Document:
    """A report."""

    kind: str
    """"sweep" or "run"."""
    ident: str
    title: str
    subtitle: str
    summary: Sequence[str]
    """What a reader in a hurry must know, a sentence each."""
    warnings: Sequence[str]
    facts: Sequence[tuple[str, str]]
    """What was estimated: labels and values."""
    grid: Grid
    """The table."""
    grids: Sequence[Grid] = ()
    """Further tables."""
    pictures: Sequence[Picture] = ()
    notes: Sequence[tuple[str, str]] = ()
    """What the numbers rest on: labels and sentences."""
    source: tuple[str, str] | None = None
    """The sweep file: its name and its text."""
