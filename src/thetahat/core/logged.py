"""Values that a program logs by hand: numbers, steps and how its run ends, each checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from thetahat.core.errors import ConfigError, why_failed
from thetahat.core.run import Status


def check_names(metrics: Any) -> None:
    """Refuse what is no mapping from names to numbers."""
    if not isinstance(metrics, Mapping):
        raise ConfigError(f"log({metrics!r:.80}): give numbers by name, such as {{'loss': 0.5}}")


def checked_row(
    metrics: Mapping[str, Any], step: Any, next_step: int
) -> tuple[dict[str, float], int]:
    """Return the numbers of a row, and its step: ``step``, ``metrics["step"]``, else the next.

    Raises:  ConfigError: a value that is not a number.
    """
    check_names(metrics)
    if step is None:
        step = metrics.get("step")
    row = {key: _number(key, value) for key, value in metrics.items() if key != "step"}
    return row, next_step if step is None else _whole(step)


def ending_of(error: BaseException | None) -> tuple[Status, str]:
    """Return how a program's run ends, by the exception that ended the program."""
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return Status.FINISHED, ""
    if isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED, "Ctrl-C"
    return Status.FAILED, why_failed(error)


def checked_ending(status: Status | str) -> Status:
    """Return a status with which a run can end.

    >>> checked_ending("failed")
    <Status.FAILED: 'failed'>
    """
    endings = [s.value for s in Status if s.over]
    if status not in endings:
        raise ConfigError(
            f"a run cannot end with the status {str(status)!r}; give one of {', '.join(endings)}"
        )
    return Status(status)


def _number(key: str, value: Any) -> float:
    shape = getattr(value, "shape", None)
    one: Any = value
    if shape is not None and callable(getattr(value, "item", None)):
        if math.prod(shape) != 1:
            raise ConfigError(
                f"run.log: {key!r} has the shape {tuple(shape)}; log one number, such as its mean"
            )
        gone = _is_masked(value) or getattr(getattr(value, "dtype", None), "kind", "") in _TIMES
        one = None if gone else value.item()
    if not isinstance(one, (str, bytes)) and hasattr(one, "__float__"):
        try:
            return float(one)
        except (TypeError, ValueError):
            pass  # such as a missing date, or a symbol
        except OverflowError:
            raise ConfigError(
                f"run.log: {key} is an integer above the largest number, 1.8e308; log its logarithm"
            ) from None
    raise ConfigError(_no_number(key, value))


_TIMES = ("m", "M")
"""Kinds of NumPy whose ``item()`` may be a count of nanoseconds."""


def _is_masked(value: Any) -> bool:
    """Whether a value of one element is masked by NumPy; NumPy is not loaded for it."""
    return type(value).__module__.startswith("numpy.ma") and bool(value.mask.any())


def _no_number(key: str, value: Any) -> str:
    return (
        f"run.log: {key}={value!r} is not a number ({type(value).__name__}); log numbers only, and"
        " put words into the config"
    )


def _whole(step: Any) -> int:
    if hasattr(step, "__index__") and not isinstance(step, bool):
        return int(step)
    raise ConfigError(f"run.log: step={step!r} is not an integer; leave it out to count up from 0")
