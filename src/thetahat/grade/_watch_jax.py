"""Watch the gradients of a JAX program: every loss is traced when it is differentiated.

The public names of JAX are replaced before the program is loaded. ``jit`` returns its function and
``scan`` is a loop of Python, so that each gradient is taken at numbers; inside JAX nothing changes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from thetahat.grade._jaxpr import read_program
from thetahat.grade._steps import BARE, GradientStep, StepLog

_GRADS = (
    *(("jax", name) for name in ("grad", "value_and_grad")),
    *(("flax.nnx", name) for name in ("grad", "value_and_grad")),
    *(("equinox", name) for name in ("filter_grad", "filter_value_and_grad")),
)
_JITS = (("jax", "jit"), ("flax.nnx", "jit"), ("equinox", "filter_jit"))


@contextlib.contextmanager
def watching_jax(log: StepLog) -> Iterator[None]:
    """Replace the public transformations of JAX while a program is loaded and run."""
    import jax

    put: list[tuple[Any, str, Any]] = []

    def replace(module: str, name: str, make: Callable[[Any], Any]) -> None:
        if module == "jax" or module in sys.modules:
            home = importlib.import_module(module)
            put.append((home, name, getattr(home, name)))
            setattr(home, name, make(getattr(home, name)))

    for module, name in _JITS:
        replace(module, name, lambda _: _plain_jit)
    for module, name in _GRADS:
        replace(module, name, lambda real: _watched(real, log))
    loops = {"scan": _scan, "fori_loop": _fori_loop, "while_loop": _while_loop}
    for name, loop in loops.items():
        put.append((jax.lax, name, getattr(jax.lax, name)))
        setattr(jax.lax, name, loop)
    try:
        yield
    finally:
        for home, name, real in reversed(put):
            setattr(home, name, real)


def _plain_jit(function: Any = None, **options: Any) -> Any:
    """Return the function, also as a decorator with options."""
    if function is None or not callable(function):
        return functools.partial(_plain_jit, **options)
    return function


def _scan(
    f: Any,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
    **_: Any,
) -> Any:
    """``jax.lax.scan`` as a loop."""
    import jax
    import jax.numpy as jnp

    leaves = jax.tree.leaves(xs)
    n = int(leaves[0].shape[0]) if leaves else int(length or 0)
    carry, outs = init, []
    for i in reversed(range(n)) if reverse else range(n):
        carry, out = f(carry, jax.tree.map(lambda leaf, i=i: leaf[i], xs))
        outs.append(out)
    if reverse:
        outs.reverse()
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *outs) if outs else None
    return carry, stacked


def _fori_loop(lower: Any, upper: Any, body_fun: Any, init_val: Any, **_: Any) -> Any:
    """``jax.lax.fori_loop`` as a loop."""
    for i in range(int(lower), int(upper)):
        init_val = body_fun(i, init_val)
    return init_val


def _while_loop(cond_fun: Any, body_fun: Any, init_val: Any) -> Any:
    """``jax.lax.while_loop`` as a loop."""
    while cond_fun(init_val):
        init_val = body_fun(init_val)
    return init_val


def _watched(real: Any, log: StepLog) -> Any:
    """A gradient transformation that looks at the loss before it differentiates it."""

    @functools.wraps(real)
    def transform(function: Any = None, *args: Any, **options: Any) -> Any:
        if function is None or not callable(function):
            return lambda later: transform(later, *args, **options)
        inner = real(function, *args, **options)
        argnums = options.get("argnums", args[0] if args else 0)

        @functools.wraps(function)
        def derivative(*given: Any, **named: Any) -> Any:
            if not log.open:
                return inner(*given, **named)
            if not log.detailed:
                log.steps.append(BARE)
            log.open = False  # NNX differentiates by the functions of JAX
            try:
                step = _look(function, argnums, given, named, log.file) if log.detailed else None
                if step is not None:
                    log.steps.append(step)
                return inner(*given, **named)
            finally:
                log.open = True

        return derivative

    return transform


def _look(
    function: Any, argnums: Any, given: Sequence[Any], named: Any, file: str
) -> GradientStep | None:
    """Trace a loss at its arguments; None if these are not numbers."""
    import jax

    positions = {argnums} if isinstance(argnums, int) else set(_numbers(argnums))
    inputs, rebuild, trained = _inputs(given, positions)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in (*inputs, *jax.tree.leaves(named))):
        return None

    def pure(*leaves: Any) -> Any:
        out = function(*rebuild(leaves), **named)
        return out[0] if isinstance(out, tuple) else out

    closed = jax.make_jaxpr(pure)(*inputs)
    if any(isinstance(const, jax.core.Tracer) for const in closed.consts):
        return None
    return read_program(closed, inputs, trained, file)


def _numbers(argnums: Any) -> list[int]:
    """Positions of the differentiated arguments; 0 for those of NNX that have no number."""
    every = argnums if isinstance(argnums, tuple | list) else [argnums]
    return [one if isinstance(one, int) else getattr(one, "argnum", 0) for one in every]


def _inputs(given: Sequence[Any], positions: set[int]) -> tuple[list[Any], Any, list[bool]]:
    """Split arguments into arrays and the rest: the arrays, how to put them back, which train."""
    import jax

    module = getattr(sys.modules.get("flax.nnx"), "Module", ())
    inputs: list[Any] = []
    trained: list[bool] = []
    parts: list[Callable[[Sequence[Any]], Any]] = []
    for i, arg in enumerate(given):
        graph = None
        if module and isinstance(arg, module):
            graph, arg = sys.modules["flax.nnx"].split(arg)
        leaves, tree = jax.tree.flatten(arg)
        moving = [isinstance(leaf, jax.Array) or hasattr(leaf, "__array__") for leaf in leaves]
        start = len(inputs)
        inputs += [leaf for leaf, moves in zip(leaves, moving, strict=True) if moves]
        trained += [i in positions] * sum(moving)
        parts.append(_putter(graph, tree, leaves, moving, start))
    return inputs, lambda found: [part(found) for part in parts], trained


def _putter(
    graph: Any, tree: Any, leaves: Sequence[Any], moving: Sequence[bool], start: int
) -> Callable[[Sequence[Any]], Any]:
    def put(found: Sequence[Any]) -> Any:
        import jax

        new = iter(found[start : start + sum(moving)])
        filled = [next(new) if moves else leaf for leaf, moves in zip(leaves, moving, strict=True)]
        arg = jax.tree.unflatten(tree, filled)
        return arg if graph is None else sys.modules["flax.nnx"].merge(graph, arg)

    return put
