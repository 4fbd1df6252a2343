"""``thetahat show`` of a sweep: how it stands, its best, and where to look next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thetahat.cli.terminal._output import emit, read_screen
from thetahat.core.acceptance import solution_words
from thetahat.core.errors import StoreError
from thetahat.core.places import opening
from thetahat.core.run import Status
from thetahat.format import STATUS_STYLES, json_text, paint, short, table, word

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow

_LABEL = 12
_MOST_POINTS = 12
"""Points of a front that are shown."""
_FAILURES = 3
"""Reasons of failures that are shown."""


def sweep_named(store: Store, name: str) -> SweepRow | None:
    """Return the sweep that a name means; None if it means a run, or nothing.

    ``last`` is the latest run.
    """
    from thetahat.store import find_sweep

    if name == "last":
        return None
    try:
        store.run(name)
    except StoreError as error:
        if error.__cause__ is not None:
            raise
        try:
            return find_sweep(store, name)
        except StoreError:
            return None  # the error about runs tells more
    return None


def show_sweep(store: Store, sweep: SweepRow, format: str, flag: str) -> int:
    """Print how a sweep stands."""
    facts = _facts(store, sweep)
    if format == "json":
        emit(json_text(facts))
        return 0
    if format != "table":
        emit(
            table([{"field": k, "value": v} for k, v in facts.items()], ["field", "value"], format)
        )
        return 0
    screen = read_screen()
    state = paint(sweep.state, STATUS_STYLES.get(sweep.state, ""), screen.colour)
    goal = f"{facts['goal']} {facts['metric']}" if facts["metric"] else ""
    if facts["front"]:
        goal = ", ".join(f"{one['goal']} {one['name']}" for one in facts["front"]["objectives"])
    lines = ["  ".join(filter(None, [paint(word(sweep.name), "bold", screen.colour), state, goal]))]
    if sweep.reason:
        lines.append(word(sweep.reason))
    counted = ", ".join(f"{n} {status}" for status, n in facts["counts"].items())
    told = {
        "runs": f"{facts['runs']}" + (f": {counted}" if counted else ""),
        "accepted": _accepted(facts),
        "best": "" if facts["front"] else _best(facts),
        "front": _front_line(facts),
        "contaminated": "tuned on the test set" if sweep.contaminated else "",
        "id": sweep.id,
        "file": word(sweep.file or ""),
        "begun": sweep.created[:19].replace("T", " ") + " UTC",
    }
    lines += ["", *(f"{label.ljust(_LABEL - 1)} {text}" for label, text in told.items() if text)]
    lines += _front_table(facts, screen)
    if facts["failures"]:
        lines += ["", *map(_failure, facts["failures"][:_FAILURES])]
        hidden = len(facts["failures"]) - _FAILURES
        lines += [f"! ... and {hidden} other reasons"] if hidden > 0 else []
    lines += [
        "",
        *(
            [f"retry them: {_retry(store, sweep, flag)}"]
            if facts["counts"].get(str(Status.FAILED))
            else []
        ),
        f"its runs:   thetahat runs {sweep.id}{flag}",
        f"a report:   thetahat report {sweep.id}{flag}",
    ]
    emit("\n".join(lines) + "\n", painted=True)
    return 0


def _retry(store: Store, sweep: SweepRow, flag: str) -> str:
    function = sweep.spec.get("function")
    if function is not None and sweep.spec.get("program") is None:
        return f"{opening(sweep.id, store.path)}.retry_failed({function})"
    return f"thetahat sweep {sweep.id} --retry-failed --run{flag}"


def _failure(one: dict[str, Any]) -> str:
    such = ", such as" if one["differ"] else ""
    return f"! {one['n']} {one['status']}{such}: {word(one['why']) or 'no reason is known'}"


def _accepted(facts: dict[str, Any]) -> str:
    if facts["accepted"] is None:
        return ""
    over = sum(n for status, n in facts["counts"].items() if Status(status).over)
    found = solution_words(facts["solutions"])
    return f"{facts['accepted']:,} of {over:,} runs, by the checks of their solutions{found}"


def _best(facts: dict[str, Any]) -> str:
    best = facts["best"]
    if best is None:
        return ""
    setting = ", ".join(f"{word(k)}={short(v)}" for k, v in best.get("config", {}).items())
    if "run" in best:
        return f"{facts['metric']} {short(best['value'])}, run {word(best['run'])}"
    if "mean" in best:
        sd = "" if best["sd"] is None else f", sd {short(best['sd'])},"
        return f"{facts['metric']} mean {short(best['mean'])}{sd} of {best['n']} folds at {setting}"
    return f"{facts['metric']} median {short(best['value'])} over {best['n']} runs at {setting}"


def _front_line(facts: dict[str, Any]) -> str:
    front = facts["front"]
    if not front:
        return ""
    what = "settings" if front["replicated"] else "runs"
    return f"{len(front['points']):,} of {front['among']:,} {what} that no other improves on"


def _front_table(facts: dict[str, Any], screen: Any) -> list[str]:
    """Write the first points of the front as a table."""
    from thetahat.cli.terminal._run_table import front_rows

    if not facts["front"] or not facts["front"]["points"]:
        return []
    rows, columns = front_rows(facts["front"], _MOST_POINTS)
    more = len(facts["front"]["points"]) - len(rows)
    text = table(rows, columns, "table", width=screen.width).rstrip("\n")
    return ["", text, *([f"... and {more:,} more; --format json has all"] if more > 0 else [])]


def _leading(store: Store, sweep: SweepRow, file: Any) -> dict[str, Any] | None:
    """The best setting or run by the sweep's metric; None where none has one."""
    from thetahat.analysis import (
        fold_means,
        may_repeat,
        names_of,
        replicates_of,
        seeds_of,
        standings,
    )
    from thetahat.store import leading_run, tried_runs

    sign = -1 if file.goal == "maximize" else 1
    best: dict[str, Any] | None = None
    means = None
    if file.metric is not None and sweep.plan.get("folds", 1) > 1:
        means = fold_means(sweep, tried_runs(store, sweep.id), file.metric, sign)
    if means:
        lead = means[0]
        best = {"mean": lead.mean, "sd": lead.sd, "n": lead.n, "config": dict(lead.config)}
    elif file.metric is not None and may_repeat(sweep, file):
        runs = tried_runs(store, sweep.id)
        seeds = seeds_of(sweep, names_of(runs))
        found = standings(runs, seeds, file.metric, sign, replicates=replicates_of(sweep))
        if found and found[0].spread is not None:
            spread = found[0].spread
            best = {"value": spread.median, "n": spread.n, "config": dict(found[0].config)}
    elif file.metric is not None:
        lead = leading_run(store, sweep.id, file.metric, sign)
        best = None if lead is None else {"value": lead[1], "run": lead[0]}
    return best


def _facts(store: Store, sweep: SweepRow) -> dict[str, Any]:
    from thetahat.analysis import front_of, join_reasons, read_file
    from thetahat.store import (
        count_accepted,
        count_runs,
        count_solutions,
        failure_reasons,
        tried_runs,
    )

    file = read_file(sweep.spec)
    front = None
    if file.objectives:
        front = front_of(sweep, file, tried_runs(store, sweep.id)).listing()
    counts, accepted = count_runs(store, sweep.id), count_accepted(store, sweep.id)
    return {
        "id": sweep.id,
        "name": sweep.name,
        "state": sweep.state,
        "reason": sweep.reason,
        "method": file.method,
        "metric": file.metric,
        "goal": file.goal,
        "runs": sum(counts.values()),
        "counts": dict(sorted(counts.items(), key=lambda one: -one[1])),
        "accepted": accepted if accepted or counts.get(str(Status.REJECTED)) else None,
        "solutions": count_solutions(store, sweep.id) if accepted else {},
        "failures": join_reasons(failure_reasons(store, sweep.id)),
        "best": _leading(store, sweep, file),
        "front": front,
        "contaminated": sweep.contaminated,
        "file": sweep.file,
        "created": sweep.created,
    }
