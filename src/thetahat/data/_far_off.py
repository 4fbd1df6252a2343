"""A notice of inputs that look as if they were standardised already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thetahat.core.errors import notify

_SMALL, _FAR = 6.0, 3.0
"""Standardised numbers are hardly larger; numbers in a table's units are hardly so far off."""


def say_far_off(x: np.ndarray, scaled: np.ndarray, names: Sequence[str]) -> None:
    """Notify of small numbers that all lie far from the training part.

    Args:    x: as given, (n, d).   scaled: the same, standardised.   names: of the columns.
    """
    with np.errstate(invalid="ignore"):
        if not len(x) or not (np.abs(x) <= _SMALL).all():
            return
        far = (np.abs(scaled) > _FAR).all(axis=0)
    if far.any():
        notify(
            f"predict got numbers that lie more than {_FAR:g} standard deviations from the training"
            f" part in {names[int(np.argmax(far))]!r}, in every row. It takes the table's units;"
            " data.test.x is standardised already: give rows of the table, as"
            " frame.iloc[data.rows['test']], or of a Result, predict('test')"
        )
