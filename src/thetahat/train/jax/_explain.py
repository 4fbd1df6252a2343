"""Explain why a model cannot be called with one observation: a batch axis, arguments, shapes."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from thetahat import data as th_data, models, risk
from thetahat.core import ConfigError, ShapeError, Task
from thetahat.core.errors import ThetahatError
from thetahat.train._program import Build, Hyper


def explain(build: Build, hyper: Hyper, error: Exception) -> ThetahatError | None:
    """Return what is wrong with the call of the model that raised ``error``.

    Returns: None if the model can be called, or if the experiment itself raises.
    """
    found: list[ThetahatError | None] = []

    def call() -> None:
        task = build(hyper.member(0))
        found.append(_of_task(task, error) if isinstance(task, Task) else None)

    try:
        jax.eval_shape(call)
    except Exception:  # noqa: BLE001 - the error that is explained says it
        return None
    return found[0]


def _of_task(task: Task, error: Exception) -> ThetahatError | None:
    data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
    x, _ = risk.inputs_and_target(data.train)
    adapted = models.adapt(task.model, task.seed)
    h = adapted.bind(adapted.params, adapted.frozen)
    name = type(task.model).__name__
    if not callable(h):
        return ConfigError(
            f"the model {name} cannot be called; give it __call__(self, x), or a residual that"
            " calls its methods"
        )
    one = jnp.zeros(x.shape[1:], task.dtype)
    failure = _failure(h, one)
    if failure is None or type(failure) is not type(error):
        return None
    missing = _missing(task.model)
    if missing:
        return ConfigError(
            f"the model {name} is called as h(x), with one observation, and its call also needs"
            f" {', '.join(missing)}; give defaults, or a residual(h, z) that calls h with them"
        )
    if _failure(h, one[None]) is None:
        return ShapeError(
            f"the model {name} expects a batch: it works at x of shape {(1, *one.shape)} and fails"
            f" at one observation, of shape {one.shape}. The engine calls a model with one"
            " observation and maps over them itself: write the call for one, without the axis of"
            " the batch (x[0] in place of x[:, 0])"
        )
    if not isinstance(failure, (TypeError, ValueError, IndexError)):
        return None  # a fault of the user's own code, whose traceback says more
    return ShapeError(
        f"the model {name} fails at one observation, x of shape {one.shape}:"
        f" {type(failure).__name__}: {failure}"
    )


def _failure(h: Any, x: Any) -> Exception | None:
    try:
        jax.eval_shape(h, x)
    except Exception as error:  # noqa: BLE001 - it is the user's model that raises
        return error
    return None


def _missing(model: Any) -> list[str]:
    """Arguments of the call that have no default and that no one fills."""
    call = getattr(model, "apply", None) if isinstance(model, tuple) else type(model).__call__
    try:
        found = list(inspect.signature(call).parameters.values())[2:] if call else []
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    filled = {*models.call_arguments(model).modes, "rngs", "key"}
    return [
        p.name
        for p in found
        if p.default is p.empty and p.kind not in variadic and p.name not in filled
    ]
