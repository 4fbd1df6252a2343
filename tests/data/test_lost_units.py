"""Parts of standardised data that are put together anew say that their units are lost."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import thetahat as th


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame({"a": rng.normal(100, 10, 50), "b": rng.normal(size=50)})
    return made.assign(y=500 + 5 * made.a + made.b)


def test_parts_of_a_standardised_split_are_told(frame) -> None:
    data = th.split(th.read_table(frame, target="y"), seed=0)
    with pytest.warns(th.Notice, match="train and test are parts of data that were standardised"):
        th.Data(train=data.train, test=data.test)
    with pytest.warns(th.Notice, match="val is a part of data"):
        th.Data(train=th.Observations(np.ones((3, 2)), np.ones(3)), val=data.val)


def test_a_standardised_split_of_arrays_is_told(frame) -> None:
    x, y = frame[["a", "b"]].to_numpy(), frame.y.to_numpy()
    data = th.split((x, y), standardize=True, seed=0)
    with pytest.warns(th.Notice, match="units"):
        th.Data(data.train)


def test_other_parts_are_not(frame) -> None:
    plain = th.split(th.read_table(frame, target="y", standardize=False), seed=0)
    arrays = th.split((frame[["a", "b"]].to_numpy(), frame.y.to_numpy()), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in (plain, arrays):
            th.Data(train=data.train, test=data.test)
        own = th.split(th.read_table(frame, target="y"), seed=0)
        own.changed(val=None)
