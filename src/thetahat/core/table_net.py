"""Defaults of the net for tables: those of ``thetahat fit`` and of the scikit-learn estimators."""

from __future__ import annotations

from typing import NamedTuple

MEMBERS = 8
"""Nets that the default averages."""
RATE, CLASS_RATE, DECAY = 0.07, 0.04, 0.02
"""Learning rate for numbers and for classes, and weight decay."""
WIDTH, DEPTH = 64, 3
BATCH, EPOCHS, STEPS = 256, 256, 4000
"""Observations per step, epochs, and steps, of which long tables take no more."""


class NetSizes(NamedTuple):
    """Sizes of a fit.

    Args:    steps: updates of the whole training.   patience: epochs without a better val risk.
    """

    batch_size: int
    epochs: int
    steps: int
    patience: int


def net_sizes(
    n_train: int,
    *,
    batch_size: int | None = None,
    epochs: int | None = None,
    patience: int | None = None,
) -> NetSizes:
    """Give the sizes of a fit to ``n_train`` observations, where they are not given.

    >>> net_sizes(400)
    NetSizes(batch_size=256, epochs=256, steps=512, patience=64)
    """
    batch = min(batch_size or BATCH, n_train)
    steps = -(-n_train // batch)
    epochs = epochs or max(16, min(EPOCHS, STEPS // steps))
    return NetSizes(batch, epochs, epochs * steps, patience or max(1, epochs // 4))


def net_activation(classes: bool) -> str:
    """Name the activation.

    >>> net_activation(classes=False)
    'mish'
    """
    return "selu" if classes else "mish"
