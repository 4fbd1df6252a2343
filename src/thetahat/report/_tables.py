"""Figures and tables of what runs have left behind: medians and bands over seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thetahat.analysis import (
    TABLE_QUANTILES,
    Study,
    TableBands,
    drawn_columns,
    quantile_name,
    table_bands,
    table_settings,
    value_word,
)
from thetahat.core.acceptance import ACCEPT
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import given_path
from thetahat.figures import TableCurve, draw_tables
from thetahat.format._numbers import short, word
from thetahat.format._table import Column
from thetahat.report._document import Grid, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import Store, SweepTable

_MOST_CURVES = 8


def plot_table(
    facts: Mapping[str, Any],
    frame: Any,
    quantiles: Callable[..., Any],
    x: str,
    y: str | None,
    *,
    q: Sequence[float] = TABLE_QUANTILES,
    exact: str | None = None,
    over: str | Sequence[str] = (),
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw medians and bands of a column of a frame of tables.

    Args:    facts: what the frame knows of its sweep.   quantiles: of the frame.
             x, y: columns.   q: three probabilities.   exact: a column to draw beside.
             over: parameters to average out.   path: where to write the figure too.
    Raises:  ConfigError: an unknown column, text, too many settings.
    """
    if len(q) != 3:
        raise ConfigError(f"q={q!r}: give three probabilities: low, middle and high")
    low, middle, high = sorted(q)
    others = [c for c in facts["columns"] if c not in (x, exact) and c in frame.columns]
    y = y or (others[0] if others else x)
    for column in [c for c in (x, y, exact) if c is not None]:
        if column not in facts["columns"]:
            said = did_you_mean(column, facts["columns"])
            raise ConfigError(f"the table {facts['table']!r} has no column {column!r}{said}")
    found = quantiles(x, (low, middle, high), over=over)
    for column in [c for c in (y, exact) if c is not None]:
        if f"{column} {quantile_name(middle)}" not in found.columns:
            raise ConfigError(
                f"the column {column!r} is text, which has no quantiles; give one of numbers"
            )
    averaged = [over] if isinstance(over, str) else list(over)
    settings = [s for s in facts["settings"] if s not in averaged]
    counts = facts["counts"]
    lost = [f"{counts[w]:,} runs {w}" for w in ("failed", "unfinished") if counts[w]]
    drawn = draw_tables(
        _curves(
            found, settings, x, [f"{y} {quantile_name(p)}" for p in (low, middle, high)], exact
        ),
        axis=x,
        value=str(y),
        says_band=f"{100 * low:g} to {100 * high:g} %",
        exact=exact or "",
        note=", ".join(lost),
    )
    if path is not None:
        drawn.savefig(given_path("path", path, "policy.pdf"))
    return drawn


def _curves(
    found: Any, settings: Sequence[str], x: str, columns: Sequence[str], exact: str | None
) -> list[TableCurve]:
    """Return a curve for each setting of a frame of quantiles.

    Raises:  ConfigError: too many settings for one figure.
    """
    settings = [s for s in settings if found[s].nunique(dropna=False) > 1]
    groups = list(found.groupby(settings, dropna=False, sort=True)) if settings else [((), found)]
    if len(groups) > _MOST_CURVES:
        raise ConfigError(
            f"{len(groups)} settings are too many for one figure (limit {_MOST_CURVES}); choose"
            " some, frame[frame.NAME == VALUE].plot(...), or average parameters out with over="
        )
    middle = columns[1].rpartition(" ")[2]
    made = []
    for key, part in groups:
        name = ", ".join(f"{s}={_curve_word(v)}" for s, v in zip(settings, key, strict=True))
        low, mid, high = (part[c].tolist() for c in columns)
        reference = part[f"{exact} {middle}"].tolist() if exact else ()
        made.append(TableCurve(name, part[x].tolist(), low, mid, high, reference))
    return made


def _curve_word(value: Any) -> str:
    """Write a parameter's value beside a curve."""
    return "none" if value is None or value != value else short(value)


MOST_TABLES = 6
"""Tables that a report shows."""
_MOST_SETTINGS = 4
_MOST_NUMBERS = 4
PLACES = 11
"""Rows of a table that a report shows."""
_MOST_READ = 30_000_000
"""Rows of a table over all runs that a report reads; of more, some runs are read."""


@dataclass(frozen=True)
class StudyTable:
    """The table of one name of a sweep's best settings."""

    name: str
    x: str
    bands: Sequence[TableBands]
    hidden: int
    """Settings that rest on too few runs to be shown."""
    kind: str = "table"

    @property
    def numbers(self) -> list[str]:
        """Its columns of numbers."""
        return list(self.bands[0].columns)

    @property
    def exact(self) -> str:
        """The column that is a reference; empty if none is."""
        return drawn_columns(self.numbers, self.kind)[1]

    @property
    def y(self) -> str:
        """The column that is drawn."""
        return drawn_columns(self.numbers, self.kind)[0]

    def grid(self) -> Grid:
        """Table the quantiles of the best setting at some rows; CSV has all of them."""
        best = self.bands[0]
        rows = best.rows()
        every = max(1, -(-(len(rows) - 1) // (PLACES - 1)))
        shown = rows[::every] + ([rows[-1]] if (len(rows) - 1) % every else [])
        columns = [Column(self.x, word(self.x))]
        for c in self.numbers[:_MOST_NUMBERS]:
            low, middle, high = best.quantile_names(c)
            if all(row[low] == row[high] for row in rows):  # as a reference is
                columns.append(Column(middle, word(c)))
            else:
                columns += [Column(key, word(key)) for key in (low, middle, high)]
        columns += [Column(k) for k in best.over_runs if k in rows[0]]
        whole = [Column(key, word(key)) for key in dict.fromkeys(k for row in rows for k in row)]
        setting = ", ".join(f"{word(k)}={value_word(v)}" for k, v in best.setting.config.items())
        more = f"Quantiles over {best.runs:,} runs" + (
            f" of the best setting, {setting}" if setting else ""
        )
        if len(shown) < len(rows):
            more += f"; {len(shown)} of {len(rows):,} rows"
        if self.hidden:
            more += f"; {self.hidden} settings rest on too few runs to be shown"
        title = f"Table {word(self.name)}"
        return Grid(
            title,
            columns,
            shown,
            more=f"{more}.",
            full=lambda: rows,
            full_columns=whole,
            of_runs=True,
        )

    def picture(self) -> Picture | None:
        """Draw the column over the first one, by setting; None where that is text."""
        at = self.bands[0].by[self.x]
        if at.dtype.kind not in "fib" or len(at) < 2:
            return None
        wide = any(b.runs > 1 for b in self.bands)
        caption = f"{word(self.y)} by {word(self.x)}: " + (
            "medians over the runs that ended well, and bands from 5 to 95 %."
            if wide
            else "single runs."
        )
        return Picture(f"table-{self.name}", f"Table {word(self.name)}", caption, self._draw)

    def _draw(self) -> Figure:
        curves = []
        for bands in self.bands:
            config = bands.setting.config.items()
            low, middle, high = (one.tolist() for one in bands.columns[self.y])
            exact = bands.columns[self.exact][1].tolist() if self.exact else ()
            name = ", ".join(f"{k}={_curve_word(v)}" for k, v in config)
            curves.append(TableCurve(name, bands.by[self.x].tolist(), low, middle, high, exact))
        return draw_tables(
            curves, axis=self.x, value=self.y, says_band="5 to 95 %", exact=self.exact
        )


def study_tables(store: Store, study: Study) -> list[StudyTable]:
    """Read the tables of the best settings of a sweep, as a report shows them."""
    from thetahat.store import tables_of_sweep

    known = [one for one in tables_of_sweep(store, study.sweep.id) if len(one.columns) > 1]
    if not known:
        return []
    place = {
        run.id: k
        for k, setting in enumerate(table_settings(store, study.sweep))
        for run in setting.runs
    }
    best = [s for s in study.settings if s.values and not s.hidden][:_MOST_SETTINGS]
    wanted = [place[s.runs[0].id] for s in best if s.runs[0].id in place]
    known.sort(key=lambda one: one.name == ACCEPT)  # the checks come last
    made = (_study_table(store, study, one, wanted) for one in known[:MOST_TABLES])
    return [one for one in made if one is not None]


def _study_table(
    store: Store, study: Study, about: SweepTable, wanted: Sequence[int]
) -> StudyTable | None:
    most = max(1, int(_MOST_READ // max(1, about.rows / about.runs)))
    try:
        found = [
            bands
            for k in wanted
            for bands in table_bands(
                store, study.sweep, about.name, [about.columns[0]], only=[k], most=most
            )
        ]
    except ConfigError:  # no numbers, or none of these settings has it
        return None
    shown = [b for b in found if b.runs and not study.rule.hides(b.runs)]
    if not shown:
        return None
    hidden = len(found) - len(shown)
    return StudyTable(about.name, about.columns[0], shown, hidden, about.kind)
