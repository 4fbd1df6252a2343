"""Nets whose width is a mask: the fit is that of the net of this width."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thetahat as th

DRAW = th.dgp.exp_difference(30, 3, 0.1, seed=2)
FRESH = th.dgp.exp_difference(20, 3, 0.1, seed=3)


def of_width(width: int, how: str, activation: str, depth: int, seed: int = 5) -> th.Task:
    """The net of this width."""
    net = th.models.MLP(3, width=width, depth=depth, activation=activation)
    return th.Task(net, th.Data(DRAW.obs, FRESH.obs), optimizer=optimizer(how), epochs=30,
                   batch_size=8 if how != "levenberg_marquardt" else None,
                   penalty=th.ridge(0.01), seed=seed, dtype="float64")  # fmt: skip


def optimizer(how: str):
    return how if how == "levenberg_marquardt" else th.optim.named(how, 0.02)


@pytest.mark.parametrize(
    ("how", "activation", "depth"),
    [
        ("adam", "relu", 2),
        ("adamw", "softplus", 1),
        ("momentum", "sigmoid", 3),
        ("rmsprop", "tanh", 1),
        ("levenberg_marquardt", "tanh", 1),
    ],
)
def test_masked_widths_train_as_nets_of_these_widths(how, activation, depth):
    def masked(width: float = 2.0, seed: th.Seed = 5) -> th.Task:
        net = th.lab.MaskedMLP(3, 7, width, depth=depth, activation=activation)
        return th.Task(net, th.Data(DRAW.obs, FRESH.obs), optimizer=optimizer(how), epochs=30,
                       batch_size=8 if how != "levenberg_marquardt" else None,
                       penalty=th.ridge(0.01), seed=seed, dtype="float64")  # fmt: skip

    fits = th.fit_many(masked, th.lab.grid(width=[1.0, 4.0, 7.0]), mode="vmap")
    assert {fit.traces for fit in fits} <= {0, 1}
    for width, fit in zip((1, 4, 7), fits, strict=True):
        alone = th.fit(of_width(width, how, activation, depth))
        for column in ("train_risk", "val_risk"):
            np.testing.assert_allclose(fit.history[column], alone.history[column], rtol=2e-6)
        np.testing.assert_allclose(
            fit.predict(FRESH.x), alone.predict(FRESH.x), rtol=2e-5, atol=1e-7
        )


def test_units_outside_the_mask_stay_zero():
    task = th.Task(th.lab.MaskedMLP(3, 6, 2, activation="softplus"), th.Data(DRAW.obs), epochs=20)
    first, middle, last = th.fit(task).params["layers"]
    assert not np.any(first["kernel"][:, 2:]) and not np.any(first["bias"][2:])
    assert not np.any(middle["kernel"][2:]) and not np.any(middle["kernel"][:, 2:])
    assert not np.any(last["kernel"][2:])
    assert np.all(first["kernel"][:, :2])


@pytest.mark.parametrize("width", [1, 3, 8])
def test_uniform_parameters_are_bounded_by_their_own_inputs(width):
    net = th.lab.MaskedMLP(4, 8, width, initial="uniform")
    draws = jax.vmap(net.init)(jax.random.split(jax.random.key(0), 400))["layers"]
    for layer, inputs in zip(draws, (4, width, width), strict=True):
        most = max(float(jnp.abs(layer[name]).max()) for name in ("kernel", "bias"))
        assert 0.97 / inputs**0.5 < most <= 1 / inputs**0.5


def test_number_of_parameters_is_that_of_the_width():
    for width, depth in ((1, 1), (5, 2), (7, 3)):
        masked = th.lab.MaskedMLP(3, 9, width, depth=depth)
        assert masked.n_params == th.models.MLP(3, width=width, depth=depth).n_params


@pytest.mark.parametrize("width", [0, 8, 2.5, -1])
def test_a_width_outside_the_arrays_is_refused(width):
    with pytest.raises(
        th.InputError, match=r"MaskedMLP\(width=.*give a whole number from 1 to max_width=7"
    ):
        th.lab.MaskedMLP(3, 7, width)


@pytest.mark.parametrize("width", [0.0, 8.0])
def test_a_traced_width_outside_the_arrays_ends_as_diverged(width):
    def masked(width: float = 2.0) -> th.Task:
        net = th.lab.MaskedMLP(3, 7, width)
        return th.Task(net, th.Data(DRAW.obs), optimizer=optax.adam(0.01), epochs=3)

    good, bad = th.fit_many(masked, [{"width": 7.0}, {"width": width}])
    assert (good.status, bad.status) == (th.Status.FINISHED, th.Status.DIVERGED)
