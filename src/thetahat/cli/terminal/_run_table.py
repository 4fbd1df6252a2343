"""Tables of runs and settings: their columns, their order, and a note on hidden columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thetahat.analysis import Group, all_same, flat_config
from thetahat.cli.terminal._output import print_beside, print_table, read_screen
from thetahat.core.acceptance import accepted_words
from thetahat.format import NOT_FINITE, Column, fit_width, short

if TYPE_CHECKING:
    from thetahat.store import RunRow

_METRICS_FIRST = ("val_risk", "test_risk", "train_risk")
_MOST_METRICS = 6
_OF_GROUPS = ("experiment", "runs", "n", "failed", "unfinished", "contaminated", "shared_order")
_SAME = "the runs of each row gave identical numbers: what differs in them changes none"
_SHARED = "seeds share the order of batches, so their bands are too narrow"


def print_runs(
    found: Sequence[RunRow],
    format: str,
    asked: Sequence[str] | None,
    *,
    tell: bool = True,
    raw: bool = False,
    first: Sequence[str] = (),
) -> None:
    """Print runs in a format; without columns asked for, JSON is the full listing.

    Args:    tell: note which columns are hidden, and how to choose others.
             raw: whether CSV keeps text that a spreadsheet would run.
             first: the metrics of their sweep, which come before the others.
    """
    from thetahat.store import check_columns, value_of

    if asked is not None:
        check_columns(asked, found)
        columns = [Column(name) for name in asked]
    else:
        columns = default_columns(found, everything=format == "csv", first=first)
    if format == "json" and asked is None:
        print_table([run.listing() for run in found], format="json")
        return
    if not found and format == "table":
        return
    unknown = {"json": None, "csv": "nan"}.get(format, NOT_FINITE)
    rows = [
        {c.key: unknown if _not_finite(run, c.key) else value_of(run, c.key) for c in columns}
        for run in found
    ]
    if format == "table":
        for row in rows:
            if "contaminated" in row:
                row["contaminated"] = "yes" if row["contaminated"] else ""
    print_table(rows, columns, format, raw=raw)
    if format == "table" and (n := sum(bool(r.metrics) and not r.status.over for r in found)):
        print_beside(
            f"{n} {'run is' if n == 1 else 'runs are'} not over: numbers there are of the last"
            " epoch so far, and elsewhere of the best epoch"
        )
    if format == "table" and (said := accepted_words(found)) and len(found) > 1:
        print_beside(f"{said} by the checks of their solutions")
    if tell and format == "table" and (gone := fit_width(rows, columns, read_screen().width)[1]):
        note_hidden(gone)


def print_settings(groups: Sequence[Group], metric: str) -> None:
    """Print settings as a table with one metric."""
    columns = [
        c
        for c in group_columns(groups, metric)
        if "." not in c.key
        or c.key.rpartition(".")[0] == metric
        or c.key.removeprefix("config.") in groups[0].config
    ]
    rows = [group_row(group, metric) for group in groups]
    print_table(rows, columns)
    note_bands(groups)


def front_rows(
    front: Mapping[str, Any], most: int | None = None
) -> tuple[list[dict[str, Any]], list[Column]]:
    """Return the rows and columns of a Pareto front, its objectives first.

    Args:    front: the listing of a ``Front``.   most: points, at most.
    """
    points = front["points"][:most]
    metrics = [one["name"] for one in front["objectives"]]
    names = dict.fromkeys(name for point in points for name in point["config"])
    varying = [
        n for n in names if len(points) == 1 or _any_differs(p["config"].get(n) for p in points)
    ]
    columns = [Column("n")] if front["replicated"] else [Column("name", priority=60, least=40)]
    columns += [Column(f"metrics.{name}", name, priority=95) for name in metrics]
    columns += [Column(f"config.{name}", name, priority=80, digits=6) for name in varying]
    rows = [
        {
            "name": point["name"],
            "n": point["n"],
            **{f"metrics.{k}": v for k, v in zip(metrics, point["values"], strict=True)},
            **{f"config.{k}": v for k, v in point["config"].items()},
        }
        for point in points
    ]
    return rows, told_apart(columns)


def note_bands(groups: Sequence[Group]) -> None:
    """Note, once, that bands leave out the order of batches, or show no spread at all."""
    if all_same(groups):
        print_beside(_SAME)
    elif any(group.shared_order for group in groups):
        print_beside(_SHARED)


def shared_words(found: Sequence[RunRow], names: Iterable[str]) -> str:
    """Write the parameters that have one value in all these runs, such as "all: act=relu".

    A table of runs has no columns for them.
    """
    flat = [flat_config(run.config) for run in found]
    names = [n for n in names if n in flat[0] and not _any_differs(c.get(n) for c in flat)]
    same = {name: flat[0][name] for name in names}
    told = ", ".join(f"{name}={short(value)}" for name, value in same.items())
    return f"all: {told}" if told and len(found) > 1 else ""


def note_hidden(gone: Sequence[Column]) -> None:
    print_beside(f"no room for {', '.join(c.head for c in gone)}; --columns chooses")


def group_columns(
    groups: Sequence[Group],
    first: str | None = None,
    *,
    whole: bool = False,
    by: Sequence[str] = (),
) -> list[Column]:
    """Choose the columns of groups: the parameters that vary, counts, metrics by priority.

    Args:    first: the metric that comes first, and whose n is shown.
             whole: also the counts that are 0 everywhere, for files.   by: parameters to show
             even if they do not vary.
    """
    settings = dict.fromkeys(name for group in groups for name in group.config)
    # The config of a run is incomplete before it starts: a missing value is not a difference.
    started = [g for g in groups if g.runs > g.unfinished]
    varying = [
        n
        for n in settings
        if n in by
        or _any_differs(g.config.get(n) for g in started)
        or _any_differs(g.config[n] for g in groups if n in g.config)
    ]
    columns = [Column("experiment", priority=95)] if any(g.experiment for g in groups) else []
    columns += [
        Column(_key(name), name if name in by else None, priority=90, digits=6) for name in varying
    ]
    columns += [
        Column("runs", priority=80),
        Column("n", priority=79),
        Column("failed", priority=79),
    ]
    if whole or any(group.unfinished for group in groups):
        columns.append(Column("unfinished", priority=78))
    metrics = metrics_of(groups, first)
    for i, name in enumerate(metrics[:_MOST_METRICS]):
        numbers = next(g.metrics[name] for g in groups if name in g.metrics)
        same = all(_n(g, name) == _n(g, metrics[0]) for g in groups)
        for number in numbers:
            # A metric of other runs than the first metric has its own n.
            if number != "n" or not same:
                band = number not in ("median", "n")
                # The answer first: the first metric's median stays as long as the settings do.
                priority = 96 if i == 0 and not band else 77 if i == 0 else 75 - 9 * i
                together = f"{name}, quantiles" if band else ""
                title = f"{name} {number}"
                columns.append(Column(f"{name}.{number}", title, priority, together=together))
    if whole and any(group.shared_order for group in groups):
        columns.append(Column("shared_order", "shared order"))
    if any(group.contaminated for group in groups):
        columns.append(Column("contaminated", priority=88))
    return columns


def metrics_of(groups: Sequence[Group], first: str | None) -> list[str]:
    names = _ordered(name for group in groups for name in group.metrics)
    return sorted(names, key=lambda name: name != first)


def _n(group: Group, metric: str) -> int:
    return int(group.metrics.get(metric, {}).get("n", 0))


def group_row(group: Group, first: str) -> dict[str, Any]:
    row: dict[str, Any] = {_key(name): value for name, value in group.config.items()}
    row |= {"experiment": group.experiment, "runs": group.runs, "n": _n(group, first)}
    row |= {"failed": group.failed, "unfinished": group.unfinished}
    row["shared_order"] = "yes" if group.shared_order else ""
    for name, numbers in group.metrics.items():
        row |= {f"{name}.{number}": value for number, value in numbers.items()}
    row["contaminated"] = "yes" if group.contaminated else ""
    return row


def _key(parameter: str) -> str:
    """Name a parameter's column beside those that groups have themselves."""
    return f"config.{parameter}" if parameter in _OF_GROUPS else parameter


def default_columns(
    found: Sequence[RunRow], *, everything: bool = False, first: Sequence[str] = ()
) -> list[Column]:
    """Choose the columns that differ between the runs, with their priority on a narrow screen."""
    metrics = _ordered(key for run in found for key in run.metrics)
    if first:
        # Programs log in any order: the table has one.
        places = {name: i for i, name in enumerate(dict.fromkeys([*first, *_METRICS_FIRST]))}
        metrics.sort(key=lambda name: (places.get(name, len(places)), name))
    flat = [flat_config(run.config) for run in found]
    config = list(dict.fromkeys(key for one in flat for key in one))
    if everything:
        own = ("id", "name", "experiment", "project", "status", "reason", "epochs", "seconds")
        last = ("n_params", "best_val_risk", "best_epoch", "attempt", "contaminated", "created")
        inner = [f"config.{k}" for k in config] + [f"metrics.{k}" for k in metrics]
        return [Column(key) for key in (*own, *inner, *last)]
    varying = [k for k in config if len(flat) == 1 or _any_differs(c[k] for c in flat if k in c)]
    columns = [Column("name", priority=100, least=40), Column("status", priority=90)]
    if _any_differs(run.experiment for run in found):
        columns.append(Column("experiment", priority=40))
    if _need_members(found):
        columns.append(Column("member", priority=89))
    columns += [Column(f"config.{k}", k, priority=78, digits=6) for k in varying]
    for i, key in enumerate(metrics[:_MOST_METRICS]):
        # Where the sweep's own metrics are known, the parameters stay longer than the others.
        most = 75 if first and key not in first else 85
        priority = (most if _common(found, key) else 25) - 5 * i
        columns.append(Column(f"metrics.{key}", key, priority=priority))
    # One column is enough if the parameter equals the number of epochs of every run.
    if "epochs" not in varying or any(run.config.get("epochs") != run.epochs for run in found):
        counted = {run.counted for run in found if run.epochs}
        columns.append(Column("epochs", " or ".join(sorted(counted)) or "epochs", priority=50))
    columns.append(Column("seconds", priority=45, digits=3))
    if any(run.contaminated for run in found):
        columns.append(Column("contaminated", priority=88))
    if any(run.reason for run in found):
        columns.append(Column("reason", priority=30, least=20))
    return told_apart([c for c in columns if any(_has(run, c.key) for run in found)])


def _has(run: RunRow, column: str) -> bool:
    from thetahat.store import value_of

    return value_of(run, column) not in (None, "")


def _not_finite(run: RunRow, column: str) -> bool:
    """Whether a column is a metric that the run has, as NaN or as an infinite number."""
    from thetahat.store import value_of

    name = column.removeprefix("metrics.")
    return name in run.metrics and run.metrics[name] is None and value_of(run, column) is None


def _need_members(found: Sequence[RunRow]) -> bool:
    """Whether runs of one cohort differ by their member alone."""
    seen = Counter((run.cohort, str(run.config)) for run in found if run.cohort is not None)
    return any(n > 1 for n in seen.values())


def told_apart(columns: Sequence[Column]) -> list[Column]:
    """Give columns of one title their full names: ``config.epochs`` beside ``epochs``."""
    heads = [column.head for column in columns]
    return [replace(c, title=c.key) if heads.count(c.head) > 1 else c for c in columns]


def _ordered(keys: Iterable[str]) -> list[str]:
    seen = dict.fromkeys(keys)
    first = [key for key in _METRICS_FIRST if key in seen]
    return first + [key for key in seen if key not in first]


def _common(found: Sequence[RunRow], key: str) -> bool:
    return 2 * sum(key in run.metrics for run in found) >= len(found)


def _any_differs(values: Iterable[Any]) -> bool:
    return len({str(value) for value in values}) > 1
