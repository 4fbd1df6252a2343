"""The mathematics of a fit, as keys: the jaxprs of one member's parts, traced and not compiled.

A checkpoint compares them by part. Their fingerprint, with sizes and settings, names a compiled
program: a fit of the same mathematics reuses it. Epochs and walls of time are no part of either.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr

from thetahat import models, optim, risk
from thetahat.core.metric import read_metrics
from thetahat.data import n_observations, weights_of
from thetahat.train._program import Build, GivenTask, Hyper
from thetahat.train._stopping import Record, less_is_better, sort_rules
from thetahat.train.jax import _epoch, _member
from thetahat.train.jax._compiled import MOST_CONSTANTS
from thetahat.train.jax._jaxpr_key import (
    CustomDerivative,
    JaxprKey,
    NotComparable,
    digest,
    reduced,
)
from thetahat.train.jax._member import Member, make_member, parts_of
from thetahat.train.jax._padding import Padding
from thetahat.train.jax._plan import MemberPlan, make_plan
from thetahat.train.jax._precision import ON_DISK, precision
from thetahat.train.jax._redraw import drawn_points
from thetahat.train.jax._settings import place_of, settings
from thetahat.train.jax._staging import Staged

_NOT_RESUMED = ("rules", "rate", "step", "order", "weights")
"""Parts that a checkpoint does not compare: rules may change, and a step follows from the rest."""

_named: dict[bytes, str] = {}
"""Fingerprints of experiments of ours that have an attribute ``mathematics``: all that their code
closes over, but for the data, as a text. Of two with equal texts and facts, one is traced."""


class Mathematics:
    """The jaxprs of one member's loss, penalty, metrics, optimizer and stopping rules.

    They are traced for one observation, without derivatives, batches and loops, which follow from
    them; where they do not (a user's rule of a derivative, a search along the objective), the whole
    step is traced instead.
    """

    def __init__(self, build: Build, hyper: Hyper, staged: Staged) -> None:
        self._build, self._hyper, self._staged = build, hyper, staged

    def keys(self) -> dict[str, str]:
        """A key of each part, for a checkpoint."""
        names, closed, _ = self._pieces
        wanted = [name for name in dict.fromkeys(names) if name not in _NOT_RESUMED]
        pieces = {"first state": (self._staged.closed, self._kept)}
        pieces |= {name: (closed, [n == name for n in names]) for name in wanted}
        return {name: _key(*reduced(*piece)) for name, piece in pieces.items()}

    def used(self) -> frozenset[str]:
        """The traced parameters that a number depends on beside those of the stopping rules."""
        hyper = self._hyper
        names, closed, _ = self._trace(True)
        wanted = [name != "rules" for name in names]
        found = zip(sorted(hyper.member(0)), reduced(closed, wanted)[2], strict=False)
        order = [*sorted(hyper.own), *sorted(hyper.common)]
        first = zip(order, reduced(self._staged.closed, self._kept)[2], strict=False)
        return frozenset(name for name, there in (*found, *first) if there)

    def fingerprint(self, size: int, mode: str, padding: Padding | None) -> str:
        """The key of all that the program of a chunk, and of an evaluation, depends on.

        Raises:  NotComparable: something that cannot be compared; it says what.
        """
        if self._staged.streamed:
            raise NotComparable("data on disk")
        named = getattr(getattr(self._build, "experiment", None), "mathematics", None)
        if named is None:
            return self._traced(size, mode, padding)
        key = digest([named, size, mode, *self.facts(padding), *settings()])
        if key not in _named:
            _named[key] = self._traced(size, mode, padding)
        return _named[key]

    def _traced(self, size: int, mode: str, padding: Padding | None) -> str:
        """The fingerprint by a trace."""
        with precision(self._staged.task.dtype):
            names, closed, whole = self._pieces if padding is None else self._trace(False, padding)
            try:
                key = self._strict(names, closed, whole)
            except CustomDerivative:
                names, closed, whole = self._trace(True, padding)
                key = self._strict(names, closed, True)
            return digest([key, names, size, mode, *self.facts(padding), settings()]).hex()

    # -- what is traced -------------------------------------------------------------------------

    @cached_property
    def _pieces(self) -> tuple[list[str], Any, bool]:
        return self._trace(False)

    def _trace(self, step: bool, padding: Padding | None = None) -> tuple[list[str], Any, bool]:
        """The names of outputs, their jaxpr, and whether it has the whole step.

        The traced parameters are its first inputs, by their names.
        """
        staged, hyper = self._staged, self._hyper
        plan = staged.plan if padding is None else padding.plan
        values = {name: np.asarray(value) for name, value in hyper.member(0).items()}
        shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in staged.closed.out_avals]
        state, made = jax.tree.unflatten(staged.out_tree, shapes)
        given = tuple(_shape(leaf, staged.task.dtype) for leaf in staged.given)
        if padding is not None:
            state, made, given = padding.shapes(state, made, given)
        data = staged.inputs(made, given)[0]
        one = jax.ShapeDtypeStruct((), np.dtype(staged.task.dtype))
        free = _Free(
            z=jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), data.train),
            batch=jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((plan.batch, *a.shape[1:]), a.dtype),
                data.train,
            ),
            value=one,
            record=[one] * (3 + 3 * len(staged.task.metrics)),
        )
        names: list[str] = []
        deep: list[bool] = []

        def pieces(values: Any, made: Any, given: Any, state: Any, free: Any) -> list[Any]:
            task = self._build(values)
            data, frozen = staged.inputs(made, given)
            # An experiment makes another model; that of a given Task was adapted before.
            known = isinstance(self._build, GivenTask)
            adapted = None if padding is None else padding.adapted(task.model)
            if adapted is None:
                adapted = staged.adapted if known else models.adapt(task.model, task.seed)
            member = make_member(task, frozen, adapted, data.transform)
            found, searches = _parts(member, data, state, free)
            if step or searches:
                found["step"] = _step(member, plan, state, free.batch)
            # Each member's own order may depend on any seed.
            order = make_plan(task, data.train).order_seed
            found["order"] = order if isinstance(order, Tracer) else ()
            deep.append(step or searches)
            flat = [(name, leaf) for name, part in found.items() for leaf in jax.tree.leaves(part)]
            names[:] = [name for name, _ in flat]
            return [leaf for _, leaf in flat]

        with precision(staged.task.dtype):
            closed = jax.make_jaxpr(pieces)(values, made, given, state, free)
        return names, closed, deep[0]

    @property
    def _kept(self) -> list[bool]:
        """Of each output of the first state: whether it belongs to no stopping rule."""
        staged = self._staged
        n = len(staged.closed.out_avals)
        tree = jax.tree.unflatten(staged.out_tree, range(n))
        paths, _ = jax.tree_util.tree_flatten_with_path(tree)
        return [all(getattr(s, "name", "") != "stoppers" for s in path[:2]) for path, _ in paths]

    # -- what names a program -------------------------------------------------------------------

    def _strict(self, names: Sequence[str], closed: ClosedJaxpr, whole: bool) -> str:
        """The key of the pieces.

        Args:    whole: whether they have the step, with all derivatives that it takes.
        """
        key = JaxprKey(strict=True, differentiated=not whole)
        # Without what draws the first state: it is an argument.
        jaxpr, consts, read = reduced(closed, [True] * len(names))
        found = key.of(ClosedJaxpr(jaxpr, consts)) + "".join("01"[there] for there in read)
        if key.const_bytes > MOST_CONSTANTS:
            raise NotComparable(f"constants of {key.const_bytes >> 20} MB; give them as data")
        return found

    def facts(self, padding: Padding | None) -> list[Any]:
        """What is static about the members: structures, sizes, names and choices."""
        staged, task, plan = self._staged, self._staged.task, self._staged.plan
        loss, rules = risk.resolve_loss(task.loss), sort_rules(task.stopping)
        metrics = read_metrics(task.metrics)
        given = [
            (str(g.dtype), getattr(g, "weak_type", False), place_of(g))
            for g in map(_array, staged.given)
        ]
        shapes = [jax.ShapeDtypeStruct(_array(g).shape, np.bool_) for g in staged.given]
        avals = staged.closed.out_avals
        if padding is not None:
            state, made = jax.tree.unflatten(staged.out_tree, avals)
            plan, (state, made, shapes) = padding.plan, padding.shapes(state, made, shapes)
            avals = jax.tree.leaves((state, made))
        avals = [(a.shape, str(a.dtype), getattr(a, "weak_type", False)) for a in avals]
        state, made = jax.tree.unflatten(staged.out_tree, range(len(avals)))
        data, frozen = staged.inputs(made, shapes)
        return [
            *("given", given, "made", avals, staged.owned, staged.slots, staged.made_data),
            *("tree", _paths((state, data, frozen))),
            padding is not None,
            *("traced", sorted(self._hyper.own), sorted(self._hyper.common)),
            *("plan", plan.n, plan.batch, plan.n_batches, plan.sampling, plan.weighted),
            *(plan.random, plan.shared_order, plan.full),
            *("task", task.dtype, task.best_by, staged.best_mode, loss.name, loss.of),
            *(rules.bound, len(rules.inside), task.penalty is None, task.residual is None),
            None if task.redraw is None else task.redraw.every,
            [(name, m.kind, m.mode, m.function if m.kind == "norm" else "")
             for name, m in metrics.items()],
            *("engine", _member.EVAL_BLOCK, _member.UNMOVED_AFTER, _epoch.MAX_CHUNK, _epoch.ORDERS),
            *(_epoch.GATHER_AT_ONCE, _member.EVAL_AT_ONCE),
        ]  # fmt: skip


class _Free(NamedTuple):
    """Inputs of the pieces that stand for numbers of training.

    Args:    z: one observation.   batch: of observations.   value: of the objective.
             record: the numbers of an epoch's record.
    """

    z: Any
    batch: Any
    value: Any
    record: list[Any]


def _parts(member: Member, data: Any, state: Any, free: _Free) -> tuple[dict[str, Any], bool]:
    """What the user's functions give, by part; and whether the optimizer asks for the objective."""
    task, z = member.task, free.z
    hypotheses = _hypotheses(member, state)
    found: dict[str, Any] = {"loss": [member.loss_at(h, z) for h in hypotheses]}
    if task.penalty is not None:
        found["penalty"] = task.penalty(state.params)
    if member.metrics:
        found["metrics"] = _metrics(member, data, state, z, hypotheses)
    found["optimizer"], searches = _update(member, state, free)
    columns = member.columns(data, state)
    record = Record(dict(zip(columns, free.record, strict=False)), member.metrics)
    rules = zip(member.rules.inside, state.stoppers, strict=True)
    ended = optim.end_epoch(state.opt_state, lambda n: less_is_better(record, n, "plateau"))
    found["rules"] = [rule.update(before, record) for rule, before in rules], ended
    found["rate"] = optim.learning_rate(member.optimizer, state.opt_state)
    if task.redraw is not None:
        found["redraw"] = drawn_points(member, state, jnp.int32(1))
    found["weights"] = {name: weights_of(part) for name, part in parts_of(data).items()}
    return found, searches


def _hypotheses(member: Member, state: Any) -> list[Any]:
    """The hypothesis as it trains, and as it is evaluated where that differs."""
    evaluated = member.adapted.bind(state.params, member.frozen)
    if not member.adapted.stochastic:
        return [evaluated]
    key = jax.random.wrap_key_data(state.key)
    return [member.adapted.bind(state.params, member.frozen, key=key, train=True), evaluated]


def _metrics(member: Member, data: Any, state: Any, z: Any, hypotheses: Sequence[Any]) -> Any:
    """What the metrics give: of parameters, of one observation, and of whole parts."""
    scores = member.scores
    found = [scores.whole(state.params)]
    for name, metric in scores.of_observations.items():
        found += [risk.metric_of(name, metric, h, z) for h in hypotheses]
    if not scores.of_parts:
        return found
    pair_at, plan = scores.pair_at, make_plan(member.task, data.train)
    assert pair_at is not None
    pairs = [pair_at(h, z) for h in hypotheses]
    sizes = {plan.n + plan.pad, *(n_observations(part) for part in parts_of(data).values())}
    for n in sorted(sizes):
        weight = jnp.ones((n,), scores.dtype)
        whole = jax.tree.map(lambda a, n=n: jnp.broadcast_to(a, (n, *a.shape)), pairs[0])
        found.append(scores.of_part((*whole, weight)))
    return [*found, pairs]


def _update(member: Member, state: Any, free: _Free) -> tuple[Any, bool]:
    """What the optimizer makes of a gradient, here of a linear objective; and whether it asked for
    the objective or its residuals."""
    asked: list[str] = []

    def linear(params: Any) -> Any:
        asked.append("value")
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))

    def residuals() -> Any:
        return member.residual_fn(free.batch, None, 1.0 / n_observations(free.batch))

    updates = member.optimizer.update(
        state.params,
        state.opt_state,
        state.params,
        value=free.value,
        grad=state.params,
        value_fn=linear,
        residual_fn=None if member.residual_at is None else _Asked(residuals, asked),
    )
    return updates, bool(asked)


@dataclass(frozen=True)
class _Asked:
    """The residuals of a batch, which notes that it was asked for them."""

    make: Callable[[], Any]
    asked: list[str]

    def __call__(self, params: Any) -> Any:
        self.asked.append("residuals")
        return self.make()(params)

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.make(), name)


def _step(member: Member, plan: MemberPlan, state: Any, batch: Any) -> Any:
    """A whole step of one batch, with the derivatives that it takes."""
    zero = jnp.zeros((), member.task.dtype)
    carry = (state.params, state.opt_state, zero, member.scores.zero())
    key = jax.random.wrap_key_data(state.key) if member.adapted.stochastic else None
    weight = weights_of(batch)
    weight = None if weight is None else weight.astype(member.task.dtype)
    scale, share = 1.0 / plan.batch, 1.0
    if plan.pad:
        real = jnp.ones((plan.batch,), bool)
        weight = real.astype(member.task.dtype) * (1 if weight is None else weight)
        share = jnp.sum(real) * scale
    return member.step(carry, batch, weight, share, scale, key)


@contextmanager
def unchanged_generators() -> Iterator[None]:
    """Undo draws from the global generators of Python and NumPy.

    Raises:  NotComparable: there were some.
    """
    ours: Any = np.random.get_state()
    before = random.getstate(), ours[1].tobytes(), ours[2:]
    try:
        yield
    finally:
        theirs: Any = np.random.get_state()
        drawn = before != (random.getstate(), theirs[1].tobytes(), theirs[2:])
        if drawn:
            random.setstate(before[0])
            np.random.set_state(ours)
    if drawn:
        raise NotComparable("a function draws random numbers on the host while it is traced")


def _array(leaf: Any) -> Any:
    """A leaf with a dtype and a shape; on disk, both are known."""
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def _paths(tree: Any) -> list[Any]:
    """The leaves of a tree, each with the names that lead to it."""
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path), repr(leaf)) for path, leaf in found]


def _shape(leaf: Any, dtype: str) -> Any:
    kind = np.dtype(leaf.dtype) if isinstance(leaf, ON_DISK) else leaf.dtype
    if isinstance(leaf, ON_DISK) and kind.kind == "f":
        kind = np.dtype(dtype)
    return jax.ShapeDtypeStruct(leaf.shape, kind)


def _key(jaxpr: Jaxpr, consts: Sequence[Any], _: Any) -> str:
    return JaxprKey(strict=False).of(ClosedJaxpr(jaxpr, consts))
