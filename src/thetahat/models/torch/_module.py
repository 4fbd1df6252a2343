"""Adapt PyTorch modules: their parameters and buffers as arrays, their forward pass by JAX.

An instance starts from its own parameters. A class, or a function that makes a module, is called
after ``torch.manual_seed(seed)``: with a traced seed on the host, once for each member, by the
small program that draws the first states.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from thetahat.core.errors import ConfigError, NotConverted, ShapeError, ThetahatError, notify
from thetahat.core.numbers import is_traced
from thetahat.models._adapted import Adapted
from thetahat.models._leaves import Selected, is_inexact, nest, nest_parameters, pick, select
from thetahat.models.torch._examine import (
    differs_in_training,
    examine,
    holding,
    mode_of,
    plain_tensors,
    refuse_batch_norm,
)
from thetahat.models.torch._generators import numbers_from
from thetahat.models.torch._tensor import JaxTensor, converting, wrapped

Factory = Callable[..., Any]


def adapt_torch(model: Any, seed: Any, selections: Sequence[Selected]) -> Adapted | None:
    """Adapt a module, or what makes one: a class or a function.

    Returns: None if a function makes something else.
    Raises:  ConfigError: no trained parameter, a lazy one, a class that needs arguments.
    """
    factory = None if isinstance(model, nn.Module) else model
    at = 0 if is_traced(seed) else int(seed)
    module = model if factory is None else made(factory, at)
    if not isinstance(module, nn.Module):
        return None
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    name = type(module).__name__
    if factory is None and is_traced(seed):
        _say_shared(name)
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for path, tensor in tensors.items():
        if nn.parameter.is_lazy(tensor):
            raise ConfigError(
                f"the PyTorch module {name} has a lazy parameter ({path}), whose shape is not known"
                " yet; call the module with one batch first"
            )
        if tensor.dtype.is_complex:
            raise ConfigError(f"the PyTorch module {name} has a complex parameter ({path})")
    arrays = [_array(t) for t in tensors.values()]
    if factory is not None and is_traced(seed):
        _refuse_random_attributes(factory, module)
        shapes = [jax.ShapeDtypeStruct(a.shape, _canonical(a)) for a in arrays]
        draw = _Draw(factory, tuple(tensors))
        arrays = jax.pure_callback(draw, shapes, seed, vmap_method="sequential")
    paths = {n: tuple(n.split(".")) for n in tensors}
    items = dict(zip(tensors, arrays, strict=True))
    candidates = [
        (paths[n], items[n])
        for n, p in module.named_parameters()
        if p.requires_grad and is_inexact(items[n])
    ]
    keep = select(candidates, selections)
    trained = {path for (path, _), kept in zip(candidates, keep, strict=True) if kept}
    own = [paths[n] for n, _ in module.named_parameters()]
    whole = _Converted(module, factory, name, paths, frozenset(trained))
    return Adapted(
        params=nest([(paths[n], a) for n, a in items.items() if paths[n] in trained]),
        frozen=nest(
            [(paths[n], jnp.asarray(a)) for n, a in items.items() if paths[n] not in trained]
        ),
        kind="torch",
        joined=functools.partial(nest_parameters, own, trained),
        stochastic=differs_in_training(module),
        join=whole.join,
        exported=whole.export,
        name=name,
    )


def made(factory: Factory, seed: int) -> Any:
    """Call what makes a module, after ``torch.manual_seed(seed)``."""
    wanted = _arguments(factory)
    with numbers_from(seed):
        return factory(*([seed] if wanted else []))


def _arguments(factory: Factory) -> bool:
    """Whether a factory takes the seed.

    Raises:  ConfigError: it needs other arguments.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p
        for p in inspect.signature(factory).parameters.values()
        if p.kind in kinds and p.default is p.empty
    ]
    is_class = isinstance(factory, type)
    if len(needed) > 1 or (needed and is_class and needed[0].name != "seed"):
        name = getattr(factory, "__name__", type(factory).__name__)
        raise ConfigError(
            f"the model {name} needs {', '.join(p.name for p in needed)}; give a function of the"
            f" seed that makes the module: model=lambda seed: {name if is_class else 'Net'}(...)"
        )
    return bool(needed)


@functools.cache
def _say_shared(name: str) -> None:
    """Say once that seeds share their initial parameters."""
    notify(
        f"all seeds start from the parameters of one {name}; give a function of the seed, model="
        f"lambda seed: {name}(...), and each draws its own after torch.manual_seed(seed)"
    )


@dataclass(frozen=True)
class _Draw:
    """The parameters and buffers of one seed, on the host."""

    factory: Factory
    names: tuple[str, ...]

    def __call__(self, seed: Any) -> list[np.ndarray]:
        """Make a module, and return its arrays."""
        module = made(self.factory, int(seed))
        found = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        if tuple(found) != self.names:
            raise ConfigError("the function that makes the module gives others at other seeds")
        arrays = [_array(t) for t in found.values()]
        return [a.astype(_canonical(a)) for a in arrays]


def _canonical(array: np.ndarray) -> np.dtype:
    return jax.dtypes.canonicalize_dtype(array.dtype)


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A copy: what happens to the user's module changes no fit."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy().copy()


def _refuse_random_attributes(factory: Factory, module: nn.Module) -> None:
    """Refuse tensors that differ between seeds, and that a cohort could not draw anew."""
    mine = plain_tensors(module)
    if not mine:
        return
    other = plain_tensors(made(factory, 1))
    for path, tensor in mine.items():
        if path not in other or not torch.equal(tensor, other[path]):
            raise ConfigError(
                f"{path} of the PyTorch module {type(module).__name__} is a random tensor and no"
                f" buffer, so that seeds would share it; write self.register_buffer"
                f"({path.split('.')[-1]!r}, ...)"
            )


@dataclass(frozen=True, eq=False)
class _Converted:
    """A module and its arrays' places."""

    module: nn.Module
    factory: Factory | None
    name: str
    paths: dict[str, tuple[str, ...]]
    trained: frozenset[tuple[str, ...]]
    seen: dict[Any, Any] = field(default_factory=dict)
    """Shapes of outputs, by shapes of inputs."""

    def join(self, params: Any, frozen: Any, key: Any, train: bool) -> Forward:
        """See ``Adapted.join``."""
        return Forward(self, params, frozen, key if train else None, train)

    def values(self, params: Any, frozen: Any) -> dict[str, Any]:
        """The arrays by PyTorch's names."""
        return {n: pick(params if p in self.trained else frozen, p) for n, p in self.paths.items()}

    def shapes(self, flat: Sequence[Any], tree: Any, train: bool) -> list[tuple[int, ...]]:
        """The shapes of the outputs at one observation; examined once."""
        key = (tuple(_described(one) for one in flat), str(tree), train)
        if key not in self.seen:
            refuse_batch_norm(self.module, self.name, train)
            self.seen[key] = examine(self.module, flat, tree, self.name, train)
        return self.seen[key]

    def export(self, params: Any, frozen: Any) -> nn.Module:
        """A module of the user's class with these numbers, in evaluation mode."""
        if self.factory is None:
            module = copy.deepcopy(self.module)
        else:
            module = getattr(new := made(self.factory, 0), "_orig_mod", new)
        held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for n, value in self.values(params, frozen).items():
            tensor, own = torch.from_numpy(np.array(value)), held[n]
            kind = tensor.dtype if tensor.is_floating_point() else own.dtype
            own.data = tensor.to(own.device, kind)
        for part in module.modules():
            if isinstance(part, nn.RNNBase):
                part.flatten_parameters()
        return module.eval()


def _described(one: Any) -> Any:
    return (tuple(one.shape), str(one.dtype)) if hasattr(one, "shape") else repr(one)


@dataclass(frozen=True, eq=False)
class Forward:
    """A module at its parameters, callable at one observation; its arrays are attributes."""

    _of: _Converted
    params: Any
    """Nested dicts of the trained arrays, by the parts of PyTorch's names."""
    frozen: Any
    _key: Any
    _train: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Predict at one observation: the module sees a batch of one.

        Raises:  NotConverted: PyTorch can, and JAX cannot.   ShapeError: PyTorch cannot either.
        """
        if len(args) == 1 and not kwargs and isinstance(args[0], (dict, tuple, list)):
            # The parts of an input are the arguments of forward, by name or in order.
            args, kwargs = ((), args[0]) if isinstance(args[0], dict) else (tuple(args[0]), kwargs)
        flat, tree = tree_flatten((args, kwargs))
        flat = [_as_array(one) for one in flat]
        shapes = self._of.shapes(flat, tree, self._train)
        try:
            out = self._run(flat, tree)
        except NotConverted as error:
            raise NotConverted(error.reason, self._of.name) from error
        except (ThetahatError, jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            raise
        except Exception as error:
            said = str(error).strip().splitlines()
            raise NotConverted(
                f"{type(error).__name__}: {said[0] if said else ''}", self._of.name
            ) from error
        leaves, whole = tree_flatten(out)
        return tree_unflatten(
            [self._first(leaf, s) for leaf, s in zip(leaves, shapes, strict=True)], whole
        )

    def _run(self, flat: Sequence[Any], tree: Any) -> Any:
        given = [wrapped(one[None]) if hasattr(one, "shape") else one for one in flat]
        args, kwargs = tree_unflatten(given, tree)
        values = self._of.values(self.params, self.frozen)
        state = {n: wrapped(value) for n, value in values.items()}
        module = self._of.module
        with converting(self._key), mode_of(module, self._train), holding(module, state):
            out = module(*args, **kwargs)
        for n, tensor in state.items():
            if tensor.changes:
                raise NotConverted(
                    f"forward changes {n}, and only the optimizer changes a model, which sees one"
                    " observation at a time"
                )
        return tree_map_only(JaxTensor, lambda tensor: jnp.asarray(tensor.value), out)

    def _first(self, leaf: Any, shape: tuple[int, ...]) -> Any:
        """The one row of an output."""
        if leaf.shape == (1, *shape):
            return leaf[0]
        if leaf.shape == shape:  # forward squeezed the axis of the batch, which has length one
            return leaf
        raise NotConverted(
            f"its output has shape {leaf.shape} for one observation, and {(2, *shape)} for two",
            self._of.name,
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        for tree in (self.params, self.frozen):
            if name in tree:
                return tree[name]
        raise AttributeError(
            f"the PyTorch module {self._of.name} has no parameter or buffer {name!r}; here are"
            f" {', '.join({*self.params, *self.frozen})}"
        )


def _as_array(one: Any) -> Any:
    if isinstance(one, torch.Tensor):
        raise ShapeError("the model was called with a PyTorch tensor; give it a JAX or NumPy array")
    return one if not hasattr(one, "shape") or isinstance(one, jax.Array) else np.asarray(one)
