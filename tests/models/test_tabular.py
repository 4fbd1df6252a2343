"""The net for tables, and its optimizer, against their formulas in NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thetahat as th


def test_its_output_is_that_of_the_formula() -> None:
    net = th.models.TabularMLP(3, width=5, depth=2)
    params = net.init(jax.random.key(0))
    assert float(net.apply(params, jnp.ones(3))) == 0, "the last layer starts at zero"
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape), jnp.float32), params)
    x = np.array([0.5, -40.0, 2.0])
    a = np.asarray(params["scale"], float) * x / np.sqrt(1 + (x / 3) ** 2)
    for n, layer in enumerate(params["layers"]):
        kernel, bias = np.asarray(layer["kernel"], float), np.asarray(layer["bias"], float)
        a = a @ kernel / np.sqrt(len(kernel)) + bias
        a = a * np.tanh(np.logaddexp(0, a)) if n < 2 else a
    assert float(net.apply(params, jnp.asarray(x, jnp.float32))) == pytest.approx(a[0], rel=1e-4)
    assert net.n_params == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_dropout_acts_in_training_only() -> None:
    net = th.models.TabularMLP(2, width=64, depth=1, dropout=0.5)
    params = jax.tree.map(jnp.ones_like, net.init(jax.random.key(0)))
    x = jnp.ones(2)
    drawn = [float(net.apply(params, x, key=jax.random.key(k))) for k in range(200)]
    assert np.std(drawn) > 0
    assert np.mean(drawn) == pytest.approx(float(net.apply(params, x)), rel=0.05)


def test_the_first_step_has_the_rate_of_each_array() -> None:
    params = {"scale": jnp.ones(2), "kernel": jnp.full((2,), 3.0), "bias": jnp.full((2,), 5.0)}
    lr, decay, steps = 0.07, 0.02, 100
    optimizer = th.optim.tabular(steps, lr, decay)
    grads = jax.tree.map(lambda a: 0.3 * jnp.ones_like(a), params)
    # Two steps: the rate of step 0 is zero.
    state = optimizer.init(params)
    moved = params
    for _ in range(2):
        updates, state = optimizer.update(grads, state, moved)
        moved = optax.apply_updates(moved, updates)
    rate = lr * (1 - np.cos(2 * np.pi * np.log2(1 + 15 / steps))) / 2
    for name, factor, decayed in (("scale", 6, 1), ("kernel", 1, 1), ("bias", 0.1, 0)):
        before = float(params[name][0])
        expected = before - rate * factor * (1 + decayed * decay * before)
        assert float(moved[name][0]) == pytest.approx(expected, rel=1e-4), name


def test_the_rate_has_four_cycles() -> None:
    data = th.split((np.arange(32.0)[:, None] / 32, np.arange(32.0)), val=0, test=0, train=32)
    net, optimizer = th.models.TabularMLP(1, width=2, depth=1), th.optim.tabular(15, 0.1)
    result = th.fit(th.Task(net, data, optimizer=optimizer, epochs=15))
    t = np.arange(15) / 15
    expected = 0.05 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
    np.testing.assert_allclose(result.history["learning_rate"], expected, atol=1e-6)
    assert np.flatnonzero(expected < 1e-12).tolist() == [0, 1, 3, 7]


def test_robust_columns_have_median_zero_and_unit_quartiles() -> None:
    rng = np.random.default_rng(0)
    columns = {"a": rng.lognormal(size=80), "b": (rng.random(80) < 0.1) * 1.0}
    columns["y"] = columns["a"] + rng.normal(size=80)
    plain = th.split(th.read_table(columns, "y"), seed=1)
    data = th.data.robust(plain)
    x = np.asarray(data.train.x)
    np.testing.assert_allclose(np.median(x, axis=0), 0, atol=1e-12)
    assert np.subtract(*np.quantile(x[:, 0], [0.75, 0.25])) == pytest.approx(1)
    assert np.ptp(x[:, 1]) == pytest.approx(2)
    own = {name: np.asarray(column)[:5] for name, column in columns.items()}
    raw = np.column_stack([own["a"], own["b"]])
    back = data.transform.encode(raw) * data.transform.x_std + data.transform.x_mean
    np.testing.assert_allclose(back, raw)
    np.testing.assert_array_equal(data.test.y, plain.test.y)


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"dropout": 1.0}, "dropout=1"), ({"width": 0}, "width"), ({"activation": "mesh"}, "mish")],
)
def test_wrong_fields_are_named(fields: dict[str, object], said: str) -> None:
    with pytest.raises(th.InputError, match=said):
        th.models.TabularMLP(2, **fields)
