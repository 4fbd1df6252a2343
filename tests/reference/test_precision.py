"""``dtype="float64"``: to machine precision, and for this fit alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thetahat as th


def far_from_zero(dtype: str = "float64") -> th.Task:
    """x near ten thousand: in single precision x has few digits left for its own variation."""
    rng = np.random.default_rng(0)
    x = 1e4 + rng.normal(size=(40, 1))
    y = 3.0 * (x[:, 0] - 1e4) + 1e-3 * rng.normal(size=40)
    return th.Task(
        (
            lambda key: {"slope": 0.0, "level": 0.0},
            lambda p, x: p["slope"] * (x[0] - 1e4) + p["level"],
        ),
        th.Data((x, y)),
        optimizer=th.optim.newton(),
        epochs=2,
        metrics={"slope": lambda h: h.params["slope"]},
        dtype=dtype,
    )


@pytest.fixture(scope="module")
def both():
    before = jax.config.jax_enable_x64, jnp.ones(1).dtype
    results = {dtype: th.fit(far_from_zero, dtype=dtype) for dtype in ("float64", "float32")}
    assert (jax.config.jax_enable_x64, jnp.ones(1).dtype) == before
    assert before == (False, np.float32)
    return results


def exact():
    x, y = far_from_zero().data.train
    return np.polyfit(x[:, 0] - 1e4, y, 1)


def test_double_precision_reaches_what_single_cannot(both):
    slope, level = exact()
    params = both["float64"].params
    np.testing.assert_allclose([params["slope"], params["level"]], [slope, level], atol=1e-10)
    x, y = both["float64"].data.train
    mse = np.mean((slope * (x[:, 0] - 1e4) + level - y) ** 2)
    assert both["float64"].risk["train"] == pytest.approx(mse, rel=1e-10)
    assert abs(float(both["float32"].params["slope"]) - slope) > 1e-5


def test_everything_that_comes_back_is_in_the_precision_asked_for(both):
    for dtype, result in both.items():
        assert {leaf.dtype for leaf in jax.tree.leaves(result.params)} == {np.dtype(dtype)}
        assert result.provenance["dtype"] == dtype
        assert result.predict(np.array([[1e4]])).dtype == dtype
        parts = jax.tree.leaves(result.data)
        assert {np.asarray(leaf).dtype for leaf in parts} == {np.dtype(dtype)}


def test_what_is_looked_at_later_is_in_double_precision_too(both):
    slope, level = exact()
    result = both["float64"]
    assert result.predict(np.array([[1e4 + 1e-9]]))[0] == pytest.approx(level, abs=1e-7)
    assert result.evaluate("train") == pytest.approx(result.risk["train"], rel=1e-12)
    assert result.metrics["slope"] == pytest.approx(slope, abs=1e-10)
    assert not jax.config.jax_enable_x64


def test_a_flag_that_the_user_has_set_stays_set():
    with jax.enable_x64(True):
        single = th.fit(far_from_zero, dtype="float32")
        assert jax.config.jax_enable_x64
        assert jnp.ones(1).dtype == np.float64
    assert {leaf.dtype for leaf in jax.tree.leaves(single.params)} == {np.dtype("float32")}


@pytest.mark.usefixtures("fresh_programs")
def test_a_cohort_in_double_precision_traces_doubles():
    def level(target: float = 1 / 3, seed: th.Seed = 0) -> th.Task:
        return th.Task(
            (lambda key: 0.0, lambda p, x: p),
            th.Data(np.zeros((3, 1))),
            residual=lambda h, x: h(x) - target,
            optimizer=th.optim.newton(),
            epochs=1,
            seed=seed,
            dtype="float64",
        )

    targets = [1 / 3, 0.1, 1 + 2**-40]
    results = th.fit_many(level, [{"target": t} for t in targets])
    assert [float(r.params) for r in results] == pytest.approx(targets, rel=1e-15)
    assert {r.traces for r in results} == {1}
