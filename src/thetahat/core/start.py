"""Fitted parameters that another fit starts from: ``Task(start=...)``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from thetahat.core.content import content_key
from thetahat.core.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Start:
    """Fitted parameters, with all that gives them their meaning.

    Args:    leaves: arrays by path, such as ``layers/0/kernel``: trained and frozen ones.
             transform: of the table that they were fitted to, or None.
             classes: of the target, in order, or None.
             model: the description of a model of ``th.models``; None of the user's own.
             origin: where they come from, in words.
             columns: names of the inputs' columns, where a frame was fitted as arrays; else None.
    """

    leaves: Mapping[str, Any]
    transform: Any = None
    classes: Any = None
    model: Any = None
    origin: str = "a Result"
    columns: Any = None

    @cached_property
    def key(self) -> str:
        """A key of the numbers: equal keys mean an equal start."""
        numbers = {} if self.transform is None else vars(self.transform)
        return content_key((dict(self.leaves), dict(numbers), self.classes), here=False)

    def as_start(self) -> Start:
        """Itself."""
        return self

    def __str__(self) -> str:
        return f"{self.origin} ({self.key[:12]})"


def as_start(given: Any) -> Any:
    """Return what ``Task(start=...)`` keeps: a Start, a path that is read when the fit begins, or
    None. A Result's data are not kept: a chain of warm starts stays small.

    Raises:  ConfigError: another value.
    """
    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)):
        return Path(given)
    of = getattr(given, "as_start", None)
    if isinstance(given, type) or not callable(of):
        raise ConfigError(
            f"start={type(given).__name__}: give the Result of a fit, th.load(path), or the path"
            " of a saved model"
        )
    return of()
