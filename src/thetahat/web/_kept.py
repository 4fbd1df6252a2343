"""Tables and files that runs left behind, as the page shows them: bounded, and safe to look at."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from thetahat.analysis import TableBands, drawn_columns, table_bands, table_settings
from thetahat.core.acceptance import ACCEPT
from thetahat.core.errors import ConfigError
from thetahat.core.garbage import uncollected
from thetahat.store import (
    RunRow,
    Store,
    StoredTable,
    SweepRow,
    SweepTable,
    list_files,
    list_tables,
    read_table,
    runs_stand,
    stack_tables,
    tables_of_sweep,
)
from thetahat.web._settings import brief

_MOST_PLACES = 1000
"""Points of a band that are drawn."""
_MOST_LINES = 40
"""Single runs of a setting that are drawn."""
_MOST_SETTINGS = 300
"""Settings that a list offers."""
_MOST_READ = 30_000_000
"""Rows of a table over all runs that the page reads; of more, some runs are read."""
_MOST_ROWS = 200
"""Rows of a run's table that are listed."""
_MOST_FILES = 300
_MOST_CACHED = 32
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "text/html")
_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:;"
    " frame-ancestors 'self'"
)
"""What a file may do that a browser shows: nothing but look as it does."""

_cache: dict[Any, tuple[Any, str]] = {}
_lock = threading.Lock()


def sweep_tables(store: Store, sweep: SweepRow) -> dict[str, Any]:
    """List the tables of a sweep's runs, and its settings."""
    found = sorted(tables_of_sweep(store, sweep.id), key=_order)
    if not found:
        return {"tables": [], "settings": []}
    settings = table_settings(store, sweep)
    return {
        "tables": [
            {"name": one.name, "runs": one.runs, "rows": one.rows, "columns": one.columns}
            for one in found
        ],
        "settings": [
            {
                "config": {k: brief(v) for k, v in one.config.items()},
                "runs": len(one.runs),
                "well": len(one.well),
            }
            for one in settings[:_MOST_SETTINGS]
        ],
        "n_settings": len(settings),
    }


def _order(table: SweepTable | StoredTable) -> bool:
    """Put the table of a Task's checks last."""
    return table.name == ACCEPT


def read_tables_ahead(store: Store, sweep: SweepRow) -> None:
    """Compute the bands that the page of a sweep shows first (``SweepTables`` of tables.js)."""
    about = sweep_tables(store, sweep)
    if not about["tables"]:
        return
    several = about["n_settings"] > 1
    alone = several and all(one["runs"] < 2 for one in about["settings"])
    which = [-1] if alone else [0, 1] if several else [0]
    first = about["tables"][0]
    exact = "exact" if "exact" in first["columns"] else ""
    table_view(store, sweep, first["name"], x="", y="", exact=exact, which=which, q=(0.05, 0.95))


def table_view(
    store: Store,
    sweep: SweepRow,
    name: str,
    *,
    x: str,
    y: str,
    exact: str,
    which: Sequence[int],
    q: tuple[float, float],
) -> str:
    """Compute the bands of a table as JSON, once until another run begins or ends.

    Args:    x, y, exact: columns; empty for a choice of ours, or none.
             which: places of settings; -1 for all runs as one.   q: the band's probabilities.
    """
    stand = runs_stand(store, sweep.id)
    key = (str(store.path), sweep.id, name, x, y, exact, tuple(which), q)
    with _lock:
        known = _cache.get(key)
        if known is None or known[0] != stand:
            with uncollected():
                made = _view(store, sweep, name, x, y, exact, which, q)
            known = (stand, json.dumps(made, allow_nan=False))
            while len(_cache) >= _MOST_CACHED:
                del _cache[next(iter(_cache))]
            _cache[key] = known
    return known[1]


def _view(
    store: Store,
    sweep: SweepRow,
    name: str,
    x: str,
    y: str,
    exact: str,
    which: Sequence[int],
    q: tuple[float, float],
) -> dict[str, Any]:
    about = next((one for one in tables_of_sweep(store, sweep.id) if one.name == name), None)
    if about is None:
        raise ConfigError(f"no run of this sweep has a table {name[:80]!r}")
    numbers = _numeric(store, sweep, name, about.columns)
    x = x if x in about.columns else next(iter(about.columns))
    others = [column for column in numbers if column != x]
    y = y if y in others else drawn_columns(others, about.kind)[0]
    if not y:
        return {"x": x, "y": "", "columns": about.columns, "numbers": numbers, "shown": []}
    reference = [exact] if exact in others and exact != y else []
    found, left_out = [], 0
    for place in which or (0,):
        bands, out = _bands(store, sweep, about, place, x, [y, *reference], q)
        left_out += out
        found += [
            {**_shown(store, sweep, one, name, x, y, reference), "place": place} for one in bands
        ]
    return {
        "x": x,
        "y": y,
        "exact": reference[0] if reference else "",
        "columns": about.columns,
        "numbers": numbers,
        "words": x not in numbers,
        "shown": found,
        "left_out": left_out,
    }


def _bands(
    store: Store,
    sweep: SweepRow,
    about: Any,
    place: int,
    x: str,
    columns: Sequence[str],
    q: tuple[float, float],
) -> tuple[list[TableBands], int]:
    """Compute the bands of one setting, or of all runs as one; of too many rows, of some runs."""
    over = list(table_settings(store, sweep)[0].config) if place < 0 else ()
    most = max(1, int(_MOST_READ // max(1, about.rows / about.runs)))
    found = table_bands(
        store,
        sweep,
        about.name,
        [x],
        (q[0], 0.5, q[1]),
        columns=columns,
        over=over,
        only=[max(0, place)],
        most=most,
    )
    return found, sum(max(0, len(one.setting.well) - most) for one in found)


def _numeric(store: Store, sweep: SweepRow, name: str, columns: Sequence[str]) -> list[str]:
    """Return the columns of numbers, by the first run that has the table."""
    from thetahat.store import column_kinds

    kinds = column_kinds(store, sweep.id, name)
    return [c for c in columns if kinds.get(c, "") in ("f8", "f4", "i8", "b1")]


def _shown(
    store: Store,
    sweep: SweepRow,
    bands: TableBands,
    name: str,
    x: str,
    y: str,
    reference: Sequence[str],
) -> dict[str, Any]:
    xs = bands.by[x]
    at = _drawn_places(len(xs))
    low, middle, high = bands.columns[y]
    ends = bands.setting.ends
    lines = _lines(store, sweep, bands, name, x, y)
    return {
        "config": {k: brief(v) for k, v in bands.setting.config.items()},
        "runs": bands.runs,
        "of": len(bands.setting.runs),
        "failed": ends["failed"],
        "unfinished": ends["unfinished"],
        "without": bands.without,
        "places": len(xs),
        "x": [_cell(xs[k]) for k in at],
        "low": [_cell(low[k]) for k in at],
        "middle": [_cell(middle[k]) for k in at],
        "high": [_cell(high[k]) for k in at],
        "n": [int(bands.counts[y][k]) for k in at],
        "exact": [_cell(bands.columns[reference[0]][1][k]) for k in at] if reference else [],
        "lines": lines,
    }


def _drawn_places(n: int) -> list[int]:
    """Return the places of n points that are drawn: every k-th, and the last."""
    at = [*range(0, n, max(1, -(-n // _MOST_PLACES)))]
    return at if not n or at[-1] == n - 1 else [*at, n - 1]


def _lines(
    store: Store, sweep: SweepRow, bands: TableBands, name: str, x: str, y: str
) -> list[dict[str, Any]]:
    """Return some single runs of a setting, for the pointer."""
    have = bands.setting.well
    every = max(1, -(-len(have) // _MOST_LINES))
    some = have[::every]
    if not some or bands.runs < 2:
        return []
    names = {run.id: run.name for run in bands.setting.runs}
    stack = stack_tables(store, sweep.id, name, [x, y], ids=some)
    found, end = [], 0
    for run, count in zip(stack.runs, stack.counts.tolist(), strict=True):
        rows, end = slice(end, end + count), end + count
        xs, ys = stack.columns[x][rows], stack.columns[y][rows]
        step = max(1, -(-count // 300))
        pairs = [(_cell(a), _cell(b)) for a, b in zip(xs[::step], ys[::step], strict=True)]
        if not isinstance(pairs[0][0] if pairs else "", str):
            pairs.sort(key=lambda pair: -math.inf if pair[0] is None else pair[0])
        line = {"id": run, "name": names[run]}
        found.append({**line, "x": [a for a, _ in pairs], "y": [b for _, b in pairs]})
    return found


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int)):
        return int(value) if isinstance(value, bool) else value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 300 else f"{text[:299]}…"


def run_kept(store: Store, run: RunRow) -> dict[str, Any]:
    """List the tables and files of a run."""
    files = list_files(store, run.id)
    return {
        "tables": [
            {"name": t.name, "step": t.step, "rows": t.rows, "columns": t.columns, "kind": t.kind}
            for t in sorted(list_tables(store, run.id), key=_order)
        ],
        "files": [
            {
                "id": one.id,
                "name": one.name,
                "step": one.step,
                "kind": one.kind,
                "media": one.media if one.media in _SHOWN else "",
                "bytes": one.bytes,
            }
            for one in files[-_MOST_FILES:]
        ],
        "n_files": len(files),
    }


def run_table(store: Store, run: RunRow, name: str, step: int | None) -> dict[str, Any]:
    """Return a run's table: its columns, thinned for a chart, and its first rows."""
    columns = read_table(store, run.id, name, step)
    kind = next(one.kind for one in list_tables(store, run.id) if one.name == name)
    numbers = [k for k, column in columns.items() if column.dtype.kind in "fib"]
    rows = max((len(column) for column in columns.values()), default=0)
    at = _drawn_places(rows)
    return {
        "rows": rows,
        "kind": kind,
        "columns": {k: [_cell(column[i]) for i in at] for k, column in columns.items()},
        "numbers": numbers,
        "drawn": drawn_columns([k for k in numbers if k != next(iter(columns))], kind)[0],
        "first": {k: [_cell(v) for v in column[:_MOST_ROWS]] for k, column in columns.items()},
    }


def run_file(store: Store, run: RunRow, number: int, *, download: bool) -> Response:
    """Send a file of a run: shown in a sandbox, or downloaded.

    Raises:  HTTPException: there is no such file, or its bytes are gone.
    """
    row = next((one for one in list_files(store, run.id) if one.id == number), None)
    if row is None or not row.path.is_file():
        raise HTTPException(404, "the run has no such file, or its bytes are gone")
    shown = row.media in _SHOWN and not download
    return FileResponse(
        row.path,
        media_type=row.media if shown else "application/octet-stream",
        filename=row.file_name,
        content_disposition_type="inline" if shown else "attachment",
        headers={"content-security-policy": _POLICY, "x-frame-options": "SAMEORIGIN"},
    )
