"""Which configs train as one program, and that program: made anew, or one that was made before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from thetahat.core import Signature, Task, read_signature
from thetahat.core.content import static_part
from thetahat.data import use_cache
from thetahat.train._cohort import Training, first_program
from thetahat.train._driver import Interrupt
from thetahat.train._options import Cohort, Options
from thetahat.train._static import CONCRETE, find_static
from thetahat.train.jax import CohortProgram, Hyper, make_program, stage


class NeedsStatic(Exception):
    """Traced parameters turned out to be ones that Python must know: group the configs anew."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(names)))
        self.names = names


@dataclass
class Shop:
    """An experiment and the programs compiled for it so far: for a process with many cohorts.

    A program is used again when the static part, the size and the mode are the same: the experiment
    must then give the same arrays, as it does when its result depends on its arguments alone.
    """

    experiment: Callable[..., Task]
    static: frozenset[str] = frozenset()
    """Traced by their annotation, and yet needed by Python: found on the way."""
    _made: dict[Any, CohortProgram] = field(default_factory=dict)
    signature: Signature = field(init=False)

    def __post_init__(self) -> None:
        use_cache()
        self.signature = read_signature(self.experiment)

    @property
    def traced(self) -> frozenset[str]:
        """The parameters whose values share a program."""
        return frozenset(self.signature.traced) - self.static

    def open(
        self,
        configs: Sequence[Mapping[str, Any]],
        options: Options,
        interrupt: Interrupt,
        *,
        members: Sequence[int] | None = None,
        marks: tuple[int, ...] = (),
    ) -> Training:
        """Begin to train configs that differ in traced parameters only.

        Raises:  NeedsStatic: some of these parameters must be static; they are remembered.
        """
        full = [self.signature.config(config) for config in configs]
        program = self._program(full, options)
        places = tuple(range(len(full)) if members is None else members)
        seeds = tuple(p.name for p in self.signature.parameters.values() if p.is_seed)
        cohort = Cohort(program, tuple(full), places, seeds=seeds, experiment=self.experiment)
        training = Training(cohort, options, interrupt, marks)
        self._made[self._key(full, program.hyper, options)] = training.program
        return training

    def _program(self, full: Sequence[Mapping[str, Any]], options: Options) -> CohortProgram:
        names = self.traced
        seeds = {p.name: p.is_seed for p in self.signature.parameters.values()}
        hyper = hyper_of(full, {n: seeds[n] for n in self.signature.traced if n in names})
        made = self._made.get(self._key(full, hyper, options))
        if made is not None:
            return made.again(hyper)
        build = builder(self.experiment, full[0], names)
        try:
            return first_program(build, hyper, len(full), options)
        except CONCRETE as error:
            attempt = partial(try_tracing, self.experiment, full[0])
            found = find_static(self.signature.name, attempt, hyper.one(), error)
            self.static |= found
            raise NeedsStatic(found) from error

    def _key(self, full: Sequence[Mapping[str, Any]], hyper: Hyper, options: Options) -> Any:
        static = static_part(full[0], self.traced)
        return static, tuple(hyper.own), tuple(hyper.common), len(full), options.mode


def alike(waiting: Sequence[int], parts: Sequence[Any]) -> list[int]:
    """The first of those that wait, and all whose static part is the same."""
    return [i for i in waiting if parts[i] == parts[waiting[0]]]


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


def builder(
    experiment: Callable[..., Task], config: Mapping[str, Any], traced: frozenset[str]
) -> Callable[[Mapping[str, Any]], Task]:
    """Traced values in, Task out: the experiment with its static parameters bound."""
    return partial(_build, experiment, {k: v for k, v in config.items() if k not in traced})


def _build(
    experiment: Callable[..., Task], static: Mapping[str, Any], values: Mapping[str, Any]
) -> Task:
    return experiment(**static, **values)


def try_tracing(
    experiment: Callable[..., Task], config: Mapping[str, Any], few: Mapping[str, Any]
) -> None:
    """Trace the estimation abstractly with only ``few`` parameters traced."""
    build = builder(experiment, config, frozenset(few))
    hyper = Hyper(own={}, common=dict(few))
    make_program(build, hyper, stage(build, hyper), size=1, mode="map").trace()
