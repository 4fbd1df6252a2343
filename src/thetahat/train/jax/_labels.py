"""Classes of a task's targets: numbers that are labels are coded once, before training.

Under the logistic loss and cross-entropy, y is a class. Labels 0..k-1 stay as they are; k other
whole numbers are coded by size, and ``Result.predict`` gives them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from thetahat import data as th_data, risk
from thetahat.core import DataError, Task, notify
from thetahat.core.metric import BY_PART
from thetahat.data import Classes, NamedRows, Transform, check_levels
from thetahat.train.jax._precision import ON_DISK
from thetahat.train.jax._targets import Targets, own_targets, targets_of

_PARTS = ("train", "val", "test")


def coded_targets(task: Task, adapted: Any, data: Any) -> tuple[Targets | None, Any]:
    """Return the place of a task's targets, and data with the targets that its loss takes.

    Raises:  DataError: classes under a loss of numbers; or as ``labelled``.
    """
    data = own_targets(task, data)
    targets = targets_of(task, adapted, data)
    return targets, labelled(task, data, None if targets is None else targets.outputs)


_IGNORED = -100
"""The class that losses of PyTorch leave out by default."""


def labelled(task: Task, data: Any, outputs: int | None) -> Any:
    """Return data whose y are the classes 0..k-1, and that know the labels.

    Data of a loss of numbers, or of a residual of the user's own, stay as they are.

    Args:    outputs: of the model; None: one score.
    Raises:  DataError: another number of classes than of outputs, a single class, or a label that
             the training part lacks.
    """
    loss = risk.resolve_loss(task.loss)
    k = 2 if loss.needs is risk.BINARY else outputs
    if task.residual is not None or loss.needs not in (risk.BINARY, risk.CLASSES) or k is None:
        return data
    there = {name: part for name in _PARTS if (part := getattr(data, name)) is not None}
    y = {name: risk.inputs_and_target(part)[1] for name, part in there.items()}
    known = data.classes
    if known is not None and len(known) != k:
        raise DataError(_mismatch(_where(data), list(known.labels), k, loss))
    if any(isinstance(values, Tracer) or len(values.shape) != 1 for values in y.values()):
        if any(len(values.shape) != 1 for values in y.values()):
            return data.changed(classes=None)  # a row of probabilities is no class
        return data.changed(classes=known) if known else _traced(data, there, y, k)
    if any(isinstance(values, ON_DISK) for values in y.values()):
        return data.changed(classes=known or _plain(data, y, k))
    y = {name: np.asarray(values) for name, values in y.items()}
    if known is None and risk.is_torch_loss(task.loss):
        _refuse_ignored(y)
    if known is None:
        found = _found(data, y, k) if all(map(_whole, y.values())) else None
        if found is None:
            return data  # refused by the values of a part
        known, y = found
        if any(y[name] is not risk.inputs_and_target(part)[1] for name, part in there.items()):
            changed = {name: th_data.with_y(part, y[name]) for name, part in there.items()}
            data = data.changed(**changed)
            _say_codes(task, _where(data), known)
    _check_parts(data, y, known)
    return data.changed(classes=known)


def _refuse_ignored(y: Mapping[str, np.ndarray]) -> None:
    """Refuse the class that losses of PyTorch leave out: it would be a label like any other.

    Raises:  DataError.
    """
    for name, values in y.items():
        if (n := int((values == _IGNORED).sum())) > 0:
            raise DataError(
                f"data.{name} has {n} targets of {_IGNORED}, PyTorch's ignore_index, which a mean"
                " over observations cannot leave out; drop these observations"
            )


def _found(
    data: Any, y: Mapping[str, np.ndarray], k: int
) -> tuple[Classes, dict[str, np.ndarray]] | None:
    """Find the k classes of whole numbers, and code labels that are not 0..k-1."""
    low = min(values.min() for values in y.values())
    high = max(values.max() for values in y.values())
    if low == high:
        raise DataError(
            f"{_where(data)} has the single class {low.item()}; there is nothing to estimate"
        )
    if isinstance(data.transform, Transform) and data.transform.encoder.dtype == "int64":
        check_levels(_where(data), {int(low), int(high)})  # a table's columns are doubles
    if low >= 0 and high < k:
        return _plain(data, y, k), dict(y)
    seen = np.unique(np.concatenate([np.unique(values) for values in y.values()]))
    if len(seen) != k:
        return None
    classes = Classes(tuple(seen.astype(_dtype(data, y)).tolist()), _dtype(data, y))
    return classes, {n: np.searchsorted(seen, v).astype(np.int32) for n, v in y.items()}


def _traced(data: Any, there: Mapping[str, Any], y: Mapping[str, Any], k: int) -> Any:
    """Return data of traced y: labels that the split has seen are coded; others are 0..k-1."""
    levels = data.levels
    inside = levels is not None and levels.labels[0] >= 0 and levels.labels[-1] < k
    if levels is None or inside or len(levels) != k:
        return data.changed(classes=_plain(data, y, k))  # others are refused later
    sorted_ = {n: jnp.asarray(levels.array, values.dtype) for n, values in y.items()}
    codes = {n: jnp.searchsorted(sorted_[n], v).astype(jnp.int32) for n, v in y.items()}
    changed = {name: th_data.with_y(part, codes[name]) for name, part in there.items()}
    dtype = _dtype(data, y)
    known = Classes(tuple(np.array(levels.labels, dtype).tolist()), dtype)
    return data.changed(**changed, classes=known)


def _plain(data: Any, y: Mapping[str, Any], k: int) -> Classes:
    """Return the classes 0..k-1, in the type of the target."""
    labels = np.arange(k).astype(_dtype(data, y))
    return Classes(tuple(labels.tolist()), str(labels.dtype))


def _dtype(data: Any, y: Mapping[str, Any]) -> str:
    if isinstance(data.transform, Transform):
        return data.transform.encoder.dtype
    levels = data.levels
    return str(np.dtype(next(iter(y.values())).dtype)) if levels is None else levels.dtype


def _whole(values: np.ndarray) -> bool:
    if values.dtype.kind in "iub":
        return True
    if values.dtype.kind != "f":
        return False
    return bool(np.all(np.isfinite(values) & (values == np.floor(values))))


def _where(data: Any) -> str:
    tabular = isinstance(data.transform, Transform)
    return f"target {data.transform.encoder.target!r}" if tabular else "y"


def _mismatch(where: str, labels: list[Any], k: int, loss: Any) -> str:
    n = len(labels)
    found = f"{where} has {n} classes ({th_data.listed(labels)})"
    if loss.needs is risk.BINARY:
        fix = f'loss="cross_entropy" and a model with out={n}'
        return f"{found} and {loss.name} needs two: give {fix}"
    fix = f"the model out={n}"
    return f"{found} and the model {k} outputs: give {fix}, such as th.models.MLP(d, out={n})"


def _say_codes(task: Task, where: str, classes: Classes) -> None:
    """Say that metrics of the user's get codes in place of labels."""
    own = [
        repr(name)
        for name, metric in task.metrics.items()
        if metric.kind in BY_PART and not isinstance(metric.function, str)
    ]
    if own:
        k = len(classes)
        notify(
            f"{where} has the labels {th_data.listed(classes.labels)}, coded 0..{k - 1} in this"
            f" order: the metric {' and '.join(own)} gets these codes",
        )


def _check_parts(data: Any, y: Mapping[str, np.ndarray], classes: Classes) -> None:
    """Check that the training part has every class of the other parts.

    A split of the whole leaves a rare class out by chance, which is said; a part of its own with
    another label is refused.
    """
    train = np.bincount(y["train"].astype(np.int64), minlength=len(classes)) > 0
    for name in ("val", "test"):
        if name not in y:
            continue
        rows = np.flatnonzero(~train[y[name].astype(np.int64)])
        if not rows.size:
            continue
        label = classes.labels[int(y[name][rows[0]])]
        names: NamedRows = data.named_rows(name)
        at = names.said(np.sort(names.of(rows))[:3], rows.size)
        found = (
            f"{_where(data)} has the class {label!r} in the {name} part ({names.word} {at}), and no"
            " such observation in the training part"
        )
        if not data.rows and not isinstance(data.transform, Transform):
            raise DataError(f"{found}: give train some, or drop these rows")
        notify(
            f"{found}: its probability is driven to 0. Give another split seed, where the parts are"
            " random, or other parts, or drop the class",
        )
