"""Optimizers by name, and the optimizer of a Task as an optax transformation."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import optax
from jax.core import Tracer

from thetahat.core.errors import ConfigError, NotConverted, check_choice, did_you_mean
from thetahat.optim._descent import check_rate, nesterov
from thetahat.optim._rates import (
    closure,
    closure_values,
    qualname,
    remembered,
)
from thetahat.optim._second_order import gauss_newton, levenberg_marquardt, newton


def lbfgs(
    memory: int = 10, linesearch: Any = None, max_linesearch_steps: int = 20
) -> optax.GradientTransformationExtraArgs:
    """Make L-BFGS with a zoom line search (strong Wolfe conditions), on the full batch.

    Args:    memory: pairs of steps and gradient differences kept.
             linesearch: another optax line search; None is the zoom search.
             max_linesearch_steps: maximal evaluations of objective and gradient in one step.
    Returns: an optax transformation.
    Source:  Nocedal & Wright (2006), algorithms 3.5, 3.6 and 7.5.
    """
    if linesearch is None:
        linesearch = optax.scale_by_zoom_linesearch(
            max_linesearch_steps=max_linesearch_steps, initial_guess_strategy="one"
        )
    inner = optax.lbfgs(memory_size=memory, linesearch=linesearch)
    return without_residuals(inner)


@dataclass(frozen=True)
class _Name:
    factory: Callable[..., Any]
    lr: float | None
    """Default learning rate; None for optimizers that choose the length of their steps."""
    rate: str = "learning_rate"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Default options, written out so that a new release of optax does not change them."""


_ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-8, "eps_root": 0.0}

_NAMED = {
    "sgd": _Name(optax.sgd, 1e-2),
    "momentum": _Name(optax.sgd, 1e-2, options={"momentum": 0.9, "nesterov": False}),
    "nesterov": _Name(nesterov, 1e-2, rate="lr", options={"beta": 0.9}),
    "adam": _Name(optax.adam, 1e-3, options=_ADAM),
    "adamw": _Name(optax.adamw, 1e-3, options={**_ADAM, "weight_decay": 1e-4}),
    "rmsprop": _Name(optax.rmsprop, 1e-3, options={"decay": 0.9, "eps": 1e-8}),
    "adagrad": _Name(optax.adagrad, 1e-2, options={"initial_accumulator_value": 0.1, "eps": 1e-7}),
    "lion": _Name(optax.lion, 1e-4, options={"b1": 0.9, "b2": 0.99, "weight_decay": 1e-3}),
    "newton": _Name(newton, 1.0, rate="lr", options={"damping": 0.0}),
    "lbfgs": _Name(lbfgs, None),
    "gauss_newton": _Name(gauss_newton, None),
    "lm": _Name(levenberg_marquardt, None),
    "levenberg_marquardt": _Name(levenberg_marquardt, None),
}
OPTIMIZERS = tuple(_NAMED)


def named(name: str, lr: Any = None, **options: Any) -> optax.GradientTransformationExtraArgs:
    """Make an optimizer by name.

    name                        default lr   method
    sgd                         0.01         gradient descent
    momentum                    0.01         heavy ball, momentum=0.9
    nesterov                    0.01         ``nesterov``, beta=0.9
    adam                        0.001        Adam
    adamw                       0.001        Adam with decoupled decay, weight_decay=1e-4
    rmsprop                     0.001        RMSProp, decay=0.9
    adagrad                     0.01         AdaGrad
    lion                        0.0001       Lion, weight_decay=0.001
    newton                      1            ``newton``
    lbfgs, gauss_newton,        none         (choose the length of their steps)
    lm (levenberg_marquardt)

    Args:    lr: a float, traced, or a schedule of the step.   options: of the optimizer itself.
    Returns: an optax transformation.
    Raises:  ConfigError: an unknown name or option, an lr that is not positive and finite, or an lr
             for an optimizer without one.
    >>> opt = named("adam", lr=0.01, b1=0.95)
    """
    check_choice("optimizer", name, OPTIMIZERS)
    chosen = _NAMED[name]
    known = [p for p in inspect.signature(chosen.factory).parameters if p != chosen.rate]
    for option in options:
        if option not in known:
            raise ConfigError(f"{name} has no option {option!r}{did_you_mean(option, known)}")
    if chosen.lr is None:
        if lr is not None:
            raise ConfigError(
                f"{name} takes no lr: it chooses the length of its steps; leave lr out"
            )
        return chosen.factory(**options)
    lr = chosen.lr if lr is None else lr
    check_rate(name, lr)
    whole = {chosen.rate: lr, **chosen.options, **options}
    return optax.with_extra_args_support(chosen.factory(**whole))


def own_decay(name: str) -> float | None:
    """Return the default weight decay of an optimizer; None for one without decay.

    Args:    name: as for ``named``.
    Returns: a float, or None.
    >>> own_decay("adamw"), own_decay("adam")
    (0.0001, None)
    """
    known = _NAMED.get(name)
    return None if known is None else known.options.get("weight_decay")


def resolve(optimizer: Any) -> optax.GradientTransformationExtraArgs:
    """Return the optimizer of a Task as a transformation that takes the engine's extra arguments.

    Args:    optimizer: an optax transformation, one of ours, or a name of ``named``.
    Returns: a transformation with extra arguments.
    Raises:  ConfigError: another value, or a learning rate that is not finite.
    """
    if isinstance(optimizer, str):
        return named(optimizer)
    if not isinstance(optimizer, optax.GradientTransformation):
        _refuse_torch(optimizer)
        if isinstance(optimizer, type) or not _is_pair(optimizer):
            ours = (getattr(optimizer, "__module__", None) or "").startswith(("optax", "thetahat"))
            # A function of the parameters is what PyTorch takes.
            kind = ConfigError if ours or not callable(optimizer) else NotConverted
            raise kind(_no_optimizer(optimizer))
        optimizer = optax.GradientTransformationExtraArgs(optimizer.init, optimizer.update)
    if remembered(optimizer.update, _searches_line):
        return without_residuals(optimizer)
    return optax.with_extra_args_support(optimizer)


def _searches_line(update: Any) -> bool:
    """Tell whether an optimizer has a line search, once its scales are known to be numbers."""
    inside = list(closure_values(update))
    _check_scales(inside)
    return any("linesearch" in qualname(value) for value in inside)


def without_residuals(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Drop ``residual_fn``, which the objective of a line search would refuse."""
    extended = optax.with_extra_args_support(inner)

    def update(
        updates: Any, state: Any, params: Any = None, *, residual_fn: Any = None, **others: Any
    ) -> tuple[Any, Any]:
        del residual_fn
        return extended.update(updates, state, params, **others)

    return optax.GradientTransformationExtraArgs(inner.init, update)


def _is_pair(optimizer: Any) -> bool:
    """Return whether an object has ``init`` and ``update``, as ``optax.MultiSteps`` does."""
    return all(callable(getattr(optimizer, part, None)) for part in ("init", "update"))


def _refuse_torch(optimizer: Any) -> None:
    """Raise NotConverted for an optimizer of PyTorch, or what makes one."""
    kind: Any = optimizer.func if isinstance(optimizer, functools.partial) else optimizer
    kind = kind if isinstance(kind, type) else type(kind)
    if any(base.__module__.startswith("torch.optim") for base in kind.__mro__):
        near = kind.__name__.lower()
        fix = f'th.optim.named("{near}", lr)' if near in OPTIMIZERS else "optax"
        raise NotConverted(
            f"optimizer={kind.__name__} is PyTorch's, and JAX trains the model; give {fix}"
        )


def _no_optimizer(given: Any) -> str:
    if callable(given) and hasattr(given, "__name__"):
        return f"optimizer is the function {given.__name__}; call it: {given.__name__}(1e-3)"
    return (
        f"optimizer={given!r} is not an optimizer; give an optax transformation, such as"
        f" optax.adam(1e-3), or one of {', '.join(OPTIMIZERS)}"
    )


def _check_scales(inside: Sequence[Any]) -> None:
    for function in inside:
        if qualname(function).startswith("scale.<locals>"):
            size = closure(function)["step_size"]
            if isinstance(size, Tracer) or not isinstance(size, (int, float, jax.Array)):
                continue
            if not math.isfinite(float(size)):
                raise ConfigError(
                    f"the optimizer's learning rate is {float(size):g}; give a positive, finite"
                    " number, such as 0.01"
                )
