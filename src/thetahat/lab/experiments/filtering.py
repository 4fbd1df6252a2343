"""What does it cost to split a module into parameters and structure at every step?

Flax NNX splits and merges a module in each call of a function under ``nnx.jit``. Split once,
outside the loop, the same step runs under plain ``jax.jit``; thetahat compiles the whole loop.
All three give the same parameters. Times are this machine's, CPU microseconds a step.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree

import thetahat as th
from thetahat.figures import Line, Panel, draw_panels

WIDTHS, LR = (16, 64), 0.05
WAYS = ("nnx.jit", "split once, jax.jit", "compiled loop")


def net(width: int) -> nnx.Sequential:
    """The lectures' net: two hidden layers."""
    rngs = nnx.Rngs(0)
    first, second = nnx.Linear(2, width, rngs=rngs), nnx.Linear(width, width, rngs=rngs)
    return nnx.Sequential(first, nnx.relu, second, nnx.relu, nnx.Linear(width, 1, rngs=rngs))


def risk(model: Any, x: Any, y: Any) -> Any:
    """Mean squared error."""
    return jnp.mean((model(x)[:, 0] - y) ** 2)


@nnx.jit
def nnx_step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
    """Take a step; NNX splits and merges both objects around it."""
    optimizer.update(model, nnx.grad(risk)(model, x, y))


@partial(jax.jit, static_argnums=0)
def split_step(graph: Any, state: Any, x: Any, y: Any) -> Any:
    """Take a step on the parameters, an argument and a result of arrays."""
    slope = jax.grad(lambda s: risk(nnx.merge(graph, s), x, y))(state)
    return jax.tree.map(lambda p, g: p - LR * g, state, slope)


def train(way: str, width: int, steps: int) -> tuple[float, Any]:
    """Train by one of the ways: CPU seconds, and all parameters at the end."""
    x, y = th.dgp.linear(16, 2, 0.1, seed=0).obs
    model = net(width)
    optimizer, (graph, state) = nnx.Optimizer(model, optax.sgd(LR), wrt=nnx.Param), nnx.split(model)
    task = th.Task(model, th.Data((x, y)), optimizer=optax.sgd(LR), epochs=steps)
    began = time.process_time()
    if way == "compiled loop":  # with all that th.fit does before and after it
        model = th.fit(task).model
    for _ in range(steps):
        if way == "nnx.jit":
            nnx_step(model, optimizer, x, y)
        elif way == "split once, jax.jit":
            state = split_step(graph, state, x, y)
    end = jax.block_until_ready(state if way == "split once, jax.jit" else nnx.state(model))
    return time.process_time() - began, ravel_pytree(end)[0]


def measure(steps: int = 300, rounds: int = 5) -> dict[str, Any]:
    """CPU microseconds a step by width, medians of interleaved rounds; the results' distance."""
    found: dict[str, Any] = {"width": np.array(WIDTHS), "distance": 0.0}
    for width in WIDTHS:
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds + 1):  # the first one compiles and is not counted
            ends = {way: train(way, width, steps) for way in WAYS}
            for way, (cpu_s, end) in ends.items():
                taken[way].append(1e6 * cpu_s / steps)
                apart = float(jnp.abs(end - ends["nnx.jit"][1]).max())
                found["distance"] = max(found["distance"], apart)
        for way in WAYS:
            found.setdefault(way, []).append(float(np.median(taken[way][1:])))
    return found


def answer(found: Mapping[str, Any]) -> str:
    """Times at width 16."""
    said = ", ".join(f"{way} {found[way][0]:.0f}" for way in WAYS)
    return f"CPU us a step at width 16: {said}. Parameters within {found['distance']:.0e}."


def draw(found: Mapping[str, Any]) -> Any:
    """Time by width."""
    lines = [Line(way, found["width"], found[way]) for way in WAYS]
    return draw_panels([Panel("CPU time of a step", lines, x="width", y="us", log_y=True)])
