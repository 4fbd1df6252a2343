"""What a cohort begins with: its data, then its states, drawn by two small programs.

The data have a program of their own, so that nothing of the model can reach a bit of them, and so
that hypothesis classes of other sizes find it compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun
from jax.interpreters import partial_eval

from thetahat.train.backends.jax._quick import compile_once
from thetahat.train.backends.jax._stage import Staged

Draw = Callable[[Any, Any], list[Any]]
"""Traced parameters of the members, own (C,) and common, to some of what is drawn."""


class Beginning:
    """Draws the states and made arrays of C members; compiles once."""

    def __init__(self, staged: Staged, size: int) -> None:
        self._sizes = [math.prod(aval.shape) for aval in staged.closed.out_avals]
        leaves = len(self._sizes)
        n_state = leaves - len(staged.owned)
        # A state is every member's own; of the made arrays it is known.
        self.owned = (*(True,) * n_state, *staged.owned)
        self.tree, self.size = staged.out_tree, size
        first = n_state + staged.made_data
        model = [k for k in range(leaves) if not n_state <= k < first]
        self._parts = [
            (keep, _draw(staged.closed, keep, [self.owned[k] for k in keep], size))
            for keep in (list(range(n_state, first)), model)
            if keep
        ]
        self._compiled: list[Any] | None = None

    def shapes(self, own: Any, common: Any) -> Any:
        """(states, made arrays) as shapes: nothing is compiled."""
        return self._whole([jax.eval_shape(draw, own, common) for _, draw in self._parts])

    def draw(self, own: Any, common: Any) -> Any:
        """States with their leading axis C; made arrays with one where they differ."""
        if self._compiled is None:
            self._compiled = [
                compile_once(jax.jit(draw).lower(own, common), sum(self._sizes[k] for k in keep))
                for keep, draw in self._parts
            ]
        return self._whole(jax.block_until_ready([run(own, common) for run in self._compiled]))

    def _whole(self, parts: Sequence[Sequence[Any]]) -> Any:
        leaves: list[Any] = [None] * len(self.owned)
        for (keep, _), drawn in zip(self._parts, parts, strict=True):
            for k, leaf in zip(keep, drawn, strict=True):
                leaves[k] = leaf
        return jax.tree.unflatten(self.tree, leaves)


def _draw(closed: ClosedJaxpr, keep: Sequence[int], owned: Sequence[bool], size: int) -> Draw:
    """The outputs ``keep`` of a jaxpr of one member, for all members."""
    wanted = [k in set(keep) for k in range(len(closed.jaxpr.outvars))]
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, wanted, instantiate=True)
    one = jaxpr_as_fun(ClosedJaxpr(jaxpr, closed.consts))

    def run(own: Any, common: Any) -> list[Any]:
        return one(*jax.tree.leaves((own, common)))

    def draw(own: Any, common: Any) -> list[Any]:
        first = jax.tree.map(lambda a: a[0], own)
        if size == 1:
            drawn = run(first, common)
            return [jnp.asarray(a)[None] if o else a for a, o in zip(drawn, owned, strict=True)]
        # One by one, also where members are mapped by vmap: it happens once, and random draws
        # compile three times faster unbatched; so members start from the bits they have alone.
        mine = jax.lax.map(
            lambda i: _those(run(jax.tree.map(lambda a: a[i], own), common), owned, True),
            jnp.arange(size),
        )
        shared = [] if all(owned) else _those(run(first, common), owned, False)
        mine, shared = iter(mine), iter(shared)
        return [next(mine) if o else next(shared) for o in owned]

    return draw


def _those(leaves: Sequence[Any], owned: Sequence[bool], mine: bool) -> list[Any]:
    return [leaf for leaf, o in zip(leaves, owned, strict=True) if o is mine]
