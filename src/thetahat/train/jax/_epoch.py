"""Epochs as pure functions of one member: the order, the batches, the chunk's loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import data as th_data
from thetahat.train.jax import _member
from thetahat.train.jax._member import Member
from thetahat.train.jax._plan import make_plan
from thetahat.train.jax._redraw import points_of
from thetahat.train.jax._state import TrainState

if TYPE_CHECKING:
    from jaxtyping import Array, Int

MAX_CHUNK = 512
ORDERS = 2**22
"""Indices of a chunk's orders, at most: longer parts get shorter chunks."""

GATHER_AT_ONCE = 64 * 2**20
"""Bytes of a training part up to which an epoch's shuffled copy is made in one go."""


def run_chunk(
    member: Member, data: Any, state: Any, index: Any, epoch: Any, n: Any, *, alone: bool
) -> Any:
    """``n`` epochs from ``epoch`` on: a loop that fills buffers of MAX_CHUNK records.

    Args:    index: the orders (max_chunk, N) that the host made, or None to make them here; N are
             the places of an epoch where the part is padded.
             alone: whether the loop may end as soon as this member has (it may not under vmap).
    """
    plan = make_plan(member.task, data.train) if member.real is None else member.real.plan
    if member.task.redraw is None:
        data = data.changed(train=counted(data.train))

    def order_at(i: Any) -> Any:
        if index is not None:
            return index[i]
        return th_data.order(plan.order_seed, epoch + i, plan.n, plan.sampling)

    def one_epoch(state: Any, i: Any) -> Any:
        order = partial(order_at, i)
        return run_epoch(member, plan, data, state, epoch + i, order, alone=alone)

    empty = jnp.full((MAX_CHUNK,), jnp.nan, member.task.dtype)
    buffers = dict.fromkeys(member.columns(data, state), empty)

    def more(loop: Any) -> Any:
        i, state, _ = loop
        return (i < n) & state.active if alone else i < n

    def body(loop: Any) -> Any:
        i, state, buffers = loop
        state, record = one_epoch(state, i)
        return i + 1, state, {k: b.at[i].set(record[k]) for k, b in buffers.items()}

    _, state, buffers = jax.lax.while_loop(more, body, (jnp.int32(0), state, buffers))
    return state, buffers


def counted(train: Any) -> Any:
    """A part whose observations of weight zero are copies of one that counts, all else as it is.

    They add nothing; but where their loss is infinite, zero times its gradient would be NaN.
    """
    weights = th_data.weights_of(train)
    if weights is None:
        return train
    empty, one = weights == 0, jnp.argmax(weights)

    def filled(leaf: Any) -> Any:
        if leaf is weights:
            return leaf
        shape = (-1, *[1] * (leaf.ndim - 1))
        return jnp.where(empty.reshape(shape), leaf[one], leaf)

    return jax.tree.map(filled, train)


def run_epoch(
    member: Member,
    plan: Any,
    data: Any,
    state: TrainState,
    epoch: Any,
    order: Callable[[], Int[Array, " N"]],
    *,
    alone: bool,
) -> tuple[Any, Any]:
    """One pass over the training part, in ``order()``, and the validation risk after it."""
    train, points, opt_state = data.train, None, state.opt_state
    if member.task.redraw is not None:
        points, opt_state = points_of(member, state, epoch)
        train = counted(points)
    weights = th_data.weights_of(train)
    relative = None
    real = member.real
    if weights is not None:
        weights = weights.astype(member.task.dtype)  # sums of 32-bit integers wrap around
        n = plan.n if real is None else real.n("train").astype(weights.dtype)
        relative = weights * (n / jnp.sum(weights))
    if plan.full:
        scale = 1.0 / plan.batch
        if real is not None:
            scale = real.scale
            if relative is None:
                there = jnp.arange(plan.n) < real.n("train")
                relative = there.astype(member.task.dtype)
        key = _member.dropout_key(member, state, epoch, 0)
        zero = jnp.zeros((), member.task.dtype)
        carry = (state.params, opt_state, zero, member.scores.zero())
        carry, pairs = member.step(carry, train, relative, 1.0, scale, key)
    else:
        began = replace(state, opt_state=opt_state)
        carry, pairs = _minibatches(member, plan, train, relative, began, epoch, order())
    *carry, summed, sums = carry
    of_train = member.scores.means(sums) | member.scores.of_part(pairs)
    scores = {f"train_{name}": value for name, value in of_train.items()}
    scores |= member.scores.gradient(sums)
    val_risk = None
    if data.val is not None:
        val_risk, means = member.averages(carry[0], data.val, "val")
        scores |= {f"val_{name}": mean for name, mean in means.items()}
    train_risk = summed / plan.n if real is None else summed * real.one("train")
    return member.close_epoch(
        state, carry, train_risk, val_risk, scores, alone=alone, points=points
    )


def _minibatches(
    member: Member, plan: Any, train: Any, relative: Any, state: TrainState, epoch: Any, index: Any
) -> Any:
    """Scan the epoch's batches; the last is padded with observations of weight zero."""
    real, dtype = member.real, member.task.dtype
    shape = (plan.n_batches, plan.batch)
    places = np.arange(plan.n_batches * plan.batch).reshape(shape)
    there = None
    if real is not None:
        there = places < real.n("train")
    elif plan.pad:
        there = jnp.asarray(places < plan.n)
        index = jnp.concatenate([index, jnp.zeros((plan.pad,), index.dtype)])
    index = index.reshape(shape)
    scale = 1.0 / plan.batch if real is None else real.scale
    n_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(train))
    at_once = n_bytes <= GATHER_AT_ONCE

    def rows(index: Any) -> Any:
        return jax.tree.map(lambda a: a[index], (train, relative))

    def one(carry: Any, at: Any) -> Any:
        taken, there, i = at
        batch, weight = taken if at_once else rows(taken)
        share = 1.0
        if there is not None:
            weight = there.astype(dtype) * (1 if weight is None else weight)
            share = jnp.sum(there).astype(dtype) * scale
        if real is not None:
            share = jnp.where(real.even, 1, share)
        key = _member.dropout_key(member, state, epoch, i)
        return member.step(carry, batch, weight, share, scale, key)

    taken = rows(index) if at_once else index
    zero = jnp.zeros((), dtype)
    carry = (state.params, state.opt_state, zero, member.scores.zero())
    xs = (taken, there, jnp.arange(plan.n_batches))
    if real is None:
        carry, pairs = jax.lax.scan(one, carry, xs)
        return carry, jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), pairs)

    def some(i: Any, carry: Any) -> Any:
        return one(carry, jax.tree.map(lambda a: a[i], xs))[0]

    return jax.lax.fori_loop(0, real.steps, some, carry), None
