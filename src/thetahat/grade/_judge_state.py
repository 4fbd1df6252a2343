"""Errors in the state that is kept: 1, 6 and 10."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core.errors import InputError
from thetahat.grade._contract import scalar
from thetahat.grade._evidence import Evidence, lowest, part_risks, raised_on_purpose
from thetahat.grade._finding import Finding
from thetahat.grade._judge_log import is_still
from thetahat.grade._program import Outcome, error_line
from thetahat.grade._syntax import (
    comparison_line,
    constant_line,
    kept_lines,
    key_line,
    metric_line,
)


def judge_state(evidence: Evidence) -> Iterator[Finding | str]:
    """Findings, and notes on a state that no epoch had."""
    if not is_still(evidence):
        yield from _best_state(evidence)
    yield from _no_number(evidence)
    yield from _choice(evidence)


def same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    """Whether two states predict the same on the train and val parts."""
    return all(
        np.allclose(a[part], b[part], rtol=1e-4, atol=1e-6, equal_nan=True)
        for part in ("train", "val")
    )


@dataclass(frozen=True)
class Kept:
    """Which state a run returned: "val", "test", "last" or "other"; epochs are positions.

    Args:    best: the epoch whose val loss is lowest.   by_test: that of the test loss.
             clear: whether no other rule returns this state too.
    """

    by: str
    best: int
    by_test: int | None
    last: int
    clear: bool


def _kept(outcome: Outcome) -> Kept:
    records, final = outcome.tracker.records, outcome.final
    logged = [scalar(record.numbers.get("val_loss")) for record in records]
    own = lowest([math.nan if one is None else one for one in logged])
    right = {k for k in (own, lowest(part_risks(outcome, "val"))) if k is not None}
    by_test, last = lowest(part_risks(outcome, "test")), len(records) - 1
    rules = {"val": right, "test": {by_test} - {None, last}, "last": {last}}
    fits = [
        rule
        for rule, epochs in rules.items()
        if any(same(final, records[k].predicted) for k in epochs if k is not None)
    ]
    by = fits[0] if fits else "other"
    clear = by_test is None or by == "other" or not same(final, records[by_test].predicted)
    return Kept(by, min(right, default=0), by_test, last, clear or by == "test")


def cannot_tell_apart(evidence: Evidence) -> bool:
    """Whether no run shows if the val or the test loss decides which state is kept."""
    return not _kept(evidence.base).clear and evidence.apart is None


def _best_state(evidence: Evidence) -> Iterator[Finding | str]:
    kept = _kept(evidence.base)
    if not kept.clear and evidence.apart is not None:
        other = _kept(evidence.apart)
        kept = other if other.by == "test" else kept
    if kept.by == "test":
        assert kept.by_test is not None
        at = _kept_state(evidence)
        yield Finding(
            6,
            max(_if_lines(evidence.program.tree, at), default=at),
            f"the returned state is that of epoch {kept.by_test + 1}, whose test loss is lowest;"
            f" val_loss is lowest after epoch {kept.best + 1}",
        )
    elif kept.by == "last":
        yield Finding(
            1,
            _kept_state(evidence),
            f"val_loss is lowest after epoch {kept.best + 1}, and the returned state is that of the"
            f" last epoch, {kept.last + 1}",
        )
    elif kept.by == "other":
        yield (
            f"the returned predict is not that of epoch {kept.best + 1}, whose val_loss is lowest"
        )


def _if_lines(tree: ast.AST, line: int) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and node.lineno < line <= (node.end_lineno or 0)
    ]


def _kept_state(evidence: Evidence) -> int:
    """The line that keeps the best state: under a comparison in a loop, and not a number."""
    lines = kept_lines(evidence.program.tree)
    kinds = {(one.line, one.name): one.kind for one in evidence.trace.bindings}
    states = [line for line, name in lines if kinds.get((line, name)) == "state"]
    if states:
        return states[0]
    returned = key_line(evidence.program.tree, "predict")
    return lines[0][0] if lines else returned or 1


def _no_number(evidence: Evidence) -> Iterator[Finding]:
    """Outcomes that are not numbers: the program must keep a state, or say what is wrong."""
    outcome = evidence.noisy
    error = outcome.error
    if error is None or raised_on_purpose(evidence.program.tree, outcome):
        return
    if isinstance(error, InputError) and "predict" not in str(error):
        return
    tree = evidence.program.tree
    at = error_line(error, evidence.program.file) or key_line(tree, "predict", value=False)
    names = {error.name} if isinstance(error, NameError) and error.name else _names_at(tree, at)
    line = comparison_line(tree, {str(name) for name in names}) or at or 1
    said = str(error).strip().partition("\n")[0][:120]
    yield Finding(
        10, line, f"if every val loss is nan, train ends by {type(error).__name__}: {said}"
    )


def _names_at(tree: ast.AST, line: int) -> set[str]:
    """Names of the statement at a line, and those of the lambdas and functions it may call."""
    return {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.lineno == line
    }


class WatchedRun(dict[str, Any]):
    """A result given to ``choose``."""


def _choice(evidence: Evidence) -> Iterator[Finding]:
    """``choose(runs)``, or the metric of a sweep's dict."""
    module, tree = evidence.base.module.__dict__, evidence.program.tree
    for name, value in module.items():
        metric = value.get("metric") if isinstance(value, dict) else None
        if isinstance(metric, dict) and str(metric.get("name", "")).startswith("test"):
            line = metric_line(tree) or constant_line(tree, str(metric["name"])) or 1
            yield Finding(6, line, f"the metric of {name} is {metric['name']}")
            return
    choose = module.get("choose")
    if not callable(choose):
        return
    val, test = (0.52, 0.31, 0.44), (0.23, 0.91, 0.67)
    runs = [
        WatchedRun(val_loss=v, test_loss=t, config={"seed": k})
        for k, (v, t) in enumerate(zip(val, test, strict=True))
    ]
    try:
        chosen = choose(runs)
    except Exception as error:
        raise InputError(
            f"{evidence.program.file}: choose raised {type(error).__name__}: {error}"
            f" (line {error_line(error, evidence.program.file)})"
        ) from error
    place = next((k for k, run in enumerate(runs) if chosen is run), None)
    number = scalar(chosen) if place is None else place
    if number == 0:
        line = _line_in(tree, "choose", "test_loss")
        shows = "of three runs choose takes the one with the lowest test_loss, not val_loss"
        yield Finding(6, line, shows)


def _line_in(tree: ast.AST, function: str, text: str) -> int:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return constant_line(node, text) or constant_line(tree, text) or node.lineno
    return constant_line(tree, text) or 1
