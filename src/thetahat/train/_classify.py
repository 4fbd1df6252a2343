"""Scores of a fit as labels and probabilities of classes, whatever backend made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat import risk
from thetahat.core import ConfigError, RunFailed, Task
from thetahat.data import Classes, blank

BINARY, SEVERAL = "binary", "several"
LINKS = ("", "logistic", "cross_entropy")


@dataclass(frozen=True)
class ClassScores:
    """What the scores h(x) of a fit mean.

    Args:    loss, residual: in a word; residual "" is h(x) - y.
             decides: "binary" (by the sign), "several" (by the largest), or "" for numbers.
             link: the loss that makes probabilities of them, or "".
             classes: of the data, or None.
    """

    loss: str
    residual: str = ""
    decides: str = ""
    link: str = ""
    classes: Classes | None = None

    @property
    def labelled(self) -> Classes | None:
        """The classes that the scores decide between; None if they are numbers.

        A residual of the user's own may take another score than h(x): it has none.
        """
        return None if self.residual or not self.decides else self.classes

    def labels(self, scores: np.ndarray) -> np.ndarray:
        """Return the most probable label of scores (...), or (..., k); numbers stay as they are.

        A row without a score has None, and then the array is one of objects.

        Raises:  RunFailed: infinite scores, or none at all.
        """
        if self.labelled is None:
            return scores
        lost = np.isnan(scores) if self.decides == BINARY else np.isnan(scores).any(-1)
        if np.isinf(scores).any() or np.all(lost):
            raise RunFailed(
                "the fit's scores are not finite, so they have no label; look at x, which may"
                " lack a feature, and at result.reason"
            )
        codes = (scores > 0).astype(np.int64) if self.decides == BINARY else scores.argmax(-1)
        return blank(self.labelled.decode(codes), np.asarray(lost))

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes, (..., k), in double precision.

        Raises:  ConfigError: a loss without probabilities, or a residual of the user's own.
        >>> scores = ClassScores("logistic", link="logistic")
        >>> scores.probabilities(np.array([0.0, np.log(3.0)])).round(6)
        array([[0.5 , 0.5 ],
               [0.25, 0.75]])
        """
        if self.residual or not self.link:
            own = " and a residual of its own" if self.residual else ""
            raise ConfigError(
                f"the fit has the loss {self.loss}{own}, so its predictions have no probabilities;"
                ' give loss="logistic" or loss="cross_entropy" and no residual, or take'
                " result.decision_function(x)"
            )
        scores = np.asarray(scores, np.float64)
        if self.link == "logistic":
            scores = np.stack([np.zeros_like(scores), scores], -1)
        top = np.exp(scores - scores.max(-1, keepdims=True))
        return top / top.sum(-1, keepdims=True)


def scores_of(task: Task, data: Any) -> ClassScores:
    """Return what the scores of a Task's fit mean."""
    loss = risk.resolve_loss(task.loss)
    decides = {risk.BINARY: BINARY, risk.CLASSES: SEVERAL}
    links = {risk.logistic: "logistic", risk.cross_entropy: "cross_entropy"}
    residual = task.residual
    return ClassScores(
        loss=loss.name,
        residual="" if residual is None else getattr(residual, "__qualname__", "residual"),
        decides=next((word for need, word in decides.items() if loss.needs is need), ""),
        link=next((word for function, word in links.items() if loss.function is function), ""),
        classes=getattr(data, "classes", None),
    )
