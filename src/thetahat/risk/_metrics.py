"""What a metric gives, as one number. No shape is ever broadcast."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core import Metric
from thetahat.core.errors import ShapeError
from thetahat.risk._residuals import describe


def metric_of(name: str, metric: Metric, h: Any, *z: Any) -> jax.Array:
    """The metric of a hypothesis, or of a hypothesis at one observation: shape ().

    Truths and counts are numbers: ``(h(x) > 0) == (y > 0)`` is an accuracy.

    Raises:  ShapeError (when traced): it is not one real number.
    """
    value, per = metric.function(h, *z), " per observation" if z else ""
    if isinstance(value, (tuple, list, dict, str)) or value is None:
        raise ShapeError(
            f"the metric {name!r} must return a scalar{per}; got {describe(value)}."
            + (" Does the function return?" if value is None else "")
        )
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ShapeError(
            f"the metric {name!r} must return a real number{per}; got {array.dtype}."
            " Take jnp.real or jnp.abs."
        )
    if array.shape == ():
        return array
    if not z:
        fix = " Take a norm or a mean."
    elif array.shape == (1,):
        fix = ' Use h(x)[0], or MLP(..., out="scalar").'
    else:
        fix = " Take a mean, and look for a broadcast if none was meant."
    raise ShapeError(
        f"the metric {name!r} must return a scalar{per}; got shape {array.shape}.{fix}"
    )
