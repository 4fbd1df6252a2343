"""Parameters that Python itself must know: found by abstract traces, one parameter at a time."""

from __future__ import annotations

import sysconfig
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thetahat.core import ConfigError, Notice

CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where Python needs the value of a traced parameter."""

_OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple(
    {
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["platlib"],
        sysconfig.get_paths()["stdlib"],
    }
)
_told: set[tuple[str, str]] = set()


def find_static(
    experiment: str,
    attempt: Callable[[Mapping[str, Any]], Any],
    values: Mapping[str, Any],
    failure: Exception,
) -> frozenset[str]:
    """Names of the traced parameters that ``attempt`` cannot take as tracers; one notice each.

    Args:    attempt: traces the estimation abstractly with only the given parameters traced.
             values: every traced parameter and an example of its value.
    Raises:  ConfigError: none can be blamed.
    """
    found = {}
    for name, value in values.items():
        try:
            attempt({name: value})
        except CONCRETE as error:
            found[name] = error
    if not found:
        raise ConfigError(
            f"{experiment}() cannot be traced, and no single parameter is to blame: {failure};"
            " annotate the parameters that Python must know as th.Static[float]"
        ) from failure
    for name, error in found.items():
        kind = "int" if isinstance(values[name], (int, np.integer)) else "float"
        _notice(experiment, name, kind, error)
    return frozenset(found)


def _notice(experiment: str, name: str, kind: str, error: Exception) -> None:
    if (experiment, name) in _told:
        return
    _told.add((experiment, name))
    warnings.warn(
        f"{experiment}(): {name!r} is static, because Python must know it{_where(error)};"
        f" each of its values compiles a program of its own. Write {name}:"
        f" th.Static[{kind}] to say so for good",
        Notice,
        stacklevel=2,
    )


def _where(error: Exception) -> str:
    """« at file.py:12: x = int(lr)», the last line of the user's own."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, *_LIBRARIES)) and frame.line
    ]
    if not lines:
        return ""
    last = lines[-1]
    return f" at {Path(last.filename).name}:{last.lineno}: {last.line}"
