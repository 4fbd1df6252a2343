"""The targets that a Task is fitted to, and the check that its loss can use them.

A loss of a prediction (logistic, cross-entropy) is fitted to a table's own target, never to a
standardised one. What a loss needs of its targets is checked on the host, once, before training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jax.interpreters import partial_eval

from thetahat import data as th_data, risk
from thetahat.core import ConfigError, DataError, Task, notify
from thetahat.data import Observations, Rows, Transform
from thetahat.risk import Loss
from thetahat.train.jax._precision import COARSE, refuse_level, refuse_rounding
from thetahat.train.jax._score_range import refuse_probabilities

_PARTS = ("train", "val", "test")
_LOOKED_AT = 1 << 12
"""Targets that are looked at to see whether they are labels."""


def own_targets(task: Task, data: Any) -> Any:
    """Data with the targets that the task's loss takes.

    Raises:  DataError: classes under a loss of numbers.
    """
    loss, transform = risk.resolve_loss(task.loss), data.transform
    if loss.of == risk.RESIDUAL and data.classes is not None and task.residual is None:
        raise DataError(_classes_are_no_numbers(loss, data))
    if not isinstance(transform, Transform):
        return data
    if loss.of == risk.RESIDUAL:
        _say_if_two_labels(task, data)
        _refuse_coarse_metrics(task, data)
        return data.changed(targets=None)
    if data.targets is None:
        return data
    parts = {
        name: Observations(part.x, data.targets[name], part.weight)
        for name in _PARTS
        if (part := getattr(data, name)) is not None
    }
    return data.changed(**parts, transform=transform.of_scores(), targets=None)


def _say_if_two_labels(task: Task, data: Any) -> None:
    """Say that functions of the user's get two labels standardised: the loss takes numbers."""
    own = ["the residual"] * (task.residual is not None)
    own += [f"the metric {n!r}" for n, m in task.metrics.items() if m.kind == "observation"]
    transform, y = data.transform, getattr(data.train, "y", None)
    if not own or not isinstance(transform, Transform) or isinstance(y, Tracer | None):
        return
    if y.ndim > 1:
        return  # several targets
    seen = np.unique(np.asarray(y[:_LOOKED_AT], np.float64))
    y_mean, y_std = (float(np.asarray(v)) for v in (transform.y_mean, transform.y_std))
    if len(seen) != 2 or (y_mean, y_std) == (0, 1):
        return
    low, high = np.round(y_mean + y_std * seen, 5) + 0.0  # no -0
    notify(
        f"target {transform.encoder.target!r} has two values, {low:g} and {high:g}, and is"
        f" standardised: {' and '.join(own)} get {seen[0]:.4g}, {seen[1]:.4g}. For"
        " labels give read_table(..., target_scale=False), or a loss of labels such as"
        " loss='logistic'",
    )


def _refuse_coarse_metrics(task: Task, data: Any) -> None:
    """Check that the Task's dtype holds what varies of a table's target in the target's units: a
    metric of the user's own takes them so, level and all.

    Raises:  DataError: it does not.
    """
    names = [name for name, metric in task.metrics.items() if risk.takes_units(metric)]
    transform = data.transform
    if not names or not isinstance(transform, Transform):
        return
    if not all(map(_there, jax.tree.leaves((transform.y_mean, transform.y_std)))):
        return
    mean, std = (np.asarray(v, np.float64) for v in (transform.y_mean, transform.y_std))
    step = float(np.finfo(task.dtype).eps) * np.abs(mean)
    if np.any(0.3 * step > COARSE * std):
        at = int(np.argmax(step / std))
        level, spread, step = (float(np.ravel(v)[at]) for v in (mean, std, step))
        raise DataError(
            f"the metric {names[0]!r} takes predictions and targets in the units of the target, of"
            f" mean {level:.6g} and standard deviation {spread:.3g}, which {task.dtype} rounds to"
            f" steps of {step:.2g}; subtract the mean from the target, give dtype='float64'"
            " (--dtype float64), or a ready metric such as 'mae'"
        )


def _classes_are_no_numbers(loss: Loss, data: Any) -> str:
    tabular, k = isinstance(data.transform, Transform), len(data.classes)
    where = f"target {data.transform.encoder.target!r}" if tabular else "y"
    fix = 'loss="logistic"' if k == 2 else f'loss="cross_entropy" and a model with out={k}'
    return (
        f"{where} has the classes {th_data.listed(data.classes.labels)}, and the loss"
        f" {loss.name} needs finite numbers: give {fix}, or {'a column of ' * tabular}numbers"
    )


@dataclass(frozen=True)
class Targets:
    """The place of a task's targets, and the loss's conditions on them.

    Args:    loss: the name.   outputs: of the model, under a loss of a prediction.
             of: a part's targets, (N,) or (N, k).
    """

    loss: str
    need: risk.Need
    outputs: int | None
    of: Callable[[Any], Any]

    def check(self, data: Any) -> None:
        """Check that the targets of every part are what the loss needs, unless they are tracers.

        Raises:  DataError: they are not.
        """
        for name in _PARTS:
            part = getattr(data, name)
            if part is None or not all(map(_there, jax.tree.leaves(part))):
                continue
            th_data.weights_of(part)
            y = self.of(part)
            if isinstance(y, (Rows, np.memmap, np.ndarray, jax.Array)):
                y = np.asarray(y) if isinstance(y, jax.Array) else y
                where, hint = _named(data, name, part, y)
                risk.check_targets(
                    self.loss, self.need, where, y, self.outputs, hint, data.named_rows(name)
                )


def _there(leaf: Any) -> bool:
    return th_data.is_concrete(leaf)


def _named(data: Any, name: str, part: Any, y: Any) -> tuple[str, str]:
    """What the targets of a part are called, and how a table's could be declared otherwise."""
    if isinstance(data.transform, Transform):
        encoder = data.transform.encoder
        column = encoder.target
        if encoder.classes is not None:
            coded = f" (0, 1, ... for {th_data.listed(encoder.classes.labels)})"
            return f"target {column!r}{coded}, in the {name} part,", ""
        hint = f"declare its classes with categorical=[{column!r}] (--categorical {column})"
        return f"target {column!r}, in the {name} part,", hint
    for path, leaf in jax.tree_util.tree_flatten_with_path(part)[0]:
        if leaf is y:
            return name + jax.tree_util.keystr(path), ""
    return f"the target that the residual returns, in {name},", ""


def targets_of(task: Task, adapted: Any, data: Any) -> Targets | None:
    """Where a task's targets are, found while it is traced; None where that cannot be known.

    Raises:  ConfigError: scores of a loss of a prediction that are probabilities.
    """
    loss = risk.resolve_loss(task.loss)
    if task.residual is None:
        try:
            risk.inputs_and_target(data.train)
        except ConfigError:
            return None  # an error when the residual is traced
    elif loss.of == risk.RESIDUAL:
        return None
    if loss.of == risk.RESIDUAL:
        return Targets(loss.name, loss.needs, None, _second)
    traced = _traced(task, adapted, data.train)
    if traced is None:
        return None
    closed, tree, outputs = traced
    refuse_probabilities(closed, loss, outputs)
    of = _second if task.residual is None else _computed(closed, tree, task.dtype)
    return None if of is None else Targets(loss.name, loss.needs, outputs, of)


def _second(part: Any) -> Any:
    return risk.inputs_and_target(part)[1]


def _traced(task: Task, adapted: Any, part: Any) -> tuple[ClosedJaxpr, Any, int | None] | None:
    """(score, target) of one observation as a jaxpr of the observation's leaves and params."""
    residual = task.residual

    def pair(z: Any, params: Any) -> Any:
        h = adapted.bind(params, adapted.frozen)
        if residual is not None:
            return residual(h, z)
        x, y = risk.inputs_and_target(z)
        return h(x), y

    one = jax.tree.map(lambda leaf: _row(leaf, task.dtype), part)
    params = jax.tree.map(_shape, adapted.params)
    closed, out = jax.make_jaxpr(pair, return_shape=True)(one, params)
    if not isinstance(out, tuple) or len(out) != 2 or len(jax.tree.leaves(out)) != 2:
        return None  # an error when the residual is traced
    score = out[0].shape
    return closed, jax.tree.structure(one), score[0] if len(score) == 1 else None


def _shape(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf))


def _row(leaf: Any, dtype: str) -> Any:
    kind = leaf.dtype
    if jnp.issubdtype(kind, jnp.floating):
        kind = dtype
    elif not jnp.issubdtype(kind, jax.dtypes.prng_key):
        kind = jax.dtypes.canonicalize_dtype(kind)
    return jax.ShapeDtypeStruct(leaf.shape[1:], kind)


def _computed(closed: ClosedJaxpr, tree: Any, dtype: str) -> Callable[[Any], Any] | None:
    """The target that a residual returns, of a whole part; None where parameters reach it."""
    jaxpr, used = partial_eval.dce_jaxpr(closed.jaxpr, [False, True], instantiate=False)
    leaves = tree.num_leaves
    held = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    read = {v for e in jaxpr.eqns for v in e.invars if not isinstance(v, Literal)}
    read |= {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    consts = {v: c for v, c in held.items() if v in read}
    if any(used[leaves:]) or any(isinstance(c, Tracer) for c in consts.values()):
        return None
    if len(jaxpr.invars) == 1 and not jaxpr.eqns and jaxpr.outvars[0] is jaxpr.invars[0]:
        return lambda part: jax.tree.leaves(part)[used.index(True)]
    if not jaxpr.invars:
        return None
    whole = ClosedJaxpr(jaxpr.replace(constvars=list(consts)), list(consts.values()))

    def of(part: Any) -> Any:
        given = [leaf for leaf, u in zip(jax.tree.leaves(part), used, strict=False) if u]
        if any(isinstance(leaf, (Rows, np.memmap)) for leaf in given):
            return None
        cast = [
            jnp.asarray(leaf, dtype if jnp.issubdtype(leaf.dtype, jnp.floating) else None)
            for leaf in given
        ]
        return np.asarray(jax.jit(jax.vmap(lambda *z: jaxpr_as_fun(whole)(*z)[0]))(*cast))

    return of


def _check_level(staged: Any, data: Any) -> None:
    """Check that the Task's dtype holds the variation of the data that were drawn."""
    dtype = staged.task.dtype
    refuse_rounding(data, dtype, whole=False)
    y = staged.targets.of(data.train)
    if y is not None and len(y) and jnp.issubdtype(y.dtype, jnp.floating):
        refuse_level(y, dtype)


def check_made(staged: Any, drawn: Mapping[int, Any]) -> None:
    """Check that drawn data are what the loss needs, and keep their digits.

    Args:    staged: of the cohort.   drawn: the data of each member.
    Raises:  DataError: they are not. A member whose targets are not finite, among others that are,
             is left to diverge.
    """
    made = staged.owned[: staged.made_data]
    if made and drawn and risk.resolve_loss(staged.task.loss).of == risk.RESIDUAL:
        _say_if_two_labels(staged.task, next(iter(drawn.values())))
        _refuse_coarse_metrics(staged.task, next(iter(drawn.values())))
    if staged.targets is None or not made:
        return
    errors: list[DataError] = []
    members = list(drawn.values())[: None if any(made) else 1]
    for data in members:
        try:
            staged.targets.check(data)
            _check_level(staged, data)
        except DataError as error:
            errors.append(error)
    lasting = [error for error in errors if not isinstance(error, risk.NotFinite)]
    if lasting or (errors and len(errors) == len(members)):
        raise (lasting or errors)[0]
