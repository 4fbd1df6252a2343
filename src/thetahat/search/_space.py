"""A search space: the parameters of a sweep file, in the order of its grid."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.search._distributions import Categorical, Constant, Distribution, Steps, holds, same
from thetahat.search._read import read_distribution

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ABSENT = ("absent",)


@dataclass(frozen=True)
class Dimension:
    """One parameter: where its value stands in a config, and how it is distributed."""

    path: tuple[str, ...]
    distribution: Distribution

    @property
    def name(self) -> str:
        """For people: the path with dots."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Fault:
    """One mistake in a ``parameters`` section, and the parameter that has it."""

    path: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"parameters.{'.'.join(self.path)}: {self.message}" if self.path else self.message


@dataclass(frozen=True, eq=False)
class Space:
    """Every config that a sweep may run.

    ``dimensions`` are all parameters, constants too, sorted by name on every level.
    """

    dimensions: tuple[Dimension, ...]

    @cached_property
    def searched(self) -> tuple[Dimension, ...]:
        """The dimensions that vary: all but the constants."""
        return tuple(d for d in self.dimensions if not isinstance(d.distribution, Constant))

    @cached_property
    def varies(self) -> bool:
        """Whether it holds more than one config."""
        drawn = (d.distribution for d in self.searched)
        return any(
            not isinstance(one, Categorical) or len(set(map(same, one.values))) > 1 for one in drawn
        )

    @cached_property
    def discrete(self) -> bool:
        """Whether two draws can be the same config."""
        return all(d.distribution.discrete for d in self.searched)

    @cached_property
    def size(self) -> int | None:
        """How many points its grid has; None where a parameter has no finite list of values."""
        try:
            return math.prod(len_of(values) for values in self._grids)
        except ConfigError:
            return None

    def check_grid(self) -> None:
        """Nothing, where the space has a grid.

        Raises:  ConfigError: the first parameter that has no finite list of values.
        """
        if faults := self.grid_faults():
            raise ConfigError(str(faults[0]))

    def grid_faults(self) -> list[Fault]:
        """Why there is no grid of this space, parameter by parameter; empty where there is one."""
        faults = []
        for d in self.searched:
            try:
                d.distribution.grid()
            except ConfigError as error:
                faults.append(Fault(d.path, str(error)))
        return faults

    def point(self, i: int) -> dict[str, Any]:
        """The ``i``-th config of the grid, from 0: the last parameter varies fastest.

        Raises:  ConfigError: a parameter has no grid.   IndexError: past the last point.
        """
        return self.config(self.point_values(i))

    def point_values(self, i: int) -> list[Any]:
        """The searched dimensions' values at the ``i``-th point of the grid.

        Raises:  ConfigError: a parameter has no grid.   IndexError: past the last point.
        """
        values: list[Any] = []
        rest = i
        for grid in reversed(self._grids):
            rest, place = divmod(rest, len_of(grid))
            values.append(grid[place])
        if rest or i < 0:
            raise IndexError(f"point {i} of a grid of {self.size}")
        return values[::-1]

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """A config drawn at random, every parameter from its own distribution."""
        return self.config([d.distribution.ppf(open_uniform(rng)) for d in self.searched])

    def config(self, values: Iterable[Any]) -> dict[str, Any]:
        """The config with these values of the searched dimensions, nested as the file is."""
        given = iter(values)
        config: dict[str, Any] = {}
        for path, constant, fixed in self._layout:
            value = constant if fixed else next(given)
            if isinstance(value, (dict, list)):
                value = copy.deepcopy(value)
            inner = config
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value
        return config

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether a config is a point of the space: every parameter there, with its values.

        A grid's points and every sampler's proposals are; a point given by hand may not be.
        """
        try:
            return all(holds(d.distribution, _inside(config, d.path)) for d in self.dimensions)
        except KeyError:
            return False

    def values(self, config: Mapping[str, Any]) -> list[Any]:
        """The searched dimensions' values in a config.

        Raises:  KeyError: the config lacks one of them.
        """
        return [_inside(config, d.path) for d in self.searched]

    def key(self, config: Mapping[str, Any]) -> Hashable:
        """Equal for configs that are the same point: 3 and 3.0 are, and constants do not count."""
        if self._flat is not None and type(config) is dict:
            return self.values_key([config.get(name, _ABSENT) for name in self._flat])
        found: list[Any] = []
        for d in self.searched:
            try:
                found.append(_inside(config, d.path))
            except KeyError:
                found.append(_ABSENT)
        return self.values_key(found)

    def values_key(self, values: Iterable[Any]) -> Hashable:
        """The key of the config that has these values of the searched dimensions."""
        return tuple(map(same, values))

    @cached_property
    def _flat(self) -> tuple[str, ...] | None:
        nested = any(len(d.path) > 1 for d in self.searched)
        return None if nested else tuple(d.path[0] for d in self.searched)

    @cached_property
    def _grids(self) -> tuple[Sequence[Any], ...]:
        self.check_grid()
        return tuple(d.distribution.grid() for d in self.searched)

    @cached_property
    def _layout(self) -> tuple[tuple[tuple[str, ...], Any, bool], ...]:
        rows = []
        for d in self.dimensions:
            fixed = isinstance(d.distribution, Constant)
            rows.append((d.path, d.distribution.ppf(0.5) if fixed else None, fixed))
        return tuple(rows)


def make_space(parameters: Mapping[str, Any]) -> Space:
    """The space that a sweep file's ``parameters`` section describes.

    Args:    parameters: the section, its numbers already read as numbers.
    Returns: the space, its names sorted on every level.
    Raises:  ConfigError: the first thing that is wrong; ``space_faults`` lists all of them.

    >>> space = make_space({"lr": {"values": [0.1, 0.01]}, "depth": {"min": 1, "max": 3}})
    >>> space.size, space.point(0), space.point(1)
    (6, {'depth': 1, 'lr': 0.1}, {'depth': 1, 'lr': 0.01})
    """
    dimensions, faults = _read(parameters)
    if faults:
        raise ConfigError(str(faults[0]))
    return Space(tuple(dimensions))


def space_faults(parameters: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong in a ``parameters`` section; empty where it makes a space."""
    return _read(parameters)[1]


def _read(parameters: Any) -> tuple[list[Dimension], list[Fault]]:
    dimensions: list[Dimension] = []
    faults: list[Fault] = []

    def level(section: Any, above: tuple[str, ...]) -> None:
        if not isinstance(section, Mapping):
            faults.append(
                Fault(above, f"parameters is {section!r}; give a mapping of names to distributions")
            )
            return
        if not section:
            faults.append(Fault(above, "parameters is empty; give at least one parameter"))
        for name in sorted(section, key=str):
            given, path = section[name], (*above, str(name))
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                faults.append(
                    Fault(
                        path,
                        f"{name!r} is no name; it needs a letter or _ first, then letters, digits,"
                        " _ . or -",
                    )
                )
            elif not isinstance(given, Mapping):
                faults.append(Fault(path, f"{given!r} is no parameter; write value: {given!r}"))
            elif "parameters" in given:
                for other in sorted(set(given) - {"parameters"}, key=str):
                    faults.append(
                        Fault(path, f"{other!r} cannot stand beside nested parameters; remove it")
                    )
                level(given["parameters"], path)
            else:
                try:
                    dimensions.append(Dimension(path, read_distribution(given)))
                except ConfigError as error:
                    faults.append(Fault(path, str(error)))

    level(parameters, ())
    return dimensions, faults


def len_of(values: Sequence[Any]) -> int:
    """How many values; ``len`` itself refuses ranges beyond the machine's largest index."""
    if isinstance(values, range):
        return values.stop - values.start
    return values.count_steps() if isinstance(values, Steps) else len(values)


def open_uniform(rng: random.Random) -> float:
    """A number strictly between 0 and 1, where every distribution has a finite value."""
    return (rng.getrandbits(52) + 0.5) * 2.0**-52


def _inside(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = config
    for name in path:
        if not isinstance(found, Mapping):
            raise KeyError(name)
        found = found[name]
    return found
