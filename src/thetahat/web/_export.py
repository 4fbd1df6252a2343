"""The table as the page shows it, as CSV or LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thetahat.analysis import flat_config
from thetahat.core.errors import ConfigError
from thetahat.format import Column, table
from thetahat.store import RunRow, Store, SweepRow, standing_runs
from thetahat.web._many import SortedRuns, read_query

KINDS = {"csv": "text/csv; charset=utf-8", "latex": "text/x-tex; charset=utf-8"}
_OWN = ("name", "status", "reason", "epochs", "seconds", "n_params", "agent", "attempt", "seeds")


def export(store: Store, sweep: SweepRow | None, asked: Mapping[str, Any]) -> tuple[str, str]:
    """Write a table of runs; return its media type and text.

    Args:    asked: ``format``, ``ids`` in their order or the ``query`` of the table, and
             ``columns`` such as "c.lr" (config), "m.val_risk" (metric) or "name".
    Raises:  ConfigError: another format, or columns and ids that are not lists of words.
    """
    kind = asked.get("format")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(f"the page exports csv and latex, not {str(kind)[:40]!r}")
    columns = _words(asked, "columns")
    if isinstance(asked.get("query"), Mapping) and sweep is not None:
        ids = SortedRuns().get(store, sweep, read_query(asked["query"]))[0]
    else:
        ids = _words(asked, "ids")
    found = standing_runs(store, sweep_id=sweep.id if sweep else None, ids=ids)
    known = {run.id: run for run in found}
    rows = [_row(known[run_id], columns) for run_id in ids if run_id in known]
    named = [Column(name, title=_title(name, columns)) for name in columns]
    return KINDS[kind], table(rows, named, kind)


def _words(asked: Mapping[str, Any], name: str) -> list[str]:
    found = asked.get(name)
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ConfigError(f"{name} must be a list of words")
    return found


def _title(name: str, columns: Sequence[str]) -> str:
    section, dot, rest = name.partition(".")
    if not dot or section not in ("c", "m"):
        return name
    other = ("m." if section == "c" else "c.") + rest
    taken = other in columns or rest in columns
    return rest if not taken else f"{'config' if section == 'c' else 'metric'}.{rest}"


def _row(run: RunRow, columns: Sequence[str]) -> dict[str, Any]:
    config = flat_config(run.config)
    row: dict[str, Any] = {}
    for name in columns:
        if name.startswith("c."):
            row[name] = config.get(name[2:])
        elif name.startswith("m."):
            row[name] = run.metrics.get(name[2:])
        elif name == "seconds":
            row[name] = run.total_seconds
        elif name in _OWN:
            value = getattr(run, name, None)
            row[name] = str(value) if name == "status" else value
    return row
