"""Curves of many fits for a panel: a median with a band, or a mean with its standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thetahat.figures import Line
from thetahat.lab._sample import mean_se, quantile_band


def band_line(name: str, x: Sequence[float], values: Any, axis: int = 0) -> Line:
    """Make a line of medians over ``axis``, with a band of the quantiles .1 and .9."""
    low, middle, high = quantile_band(values, axis)
    return Line(name, x, middle.tolist(), low.tolist(), high.tolist())


def mean_line(name: str, x: Sequence[float], values: Any, axis: int = 0) -> Line:
    """Make a line of means over ``axis``, with a band of two standard errors.

    A band of positive values ends at a third of the mean, so that it can be drawn on a log scale.
    """
    mean, se = mean_se(values, axis)
    low = mean - 2 * se
    if (np.asarray(values) > 0).all():
        low = np.maximum(low, mean / 3)
    return Line(name, x, mean.tolist(), low.tolist(), (mean + 2 * se).tolist())
