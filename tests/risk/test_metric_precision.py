"""Ready metrics of NumPy's numbers have the digits that those have: neither wrapped nor rounded."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import thetahat as th

M = th.metrics


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (np.array([1, 1], np.uint8), np.array([2, 2], np.uint8)),
        (np.array([127, 127], np.int8), np.array([-128, -128], np.int8)),
        (np.array([2**31 - 1] * 3), np.array([-(2**31)] * 3)),
        (np.full(4, 300, np.float16), np.zeros(4, np.float16)),
    ],
)
def test_whole_and_short_numbers_do_not_wrap(prediction, target):
    apart = np.abs(prediction.astype(float) - target.astype(float))
    assert M.mae(prediction, target) == apart.mean()
    assert M.rmse(prediction, target) == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-12)
    assert M.pinball(0.5)(prediction, target) == pytest.approx(apart.mean() / 2, rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 1e4, 1e7, 1e8])
def test_a_level_costs_no_digits(level):
    draws = np.random.default_rng(0)
    target = level + draws.normal(size=500)
    prediction = target + 0.3 * draws.normal(size=500)
    assert M.r2(prediction, target) == pytest.approx(r2_score(target, prediction), rel=1e-9)
    assert M.mae(prediction, target) == pytest.approx(
        mean_absolute_error(target, prediction), rel=1e-9
    )
    assert M.rmse(prediction, target) == pytest.approx(
        root_mean_squared_error(target, prediction), rel=1e-9
    )


def test_arrays_of_jax_keep_their_precision():
    found = M.mae(jnp.array([1.0, 4.0]), jnp.array([2.0, 2.0]))
    assert found.dtype == "float32"
    assert M.mae(jnp.array([1, 1], jnp.uint8), jnp.array([2, 2], jnp.uint8)) == 1.0


@pytest.mark.parametrize("ready", [M.mae, M.rmse, M.r2, M.pinball(0.3)])
def test_what_weighs_nothing_counts_for_nothing_even_a_nan(ready):
    draws = np.random.default_rng(1)
    y = draws.normal(size=30)
    h, w = y + draws.normal(size=30), draws.uniform(0.5, 2, size=30)
    w[[3, 7]] = 0
    kept = w > 0
    alone = ready(h[kept], y[kept], w[kept])
    h[3], y[7] = np.nan, np.inf
    assert ready(h, y, w) == pytest.approx(alone, rel=1e-12)


def test_a_log_loss_leaves_out_what_weighs_nothing():
    scores, y = np.array([0.3, np.nan, -1.0]), np.array([1, 0, 0])
    found = M.log_loss(scores, y, np.array([1.0, 0.0, 1.0]))
    assert found == pytest.approx(M.log_loss(scores[[0, 2]], y[[0, 2]]), rel=1e-12)
