"""NumPy arrays that a program closes over: converted to the precision in force, at every fit.

JAX 0.10 keeps by an array's identity what it once became, while something holds that: a fit in
float64, whose experiment was traced in float32 first, got numbers rounded to float32.
"""

from __future__ import annotations

import weakref
from typing import Any

import jax
import numpy as np

try:
    from jax._src import dtypes, literals
except ImportError:  # another version of JAX: tests say whether it needs this
    dtypes = literals = None

_known: dict[tuple[int, bool], tuple[Any, Any]] = {}
"""By identity and precision: weak references to an array, and to what it became."""


def convert_anew() -> None:
    """Forget what arrays became: the next trace converts them by the precision then in force."""
    _known.clear()


def _converted(array: np.ndarray) -> Any:
    """Return the constant of an array; one trace uses one constant, however often it is read."""
    assert dtypes is not None
    assert literals is not None
    key = id(array), bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    if (kept := _known.get(key)) is not None:
        of, constant = (reference() for reference in kept)
        if of is array and constant is not None:
            return constant
    dtype = dtypes.canonicalize_dtype(array.dtype)
    constant = literals.TypedNdArray(np.array(array, dtype))
    _known[key] = weakref.ref(array), weakref.ref(constant)
    return constant


def _install() -> None:
    register = getattr(dtypes, "register_canonicalize_value_handler", None)
    if register is not None and hasattr(literals, "TypedNdArray"):
        register(np.ndarray, _converted)


_install()
