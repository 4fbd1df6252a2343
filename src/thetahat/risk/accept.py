"""Acceptance of a solution, ``Task(accept=[...])``: checks off the training points.

A small residual at the training points proves nothing: a function can satisfy an equation there
and still be no solution. A run that fails a check is ``rejected``, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core.acceptance import Measure
from thetahat.core.arguments import arguments_named
from thetahat.core.errors import ConfigError, ShapeError
from thetahat.core.numbers import is_traced

Residuals = Callable[[Any, Any, "str | None"], Any]
"""``residuals(points, residual, block) -> (N,) or (N, k)``, by the backend: those of a hypothesis.
Without a residual those of the Task."""


@arguments_named
@dataclass(frozen=True, eq=False)
class residual:  # noqa: N801  (it is called like a function)
    """Check that residuals off the training points are small.

    Args:    points: observations, as the training part holds them: arrays with N rows.
             quantile: of the absolute residuals, in (0, 1]; 1 is the largest one.
             below: the quantile must be less.
             residual: ``residual(h, z)`` in place of the Task's, such as the Euler error as a share
             of consumption. Of several components the largest counts.
             block: the block of data whose residual it is, where the Task's data are blocks.
    Raises:  ConfigError: a quantile outside (0, 1], a bound that is not positive, no points.
    """

    points: Any
    quantile: float = 0.99
    below: Any = 1e-3
    residual: Callable[[Any, Any], Any] | None = None
    block: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.quantile <= 1:
            raise ConfigError(f"accept.residual(quantile={self.quantile}); give one in (0, 1]")
        if not is_traced(self.below) and not float(self.below) > 0:
            raise ConfigError(f"accept.residual(below={self.below}); give a number above 0")
        sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(self.points)}
        if len(sizes) != 1 or sizes <= {(), (0,)}:
            shapes = [np.shape(leaf) for leaf in jax.tree.leaves(self.points)]
            raise ConfigError(
                f"accept.residual(points=) has arrays of shapes {shapes}; give one or more points,"
                " as rows along the first axis of each array"
            )

    @property
    def numbers(self) -> int:
        """Numbers that its points hold: those of memory while it is evaluated."""
        return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(self.points))

    def __call__(self, h: Any, residuals: Residuals) -> list[Measure]:
        """Measure the quantile."""
        found = jnp.abs(jnp.asarray(residuals(self.points, self.residual, self.block)))
        found = found.reshape(len(found), -1).max(axis=1)
        what = "residual" if self.residual is None else _name(self.residual)
        of = f"|{what}|" if self.block is None else f"|{what}| of {self.block}"
        share = f"{100 * self.quantile:g} % quantile of {of}"
        name = f"largest {of}" if self.quantile == 1 else share
        value = jnp.quantile(found, self.quantile)
        return [Measure(name, value, below=self.below)]


@arguments_named
@dataclass(frozen=True, eq=False)
class inside:  # noqa: N801
    """Check that simulated paths stay inside bounds: what is not finite is outside.

    Args:    simulate: ``simulate(h) -> array`` of any shape, or name to array.
             bounds: ``(low, high)``; or name to ``(low, high)``, of each array.
    Raises:  ConfigError: bounds that are no pairs (low, high) with low at most high.
    """

    simulate: Callable[[Any], Any]
    bounds: Any

    def __post_init__(self) -> None:
        if not callable(self.simulate):
            raise ConfigError(
                f"accept.inside(simulate={self.simulate!r:.80}) is not a function; give"
                " simulate(h), which returns an array, or arrays by name"
            )
        for name, pair in self._bounds().items():
            try:
                low, high = pair
                wrong = not (is_traced(low) or is_traced(high)) and not float(low) <= float(high)
            except (TypeError, ValueError):
                wrong = True
            if wrong:
                of = f" of {name!r}" if name else ""
                raise ConfigError(
                    f"accept.inside(bounds=): {pair!r:.80}{of}; give (low, high), such as"
                    " (0.05, 4.0), or {'k': (0.05, 4.0)}"
                )

    def _bounds(self) -> Mapping[str, Any]:
        return self.bounds if isinstance(self.bounds, Mapping) else {"": self.bounds}

    def __call__(self, h: Any, residuals: Residuals) -> list[Measure]:
        """Measure the least and the greatest value of each array."""
        del residuals
        found = self.simulate(h)
        bounds = self._bounds()
        if not isinstance(found, Mapping):
            found = {"": found}
        if missing := [name for name in bounds if name not in found]:
            raise ConfigError(
                f"accept.inside: {_name(self.simulate)}(h) returned"
                f" {', '.join(filter(None, found)) or 'one array'}, and bounds name"
                f" {', '.join(filter(None, missing)) or 'none'}; give the same names"
            )
        rows = []
        for name, (low, high) in bounds.items():
            value = jnp.asarray(found[name])
            what = name or _name(self.simulate)
            rows.append(Measure(f"smallest {what}", value.min(), low=low))
            rows.append(Measure(f"largest {what}", value.max(), high=high))
        return rows


@arguments_named
@dataclass(frozen=True, eq=False)
class solution:  # noqa: N801
    """Say which of several known solutions a run found; a run that found none is rejected.

    The names are counted wherever the accepted runs are: "100 of 100 accepted (53 low, 47 high)".

    Args:    value: ``value(h) -> () or (d,)``, which tells solutions apart, such as the capital at
             the end of a simulated path.
             known: name to value, of each solution.
             within: the largest distance from a solution, in units of the value: above 0.
    Raises:  ConfigError: no solutions, a name that is no word, or a distance that is not positive.
    """

    value: Callable[[Any], Any]
    known: Mapping[str, Any]
    within: Any

    def __post_init__(self) -> None:
        if not callable(self.value):
            raise ConfigError(
                f"accept.solution(value={self.value!r:.80}) is not a function; give value(h), which"
                " returns a number, or a vector of numbers"
            )
        if not isinstance(self.known, Mapping) or not self.known:
            raise ConfigError(
                f"accept.solution(known={self.known!r:.80}) does not map names to values; give"
                " {'low': 0.5, 'high': 4.0}"
            )
        for name in self.known:
            if not isinstance(name, str) or not name.strip() or ";" in name:
                raise ConfigError(
                    f"accept.solution(known=) has the name {name!r}; give a text without ';'"
                )
        if not is_traced(self.within) and not float(self.within) > 0:
            raise ConfigError(f"accept.solution(within={self.within}); give a number above 0")

    def __call__(self, h: Any, residuals: Residuals) -> list[Measure]:
        """Measure the distance to each solution, and to the nearest one."""
        del residuals
        found, what = jnp.asarray(self.value(h)), _name(self.value)
        rows = [] if found.ndim else [Measure(what, found)]
        for name, value in self.known.items():
            if np.shape(value) != found.shape:
                raise ShapeError(
                    f"accept.solution: {what}(h) returned the shape {found.shape}, and the solution"
                    f" {name!r} has the shape {np.shape(value)}; give the same shape"
                )
            distance = jnp.max(jnp.abs(found - jnp.asarray(value)))
            rows.append(Measure(f"distance of {what} from {name}", distance, solution=name))
        nearest = jnp.min(jnp.stack([row.value for row in rows if row.solution]))
        of = f"distance of {what} from the nearest of {', '.join(self.known)}"
        return [*rows, Measure(of, nearest, below=self.within)]


def measured(checks: Sequence[Any], h: Any, residuals: Residuals) -> dict[str, Any]:
    """Call the checks of a Task; return the table of what they measure, a row for each number.

    Raises:  ShapeError: a function of the user's own that returns more than one value.
             ConfigError: several checks that name solutions.
    """
    if sum(isinstance(check, solution) for check in checks) > 1:
        raise ConfigError(
            "Task(accept=) has several th.accept.solution, and a run finds one solution; give one"
            " whose value(h) is a vector"
        )
    rows = [row for check in checks for row in _measures(check, h, residuals)]
    columns: dict[str, Any] = {"check": [row.name for row in rows]}
    columns["value"] = jnp.stack([jnp.asarray(row.value) for row in rows])
    if any(row.solution for row in rows):
        columns["solution"] = [row.solution for row in rows]
    for name in ("low", "high", "below"):
        bounds = [getattr(row, name) for row in rows]
        traced = any(is_traced(one) for one in bounds)
        columns[name] = jnp.stack(list(map(jnp.asarray, bounds))) if traced else _host(bounds)
    return columns


def _host(bounds: Sequence[Any]) -> np.ndarray:
    return np.array([float(one) for one in bounds])


def _measures(check: Any, h: Any, residuals: Residuals) -> list[Measure]:
    if isinstance(check, (residual, inside, solution)):
        return check(h, residuals)
    name, holds = _name(check), check(h)
    if np.shape(holds) != ():
        raise ShapeError(
            f"the check {name}(h) of Task(accept=) returned the shape {np.shape(holds)}; return one"
            " bool, such as jnp.all(...)"
        )
    return [Measure(f"{name}(h)", jnp.where(jnp.asarray(holds), 1.0, 0.0), low=1.0, high=1.0)]


def _name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "value" if name == "<lambda>" else name
