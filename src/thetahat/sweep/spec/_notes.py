"""What a sweep file says that is right, and may still surprise."""

from __future__ import annotations

import math
import re
from typing import Any

from thetahat.core.yaml_tree import At
from thetahat.sweep.spec._diagnostics import Findings
from thetahat.sweep.spec._keys import short, written

_SILENT = {
    "entity": "names an account of W&B; there is none here",
    "job": "names a job of W&B Launch; runs are started by program or command here",
    "image_uri": "names a container for W&B Launch; runs are started by program or command here",
}
_LARGER_WORDS = {
    *("acc", "accuracy", "auc", "auroc", "auprc", "ap", "map", "f1", "r2", "precision", "recall"),
    *("score", "reward", "rewards", "return", "returns", "bleu", "rouge", "iou", "dice", "sharpe"),
}
_SMALLER_WORDS = {"loss", "risk", "error", "err", "brier", "regret"}
_TEST_WORDS = {"test", "tests", "testing", "testset"}


def note_account(root: At, findings: Findings) -> None:
    """Keys that mean nothing without an account."""
    for name, meaning in _SILENT.items():
        if name in root.inside:
            findings.note(root.inside[name], f"{name} {meaning}; it is ignored")
    controller = root.inside.get("controller")
    if controller is not None and controller.kind == "mapping":
        kind = controller.inside.get("type")
        if kind is not None and kind.value == "cloud":
            findings.note(kind, "here every sweep is local, with no account; it is ignored")


def note_traps(at: At, findings: Findings) -> None:
    """Words that YAML takes for something else, and what they are taken for."""
    wrong = {(problem.line, problem.key) for problem in findings.errors}
    for child in at.walk():
        if child.trap and (child.line, child.key) not in wrong:
            findings.note(child, child.trap)


def note_exponents(at: At, kind: str, findings: Findings, top: bool, sound: bool) -> None:
    """The values that exponents of e stand for; W&B refuses these distributions by now."""
    said = at.inside["distribution"]
    if not sound:
        if top:
            findings.theirs(said, f"W&B no longer takes {kind}; write distribution: {kind}_values")
        return
    low, high = at.inside["min"].value, at.inside["max"].value
    sign = -1 if kind.startswith("inv_") else 1
    first, last = sorted(math.exp(sign * bound) for bound in (low, high))
    bounds = (
        f"the values {written(low)} to {written(high)}" if low > 0 else "bounds that are values"
    )
    message = (
        f"the bounds of {kind} are exponents of e: this draws from {first:.5g} to {last:.5g}; for"
        f" {bounds} write distribution: {kind}_values"
    )
    if low > 0 and (high <= 1 or high > 40):
        message += ", which these bounds look like"
    # W&B's verdict is that of the top only: nested parameters are not looked at.
    if top:
        findings.theirs(said, f"{message} (W&B no longer takes {kind})")
    else:
        findings.note(said, message)


def note_inference(at: At, kind: str, findings: Findings) -> None:
    """What follows from the bounds where no distribution is said."""
    if "distribution" in at.inside or "min" not in at.inside:
        return
    low, high = at.inside["min"], at.inside["max"]
    if kind == "int_uniform" and (low.value, high.value) == (0, 1):
        findings.note(
            at,
            "whole bounds draw whole numbers: 0 and 1 only; for all numbers between write min: 0.0,"
            " max: 1.0",
        )
    if kind == "uniform" and low.kind != high.kind:
        whole = low if low.kind == "int" else high
        name = whole.key.rpartition(".")[2]
        findings.note(
            whole,
            f"one bound is whole and one is not, so this is uniform; wandb's client refuses the"
            f" mixture: write {name}: {float(whole.value)!r}",
        )


def note_duplicates(at: At, findings: Findings) -> None:
    """Values that stand twice in a grid, where 3.0 equals 3."""
    values = at.inside.get("values")
    if values is None:
        return
    seen: dict[str, int] = {}
    for i, child in values.inside.items():
        first = seen.setdefault(_alike(child.value), i)
        if first != i:
            findings.note(
                child, f"{short(child.value)} stands here again (as values[{first}]); it runs once"
            )


def _alike(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr(value)


def is_test_metric(name: str) -> bool:
    """Whether a metric is measured on the test set, as its name says.

    >>> [is_test_metric(name) for name in ("test_loss", "loss/test", "testLoss", "latest_loss")]
    [True, True, True, False]
    """
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return any(part.lower() in _TEST_WORDS for part in parts)


def note_contamination(at: At, findings: Findings) -> None:
    """A metric of the test set chooses on what should judge the choice."""
    findings.note(
        at,
        f"contaminated: {at.value} tunes on the test set, so it no longer measures anything unseen;"
        " the sweep runs and is marked everywhere; for an honest choice name a validation metric,"
        " such as val_risk",
    )


def reads_as_larger(name: str) -> bool:
    """Whether a metric is better the larger it is, as far as its name says.

    >>> [reads_as_larger(name) for name in ("val_accuracy", "eval/F1", "meanReward", "val_loss")]
    [True, True, True, False]
    """
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*", name)}
    return bool(parts & _LARGER_WORDS) and not parts & _SMALLER_WORDS


def note_direction(at: At, findings: Findings) -> None:
    """A metric that reads as better when larger, in a file without goal: the sweep minimizes it."""
    if reads_as_larger(str(at.value)):
        findings.note(
            at,
            f"the file has no goal, so the sweep minimizes {at.value}; write goal: maximize, or"
            " goal: minimize if less is better",
        )
