"""Training points that are drawn anew: a part of the state, and of the program of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import optim, risk
from thetahat.core import ConfigError, ShapeError, Task
from thetahat.data import Transform, keys
from thetahat.train.jax._precision import ON_DISK
from thetahat.train.jax._state import TrainState

if TYPE_CHECKING:
    from thetahat.train.jax._member import Member


def first_points(task: Task, data: Any, transform: Any) -> Any:
    """Return the points before the first draw, those of the training part; None without a redraw.

    Args:    transform: of the data, that of a table.
    Raises:  ConfigError: data of a table, or on disk.
    """
    if task.redraw is None:
        return None
    leaves = jax.tree.leaves(data.train)
    if isinstance(transform, Transform) or any(isinstance(a, ON_DISK) for a in leaves):
        raise ConfigError(
            "redraw= draws the points of a functional equation, and these data are rows of a"
            " table; give the first points as arrays: th.Data(points)"
        )
    return data.train


def points_of(member: Member, state: TrainState, epoch: Any) -> tuple[Any, Any]:
    """Return an epoch's training points, and the optimizer's state there.

    An optimizer that compares gradients of the whole risk begins anew where the points do.
    """
    redraw = member.task.redraw
    assert redraw is not None, "asked where points are redrawn"

    def draw() -> tuple[Any, Any]:
        restart = optim.wants_full_batch(member.optimizer)
        opt_state = member.optimizer.init(state.params) if restart else state.opt_state
        opt_state = jax.tree.map(_as, opt_state, state.opt_state)
        return drawn_points(member, state, epoch), opt_state

    def keep() -> tuple[Any, Any]:
        return state.points, state.opt_state

    return jax.lax.cond((epoch > 0) & (epoch % redraw.every == 0), draw, keep)


def drawn_points(member: Member, state: TrainState, epoch: Any) -> Any:
    """Simulate the points of an epoch by the hypothesis of a state.

    Raises:  ShapeError: points of another structure, shape or kind than those of the Task.
    """
    redraw = member.task.redraw
    assert redraw is not None, "asked where points are redrawn"
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), keys.REDRAW)
    hypothesis = member.adapted.bind(state.params, member.frozen)
    found = redraw.simulate(hypothesis, jax.random.fold_in(key, epoch))
    points = risk.with_points(member.task.residual, state.points, found)
    if _kinds(points) != _kinds(state.points):
        raise ShapeError(
            f"Redraw: simulate(h, key) returned {_said(points)}, and the training part is"
            f" {_said(state.points)}; return as many points, of the same structure"
        )
    return jax.tree.map(_as, points, state.points)


def _as(new: Any, old: Any) -> jax.Array:
    """Give an array the type of another one: both branches of a condition have the same."""
    return jnp.asarray(new, old.dtype)


def _kinds(tree: Any) -> Any:
    """Return the structure of arrays, their shapes, and whether they are integers."""
    leaves, structure = jax.tree.flatten(tree)
    floats = [jnp.issubdtype(jnp.result_type(leaf), jnp.inexact) for leaf in leaves]
    return structure, [np.shape(leaf) for leaf in leaves], floats


def _said(tree: Any) -> str:
    shapes = jax.tree.map(lambda a: f"{jnp.result_type(a)}{list(np.shape(a))}", tree)
    return str(shapes).replace("'", "")
