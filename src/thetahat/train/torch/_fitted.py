"""A member's estimated function: predictions, risks anew, and what a file keeps of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thetahat.core import ConfigError, ShapeError, Task
from thetahat.core.start import Start
from thetahat.data import (
    ColumnNames,
    Transform,
    blank,
    from_stored,
    named_row,
    refuse_sparse,
    to_stored,
)
from thetahat.train._classify import ClassScores, scores_of
from thetahat.train._columns_json import columns_json, read_columns
from thetahat.train._inputs import inputs_names, inputs_of_part
from thetahat.train._program import Build
from thetahat.train._without_data import WithoutData
from thetahat.train.torch._alone import TorchMember
from thetahat.train.torch._library import torch
from thetahat.train.torch._lightning import with_log
from thetahat.train.torch._losses import of_torch, thetahats
from thetahat.train.torch._module import call, compacted, device_of, made
from thetahat.train.torch._parts import EVAL_BLOCK

nn: Any = torch.nn
_SCORES = ("loss", "residual", "decides", "link")


class ModuleInUnits(nn.Module):
    """A fitted module in the units of its table: columns (N, d) to predictions (N,).

    Args:    standardized: the module itself, of standardised inputs and target.
    """

    def __init__(self, standardized: Any, transform: Transform) -> None:
        super().__init__()
        self.standardized = standardized
        for name in ("x_mean", "x_std", "y_mean", "y_std"):
            value = torch.as_tensor(np.array(getattr(transform, name), np.float64))
            self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict at rows of a table's numbers."""
        one = next(iter(self.standardized.parameters()))
        rows = (x.to(torch.float64) - self.x_mean) / self.x_std
        h = self.standardized(rows.to(one.dtype))
        h = h[..., 0] if h.ndim == 2 and h.shape[-1] == 1 else h
        return h.to(torch.float64) * self.y_std + self.y_mean


@dataclass(frozen=True, eq=False)
class TorchPredictor:
    """A fitted function without its data.

    Args:    module: in evaluation mode, at the best state.   transform: of a table, or None.
             shape: of one input, if inputs are one array.
             columns: names of the inputs' columns, where a frame was fitted as arrays; else None.
    """

    module: Any
    transform: Any
    scores: ClassScores
    dtype: str
    shape: tuple[int, ...] | None
    columns: ColumnNames | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Keep the module on the CPU, and the name of its device: another machine may lack it."""
        device = device_of(self.module)
        module = self.module if device.type == "cpu" else copy.deepcopy(self.module).cpu()
        return {**vars(self), "module": module, "device": str(device)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Return the module to its device, where this machine has it."""
        device = torch.device(state.pop("device"))
        cuda = device.type == "cuda" and (device.index or 0) < torch.cuda.device_count()
        if cuda or (device.type == "mps" and torch.backends.mps.is_available()):
            state["module"] = state["module"].to(device)
        vars(self).update(state)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Parameters by name."""
        return {name: _host(p) for name, p in self.module.named_parameters()}

    @property
    def frozen(self) -> dict[str, np.ndarray]:
        """Buffers by name."""
        return {name: _host(b) for name, b in self.module.named_buffers()}

    @property
    def source(self) -> Any:
        """What made the model: its class has a name."""
        return _Source(type(self.module).__name__)

    @property
    def model(self) -> Any:
        """A copy of the module; of a table, one that takes and gives the table's units."""
        module = compacted(with_log(copy.deepcopy(self.module)))
        return (
            ModuleInUnits(module, self.transform)
            if isinstance(self.transform, Transform)
            else module
        )

    def predict(self, x: Any, *, encoded: bool = False) -> np.ndarray:
        """h(x) over the rows of ``x``, undoing a table's standardisation."""
        refuse_sparse(x)
        transform, gone = self.transform, np.zeros(0, bool)
        if self.columns is not None and not encoded:
            x = self.columns.of_prediction(x)
        if transform is not None and not encoded:
            x = np.asarray(x) if isinstance(x, list) else x
            if (named := named_row(x)) is not None:
                return self.predict(named)[0]
            if np.ndim(x) == 1 and not hasattr(x, "columns"):
                return self.predict(np.asarray(x)[None])[0]
            x, gone = transform.rows(x)
        elif x is None or isinstance(x, (str, Path)):
            raise ShapeError(
                f"predict got a {type(x).__name__}, and the model was fitted to arrays; give an"
                " array with one row per observation"
            )
        single = self.shape is not None and np.ndim(x) == len(self.shape)
        if self.shape is not None:
            x = np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x)
            x = x[None] if single else x
            if x.shape[1:] != self.shape:
                raise ShapeError(
                    f"predict got inputs of shape {x.shape[1:]}, and the model was fitted to"
                    f" {self.shape}; give one row per observation"
                )
        out = self._rows(x)
        if out.ndim == 2 and out.shape[1] == 1:
            out = out[:, 0]
        out = out if transform is None else np.asarray(transform.decode(out))
        return out[0] if single else blank(out, gone)

    def _rows(self, x: Any) -> np.ndarray:
        one = next(iter(self.module.parameters()))

        def leaf(value: Any) -> torch.Tensor:
            t = value if isinstance(value, torch.Tensor) else torch.as_tensor(np.array(value))
            return t.to(one.device, one.dtype if t.is_floating_point() else t.dtype)

        leaves, tree = jax.tree.flatten(jax.tree.map(leaf, x))
        blocks = zip(*(t.split(EVAL_BLOCK) for t in leaves), strict=True)
        with torch.no_grad():
            found = [call(self.module, jax.tree.unflatten(tree, block)) for block in blocks]
        return _host(torch.cat(found))

    def as_start(self) -> Start:
        """Nothing: fits of the PyTorch backend do not start others yet."""
        raise ConfigError(
            "a fit of the PyTorch backend does not start another; give its module as the model:"
            " th.Task(model=result.model, ...)"
        )

    # -- files ------------------------------------------------------------------------------------

    def packed(self, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
        """Describe the function as JSON types; its arrays go into ``arrays``, named ``name``/..."""
        arrays |= {f"{name}/params/{key}": a for key, a in self.params.items()}
        arrays |= {f"{name}/frozen/{key}": a for key, a in self.frozen.items()}
        return {
            "backend": "torch",
            "class": type(self.module).__name__,
            "model": None,
            "values": [],
            "transform": to_stored(self.transform, arrays, f"{name}/transform"),
            "classes": to_stored(self.scores.classes, arrays, f"{name}/classes"),
            "dtype": self.dtype,
            "shape": None if self.shape is None else list(self.shape),
            "columns": columns_json(self.columns),
            **{word: getattr(self.scores, word) for word in _SCORES},
        }


@dataclass(frozen=True)
class _Source:
    name: str
    description: None = None


def unpacked(
    held: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    name: str,
    build: Build | None,
    shared: Mapping[str, Any],
) -> TorchPredictor:
    """Make the predictor that ``packed`` described; members of a file share nothing.

    Raises:  ConfigError: the module's program is needed, or is another one.
    """
    del shared
    kind = str(held["class"])
    if build is None:
        raise ConfigError(
            f"the file holds parameters of {kind}, a PyTorch module, and no program; give the"
            " function that builds its Task, or the Task: th.load(path, experiment)"
        )
    module = made(build({}))
    start = {f"{name}/{part}/": part for part in ("params", "frozen")}
    mine = {
        key.removeprefix(prefix): torch.from_numpy(np.array(a))
        for prefix in start
        for key, a in arrays.items()
        if key.startswith(prefix)
    }
    kept = arrays_of(module)
    differ = [
        key
        for key in {*kept, *mine}
        if key not in kept or key not in mine or kept[key].shape != mine[key].shape
    ]
    if differ:
        raise ConfigError(
            f"the experiment's module is not the {kind} that was saved: {sorted(differ)[0]}"
            " differs; give the experiment that was fitted"
        )
    with torch.no_grad():
        for key, value in mine.items():
            kept[key].copy_(value)
    shape = held["shape"]
    return TorchPredictor(
        module.eval(),
        from_stored(held["transform"], arrays),
        ClassScores(
            **{word: str(held[word]) for word in _SCORES},
            classes=from_stored(held["classes"], arrays),
        ),
        str(held["dtype"]),
        None if shape is None else tuple(map(int, shape)),
        read_columns(held),
    )


@dataclass(frozen=True, eq=False)
class TorchFitted:
    """See ``train._program.Estimate``.

    Args:    arrays: parameters and buffers at the best state, by name.
    """

    member: TorchMember
    arrays: Mapping[str, np.ndarray]

    @property
    def task(self) -> Task:
        """The Task that was fitted."""
        return self.member.task

    @property
    def data(self) -> Any:
        """The data that it was fitted to."""
        return self.task.data

    @cached_property
    def predictor(self) -> TorchPredictor:
        """The function without its data."""
        module = copy.deepcopy(self.member.module)
        with torch.no_grad():
            for name, t in arrays_of(module).items():
                t.data = torch.from_numpy(np.array(self.arrays[name])).to(t.device)
                t.grad = None
        loss = thetahats(self.task.loss)
        task = self.task
        scores = (
            ClassScores(type(loss).__name__)
            if of_torch(loss)
            else scores_of(_with_loss(task, loss), self.data)
        )
        part = self.data.train
        x: Any = part[0] if isinstance(part, tuple) else getattr(part, "x", None)
        shape = tuple(x.shape[1:]) if hasattr(x, "shape") else None
        module, names = compacted(module.eval()), inputs_names(self.data)
        return TorchPredictor(module, self.data.transform, scores, task.dtype, shape, names)

    @property
    def params(self) -> dict[str, np.ndarray]:
        """The parameters at the best state, by name."""
        return self.predictor.params

    @property
    def model(self) -> Any:
        """The estimated module; of a table, one that takes and gives the table's units."""
        return self.predictor.model

    def predict(self, x: Any) -> np.ndarray:
        """h(x) for one input or many, in units of y."""
        own = inputs_of_part(self.data, x)
        if own is None:
            return self.predictor.predict(x)
        return self.predictor.predict(own, encoded=True)

    def risk(self, part: str) -> float:
        """The risk of a part anew."""
        if part not in self.member.parts:
            known = ", ".join(self.member.parts)
            raise ConfigError(f"there is no part {part!r}; this task has {known}")
        return float(self.member.averages(self.predictor.module, part)[0])

    def __reduce__(self) -> Any:
        return WithoutData, (self.predictor,)


def _with_loss(task: Task, loss: Any) -> Any:

    return replace(task, loss=loss)


def arrays_of(module: Any) -> dict[str, torch.Tensor]:
    """Return parameters and buffers, by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _host(t: torch.Tensor) -> np.ndarray:
    return t.detach().cpu().numpy()
