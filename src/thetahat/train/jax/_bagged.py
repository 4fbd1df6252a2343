"""The average of fitted members: their parameters as one array, and its loss at observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from thetahat import data as th_data, models, risk
from thetahat.core import Task
from thetahat.data import Transform
from thetahat.train._program import GivenTask
from thetahat.train._tables import has_tables, table_columns, whole_columns, with_verdicts
from thetahat.train.jax._by_trace import TracedFunction
from thetahat.train.jax._fitted import FittedMember
from thetahat.train.jax._labels import labelled
from thetahat.train.jax._member import make_member, parts_of
from thetahat.train.jax._precision import cast, precision, refuse_overflow, refuse_rounding
from thetahat.train.jax._predictor import source_of
from thetahat.train.jax._residuals import residuals_of
from thetahat.train.jax._targets import own_targets, targets_of

_AVERAGED = {"logistic": "logistic", "cross_entropy": "softmax"}


def rotated(task: Task, member: Any, of: int) -> Task:
    """Return the Task of one member of a bag: other held-out rows, other initial parameters.

    Labels are coded, and targets checked, before a traced ``member`` hides their values.
    """
    data = task.data if isinstance(task.data, th_data.Data) else th_data.Data(task.data)
    with jax.ensure_compile_time_eval():
        data = own_targets(task, data)
        numbers = task.residual is None and risk.resolve_loss(task.loss).of == risk.RESIDUAL
        # A model is adapted, and so drawn, only where its outputs are asked for.
        targets = targets_of(task, None if numbers else models.adapt(task.model, 0), data)
        data = labelled(task, data, None if targets is None else targets.outputs)
        if targets is not None:
            targets.check(data)
        refuse_overflow(data, task.dtype)
        refuse_rounding(data, task.dtype, whole=task.residual is None)
    return replace(task, data=th_data.rotated(data, member, of), seed=task.seed + member)


def average(members: Sequence[FittedMember], data: Any) -> FittedMember:
    """Make the average of members that are of one hypothesis class.

    With the logistic loss and cross-entropy the probabilities are averaged, else the outputs.

    Args:    data: that of the average: no member's held-out rows are its own.
    """
    first = members[0]
    task = first.task
    name = None if task.residual is not None else risk.resolve_loss(task.loss).name
    of = _AVERAGED.get(str(name), "output")
    model = models.Average(task.model, len(members), of)
    trained, frozen = (
        jax.tree.map(lambda *leaves: np.stack(leaves), *(getattr(m, part) for m in members))
        for part in ("trained", "frozen")
    )
    layers = len(jax.tree.leaves((first.trained, first.frozen)))
    whole = replace(task, model=model)
    source = source_of(GivenTask(whole), whole, layers, False)
    predictor = replace(
        first.predictor, source=source, values={}, trained=trained, frozen=frozen, _memo={}
    )
    return FittedMember(lambda: replace(whole, data=data), predictor, data)


def evaluated(
    fitted: FittedMember, part: Any, shares: np.ndarray, x: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Compute loss and prediction at observations, of the average by each row's shares.

    Args:    part: N observations.   shares: (N, members); each row sums to one.
             x: inputs, or None.
    Returns: losses (N,); and h(x) (N, ...) in units of the target, None without ``x``. float64.
    """
    task = fitted.task
    with precision(task.dtype):
        adapted = models.adapt(task.model, 0)
        loss_at = risk.per_observation(task.residual, risk.resolve_loss(task.loss))

        def one(params: Any, z: Any, x: Any, share: Any) -> Any:
            h = partial(adapted.bind(params, fitted.frozen).weighted, share=share)
            return loss_at(h, z), None if x is None else h(x)

        each = TracedFunction(jax.vmap(one, in_axes=(None, 0, 0, 0)))
        given = cast((part, x, shares), task.dtype)
        losses, out = each(fitted.trained, *given)
    if out is not None:
        out = np.asarray(out, np.float64)
        transform = fitted.data.transform
        out = out if transform is None else np.asarray(transform.decode(out))
    return np.asarray(losses, np.float64), out


def tables(fitted: FittedMember) -> dict[str, dict[str, np.ndarray]]:
    """Evaluate the tables of its Task, by name and column."""
    if not has_tables(fitted.task):
        return {}
    with precision(fitted.task.dtype):
        h = models.adapt(fitted.task.model, 0).bind(fitted.trained, fitted.frozen)
        transform = fitted.data.transform
        if isinstance(transform, Transform):
            h = models.InUnits(None, transform, fitted.task.dtype, h)
        found = table_columns(fitted.task, h, residuals_of(fitted.task, h))
    return with_verdicts({name: whole_columns(columns) for name, columns in found.items()})


def metrics(fitted: FittedMember) -> Mapping[str, float]:
    """Compute the metrics of the parts of its data, by column."""
    if not fitted.task.metrics:
        return {}
    with precision(fitted.task.dtype):
        adapted, units = models.adapt(fitted.task.model, 0), fitted.data.transform
        member = make_member(fitted.task, fitted.frozen, adapted, units)
        parts = {k: cast(v, fitted.task.dtype) for k, v in parts_of(fitted.data).items()}
        found = TracedFunction(member.final)(fitted.trained, parts)
    risks = {f"{part}_risk" for part in parts}
    return {name: float(value) for name, value in found.items() if name not in risks}
