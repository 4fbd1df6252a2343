"""Optimizers by name, and whatever a Task is given."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from thetahat import optim
from thetahat.core import ConfigError

START = jnp.array([1.0, -0.5])


def objective(x):
    return jnp.sum((x - jnp.array([0.3, 0.2])) ** 2)


def residuals(x):
    return x - jnp.array([0.3, 0.2])


def run(optimizer, steps=4):
    x, state = START, optimizer.init(START)
    for _ in range(steps):
        value, gradient = jax.value_and_grad(objective)(x)
        updates, state = optimizer.update(
            gradient,
            state,
            x,
            value=value,
            grad=gradient,
            value_fn=objective,
            residual_fn=residuals,
        )
        x = x + updates
    return np.asarray(x)


SAME = {
    "sgd": optax.sgd(1e-2),
    "momentum": optax.sgd(1e-2, momentum=0.9),
    "adam": optax.adam(1e-3),
    "adamw": optax.adamw(1e-3, weight_decay=1e-4),
    "rmsprop": optax.rmsprop(1e-3, decay=0.9),
    "adagrad": optax.adagrad(1e-2),
    "lion": optax.lion(1e-4, weight_decay=1e-3),
    "nesterov": optim.nesterov(1e-2, 0.9),
    "newton": optim.newton(lr=1.0),
    "lm": optim.levenberg_marquardt(),
}


@pytest.mark.parametrize("name", SAME)
def test_names_are_their_documented_defaults(name):
    reference = optim.resolve(SAME[name])
    np.testing.assert_array_equal(run(optim.named(name)), run(reference))
    np.testing.assert_array_equal(run(optim.resolve(name)), run(reference))


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_name_lowers_the_objective(name):
    assert float(objective(run(optim.named(name)))) < float(objective(START))


def test_rates_and_options_are_passed_on():
    got = run(optim.named("adam", lr=0.05, b1=0.5))
    np.testing.assert_array_equal(got, run(optax.with_extra_args_support(optax.adam(0.05, b1=0.5))))
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    got = run(optim.named("sgd", lr=schedule))
    np.testing.assert_array_equal(got, run(optax.with_extra_args_support(optax.sgd(schedule))))
    state = optim.named("lbfgs", memory=3).init(START)
    assert state[0].diff_params_memory.shape == (3, 2)


def test_a_traced_rate():
    got = jax.jit(lambda lr: optim.named("sgd", lr=lr).update(START, optax.sgd(0.1).init(START))[0])
    np.testing.assert_allclose(got(0.1), -0.1 * START, rtol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [optax.lbfgs(), optax.chain(optax.sgd(0.5), optax.scale_by_backtracking_linesearch(10))],
)
def test_line_searches_of_optax_live_with_the_engines_arguments(optimizer):
    with pytest.raises(TypeError, match="residual_fn"):
        run(optimizer)  # why resolve takes the argument away
    assert float(objective(run(optim.resolve(optimizer)))) < 1e-3


def test_objects_with_init_and_update_are_taken():
    accumulated = optim.resolve(optax.MultiSteps(optax.sgd(0.1), 2))
    np.testing.assert_allclose(run(accumulated, 2), START - 0.1 * jax.grad(objective)(START))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: optim.resolve("adan"),
            "optimizer='adan' is unknown; did you mean 'adam'?",
        ),
        (
            lambda: optim.named("adam", epsilon=0.1),
            "adam has no option 'epsilon'; did you mean 'eps'?",
        ),
        (
            lambda: optim.named("lbfgs", lr=0.1),
            "lbfgs takes no lr: it chooses the length of its steps; leave lr out",
        ),
        (
            lambda: optim.named("sgd", lr=float("nan")),
            "sgd: lr=nan; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.named("sgd", lr=float("inf")),
            "sgd: lr=inf; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.named("adam", lr=-0.1),
            "adam: lr=-0.1; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.named("adam", lr="0.1"),
            "adam: lr='0.1'; give a positive, finite number, such as lr=0.01",
        ),
        (
            lambda: optim.resolve(optax.chain(optax.clip(1.0), optax.sgd(float("nan")))),
            "the optimizer's learning rate is nan; give a positive, finite number, such as 0.01",
        ),
        (
            lambda: optim.resolve(optax.adam),
            "optimizer is the function adam; call it: adam(1e-3)",
        ),
        (
            lambda: optim.resolve(0.1),
            "optimizer=0.1 is not an optimizer; give an optax transformation, such as optax.adam(1e-3),"
            f" or one of {', '.join(optim.OPTIMIZERS)}",
        ),
    ],
)
def test_messages(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make()
