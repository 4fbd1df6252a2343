"""Staging: what a Task is made of, found by one abstract trace of the experiment.

The trace tells which arrays depend on traced parameters (they are made on the device, per member or
shared) and which are the user's own (they are passed in, never compiled in).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core as jax_core
from jax.extend.core import ClosedJaxpr

from thetahat import data as th_data, models, optim, risk
from thetahat.core import ConfigError, Mode, Task, notify
from thetahat.core.metric import directions_of, read_metrics
from thetahat.core.start import Start
from thetahat.train._inputs import inputs_names
from thetahat.train._program import Build, Hyper, OtherBackend, backend_of
from thetahat.train._start import read_start
from thetahat.train._stopping import check_rules, sort_rules
from thetahat.train.jax._jaxpr_key import without_dead_code
from thetahat.train.jax._labels import coded_targets
from thetahat.train.jax._member import check_batches, choosing_mode, parts_of
from thetahat.train.jax._plan import MemberPlan, make_plan
from thetahat.train.jax._precision import (
    ON_DISK,
    cast,
    cast_leaf,
    precision,
    refuse_overflow,
    refuse_rounding,
    refuse_uncentred,
)
from thetahat.train.jax._redraw import first_points
from thetahat.train.jax._state import TrainState, first_state
from thetahat.train.jax._targets import Targets
from thetahat.train.jax._text import text_needs_values


@dataclass(frozen=True)
class Staged:
    """An experiment, traced once and not yet compiled."""

    task: Task
    """The Task as the trace saw it: its arrays may be tracers; use its static fields only."""
    adapted: Any
    """Its model, adapted: its arrays are tracers; use its functions only."""
    plan: MemberPlan
    n_params: int
    closed: Any
    """The jaxpr of ``init``: traced parameters and a start's arrays to (state, made arrays)."""
    out_tree: Any
    owned: tuple[bool, ...]
    """Of each made array: whether it differs between members."""
    made_data: int
    """How many of the made arrays are data: they come first, the frozen ones after them."""
    given: tuple[Any, ...]
    """The user's own arrays."""
    slots: tuple[bool, ...]
    """Of each leaf of (data, frozen): True if made, False if given."""
    tree: Any
    """The structure of (data, frozen)."""
    targets: Targets | None
    """What the loss needs of the data; None where nothing can be checked."""
    rows: Any
    """The rows of each part in what was split; None where a traced seed chose them."""
    largest: Mapping[str, int] | None
    """The rows of the largest parts, where the data are one of several that are fitted alike."""
    transform: Any
    """A table's transform in double precision, where it was not made by traced parameters."""
    best_mode: Mode | None
    """The direction of what chooses the best state; None where the last state counts."""
    order: ClosedJaxpr | None = None
    """The jaxpr from traced parameters to the seed of a member's own order; None where all share
    one."""

    @property
    def start(self) -> Mapping[str, Any] | None:
        """The arrays that the members start from, by path: arguments of their first state."""
        return None if self.task.start is None else self.task.start.leaves

    @property
    def streamed(self) -> bool:
        """Whether any of the user's arrays stays on disk."""
        return any(isinstance(leaf, ON_DISK) for leaf in self.given)

    @property
    def numbers(self) -> int:
        """How many numbers the data and frozen arrays of one member are."""
        made = self.closed.out_avals[len(self.closed.out_avals) - len(self.owned) :]
        return sum(math.prod(array.shape) for array in (*made, *self.given))

    @property
    def member_bytes(self) -> int:
        """Bytes of one member's own arrays: its state, and of the made arrays those it owns."""
        avals = self.closed.out_avals
        own = [True] * (len(avals) - len(self.owned)) + list(self.owned)
        return sum(
            math.prod(a.shape) * a.dtype.itemsize for a, o in zip(avals, own, strict=True) if o
        )

    def inputs(self, made: Any, given: Any) -> Any:
        """(data, frozen) from their made and given leaves."""
        made, given = iter(made), iter(given)
        return jax.tree.unflatten(self.tree, [next(made) if m else next(given) for m in self.slots])


def stage(build: Build, hyper: Hyper) -> Staged:
    """Trace ``build`` abstractly, in the precision that its Task asks for.

    Raises:  JAX's concretization errors, where Python had to know a traced value.
    """
    staged = _stage(build, hyper, "float32", None)
    start = read_start(staged.task.start)
    if staged.task.dtype == "float32" and start is None:
        return staged
    return _stage(build, hyper, staged.task.dtype, start)


def _stage(build: Build, hyper: Hyper, dtype: str, start: Start | None) -> Staged:
    """Trace once. What the Task asks for (precision, a start) is known after the first trace."""
    seen: dict[str, Any] = {}

    def final(task: Task) -> bool:
        return task.dtype == dtype and (task.start is None) == (start is None)

    def init(own: Any, shared: Any) -> Any:
        common, leaves = shared
        task = _built(build, {**own, **common})
        adapted = models.adapt(task.model, task.seed)
        data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
        if final(task):
            seen["targets"], data = coded_targets(task, adapted, data)
            if start is not None:
                adapted, data = _started(start, leaves, task, adapted, data)
            _refuse_coarse(task, data, dtype)
        transform, data = _apart(data, task)
        leaves, tree = jax.tree.flatten((cast(data, dtype), cast(adapted.frozen, dtype)))
        slots = tuple(isinstance(leaf, Tracer) for leaf in leaves)
        params = jax.tree.map(lambda p: jnp.asarray(cast_leaf(p, dtype)), adapted.params)
        state = _first(task, params, data, transform)
        made_data = sum(slots[: len(jax.tree.leaves(data))])
        seen.update(task=task, data=data, leaves=leaves, tree=tree, slots=slots, params=params)
        seen.update(made_data=made_data, transform=transform, rows=data.rows, adapted=adapted)
        made = [a for a, m in zip(leaves, slots, strict=True) if m]
        return (cast(state, dtype), made), _own_order_seed(make_plan(task, data.train))

    with precision(dtype):
        shared = (dict(hyper.common), None if start is None else dict(start.leaves))
        example = ({k: v[0] for k, v in hyper.own.items()}, shared)
        closed, (shapes, order) = jax.make_jaxpr(init, return_shape=True)(*example)
    closed, order = _split(closed, len(closed.out_avals) - len(order))
    last, task = final(seen["task"]), replace(seen["task"], start=start or seen["task"].start)
    if seen.get("targets") is not None:
        with precision(dtype):
            seen["targets"].check(seen["data"].changed(transform=seen["transform"]))
    plan = make_plan(task, seen["data"].train)
    check_batches(task, plan)
    if last:
        _say_if_larger(task, plan)  # else it is staged once more
    n_params = sum(int(np.prod(p.shape)) for p in jax.tree.leaves(seen["params"]))
    if n_params == 0:
        raise ConfigError("the model has no trainable parameters; check what th.trainable selects")
    reach = _reached(closed.jaxpr, len(hyper.own))
    same = ("adapted", "made_data", "slots", "tree", "rows", "transform")
    return Staged(
        **{name: seen[name] for name in same},
        task=task,
        plan=plan,
        n_params=n_params,
        closed=closed,
        out_tree=jax.tree.structure(shapes),
        owned=tuple(reach[len(jax.tree.leaves(shapes[0])) :]),
        given=tuple(a for a, m in zip(seen["leaves"], seen["slots"], strict=True) if not m),
        best_mode=choosing_mode(task, seen["data"]),
        targets=seen.get("targets"),
        largest=seen["data"].largest,
        order=order,
    )


def padded_state(build: Build, hyper: Hyper, dtype: str, d: int, real: int) -> ClosedJaxpr:
    """Trace the first state of a Task whose model gets ``d`` inputs, of which ``real`` are real.

    Returns: the jaxpr from the traced parameters, and ``real`` after them, to the leaves of the
             state: the real ones are those of ``stage``.
    """

    def init(own: Any, shared: Any) -> Any:
        common, real = shared
        task = _built(build, {**own, **common})
        data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
        drawn = models.adapt(models.Padded(task.model, d, real), task.seed).params
        transform, data = _apart(data, task)
        params = jax.tree.map(lambda p: jnp.asarray(cast_leaf(p, dtype)), drawn)
        return jax.tree.leaves(cast(_first(task, params, data, transform), dtype))

    with precision(dtype):
        example = {k: v[0] for k, v in hyper.own.items()}, (dict(hyper.common), np.int32(real))
        return jax.make_jaxpr(init)(*example)


def _own_order_seed(plan: MemberPlan) -> list[Any]:
    """The seed of a member's own order; nothing where members share one."""
    return [plan.order_seed] if plan.random and not plan.shared_order else []


def _split(closed: ClosedJaxpr, n: int) -> tuple[ClosedJaxpr, ClosedJaxpr | None]:
    """The first ``n`` outputs of a jaxpr, and its others."""
    outputs = len(closed.out_avals)
    if n == outputs:
        return closed, None
    first, others = (
        without_dead_code(closed.jaxpr, [(k < n) is one for k in range(outputs)], instantiate=True)
        for one in (True, False)
    )
    return ClosedJaxpr(first[0], closed.consts), ClosedJaxpr(others[0], closed.consts)


def _refuse_coarse(task: Task, data: Any, dtype: str) -> None:
    """Refuse numbers that this precision cannot hold, or that it rounds too coarsely."""
    refuse_overflow(data, dtype)
    refuse_rounding(data, dtype, whole=task.residual is None)
    if _solves_with_inputs(task):
        refuse_uncentred(data, dtype)


def _started(start: Start, leaves: Any, task: Task, adapted: Any, data: Any) -> tuple[Any, Any]:
    """The adapted model at fitted parameters, and the data in the units that they are in."""
    models.check_same_function(start.model, task.model)
    labels = risk.resolve_loss(task.loss).of != risk.RESIDUAL
    if labels:
        th_data.check_same_classes(start.classes, data.classes)
    th_data.check_same_columns(start.columns, inputs_names(data))
    data = th_data.in_units_of(data, start.transform, labels=labels)
    return models.started(adapted, leaves), data


def _first(task: Task, params: Any, data: Any, transform: Any) -> TrainState:
    """The state before the first epoch, once what is watched is known to be there."""
    rules = sort_rules(task.stopping)
    recorded = [part for part in parts_of(data) if part != "test"]
    check_rules(rules, directions_of(task.metrics, recorded), task.metrics)
    began = optim.resolve(task.optimizer).init(params)
    _refuse_parameters_of_its_own(began)
    return first_state(
        params,
        began,
        tuple(rule.init() for rule in rules.inside),
        jax.random.key_data(jax.random.key(task.seed)),
        best_mode=choosing_mode(task, data),
        points=first_points(task, data, transform),
    )


_OWN_PARAMETERS = {
    "LookaheadState": "optax.lookahead trains a pair of parameters (fast and slow)",
    "ScheduleFreeState": "optax's schedule-free optimizers are judged at other parameters than"
    " those that they train",
}


def _refuse_parameters_of_its_own(state: Any) -> None:
    """Refuse an optimizer whose numbers would be those of parameters that it is not judged at.

    Raises:  ConfigError.
    """
    found = _OWN_PARAMETERS.get(type(state).__name__)
    if found is not None:
        raise ConfigError(f"{found}, which thetahat cannot do; take its inner optimizer")
    children = state.values() if isinstance(state, Mapping) else state
    if isinstance(state, (tuple, list, Mapping)):
        for child in children:
            _refuse_parameters_of_its_own(child)


def _apart(data: Any, task: Task) -> tuple[Any, Any]:
    """A transform that nothing traced has made, and the data without it: it is for the host.

    Where metrics are computed in the target's units, its mean and deviation stay with the data.
    """
    transform = data.transform
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(transform)):
        return None, data
    units = None
    parts = any(metric.kind == "part" for metric in read_metrics(task.metrics).values())
    if parts and isinstance(transform, th_data.Transform):
        units = th_data.TargetUnits(np.asarray(transform.y_mean), np.asarray(transform.y_std))
    return transform, data.changed(transform=units)


def _solves_with_inputs(task: Task) -> bool:
    """Whether the inputs go into a model of our own (any other may centre them), and an optimizer
    solves equations in its curvature."""
    own = (models.Linear, models.Polynomial, models.MLP)
    plain = task.residual is None and isinstance(task.model, own)
    return plain and optim.wants_full_batch(optim.resolve(task.optimizer))


def _say_if_larger(task: Task, plan: MemberPlan) -> None:
    """Say that a batch is larger than the data."""
    if task.batch_size is not None and task.batch_size > plan.n:
        epoch = "full batch" if plan.full else f"batch of {plan.n} draws with replacement"
        notify(
            f"batch_size={task.batch_size} is larger than the {plan.n} training observations:"
            f" every epoch is one {epoch}",
        )


def _built(build: Build, values: Mapping[str, Any]) -> Task:
    try:
        with text_needs_values():
            task = build(values)
    except ValueError as error:
        if "Invalid rng value" not in str(error):
            raise
        raise ConfigError(
            "nnx.Rngs takes an int or a key, and a th.Seed is traced; write"
            " nnx.Rngs(jax.random.key(seed)), so that many seeds train as one program"
        ) from error
    if not isinstance(task, Task):
        raise ConfigError(
            f"an experiment must return a th.Task; got {type(task).__name__}."
            " End it with: return th.Task(model=..., data=...)"
        )
    task = risk.plain_task(task)
    other = backend_of(task)
    if other is not None:
        if task.start is not None:
            raise ConfigError(
                f"start={task.start}: the backend of {type(task.model).__name__} does not start"
                " from fitted parameters; leave start away"
            )
        raise OtherBackend(other)
    return task


def _reached(jaxpr: Any, n_own: int) -> list[bool]:
    """Of each output: whether it depends on the first ``n_own`` inputs (equation by equation)."""
    touched = set(jaxpr.invars[:n_own])
    for eqn in jaxpr.eqns:
        if any(not isinstance(v, jax_core.Literal) and v in touched for v in eqn.invars):
            touched.update(eqn.outvars)
    return [not isinstance(v, jax_core.Literal) and v in touched for v in jaxpr.outvars]
