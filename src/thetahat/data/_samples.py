"""Many samples of rows of the same arrays, so that their fits train as one cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from thetahat.data._containers import Data, Observations

TRAIN, VAL = 1, 2
"""Codes of a sample's rows; 0 is in neither part."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The Data of each of several samples of rows; the sample's number may be traced.

    Every sample takes its x and y as ``(value - mean) / std`` by its own numbers. Samples with
    fewer rows than the largest one end in rows of weight zero.

    Args:    x, y: all rows, (n, d) and (n, targets).   weight: (n,), or None.
             target: of each sample, the column of y, (S,).   parts: codes of its rows, (S, n).
             x_mean, x_std: (S, d).   y_mean, y_std: (S,).
    >>> x, zero, parts = np.arange(4.0)[:, None], np.zeros((2, 1)), [[1, 1, 1, 2], [2, 0, 1, 1]]
    >>> samples = Samples(x, x, None, np.array([0, 0]), np.array(parts), zero, zero + 1,
    ...                   zero[:, 0], zero[:, 0] + 1)
    >>> samples(1).train.x[:, 0].tolist(), samples(1).train.weight.tolist()
    ([2.0, 3.0, 0.0], [1.0, 1.0, 0.0])
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    target: np.ndarray
    parts: np.ndarray
    x_mean: np.ndarray
    x_std: np.ndarray
    y_mean: np.ndarray
    y_std: np.ndarray

    def __call__(self, sample: Any) -> Data:
        """Take one sample."""
        at = [jnp.asarray(a)[sample] for a in (self.x_mean, self.x_std, self.y_mean, self.y_std)]
        x_mean, x_std, y_mean, y_std = at
        own, column = jnp.asarray(self.parts)[sample], jnp.asarray(self.target)[sample]
        sizes = {code: np.count_nonzero(self.parts == code, axis=1) for code in (TRAIN, VAL)}
        weighted = self.weight is not None or any(np.ptp(n) for n in sizes.values())
        made = {}
        for name, code in (("train", TRAIN), ("val", VAL)):
            if not (most := int(sizes[code].max())):
                continue
            rows = jnp.nonzero(own == code, size=most, fill_value=0)[0]
            weight = None
            if weighted:
                there = jnp.arange(most) < jnp.asarray(sizes[code])[sample]
                given = 1.0 if self.weight is None else jnp.asarray(self.weight)[rows]
                weight = jnp.where(there, given, 0.0)
            x = (jnp.asarray(self.x)[rows] - x_mean[None]) / x_std[None]
            y = (jnp.asarray(self.y)[rows, column] - y_mean) / y_std
            made[name] = Observations(x, y, weight)
        return Data(**made)
