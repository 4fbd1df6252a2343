"""A report before it is HTML, LaTeX, Markdown or CSV: words, tables, figures, nothing escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thetahat.report._tables import Column

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
