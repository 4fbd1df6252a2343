"""The backend's entry: from an experiment to a program that is traced and not yet compiled."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax

from thetahat import models
from thetahat.core import NotConverted, Task, notify
from thetahat.core.errors import ThetahatError
from thetahat.data import use_cache
from thetahat.train._program import (
    Build,
    Hyper,
    OtherBackend,
    Prepare,
    Program,
    Untraceable,
    backend,
    backend_of,
)
from thetahat.train.jax._divided import divided
from thetahat.train.jax._explain import explain
from thetahat.train.jax._memory import check_possible
from thetahat.train.jax._staging import stage
from thetahat.train.jax._stream import StreamedProgram

_NEEDS_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def prepare(build: Build, hyper: Hyper, size: int, mode: str) -> Program:
    """The program of a cohort. See ``train._program.Prepare``.

    Args:    mode: "vmap" or "exact".
    """
    use_cache()
    try:
        with _untraceable():
            staged = stage(build, hyper)
            check_possible(staged)
            if staged.streamed:
                program = StreamedProgram(build, hyper, staged, size, mode)
            else:
                program = divided(build, hyper, staged, size, mode)
            program.trace()
            return program
    except OtherBackend as other:
        return other.prepare(build, hyper, size, mode)
    except NotConverted as error:
        return _fallen_back(build, hyper, size, mode, error)
    except ThetahatError:
        raise
    except Exception as error:
        if "torch" in sys.modules and _CALLS_TORCH in str(error):
            own = NotConverted(f"a function of the Task calls PyTorch with a JAX array: {error}")
            return _fallen_back(build, hyper, size, mode, own)
        other = _untraced(build, hyper)
        if other is not None:
            return other(build, hyper, size, mode)
        if isinstance(error, Untraceable):
            raise
        said = explain(build, hyper, error)
        if said is None:
            raise
        raise said from error


_CALLS_TORCH = "must be Tensor, not"


def _fallen_back(build: Build, hyper: Hyper, size: int, mode: str, error: NotConverted) -> Program:
    """The program of PyTorch's own backend, for a Task whose module JAX cannot take.

    Raises:  NotConverted: the Task asks for JAX, or its model is none of PyTorch.
    """
    found: list[Task] = []
    jax.eval_shape(lambda: found.append(build(hyper.member(0))))
    model = found[0].model
    while isinstance(model, models.Selected):
        model = model.model
    if found[0].backend == "jax" or not models.is_torch(model):
        raise error
    program = backend("torch").prepare(build, hyper, size, mode)
    program.why = str(error)
    _say_fallen_back(str(error))
    return program


@functools.cache
def _say_fallen_back(reason: str) -> None:
    """Say once which backend trains, and why."""
    notify(f"{reason}; PyTorch trains it (backend='torch')")


def _untraced(build: Build, hyper: Hyper) -> Prepare | None:
    """The backend of an experiment that cannot be traced: PyTorch's needs no tracing.

    Returns: None for an experiment of JAX.
    """
    if "torch" not in sys.modules:
        return None
    try:
        task = build(hyper.member(0))
    except Exception:  # noqa: BLE001 - the error of the trace says more
        return None
    return backend_of(task) if isinstance(task, Task) else None


def try_out(build: Build) -> None:
    """Check a Task without parameters abstractly; nothing is compiled.

    Raises:  Untraceable; InputError: the Task is wrong, or this machine cannot hold it.
    """
    with _untraceable(), suppress(OtherBackend):
        check_possible(stage(build, Hyper({}, {})))


def sketch(build: Build) -> Task | None:
    """The Task without parameters, its arrays abstract; None if it is not a Task.

    Raises:  Untraceable.
    """
    made: list[Task] = []

    def make() -> None:
        task = build({})
        if isinstance(task, Task):
            made.append(task)

    with _untraceable():
        jax.eval_shape(make)
    return made[0] if made else None


@contextmanager
def _untraceable() -> Iterator[None]:
    try:
        yield
    except _NEEDS_VALUE as error:
        raise Untraceable(str(error)) from error
