"""A fitted function without its data: what another process needs to predict.

Members of one program share their ``ModelSource``, and with it one compiled function of
(parameters, inputs): a hundred seeds predict with one compilation. A file holds what the source is
made of, and the function is compiled from it in the same way everywhere, so that predictions are
bitwise equal.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import models
from thetahat.core import ConfigError, ShapeError, Task, notify
from thetahat.core.content import globals_read
from thetahat.core.start import Start
from thetahat.data import ColumnNames, Transform, blank, named_row, refuse_sparse, unmasked
from thetahat.models import Adapted
from thetahat.train._classify import ClassScores
from thetahat.train._program import Build, GivenTask
from thetahat.train.jax._by_trace import TracedFunction
from thetahat.train.jax._precision import precision

Make = Callable[[Mapping[str, Any]], Adapted]
_CHANGED = (
    "{}: changed since the fit, and the program that was fitted reads it. A risk anew, and"
    " predictions for inputs of a new shape, trace that program anew, and use what it reads now;"
    " set it back, or fit again"
)


@dataclass(frozen=True)
class DescribedModel:
    """The model of a description: it needs no program of the user's."""

    description: Mapping[str, Any]
    layers: int

    def __call__(self, values: Mapping[str, Any]) -> Adapted:
        """Adapt the model."""
        del values
        return models.adapt(models.described(self.description, self.layers), 0)


@dataclass(frozen=True)
class OfModel:
    """The model of a Task that was given as it is."""

    model: Any
    seed: Any

    @property
    def program(self) -> Any:
        """What the user has written."""
        return _own(self.model)

    def __call__(self, values: Mapping[str, Any]) -> Adapted:
        """Adapt the model."""
        del values
        return models.adapt(self.model, self.seed)


@dataclass(frozen=True)
class OfBuild:
    """The model of the Task that an experiment builds from traced parameters.

    Args:    traced: whether there are any; without, the model is built once, outside every trace.
    """

    build: Build
    traced: bool = True

    @property
    def program(self) -> Any:
        """What the user has written."""
        return getattr(self.build, "experiment", ())

    def settled(self) -> Make:
        """What makes the model inside a trace."""
        if self.traced:
            return self
        with jax.ensure_compile_time_eval():
            task = self.build({})
        return OfModel(task.model, task.seed)

    def __call__(self, values: Mapping[str, Any]) -> Adapted:
        """Adapt the model."""
        task = self.build(values)
        return models.adapt(task.model, task.seed)


@dataclass(frozen=True, eq=False)
class ModelSource:
    """What makes the model of a cohort's members.

    Args:    make: from traced parameters to the adapted model.   name: the model's class.
             description: of a model of ``th.models``; None for others.
             reads: the globals that a user's program read when it was fitted (``globals_read``).
    """

    make: Make
    name: str
    description: Mapping[str, Any] | None = None
    reads: Mapping[str, str] = field(default_factory=dict, repr=False)
    changed: set[str] = field(default_factory=set, repr=False)
    """Names of those that were found to be others since."""

    def compare(self) -> None:
        """Note which globals are others now than at the fit: what is traced reads them anew."""
        if self.reads:
            now = globals_read(getattr(self.make, "program", ()))
            names = {name for name, key in self.reads.items() if now.get(name, key) != key}
            self.changed.clear()
            self.changed.update(name.rpartition(".")[2] for name in names)

    def tell(self) -> None:
        """Notify of globals that were found to be others than at the fit."""
        if self.changed:
            notify(_CHANGED.format(" and ".join(sorted(self.changed)[:3])))

    @cached_property
    def layout(self) -> Any:
        """The shapes of the parameters of a described model."""
        return jax.eval_shape(lambda: self.make({}).params)

    @cached_property
    def compiled(self) -> TracedFunction:
        """The predictions (N, ...) at rows of inputs, compiled once for all members."""
        return TracedFunction(self._rows())

    @cached_property
    def quick(self) -> TracedFunction:
        """The same, compiled without optimisation: equal but for rounding."""
        return TracedFunction(self._rows(), xla_backend_optimization_level=0)

    def _rows(self) -> Callable[..., Any]:
        self.compare()
        make = self.make.settled() if isinstance(self.make, OfBuild) else self.make

        def run(values: Any, params: Any, frozen: Any, rows: Any) -> Any:
            self.compare()  # it runs for inputs of a new shape only
            return jax.vmap(make(values).bind(params, frozen))(rows)

        return run

    def __reduce__(self) -> Any:
        experiment = getattr(getattr(self.make, "build", None), "experiment", None)
        if getattr(experiment, "__module__", "") != "__main__":
            try:
                pickle.dumps(self.make)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise ConfigError(
                    f"this Result cannot be pickled: its model ({self.name}) holds {error}; define"
                    " that function or class at the top level of a module, or use"
                    " result.save(path) and th.load(path, experiment)"
                ) from error
        return type(self), (self.make, self.name, self.description, self.reads)


def source_of(build: Build, task: Task, layers: int, traced: bool, name: str = "") -> ModelSource:
    """The source of a program's models.

    Args:    task: as the trace saw it.   layers: how many arrays the model has at most.
             traced: whether there are traced parameters.   name: of the model's class, if known.
    """
    model = _own(task.model)
    name, description = name or type(model).__name__, models.describe(model)
    if description is not None:
        return ModelSource(DescribedModel(description, layers), name, description)
    given = build.given if isinstance(build, GivenTask) else None
    make = OfBuild(build, traced) if given is None else OfModel(given.model, given.seed)
    return source_of_program(make, name)


def source_of_program(make: OfBuild | OfModel, name: str) -> ModelSource:
    """The source of a model of the user's own, with the globals that its program reads now."""
    return ModelSource(make, name, reads=globals_read(make.program))


def _own(model: Any) -> Any:
    """The model that the user gave, of which some parameters may be selected."""
    while isinstance(model, models.Selected):
        model = model.model
    return model


@dataclass(frozen=True, eq=False)
class Predictor:
    """One member's estimated function.

    Args:    values: traced parameters.   trained, frozen: arrays on the host, at the best state.
             transform: of a table, or None.   scores: what h(x) means.
             shape: of one input, if it has one.
             whole: whether inputs were whole numbers, and stay so: codes of categories, say.
             columns: names of the inputs' columns, where a frame was fitted as arrays; else None.
    """

    source: ModelSource
    values: Mapping[str, Any]
    trained: Any
    frozen: Any
    transform: Any
    scores: ClassScores
    dtype: str
    shape: tuple[int, ...] | None
    whole: bool = False
    columns: ColumnNames | None = None
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> Any:
        """The module; of a table, one that takes and gives the table's units."""
        if "model" not in self._memo:
            with precision(self.dtype):
                adapted = self._adapted()
                module = adapted.export(self.trained, self.frozen)
                if isinstance(self.transform, Transform):
                    h = adapted.bind(self.trained, self.frozen)
                    module = models.InUnits(module, self.transform, self.dtype, h)
                elif self.columns is not None and isinstance(module, models.Hypothesis):
                    module = replace(module, columns=self.columns)
            self._memo["model"] = module
        return self._memo["model"]

    @property
    def params(self) -> Any:
        """All parameters, trained and frozen; a buffer of a module is not one."""
        leaves = jax.tree.leaves(self.trained, is_leaf=lambda leaf: leaf is None)
        if not jax.tree.leaves(self.frozen) and not any(leaf is None for leaf in leaves):
            return self.trained  # without building the model
        if "params" not in self._memo:
            with precision(self.dtype):
                self._memo["params"] = self._adapted().parameters(self.trained, self.frozen)
        return self._memo["params"]

    def _adapted(self) -> Adapted:
        own = {n: v.item() if hasattr(v, "item") else v for n, v in self.values.items()}
        return self.source.make(own)

    def predict(self, x: Any, *, encoded: bool = False) -> np.ndarray:
        """h(x) over the rows of ``x``, undoing a table's standardisation.

        Args:    encoded: x are a part's own inputs, as the model takes them.
        """
        refuse_sparse(x)
        transform = self.transform
        if self.columns is not None and not encoded:
            x = self.columns.of_prediction(x)
        if transform is not None and not encoded:
            x = _array(x) if isinstance(x, list) else x
            if (named := named_row(x)) is not None:
                return self.predict(named)[0]
            if np.ndim(x) == 1 and not hasattr(x, "columns"):
                return self.predict(_array(x)[None])[0]
        if transform is None and (isinstance(x, (str, Path, Mapping)) or x is None):
            raise ShapeError(
                f"predict got a {type(x).__name__}, and the model was fitted to arrays; give an"
                " array with one row per observation"
            )
        gone = np.zeros(0, bool)
        if transform is not None and not encoded:
            rows, gone = transform.rows(x)
        else:
            rows = _array(x)
        real = rows.dtype.kind in "biuf" or jnp.issubdtype(rows.dtype, jnp.floating)
        if not real:
            raise ShapeError(f"predict got an array of {rows.dtype}; give real numbers")
        single = rows.ndim == (0 if self.shape is None else len(self.shape))
        rows = rows[None] if single else rows
        if self.shape is not None and rows.shape[1:] != self.shape:
            raise ShapeError(
                f"predict got inputs of shape {rows.shape[1:]}, and the model was fitted to"
                f" {self.shape}; give one row per observation"
            )
        with precision(self.dtype):
            at = self._typed(rows)
            out = np.asarray(self.source.compiled(self.values, self.trained, self.frozen, at))
        self.source.tell()
        if out.ndim == 2 and out.shape[1] == 1:
            out = out[:, 0]
        out = out if transform is None else np.asarray(transform.decode(out))
        return out[0] if single else blank(out, gone)

    def probe(self) -> np.ndarray | None:
        """h at three made-up inputs, for a user's own model: an edited program gives other values.

        Returns: None where the shape of an input is unknown.
        """
        if self.shape is None:
            return None
        rows = np.sin(1.0 + np.arange(3 * math.prod(self.shape))).reshape(3, *self.shape)
        rows = np.abs(np.round(rows)).astype(int) if self.whole else rows
        with precision(self.dtype):
            at = self._typed(rows)
            return np.asarray(self.source.quick(self.values, self.trained, self.frozen, at))

    def _typed(self, rows: np.ndarray) -> Any:
        """Rows of inputs in the type that the model was fitted to."""
        keep = self.whole and rows.dtype.kind in "iu"
        return jnp.asarray(rows, None if keep else self.dtype)

    def as_start(self) -> Start:
        """The parameters and their units, for another Task's ``start``."""
        leaves = models.named_arrays(self.trained, self.frozen)
        return Start(
            leaves,
            self.transform,
            self.scores.classes,
            self.source.description,
            columns=self.columns,
        )

    def check(self) -> None:
        """Trace a prediction, without compiling it: the parts fit together.

        Raises:  whatever the model or the transform raises.
        """
        if self.shape is None:
            return
        row = np.zeros((1, *self.shape))
        if self.transform is not None:
            row = self.transform.encode(np.zeros((1, len(self.transform.encoder.names))))
        with precision(self.dtype):
            at = self._typed(row.astype(int) if self.whole else row)
            given = (self.values, self.trained, self.frozen, at)
            out = jax.eval_shape(self.source.compiled.function, *given)
        if row.shape[1:] != self.shape or not jnp.issubdtype(out.dtype, jnp.floating):
            raise ValueError("its parts do not fit together")
        if self.transform is not None:
            self.transform.decode(np.zeros(out.shape))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_memo": {}}


def _array(x: Any) -> np.ndarray:
    try:
        return unmasked(x)
    except ValueError:
        raise ShapeError(
            "predict got a list of lists of different lengths; give every row as many numbers"
        ) from None
