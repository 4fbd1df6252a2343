"""Metrics of a Task in PyTorch: of the hypothesis, of observations, of a part's predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from thetahat import risk
from thetahat.core import Metric, Notice, ShapeError, Task
from thetahat.risk import inputs_and_target
from thetahat.risk.accept import Residuals
from thetahat.train._inputs import points_in_order
from thetahat.train.torch._library import torch
from thetahat.train.torch._objective import one_of
from thetahat.train.torch._parts import copied


@dataclass(frozen=True)
class TorchScores:
    """A member's metrics.

    Args:    loss: thetahat's, which says what h(x) is.   units: of the target, or None.
    """

    metrics: Mapping[str, Metric]
    loss: Any
    units: Any
    dtype: str

    def of(self, kind: str) -> dict[str, Metric]:
        """Return the metrics of a kind, by name."""
        return {name: metric for name, metric in self.metrics.items() if metric.kind == kind}

    @property
    def by_part(self) -> bool:
        """Whether any metric has a column for each part."""
        return bool(self.of("part") or self.of("observation"))

    @property
    def grad_norms(self) -> list[str]:
        """Return the names under which the norm of the gradient is recorded."""
        return [name for name, m in self.of("norm").items() if m.function == "grad_norm"]

    def whole(self, h: Any, flat: torch.Tensor) -> dict[str, Any]:
        """Return the metrics of the hypothesis alone, and the norm of the parameters."""
        norms = self.of("norm").items()
        found: dict[str, Any] = {
            name: float(torch.linalg.vector_norm(flat))
            for name, metric in norms
            if metric.function == "param_norm"
        }
        for name, metric in self.of("hypothesis").items():
            assert callable(metric.function)
            found[name] = float(_scalar(name, metric.function(_of_arrays(h, flat))))
        return found

    def of_batch(self, h: Any, leaves: Sequence[torch.Tensor], tree: Any) -> dict[str, Any]:
        """Return the metrics of each observation of a batch, (B,) by name."""
        found = {}
        for name, metric in self.of("observation").items():

            def one(*row: torch.Tensor, name: str = name, metric: Metric = metric) -> Any:
                assert callable(metric.function)
                return _scalar(name, metric.function(one_of(h), jax.tree.unflatten(tree, row)))

            found[name] = torch.vmap(one, randomness="different")(*copied(leaves))
        return found

    def of_part(self, prediction: Any, target: Any, weight: Any) -> dict[str, float]:
        """Return the metrics of a whole part from its predictions, targets and weights."""
        found = {}
        for name, metric in self.of("part").items():
            function, _ = risk.part_function(name, metric, self.loss)
            given = [self._in_units(v) for v in (prediction, target)]
            dtype = given[0].dtype if given[0].dtype.kind == "f" else self.dtype
            w = np.ones(len(prediction)) if weight is None else _array(weight)
            w = w.astype(dtype)
            if risk.takes_units(metric):
                value = function(*(torch.from_numpy(np.asarray(a)) for a in (*given, w)))
            else:
                # What a metric says of scores was said of the module's outputs, before training.
                with jax.enable_x64(self.dtype == "float64"), warnings.catch_warnings():
                    warnings.simplefilter("ignore", Notice)
                    value = np.asarray(function(*given, w))
            found[name] = float(_scalar(name, value))
        return found

    def _in_units(self, values: Any) -> np.ndarray:
        """Numbers in the target's units, in double precision: its level may be large."""
        array = _array(values)
        if self.units is None or array.dtype.kind != "f":
            return array
        std, mean = (np.asarray(v) for v in (self.units.y_std, self.units.y_mean))
        return array.astype(np.float64) * std + mean


@dataclass
class Sums:
    """What the metrics of a part need of its batches."""

    scores: TorchScores
    predictions: list[torch.Tensor] = field(default_factory=list)
    targets: list[torch.Tensor] = field(default_factory=list)
    weights: list[torch.Tensor] = field(default_factory=list)
    values: dict[str, list[torch.Tensor]] = field(default_factory=dict)

    def add(self, h: Any, leaves: Any, tree: Any, weight: Any, pair: Any) -> None:
        """Add a batch; ``pair`` are its predictions and targets."""
        if self.scores.of("part"):
            if pair[0] is None:
                raise ShapeError(
                    "metrics of predictions need h(x) and y, and this objective has none; give"
                    " metrics f(h, z)"
                )
            self.predictions.append(pair[0].detach())
            self.targets.append(pair[1])
        if weight is not None:
            self.weights.append(weight)
        with torch.no_grad():
            for name, values in self.scores.of_batch(h, leaves, tree).items():
                self.values.setdefault(name, []).append(values)

    def means(self) -> dict[str, float]:
        """Return the metrics, by name."""
        weight = torch.cat(self.weights) if self.weights else None
        found = {}
        for name, blocks in self.values.items():
            values = torch.cat(blocks).double()
            w = torch.ones_like(values) if weight is None else weight.double()
            found[name] = float((torch.where(w == 0, 0, values) * w).sum() / w.sum())
        if self.predictions:
            found |= self.scores.of_part(
                torch.cat(self.predictions), torch.cat(self.targets), weight
            )
        return found


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _of_arrays(h: Any, flat: torch.Tensor) -> Callable[[Any], torch.Tensor]:
    """Return h of one observation, given as any array."""

    def one(x: Any) -> torch.Tensor:
        def leaf(value: Any) -> torch.Tensor:
            given = value if isinstance(value, torch.Tensor) else torch.as_tensor(np.array(value))
            return given.to(flat) if given.is_floating_point() else given.to(flat.device)

        with torch.no_grad():
            return one_of(h)(jax.tree.map(leaf, x))

    return one


def hypothesis_of_arrays(module: Any, device: Any) -> Callable[[Any], Any]:
    """Return h of one observation for a table's function: ``jax.vmap`` and ``torch.vmap`` map it.

    Args:    module: in evaluation mode.
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    h = _of_arrays(module, like.detach().to(device))

    def many(x: Any) -> np.ndarray:
        rows = np.asarray(x)
        return np.stack([h(row).cpu().numpy() for row in rows]) if rows.ndim > 1 else _array(h(x))

    def one(x: Any) -> Any:
        if not isinstance(x, Tracer):
            return h(x)
        out = h(np.zeros(x.shape, x.dtype))
        like = jax.ShapeDtypeStruct(
            tuple(out.shape), jax.dtypes.canonicalize_dtype(_array(out).dtype)
        )
        return jax.pure_callback(many, like, x, vmap_method="expand_dims")

    return one


def residuals_of(task: Task, h: Callable[[Any], Any], device: Any) -> Residuals:
    """Return the residuals of h at points, for checks of a solution; a residual is PyTorch's.

    Args:    device: the module's.
    """

    def default(h: Any, z: Any) -> torch.Tensor:
        x, y = inputs_and_target(z)
        return h(x).reshape(y.shape) - y

    def residuals(points: Any, residual: Any, block: str | None) -> np.ndarray:
        del block
        at = residual or task.residual or default
        like = getattr(torch, task.dtype)
        leaves, tree = jax.tree.flatten(points_in_order(task.data, points))
        rows = [torch.as_tensor(np.array(leaf), device=device) for leaf in leaves]
        rows = [row.to(like) if row.is_floating_point() else row for row in rows]

        def one(*row: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(at(h, jax.tree.unflatten(tree, row)))

        with torch.no_grad():
            return _array(torch.vmap(one)(*rows))

    return residuals


def _scalar(name: str, value: Any) -> Any:
    if np.shape(value) not in ((), (1,)) and not isinstance(value, torch.Tensor):
        raise ShapeError(f"the metric {name!r} must return a scalar; got shape {np.shape(value)}")
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise ShapeError(
                f"the metric {name!r} must return a scalar; got shape {tuple(value.shape)}"
            )
        return value.reshape(())
    return value
