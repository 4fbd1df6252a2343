"""Text made of a traced value, such as ``f"data-{seed}.csv"``, which would be the same for all."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import jax
from jax.core import Tracer

_LIBRARIES = (
    str(Path(__file__).parents[2]),
    *{sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib")},
)
_refused: ContextVar[bool] = ContextVar("_refused", default=False)
_described = Tracer.__repr__


@contextmanager
def text_needs_values() -> Iterator[None]:
    """Raise JAX's concretization error where the user's own lines ask for a tracer's text."""
    before = _refused.set(True)
    try:
        yield
    finally:
        _refused.reset(before)


def _text(self: Tracer) -> Any:
    if _refused.get() and not sys._getframe(1).f_code.co_filename.startswith(_LIBRARIES):
        raise jax.errors.ConcretizationTypeError(self, "its text was asked for")
    return _described(self)


# JAX has no hook for this: str, format and f-strings all end in this method.
Tracer.__repr__ = _text
