"""Faults that training programs commit without a word: here they cannot be written.

Each test tries to commit one and shows that it is refused, reported or impossible.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import thetahat as th


def truth(x):
    return np.sin(3 * x[..., 0])


def draw(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 1))
    return x, truth(x) + 0.4 * rng.normal(size=n)


GRID = np.linspace(-2, 2, 50)[:, None]


def overfitting(lr: float = 0.03, width: int = 60, seed: th.Seed = 0) -> th.Task:
    """A wide net on a dozen observations, with a falling rate; three parts of different sizes."""
    error = lambda h: jnp.mean((jax.vmap(h)(GRID) - jnp.asarray(truth(GRID))) ** 2)  # noqa: E731
    return th.Task(
        th.models.MLP(1, width=width, depth=1, activation="tanh"),
        th.Data(draw(13, 1), draw(29, 2), draw(101, 3)),
        metrics={"error_in_f": error},
        optimizer=optax.adam(optax.exponential_decay(lr, 100, 0.9)),
        epochs=300,
        batch_size=4,
        sampling="sequential",
        seed=seed,
    )


@pytest.fixture(scope="module")
def events():
    return []


@pytest.fixture(scope="module")
def result(events):
    return th.fit(overfitting, lr=0.03, trackers=[events.append])


@pytest.fixture(scope="module")
def mse(result):
    """By hand: the mean squared error of each part at the parameters that came back."""
    parts = [result.data.train, result.data.val, result.data.test]
    predicted = result.predict(np.concatenate([x for x, _ in parts]))
    squares = (predicted - np.concatenate([y for _, y in parts])) ** 2
    split = np.split(squares, np.cumsum([len(y) for _, y in parts])[:-1])
    return dict(zip(("train", "val", "test"), map(np.mean, split), strict=True))


# 1. The best state is a reference to parameters that go on changing.


def test_the_best_state_is_not_the_last(result, mse):
    val = result.history["val_risk"]
    assert 1 < result.best_epoch < result.epochs
    assert val[result.best_epoch - 1] == val.min() < 0.95 * val[-1]
    assert mse["val"] == pytest.approx(val.min(), rel=1e-5)


# 2. Validation and test losses are divided by the number of training batches.


def test_a_risk_is_the_mean_over_the_observations_of_its_part(result, mse):
    for part in ("train", "val", "test"):
        assert result.risk[part] == pytest.approx(mse[part], rel=1e-5)
    assert result.evaluate("test") == pytest.approx(mse["test"], rel=1e-5)


# 3. A loader that is exhausted after one epoch.


def test_batches_never_run_out():
    x, y = draw(10, 0)
    batches = th.Batches((x, y), batch_size=4)
    epochs = [np.concatenate([b[1] for b in batches]) for _ in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.sort(y))
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_generator_is_no_data():
    with pytest.raises(
        th.InputError,
        match="train is a generator, not an array, and can be read only once; wrap it in",
    ):
        th.Data(train=(z for z in [draw(4, 0)]))


# 4. A learning rate by position that lands in another argument.


def test_parameters_go_by_name():
    with pytest.raises(TypeError, match="but 2 were given|positional"):
        th.fit(overfitting, 0.01)  # type: ignore[misc]
    with pytest.raises(TypeError, match="takes 2 arguments but 3 were given"):
        th.fit_many(overfitting, [{}], 0.01)  # type: ignore[misc]


# 5. The error in f is computed on the training points.


def test_the_error_in_f_is_taken_where_it_was_said(result):
    train = np.asarray(result.data.train[0])
    error = (result.predict(np.concatenate([GRID, train])) - truth(np.vstack([GRID, train]))) ** 2
    assert result.metrics["error_in_f"] == pytest.approx(error[:50].mean(), rel=1e-4)
    assert error[:50].mean() > 1.5 * error[50:].mean()


# 7. (N, 1) - (N,) is (N, N).


def test_outcomes_and_predictions_never_broadcast():
    x, y = draw(8, 0)
    two = th.models.Linear(1, out=2)
    for model, outcome in ((th.models.Linear(1), y[:, None]), (two, y)):
        with pytest.raises(th.InputError, match=r"\(1,\)|\(2,\)"):
            th.fit(th.Task(model, th.Data((x, outcome)), optimizer=optax.sgd(0.1), epochs=1))
    # One output and a scalar outcome are the same numbers, and are taken as that.
    fits = [
        th.fit(
            th.Task(
                (lambda key, shape=shape: jnp.zeros(shape), lambda p, x: p * x[0]),
                th.Data((x, y)),
                optimizer=optax.sgd(0.1),
                epochs=3,
            )
        )
        for shape in ((), (1,))
    ]
    assert fits[0].risk == fits[1].risk


def test_a_residual_of_the_wrong_shape_is_refused():
    x, y = draw(8, 0)
    net = th.models.MLP(1, width=3, depth=1, out=1)
    task = th.Task(net, th.Data((x, y)), residual=lambda h, z: h(z[0]) - z[1], epochs=1)
    said = (
        "residual must return a scalar per observation; got shape (1,)."
        ' Use h(x)[0], or MLP(..., out="scalar").'
    )
    with pytest.raises(th.InputError) as caught:
        th.fit(task)
    assert str(caught.value) == said


# 8. The rate of the next epoch is logged, the last epoch is lost, the config is never logged.


def test_every_epoch_is_logged_with_the_rate_of_its_own_last_step(result):
    assert result.history["epoch"].tolist() == list(range(1, 301))
    last_step = 4 * result.history["epoch"] - 1  # 13 observations, 4 at a time
    np.testing.assert_allclose(
        result.history["learning_rate"], 0.03 * 0.9 ** (last_step / 100), rtol=1e-5
    )


def test_the_epoch_that_stops_a_run_is_logged():
    x, y = np.ones((4, 1)), np.ones(4)
    task = th.Task(
        th.models.Linear(1, start="zeros", bias=False),
        th.Data((x, y)),
        optimizer=optax.sgd(0.25),
        stopping=th.Threshold("train_risk", 0.1),
    )
    result = th.fit(task)
    # The error halves at every step: risks 1, 1/4, 1/16, each before its epoch's step.
    assert result.history["train_risk"].tolist() == [1, 1 / 4, 1 / 16]
    assert result.epochs == 3
    assert result.risk["train"] == 1 / 64


def test_the_whole_config_is_told(result, events):
    assert result.config == events[0].config == {"lr": 0.03, "width": 60, "seed": 0}


# 9. The short last batch weighs more per observation, and costs another trace.


@pytest.mark.usefixtures("fresh_programs")
def test_every_observation_weighs_the_same_and_the_tail_is_no_other_program():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    theta = {}
    for batch_size in (16, 5):
        task = th.Task(
            (lambda key: np.zeros(2), lambda p, x: x @ p),
            th.Data((x, y)),
            optimizer=optax.sgd(1e-6),
            epochs=1,
            batch_size=batch_size,
            dtype="float64",
        )
        result = th.fit(task)
        assert result.traces == 1
        # To first order in the rate, an epoch is N / B steps along the full gradient.
        theta[batch_size] = result.params * batch_size / 20 / 1e-6
    gradient = 2 * x.T @ y / 20
    np.testing.assert_allclose(theta[16], gradient, rtol=1e-4)
    np.testing.assert_allclose(theta[5], gradient, rtol=1e-4)


# 10. A NaN never beats the best, so that there may be no best.


def shrinking(start: float = 4.0) -> th.Task:
    """One parameter that falls through 1; the validation risk is sqrt(p - 1), then no number."""
    return th.Task(
        (lambda key: jnp.asarray(start, float), lambda p, x: p),
        th.Data({"val": np.zeros(3)}, {"val": np.ones(3)}),
        residual=lambda h, z: jnp.where(z["val"] > 0, jnp.sqrt(h(0) - 1), h(0)),
        optimizer=optax.sgd(0.25),
        epochs=20,
    )


def test_a_risk_that_is_no_number_is_never_the_best_and_the_best_is_always_defined():
    # p halves every epoch: 4, then 2 and 1 (finite), then 1/2.
    late, at_once = th.fit_many(shrinking, [{"start": 4.0}, {"start": 1.5}], mode="vmap")
    assert (late.status, at_once.status) == (th.Status.DIVERGED, th.Status.DIVERGED)
    assert (late.epochs, late.best_epoch, float(late.params)) == (3, 2, 1.0)
    assert late.history["val_risk"][:2].tolist() == [1.0, 0.0]
    assert (at_once.epochs, at_once.best_epoch, float(at_once.params)) == (1, 0, 1.5)
    for result in (late, at_once):
        assert np.isnan(result.history["val_risk"][-1])
        assert all(np.isnan(risk) for risk in result.risk.values())
        assert "val_risk = nan" in result.reason


# 11. The test set is drawn from the stream that the model draws from.


def simulated(depth: int = 1, width: int = 4, seed: th.Seed = 7) -> th.Task:
    """A net on simulated data, everything from one seed."""
    return th.Task(
        th.models.MLP(2, width=width, depth=depth),
        th.Data(
            train=th.dgp.linear(20, 2, 0.1, seed=seed),
            test=th.dgp.linear(10, 2, 0.1, seed=seed + 1),
        ),
        epochs=1,
        optimizer=optax.sgd(0.01),
        seed=seed,
    )


@pytest.fixture(scope="module")
def two_seeds():
    return th.fit_many(simulated, [{"seed": 7}, {"seed": 8}])


def test_the_data_do_not_depend_on_the_model(two_seeds):
    shallow, other = two_seeds
    deep = th.fit(simulated, depth=3, width=6)
    for part in ("train", "test"):
        for a, b in zip(getattr(shallow.data, part), getattr(deep.data, part), strict=True):
            np.testing.assert_array_equal(a, b)
        name = f"data_{part}"
        assert shallow.provenance[name] == deep.provenance[name] != other.provenance[name]
    assert shallow.provenance["init"] != deep.provenance["init"]


# 12. One activation module in all layers: its parameter is shared.


class PReLU(nnx.Module):
    """max(0, x) + slope * min(0, x)."""

    def __init__(self):
        self.slope = nnx.Param(jnp.asarray(0.25))

    def __call__(self, x):
        return jnp.maximum(x, 0) + self.slope[...] * jnp.minimum(x, 0)


class Net(nnx.Module):
    """1 - 5 - 5 - 1."""

    def __init__(self, first, second, rngs):
        self.hidden = nnx.List([nnx.Linear(1, 5, rngs=rngs), nnx.Linear(5, 5, rngs=rngs)])
        self.activations = nnx.List([first, second])
        self.out = nnx.Linear(5, 1, rngs=rngs)

    def __call__(self, x):
        for layer, activation in zip(self.hidden, self.activations, strict=True):
            x = activation(layer(x))
        return self.out(x)


@pytest.mark.parametrize("shared", [False, True])
def test_activations_have_the_parameters_that_the_module_gives_them(shared):
    first = PReLU()
    net = Net(first, first if shared else PReLU(), nnx.Rngs(0))
    task = th.Task(net, th.Data(draw(20, 0)), optimizer=optax.sgd(0.05), epochs=30)
    result = th.fit(task)
    assert result.n_params == 10 + 30 + 6 + (1 if shared else 2)
    slopes = [float(a.slope[...]) for a in result.model.activations]
    assert (slopes[0] == slopes[1]) is shared
    assert 0.25 not in slopes


# 13. An argument that is ignored.


def test_nothing_is_ignored():
    said = "overfitting() has no parameter 'project'"
    with pytest.raises(th.InputError, match=f"^{re.escape(said)}"):
        th.fit(overfitting, project="thesis")
    with pytest.raises(th.InputError, match=f"^{re.escape(said)}"):
        th.fit_many(overfitting, [{"lr": 0.1, "project": "thesis"}])


# 14. A seed is no provenance.


def test_the_generator_of_random_numbers_is_recorded(two_seeds):
    mode = jax.config.jax_threefry_partitionable
    with jax.threefry_partitionable(not mode):
        there = th.fit(simulated)
    here = two_seeds[0]
    assert here.config == there.config
    assert here.provenance["threefry_partitionable"] is mode
    assert there.provenance["threefry_partitionable"] is not mode
    assert here.provenance["prng_impl"] == there.provenance["prng_impl"] == "threefry2x32"
    for name in ("data_train", "data_test", "init"):
        assert re.fullmatch(r"[0-9a-f]{16,}", here.provenance[name])
        assert here.provenance[name] != there.provenance[name]
