"""The report of a sweep: what was tried, the best setting, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from thetahat.analysis import (
    MARKS,
    CellRule,
    Setting,
    Study,
    center_of,
    directions_in,
    ending,
    quantile_name,
    read_study,
)
from thetahat.core.acceptance import accepted_words
from thetahat.core.run import Status
from thetahat.format._numbers import short, word
from thetahat.format._table import Column
from thetahat.report._document import Document, Grid
from thetahat.report._figures import sweep_pictures
from thetahat.report._provenance import Origins, count_origins
from thetahat.report._tables import study_tables

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow

TOP = 30
_MOST_METRICS = 3
_MOST_REASONS = 12
_LONGEST = 160
_ANY = "any"
"""In place of a share above 100 %, which chance may reach if nothing matters."""
_ORDER = (
    *(Status.FINISHED, Status.STOPPED, Status.UNMOVED, Status.DIVERGED),
    *(Status.REJECTED, Status.FAILED),
    *(Status.INTERRUPTED, Status.CANCELLED, Status.RUNNING, Status.QUEUED),
)


def sweep_document(
    store: Store,
    sweep: SweepRow,
    *,
    metric: str | None = None,
    rule: CellRule | None = None,
    top: int = TOP,
) -> Document:
    """Write the report of a sweep.

    Args:    top: how many settings the table shows, from the best.
    Raises:  ConfigError: a metric that no run has.   StoreError: the store cannot be read.
    """
    from thetahat.store import origins

    study = read_study(store, sweep, metric=metric, rule=rule)
    own = study.metric == study.file.metric
    directed = own or study.metric in directions_in(store, sweep.id)
    kept = {run.id for run in study.runs} if study.rule.on else None
    known = count_origins(origins(store, sweep.id, kept))
    left = study_tables(store, study)
    drawn = [picture for picture in (one.picture() for one in left) if picture is not None]
    grids = (_front(study), *(one.grid() for one in left), _searched(study), _failures(study))
    return Document(
        kind="sweep",
        ident=sweep.id,
        title=word(sweep.name),
        subtitle=_subtitle(study),
        summary=_summary(study),
        warnings=_warnings(study, known, directed=directed),
        facts=_facts(study, directed=directed),
        grid=settings_grid(study, top),
        grids=[g for g in grids if g.rows],
        pictures=[*sweep_pictures(store, study), *drawn],
        notes=_notes(study, known),
        source=(word(sweep.file), sweep.text),
    )


def settings_grid(study: Study, top: int = TOP) -> Grid:
    """Table the settings from the best; quantiles only of the sweep's own metric."""
    quantiles = [*map(quantile_name, study.quantiles)] if study.replicated else []
    numbers = [study.word, *quantiles]
    shown = {name: numbers if name == study.metric else numbers[:1] for name in study.metrics}
    short_list = dict(list(shown.items())[:_MOST_METRICS])
    rows = _rows(study, study.settings[:top])
    main = f"{study.metric}.{study.word}"
    marks = {
        (i, main): setting.marks
        for i, setting in enumerate(study.settings[:top])
        if setting.marks and main in rows[i] and not setting.hidden
    }
    seen = "".join(marks.values())
    every = dict.fromkeys(study.metrics, numbers)
    n = len(study.settings)
    return Grid(
        title="Results by setting",
        columns=_columns(study, short_list),
        rows=rows,
        marks=marks,
        legend={letter: text for letter, text in MARKS.items() if letter in seen},
        more=f"The {top} best of {n:,} settings." if n > top else "",
        best=study.settings.index(study.best) if study.best else None,
        full=lambda: _rows(study, study.settings),
        full_columns=[*_columns(study, every, whole=True), Column("marks")],
    )


def _front(study: Study) -> Grid:
    """Table the settings that no other improves on; empty where there is one objective."""
    front = study.front
    if front is None:
        return Grid("Pareto front", [], [])
    names = [name for name, _ in front.objectives]
    columns = [*(Column(f"{name}.{study.word}", word(name)) for name in names), Column("runs")]
    columns += [Column(f"config.{name}", word(name)) for name in study.parameters]
    goals = _listed([f"{word(name)} ({goal}d)" for name, goal in front.objectives])
    more = (
        f"{len(front.best):,} of {len(front.points):,} settings, those that no other improves on:"
        f" {goals}."
    )
    if len(front.best) > TOP:
        more += f" The first {TOP}."
    rows = _rows(study, front.best[:TOP])
    full = partial(_rows, study, front.best)
    return Grid("Pareto front", columns, rows, more=more, full=full, full_columns=columns)


def _columns(
    study: Study, metrics: Mapping[str, Sequence[str]], *, whole: bool = False
) -> list[Column]:
    columns = [Column(f"config.{name}", word(name)) for name in study.parameters]
    counts = ("runs", "n", "failed", "unfinished") if study.replicated or whole else ("runs",)
    columns += [Column(name) for name in counts]
    if any(run.stopped_early for run in study.runs):
        counted = sorted({run.counted for run in study.runs if run.epochs})
        columns.append(Column("epochs", " or ".join(counted) or "epochs"))
    for name, numbers in metrics.items():
        for key in numbers:
            plain_name = key == study.word and not study.replicated
            title = word(name) if plain_name else word(f"{name} {key}")
            columns.append(Column(f"{name}.{key}", title))
    return columns


def _rows(study: Study, settings: Sequence[Setting]) -> list[dict[str, Any]]:
    rows = [_row(study, setting) for setting in settings]
    for row, setting in zip(rows, settings, strict=True):
        words = [MARKS[letter].partition(":")[0] for letter in setting.marks]
        row["marks"] = "" if setting.hidden else "; ".join(words)
    return rows


def _row(study: Study, setting: Setting) -> dict[str, Any]:
    row: dict[str, Any] = {f"config.{k}": v for k, v in setting.varying.items()}
    rule = study.rule
    group, n = setting.group, len(setting.values)
    row["runs"] = rule.word if setting.hidden else group.runs
    # The number of failures is a small cell too, as is the rest of the runs.
    small = setting.hidden or rule.hides_count(group.runs - n)
    small = small or rule.hides_count(group.failed) or rule.hides_count(group.unfinished)
    counts = {"n": n, "failed": group.failed, "unfinished": group.unfinished}
    row |= {name: rule.word if small else value for name, value in counts.items()}
    epochs = [run.epochs for run in setting.runs]
    row["epochs"] = rule.word if small else _range(min(epochs), max(epochs))
    for name, known in setting.group.metrics.items():
        hidden = setting.hidden or rule.hides(int(known["n"]))
        for key, value in known.items():
            row[f"{name}.{key}"] = rule.word if hidden else value
    return row


def _range(low: int, high: int) -> int | str:
    return low if low == high else f"{low} to {high}"


def _subtitle(study: Study) -> str:
    made = study.sweep.created[:10]
    project = f"project {word(study.sweep.project)}, " if study.sweep.project else ""
    return f"Sweep {study.sweep.id}, {project}begun {made}"


def _summary(study: Study) -> list[str]:
    method = f"{study.file.method} search" if study.file.method else "search"
    asked = [swept.name for swept in study.file.parameters if not swept.constant]
    over = _listed([word(name) for name in study.parameters or study.seeds or asked])
    over = f" over {over}" if over else ""
    lines = [f"{_runs(len(study.runs))} of a {word(method)}{over}: {_ends(study)}."]
    if study.front is not None and study.front.points:
        names = _listed([word(name) for name, _ in study.front.objectives])
        lines.append(
            f"{len(study.front.best):,} of {len(study.front.points):,} settings are on the Pareto"
            f" front of {names}: no other is at least as good in all of them and better in one."
        )
    best = study.best
    if best is None:
        left = "no run may be shown" if study.rule.on and study.counted else "no run has a number"
        return [*lines, f"There is no best setting: {left} for {word(study.metric)}."]
    goal = "highest " if study.maximize else "lowest "
    goal = goal if len(study.settings) > 1 else ""
    where = f" at {word(best.name)}" if best.name else ""
    tied = sum(setting.center == best.center and not setting.hidden for setting in study.settings)
    if tied > 1 and best.name:
        where = f" at {tied} settings alike, the first of them {word(best.name)}"
    among = ["that are shown"] if study.rule.on else []
    # A setting with a better number of which too few runs ended well ranks below.
    if _passed_over(study, best):
        among.append("of which at least half of the runs ended well")
    where += f", of the settings {' and '.join(among)}" if among else ""
    numbers = best.group.metrics[study.metric]
    value = short(center_of(numbers)) + _trust(study, best)
    n = len(study.counted)
    spread = best.spread
    if spread is not None and spread.n > 1:
        quantiles = " quantiles" if spread.says.endswith("%") else ""
        band = f"{spread.says}{quantiles}: {short(spread.low)} to {short(spread.high)}"
        lines.append(
            f"The {goal}{spread.word} {word(study.metric)} is {value}{where}, over"
            f" {_runs(spread.n)} ({band})."
        )
    else:
        lines.append(
            f"The {goal}{word(study.metric)} is {value}{where}. It is one run with one seed"
            + (f", the best of {n}: on fresh seeds, expect worse." if n > 1 else ".")
        )
    lines += _other_risks(study, best)
    return lines


def _passed_over(study: Study, best: Setting) -> bool:
    """Tell whether a shown setting has a better number but too few runs that ended well."""
    shown = [s.center for s in study.settings if s.center is not None and not s.hidden]
    return best.center is not None and any(
        study.sign * center < study.sign * best.center for center in shown
    )


def _trust(study: Study, best: Setting) -> str:
    """Say beside a number what is wrong with it."""
    lines = ["contaminated"] if best.group.contaminated else []
    if best.group.shared_order and len(best.values) > 1:
        lines.append("seeds share the order of batches")
    failed, unfinished = best.group.failed, best.group.unfinished
    if failed and not study.rule.hides_count(failed):
        lines.append(f"{failed} of its {_runs(best.group.runs)} failed or diverged")
    if best.stopped and not study.rule.hides_count(len(best.stopped)):
        lines.append(_stopped(best))
    if unfinished and not study.rule.hides_count(unfinished):
        lines.append(f"{_count(study, unfinished)} of them did not finish")
    return f" ({'; '.join(lines)})" if lines else ""


def _stopped(best: Setting) -> str:
    if len(best.runs) > 1:
        return f"{len(best.stopped)} of its {len(best.runs)} runs stopped early by the search"
    [run] = best.stopped
    of = f" of {run.max_epochs}" if run.max_epochs else ""
    return f"stopped early by the search, at epoch {run.epochs}{of}"


def _other_risks(study: Study, best: Setting) -> list[str]:
    other = best.group.metrics.get("test_risk")
    if study.metric == "test_risk" or other is None or study.rule.hides(int(other["n"])):
        return []
    which = f"{study.word} test_risk" if other["n"] > 1 else "test_risk"
    trust = ", which is contaminated" if best.group.contaminated else ""
    return [
        f"Its {which}, on observations that played no part, is {short(center_of(other))}{trust}."
    ]


def _changes(known: Origins) -> list[str]:
    """Warn of data and of a program that were not the same for all runs."""
    lines = []
    if files := known.changed_files():
        names = _listed([word(name) for name in files])
        lines.append(
            f"Different data: {names} changed while the sweep ran, so that its runs did not all"
            " read the same data. Their numbers do not compare."
        )
    if code := known.changed_code():
        names = _listed([word(name) for name in code])
        parts = max(len(seen) for seen in code.values())
        lines.append(
            f"Different programs: {names} changed between runs ({parts} versions), so that not all"
            " runs are of one program. Compare their numbers with care."
        )
    return lines


def _warnings(study: Study, known: Origins, *, directed: bool) -> list[str]:
    """Warn of what a reader must know first.

    Args:    directed: whether the file or a run says in which direction the metric is better.
    """
    lines = _changes(known)
    if not directed:
        name = word(study.metric)
        lines.append(
            f"Nothing says in which direction {name} is better: the settings stand from the lowest"
            f" {name} to the highest, and the first of them may be the worst. A sweep file says it"
            " by metric and goal, an experiment by th.Metric."
        )
    if study.contaminated:
        lines.append(
            f"Contaminated: this sweep chose its settings by {word(study.metric)}, on the test set."
            " Its test numbers are too good, and estimate nothing."
        )
    open_runs = sum(not run.status.over for run in study.runs)
    if not study.sweep.over or open_runs:
        verb = "run is" if open_runs == 1 and not study.rule.on else "runs are"
        still = f"; {_count(study, open_runs)} {verb} not over" if open_runs else ""
        lines.append(
            f"Not finished: the sweep is {word(study.sweep.state)}{still}. Numbers may move."
        )
    if study.settings and study.counted and not study.replicated:
        lines.append(
            "One seed a setting: differences between settings may be luck. Run the best ones with"
            " more seeds before believing them."
        )
    if (said := accepted_words(study.runs)) and not study.rule.on:
        lines.append(f"{said} by the checks of their solutions; other numbers do not count.")
    cut = study.ends["unfinished"] - open_runs
    if cut and not study.rule.hides_count(cut):
        lines.append(
            f"{cut} of {_runs(len(study.runs))} did not finish (cancelled, interrupted, or nothing"
            f" moved): {'its' if cut == 1 else 'their'} numbers do not count."
        )
    silent = study.ends["well"] - len(study.counted)
    if silent and study.declared and not study.rule.hides_count(silent):
        lines.append(
            f"{silent} of {_runs(len(study.runs))} ended well but logged no {word(study.metric)}:"
            " they count as runs and give no number."
        )
    lost = study.ends["failed"]
    if lost and not study.rule.hides_count(lost):
        share = lost / len(study.runs)
        if share >= 0.05:
            lines.append(f"{lost} of {_runs(len(study.runs))} failed or diverged ({share:.0%}).")
    if study.rule.on:
        hidden = sum(setting.hidden for setting in study.settings)
        lines.append(
            f"Small cells are suppressed: nothing is shown that rests on fewer than"
            f" {study.rule.least} runs ({hidden} of {len(study.settings)} settings are hidden"
            + (f", {study.dropped} runs left out)." if study.dropped else ").")
        )
    return lines


def _facts(study: Study, *, directed: bool) -> list[tuple[str, str]]:
    first = study.runs[0] if study.runs else None
    program = study.file.program or (first.source if first else None) or study.sweep.file or ""
    experiment = first.experiment if first else None
    goal = "more is better" if study.maximize else "less is better"
    goal = goal if directed else "nothing says whether less or more is better"
    asked = study.file.metric
    other = "names none" if asked is None else f"names {word(asked)}"
    chosen = "" if asked == study.metric else f"; the sweep file {other}"
    judged = ("Metric", f"{word(study.metric)} ({goal}{chosen})")
    if study.front is not None:
        objectives = [f"{word(name)} ({how})" for name, how in study.front.objectives]
        judged = ("Metrics", f"{', '.join(objectives)}; settings stand by {word(study.metric)}")
    reason = study.sweep.reason
    lines = [
        ("Program", word(program)),
        ("Experiment", word(experiment)),
        ("About", word(study.file.description)),
        ("Method", word(study.file.method)),
        judged,
        ("Runs", f"{len(study.runs):,}: {_ends(study)}{_retried(study)}"),
        ("Settings", f"{len(study.settings):,}, {_seeds(study)}"),
        ("State", word(study.sweep.state) + (f" ({word(reason)})" if reason else "")),
    ]
    return [(label, value) for label, value in lines if value]


def _retried(study: Study) -> str:
    """Count the runs that failed before and were tried again."""
    again = sum(run.failures > 0 for run in study.runs)
    return f"; {_count(study, again)} tried again after a failure" if again else ""


def _searched(study: Study) -> Grid:
    """Table the ranges of the search and the effects of its parameters."""
    known = {effect.name: effect for effect in study.effects}
    enough = not study.rule.hides(len(study.counted))
    rows: list[dict[str, Any]] = []
    for swept in study.file.parameters:
        effect = known.get(swept.name)
        row: dict[str, Any] = {"parameter": word(swept.name), "searched": word(swept.says)}
        if effect is not None and effect.importance is not None and enough and len(known) > 1:
            row["importance"] = f"{effect.importance:.0%}"
            known_floor = effect.floor is not None and effect.floor <= 1
            row["chance"] = f"{effect.floor:.0%}" if known_floor else _ANY
        if effect is not None and effect.correlation is not None and enough:
            row["correlation"] = f"{effect.correlation:+.2f}"
            if effect.low is not None and effect.high is not None:
                row["correlation"] += f" [{effect.low:+.2f}, {effect.high:+.2f}]"
        rows.append(row)
    columns = [Column("parameter"), Column("searched", "searched in")]
    for key, title in (
        ("importance", "importance"),
        ("chance", "by chance"),
        ("correlation", f"rank correlation{'' if study.caution else ' [95 %]'}"),
    ):
        if any(key in row for row in rows):
            columns.append(Column(key, title))
    n = study.effects[0].settings if study.effects else 0
    few = study.rule.hides_count(len(study.runs) - len(study.counted)) or study.rule.hides_count(n)
    which = "the settings" if few else f"{n:,} setting{'s' * (n != 1)}"
    more = f"Importance and correlation with {word(study.metric)} over {which} with a number, each"
    more += " the median of its runs; an importance below what chance reaches means nothing"
    more += "." if study.caution else ", and one irrelevant parameter in twenty exceeds it."
    if any(row.get("importance") for row in rows) and all(e.floor is None for e in known.values()):
        more += " No parameter does here."
    elif any(row.get("chance") == _ANY for row in rows):
        more += f" Where that is {_ANY!r}, chance reaches more than all importances together."
    if study.caution:
        more += f" {study.caution}"
    known_effects = any("importance" in row or "correlation" in row for row in rows)
    return Grid("Parameters", columns, rows, more=more if known_effects else "")


def _failures(study: Study) -> Grid:
    """Table the failures by reason."""
    bad = [r for r in study.runs if r.status.over and ending(r, study.metric) != "well"]
    no_number = f"ended without a finite {study.metric}"
    why = Counter(
        (str(r.status), _cut(no_number if r.status.well else r.reason) or "no reason recorded")
        for r in bad
    )
    rows: list[dict[str, Any]] = []
    rest = 0
    for (status, reason), n in why.most_common():
        if study.rule.hides_count(n) or len(rows) == _MOST_REASONS:
            rest += n
        else:
            rows.append({"status": status, "runs": n, "reason": reason})
    if rest:
        rows.append({"status": "other", "runs": _count(study, rest), "reason": "other reasons"})
    return Grid("What failed, and why", [Column("status"), Column("runs"), Column("reason")], rows)


def _notes(study: Study, known: Origins) -> list[tuple[str, str]]:
    lines = [("n", _n_note(study)), ("Seeds", _seeds(study))]
    if len(study.settings) > 1:
        choice = (
            f"settings are ordered by their {study.word} {word(study.metric)}, which also chose"
            " them: the best number of many is too good, the more so the more were tried"
        )
        lines.append(("Choice", choice))
    lines += known.notes(looks=not study.rule.hides_count(known.looked))
    lost = Counter(
        str(run.status) if not run.status.well else f"without a finite {study.metric}"
        for run in study.runs
        if ending(run, study.metric) == "failed"
    )
    failures = [f"{_count(study, n)} {word(how)}" for how, n in lost.items()]
    lines.append(("Failures", ", ".join(failures) if failures else "none"))
    cut = Counter(str(run.status) for run in study.runs if run.status.unfinished)
    if cut:
        unfinished = [f"{_count(study, n)} {how}" for how, n in sorted(cut.items())]
        lines.append(("Unfinished", ", ".join(unfinished)))
    shared = [setting for setting in study.settings if setting.group.shared_order]
    if shared:
        lines.append(("Batches", "seeds share the order of batches, so their bands are too narrow"))
    return lines


def _n_note(study: Study) -> str:
    n = len(study.counted)
    gone = len(study.runs) - n
    low, high = study.quantiles[0], study.quantiles[-1]
    numbers = f"; quantiles are {100 * low:g} and {100 * high:g} per cent"
    without = f", {_count(study, gone)} without a number" if gone else ""
    return (
        f"{_runs(len(study.runs))}{without}; runs that failed or did not finish count as runs and"
        f" give no number{numbers if study.replicated else ''}"
    )


def _seeds(study: Study) -> str:
    sizes = [len(setting.runs) for setting in study.settings]
    if not sizes:
        return "none yet"
    if study.rule.hides_count(max(sizes)):
        return f"fewer than {study.rule.least} seeds each"
    if max(sizes) == 1:
        return "one seed each"
    if min(sizes) == max(sizes):
        return f"{sizes[0]} seeds each"
    if study.rule.on:
        return "with different numbers of seeds"
    return f"{min(sizes)} to {max(sizes)} seeds each"


def _ends(study: Study) -> str:
    counts = study.counts
    if any(study.rule.hides_count(n) for n in counts.values()):
        return "how many ended how is suppressed"
    return _listed([f"{counts[s]:,} {s}" for s in _ORDER if counts[s]]) or "none yet"


def _runs(n: int) -> str:
    return f"{n:,} run" + ("" if n == 1 else "s")


def _count(study: Study, n: int) -> str:
    return f"<{study.rule.least}" if study.rule.hides_count(n) else f"{n:,}"


def _listed(words: Sequence[str]) -> str:
    """Join words as a list in a sentence.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _cut(text: str) -> str:
    lines = word(text)
    return lines if len(lines) <= _LONGEST else lines[: _LONGEST - 1] + "…"
