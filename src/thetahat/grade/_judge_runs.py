"""Errors that show when runs are compared: 4, 5, 11, 13 and 14."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from thetahat.grade._contract import PARTS, TruthCall, scalar, truth
from thetahat.grade._evidence import Evidence
from thetahat.grade._finding import Finding
from thetahat.grade._judge_log import value_line
from thetahat.grade._losses import close, mean_square
from thetahat.grade._program import Outcome
from thetahat.grade._syntax import constant_line, key_line

_RATE_WORDS = ("lr", "rate", "step", "eta", "alpha")


def judge_runs(evidence: Evidence) -> Iterator[Finding | str]:
    """Findings of runs with other settings."""
    for outcome, what in ((evidence.again, "epochs=1"), (evidence.deeper, "another depth")):
        if outcome.error is not None:
            yield f"with {what} train raised {type(outcome.error).__name__}: {outcome.error}"[:200]
    yield from _rate(evidence)
    yield from _error_in_f(evidence)
    if _differ(evidence.again, evidence.base):
        line = _draw_line(evidence, evidence.again)
        yield Finding(13, line, "two runs with the same seed draw other data: seed is ignored")
    else:
        yield from _stream(evidence)
        yield from _provenance(evidence)


def _differ(one: Outcome, other: Outcome) -> list[str]:
    """Parts of the data that differ between two runs."""
    a, b = one.tracker.raw, other.tracker.raw
    return [
        part
        for part in PARTS
        if part in a
        and part in b
        and not all(np.array_equal(p, q) for p, q in zip(a[part], b[part], strict=True))
    ]


def _first(outcome: Outcome) -> np.ndarray | None:
    """Predictions after the first epoch."""
    records = outcome.tracker.records
    return records[0].predicted["train"] if records else None


def _rate(evidence: Evidence) -> Iterator[Finding]:
    slow, fast = _first(evidence.again), _first(evidence.faster)
    if slow is None or fast is None or not np.array_equal(slow, fast):
        return
    other = [
        (name, line)
        for name, line in evidence.trace.received
        if not any(word in name.lower() for word in _RATE_WORDS)
    ]
    line = other[0][1] if other else constant_line(evidence.program.tree, "lr") or 1
    where = f"; the parameter {other[0][0]!r} gets it" if other else ""
    lr, faster = evidence.again.config["lr"], evidence.faster.config["lr"]
    yield Finding(4, line, f"lr={lr} and lr={faster:.4g} give the same fit{where}")


def _error_in_f(evidence: Evidence) -> Iterator[Finding]:
    """An error in f at the training points, in the long run and in the short one.

    One run may have the same number by chance, since it has a state for each epoch.
    """
    value = scalar(evidence.base.result.get("error_in_f"))
    at_train = [_is_at_train(run) for run in (evidence.base, evidence.again)]
    if value is None or False in at_train or True not in at_train:
        return
    line = value_line(evidence, "error_in_f", returned=True)
    yield Finding(
        5, line, f"error_in_f is {value:.4g}, the mean squared difference at the training points"
    )


def _is_at_train(outcome: Outcome) -> bool | None:
    """Whether the error in f is that at the training points; None if another part has it too."""
    value, raw = scalar(outcome.result.get("error_in_f")), outcome.tracker.raw
    if value is None:
        return False
    with np.errstate(all="ignore"):
        f = {part: truth(x) for part, (x, _) in raw.items()}
    states = [outcome.final, *(record.predicted for record in outcome.tracker.records)]
    if not any(close(value, mean_square(state["train"], f["train"])) for state in states):
        return False
    others = [part for part in ("val", "test") if part in outcome.final]
    shared = any(close(value, mean_square(outcome.final[part], f[part])) for part in others)
    return None if shared else True


def _stream(evidence: Evidence) -> Iterator[Finding]:
    parts = _differ(evidence.again, evidence.deeper)
    if not parts:
        return
    part = "test" if "test" in parts else parts[-1]
    depths = [one.config["depth"] for one in (evidence.again, evidence.deeper)]
    shows = f"the {part} part differs between depth={depths[0]} and depth={depths[1]}"
    yield Finding(11, _part_line(evidence, part), shows)


def _part_line(evidence: Evidence, part: str) -> int:
    """The outermost line that draws this part and no other."""
    calls = evidence.base.f.calls
    points = evidence.base.tracker.raw[part][0]
    mine = next((call for call in calls if _holds(call, points)), None)
    if mine is None or not mine.lines:
        return key_line(evidence.program.tree, part) or 1
    others = [call.lines[::-1] for call in calls if call is not mine and call.lines]
    for place, line in enumerate(mine.lines[::-1]):
        if all(len(other) <= place or other[place] != line for other in others):
            return line
    return mine.lines[0]


def _holds(call: TruthCall, points: np.ndarray) -> bool:
    return call.points.shape == points.shape and np.allclose(call.points, points, atol=1e-6)


def _draw_line(evidence: Evidence, outcome: Outcome) -> int:
    lines = outcome.f.calls[0].lines if outcome.f.calls else []
    return lines[0] if lines else constant_line(evidence.program.tree, "seed") or 1


def _provenance(evidence: Evidence) -> Iterator[Finding]:
    now, later = evidence.again, evidence.later
    if now.error is not None or later.error is not None:
        return
    a, b = _first(now), _first(later)
    same_fit = a is not None and b is not None and np.array_equal(a, b)
    if same_fit and not _differ(now, later):
        return
    said, other = (_text(outcome.result.get("provenance")) for outcome in (now, later))
    if said != other:
        return
    tree = evidence.program.tree
    line = key_line(tree, "provenance") or constant_line(tree, "seed") or 1
    what = (
        "no provenance is returned" if said == "null" else f"the provenance is {said[:80]} for both"
    )
    yield Finding(14, line, f"another release draws other numbers from this seed, and {what}")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
