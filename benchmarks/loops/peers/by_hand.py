"""What the hand-written JAX loops share: parameters, predictions, risks, batches. No library."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.loops.problems import Problem

Params = list[tuple[jax.Array, jax.Array]]


def init(problem: Problem, key: jax.Array) -> Params:
    """LeCun normal kernels, zero biases."""
    sizes = problem.sizes
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (a, b)) / jnp.sqrt(a), jnp.zeros(b))
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def predict(params: Params, x: Any) -> jax.Array:
    """h(x) for x (B, 2): (B,)."""
    for kernel, bias in params[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = params[-1]
    return (x @ kernel + bias)[:, 0]


def risk(params: Params, x: Any, y: Any) -> jax.Array:
    """Mean squared residual."""
    return jnp.mean(jnp.square(predict(params, x) - y))


def sgd(params: Params, x: Any, y: Any, lr: Any) -> tuple[Params, jax.Array]:
    """One step on one batch, and the risk before it."""
    value, grads = jax.value_and_grad(risk)(params, x, y)
    return jax.tree.map(lambda p, g: p - lr * g, params, grads), value


def epoch(problem: Problem, params: Params, data: Any, order: Any, lr: Any) -> tuple[Any, Any, Any]:
    """One pass over the observations in ``order``, the risks during it and after it.

    The full batches are scanned and the short last one, of another shape, follows: no weights,
    nothing padded, nothing dropped.
    """
    x, y, x_val, y_val = data
    n, batch = problem.n, problem.batch
    if batch is None:
        params, train = sgd(params, x, y, lr)
        return params, train, risk(params, x_val, y_val)
    x, y = x[order], y[order]
    whole = n - n % batch
    batches = x[:whole].reshape(-1, batch, 2), y[:whole].reshape(-1, batch)
    params, values = jax.lax.scan(lambda p, b: sgd(p, *b, lr), params, batches)
    total = jnp.sum(values) * batch
    if whole < n:
        params, value = sgd(params, x[whole:], y[whole:], lr)
        total = total + value * (n - whole)
    return params, total / n, risk(params, x_val, y_val)
