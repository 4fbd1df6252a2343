"""Blocks of data: several equations with points of their own, estimated as one Task.

    risk(h) = sum_b weight_b risk_b(h) / sum_b weight_b,    risk_b = mean loss at its points

A Task with blocks becomes a plain one: a row for each point of each block, which knows its block.
The other blocks' entries of a row repeat their first point, and do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat.core import ConfigError, Metric, ShapeError, Task
from thetahat.core.numbers import is_traced
from thetahat.data import Data, Rows, check_one_length, n_observations, weights_of
from thetahat.risk._losses import RESIDUAL, resolve_loss
from thetahat.risk._residuals import per_observation, signed_residual

BLOCK, POINTS = "block", "points"
"""Keys of a row: the number of its block, and a point of every block."""


@dataclass(frozen=True, eq=False)
class BlockResidual:
    """The residual of a row: that of its block, at its point.

    Args:    residuals: by block, in the order of the numbers of blocks.
             sizes: points of each block of the training part.
    """

    residuals: Mapping[str, Callable[[Any, Any], Any]]
    sizes: Mapping[str, int]

    def __call__(self, h: Any, z: Any) -> jax.Array:
        """Compute the residual, () or (k,)."""
        each = {n: signed_residual(r)(h, z[POINTS][n]) for n, r in self.residuals.items()}
        if len({jnp.shape(one) for one in each.values()}) > 1:
            said = ", ".join(f"{name} {jnp.shape(one)}" for name, one in each.items())
            raise ShapeError(
                f"the residuals of blocks have different shapes: {said}; return one number each,"
                " or make each component a block of its own"
            )
        return jnp.stack(list(each.values()))[z[BLOCK]]


def plain_task(task: Task) -> Task:
    """Return a Task without blocks: of rows, if the given one has them.

    Raises:  ConfigError: blocks of data, residuals and weights that do not fit together.
             DataError: arrays of different N where there are no blocks.
    """
    if not isinstance(task.residual, Mapping):
        if task.weights:
            raise ConfigError(
                f"weights={sorted(task.weights)} are those of blocks; give residual={{name: f}} and"
                " th.Data({name: points}), or weights of observations as th.Observations(x, y, w)"
            )
        check_one_length(task.data)
        return task
    data = task.data if isinstance(task.data, Data) else Data(task.data)
    _check(task, data)
    parts = {n: _rows(task, n, part) for n in _PARTS if (part := getattr(data, n)) is not None}
    metrics = {f"{name}_risk": _risk_of(task, name) for name in task.residual}
    if twice := [name for name in metrics if name in task.metrics]:
        raise ConfigError(f"the metric {twice[0]!r} has the name of a block's risk; rename it")
    return replace(
        task,
        data=data.changed(**parts),
        residual=BlockResidual(
            dict(task.residual), {name: n_observations(data.train[name]) for name in task.residual}
        ),
        metrics={**task.metrics, **metrics},
        weights={},
    )


_PARTS = ("train", "val", "test")


def _check(task: Task, data: Data) -> None:
    assert isinstance(task.residual, Mapping)
    names = sorted(task.residual)
    for part in _PARTS:
        found = getattr(data, part)
        if found is None:
            continue
        there = sorted(found) if isinstance(found, Mapping) else []
        if there != names:
            raise ConfigError(
                f"residual= has the blocks {', '.join(names)}, and {part} has"
                f" {', '.join(there) or 'none'}; give th.Data({{{names[0]!r}: points, ...}}) with"
                " the same names"
            )
        if any(isinstance(leaf, (Rows, np.memmap)) for leaf in jax.tree.leaves(found)):
            raise ConfigError(
                f"the blocks of {part} stay on disk, and blocks are laid under each other in"
                " memory; read them into arrays first"
            )
    for name, weight in task.weights.items():
        if name not in names:
            raise ConfigError(f"weights= names the block {name!r}; there are {', '.join(names)}")
        if not is_traced(weight) and not (np.isfinite(weight) and weight > 0):
            raise ConfigError(f"weights={{{name!r}: {weight}}}; give a number above 0")
    if resolve_loss(task.loss).of != RESIDUAL:
        raise ConfigError(f"loss={task.loss!r} compares predictions; blocks need one of a residual")
    for name, metric in task.metrics.items():
        if metric.kind not in ("hypothesis", "norm"):
            raise ConfigError(
                f"the metric {name!r} is of observations, and data in blocks have none in common;"
                " give f(h)"
            )


def _rows(task: Task, part: str, blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the points of a part's blocks under each other."""
    assert isinstance(task.residual, Mapping)
    names, total = list(task.residual), sum(_weight(task, n) for n in task.residual)
    sizes = {name: n_observations(blocks[name]) for name in names}
    rows, weights = sum(sizes.values()), []
    for name in names:
        own = weights_of(blocks[name])
        own = np.ones(sizes[name]) if own is None else own
        weights.append(own / own.sum() * (_weight(task, name) * rows / total))
    before, points = 0, {}
    for name in names:
        after = rows - before - sizes[name]
        points[name] = jax.tree.map(_repeated(before, after), blocks[name])
        before += sizes[name]
    traced = any(map(is_traced, weights))
    return {
        BLOCK: np.repeat(np.arange(len(names), dtype=np.int32), [sizes[n] for n in names]),
        POINTS: points,
        "weight": jnp.concatenate(weights) if traced else np.concatenate(weights),
    }


def _weight(task: Task, name: str) -> Any:
    return task.weights.get(name, 1.0)


def with_points(residual: Any, rows: Any, drawn: Any) -> Any:
    """Return a training part with points that are drawn anew: of some blocks, or all.

    Raises:  ConfigError: other names than those of blocks, or points with weights of their own.
             ShapeError: another number of points.
    """
    if not isinstance(residual, BlockResidual):
        return drawn
    names = list(residual.residuals)
    if not isinstance(drawn, Mapping) or not drawn or not set(drawn) <= set(names):
        came = sorted(drawn) if isinstance(drawn, Mapping) else f"a {type(drawn).__name__}"
        raise ConfigError(
            f"Redraw: simulate(h, key) returned {came}, and the data have the blocks"
            f" {', '.join(names)}; return {{{names[0]!r}: points}}"
        )
    points, before = dict(rows[POINTS]), 0
    for name in names:
        size = residual.sizes[name]
        if name in drawn:
            if weights_of(drawn[name]) is not None:
                raise ConfigError(
                    f"Redraw: the block {name!r} has weights of its own, which are not drawn anew;"
                    " give points without weights"
                )
            found = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(drawn[name])}
            if found != {(size,)}:
                shapes = [np.shape(leaf) for leaf in jax.tree.leaves(drawn[name])]
                raise ShapeError(
                    f"Redraw: the block {name!r} has {size} points, and simulate(h, key) returned"
                    f" arrays of shapes {shapes}; return {size} points, as rows of each array"
                )
            after = len(rows[BLOCK]) - before - size
            points[name] = jax.tree.map(_repeated(before, after), drawn[name])
        before += size
    return {**rows, POINTS: points}


def _repeated(before: int, after: int) -> Callable[[Any], Any]:
    """Repeat the first row of an array before and after it."""

    def repeated(leaf: Any) -> Any:
        numpy: Any = jnp if is_traced(leaf) else np
        first = leaf[:1]
        parts = [numpy.repeat(first, n, axis=0) for n in (before, after)]
        return numpy.concatenate([parts[0], leaf, parts[1]])

    return repeated


def _risk_of(task: Task, name: str) -> Metric:
    """Return the risk of one block as a metric: a weighted mean over all rows."""
    assert isinstance(task.residual, Mapping)
    number = list(task.residual).index(name)
    share = sum(_weight(task, n) for n in task.residual) / _weight(task, name)
    loss_at = per_observation(task.residual[name], resolve_loss(task.loss))

    def block_risk(h: Any, z: Any) -> Any:
        loss = loss_at(h, z[POINTS][name])
        return jnp.where(z[BLOCK] == number, loss * jnp.asarray(share, loss.dtype), 0.0)

    return Metric(block_risk, mode="min")
