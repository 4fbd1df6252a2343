"""What PyTorch itself says of a module: that it runs on such inputs, and on each row alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from thetahat.core.errors import NotConverted, ShapeError
from thetahat.models.torch._generators import numbers_from

Batch = Callable[[Sequence[np.ndarray]], Any]


@contextmanager
def mode_of(module: torch.nn.Module, train: bool) -> Iterator[None]:
    """Put a module in evaluation for a while; in training it has the modes that it was given."""
    before = [(part, part.training) for part in module.modules()]
    if not train:
        module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def holding(module: torch.nn.Module, state: Mapping[str, Any]) -> Iterator[None]:
    """Put other tensors in the place of a module's own, by name, for a while.

    Modules that share a tensor, or that are there twice, share its replacement.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    other = {id(tensor): state[name] for name, tensor in own.items()}
    before: list[tuple[Any, str, Any]] = []
    try:
        for part in module.modules():
            for places in (part._parameters, part._buffers):
                for name, tensor in places.items():
                    if id(tensor) in other:
                        before.append((places, name, tensor))
                        places[name] = other[id(tensor)]
            if isinstance(part, torch.nn.RNNBase):
                flat = part._flat_weights
                before.append((vars(part), "_flat_weights", flat))
                vars(part)["_flat_weights"] = [other.get(id(tensor), tensor) for tensor in flat]
        yield
    finally:
        for places, name, tensor in before:
            places[name] = tensor


def examine(
    module: torch.nn.Module, inputs: Sequence[Any], tree: Any, name: str, train: bool
) -> list[tuple[int, ...]]:
    """Run a module on made-up batches of inputs, by PyTorch.

    Args:    inputs: one observation's arrays, and other arguments; ``tree``: of (args, kwargs).
    Returns: the shape of each output, without the axis of the batch.
    Raises:  ShapeError: the module fails, or does not return one row per observation.
             NotConverted: a row depends on the others of its batch.
    """
    state = {
        n: t.detach().cpu().clone()
        for n, t in (*module.named_parameters(), *module.named_buffers())
    }
    dtype = next((t.dtype for t in state.values() if t.is_floating_point()), torch.float32)

    def run(rows: Sequence[int]) -> list[torch.Tensor]:
        flat = [_rows(one, rows, dtype) for one in inputs]
        args, kwargs = tree_unflatten(flat, tree)
        fresh = {n: t.clone() for n, t in state.items()}
        with numbers_from(0), torch.no_grad(), holding(module, fresh):
            return tree_flatten(module(*args, **kwargs))[0]

    shown = ", ".join(str(tuple(one.shape)) for one in inputs if hasattr(one, "shape"))
    with mode_of(module, train):
        try:
            two, three = run((0, 1)), run((0, 2, 3))
        except Exception as error:
            said = str(error).strip().splitlines()
            raise ShapeError(
                f"the PyTorch module {name} fails at a batch of observations of shape {shown}:"
                f" {type(error).__name__}: {said[0] if said else ''}"
            ) from error
        again = run((0, 1)) if train else two
    for out in two:
        if not isinstance(out, torch.Tensor) or out.shape[:1] != (2,):
            got = (
                f"shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
            )
            raise ShapeError(
                f"the PyTorch module {name} returns {got} for a batch of 2 observations of shape"
                f" {shown}; return tensors with one row per observation"
            )
    # Where the rows are random, two runs of one batch differ in what they drew for them.
    if all(_close(a, b) for a, b in zip(two, again, strict=True)) and not all(
        _close(a[0], b[0]) for a, b in zip(two, three, strict=True)
    ):
        raise NotConverted(
            "its output for one observation depends on the others of the batch, while a residual"
            " sees one observation",
            name,
        )
    return [tuple(out.shape[1:]) for out in two]


def _rows(one: Any, rows: Sequence[int], dtype: torch.dtype) -> Any:
    """Made-up inputs like ``one``, for the rows of these numbers."""
    if not hasattr(one, "shape"):
        return one
    shape, kind = tuple(one.shape), np.dtype(str(one.dtype)).kind
    made = []
    for row in rows:
        uniform = np.random.default_rng(row).uniform(0.1, 0.9, shape)
        made.append(uniform if kind == "f" else np.floor(2 * uniform))
    array = torch.from_numpy(np.stack(made))
    return array.to(dtype if kind == "f" else torch.bool if kind == "b" else torch.int64)


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    a, b = a.double(), b.double()
    return torch.allclose(
        a, b, rtol=1e-3, atol=1e-4 * float(a.abs().max() if a.numel() else 0), equal_nan=True
    )


def refuse_batch_norm(module: torch.nn.Module, name: str, train: bool) -> None:
    """Refuse a batch norm that takes its statistics from a batch.

    Raises:  NotConverted.
    """
    for path, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and (
            (train and part.training) or part.running_mean is None
        ):
            raise NotConverted(
                f"{type(part).__name__} ({path or 'the module'}) takes its statistics from a whole"
                " batch, while a residual sees one observation; use nn.LayerNorm, or fix it at the"
                " statistics that it has: net.get_submodule(...).eval()",
                name,
            )


_RANDOM_WORDS = frozenset(
    {
        *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
        *("feature_alpha_dropout", "training", "is_training", "rand", "randn", "rand_like"),
        *("randn_like", "bernoulli", "bernoulli_", "normal_", "uniform_", "exponential_"),
        *("rrelu", "gumbel_softmax"),
    }
)


def differs_in_training(module: torch.nn.Module) -> bool:
    """Whether a call in training may draw random numbers, or compute otherwise than in evaluation:
    by the layers there are, and by the words in the code of the user's own classes."""
    for part in module.modules():
        if not part.training:
            continue
        kind = type(part)
        if kind.__module__.startswith("torch.nn.modules"):
            rates = (getattr(part, n, 0) for n in ("p", "dropout"))
            random = "Dropout" in kind.__name__ or kind.__name__ in ("RReLU", "LSTM", "GRU", "RNN")
            batch = isinstance(part, torch.nn.modules.batchnorm._BatchNorm)
            attends = kind.__name__ == "MultiheadAttention"
            if batch or (
                (random or attends) and any(isinstance(r, float) and r > 0 for r in rates)
            ):
                return True
            if kind.__name__ == "RReLU":
                return True
        elif _words(kind) & _RANDOM_WORDS:
            return True
    return False


def _words(kind: type) -> set[str]:
    """Names that the methods of a class, and of its own bases, use."""
    found: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.startswith("torch."):
            continue
        codes = [f.__code__ for f in vars(base).values() if hasattr(f, "__code__")]
        while codes:
            code = codes.pop()
            found.update(code.co_names)
            codes += [c for c in code.co_consts if hasattr(c, "co_names")]
    return found


def plain_tensors(module: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    """Tensors that are attributes of a module and no buffers, by path."""
    return {
        f"{path}.{n}".lstrip("."): value
        for path, part in module.named_modules()
        for n, value in vars(part).items()
        if isinstance(value, torch.Tensor)
    }
