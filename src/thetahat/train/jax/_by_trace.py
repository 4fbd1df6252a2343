"""Programs that are named by their own trace: evaluations, tables, predictions, risks anew.

The program of a chunk is named by its parts (``_fingerprint``), before it is traced: by all that a
step takes. What looks at a state that is found takes less: neither the optimizer nor its rate,
batches, epochs and stopping rules. A list of what it does take could miss something. So it is
traced, and the trace is its key.

Why the key is complete. A compiled program is made of, and the key holds,

- the jaxpr that JAX lowers: operations and their parameters, inner jaxprs, the bits of literals
  and constants. Models, losses, metrics, members, padding and blocks are in it. What cannot be read
  there (functions on the host) has no key. Dead code does not count: JAX removes it before;
- the arguments: number, shapes, types, which of them are read, and the devices they were put on;
- the compiler: who compiles, and the options;
- settings of JAX, XLA_FLAGS, versions and devices (``settings``); on disk also the processor and
  the code of the engine.

The functions that were traced run no more, so their globals, closures and names need no place in
it. Names of outputs are kept with a program, and are part of its key too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr

from thetahat.train.jax._compile import compilations
from thetahat.train.jax._compiled import MOST_CONSTANTS, compiled, reused
from thetahat.train.jax._disk import load, save
from thetahat.train.jax._jaxpr_key import JaxprKey, NotComparable, reduced
from thetahat.train.jax._settings import place_of, settings

NamedProgram = tuple[Any, tuple[str, ...]]
"""What is compiled, from leaves to leaves, and the names of its outputs."""


def trace_key(
    traced: Any, leaves: Sequence[Any], compiler: Any, names: Sequence[str] = ()
) -> Any | None:
    """The key of a program; None where it cannot be told, or where programs are not reused.

    Args:    traced: what ``jax.jit`` traced, from leaves to leaves.   leaves: its arguments.
             compiler: names what compiles it, and its options.   names: of its outputs.
    """
    closed = traced.jaxpr
    # Arguments of a trace around this one would come first.
    if not reused() or len(closed.jaxpr.invars) != len(leaves):
        return None
    key = JaxprKey(strict=True)
    jaxpr, consts, read = reduced(closed, [True] * len(closed.jaxpr.outvars))
    try:
        found = key.of(ClosedJaxpr(jaxpr, consts))
    except NotComparable:
        return None
    if key.const_bytes > MOST_CONSTANTS:
        return None
    types = tuple((a.shape, str(a.dtype), a.weak_type) for a in closed.in_avals)
    given = (types, tuple(read), tuple(map(place_of, leaves)))
    return "trace", found, given, compiler, tuple(names), settings()


def kept(key: Any) -> NamedProgram | None:
    """The program of a key, in this process or on disk; None where there is none."""
    found = compiled.get(key)
    if found is None:
        found = load(key)
        if found is not None:
            compiled.keep(key, found)
    return found


def keep(key: Any, program: NamedProgram, *, fresh: bool) -> None:
    """Keep a program for this process and, if this thread has just compiled it, on disk.

    Args:    fresh: it was compiled now, and not read from JAX's cache.
    """
    compiled.keep(key, program)
    if fresh:
        save(key, *program)


def by_trace(
    traced: Any,
    leaves: Sequence[Any],
    compile_: Callable[[Any], Any],
    compiler: Any,
    names: Sequence[str] = (),
    *,
    on_disk: bool = False,
) -> tuple[NamedProgram, Any | None]:
    """A program and its key: one of an equal trace, or else compiled now.

    Args:    compile_: compiles what is lowered.   on_disk: whether other processes find it.
             Others as in ``trace_key``.
    """
    key = trace_key(traced, leaves, compiler, names)
    found = None
    if key is not None:
        found = kept(key) if on_disk else compiled.get(key)
    if found is None:
        before = compilations()
        found = compile_(traced.lower()), tuple(names)
        if key is not None:
            keep(key, found, fresh=on_disk and compilations() > before)
    return found, key


def _type_of(leaf: Any) -> Any:
    """What JAX traces of an argument, and its devices."""
    if type(leaf) is np.ndarray:
        return leaf.shape, leaf.dtype
    return jax.typeof(leaf), place_of(leaf)


class TracedFunction:
    """``jax.jit`` of a function, whose programs other functions of equal traces share.

    Args:    options: of the compiler.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.function, self._options = function, options
        self.programs: dict[Any, Any] = {}
        """By structure and types of arguments, and settings: program, structure of outputs."""

    def __call__(self, *args: Any) -> Any:
        """``function(*args)``, compiled once for arguments of these types."""
        leaves, tree = jax.tree.flatten(args)
        types = tuple(map(_type_of, leaves))
        where = (tree, types, settings())
        found = self.programs.get(where)
        if found is None:
            found = self.programs[where] = self._compiled(tree, leaves)
        run, out = found
        return jax.tree.unflatten(out, run(*leaves))

    def _compiled(self, tree: Any, leaves: Sequence[Any]) -> tuple[Any, Any]:
        trees: list[Any] = []

        def run(*leaves: Any) -> Any:
            out, found = jax.tree.flatten(self.function(*jax.tree.unflatten(tree, leaves)))
            trees.append(found)
            return out

        traced = jax.jit(run).trace(*leaves)
        compiler = ("jit", *sorted(self._options.items()))
        (program, _), _ = by_trace(traced, leaves, self._compile, compiler)
        return program, trees[-1]

    def _compile(self, lowered: Any) -> Any:
        return lowered.compile(compiler_options=self._options or None)
