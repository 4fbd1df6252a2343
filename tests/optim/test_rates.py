"""The rate of the last update, and who wants the full batch."""

import jax
import jax.numpy as jnp
import optax
import pytest

from thetahat import optim
from thetahat.optim import learning_rate, wants_full_batch

PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}


def objective(p):
    return jnp.sum((p["a"] - 3) ** 2) + (p["b"] - 1) ** 2


def residuals(p):
    return jnp.append(p["a"] - 3, p["b"] - 1)


def advance(optimizer, steps):
    """The state after some steps, called as the engine calls."""
    optimizer = optim.resolve(optimizer)

    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(
            gradient,
            state,
            params,
            value=value,
            grad=gradient,
            value_fn=objective,
            residual_fn=residuals,
        )
        return (optax.apply_updates(params, updates), state), None

    carry = PARAMS, optimizer.init(PARAMS)
    return jax.lax.scan(step, carry, None, length=steps)[0][1] if steps else carry[1]


LINEAR = optax.linear_schedule(1.0, 0.0, 10)
WARMUP = optax.warmup_cosine_decay_schedule(0.0, 1.0, 5, 20)

RATES = {
    "sgd": (optax.sgd(0.1), [0.1] * 3),
    "sgd, momentum": (optax.sgd(0.1, momentum=0.9), [0.1] * 3),
    "sgd, nesterov": (optax.sgd(0.1, momentum=0.9, nesterov=True), [0.1] * 3),
    "adam, schedule": (optax.adam(LINEAR), [1.0, 1.0, 0.8]),
    "adam, warm-up": (optax.adam(WARMUP), [0.0, 0.0, 0.4]),
    "adamw": (optax.adamw(0.3), [0.3] * 3),
    "chain": (optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.2)), [0.2] * 3),
    "chain of chains": (optax.chain(optax.chain(optax.sgd(0.2)), optax.scale(0.5)), [0.1] * 3),
    "named chain": (
        optax.named_chain(("clip", optax.clip(1.0)), ("sgd", optax.sgd(0.8))),
        [0.8] * 3,
    ),
    "rmsprop": (optax.rmsprop(0.4), [0.4] * 3),
    "rmsprop, centered": (optax.rmsprop(0.4, centered=True, momentum=0.5), [0.4] * 3),
    "adagrad": (optax.adagrad(0.02), [0.02] * 3),
    "lion": (optax.lion(0.01), [0.01] * 3),
    "injected": (optax.inject_hyperparams(optax.adam)(0.7), [0.7] * 3),
    "injected schedule": (optax.inject_hyperparams(optax.adam)(LINEAR), [1.0, 1.0, 0.8]),
    "injected, chained": (
        optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(learning_rate=LINEAR)),
        [1.0, 1.0, 0.8],
    ),
    "apply_if_finite": (optax.apply_if_finite(optax.sgd(LINEAR), 3), [1.0, 1.0, 0.8]),
    "MultiSteps": (optax.MultiSteps(optax.sgd(LINEAR), 2), [1.0, 1.0, 1.0]),
    "masked decay": (
        optax.chain(
            optax.masked(optax.add_decayed_weights(0.1), {"a": True, "b": False}), optax.sgd(0.5)
        ),
        [0.5] * 3,
    ),
    "plateau": (
        optax.chain(optax.sgd(0.2), optax.contrib.reduce_on_plateau(patience=100)),
        [0.2] * 3,
    ),
    "ours, nesterov": (optim.nesterov(LINEAR), [1.0, 1.0, 0.8]),
    "ours, preconditioned": (optim.preconditioned(jnp.ones(3), 0.3), [0.3] * 3),
    "ours, newton": (optim.newton(lr=0.5), [0.5] * 3),
    "ours, chained": (optax.chain(optax.clip(1.0), optim.nesterov(0.3)), [0.3] * 3),
    "lbfgs": (optax.lbfgs(), None),
    "lbfgs, no search": (optax.lbfgs(0.1, linesearch=None), None),
    "polyak": (optax.polyak_sgd(), None),
    "partition": (
        optax.partition({"x": optax.sgd(0.1), "y": optax.sgd(0.2)}, {"a": "x", "b": "y"}),
        None,
    ),
    "injected without a rate": (optax.inject_hyperparams(optax.scale)(-0.1), None),
    "nothing known": (
        optax.GradientTransformation(lambda p: (), lambda u, s, p=None: (u, s)),
        None,
    ),
    "gauss_newton": (optim.gauss_newton(), None),
    "lm": (optim.levenberg_marquardt(), None),
}


@pytest.mark.parametrize("name", RATES)
def test_rate_of_the_last_update_after_0_1_and_3_steps(name):
    optimizer, expected = RATES[name]
    for n, steps in enumerate((0, 1, 3)):
        rate = learning_rate(optim.resolve(optimizer), advance(optimizer, steps))
        if expected is None:
            assert rate is None
        else:
            assert rate.shape == ()
            assert float(rate) == pytest.approx(expected[n], abs=1e-6)


def test_rate_inside_a_trace_with_a_traced_rate():
    def run(lr, decay):
        schedule = lambda count: lr * decay**count  # noqa: E731
        optimizer = optim.resolve(optax.chain(optax.clip(1.0), optax.adam(schedule)))

        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(objective)(params), state, params)
            return (optax.apply_updates(params, updates), state), learning_rate(optimizer, state)

        return jax.lax.scan(step, (PARAMS, optimizer.init(PARAMS)), None, length=3)[1]

    rates = jax.jit(jax.vmap(run, in_axes=(0, None)))(jnp.array([0.1, 0.2]), 0.5)
    assert rates.ravel().tolist() == pytest.approx([0.1, 0.05, 0.025, 0.2, 0.1, 0.05])


FULL = {
    "optax": optax.lbfgs(),
    "chained": optax.chain(optax.clip(1.0), optax.lbfgs()),
    "wrapped": optax.apply_if_finite(optax.lbfgs(linesearch=None), 2),
    "ours": optim.lbfgs(memory=5),
    "newton": optim.newton(),
    "gauss_newton": optim.gauss_newton(),
    "lm": optim.levenberg_marquardt(),
    "lm, chained": optax.chain(optim.levenberg_marquardt(), optax.scale(1.0)),
    "by name": optim.named("lm"),
    "resolved": optim.resolve("lbfgs"),
}


@pytest.mark.parametrize("name", FULL)
def test_second_order_wants_the_full_batch(name):
    assert wants_full_batch(FULL[name])
    assert wants_full_batch(optim.resolve(FULL[name]))
    assert wants_full_batch(FULL[name].init(PARAMS))


@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "lion"]
)
def test_first_order_does_not(name):
    optimizer = optim.named(name)
    assert not wants_full_batch(optimizer)
    assert not wants_full_batch(optimizer.init(PARAMS))
    assert not wants_full_batch(optim.resolve(optimizer))
