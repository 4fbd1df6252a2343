"""Collect the experiments of a script that is loaded and not run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_collections: list[list[Callable[..., Any]]] = []


@contextlib.contextmanager
def collecting() -> Iterator[list[Callable[..., Any]]]:
    """Collect the experiments given to ``th.main`` while the block runs; none of them runs.

    >>> with collecting() as found:
    ...     collected(len)
    True
    >>> found, collected(len)
    ([<built-in function len>], False)
    """
    found: list[Callable[..., Any]] = []
    _collections.append(found)
    try:
        yield found
    finally:
        _collections.remove(found)


def collected(experiment: Callable[..., Any]) -> bool:
    """Collect the experiment and return True, or return False: then the caller runs it."""
    if not _collections:
        return False
    _collections[-1].append(experiment)
    return True
