"""Scores that a loss can use: the logistic loss and cross-entropy take any real numbers."""

from __future__ import annotations

import math

from thetahat.core.errors import ConfigError, notify
from thetahat.risk._losses import Loss, cross_entropy, logistic

_NARROW = 0.9
"""A model whose probabilities stay below it, or above its complement, is told so."""


def check_scores(loss: Loss, low: float, high: float, by: str, outputs: int | None) -> None:
    """Refuse scores between 0 and 1, which are probabilities; notify of others in a narrow range.

    Args:    low, high: limits of the scores, by the last steps of the model; infinite if unknown.
             by: the last step, in a word, if it is known.   outputs: of the model.
    Raises:  ConfigError: both limits are in [0, 1].
    """
    several = loss.function is cross_entropy
    if loss.function is not logistic and not (several and (outputs or 0) > 1):
        return
    low, high = round(low, 6) + 0.0, round(high, 6) + 0.0  # no -0, nor what was rounded
    where = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
    where = where if low > -math.inf else f"at most {high:g}"
    last = f" (it ends in a {by})" if by else ""
    stay = _probabilities(low, high, outputs if several else None)
    takes = "logits, any real numbers" if several else "log-odds, any real number"
    said = f"the model's outputs are {where}{last}, and the loss {loss.name} takes {takes}"
    if low >= 0 and high <= 1:
        own = "softmax" if several else "sigmoid"
        raise ConfigError(
            f"{said}: {stay}. Leave the last {by or own} out; the loss and predict_proba apply a"
            f" {own}"
        )
    if stay:
        notify(f"{said}: {stay}. Leave the last {by or 'function'} out")


def _probabilities(low: float, high: float, k: int | None) -> str:
    """Say where the probabilities of a class stay; an empty text where they are nearly free.

    Args:    k: classes; None: two, by one score.
    """
    if k is not None:
        most = _sigmoid(high - low - math.log(k - 1)) if high - low < math.inf else 1.0
        return "" if most >= _NARROW else f"no class gets a probability above {most:.2g}"
    least, most = _sigmoid(low), _sigmoid(high)
    if least <= 1 - _NARROW and most >= _NARROW:
        return ""
    if most == 1:
        return f"P(y = 1) stays above {least:.2g}"
    if least == 0:
        return f"P(y = 1) stays below {most:.2g}"
    return f"P(y = 1) stays between {least:.2g} and {most:.2g}"


def _sigmoid(x: float) -> float:
    return 0.0 if x < -700 else 1 / (1 + math.exp(-x))
