"""The report of a run: its numbers, its curve, and their origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thetahat import figures
from thetahat.analysis import (
    MARKS,
    CellRule,
    flat_config,
    members_of_bag,
    risk_in_units,
    value_word,
)
from thetahat.core.errors import ConfigError
from thetahat.core.run import Status
from thetahat.format._numbers import short, word
from thetahat.format._table import Column
from thetahat.report._document import Document, Grid, Picture
from thetahat.report._provenance import count_origins
from thetahat.report._run_tables import run_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store


def run_document(store: Store, run: RunRow, rule: CellRule | None = None) -> Document:
    """Write the report of a run.

    Raises:  ConfigError: small cells are suppressed, and a run is one.
    """
    from thetahat.store import Origin

    rule = rule or CellRule()
    if rule.on:
        raise ConfigError(
            f"--min-cell={rule.least}: a report of one run shows one run; give the id of its sweep"
            + (f", {run.sweep_id}" if run.sweep_id else "")
        )
    known = count_origins([Origin(run.provenance or {}, run.detail or {})])
    left = run_tables(store, run)
    drawn = [picture for picture in (one.picture() for one in left) if picture is not None]
    grids = (_members(store, run), *(one.grid() for one in left), _config(run))
    return Document(
        kind="run",
        ident=run.id,
        title=word(run.name),
        subtitle=_subtitle(run),
        summary=_summary(run),
        warnings=_warnings(run, store.notices(run.id)),
        facts=_facts(run),
        grid=_metrics(run),
        grids=[grid for grid in grids if grid.rows],
        pictures=[*_pictures(store, run), *drawn],
        notes=[("n", "1 run, 1 seed"), *known.notes()],
    )


def _subtitle(run: RunRow) -> str:
    inside = f", of sweep {run.sweep_id}" if run.sweep_id else ""
    return f"Run {run.id}{inside}, begun {(run.started or run.created)[:10]}"


def _summary(run: RunRow) -> list[str]:
    what = word(run.experiment or run.source or "a program")
    reason = f": {word(run.reason)}" if run.reason else ""
    epochs = f" after {run.epochs:,} {run.counted}" if run.epochs else ""
    lines = [f"One run of {what}. It is {run.status}{epochs}{reason}."]
    val, test = run.metrics.get("val_risk"), run.metrics.get("test_risk")
    at = f" at epoch {run.best_epoch}" if run.best_epoch else ""
    best = run.metrics.get(run.best_by)
    members = (run.detail or {}).get("members")
    if members is not None:
        outside = "" if val is None else f" Its out-of-bag risk is {short(val)}."
        lines.append(f"It is the average of {members} members.{outside}")
    elif run.best_by != "val_risk" and best is not None:
        mode = ((run.detail or {}).get("directions") or {}).get(run.best_by)
        which = {"min": "lowest", "max": "highest"}.get(str(mode), "best")
        lines.append(f"Its {which} {word(run.best_by)} is {short(best)}{at}: it chose the state.")
        lines += [f"There its validation risk is {short(val)}."] if val is not None else []
    elif val is not None:
        lines.append(f"Its lowest validation risk is {short(val)}{at}.")
    if units := risk_in_units(run):
        lines.append(f"Its risks in units of the target: {word(units)}.")
    if test is not None:
        trust = ", which is contaminated" if run.contaminated else ""
        lines.append(
            f"On observations that played no part, its test_risk is {short(test)}{trust}. One seed"
            " says nothing of how much of that is luck."
        )
    return lines


def _warnings(run: RunRow, notices: list[str]) -> list[str]:
    lines = []
    if run.contaminated:
        lines.append("Contaminated: tuned on the test set; its test numbers estimate nothing.")
    if not run.status.over:
        lines.append(
            f"Not finished: the run is {run.status}. Its numbers are those of its last record."
        )
    elif not run.status.well:
        lines.append(
            f"The run {_ended(run.status)}" + (f": {word(run.reason)}." if run.reason else ".")
        )
    missing = [word(name) for name, value in run.metrics.items() if value is None]
    if missing:
        lines.append(f"Not finite: {', '.join(missing)}.")
    return lines + [word(line) for line in notices]


def _ended(status: Status) -> str:
    was = (Status.INTERRUPTED, Status.CANCELLED)
    lines = {Status.UNMOVED: "did not move"}.get(status, str(status))
    return f"was {status}" if status in was else lines


def _metrics(run: RunRow) -> Grid:
    rows = [{"metric": word(name), "value": value} for name, value in run.metrics.items()]
    letters = ("c" if run.contaminated else "") + "s" + ("u" if run.status.unfinished else "")
    letters += "e" if run.stopped_early else ""
    meaning = {**MARKS, "u": "the run did not finish"}
    marks = {(i, "value"): letters for i, row in enumerate(rows) if row["value"] is not None}
    return Grid(
        "Results",
        [Column("metric"), Column("value", digits=5)],
        rows,
        marks=marks,
        legend={letter: meaning[letter] for letter in letters} if marks else {},
    )


def _members(store: Store, run: RunRow) -> Grid:
    """List the members of a bag."""
    names = ("val_risk", "test_risk", "train_risk")
    rows: list[dict[str, Any]] = [
        {"member": word(one.name), **{name: one.metrics.get(name) for name in names}}
        for one in members_of_bag(store, run)
    ]
    return Grid("Members", [Column("member"), *(Column(name, digits=5) for name in names)], rows)


def _config(run: RunRow) -> Grid:
    rows: list[dict[str, Any]] = [
        {"parameter": word(name), "value": word(value_word(value))}
        for name, value in flat_config(run.config).items()
    ]
    return Grid("Parameters", [Column("parameter"), Column("value")], rows)


def _facts(run: RunRow) -> list[tuple[str, str]]:
    seconds = run.total_seconds
    of = f" of {run.max_epochs:,}" if run.max_epochs else ""
    lines = [
        ("Program", word(run.source)),
        ("Experiment", word(run.experiment)),
        ("Project", word(run.project)),
        ("Command", word(run.command)),
        (run.counted.capitalize(), f"{run.epochs:,}{of}"),
        ("Parameters", f"{run.n_params:,} estimated" if run.n_params is not None else ""),
        ("Seconds", short(seconds, 3) if seconds is not None else ""),
    ]
    return [(label, value) for label, value in lines if value]


def _pictures(store: Store, run: RunRow) -> list[Picture]:
    columns = {name: column.tolist() for name, column in store.history(run.id).items()}
    if not columns:
        return []
    ending = f"{run.status}" + (f": {run.reason}" if run.reason else "")

    def draw() -> Figure:
        best_epoch = run.best_epoch or 0
        return figures.draw_fit(columns, best_epoch=best_epoch, best_by=run.best_by, ending=ending)

    caption = "Training and validation risk by epoch, the best epoch marked."
    return [Picture("curves", "Training", caption, draw)]
