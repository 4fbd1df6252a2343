"""thetahat: fit, sweep, look, trust.

Names are loaded when first used, so that ``import thetahat`` costs milliseconds and loads neither
JAX nor PyTorch.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from thetahat._names import HOMES, ROOMS

__version__ = "0.1.0"
__all__ = [*HOMES, *ROOMS]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from thetahat._public import *  # noqa: F403

import_seconds = 0.0
"""Seconds spent so far in loading the rooms of this package and what they need."""


def __getattr__(name: str) -> Any:
    global import_seconds  # noqa: PLW0603 (one clock per process)
    began = time.perf_counter()
    if name in ROOMS:
        value: Any = importlib.import_module(ROOMS[name])
    elif name in HOMES:
        value = getattr(importlib.import_module(HOMES[name]), name)
    else:
        raise AttributeError(f"module 'thetahat' has no attribute {name!r}")
    import_seconds += time.perf_counter() - began
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
