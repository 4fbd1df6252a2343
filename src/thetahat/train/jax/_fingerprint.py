"""The mathematics of a fit as text that can be compared: the jaxprs of one member's parts.

Code that moved, or was written otherwise, gives the same jaxprs; a constant that changed anywhere
below it does not, wherever it stood. Epochs and stopping rules are no part of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters import partial_eval

from thetahat import models
from thetahat.core.content import content_key
from thetahat.train._program import Build, Hyper
from thetahat.train.jax._member import Member, make_member, make_plan
from thetahat.train.jax._precision import ON_DISK, precision
from thetahat.train.jax._staging import Staged

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_ROWS = 2
"""Observations of the step that is traced: its mathematics is the same for any number."""


def mathematics(build: Build, hyper: Hyper, staged: Staged) -> dict[str, str]:
    """A key of the mathematics of the first state, loss, penalty, optimizer and metrics.

    They are traced, never compiled. The step follows from them, and costs more to trace.
    """
    names, closed = _pieces(build, hyper, staged, step=False)
    pieces = {"first state": (staged.closed, _kept(staged))}
    pieces |= {name: (closed, [n == name for n in names]) for name in dict.fromkeys(names)}
    return {name: _key(*_reduced(*piece)) for name, piece in pieces.items()}


def used(build: Build, hyper: Hyper, staged: Staged) -> frozenset[str]:
    """The traced parameters that a number depends on beside those of the stopping rules."""
    names, closed = _pieces(build, hyper, staged, step=True)
    found = zip(sorted(hyper.member(0)), _reduced(closed, [True] * len(names))[2], strict=False)
    order = [*sorted(hyper.own), *sorted(hyper.common)]
    first = zip(order, _reduced(staged.closed, _kept(staged))[2], strict=False)  # then a start
    return frozenset(name for name, there in (*found, *first) if there)


def _pieces(build: Build, hyper: Hyper, staged: Staged, *, step: bool) -> tuple[list[str], Any]:
    """The jaxpr of a member's loss, penalty, and (where asked for) step; the names of its outputs.

    The traced parameters are its first inputs, by their names.
    """
    values = {name: np.asarray(value) for name, value in hyper.member(0).items()}
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in staged.closed.out_avals]
    state, made = jax.tree.unflatten(staged.out_tree, shapes)
    given = tuple(_shape(leaf, staged.task.dtype) for leaf in staged.given)
    rows = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((_ROWS, *a.shape[1:]), a.dtype),
        staged.inputs(made, given)[0].train,
    )
    names: list[str] = []

    def pieces(values: Any, made: Any, given: Any, state: Any, rows: Any) -> list[Any]:
        task = build(values)
        data, frozen = staged.inputs(made, given)
        adapted = models.adapt(task.model, task.seed)
        member = make_member(task, frozen, adapted, data.transform)
        key = jax.random.wrap_key_data(state.key) if member.adapted.stochastic else None
        h = member.adapted.bind(state.params, frozen, key=key, train=True)
        found = {"loss": member.loss_at(h, jax.tree.map(lambda a: a[0], rows))}
        if task.penalty is not None:
            found["penalty"] = task.penalty(state.params)
        found["metrics"] = _metrics(member, state.params, rows)
        if not step:
            found["optimizer"] = _update(member, state, rows)
        else:
            zero = jnp.zeros((), task.dtype)
            carry = (state.params, state.opt_state, zero, member.scores.zero())
            found["step"], _ = member.step(carry, rows, None, None, 1.0 / _ROWS, key)
            # Each member's own order may depend on any seed.
            order = make_plan(task, rows).order_seed
            found["order"] = order if isinstance(order, Tracer) else ()
        flat = [(name, leaf) for name, part in found.items() for leaf in jax.tree.leaves(part)]
        names[:] = [name for name, _ in flat]
        return [leaf for _, leaf in flat]

    with precision(staged.task.dtype):
        return names, jax.make_jaxpr(pieces)(values, made, given, state, rows)


def _metrics(member: Member, params: Any, rows: Any) -> Any:
    """What the metrics give: of the hypothesis alone, and summed over observations."""
    scores, hypothesis = member.scores, member.adapted.bind(params, member.frozen)
    pairs = scores.of_part(scores.pairs(lambda _: hypothesis, rows, None, None))
    sums = scores.add(scores.zero(), lambda _: hypothesis, rows, None, None)
    return scores.whole(params), sums, pairs


def _update(member: Member, state: Any, rows: Any) -> Any:
    """What the optimizer makes of a gradient; of a linear objective, where it evaluates one."""

    def linear(params: Any) -> Any:
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))

    return member.optimizer.update(
        state.params,
        state.opt_state,
        state.params,
        value=linear(state.params),
        grad=state.params,
        value_fn=linear,
        residual_fn=member.residual_fn(rows, None, 1.0 / _ROWS),
    )


def _kept(staged: Staged) -> list[bool]:
    """Of each output of the first state: whether it belongs to no stopping rule."""
    n = len(staged.closed.out_avals)
    paths, _ = jax.tree_util.tree_flatten_with_path(jax.tree.unflatten(staged.out_tree, range(n)))
    return [all(getattr(step, "name", "") != "stoppers" for step in path[:2]) for path, _ in paths]


def _shape(leaf: Any, dtype: str) -> Any:
    kind = np.dtype(leaf.dtype) if isinstance(leaf, ON_DISK) else leaf.dtype
    if isinstance(leaf, ON_DISK) and kind.kind == "f":
        kind = np.dtype(dtype)
    return jax.ShapeDtypeStruct(leaf.shape, kind)


def _reduced(closed: ClosedJaxpr, wanted: Sequence[bool]) -> tuple[Jaxpr, list[Any], list[bool]]:
    """What gives the wanted outputs: its jaxpr, its constants, and which inputs it reads."""
    jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, list(wanted), instantiate=False)
    read = set(jaxpr.constvars)
    held = zip(closed.jaxpr.constvars, closed.consts, strict=True)
    return jaxpr, [const for var, const in held if var in read], list(used)


def _key(jaxpr: Jaxpr, consts: Sequence[Any], _: Any) -> str:
    # Text as str() gives it, without the colours that it has on a terminal and in a notebook.
    text = _ADDRESS.sub("0x", jaxpr.pretty_print(use_color=False))
    return content_key((text, consts, list(_hidden(jaxpr))), here=False)


def _hidden(part: Any) -> Iterator[Any]:
    """What the text of a jaxpr does not show, at any depth: arrays, and functions on the host."""
    if isinstance(part, ClosedJaxpr):
        yield from part.consts
        part = part.jaxpr
    if isinstance(part, Jaxpr):
        for equation in part.eqns:
            for name, value in equation.params.items():
                if name == "callback":
                    yield _on_host(value)
                elif isinstance(value, np.ndarray):
                    yield value
                else:
                    yield from _hidden(value)
    elif isinstance(part, tuple | list):
        for one in part:
            yield from _hidden(one)


def _on_host(callback: Any) -> Callable[..., Any]:
    """The user's function of a callback."""
    return getattr(callback, "callback_func", callback)
