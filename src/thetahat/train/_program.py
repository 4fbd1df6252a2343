"""The Protocol of a backend: all that driver, session and cohort need of one.

A backend is one function, ``prepare(build, hyper, size, mode) -> Program``: C members of one
estimation as one program. One driver trains everything: a single fit is a cohort of one. JAX takes
every model that does not name a function of its own (see ``backend_of``). The conformance suite
tests that all backends give the same results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np

from thetahat.core import MissingExtra, Mode, Signature, Task, read_signature
from thetahat.core.task import BACKENDS
from thetahat.risk import plain_task

STOPPED, RUNNING, DIVERGED, UNMOVED, FIRST_RULE = -1, 0, 1, 2, 3
"""Outcome codes of a member; STOPPED by the host; ``FIRST_RULE + k`` is the k-th stopping rule."""

MODES = ("auto", "vmap", "exact")
"""How members train: together, or one by one and bitwise equal to fits alone. A timed probe
decides "auto"; a program has one of the others."""

Build = Callable[[Mapping[str, Any]], Task]
"""Traced parameters in, Task out: the experiment with its static parameters bound."""


@dataclass(frozen=True)
class GivenTask:
    """The ``Build`` of a Task that is given as it is."""

    given: Task

    def __call__(self, values: Mapping[str, Any]) -> Task:
        """Give the Task."""
        del values
        return plain_task(self.given)


@dataclass(frozen=True)
class WithData:
    """The ``Build`` of the same Task with other data."""

    build: Build
    data: Any

    def __call__(self, values: Mapping[str, Any]) -> Task:
        """Build the Task."""
        return replace(self.build(values), data=self.data)


@dataclass(frozen=True)
class BoundExperiment:
    """Traced values in, Task out: an experiment with its static parameters bound, by flat names."""

    experiment: Callable[..., Task]
    static: Mapping[str, Any]
    signature: Signature

    def __call__(self, values: Mapping[str, Any]) -> Task:
        """Build the Task."""
        arguments = self.signature.arguments({**self.static, **values})
        torch = sys.modules.get("torch")
        # What it draws from PyTorch's generator is the same in every call.
        with nullcontext() if torch is None else torch.random.fork_rng(devices=_used(torch)):
            task = self.experiment(**arguments)
        return plain_task(task) if isinstance(task, Task) else task


def _used(torch: Any) -> list[int]:
    """Return the GPUs that this process has used."""
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []


def builder(
    experiment: Callable[..., Task],
    config: Mapping[str, Any],
    traced: frozenset[str],
    signature: Signature | None = None,
) -> Build:
    """Bind an experiment's static parameters.

    Args:    signature: of the experiment; None: it is read.
    """
    static = {k: v for k, v in config.items() if k not in traced}
    return BoundExperiment(experiment, static, signature or read_signature(experiment))


@dataclass(frozen=True)
class Hyper:
    """Traced parameters of a cohort: ``own`` (C,) differ between members, ``common`` () do not."""

    own: Mapping[str, np.ndarray]
    common: Mapping[str, np.ndarray]

    @property
    def names(self) -> frozenset[str]:
        """The traced parameters."""
        return frozenset((*self.own, *self.common))

    def member(self, k: int) -> dict[str, Any]:
        """The values of member ``k``."""
        return {**{name: values[k] for name, values in self.own.items()}, **self.common}


@dataclass(frozen=True)
class CohortStatus:
    """The state of the members between two chunks. Arrays of shape (C,)."""

    active: np.ndarray
    outcome: np.ndarray
    epochs: np.ndarray
    best_epoch: np.ndarray
    best_value: np.ndarray
    moved: np.ndarray


class Estimate(Protocol):
    """One member's estimated function: all that a Result needs of a backend.

    A backend whose fits can be saved gives it a ``predictor`` too, as that of JAX.
    """

    @property
    def params(self) -> Any:
        """All parameters at the best state, trained and frozen."""
        ...

    @property
    def data(self) -> Any:
        """The data that it was fitted to, with a table's transform."""
        ...

    @property
    def task(self) -> Task:
        """The Task that was fitted."""
        ...

    @property
    def model(self) -> Any:
        """The estimated model, of the user's own kind."""
        ...

    def predict(self, x: Any) -> np.ndarray:
        """h(x) for one input or many, in units of y."""
        ...

    def risk(self, part: str) -> float:
        """The risk of a part anew. Raises ConfigError where there is no such part."""
        ...


class Program(Protocol):
    """C members of one estimation, prepared together. States are opaque to the driver."""

    size: int
    mode: str
    """"vmap" or "exact"."""
    hyper: Hyper
    task: Task
    """The members' Task; what traced parameters make may be abstract: use its static fields."""
    dtype: str
    n_params: int
    best_mode: Mode | None
    """The direction of what chooses the best state; None where the last state counts."""
    max_chunk: int
    """Epochs that one ``advance`` may take at most."""
    traces: int
    compile_s: float

    @property
    def batch_order(self) -> Literal["", "own", "shared"]:
        """Whether members share a random order of batches; empty where none is drawn."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that ``advance`` records, one value per epoch and member."""
        ...

    # -- training ---------------------------------------------------------------------------------

    def fits(self, share: float) -> int:
        """How many of the members fit into a share of the free memory; ``size`` if all do."""
        ...

    def init(self) -> Any:
        """The state before the first epoch."""
        ...

    def advance(self, state: Any, epoch: int, n: int) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Train ``n`` epochs more, from ``epoch`` on; records have shape (C, n).

        An epoch that diverges changes nothing but its record; members that have ended change
        nothing at all.
        """
        ...

    def status(self, state: Any) -> CohortStatus:
        """The state of the members."""
        ...

    def stop(self, state: Any, which: np.ndarray) -> Any:
        """End the members ``which`` (C,): their outcome is STOPPED."""
        ...

    def evaluate(self, state: Any, parts: tuple[str, ...]) -> Mapping[str, np.ndarray]:
        """The risk and the metrics of each part at the best state, by column: (C,).

        The best state is the last one where nothing chooses another.
        """
        ...

    def tables(self, state: Any) -> Sequence[Mapping[str, Mapping[str, np.ndarray]]]:
        """The tables of every member at the best state, by name and column; asked for only if the
        Task has any."""
        ...

    def fitted(self, state: Any, k: int, config: Mapping[str, Any]) -> Estimate:
        """The function that member ``k`` has estimated; its config has the user's own types."""
        ...

    # -- other programs ---------------------------------------------------------------------------

    def again(self, hyper: Hyper, data: Any = None) -> Program:
        """The same program for other values of the same traced parameters; nothing is compiled.

        Args:    data: in place of the Task's, of the same shapes: a fold, a bootstrap sample, ...
        Raises:  ConfigError: data of other shapes.
        """
        ...

    def remapped(self, mode: str) -> Program:
        """The same members in the other mode."""
        ...

    # -- checkpoints ------------------------------------------------------------------------------

    def pack(self, state: Any) -> dict[str, np.ndarray]:
        """The state as named arrays, for a checkpoint."""
        ...

    def unpack(
        self, arrays: Mapping[str, np.ndarray], first: Any = None, *, new_rules: bool = False
    ) -> Any:
        """The state that ``pack`` gave.

        Args:    first: the state before the first epoch, if it is at hand.
                 new_rules: whether to take the stopping rules' own states from that one.
        Raises:  CheckpointError: arrays of another task.
        """
        ...

    def replay(self, state: Any, records: Mapping[str, np.ndarray]) -> Any:
        """The state after the stopping rules have seen the records (C, n) from the start."""
        ...

    # -- what the numbers depend on ---------------------------------------------------------------

    def facts(self, state: Any) -> list[dict[str, Any]]:
        """The provenance of every member at the first state: the random numbers, precision and
        device, and hashes of the data ("data_train", ...) and of the initial parameters ("init").

        Raises:  DataError: data that the loss cannot use.
        """
        ...

    def mathematics(self) -> Mapping[str, str]:
        """Keys of what is computed, by part: a changed constant or formula changes a key."""
        ...

    def used(self) -> frozenset[str]:
        """The traced parameters that a number depends on, beside those of stopping rules."""
        ...


Prepare = Callable[[Build, Hyper, int, str], Program]
"""A backend: it traces the experiment where it can, and compiles nothing yet.

Raises:  Untraceable: Python needs the value of a traced parameter.
         ConfigError: the Task is wrong, or no memory of this machine holds it.
"""


class Untraceable(Exception):
    """Python needs the value of a traced parameter; the cause is the backend's own error."""


class OtherBackend(Exception):
    """The Task's model has a backend of its own, ``prepare``."""

    def __init__(self, prepare: Prepare) -> None:
        super().__init__(getattr(prepare, "__qualname__", repr(prepare)))
        self.prepare = prepare


def backend_of(task: Task) -> Prepare | None:
    """The backend that a Task asks for, or that its model names as its ``thetahat_backend``.

    Returns: None for JAX, which takes PyTorch modules too, where it can convert them.
    Raises:  MissingExtra: PyTorch is not installed.
    """
    own = getattr(task.model, "thetahat_backend", None)
    return backend("torch").prepare if own is None and task.backend == "torch" else own


def backend(name: str) -> Any:
    """The room of a backend that is not JAX's: loaded when a Task or a file asks for it.

    Raises:  MissingExtra: its library is not installed.
    """
    if name not in BACKENDS[2:]:
        raise ValueError(f"the backend is {name!r}")
    try:
        return import_module(f"thetahat.train.{name}")
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingExtra(f"backend={name!r}", name) from None
