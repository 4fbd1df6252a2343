"""What an optimizer is doing, read from its closures and its state.

Optax keeps a learning rate in the closure of ``scale`` or ``scale_by_schedule`` and nowhere else,
so it is found there, beside the part of the state that belongs to it. Nothing is guessed: where the
structure is not known, there is no rate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

_UNTOLD = ("lbfgs", "linesearch", "polyak", "partition", "multi_transform", "freeze")


_FULL_BATCH = ("scale_by_lbfgs", "newton", "gauss_newton", "levenberg_marquardt")
_FULL_BATCH_STATES: set[type] = set()


def full_batch_state(state: type) -> type:
    """Mark the state of an optimizer that needs the full batch; a class decorator."""
    _FULL_BATCH_STATES.add(state)
    return state


def learning_rate(optimizer: Any, opt_state: Any) -> jax.Array | None:
    """The learning rate used by the last update; before the first, the one it will use.

    Args:    optimizer: an optax transformation, or one of ours.
             opt_state: its state after the update. Both may hold traced values.
    Returns: shape (), or None where there is no one rate (line searches, ``optax.partition``) or
             it cannot be told (a transformation of an unknown structure).
    >>> opt = optax.chain(optax.clip(1.0), optax.adam(0.25))
    >>> float(learning_rate(opt, opt.init(jnp.zeros(2))))
    0.25
    """
    factors = _factors(optimizer.update, opt_state)
    if not factors:
        return None
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return -jnp.asarray(product)


def wants_full_batch(optimizer_or_state: Any) -> bool:
    """Whether an optimizer, or a state of one, needs the whole training part at every step.

    L-BFGS compares gradients of successive steps, and Newton, Gauss-Newton and Levenberg-Marquardt
    solve for the batch they see: minibatches mislead them.

    >>> wants_full_batch(optax.chain(optax.clip(1.0), optax.lbfgs()))
    True
    >>> wants_full_batch(optax.adam(1e-3))
    False
    """
    update = getattr(optimizer_or_state, "update", None)
    if callable(update):
        makers = {qualname(value).split(".")[0] for value in closure_values(update)}
        return not makers.isdisjoint(_FULL_BATCH)

    def second_order(node: Any) -> bool:
        return isinstance(node, optax.ScaleByLBFGSState) or type(node) in _FULL_BATCH_STATES

    found = jax.tree.leaves(optimizer_or_state, is_leaf=second_order)
    return any(second_order(node) for node in found)


def closure_values(function: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """A function, and everything that its closure holds, all the way down."""
    seen = set() if seen is None else seen
    if id(function) in seen:
        return
    seen.add(id(function))
    yield function
    if isinstance(function, optax.GradientTransformation):
        yield from closure_values(function.update, seen)
    elif isinstance(function, (list, tuple)):
        for part in function:
            yield from closure_values(part, seen)
    else:
        for value in closure(function).values():
            yield from closure_values(value, seen)


def closure(function: Any) -> dict[str, Any]:
    """The free variables of a function by name; those of a bound method's function."""
    function = getattr(function, "__func__", function)
    cells = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars if cells else ()
    found = {}
    for name, cell in zip(names, cells, strict=True):
        with contextlib.suppress(ValueError):  # the cell of a variable that is not assigned yet
            found[name] = cell.cell_contents
    return found


def _factors(update: Callable[..., Any], state: Any) -> list[Any] | None:
    """What multiplies the updates, one by one; None where that cannot be told."""
    if hasattr(state, "learning_rate"):
        return [-state.learning_rate]
    if hasattr(state, "hyperparams"):
        rate = state.hyperparams.get("learning_rate")
        return None if rate is None else [-rate]
    name, held = qualname(update), closure(update)
    if any(word in name for word in _UNTOLD):
        return None
    if name.startswith("scale.<locals>"):
        return [held["step_size"]]
    if name.startswith("scale_by_schedule.<locals>"):
        return [held["step_size_fn"](jnp.maximum(state.count - 1, 0))]
    if name.startswith("reduce_on_plateau.<locals>"):
        return [state.scale]
    inner = _inside(name, held, update, state)
    if inner is None:
        return []
    found: list[Any] = []
    for part, part_state in inner:
        factors = _factors(part, part_state)
        if factors is None:
            return None
        found.extend(factors)
    return found


def _inside(
    name: str, held: dict[str, Any], update: Any, state: Any
) -> list[tuple[Callable[..., Any], Any]] | None:
    """The transformations inside a wrapper, each with its own state."""
    wrapper = name.split(".")[0]
    if wrapper == "chain":
        return list(zip(held["update_fns"], state, strict=True))
    if wrapper == "named_chain":
        return [(tx.update, state[label]) for label, tx in held["transforms"]]
    if wrapper == "with_extra_args_support":
        return [(held["tx"].update, state)]
    if wrapper in ("masked", "apply_if_finite"):
        return [(held["inner"].update, state.inner_state)]
    if wrapper == "flatten":
        return [(held["inner"].update, state)]
    if wrapper == "without_residuals":
        return [(held["extended"].update, state)]
    if wrapper == "MultiSteps":
        return [(cast(Any, update).__self__.inner_opt.update, state.inner_opt_state)]
    return None


def qualname(value: Any) -> str:
    """The qualified name of a function, which tells what made it; "" for any other value."""
    return str(getattr(value, "__qualname__", ""))
