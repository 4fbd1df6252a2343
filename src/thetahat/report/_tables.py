"""Figures and tables of what runs have left behind: medians and bands over seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.analysis import TABLE_QUANTILES, quantile_name
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import given_path
from thetahat.figures import TableCurve, draw_tables
from thetahat.format._numbers import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        name = ", ".join(f"{s}={short(v)}" for s, v in zip(settings, key, strict=True))
        low, mid, high = (part[c].tolist() for c in columns)
        reference = part[f"{exact} {middle}"].tolist() if exact else ()
        made.append(TableCurve(name, part[x].tolist(), low, mid, high, reference))
    return made
