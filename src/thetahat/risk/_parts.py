"""Metrics of a whole part: their functions, and the predictions and targets that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from thetahat.core import Metric
from thetahat.core.errors import ConfigError
from thetahat.risk import metrics
from thetahat.risk._losses import PREDICTION, Loss
from thetahat.risk._needs import SHARES
from thetahat.risk._residuals import Residual, pair_of


def prediction_and_target(residual: Residual | None, loss: Loss) -> Callable[[Any, Any], Any]:
    """Return ``f(h, z) -> (prediction, target)`` of one observation, for metrics of a part.

    Under a loss of a prediction it is the pair (score, target) of the loss; else (h(x), y).

    Raises:  ConfigError (when traced): an observation without x and y.
    """
    own = residual if loss.of == PREDICTION else None

    def f(h: Any, z: Any) -> tuple[jax.Array, jax.Array]:
        return pair_of(own, loss, h, z)

    return f


def part_function(name: str, metric: Metric, loss: Loss) -> tuple[Callable[..., Any], bool]:
    """Return a metric's function of a whole part, and whether the targets' mean cancels in it.

    Args:    name: of the metric in the Task.   loss: of the Task, which says what h(x) is.
    Raises:  ConfigError: a metric of numbers under a loss of classes, or the reverse.
    """
    function: Any = metric.function
    kind = getattr(function, "kind", "")
    if isinstance(function, str):
        function, kind = metrics.READY[function]
    of_classes = loss.of == PREDICTION and loss.needs is not SHARES
    called = getattr(function, "__name__", name)
    if kind == metrics.CLASSES and not of_classes:
        raise ConfigError(
            f"the metric {called} needs scores of classes, and the loss {loss.name} fits numbers;"
            ' give loss="logistic" or loss="cross_entropy", or a metric of numbers: r2, mae, rmse,'
            " pinball"
        )
    if kind == metrics.NUMBERS and loss.of == PREDICTION:
        raise ConfigError(
            f"the metric {called} compares predictions with numbers, and under the loss {loss.name}"
            " h(x) is a score; give accuracy, balanced_accuracy, log_loss or auc"
        )
    return function, kind == metrics.NUMBERS


def takes_units(metric: Metric) -> bool:
    """Tell whether a metric is a function of a whole part that the user wrote: it may need the
    level of predictions and targets, where ready metrics of numbers need their difference."""
    ready = isinstance(metric.function, str) or hasattr(metric.function, "kind")
    return metric.kind == "part" and not ready
