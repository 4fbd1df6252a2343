"""Leaves of a model by path, and their split into trained and frozen ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.errors import ConfigError

LeafPath = tuple[Any, ...]
Where = str | Sequence[str] | Callable[[str, Any], bool]


@dataclass(frozen=True)
class Selected:
    """A partly trained model; made by ``trainable`` and ``freeze``."""

    model: Any
    where: Where
    frozen: bool
    """Whether ``where`` names the frozen part, rather than the trained part."""


def name(path: LeafPath) -> str:
    """Write the path ``("layers", 0, "kernel")`` as ``layers/0/kernel``."""
    return "/".join(str(step) for step in path)


def steps(keypath: Sequence[Any]) -> LeafPath:
    """Convert a JAX key path to plain steps: ints for positions, strings for the rest."""
    found = []
    for entry in keypath:
        step = getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", entry)))
        found.append(step if isinstance(step, (int, str)) else str(step))
    return tuple(found)


def is_array(leaf: Any) -> bool:
    """Return whether a leaf is an array, which belongs to the state."""
    return isinstance(leaf, (jax.Array, np.ndarray, np.generic))


def is_inexact(leaf: Any) -> bool:
    """Return whether a leaf can be differentiated."""
    return is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact)


def matches(where: Where, path: str, leaf: Any) -> bool:
    """Return whether ``where`` names ``path``, or a node above it."""
    if callable(where):
        return bool(where(path, leaf))
    patterns = (where,) if isinstance(where, str) else where
    if not isinstance(patterns, list | tuple | set) or not all(
        isinstance(p, str) for p in patterns
    ):
        raise ConfigError(
            f"where={where!r:.80}: give a path such as 'layers/0', a list of paths, or a function"
            " where(path, leaf)"
        )
    parts = path.split("/")
    nodes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return any(fnmatchcase(node, pattern.strip("/")) for pattern in patterns for node in nodes)


def select(
    candidates: Sequence[tuple[LeafPath, Any]], selections: Sequence[Selected]
) -> tuple[bool, ...]:
    """Return which of the candidates are trained, after every ``trainable`` and ``freeze``.

    Raises:  ConfigError: a selection without a match, or no parameter left to train.
    """
    keep = [True] * len(candidates)
    paths = [name(path) for path, _ in candidates]
    for chosen in selections:
        hit = [
            matches(chosen.where, p, leaf) for p, (_, leaf) in zip(paths, candidates, strict=True)
        ]
        if not any(hit):
            verb = "freeze" if chosen.frozen else "trainable"
            what = "the predicate" if callable(chosen.where) else repr(chosen.where)
            raise ConfigError(
                f"{verb}: {what} matches no parameter; the paths are {', '.join(paths)}"
            )
        keep = [k and (h != chosen.frozen) for k, h in zip(keep, hit, strict=True)]
    if not any(keep):
        if not paths:
            raise ConfigError("the model has no trainable array; give it at least one parameter")
        raise ConfigError(
            f"every parameter is frozen; leave one of {', '.join(paths)} to be trained"
        )
    return tuple(keep)


def nest(items: Sequence[tuple[LeafPath, Any]]) -> dict[Any, Any]:
    """Nest leaves by path in dicts: ``{"layers": {0: {"kernel": ...}}}``."""
    tree: dict[Any, Any] = {}
    for path, leaf in items:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = leaf
    return tree


def nest_parameters(
    paths: Sequence[LeafPath], trained: Collection[LeafPath], params: Any, frozen: Any
) -> dict[Any, Any]:
    """Nest all parameters by path, the trained ones and the frozen ones.

    Args:    paths: of the parameters.   trained: the paths of those in ``params``; the others are
             in ``frozen``.
    """
    return nest([(path, pick(params if path in trained else frozen, path)) for path in paths])


def pick(tree: Any, path: LeafPath) -> Any:
    """Return the leaf of nested dicts at ``path``."""
    for step in path:
        tree = tree[step]
    return tree


def plain(leaf: Any) -> Any:
    """Convert a leaf to a plain array; typed keys become their data, for checkpoints."""
    return jnp.asarray(leaf) if key_kind(leaf) is None else jax.random.key_data(leaf)


def key_kind(leaf: Any) -> Any:
    """Return the generator of a typed random key; None for other leaves."""
    typed = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_impl(leaf) if typed else None


def restored(array: Any, kind: Any) -> Any:
    """Undo ``plain`` for a leaf of this ``key_kind``."""
    return array if kind is None else jax.random.wrap_key_data(array, impl=kind)
