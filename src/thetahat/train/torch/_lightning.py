"""A plain Lightning module as a Task: its ``training_step`` is the loss, and its
``configure_optimizers`` gives the optimizer and the schedulers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from thetahat.core import ConfigError, Task
from thetahat.data import Data, n_observations
from thetahat.train.torch._library import torch
from thetahat.train.torch._module import device_of
from thetahat.train.torch._parts import part_of

_LOOKED_AT = 4
"""Observations on which ``training_step`` is tried."""

_OWN_LOOP = (
    *("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step"),
    *("configure_gradient_clipping", "on_before_optimizer_step", "on_after_backward"),
    *("on_before_backward", "on_before_zero_grad", "on_train_batch_start", "on_train_batch_end"),
    *("on_train_epoch_start", "on_train_epoch_end", "on_before_batch_transfer"),
    *("on_after_batch_transfer", "transfer_batch_to_device"),
)
"""Hooks of Lightning's loop, which thetahat does not call."""


@dataclass(frozen=True)
class TrainingStep:
    """The mean loss of a batch by a module's ``training_step``, as an objective."""

    name = "training_step"
    __name__ = "training_step"

    def __call__(self, h: Any, z: Any = None) -> Any:
        """Compute the loss of a batch z: the same number for each observation.

        A Task's loss takes one argument, a residual; so ``z`` has a default, which is never used.
        """
        n = len(jax.tree.leaves(z)[0])
        return step_loss(h, z).expand(n), None, None


@dataclass(frozen=True)
class OwnOptimizers:
    """The optimizer of a module's ``configure_optimizers``."""

    def __call__(self, module: Any) -> Any:
        """Make the optimizer of a module's parameters."""
        return module.configure_optimizers()


def step_loss(module: Any, batch: Any, batch_idx: int = 0) -> torch.Tensor:
    """Call ``training_step``; what it logs is dropped, as the history has the loss.

    Raises:  ConfigError: it does not return a scalar.
    """
    module.__dict__.update(log=_dropped, log_dict=_dropped)
    found = module.training_step(batch, batch_idx)
    loss = found.get("loss") if isinstance(found, dict) else found
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise ConfigError(
            f"training_step of {type(module).__name__} returned {type(loss).__name__}; it must"
            " return the mean loss of the batch, one number. " + _REWRITE
        )
    return loss.reshape(())


def _dropped(*args: Any, **named: Any) -> None:
    """Take the place of Lightning's ``log`` while thetahat trains."""
    del args, named


def with_log(module: Any) -> Any:
    """Give a module its own ``log`` back."""
    for name in ("log", "log_dict"):
        if module.__dict__.get(name) is _dropped:
            del module.__dict__[name]
    return module


_REWRITE = (
    "Write the Task by hand: th.Task(model=module, loss=..., optimizer=..., backend='torch');"
    " docs/pytorch-native.md shows how"
)


def from_lightning(module: Any, data: Any, **fields: Any) -> Task:
    """Return the Task of a plain Lightning module: no trainer, no loaders.

    Args:    module: with ``training_step(batch, batch_idx)``, which returns the mean loss of the
             batch, and ``configure_optimizers()``.
             data: ``th.Data`` or the training observations; a batch has their structure.
             fields: of the Task: epochs, batch_size, stopping, seed, ...
    Raises:  ConfigError: a module that is not plain; the message says what to write.
    """
    name = type(module).__name__
    for needed in ("training_step", "configure_optimizers"):
        if isinstance(module, type) or not callable(getattr(module, needed, None)):
            raise ConfigError(
                f"from_lightning got {name}; give a Lightning module with training_step and"
                " configure_optimizers"
            )
    if not getattr(module, "automatic_optimization", True):
        raise ConfigError(f"{name} optimises by hand (automatic_optimization=False). {_REWRITE}")
    own = [hook for hook in _OWN_LOOP if _overridden(module, hook)]
    if own:
        raise ConfigError(f"{name} changes Lightning's loop by {', '.join(own)}. {_REWRITE}")
    for field in ("model", "loss", "optimizer", "backend", "residual"):
        if field in fields:
            raise ConfigError(f"from_lightning takes {field} from the module; leave {field} out")
    data = data if isinstance(data, Data) else Data(data)
    task = Task(
        model=module,
        data=data,
        loss=TrainingStep(),
        optimizer=OwnOptimizers(),
        backend="torch",
        **fields,
    )
    _check_mean(task)
    return task


def _overridden(module: Any, hook: str) -> bool:
    found = getattr(type(module), hook, None)
    home = getattr(found, "__module__", "") or ""
    return found is not None and home.split(".")[0] not in ("lightning", "pytorch_lightning")


def _check_mean(task: Task) -> None:
    """Check that ``training_step`` gives the mean over observations of a loss of each.

    Raises:  ConfigError: it does not, or it fails.
    """
    module: Any = copy.deepcopy(task.model).to(getattr(torch, task.dtype)).eval()
    train = task.data.train
    if getattr(train, "weight", None) is not None:
        raise ConfigError(f"training_step of a module has no weights of observations. {_REWRITE}")
    rows = np.arange(min(_LOOKED_AT, n_observations(train)))
    part = part_of(jax.tree.map(lambda a: a[rows], train), task.dtype, device_of(module))

    def at(first: int, last: int) -> Any:
        return part.observations([leaf[first:last] for leaf in part.leaves])

    with torch.no_grad():
        try:
            whole = float(step_loss(module, at(0, part.n)))
            each = [float(step_loss(module, at(k, k + 1))) for k in range(part.n)]
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ConfigError(
                f"training_step of {type(module).__name__} failed on a batch without a trainer:"
                f" {error}. {_REWRITE}"
            ) from error
    if told := _told_the_time(module, at(0, part.n), whole):
        raise ConfigError(
            f"training_step of {type(module).__name__} changes with {told}, which nothing counts"
            f" without a trainer. {_REWRITE}"
        )
    if not np.isclose(whole, np.mean(each), rtol=1e-3, atol=1e-6):
        raise ConfigError(
            f"training_step of {type(module).__name__} is not a mean over observations: a batch of"
            f" {part.n} has the loss {whole:.6g}, and its observations have {np.mean(each):.6g} on"
            f" average. {_REWRITE}"
        )


_CLOCKS = ("current_epoch", "global_step")
"""Properties of a Lightning module, 0 without a trainer."""


def _told_the_time(module: Any, batch: Any, loss: float) -> str | None:
    """Name what changes the loss of one batch by its time alone, if anything does."""
    own = type(module)
    with torch.no_grad():
        for at in (1, 7, 1000, 100_000):
            found = float(step_loss(module, batch, at))
            if not np.isclose(found, loss, rtol=1e-6, equal_nan=True):
                return "batch_idx"
            for clock in _CLOCKS:
                module.__class__ = type(own.__name__, (own,), {clock: at})
                try:
                    found = float(step_loss(module, batch))
                finally:
                    module.__class__ = own
                if not np.isclose(found, loss, rtol=1e-6, equal_nan=True):
                    return clock
    return None
