"""Learning rate of an optimizer, and its need of the full batch, from closures and state.

Optax keeps a learning rate only in the closure of ``scale`` or ``scale_by_schedule``, so it is read
there, with the matching part of the state. A transformation of unknown structure has no rate.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

if TYPE_CHECKING:
    from jaxtyping import Array, Float

_WITHOUT_RATE = ("lbfgs", "linesearch", "polyak", "partition", "multi_transform", "freeze")


_FULL_BATCH = ("scale_by_lbfgs", "newton", "gauss_newton", "levenberg_marquardt")
_FULL_BATCH_STATES: set[type] = set()


def full_batch_state(state: type) -> type:
    """Mark a class of states whose optimizer needs the full batch; a decorator."""
    _FULL_BATCH_STATES.add(state)
    return state


def learning_rate(optimizer: Any, opt_state: Any) -> Float[Array, ""] | None:
    """Return the learning rate of the last update, or, before the first, of the next.

    Args:    optimizer: an optax transformation, or one of ours.
             opt_state: its state after the update. Both may hold traced values.
    Returns: shape (); None without a single rate (line searches, ``optax.partition``) and for a
             transformation of unknown structure.
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
    if isinstance(product, (float, int, np.generic)):  # nothing to trace
        return jnp.asarray(-np.asarray(product, jnp.result_type(float)))
    return -jnp.asarray(product)


def wants_full_batch(optimizer_or_state: Any) -> bool:
    """Return whether an optimizer, or its state, needs the whole training part at every step.

    L-BFGS compares gradients of successive steps, and Newton, Gauss-Newton and Levenberg-Marquardt
    solve for the current batch: minibatches give them wrong steps.

    Args:    optimizer_or_state: an optax transformation, or a state of one.
    Returns: a bool.
    >>> wants_full_batch(optax.chain(optax.clip(1.0), optax.lbfgs()))
    True
    >>> wants_full_batch(optax.adam(1e-3))
    False
    """
    update = getattr(optimizer_or_state, "update", None)
    if callable(update):
        return remembered(update, _has_full_batch)

    def second_order(node: Any) -> bool:
        return isinstance(node, optax.ScaleByLBFGSState) or type(node) in _FULL_BATCH_STATES

    found = jax.tree.leaves(optimizer_or_state, is_leaf=second_order)
    return any(second_order(node) for node in found)


def _has_full_batch(update: Any) -> bool:
    makers = {qualname(value).split(".")[0] for value in closure_values(update)}
    return not makers.isdisjoint(_FULL_BATCH)


_remembered: weakref.WeakKeyDictionary[Any, dict[Any, bool]] = weakref.WeakKeyDictionary()


def remembered(update: Any, ask: Callable[[Any], bool]) -> bool:
    """Ask something of an optimizer's ``update`` once: its closures take long to walk through."""
    try:
        known = _remembered.setdefault(update, {})
    except TypeError:  # no weak reference to it can be kept
        return ask(update)
    if ask not in known:
        known[ask] = ask(update)
    return known[ask]


def closure_values(function: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """Yield a function and the contents of its closure, at any depth."""
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
    """Return the free variables of a function, or of a bound method's function, by name."""
    function = getattr(function, "__func__", function)
    cells = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars if cells else ()
    found = {}
    for name, cell in zip(names, cells, strict=True):
        with contextlib.suppress(ValueError):  # the cell of a variable that is not assigned yet
            found[name] = cell.cell_contents
    return found


def _factors(update: Callable[..., Any], state: Any) -> list[Any] | None:
    """List the factors that multiply the updates; None for an unknown structure."""
    if hasattr(state, "learning_rate"):
        return [-state.learning_rate]
    if hasattr(state, "hyperparams"):
        rate = state.hyperparams.get("learning_rate")
        return None if rate is None else [-rate]
    name, held = qualname(update), closure(update)
    if any(word in name for word in _WITHOUT_RATE):
        return None
    if name.startswith("scale.<locals>"):
        return [held["step_size"]]
    if name.startswith("scale_by_schedule.<locals>"):
        return [held["step_size_fn"](jnp.maximum(state.count - 1, 0))]
    if name.startswith(("reduce_on_plateau.<locals>", "plateau.<locals>")):
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
    """List the transformations inside a wrapper, each with its own state."""
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
    """Return the qualified name of a function, which contains its maker; else ""."""
    return str(getattr(value, "__qualname__", ""))
