"""The configs that train as one program, and that program: made anew, or used again.

A parameter that Python itself must know is found by abstract traces, one parameter at a time.
"""

from __future__ import annotations

import contextlib
import functools
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thetahat import data as th_data
from thetahat.core import ConfigError, Metric, Mode, Signature, Task, notify, read_signature
from thetahat.core.content import static_part
from thetahat.core.errors import ThetahatError
from thetahat.core.metric import PARTS, directions_of, read_metrics
from thetahat.train._cohort import Training
from thetahat.train._driver import Interrupt
from thetahat.train._identity import program_facts
from thetahat.train._options import Cohort, Options
from thetahat.train._program import Hyper, Program, Untraceable, builder
from thetahat.train.jax import prepare, sketch, try_out as try_task

_OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib")})


class NeedsStatic(Exception):
    """Traced parameters turned out to be ones that Python must know: group the configs anew."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


@dataclass
class Shop:
    """An experiment and the programs compiled for it so far.

    A program is used again when the static part, the size and the mode are the same: the experiment
    must then give the same arrays, as it does when its result depends on its arguments alone.
    """

    experiment: Callable[..., Task]
    static: frozenset[str] = frozenset()
    """Parameters that are traced by their annotation, and that Python must know."""
    _made: dict[Any, tuple[Program, Callable[[], Any]]] = field(default_factory=dict)
    signature: Signature = field(init=False)

    def __post_init__(self) -> None:
        self.signature = read_signature(self.experiment)

    @property
    def traced(self) -> frozenset[str]:
        """The parameters whose values share a program."""
        return frozenset(self.signature.traced) - self.static

    def full(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The full config, with the fields of dataclasses in their place: ``net.width``."""
        return self.signature.flat(self.signature.config(config))

    def call(self, **flat: Any) -> Task:
        """Call the experiment with a flat config."""
        return self.experiment(**self.signature.arguments(flat))

    def open(
        self,
        configs: Sequence[Mapping[str, Any]],
        options: Options,
        interrupt: Interrupt,
        *,
        members: Sequence[int] | None = None,
        of: int | None = None,
        marks: tuple[int, ...] = (),
        noted: Mapping[str, Any] | None = None,
    ) -> Training:
        """Begin to train configs that differ in traced parameters only.

        Args:    members: their positions among all the configs of a fit, which are full ones.
                 of: how many share a program, if these are the first that fit into memory.
                 noted: what the provenance of the Results has beside that of their program.
        Raises:  NeedsStatic: some of these parameters must be static; they are remembered.
        """
        full = [self.full(c) if members is None else dict(c) for c in configs]
        seeds = {leaf.name: leaf.is_seed for leaf in self.signature.leaves.values()}
        # An instance of a dataclass's subclass stays whole, so that its leaves are not there.
        traced = [n for n in self.signature.traced if n in self.traced and n in full[0]]
        hyper = hyper_of(full, {n: seeds[n] for n in traced})
        static = static_part(full[0], self.traced)
        key = (static, tuple(hyper.own), tuple(hyper.common), len(full), options.mode)
        if key in self._made:
            made, facts = self._made[key]
            program = made.again(hyper)
        else:
            program = self._prepared(full, hyper, options)
            facts = functools.cache(partial(program_facts, self.experiment, program))
        places = tuple(range(len(full)) if members is None else members)
        own_seeds = tuple(name for name, is_seed in seeds.items() if is_seed)
        cohort = Cohort(program, tuple(full), places, facts, of, own_seeds, noted or {})
        training = Training(cohort, options, interrupt, marks)
        self._made[key] = training.program, facts
        return training

    def _prepared(
        self, full: Sequence[Mapping[str, Any]], hyper: Hyper, options: Options
    ) -> Program:
        build = builder(self.experiment, full[0], self.traced, self.signature)
        mode = "vmap" if options.mode == "auto" else options.mode
        try:
            return prepare(build, hyper, len(full), mode)
        except Exception as error:
            # A library that wants a number refuses a traced one in words of its own.
            if not _is_of_tracing(error) or not (
                isinstance(error, Untraceable) or _works_untraced(self.call, full[0])
            ):
                raise
            found = find_static(self.signature.name, self.experiment, full[0], hyper, error)
            self.static |= found
            raise NeedsStatic(found) from error


def hyper_of(configs: Sequence[Mapping[str, Any]], traced: Mapping[str, bool]) -> Hyper:
    """The traced values of a cohort; those that all members share stay out of the mapping."""
    own, common = {}, {}
    for name, is_seed in traced.items():
        values = np.array([c[name] for c in configs], np.int32 if is_seed else np.float64)
        if len(configs) == 1 or (values == values[0]).all():
            common[name] = values[0]
        else:
            own[name] = values
    return Hyper(own, common)


# -- parameters that Python must know -------------------------------------------------------------


def find_static(
    name: str,
    experiment: Callable[..., Task],
    config: Mapping[str, Any],
    hyper: Hyper,
    failure: Exception,
) -> frozenset[str]:
    """Names of the traced parameters whose values Python needs; one notice each.

    Args:    hyper: the values of all traced parameters: each is traced alone.
    Raises:  ConfigError: it is none of them alone.
    """
    found = {}
    for parameter, value in hyper.member(0).items():
        build = builder(experiment, config, frozenset({parameter}))
        try:
            prepare(build, Hyper({}, {parameter: value}), 1, "exact")
        except Exception as error:
            if not _is_of_tracing(error):
                raise
            found[parameter] = _line(error.__cause__ if isinstance(error, Untraceable) else error)
    if not found:
        raise ConfigError(
            f"{name}() cannot be traced, and no single parameter is the cause: {failure};"
            " annotate the parameters that Python must know as th.Static[float]"
        ) from failure
    for parameter, line in found.items():
        kind = "th.Seed" if isinstance(hyper.member(0)[parameter], np.integer) else "float"
        _notice(name, parameter, kind, line)
    return frozenset(found)


def _is_of_tracing(error: Exception) -> bool:
    """Whether an error may come from a traced value: not if we have said what is wrong."""
    return isinstance(error, Untraceable) or not isinstance(error, ThetahatError)


def _works_untraced(experiment: Callable[..., Task], config: Mapping[str, Any]) -> bool:
    """Whether an experiment that failed works if Python knows all its values."""
    try:
        prepare(lambda _: experiment(**config), Hyper({}, {}), 1, "exact")
    except Exception:  # noqa: BLE001 - then the error is the experiment's own, and is raised
        return False
    return True


@functools.cache
def _notice(experiment: str, name: str, kind: str, line: str) -> None:
    """Warn once in a process."""
    notify(
        f"{experiment}(): {name!r} is static, because Python must know it{line};"
        f" each of its values compiles a program of its own. Write {name}:"
        f" th.Static[{kind}] to say so for good",
    )


def _line(error: BaseException | None) -> str:
    """« at file.py:12: x = int(lr)», the last line of the user's own."""
    frames = traceback.extract_tb(None if error is None else error.__traceback__)
    lines = [f for f in frames if not f.filename.startswith((_OURS, *_LIBRARIES)) and f.line]
    if not lines:
        return ""
    return f" at {Path(lines[-1].filename).name}:{lines[-1].lineno}: {lines[-1].line}"


# -- an experiment that is only described ---------------------------------------------------------


def try_out(experiment: Callable[..., Any], config: Mapping[str, Any]) -> None:
    """Make an experiment's Task abstractly, and check that this machine can hold it.

    Nothing is compiled, and nothing is checked where Python must know what is drawn.

    Raises:  InputError: the Task is wrong, or needs more memory than there is.
    """
    with contextlib.suppress(Untraceable):
        try_task(lambda _: experiment(**config))


@dataclass(frozen=True)
class Outline:
    """A Task's metrics, columns and epochs.

    Args:    directions: of every column that a run has, in its records or at its end.
    """

    metrics: Mapping[str, Metric]
    directions: Mapping[str, Mode | None]
    epochs: int


def outline_of(experiment: Callable[..., Any], config: Mapping[str, Any]) -> Outline | None:
    """The outline of an experiment's Task; None where Python must know what is drawn.

    Nothing is computed or compiled.
    """
    task = None
    with contextlib.suppress(Untraceable):
        task = sketch(lambda _: experiment(**config))
    if task is None:
        return None
    data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
    metrics = read_metrics(task.metrics)
    parts = [part for part in PARTS if getattr(data, part) is not None]
    return Outline(metrics, directions_of(metrics, parts), int(task.epochs))
