"""Scores of a fit as labels and probabilities of classes, whatever backend made them."""

from __future__ import annotations

from typing import Any

import numpy as np

from thetahat import risk
from thetahat.core import ConfigError, RunFailed, Task
from thetahat.data import Classes


def classes_of(task: Task, data: Any) -> Classes | None:
    """Return the classes that a fit's scores decide between; None if it predicts numbers.

    A residual of the user's own may take another score than h(x): it has none.
    """
    needs = risk.resolve_loss(task.loss).needs
    if task.residual is not None or needs not in (risk.BINARY, risk.CLASSES):
        return None
    return getattr(data, "classes", None)


def labels(scores: np.ndarray, classes: Classes, task: Task) -> np.ndarray:
    """Return the most probable label of scores (...), or (..., k).

    Raises:  RunFailed: scores that are not finite.
    """
    if not np.isfinite(scores).all():
        raise RunFailed(
            "the fit's scores are not finite, so they have no label; look at x and at result.reason"
        )
    binary = risk.resolve_loss(task.loss).needs is risk.BINARY
    return classes.decode((scores > 0).astype(np.int64) if binary else scores.argmax(-1))


def probabilities(scores: np.ndarray, task: Task) -> np.ndarray:
    """Return the probabilities of the classes, (..., k), in double precision.

    Raises:  ConfigError: a loss without probabilities, or a residual of the user's own.
    >>> task = Task(None, None, loss="logistic")
    >>> probabilities(np.array([0.0, np.log(3.0)]), task).round(6)
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    loss = risk.resolve_loss(task.loss)
    if task.residual is not None or loss.function not in (risk.logistic, risk.cross_entropy):
        own = " and a residual of its own" if task.residual is not None else ""
        raise ConfigError(
            f"the fit has the loss {loss.name}{own}, so its predictions have no probabilities;"
            ' give loss="logistic" or loss="cross_entropy" and no residual, or take'
            " result.decision_function(x)"
        )
    scores = np.asarray(scores, np.float64)
    if loss.function is risk.logistic:
        scores = np.stack([np.zeros_like(scores), scores], -1)
    top = np.exp(scores - scores.max(-1, keepdims=True))
    return top / top.sum(-1, keepdims=True)
