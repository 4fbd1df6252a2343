"""The module of a Task: its own copy, in the Task's precision, with one flat parameter."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

from thetahat import models
from thetahat.core import ConfigError, Task
from thetahat.models import torch as modules
from thetahat.train._memory import free_memory
from thetahat.train.torch._library import torch

nn: Any = torch.nn


def made(task: Task) -> Any:
    """Return the module of a Task, which no other fit shares.

    A module is copied, with the parameters that it has; a class or a function is called after
    ``torch.manual_seed(seed)``. The user's own random numbers go on as if nothing had run.

    Raises:  ConfigError: something else, no parameters, or a precision that the device lacks.
    """
    given, selections, module = task.model, [], cast(Any, None)
    while isinstance(given, models.Selected):
        selections.insert(0, given)
        given = given.model
    if isinstance(given, nn.Module):
        module = copy.deepcopy(given)
    elif callable(given):
        module = modules.made(given, int(task.seed))
    if not isinstance(module, nn.Module):
        what = given if isinstance(given, nn.Module) or not callable(given) else module
        raise ConfigError(
            f"the PyTorch backend got {type(what).__name__} as the model; give a torch.nn.Module,"
            " or a class or function that makes one"
        )
    trains = [(tuple(n.split(".")), p) for n, p in trained(cast(Any, module)).items()]
    for (_, p), kept in zip(trains, models.select(trains, selections), strict=True):
        p.requires_grad_(kept)
    if task.dtype == "float64" and device_of(module).type == "mps":
        raise ConfigError(
            "dtype='float64': MPS holds single precision only; leave dtype out, or move the module"
            " to the CPU"
        )
    return cast(Any, module).to(getattr(torch, task.dtype))


def device_of(module: Any) -> torch.device:
    """Return the device on which a module is; new tensors' where it holds none."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.get_default_device()


def free_on(device: torch.device) -> float:
    """Return how many bytes are free where a module is."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return free_memory()


def trained(module: Any) -> dict[str, torch.Tensor]:
    """Return the parameters that train, by name; a shared one once.

    Raises:  ConfigError: there is none.
    """
    found = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not found:
        raise ConfigError(
            f"the module {type(module).__name__} has no trainable parameters; check requires_grad"
        )
    return found


def frozen(module: Any) -> dict[str, torch.Tensor]:
    """Return what does not train, by name: buffers, and parameters without a gradient."""
    own = {name: p for name, p in module.named_parameters() if not p.requires_grad}
    return own | dict(module.named_buffers())


def flattened(params: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make parameters and their gradients views of two vectors, which are returned."""
    flat = torch.cat([p.detach().reshape(-1) for p in params])
    slope, at = torch.zeros_like(flat), 0
    for p in params:
        n = p.numel()
        p.data = flat[at : at + n].view_as(p)
        p.grad = slope[at : at + n].view_as(p)
        at += n
    return flat, slope


def parted(flat: torch.Tensor, like: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the parameters that a flat vector holds, as views by name."""
    found, at = {}, 0
    for name, p in like.items():
        found[name] = flat[at : at + p.numel()].view(p.shape)
        at += p.numel()
    return found


def call(module: Any, x: Any) -> Any:
    """Call a module with the inputs of a batch: a mapping gives its arguments by name."""
    if isinstance(x, torch.Tensor):
        return module(x)
    return module(**x) if isinstance(x, dict) else module(*x)


@contextlib.contextmanager
def trained_layout(device: torch.device) -> Iterator[None]:
    """Silence cuDNN's advice about recurrent layers while their weights lie in the flat vector.

    ``flatten_parameters()``, which it advises, would move them out; fitted modules have it done.
    """
    if device.type != "cuda":
        yield
        return
    with warnings.catch_warnings():
        said = "RNN module weights are not part of single contiguous chunk"
        warnings.filterwarnings("ignore", message=said)
        yield


def compacted(module: Any) -> Any:
    """Lay out the weights of recurrent layers as cuDNN wants them; return the module."""
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part.flatten_parameters()
    return module


@contextlib.contextmanager
def random_numbers(state: list[torch.Tensor], device: torch.device) -> Iterator[list[torch.Tensor]]:
    """Draw PyTorch's random numbers from a state; the user's own go on afterwards.

    Args:    state: of the generators of the CPU and of the device.
    Returns: a list that holds their states in the end.
    """
    before, after = generators(device), list[torch.Tensor]()
    set_generators(state, device)
    try:
        yield after
        after += generators(device)
    finally:
        set_generators(before, device)


def seeded(seed: int, device: torch.device) -> list[torch.Tensor]:
    """Return the state of the generators at a seed."""
    with modules.numbers_from(seed):
        return generators(device)


def generators(device: torch.device) -> list[torch.Tensor]:
    """Return the states of the generators of the CPU and of the device."""
    found = [torch.get_rng_state()]
    if device.type == "cuda":
        found.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        found.append(torch.mps.get_rng_state())
    return found


def set_generators(state: list[torch.Tensor], device: torch.device) -> None:
    """Set what ``generators`` gave."""
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state[1])
