"""A search space: the parameters of a sweep file, in the order of its grid."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.yaml_tree import YamlNode, plain_tree
from thetahat.search._distributions import (
    Categorical,
    Constant,
    Distribution,
    IntUniform,
    Steps,
    holds,
    same,
)
from thetahat.search._parameters import Fault, distribution_of, section_faults

_ABSENT = ("absent",)
_INSIDE = 2.0**-53
"""The least probability in use: at 0 and 1 a normal is infinite."""
_TAIL = 1 / 2000
"""The least probability that an optimiser proposes where bounds lack: 3.3 standard deviations.

Optimisers often try the ends of [0, 1], and the ends of a normal are too far out.
"""


@dataclass(frozen=True)
class Dimension:
    """One parameter: its path in a config, its distribution, and its values coded for optimisers.

    The code of a number is its probability, the code of an integer or a choice its place from 0.
    """

    path: tuple[str, ...]
    distribution: Distribution

    @property
    def name(self) -> str:
        """The path with dots, for messages and tables."""
        return ".".join(self.path)

    @property
    def ranked(self) -> bool:
        """Whether the values have an order."""
        return not isinstance(self.distribution, Categorical)

    @cached_property
    def choices(self) -> int | None:
        """The number of values; None for any number."""
        if isinstance(self.distribution, Categorical):
            return len(self.distribution.distinct)
        if isinstance(self.distribution, IntUniform):
            return self.distribution.max - self.distribution.min + 1
        return None

    def encode(self, value: Any) -> float:
        """Return the code of a value."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.places[same(value)]
        if isinstance(self.distribution, IntUniform):
            return int(value) - self.distribution.min
        return min(max(self.distribution.cdf(value), 0.0), 1.0)

    def decode(self, code: float) -> Any:
        """Return the value of a code."""
        if isinstance(self.distribution, Categorical):
            return self.distribution.distinct[int(code)]
        if isinstance(self.distribution, IntUniform):
            return self.distribution.min + int(code)
        return self.proposed(code)

    def proposed(self, u: float) -> Any:
        """Return the value at a probability, 0 and 1 included, outside endless tails."""
        endless = math.inf in map(abs, self.distribution.support or ())
        return self.at(u, _TAIL if endless else _INSIDE)

    def at(self, u: float, edge: float = _INSIDE) -> Any:
        """Return the value at a probability, 0 and 1 included."""
        return self.distribution.ppf(min(max(u, edge), 1 - edge))

    def probability(self, code: float) -> float:
        """Return a code's place in [0, 1]: for a choice the middle of its share."""
        return code if self.choices is None else (code + 0.5) / self.choices


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
        """Whether the space has more than one config."""
        drawn = (d.distribution for d in self.searched)
        return any(not isinstance(one, Categorical) or len(one.distinct) > 1 for one in drawn)

    @cached_property
    def discrete(self) -> bool:
        """Whether two draws can be the same config."""
        return all(d.distribution.discrete for d in self.searched)

    @cached_property
    def size(self) -> int | None:
        """The number of points of the grid; None where a parameter's values are endless."""
        try:
            return self.grid_size
        except ConfigError:
            return None

    @cached_property
    def settings(self) -> int | None:
        """The number of different configs that can be drawn; None where they are endless."""
        return None if self._drawn is None else math.prod(map(_count, self._drawn))

    def setting_values(self, i: int) -> list[Any]:
        """Return the searched dimensions' values of the ``i``-th of the ``settings``."""
        assert self._drawn is not None
        return _digits(self._drawn, i)[0]

    @property
    def grid_size(self) -> int:
        """The number of points of the grid.

        Raises:  ConfigError: the first parameter without a finite list of values.
        """
        return math.prod(map(_count, self._grids))

    def point(self, i: int) -> dict[str, Any]:
        """Return the ``i``-th config of the grid, from 0: the last parameter varies fastest.

        Raises:  ConfigError: a parameter has no grid.   IndexError: past the last point.
        """
        return self.config(self.point_values(i))

    def point_values(self, i: int) -> list[Any]:
        """Return the searched dimensions' values at the ``i``-th point of the grid.

        Raises:  ConfigError: a parameter has no grid.   IndexError: past the last point.
        """
        values, rest = _digits(self._grids, i)
        if rest or i < 0:
            raise IndexError(f"point {i} of a grid of {self.size}")
        return values

    def draw(self, rng: random.Random) -> list[Any]:
        """Draw the searched dimensions' values, each from its own distribution."""
        # Strictly between 0 and 1 every distribution has a finite value.
        return [d.distribution.ppf((rng.getrandbits(52) + 0.5) * 2.0**-52) for d in self.searched]

    def config(self, values: Iterable[Any]) -> dict[str, Any]:
        """Make the config with these values of the searched dimensions, nested as in the file."""
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
        """Check whether a config has every parameter, each with a value that it can have."""
        try:
            return all(holds(d.distribution, _inside(config, d.path)) for d in self.dimensions)
        except KeyError:
            return False

    def values(self, config: Mapping[str, Any]) -> list[Any]:
        """List the searched dimensions' values in a config.

        Raises:  KeyError: the config lacks one of them.
        """
        return [_inside(config, d.path) for d in self.searched]

    def encode(self, config: Mapping[str, Any]) -> list[float] | None:
        """Return the searched dimensions' codes of a config; None for one outside the space."""
        try:
            pairs = list(zip(self.searched, self.values(config), strict=True))
        except KeyError:
            return None
        inside = all(holds(d.distribution, value) for d, value in pairs)
        return [d.encode(value) for d, value in pairs] if inside else None

    def key(self, config: Mapping[str, Any]) -> Hashable:
        """Return a key, equal for the same point: 3 equals 3.0, and constants do not count."""
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
        """Return the key of the config with these values of the searched dimensions."""
        return tuple(map(same, values))

    @cached_property
    def _flat(self) -> tuple[str, ...] | None:
        nested = any(len(d.path) > 1 for d in self.searched)
        return None if nested else tuple(d.path[0] for d in self.searched)

    @cached_property
    def _grids(self) -> tuple[Sequence[Any], ...]:
        grids = []
        for d in self.searched:
            try:
                grids.append(d.distribution.grid())
            except ConfigError as error:
                raise ConfigError(f"parameters.{d.name}: {error}") from None
        return tuple(grids)

    @cached_property
    def _drawn(self) -> tuple[Sequence[Any], ...] | None:
        """The values of each searched dimension that a draw can give."""
        drawn = []
        for d in self.searched:
            if isinstance(d.distribution, Categorical):
                drawn.append(d.distribution.likely)
                continue
            try:
                drawn.append(d.distribution.grid())
            except ConfigError:
                return None
        return tuple(drawn)

    @cached_property
    def _layout(self) -> tuple[tuple[tuple[str, ...], Any, bool], ...]:
        rows = []
        for d in self.dimensions:
            fixed = isinstance(d.distribution, Constant)
            rows.append((d.path, d.distribution.ppf(0.5) if fixed else None, fixed))
        return tuple(rows)


def make_space(parameters: Mapping[str, Any]) -> Space:
    """Make the space that a sweep file's ``parameters`` section describes.

    Args:    parameters: the section, its numbers already read as numbers.
    Returns: the space, its names sorted on every level.
    Raises:  ConfigError: the first mistake; ``space_faults`` lists all of them.

    >>> space = make_space({"lr": {"values": [0.1, 0.01]}, "depth": {"min": 1, "max": 3}})
    >>> space.size, space.point(0), space.point(1)
    (6, {'depth': 1, 'lr': 0.1}, {'depth': 1, 'lr': 0.01})
    """
    section = plain_tree(parameters, "parameters")
    for fault in section_faults(section):
        raise ConfigError(str(fault))
    return Space(tuple(_dimensions(section, ())))


def space_faults(parameters: Any, *, grid: bool = False) -> list[Fault]:
    """List every mistake in a ``parameters`` section; empty where it makes a space.

    Args:    grid: whether every parameter must have a finite list of values.
    """
    return list(section_faults(plain_tree(parameters, "parameters"), grid=grid))


def _dimensions(section: YamlNode, above: tuple[str, ...]) -> Iterator[Dimension]:
    for name, node in sorted(section.inside.items()):
        if "parameters" in node.inside:
            yield from _dimensions(node.inside["parameters"], (*above, name))
        else:
            yield Dimension((*above, name), distribution_of(node))


def _digits(grids: Sequence[Sequence[Any]], i: int) -> tuple[list[Any], int]:
    """The values at place ``i`` where the last grid varies fastest, and what is left of ``i``."""
    values: list[Any] = []
    for grid in reversed(grids):
        i, place = divmod(i, _count(grid))
        values.append(grid[place])
    return values[::-1], i


def _count(values: Sequence[Any]) -> int:
    """Count values; ``len`` itself refuses ranges beyond the machine's largest index."""
    if isinstance(values, range):
        return values.stop - values.start
    return values.count_steps() if isinstance(values, Steps) else len(values)


def _inside(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = config
    for name in path:
        if not isinstance(found, Mapping):
            raise KeyError(name)
        found = found[name]
    return found
