"""How a member ended, and why; and the proof of its best state."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from thetahat.core import Notice, Status
from thetahat.core.metric import RISKS
from thetahat.train import _program as program
from thetahat.train._driver import Drive
from thetahat.train._stopping import sort_rules


def verdict(
    task: Any,
    ended: Drive,
    standing: program.Standing,
    history: Mapping[str, np.ndarray],
    k: int,
    stopped: str = "",
) -> tuple[Status, str]:
    """How a member ended, and why; ``stopped`` is the host's reason, if it was the host."""
    outcome, epochs = int(standing.outcome[k]), int(standing.epochs[k])
    if outcome == program.STOPPED:
        return Status.STOPPED, stopped or f"stopped after epoch {epochs} of {task.epochs}"
    if outcome == program.DIVERGED:
        came = {n: history[n][-1] for n in ("train_risk", "val_risk") if n in history}
        said = ", ".join(f"{n} = {v:.4g}" for n, v in came.items())
        return Status.DIVERGED, f"{said} in epoch {epochs}; the state before it is kept"
    unmoved = "no parameter changed in {} epochs: check the learning rate and what is trainable"
    if outcome == program.UNMOVED or (epochs == task.epochs and not standing.moved[k]):
        return Status.UNMOVED, unmoved.format(epochs)
    if outcome >= program.FIRST_RULE:
        rule = sort_rules(task.stopping).inside[outcome - program.FIRST_RULE]
        return Status.STOPPED, rule.reason({n: float(history[n][-1]) for n in history})
    if ended.cut == "interrupted" and epochs < task.epochs:
        return Status.INTERRUPTED, f"interrupted after epoch {epochs} of {task.epochs}"
    if ended.cut == "wall time" and epochs < task.epochs:
        return Status.STOPPED, f"the wall time of {sort_rules(task.stopping).wall_s:g} s is over"
    return Status.FINISHED, f"all {task.epochs} epochs done"


def prove(name: str, kept: float, again: float, epoch: int, dtype: str = "float64") -> None:
    """The best state, re-evaluated, must give the number that it was chosen for."""
    if not np.isclose(kept, again, rtol=1e-3, atol=1e-6):
        what = "the residual" if name in RISKS else "the metric"
        coarse = (
            ", or float32 rounds too coarsely for its numbers: standardise the data, or give"
            " dtype='float64' (--dtype float64)"
        )
        warnings.warn(
            f"the best state (epoch {epoch}) was chosen at {name} {kept:.6g} and re-evaluates to"
            f" {again:.6g}; {what} or the model is not a function of its arguments alone"
            + (coarse if dtype == "float32" else ""),
            Notice,
            stacklevel=2,
        )
