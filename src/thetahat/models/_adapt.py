"""Adapt a model of any library to the engine: its trained arrays, its frozen arrays, its call.

``params`` and ``frozen`` are pytrees of plain arrays. For NNX and Equinox modules they are nested
dicts by path, which keeps private structures of modules out of optimizer states, checkpoints and
the second trace of an experiment.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from thetahat.core.errors import ConfigError
from thetahat.data.keys import INIT, role_key
from thetahat.models._adapted import Adapted, Hypothesis, parameters, takes_key
from thetahat.models._average import Average, averaged
from thetahat.models._leaves import (
    Selected,
    Where,
    is_array,
    is_inexact,
    key_kind,
    plain,
    restored,
    select,
    steps,
)


def adapt(model: Any, seed: Any) -> Adapted:
    """Adapt a model to the engine.

    Args:    model: a Flax NNX or Equinox module, an ``(init, apply)`` pair or an object with these,
             or one of them through ``trainable`` or ``freeze``.
             seed: int or traced integer; initialises a pair without a seed of its own.
    Returns: the adapted model.
    Raises:  ConfigError: another value, or a model whose layers need a whole batch.
    """
    if isinstance(model, Average):
        return averaged(adapt(model.model, seed), model)
    selections: list[Selected] = []
    while isinstance(model, Selected):
        selections.insert(0, model)
        model = model.model
    instance = not isinstance(model, type)
    modules = [cls.__module__ for cls in (type(model) if instance else model).__mro__]
    origins = {module.split(".")[0] for module in modules}
    if instance and any(m.startswith("flax.nnx") for m in modules):
        from thetahat.models._nnx import adapt_nnx

        return adapt_nnx(model, selections)
    if instance and "equinox" in origins:
        from thetahat.models._equinox import adapt_equinox

        return adapt_equinox(model, selections)
    if "torch" in origins or _is_factory(model):
        from thetahat.models.torch import adapt_torch

        found = adapt_torch(model, seed, selections)
        if found is not None:
            return found
    init, apply = _pair(model, origins)
    own = getattr(model, "seed", None)
    return _adapt_pair(init, apply, role_key(seed if own is None else own, INIT), selections)


def trainable(model: Any, where: Where) -> Selected:
    """Train only the part of a model that ``where`` names; freeze the rest as initialised.

    Args:    model: any model that a Task takes.
             where: a path pattern, a list of them, or ``where(path, leaf) -> bool``. A path such as
             ``layers/0/kernel`` names an array; a pattern may use ``*``; a pattern that names a
             node includes all below it: ``layers/0`` is the whole layer.
    Returns: the model with this selection, for a Task.
    Raises:  ConfigError (when the fit starts): no match; the message lists the paths.
    >>> from thetahat.models import MLP
    >>> n_params(trainable(MLP(2, width=4, depth=1), "layers/1"))
    5
    """
    return Selected(model, where, frozen=False)


def freeze(model: Any, where: Where) -> Selected:
    """Freeze the part of a model that ``where`` names; train the rest.

    Args, Returns, Raises: as ``trainable``.
    >>> from thetahat.models import MLP
    >>> n_params(freeze(MLP(2, width=4, depth=1), "layers/0"))
    5
    """
    return Selected(model, where, frozen=True)


def n_params(model: Any) -> int:
    """Count the trained parameters of a model without allocating them.

    Args:    model: any model that a Task takes.
    Returns: an int.

    >>> from thetahat.models import MLP
    >>> n_params(MLP(2, width=64, depth=2))
    4417
    """
    shapes = jax.eval_shape(lambda: adapt(model, 0).params)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _pair(model: Any, origins: set[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    sampled = any(o in ("flax", "haiku") for o in origins)
    if sampled and not isinstance(model, type):
        raise ConfigError(
            f"the model is a {type(model).__name__} whose init needs a sample; give the pair"
            " (lambda key: net.init(key, x0), net.apply), with one observation x0"
        )
    if isinstance(model, tuple) and len(model) == 2 and all(callable(part) for part in model):
        init, apply = model
    elif not isinstance(model, type) and callable(getattr(model, "init", None)):
        init, apply = getattr(model, "init", None), getattr(model, "apply", None)
    else:
        init, apply = None, None
    if init is None or not callable(apply):
        what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise ConfigError(
            f"the model is {_article(what)}; give a Flax NNX or Equinox module, an (init, apply)"
            " pair with init(key) -> params and apply(params, x), or one of th.models"
        )
    needed = [p for p in parameters(init) if p.default is p.empty and p.kind in _POSITIONAL]
    if len(needed) > 1:
        raise ConfigError(
            f"init needs {', '.join(p.name for p in needed)}; the engine gives a key only: close"
            " over the others, as in (lambda key: init(key, x0), apply)"
        )
    return init, apply


def is_torch(model: Any) -> bool:
    """Return whether a model is a PyTorch module, or makes one; PyTorch is not loaded for it."""
    kind = model if isinstance(model, type) else type(model)
    if any(base.__module__.split(".")[0] == "torch" for base in kind.__mro__):
        return True
    return _is_factory(model) and adapt(model, 0).kind == "torch"


def _is_factory(model: Any) -> bool:
    """Whether a model may be a function that makes a PyTorch module."""
    if not isinstance(model, (types.FunctionType, types.MethodType, functools.partial)):
        return False
    names = [p.name for p in parameters(model) if p.default is p.empty]
    return "torch" in sys.modules or names in ([], ["seed"])


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _article(what: str) -> str:
    if what.startswith("the "):
        return what
    return f"an {what}" if what[0].lower() in "aeiou" else f"a {what}"


def _adapt_pair(
    init: Callable[..., Any], apply: Callable[..., Any], key: Any, selections: Sequence[Selected]
) -> Adapted:
    found, treedef = jax.tree_util.tree_flatten_with_path(init(key))
    leaves = [
        jnp.asarray(leaf, jnp.result_type(float)) if isinstance(leaf, float) else leaf
        for _, leaf in found
    ]
    inexact = [n for n, leaf in enumerate(leaves) if is_inexact(leaf)]
    keep = select([(steps(found[n][0]), leaves[n]) for n in inexact], selections)
    trained = {n for n, kept in zip(inexact, keep, strict=True) if kept}
    # Leaves that are not arrays (a degree, a name) stay in this closure, out of every trace.
    constants = [None if is_array(leaf) else leaf for leaf in leaves]
    held = [leaf if is_array(leaf) and n not in trained else None for n, leaf in enumerate(leaves)]
    kinds = [key_kind(leaf) for leaf in leaves]
    stochastic = takes_key(apply)

    def join(params: Any, frozen: Any, key: Any, train: bool) -> Hypothesis:
        parts = zip(
            treedef.flatten_up_to(params), treedef.flatten_up_to(frozen), constants, strict=True
        )
        whole = [next((part for part in three if part is not None), None) for three in parts]
        tree = treedef.unflatten([restored(w, k) for w, k in zip(whole, kinds, strict=True)])
        return Hypothesis(tree, apply, key if train and stochastic else None)

    return Adapted(
        params=treedef.unflatten([leaf if n in trained else None for n, leaf in enumerate(leaves)]),
        frozen=treedef.unflatten([None if leaf is None else plain(leaf) for leaf in held]),
        kind="pair",
        stochastic=stochastic,
        join=join,
        joined=lambda params, frozen: join(params, frozen, None, False).params,
    )
