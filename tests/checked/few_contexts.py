"""One context of MLIR for many programs of a thread, where JAX makes one for each.

Making one takes 4 ms, two thirds of the time in which a small operation is lowered; the tests lower
some twenty thousand programs. The text of a program does not depend on its context.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from jax._src.interpreters import mlir  # it has no public name
from jaxlib.mlir import ir

PROGRAMS = 100
"""Programs of a context: it holds the constants of all as long as one of them is alive."""


class _Contexts(threading.local):
    """The context of this thread, and for how many programs more."""

    kept: Any = None
    left = 0


def install() -> None:
    """Let JAX lower many programs in one context from now on."""
    make: Callable[[], Any] | None = getattr(mlir, "make_ir_context", None)
    if make is None:  # another JAX
        return
    contexts = _Contexts()

    def context() -> Any:
        if ir.Context.current is not None:
            # A program is compiled while another is lowered: what JAX clones would come into that one.
            return make()
        if contexts.left == 0:
            contexts.kept, contexts.left = make(), PROGRAMS
        contexts.left -= 1
        return contexts.kept

    mlir.make_ir_context = context
