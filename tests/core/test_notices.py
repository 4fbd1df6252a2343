"""Notices point at the user's program."""

from __future__ import annotations

import warnings

import numpy as np

import thetahat as th


def test_a_notice_names_the_line_of_the_program_that_called():
    def fit(rate: float = 0.5) -> th.Task:
        kept = 3 if rate > 0.2 else 2
        return th.Task(th.models.Linear(1), (np.zeros((9, 1)), np.arange(9.0)), epochs=kept)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        th.fit(fit, rate=0.4)
    notices = [warning for warning in caught if issubclass(warning.category, th.Notice)]
    assert [warning.filename for warning in notices] == [__file__]
