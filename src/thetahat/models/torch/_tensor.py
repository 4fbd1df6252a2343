"""Tensors that hold JAX arrays: a module's own ``forward`` runs on them, operator by operator.

PyTorch dispatches every call down to ATen operators. Here each goes to a function of the same name
in our tables. A view (a slice, a transpose) remembers its base, so that a change in place changes
both. What depends on no input and no parameter is computed by PyTorch itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from thetahat.core.errors import NotConverted
from thetahat.models.torch._layers import LAYERS
from thetahat.models.torch._operators import OPERATORS, PROMOTED, VIEWS
from thetahat.models.torch._random import RANDOM

_DTYPES = {
    **{name: getattr(torch, name) for name in ("bool", "uint8", "int8", "int16", "int64")},
    **{name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")},
    "int32": torch.int64,  # JAX's integers have 32 bits where float64 is off
}
_IGNORED = ("device", "layout", "pin_memory", "memory_format", "non_blocking", "generator")
_MOST_INT = 2**31 - 1
_RECURRENT = ("gru", "lstm", "rnn_tanh", "rnn_relu")
_READS = ("_local_scalar_dense", "is_nonzero", "item", "equal")


class JaxTensor(torch.Tensor):
    """A tensor whose numbers are a JAX array, or a NumPy array where they are constant."""

    _held: Any
    _parent: JaxTensor | None
    _of_parent: Callable[[Any], Any] | None
    changes: int
    turned: bool
    """Whether this is the transpose of a matrix, as a linear layer makes of its weight."""
    _known: int

    @staticmethod
    def __new__(
        cls: type[JaxTensor],
        value: Any,
        dtype: torch.dtype,
        base: JaxTensor | None = None,
        of_parent: Callable[[Any], Any] | None = None,
    ) -> JaxTensor:
        """Wrap an array; a view gives its base, and its value as a function of that."""
        made = torch.Tensor._make_wrapper_subclass(cls, tuple(value.shape), dtype=dtype)  # pyright: ignore[reportAttributeAccessIssue]
        made._held, made._parent, made._of_parent, made.changes = value, base, of_parent, 0
        made.turned = False
        made._known = 0 if base is None else base.changes
        return made

    @property
    def value(self) -> Any:
        """The array; of a view, that of its base as it is now."""
        if self._parent is not None and self._of_parent is not None:
            inside = self._parent.value
            if self._parent.changes != self._known:
                self._held, self._known = self._of_parent(inside), self._parent.changes
                self.changes += 1
        return self._held

    def change(self, value: Any, differentiated: bool = True) -> None:
        """Change the numbers in place, of all that share them.

        Args:    differentiated: False under ``no_grad``: the derivative stays that of before.
        """
        if value.dtype != self._held.dtype:
            value = value.astype(self._held.dtype)
        if value.shape != self._held.shape:
            value = jnp.broadcast_to(value, self._held.shape)
        if not differentiated and value.dtype.kind == "f":
            before = self.value
            moved = before - jax.lax.stop_gradient(before)  # zero
            value = value + jnp.where(jnp.isfinite(before), moved, 0)
        if self._parent is None or self._of_parent is None:
            self._held = value
        else:
            whole = self._parent.value
            places = np.arange(whole.size).reshape(whole.shape)
            places = self._of_parent(places).ravel()
            flat = jnp.asarray(whole).reshape(-1)
            changed = flat.at[places].set(value.reshape(-1), unique_indices=True)
            self._parent.change(changed.reshape(whole.shape))
            self._held, self._known = value, self._parent.changes
        self.changes += 1

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Take a whole recurrent layer as one operator; leave all others to the dispatcher."""
        name = getattr(func, "__name__", "")
        if name in _RECURRENT and func is getattr(torch, name, None):
            return _run(name, args, kwargs or {}, None)
        if func is torch.Tensor.data.__get__:  # pyright: ignore[reportAttributeAccessIssue]
            return args[0].detach()
        return super().__torch_function__(func, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Never reached inside ``converting``, whose mode comes first."""
        raise NotConverted(f"a tensor of the module was kept, and used outside of it ({func})")

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"JaxTensor(shape={tuple(self.shape)}, dtype={self.dtype})"


class _Dispatch(TorchDispatchMode):
    """Every ATen operator of a forward pass.

    Args:    draw: of a random operator's shape, or None where nothing may be drawn.
    """

    def __init__(self, key: Any) -> None:
        super().__init__()
        self._key, self._drawn = key, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operator."""
        space, name = func._schema.name.split("::")
        if space != "aten":
            raise NotConverted(f"the operator {space}.{name} has no rule")
        return _run(name, args, kwargs or {}, func, self._draw)

    def _draw(self, name: str) -> Any:
        if self._key is None:
            raise NotConverted(
                f"{name} draws random numbers in evaluation, where predictions must not be random"
            )
        self._drawn += 1
        return jax.random.fold_in(self._key, self._drawn)


@contextmanager
def converting(key: Any) -> Iterator[None]:
    """Run PyTorch's operators on JAX arrays.

    Args:    key: of random operators; None in evaluation.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    apply = vars(torch.autograd.Function).get("apply")
    torch.backends.mha.set_fastpath_enabled(False)
    torch.autograd.Function.apply = classmethod(_refuse_own_derivative)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with (
            torch.enable_grad(),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            _Dispatch(key),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if apply is None:
            del torch.autograd.Function.apply
        else:
            torch.autograd.Function.apply = apply  # pyright: ignore[reportAttributeAccessIssue]


def wrapped(value: Any, dtype: torch.dtype | None = None) -> JaxTensor:
    """Wrap an array that is no constant, such as an input or a parameter."""
    value = jnp.asarray(value)
    return JaxTensor(value, _DTYPES[str(value.dtype)] if dtype is None else dtype)


def _refuse_own_derivative(cls: type, *args: Any, **kwargs: Any) -> Any:
    raise NotConverted(f"{cls.__name__} is a torch.autograd.Function with a derivative of its own")


def _run(
    name: str, args: Any, kwargs: Any, func: Any, draw: Callable[[str], Any] | None = None
) -> Any:
    """Compute an operator: by PyTorch where all is constant, else by the table."""
    if name in RANDOM and draw is not None:
        key = draw(name)
        return _finished(name, args, RANDOM[name](key, *_values(args), **_plain(kwargs)), kwargs)
    tensors = _tensors((args, kwargs))
    if func is not None and all(_is_constant(t) for t in tensors):
        return _constant(name, func, args, kwargs)
    if name in _READS:
        raise NotConverted(
            f"forward reads the value of a tensor ({name}), as int(x), x.item() or if x: do"
        )
    if name in VIEWS:
        return _view(name, args, kwargs)
    inplace = name.endswith("_") and not name.startswith("_")
    plain = name[:-1] if inplace else name
    if plain in ("mm", "addmm") and getattr(args[-1], "turned", False):
        plain = f"{plain} turned"
    rule = OPERATORS.get(plain, LAYERS.get(plain))
    if rule is None or "out" in kwargs:
        raise NotConverted(f"the operator aten.{name} has no rule")
    given = _values(args)
    if plain in PROMOTED:
        given = _promoted(args, given, PROMOTED[plain])
    return _finished(name, args, rule(*given, **_plain(kwargs)), kwargs)


def _finished(name: str, args: Any, out: Any, kwargs: Any) -> Any:
    """The outputs as tensors; an operator in place changes its first argument."""
    if not torch.is_grad_enabled():
        out = jax.tree.map(jax.lax.stop_gradient, out)
    if name.endswith("_") and not name.startswith("_"):
        if not isinstance(args[0], JaxTensor):
            raise NotConverted(
                f"forward changes a tensor from outside in place ({name}); make it in forward"
            )
        args[0].change(jnp.asarray(out), torch.is_grad_enabled())
        return args[0]
    dtype = kwargs.get("dtype")

    def tensor(leaf: Any) -> Any:
        leaf = jnp.asarray(leaf)
        known = _DTYPES[str(leaf.dtype)]
        # An integer dtype that was asked for is kept, whatever its width in JAX.
        return JaxTensor(leaf, known if dtype is None or known.is_floating_point else dtype)

    if isinstance(out, (tuple, list)):
        return type(out)(None if leaf is None else tensor(leaf) for leaf in out)
    return tensor(out)


def _view(name: str, args: Any, kwargs: Any) -> Any:
    base, rest = args[0], _values(args[1:])
    rule, named = VIEWS[name], _plain(kwargs)
    stopped = name == "detach" or not torch.is_grad_enabled()

    def of_parent(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            with jax.ensure_compile_time_eval():
                return jax.tree.map(np.asarray, rule(value, *rest, **named))
        out = rule(value, *rest, **named)
        return jax.tree.map(jax.lax.stop_gradient, out) if stopped else out

    if not isinstance(base, JaxTensor):
        base = JaxTensor(_array(base), base.dtype)
    out = of_parent(base.value)
    if not isinstance(out, (list, tuple)):
        made = JaxTensor(out, base.dtype, base, of_parent)
        made.turned = name == "t"
        return made
    return [
        JaxTensor(leaf, base.dtype, base, lambda value, k=k: of_parent(value)[k])
        for k, leaf in enumerate(out)
    ]


def _constant(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    """What PyTorch computes of constants, as constants."""
    inplace = name.endswith("_") and not name.startswith("_")

    def real(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, JaxTensor):
            return tensor
        return torch.from_numpy(np.array(tensor.value)).to(tensor.dtype)

    if name in VIEWS and args and isinstance(args[0], JaxTensor):
        return _view(name, args, kwargs)
    given, named = tree_map_only(torch.Tensor, real, (args, kwargs))
    if "device" in named:
        named["device"] = "cpu"
    out = func(*given, **named)
    if inplace:
        if isinstance(args[0], JaxTensor):
            args[0].change(_array(out))
        return args[0]
    return tree_map_only(torch.Tensor, lambda t: JaxTensor(_array(t), t.dtype), out)


def _is_constant(tensor: torch.Tensor) -> bool:
    return not isinstance(tensor, JaxTensor) or isinstance(tensor.value, np.ndarray)


def _tensors(tree: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    tree_map_only(torch.Tensor, found.append, tree)
    return found


def _values(args: Any) -> Any:
    """Arguments with arrays in place of tensors, and NumPy's dtypes in place of PyTorch's."""

    def value(tensor: torch.Tensor) -> Any:
        return tensor.value if isinstance(tensor, JaxTensor) else _array(tensor)

    return tree_map_only(torch.dtype, _dtype, tree_map_only(torch.Tensor, value, args))


def _plain(kwargs: Any) -> dict[str, Any]:
    """Keyword arguments without those that say where and how a tensor is stored."""
    return {n: v for n, v in _values(kwargs).items() if n not in _IGNORED}


def _dtype(dtype: torch.dtype) -> Any:
    if dtype.is_complex:
        raise NotConverted(f"it uses complex numbers ({dtype})")
    return jax.dtypes.canonicalize_dtype(str(dtype).removeprefix("torch."))


def _array(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a constant."""
    tensor = tensor.detach().cpu()
    if tensor.dtype.is_complex:
        raise NotConverted(f"it uses complex numbers ({tensor.dtype})")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array = tensor.numpy()
    x64 = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    if array.dtype == np.int64 and not x64 and array.size and np.abs(array).max() > _MOST_INT:
        raise NotConverted(f"it uses integers above {_MOST_INT}")
    return np.array(array)


def _stand_in(one: Any) -> Any:
    """A tensor of the same dtype and number of axes, which decide how dtypes are promoted."""
    known = isinstance(one, torch.Tensor)
    return torch.empty((1,) * one.dim(), dtype=one.dtype) if known else one


def _promoted(args: Any, values: Any, positions: tuple[int, ...]) -> list[Any]:
    """Values cast to their common dtype by PyTorch's rules, in which a scalar counts less."""
    parts = [args[n] for n in positions if n < len(args) and args[n] is not None]
    flat = [one for part in parts for one in (part if isinstance(part, (list, tuple)) else [part])]
    if len(flat) == 2:
        common = torch.result_type(*map(_stand_in, flat))
    else:
        tensors = [one for one in flat if isinstance(one, torch.Tensor)]
        tensors = [one for one in tensors if one.dim()] or tensors
        common = functools.reduce(torch.promote_types, [one.dtype for one in tensors])
    to = _dtype(common)

    def cast(value: Any) -> Any:
        return jnp.asarray(value).astype(to) if hasattr(value, "dtype") else value

    out = list(values)
    for n in positions:
        if n < len(out):
            part = out[n]
            out[n] = [cast(v) for v in part] if isinstance(part, (list, tuple)) else cast(part)
    return out
