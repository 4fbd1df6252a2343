"""The runs of a program that are compared: with other settings, and under another release."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core.errors import InputError
from thetahat.grade._contract import SETTINGS
from thetahat.grade._later_release import later_release
from thetahat.grade._origin import LineTrace
from thetahat.grade._program import Outcome, StudentProgram, run_program

_RATES: tuple[Mapping[str, Any], ...] = (
    {},
    {"gamma": 3.1},
    {"lr": 0.0713, "gamma": 2.4},
    {"gamma": 1.6, "epochs": 8},
)
"""Settings to try until the best epoch is not the last."""
_APART: tuple[Mapping[str, Any], ...] = tuple(
    {"n_val": 9, "n_test": 11, "epochs": 12, "patience": 12, "seed": seed, **rest}
    for rest in (
        {"noise": 3.0, "lr": 0.15, "gamma": 0.9},
        {"noise": 2.0, "lr": 0.1, "gamma": 1.0},
    )
    for seed in (13, 14, 12)
)
"""Settings to try until the best epochs of val and test differ: few rows, and much noise."""
DELIBERATE = (AssertionError, FloatingPointError)


@dataclass(frozen=True)
class Evidence:
    """What is known of a program before it is judged.

    Args:
        base: the long run, whose gradients were watched.
        again: one epoch; ``deeper``: with another layer; ``faster``: with another rate; ``later``:
            under another release of the libraries; ``noisy``: with outcomes that are not numbers.
    """

    program: StudentProgram
    base: Outcome
    again: Outcome
    deeper: Outcome
    faster: Outcome
    later: Outcome
    noisy: Outcome

    @functools.cached_property
    def trace(self) -> LineTrace:
        """The lines of a run of one epoch."""
        nodes = ast.walk(self.program.tree)
        returns = frozenset(node.lineno for node in nodes if isinstance(node, ast.Return))
        trace = LineTrace(self.program.file, float(self.base.config["lr"]), returns)
        outcome = run_program(self.program, self.again.config, around=trace.tracing)
        if outcome.error is not None and self.again.error is None:
            raise outcome.error
        return trace

    @functools.cached_property
    def apart(self) -> Outcome | None:
        """A run whose best test epoch is neither the best val epoch nor the last.

        It is for a program whose long run cannot tell which loss decides; None if there is none.
        """
        for settings in _APART:
            outcome = run_program(self.program, {**SETTINGS, **settings})
            val, test = (lowest(part_risks(outcome, part)) for part in ("val", "test"))
            last = len(outcome.tracker.records) - 1
            if outcome.error is None and None not in (val, test) and test not in (val, last):
                return outcome
        return None

    def truth_of(self, part: str) -> np.ndarray:
        """The outcomes of a part in the long run."""
        return self.base.tracker.raw[part][1]


def gather(program: StudentProgram) -> Evidence:
    """Run a program with all configs.

    Raises:  InputError: it does not do what a graded program must, or it raised an error.
    """
    base = _long_run(program)
    short = {**base.config, "epochs": 1}
    deeper = {**short, "depth": int(short["depth"]) + 1}
    faster = {**short, "lr": 1.37 * float(short["lr"])}
    return Evidence(
        program,
        base,
        run_program(program, short),
        run_program(program, deeper),
        run_program(program, faster),
        run_program(program, short, around=later_release),
        run_program(program, {**base.config, "epochs": 2, "noise": float("nan")}),
    )


def _long_run(program: StudentProgram) -> Outcome:
    """The first run whose best epoch is not its last; else the first that ended well."""
    failed: Outcome | None = None
    ended: Outcome | None = None
    for rates in _RATES:
        outcome = run_program(program, {**SETTINGS, **rates}, watched=True)
        if outcome.error is not None:
            failed = failed or outcome
            if not raised_on_purpose(program.tree, outcome):
                break
            continue
        ended = ended or outcome
        if _is_informative(outcome):
            return outcome
    if ended is not None:
        return ended
    assert failed is not None
    raise _why(program, failed)


def _is_informative(outcome: Outcome) -> bool:
    risks = part_risks(outcome, "val")
    best = lowest(risks)
    return best is not None and (best < len(risks) - 1 or len(set(risks)) == 1)


def part_risks(outcome: Outcome, part: str) -> list[float]:
    """The mean squared error over a part after each epoch; none if a record lacks the part."""
    raw, records = outcome.tracker.raw, outcome.tracker.records
    if part not in raw or any(part not in record.predicted for record in records):
        return []
    y = raw[part][1]
    with np.errstate(all="ignore"):
        return [float(np.mean((record.predicted[part] - y) ** 2)) for record in records]


def lowest(risks: Sequence[float]) -> int | None:
    """The epoch with the lowest risk, of those that are numbers."""
    known = [k for k, risk in enumerate(risks) if np.isfinite(risk)]
    return min(known, key=lambda k: risks[k]) if known else None


def raised_on_purpose(tree: ast.AST, outcome: Outcome) -> bool:
    """Whether the program itself raised the error, by ``raise`` or ``assert``."""
    lines = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return isinstance(outcome.error, DELIBERATE) or outcome.error_line in lines


def _why(program: StudentProgram, outcome: Outcome) -> InputError:
    error = outcome.error
    where = f" (line {outcome.error_line})" if outcome.error_line else ""
    if isinstance(error, InputError):
        said = str(error)
        return InputError(said if program.file in said else f"{program.file}: {said}{where}")
    if isinstance(error, SystemExit):
        return InputError(f"{program.file} ends Python{where}; train must return a dict")
    if isinstance(error, ModuleNotFoundError):
        return InputError(f"{program.file} imports {error.name}, which is not installed{where}")
    if isinstance(error, MemoryError):
        return InputError(f"{program.file} takes more memory than it may{where}; use less")
    said = str(error).strip().partition("\n")[0][:200]
    return InputError(
        f"{program.file} raised {type(error).__name__}: {said}{where}; grade a program that runs"
    )
