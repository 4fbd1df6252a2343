"""Tables of a single run, as its report shows them: some rows of each, and a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.analysis import drawn_columns
from thetahat.figures import TableCurve, draw_tables
from thetahat.format._numbers import plain, word
from thetahat.format._table import Column
from thetahat.report._document import Grid, Picture
from thetahat.report._tables import MOST_TABLES, PLACES

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store

_MOST_COLUMNS = 8
_MOST_POINTS = 2000
"""Points of a curve that are drawn."""


@dataclass(frozen=True)
class RunTable:
    """A table of one run: columns of equal length, by name."""

    name: str
    columns: Mapping[str, np.ndarray]
    kind: str = "table"

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return len(next(iter(self.columns.values())))

    def grid(self) -> Grid:
        """Show some rows, drawn evenly, with the first and the last; CSV has all of them."""
        every = max(1, -(-(self.rows - 1) // (PLACES - 1)))
        places = [*range(0, self.rows, every)]
        if self.rows and places[-1] != self.rows - 1:
            places.append(self.rows - 1)
        shown = [*self.columns][:_MOST_COLUMNS]
        said = [f"{len(places)} of {self.rows:,} rows"]
        if len(shown) < len(self.columns):
            said.append(f"{len(shown)} of {len(self.columns):,} columns")
        return Grid(
            f"Table {word(self.name)}",
            [Column(name, word(name)) for name in shown],
            [self._row(k) for k in places],
            more=f"{'; '.join(said)}.",
            full=lambda: [self._row(k) for k in range(self.rows)],
            full_columns=[Column(name, word(name)) for name in self.columns],
            of_runs=True,
        )

    def picture(self) -> Picture | None:
        """Draw the first column of numbers over the first column; None without two of numbers."""
        numbers = [name for name, cells in self.columns.items() if cells.dtype.kind in "fib"]
        if len(numbers) < 2 or numbers[0] != next(iter(self.columns)) or self.rows < 2:
            return None
        x = numbers[0]
        y, exact = drawn_columns(numbers[1:], self.kind)
        caption = f"{word(y)} by {word(x)}."

        def draw() -> Figure:
            every = max(1, -(-self.rows // _MOST_POINTS))
            order = self.columns[x].argsort(kind="stable")[::every]
            xs, ys, reference = (
                self.columns[name][order].astype(float).tolist() if name else ()
                for name in (x, y, exact)
            )
            curve = TableCurve(y, xs, ys, ys, ys, reference)
            return draw_tables([curve], axis=x, value=y, says_band="", exact=exact)

        return Picture(f"table-{self.name}", f"Table {word(self.name)}", caption, draw)

    def _row(self, place: int) -> dict[str, Any]:
        return {name: _cell(cells[place]) for name, cells in self.columns.items()}


def run_tables(store: Store, run: RunRow) -> list[RunTable]:
    """Read the tables of a run, the latest of each name, as a report shows them."""
    from thetahat.store import list_tables, read_table

    kinds = {one.name: one.kind for one in list_tables(store, run.id) if one.rows}
    shown = [*kinds.items()][:MOST_TABLES]
    return [RunTable(name, read_table(store, run.id, name), kind) for name, kind in shown]


def _cell(value: Any) -> Any:
    value = plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value if isinstance(value, (int, float, bool)) else word(str(value))
