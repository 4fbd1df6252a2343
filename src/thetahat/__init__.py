"""thetahat: fit, sweep, look, trust.

Names are loaded when first used, so that ``import thetahat`` costs milliseconds and loads neither
JAX nor PyTorch.
"""

from __future__ import annotations

import importlib as _importlib
import time as _time

from thetahat._names import HOMES as _HOMES, ROOMS as _ROOMS

__version__ = "0.1.0"
__all__ = [*_HOMES, *_ROOMS]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as _typing

    from thetahat._public import *  # noqa: F403

import_seconds = 0.0
"""Seconds spent so far in loading the rooms of this package and what they need."""


def __getattr__(name: str) -> _typing.Any:
    global import_seconds  # noqa: PLW0603 (one clock per process)
    began = _time.perf_counter()
    if name in _ROOMS:
        value: _typing.Any = _importlib.import_module(_ROOMS[name])
    elif name in _HOMES:
        value = getattr(_importlib.import_module(_HOMES[name]), name)
    else:
        hint = ""
        if not name.startswith("_"):  # Python looks for such names in every package
            from thetahat.core.elsewhere import package_hint

            near = package_hint(name, __all__)
            hint = "" if near.startswith("; known: ") else near
        raise AttributeError(f"module 'thetahat' has no attribute {name!r}{hint}", name=name)
    import_seconds += _time.perf_counter() - began
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
