"""Adapt Flax NNX modules: split once, merged inside the program of one observation.

A module with random streams or state is merged anew for each call, so that a call works inside any
transformation, and every call of one residual draws the same masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from thetahat.core.errors import ConfigError
from thetahat.models._adapted import Adapted
from thetahat.models._called import CallArguments, Called, call_arguments
from thetahat.models._leaves import (
    LeafPath,
    Selected,
    is_inexact,
    key_kind,
    name,
    nest,
    nest_parameters,
    pick,
    plain,
    restored,
    select,
    steps,
)


def adapt_nnx(module: Any, selections: Sequence[Selected]) -> Adapted:
    """Split a module into its ``nnx.Param`` arrays and the rest.

    Raises:  ConfigError: a BatchNorm with batch statistics, a dropout without a random stream, or a
             module without a trained array.
    """
    for path, node in nnx.iter_modules(module):
        if isinstance(node, nnx.BatchNorm) and not node.use_running_average:
            raise _needs_a_batch(name(path))
        if type(node) is nnx.Dropout and isinstance(node.rate, jax.Array):
            node.__class__ = _DropoutOfTracedRate
    graphdef, state = nnx.split(module)
    variables = {steps(path): variable for path, variable in nnx.to_flat_state(state)}
    found, treedef = jax.tree.flatten_with_path(state)
    # A variable is a node with one leaf, `value`; a raw array is a leaf itself.
    paths = [p if p in variables else p[:-1] for p in (steps(keypath) for keypath, _ in found)]
    items = [(path, leaf) for path, (_, leaf) in zip(paths, found, strict=True)]
    candidates = [
        (path, leaf)
        for path, leaf in items
        if isinstance(variables[path], nnx.Param) and is_inexact(leaf)
    ]
    keep = select(candidates, selections)
    trained = {path for (path, _), kept in zip(candidates, keep, strict=True) if kept}
    arguments = call_arguments(module)
    own = any(isinstance(variables[path], nnx.RngKey) for path in paths)
    split = _Split(
        graphdef,
        treedef,
        tuple(
            _Leaf(path, type(variables[path]), key_kind(leaf), path in trained)
            for path, leaf in items
        ),
        arguments,
        streams=_wants_streams(module, arguments, own),
    )
    return Adapted(
        params=nest([(path, leaf) for path, leaf in items if path in trained]),
        frozen=nest([(path, plain(leaf)) for path, leaf in items if path not in trained]),
        kind="nnx",
        stochastic=own or split.streams or bool(arguments.modes),
        join=split.join,
        exported=split.export,
        joined=partial(nest_parameters, [path for path, _ in candidates], trained),
    )


@dataclass(frozen=True)
class _Leaf:
    """One array of a module: its path, the type of its variable, and whether it is trained."""

    path: LeafPath
    variable: type
    key_kind: Any
    trained: bool

    @property
    def is_state(self) -> bool:
        """Whether it is a variable that a call could change, and neither trained nor random."""
        fixed = (nnx.Param, nnx.RngState)
        return issubclass(self.variable, nnx.Variable) and not issubclass(self.variable, fixed)


@dataclass(frozen=True)
class _Split:
    """A module that was split, and how it is put together and called.

    Args:    streams: whether calls get ``rngs=``.
    """

    graphdef: Any
    treedef: Any
    leaves: tuple[_Leaf, ...]
    arguments: CallArguments
    streams: bool

    def values(self, params: Any, frozen: Any, key: Any) -> list[Any]:
        """The module's arrays; with a key, its random streams begin anew from that key."""
        values = []
        keys = [leaf.path for leaf in self.leaves if issubclass(leaf.variable, nnx.RngKey)]
        for leaf in self.leaves:
            value = restored(pick(params if leaf.trained else frozen, leaf.path), leaf.key_kind)
            if key is not None and leaf.path in keys:
                value = _key_like(jax.random.fold_in(key, keys.index(leaf.path)), value)
            elif key is not None and issubclass(leaf.variable, nnx.RngCount):
                value = jnp.zeros_like(value)
            values.append(value)
        return values

    def merge(self, values: list[Any], train: bool) -> Any:
        """The module of the user's own class, in training or evaluation mode."""
        state = jax.tree.unflatten(self.treedef, values)
        merged = nnx.merge(self.graphdef, state, copy=True)
        if train:
            merged.set_attributes(deterministic=False, raise_if_not_found=False)
        else:
            merged.eval()
        return merged

    def export(self, params: Any, frozen: Any) -> Any:
        """The module in evaluation mode, with arrays that its streams and methods can change."""
        values = self.values(params, frozen, None)
        return self.merge([jnp.asarray(value) for value in values], False)

    def join(self, params: Any, frozen: Any, key: Any, train: bool) -> Any:
        """The module, or what calls it: see ``Adapted.join``."""
        values = self.values(params, frozen, key if train else None)
        merged = self.merge(values, train)
        state = [n for n, leaf in enumerate(self.leaves) if leaf.is_state]
        random = any(issubclass(leaf.variable, nnx.RngState) for leaf in self.leaves)
        if not (state or random or self.streams or self.arguments.modes):
            return merged

        def call(*args: Any, **kwargs: Any) -> Any:
            fresh = self.merge(values, train)
            out = fresh(*args, **kwargs)
            after = jax.tree.leaves(nnx.split(fresh)[1]) if state else []
            for n in state:
                if after[n] is not values[n]:
                    raise _changed(self.leaves[n])
            return out

        def filled() -> dict[str, Any]:
            given: dict[str, Any] = self.arguments.of_mode(train)
            if self.streams and (train or self.arguments.requires("rngs")):
                given["rngs"] = nnx.Rngs(key) if train else None
            return given

        return Called(merged, call, self.arguments.positional, filled)


def _key_like(key: Any, old: Any) -> Any:
    """Shape ``key`` as the stored key: split streams hold an array of keys."""
    return key if old.ndim == 0 else jax.random.split(key, old.shape)


def _wants_streams(module: Any, arguments: CallArguments, own: bool) -> bool:
    """Return whether calls in training get ``rngs=``.

    Args:    own: whether the module holds random streams.
    Raises:  ConfigError: a random layer without a stream, in a module whose call takes none.
    """
    if arguments.requires("rngs"):
        return True
    if own:
        return False
    without = [
        f"{type(node).__name__} ({name(path)})"
        for path, node in nnx.iter_modules(module)
        if getattr(node, "rngs", node) is None and _rate(node)
    ]
    if without and "rngs" not in arguments.parameters:
        raise ConfigError(
            f"the model has a {without[0]} without a random stream, so that nothing can be dropped"
            " in training; write nnx.Dropout(rate, rngs=rngs), with rngs ="
            " nnx.Rngs(jax.random.key(seed))"
        )
    return bool(without)


def _rate(node: Any) -> bool:
    rate = getattr(node, "rate", getattr(node, "dropout_rate", 0.0))
    return isinstance(rate, jax.Array) or bool(rate)


def _needs_a_batch(where: str) -> ConfigError:
    return ConfigError(
        f"the model has a BatchNorm ({where}), whose statistics need a whole batch,"
        " while a residual sees one observation; use nnx.LayerNorm, or"
        " use_running_average=True, in its call too"
    )


def _changed(leaf: _Leaf) -> ConfigError:
    """A model that changes its own arrays when it is called: the change would be lost."""
    if leaf.variable is nnx.BatchStat and leaf.path[-1] in ("mean", "var"):
        return _needs_a_batch(name(leaf.path[:-1]))
    return ConfigError(
        f"a call of the model changes {name(leaf.path)} (nnx.{leaf.variable.__name__}), and only"
        " the optimizer changes a model, which sees one observation at a time. Compute it from x,"
        " make it an nnx.Param, or switch its update off"
    )


class _DropoutOfTracedRate(nnx.Dropout):
    """Dropout whose rate is a traced parameter of the experiment: rates share a program."""

    def __call__(
        self, inputs: Any, *, deterministic: bool | None = None, rngs: Any = None
    ) -> jax.Array:
        """Drop inputs at random in training, as ``nnx.Dropout`` of a number does."""
        if self.deterministic if deterministic is None else deterministic:
            return inputs
        stream: Any = self.rngs if rngs is None else rngs
        if isinstance(stream, nnx.Rngs):
            stream = stream[self.rng_collection]
        key = stream() if isinstance(stream, nnx.RngStream) else stream
        rate = jnp.where((self.rate >= 0) & (self.rate <= 1), self.rate, jnp.nan)
        keep = 1.0 - rate  # a rate that is none makes the risk NaN, and the run diverge
        shape = [1 if n in self.broadcast_dims else size for n, size in enumerate(inputs.shape)]
        mask = jnp.broadcast_to(jax.random.bernoulli(key, keep, shape), inputs.shape)
        # Where nothing is kept, a division by one leaves the gradient at zero.
        kept = jnp.where(mask, inputs / jnp.where(keep > 0, keep, 1.0), 0.0)
        return jnp.where(jnp.isnan(keep), jnp.nan, kept).astype(inputs.dtype)
