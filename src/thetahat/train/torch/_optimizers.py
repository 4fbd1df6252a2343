"""Optimizers and schedulers of a Task in PyTorch.

``optimizer`` is a function of the parameters that returns what a Lightning module's
``configure_optimizers`` may return: an optimizer, (optimizer, scheduler), or
``{"optimizer": ..., "lr_scheduler": {"scheduler": ..., "interval": "step", "monitor": ...}}``;
or a name or an optax transformation of which PyTorch has the equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat import optim
from thetahat.core import ConfigError
from thetahat.core.task import OPTIMIZERS
from thetahat.train.torch._library import torch

optimizers: Any = torch.optim
schedulers: Any = torch.optim.lr_scheduler

ELEMENTWISE = (
    *("SGD", "Adam", "AdamW", "RMSprop", "Adamax", "Adadelta", "Adagrad", "NAdam", "RAdam"),
    *("Rprop", "ASGD"),
)
"""Optimizers whose update of one number depends on no other: they update one flat parameter."""

LINEAR = ("SGD", "Adam", "AdamW", "RMSprop", "Adamax", "Adadelta", "NAdam", "RAdam")
"""Those whose update is the learning rate times what does not depend on it."""

Make = Callable[[Sequence[torch.Tensor]], Any]


@dataclass
class Schedule:
    """A scheduler, whether it steps after each batch, and the column that a plateau watches."""

    scheduler: Any
    by_step: bool = False
    column: str | None = None

    def step(self, record: Mapping[str, Any]) -> None:
        """Step once; a plateau sees its column."""
        if isinstance(self.scheduler, schedulers.ReduceLROnPlateau):
            column = self.column or next(c for c in ("val_risk", "train_risk") if c in record)
            self.scheduler.step(float(record[column]))
        else:
            self.scheduler.step()


@dataclass
class Configured:
    """An optimizer and its schedulers."""

    optimizer: Any
    schedules: tuple[Schedule, ...] = ()

    def __post_init__(self) -> None:
        # A scheduler asks whether the optimizer has stepped, and the step is not always its own.
        self.optimizer._opt_called = True

    @property
    def by_step(self) -> bool:
        """Whether a scheduler steps after each batch."""
        return any(schedule.by_step for schedule in self.schedules)

    def bare_step(self) -> Callable[[], Any]:
        """Return the step of the optimizer, without the profiler's record where nothing hooks in.

        PyTorch's record costs as much as the step of a small net.
        """
        optimizer, step = self.optimizer, type(self.optimizer).step
        hooked = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
        plain = type(optimizer).__module__.startswith("torch.optim")
        inner = getattr(getattr(step, "__wrapped__", None), "__wrapped__", None)
        if hooked or not plain or inner is None:
            return optimizer.step

        def bare() -> None:
            with torch.no_grad():
                inner(optimizer)

        return bare

    @property
    def descends(self) -> bool:
        """Whether a step is plain gradient descent: the rate times the gradient, and nothing else.

        No gradient needs to be stored for it.
        """
        optimizer, group = self.optimizer, self.optimizer.param_groups[0]
        hooked = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
        if type(optimizer) is not optimizers.SGD or hooked or len(optimizer.param_groups) > 1:
            return False
        others = ("momentum", "weight_decay", "maximize", "differentiable", "fused")
        return isinstance(group["lr"], float) and not any(group[name] for name in others)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step_schedules(self, *, by_step: bool, record: Mapping[str, Any] | None = None) -> None:
        """Step the schedulers that step after each batch, or those that step after each epoch."""
        for schedule in self.schedules:
            if schedule.by_step is by_step:
                schedule.step(record or {})

    def check(self, columns: Sequence[str]) -> None:
        """Check the columns that plateaus monitor. Raises ConfigError: one is not recorded."""
        for schedule in self.schedules:
            if schedule.column is not None and schedule.column not in columns:
                raise ConfigError(
                    f"the scheduler {type(schedule.scheduler).__name__} monitors"
                    f" {schedule.column!r}, which this task does not record; it records"
                    f" {', '.join(columns)}"
                )

    # -- numbers that a checkpoint keeps ----------------------------------------------------------

    def held(self, leaf: torch.Tensor, key: str, value: torch.Tensor) -> torch.Tensor:
        """Return a copy of a parameter's state as the optimizer holds it.

        PyTorch counts steps on the CPU, but those of a fused or captured step on the device.
        """
        group = next(g for g in self.optimizer.param_groups if any(p is leaf for p in g["params"]))
        there = key == "step" and (group.get("fused") or group.get("capturable"))
        return value.to(leaf.device, copy=True) if there else value.clone()

    def numbers(self) -> str:
        """Return the options of the optimizer and the states of the schedulers as JSON."""
        groups = [
            {k: v for k, v in group.items() if _plain(v)} for group in self.optimizer.param_groups
        ]
        states = [_numbers(schedule.scheduler.state_dict()) for schedule in self.schedules]
        return json.dumps([groups, states])

    def set_numbers(self, text: str) -> None:
        """Set what ``numbers`` gave."""
        groups, states = json.loads(text)
        for group, held in zip(self.optimizer.param_groups, groups, strict=True):
            group.update({k: _like(group.get(k), v) for k, v in held.items()})
        for schedule, held in zip(self.schedules, states, strict=True):
            own = schedule.scheduler.state_dict()
            schedule.scheduler.load_state_dict(_updated(own, held))


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return isinstance(value, (bool, int, float, str))


def _like(one: Any, value: Any) -> Any:
    return tuple(value) if isinstance(one, tuple) else value


def _numbers(state: Any) -> Any:
    """Keep the plain values of a scheduler's state; its functions and milestones are the Task's."""
    if isinstance(state, Mapping):
        kept = {k: _numbers(v) for k, v in state.items() if isinstance(k, str)}
        return {k: v for k, v in kept.items() if v is not None}
    if isinstance(state, (list, tuple)) and state and all(isinstance(v, Mapping) for v in state):
        return [_numbers(v) for v in state]
    return state if _plain(state) else None


def _updated(own: Any, held: Any) -> Any:
    if isinstance(own, Mapping):
        return {**own, **{k: _updated(own.get(k), v) for k, v in held.items()}}
    if isinstance(own, (list, tuple)) and own and all(isinstance(v, Mapping) for v in own):
        return [_updated(o, h) for o, h in zip(own, held, strict=True)]
    return _like(own, held)


# -- from a Task to an optimizer ------------------------------------------------------------------


def configure(
    make: Make, params: Sequence[torch.Tensor], *, of_lightning: bool = False
) -> Configured:
    """Make the optimizer of parameters, with its schedulers.

    Args:    of_lightning: every scheduler steps after each epoch unless it says "step".
    Raises:  ConfigError: several optimizers, or something else.
    """
    try:
        found = make(params)
    except (TypeError, ValueError) as error:
        name = getattr(make, "__qualname__", type(make).__name__)
        raise ConfigError(
            f"optimizer={name} failed on the parameters: {error}; give a function of the"
            " parameters, such as lambda p: torch.optim.Adam(p, lr=1e-3)"
        ) from error
    made = _read(found)
    if of_lightning and not isinstance(found, Mapping):
        for schedule in made.schedules:
            schedule.by_step = False
    return made


def _read(found: Any) -> Configured:
    if isinstance(found, optimizers.Optimizer):
        return Configured(_supported(found))
    if isinstance(found, Mapping) and "optimizer" in found:
        given = found.get("lr_scheduler", ())
        given = given if isinstance(given, (list, tuple)) else [given]
        return Configured(_supported(found["optimizer"]), tuple(map(_schedule, given)))
    if isinstance(found, (list, tuple)) and found:
        first = found[0] if isinstance(found[0], (list, tuple)) else [found[0]]
        rest = found[1:]
        if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
            rest = rest[0]
        if len(first) == 1 and not any(isinstance(r, optimizers.Optimizer) for r in rest):
            return Configured(_supported(first[0]), tuple(map(_schedule, rest)))
        raise ConfigError("the PyTorch backend takes one optimizer; several were given")
    raise ConfigError(
        f"the optimizer's function returned {type(found).__name__}; return a torch.optim optimizer,"
        " or (optimizer, scheduler)"
    )


def _supported(optimizer: Any) -> Any:
    if not isinstance(optimizer, optimizers.Optimizer):
        raise ConfigError(
            f"{type(optimizer).__name__} is not a torch.optim optimizer; give one, such as"
            " torch.optim.Adam(p, lr=1e-3)"
        )
    if isinstance(optimizer, optimizers.LBFGS):
        raise ConfigError(
            "torch.optim.LBFGS evaluates the loss within a step, which the PyTorch backend does not"
            ' support; give backend="jax" with optimizer="lbfgs", or another optimizer'
        )
    return optimizer


def _schedule(given: Any) -> Schedule:
    if isinstance(given, Mapping):
        interval, monitor = given.get("interval", "epoch"), given.get("monitor")
        if interval not in ("epoch", "step") or given.get("frequency", 1) != 1:
            raise ConfigError(
                f"lr_scheduler with interval={interval!r}, frequency={given.get('frequency', 1)};"
                " give interval='epoch' or 'step', and frequency=1"
            )
        return Schedule(_scheduler(given.get("scheduler")), interval == "step", _column(monitor))
    return Schedule(_scheduler(given), isinstance(given, _BY_STEP))


_BY_STEP = (schedulers.OneCycleLR, schedulers.CyclicLR)
"""Schedulers that PyTorch's own documentation steps after each batch."""


def _scheduler(given: Any) -> Any:
    if not isinstance(given, (schedulers.LRScheduler, schedulers.ReduceLROnPlateau)):
        raise ConfigError(
            f"{type(given).__name__} is not a scheduler; give one of torch.optim.lr_scheduler"
        )
    return given


def _column(monitor: str | None) -> str | None:
    """Return the column of the history that Lightning's ``monitor`` names."""
    named = {f"{part}_loss": f"{part}_risk" for part in ("train", "val")}
    column = None if monitor is None else named.get(monitor, monitor)
    if column == "test_risk":
        raise ConfigError("the scheduler monitors the test part; monitor val_risk")
    return column


def maker(optimizer: Any) -> Make:
    """Return the function of parameters that makes a Task's optimizer.

    Raises:  ConfigError: an optimizer without an equal in PyTorch, or something else.
    """
    if isinstance(optimizer, str):
        return _named(optimizer)
    if hasattr(optimizer, "init") and hasattr(optimizer, "update"):
        return _of_optax(optimizer, "this optax transformation")
    if isinstance(optimizer, optimizers.Optimizer):
        name = type(optimizer).__name__
        raise ConfigError(
            f"optimizer is a {name} that holds parameters already; give what makes it: lambda p:"
            f" torch.optim.{name}(p, ...), so that every fit has its own"
        )
    if not callable(optimizer):
        raise ConfigError(
            f"optimizer={optimizer!r}; give a function of the parameters, such as lambda p:"
            f" torch.optim.Adam(p, lr=1e-3), or one of {', '.join(OPTIMIZERS)}"
        )
    return optimizer


_NO_EQUAL = {
    "nesterov": "torch.optim.SGD(p, lr, momentum=.9, nesterov=True), which is a reformulation",
    "rmsprop": "torch.optim.RMSprop(p, lr), whose epsilon is outside the root",
    "adagrad": "torch.optim.Adagrad(p, lr), whose epsilon is outside the root",
}


def _named(name: str) -> Make:
    """Return the equal of a name of ``th.optim.named``, with its default options."""
    if name in _NO_EQUAL:
        raise ConfigError(
            f"optimizer={name!r}: PyTorch has another formula; give lambda p: {_NO_EQUAL[name]}"
        )
    return _of_optax(optim.named(name), f"optimizer={name!r}")


def _of_optax(optimizer: Any, what: str) -> Make:
    """Return PyTorch's equal of an optax transformation, found in its closures."""
    try:
        made = _equal([_step(update) for update in _updates(optimizer.update)])
    except (LookupError, ValueError, TypeError):
        made = None
    if made is None:
        raise ConfigError(
            f"{what} has no equal in PyTorch; give a function of the parameters, such as lambda p:"
            ' torch.optim.Adam(p, lr=1e-3), or backend="jax"'
        )
    kind, options = made
    return lambda params: getattr(optimizers, kind)(params, **options)


_Step = tuple[str, Mapping[str, Any]]


def _updates(update: Any) -> list[Any]:
    """List the elementary transformations of a chain."""
    held, name = optim.closure(update), optim.qualname(update).partition(".")[0]
    if name == "chain":
        return [inner for one in held["update_fns"] for inner in _updates(one)]
    if name == "with_extra_args_support":
        return _updates(held["tx"].update)
    return [update]


def _step(update: Any) -> _Step:
    held = optim.closure(update)
    numbers = {k: _number(v) for k, v in held.items() if not callable(v)}
    return optim.qualname(update).partition(".")[0], numbers


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def _equal(steps: list[_Step]) -> tuple[str, dict[str, Any]] | None:
    """Return the class and options of ``torch.optim``; None where there is no equal."""
    steps = [step for step in steps if step[0] not in ("identity", "init_empty_state")]
    names = [name for name, _ in steps]
    if names[-1:] != ["scale"]:
        return None
    lr = -float(steps[-1][1]["step_size"])
    inner, decay, after = steps[:-1], 0.0, False
    for place, (name, held) in enumerate(inner):
        if name == "add_decayed_weights":
            decay, after = float(held["weight_decay"]), place > 0
            inner = inner[:place] + inner[place + 1 :]
            break
    if not inner:
        return "SGD", {"lr": lr, "weight_decay": decay}
    if len(inner) > 1:
        return None
    name, held = inner[0]
    made = _KINDS[name](held)
    if made is None or (after and decay and made[0] != "Adam"):
        return None
    kind, options = made
    return "AdamW" if kind == "Adam" and after else kind, {
        "lr": lr,
        "weight_decay": decay,
        **options,
    }


def _momentum(held: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    nesterov = bool(held["nesterov"])
    return "SGD", {"momentum": float(held["decay"]), "nesterov": nesterov}


def _adam(held: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    if held.get("eps_root", 0.0) != 0 or held.get("nesterov", False):
        return None
    return "Adam", {"betas": (float(held["b1"]), float(held["b2"])), "eps": float(held["eps"])}


def _adamax(held: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    return "Adamax", {"betas": (float(held["b1"]), float(held["b2"])), "eps": float(held["eps"])}


def _rmsprop(held: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    if held.get("eps_in_sqrt", True) or held.get("bias_correction", False):
        return None
    return "RMSprop", {"alpha": float(held["decay"]), "eps": float(held["eps"])}


def _adadelta(held: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    return "Adadelta", {"rho": float(held["rho"]), "eps": float(held["eps"])}


_KINDS: dict[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]] | None]] = {
    "trace": _momentum,
    "scale_by_adam": _adam,
    "scale_by_adamax": _adamax,
    "scale_by_rms": _rmsprop,
    "scale_by_adadelta": _adadelta,
}
