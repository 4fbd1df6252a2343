"""Errors in the state that is kept: 1, 6 and 10."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from thetahat.core.errors import InputError
from thetahat.grade._contract import scalar
from thetahat.grade._evidence import Evidence, raised_on_purpose, val_risks
from thetahat.grade._finding import Finding
from thetahat.grade._judge_log import is_still
from thetahat.grade._losses import mean_square
from thetahat.grade._program import error_line
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


def _least(values: list[float]) -> int | None:
    known = [k for k, value in enumerate(values) if math.isfinite(value)]
    return min(known, key=lambda k: values[k]) if known else None


def _best_state(evidence: Evidence) -> Iterator[Finding | str]:
    base = evidence.base
    records, final = base.tracker.records, base.final
    logged = [scalar(record.numbers.get("val_loss")) for record in records]
    own = _least([math.nan if one is None else one for one in logged])
    right = {k for k in (own, _least(val_risks(base))) if k is not None}
    if any(same(final, records[k].predicted) for k in right):
        return
    best, last = min(right, default=0), len(records) - 1
    by_test = _best_test(evidence)
    tree = evidence.program.tree
    if by_test is not None and by_test != last and same(final, records[by_test].predicted):
        kept = _kept_state(evidence)
        line = max((n for n in _if_lines(tree, kept)), default=kept)
        yield Finding(
            6,
            line,
            f"the returned state is that of epoch {by_test + 1}, whose test loss is lowest; val_loss is"
            f" lowest after epoch {best + 1}",
        )
    elif same(final, records[last].predicted):
        yield Finding(
            1,
            _kept_state(evidence),
            f"val_loss is lowest after epoch {best + 1}, and the returned state is that of the last"
            f" epoch, {last + 1}",
        )
    else:
        yield f"the returned predict is not that of epoch {best + 1}, whose val_loss is lowest"


def _best_test(evidence: Evidence) -> int | None:
    records, raw = evidence.base.tracker.records, evidence.base.tracker.raw
    if "test" not in raw or any("test" not in record.predicted for record in records):
        return None
    return _least([mean_square(record.predicted["test"], raw["test"][1]) for record in records])


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
    except Exception as error:  # noqa: BLE001 - of the program
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


