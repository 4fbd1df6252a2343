"""A column that does not vary in train becomes 0, whatever its value and however many rows."""

import numpy as np
import pytest

import thetahat as th

DRAWS = np.random.default_rng(0)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 2.2, 0.001, 123.456, 7.7, -0.7, 1e6 + 0.1])
@pytest.mark.parametrize("n", [50, 200, 333, 10_000])
def test_a_constant_is_zero_in_arrays(value, n):
    x = np.c_[DRAWS.normal(size=n), np.full(n, value)]
    data = th.split((x, x[:, 0]), train=1.0, val=0, test=0, standardize=True)
    assert (np.asarray(data.train.x)[:, 1] == 0).all()
    assert data.transform.x_std[1] == 1
    assert np.asarray(data.train.x)[:, 0].std() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_in_train_alone_is_zero_in_tables(weighted):
    n = 400
    c = np.full(n, 0.3)
    c[350:] = DRAWS.normal(size=50)
    a, w = DRAWS.normal(size=n), np.where(np.arange(n) % 5 == 0, 0.0, 1.7)
    table = {"a": a, "c": c, "y": a + DRAWS.normal(size=n), "t": np.arange(n), "w": w}
    given = {"weights": "w"} if weighted else {"ignore": ["w", "t"]}
    found = th.read_table(table, "y", **{"ignore": ["t"], **given})
    data = th.split(found, train=350, val=0, test=50, order="t")
    assert (np.asarray(data.train.x)[:, 1] == 0).all()
    assert np.asarray(data.test.x)[:, 1] == pytest.approx(c[350:] - 0.3, rel=1e-6)


def test_a_column_that_varies_in_a_row_of_weight_0_alone_is_constant():
    x = np.c_[DRAWS.normal(size=60), np.full(60, 0.3)]
    x[0, 1] = 5.0
    weight = np.r_[0.0, np.ones(59)]
    part = th.Observations(x, x[:, 0], weight)
    data = th.split(part, train=1.0, val=0, test=0, standardize=True)
    column = np.sort(np.asarray(data.train.x)[:, 1])
    assert (column[:59] == 0).all()
    assert column[59] == pytest.approx(4.7, rel=1e-6)
