"""Scripts that are loaded, not run: what they hand to ``th.main`` is collected instead."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_collections: list[list[Callable[..., Any]]] = []


@contextlib.contextmanager
def collecting() -> Iterator[list[Callable[..., Any]]]:
    """While the block runs, ``th.main`` runs nothing: the experiments it is given come here.

    >>> with collecting() as found:
    ...     handed_over(len)
    True
    >>> found, handed_over(len)
    ([<built-in function len>], False)
    """
    found: list[Callable[..., Any]] = []
    _collections.append(found)
    try:
        yield found
    finally:
        _collections.remove(found)


def handed_over(experiment: Callable[..., Any]) -> bool:
    """Whether somebody collects; then the experiment is theirs, and must not be run."""
    if not _collections:
        return False
    _collections[-1].append(experiment)
    return True
