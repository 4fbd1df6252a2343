"""A saved model: the file of ``result.save``, and the Fitted that ``th.load`` makes of it."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from thetahat.core import ConfigError, Status, Task, notify, read_signature
from thetahat.core.elsewhere import result_hint
from thetahat.core.files import given_path
from thetahat.core.json import plain_value
from thetahat.core.start import Start
from thetahat.core.task import BACKENDS
from thetahat.train._classify import ClassScores
from thetahat.train._program import Build, GivenTask, backend, builder
from thetahat.train._risk_unit import RiskUnit, risk_unit
from thetahat.train._tables import accepted_of, frame_of, packed_tables, unpacked_tables
from thetahat.train._tensor_file import explained, read_tensors, write_tensors
from thetahat.train.jax import Predictor, pack_predictor, unpack_predictor

_TEXTS = ("status", "reason", "best_by")
_COUNTS = ("epochs", "best_epoch", "n_params")
_NOT_IN_JSON = ("nan", "inf", "-inf")
_MAPPINGS = ("config", "risk", "metrics", "provenance")
_DIVERGED = (
    "the fit diverged ({}): its risks are NaN, and these are predictions of the state that it kept,"
    " which estimates nothing; give a smaller learning rate (of several results, .ended_well() has"
    " the others)"
)


class FittedFunction(ABC):
    """A fitted function, of a Result or of a file: it predicts in units of y."""

    def __getattr__(self, name: str) -> Any:
        known = dir(type(self))
        if name in known:  # a property raised an AttributeError of its own
            return object.__getattribute__(self, name)
        fields = getattr(type(self), "__dataclass_fields__", {})
        public = [one for one in (*fields, *known) if not one.startswith("_")]
        hint = "" if name.startswith("_") else result_hint(name, public)
        kind = type(self).__name__
        raise AttributeError(f"a {kind} has no attribute {name!r}{hint}", name=name, obj=self)

    @property
    @abstractmethod
    def _estimate(self) -> Any:
        """What has ``params``, ``model`` and ``predict(x)``."""

    @property
    @abstractmethod
    def _scores(self) -> ClassScores:
        """What the values of ``predict(x)`` mean."""

    @property
    def params(self) -> Any:
        """All parameters of the model at the best state, those that were frozen included.

        Returns: a pytree of arrays. Of modules: nested dicts by path; their buffers are in
                 ``model``. ``n_params`` counts the trained ones.
        """
        return self._estimate.params

    @property
    def model(self) -> Any:
        """The estimated model, of the user's own kind (an NNX module, an Equinox module, ...).

        Fitted to a table, it takes the table's numbers and gives the target's units, as ``predict``
        does; the module itself, of standardised numbers, is its ``.standardized``.
        """
        return self._estimate.model

    @property
    def classes(self) -> np.ndarray | None:
        """The labels of the classes, (K,), in order; None where y is a number."""
        labelled = self._scores.labelled
        return None if labelled is None else labelled.array

    @property
    def risk_unit(self) -> RiskUnit | None:
        """What a risk of 1 is, in units of the target; None where that is not known."""
        begun = "start" in self.provenance
        return risk_unit(self._scores.loss, self._scores.residual, self._transform, begun=begun)

    @property
    def _transform(self) -> Any:
        return predictor_of(self).transform

    def predict(self, x: Any) -> np.ndarray:
        """h(x) for one input (d,) or many (N, d), or for the rows of a table with named columns.

        Args:    x: an array; of a table also a frame, a mapping, a file, or one row with names (a
                 pandas Series); of a Result also a part of its data, as ``result.data.test`` or its
                 name "test".
        Returns: in units of y, also where the table was standardised: (), (N,), or (N, outputs);
                 of classes, the most probable label, () or (N,). Those of a fit that diverged
                 mean nothing: a Notice says so.
        """
        return self._scores.labels(self._predicted(x))

    def predict_proba(self, x: Any) -> np.ndarray:
        """Probabilities of the classes, in the order of ``classes``: (N, K), or (K,) of one input.

        Raises:  ConfigError: the loss is neither logistic nor cross-entropy.
        """
        return self._scores.probabilities(self._predicted(x))

    def decision_function(self, x: Any) -> np.ndarray:
        """The scores h(x) of classes: log-odds (N,) under logistic, logits (N, K) else."""
        return self._predicted(x)

    def _predicted(self, x: Any) -> np.ndarray:
        if self.status is Status.DIVERGED:
            notify(_DIVERGED.format(self.reason.partition("; ")[0]))
        return self._estimate.predict(x)

    def as_start(self) -> Start:
        """What ``th.Task(start=result)`` keeps of it: parameters, and the units they are in."""
        return predictor_of(self).as_start()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the estimated function to one file, for ``th.load`` in any other process.

        The file (safetensors and JSON, no pickle) has the parameters, a table's transform and
        columns, the tables of ``Task(tables=)``, the config and the provenance; it has no data. It
        replaces a saved model only.

        Raises:  ConfigError: a file of another kind is there, or it cannot be written.
        """
        save_all([self], path)


@dataclass(frozen=True, eq=False)
class Fitted(FittedFunction):
    """A fitted function from a file: it predicts as the Result that was saved, to the last bit.

    The fields are those of the Result; ``loss`` and ``residual`` name what was minimised. There are
    no data here: fit anew, with ``th.Task(start=...)``, to go on.
    """

    config: Mapping[str, Any]
    status: Status
    reason: str
    epochs: int
    best_epoch: int
    best_by: str
    risk: Mapping[str, float]
    metrics: Mapping[str, float]
    n_params: int
    provenance: Mapping[str, Any]
    predictor: Predictor = field(repr=False)
    tables: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict, repr=False)
    """The tables that the Result had, by name and column."""

    @property
    def accepted(self) -> bool | None:
        """Whether the solution passed all checks of its Task; None where none were evaluated."""
        return accepted_of(self.tables)

    def table(self, name: str) -> Any:
        """A table of the Result as a pandas frame.

        Raises:  ConfigError: no such table.   MissingExtra: pandas is not installed.
        """
        return frame_of(self.tables, name)

    @property
    def _estimate(self) -> Predictor:
        return self.predictor

    @property
    def _scores(self) -> ClassScores:
        return self.predictor.scores

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Columns of a table that ``predict`` needs; None where a fitted array had no names."""
        return columns_of(self.predictor)

    @property
    def target(self) -> str | None:
        """Name of the target column; None where arrays were fitted."""
        return getattr(getattr(self.predictor.transform, "encoder", None), "target", None)

    @property
    def loss(self) -> str:
        """The loss, in a word."""
        return self.predictor.scores.loss

    @property
    def residual(self) -> str:
        """The residual function, in a word; empty for h(x) - y."""
        return self.predictor.scores.residual

    def __repr__(self) -> str:
        target = "" if self.target is None else f"{self.target} "
        of = "" if self.columns is None else f"{target}from {', '.join(self.columns)}; "
        risks = ", ".join(f"{name} {value:.4g}" for name, value in self.risk.items())
        return (
            f"Fitted({of}{self.predictor.source.name}, {self.n_params} params; risk {risks};"
            f" best epoch {self.best_epoch} of {self.epochs})"
        )


def save_all(
    members: Iterable[Any], path: str | os.PathLike[str], *, several: bool = False
) -> None:
    """Write Results, or what was loaded, to one file, whole or not at all.

    Raises:  ConfigError: a file of another kind is there, it cannot be written, or a model comes
             from a backend whose models cannot be saved.
    """
    path = given_path("path", path, "wage.theta")
    arrays: dict[str, np.ndarray] = {}
    found = []
    for k, member in enumerate(members):
        held = {name: plain_value(getattr(member, name)) for name in _TEXTS + _COUNTS + _MAPPINGS}
        tables = packed_tables(getattr(member, "tables", {}), arrays, str(k))
        held |= {"tables": tables} if tables else {}
        predictor: Any = predictor_of(member)
        pack = getattr(predictor, "packed", None) or partial(pack_predictor, predictor)
        packed = pack(arrays, str(k))
        if packed.get("backend", "jax") not in BACKENDS:  # its room is not there to read it
            raise ConfigError(
                f"the backend {packed['backend']!r} is not one of thetahat's: th.load could not"
                " read the file; save the parameters, result.params"
            )
        found.append({**held, **packed})
    write_tensors(path, {"several": several, "members": found}, arrays)


def predictor_of(member: Any) -> Predictor:
    """The function of a Result, or of what was loaded.

    Raises:  ConfigError: a backend without one.
    """
    estimate = getattr(member, "fitted", member)
    found = getattr(estimate, "predictor", None)
    if found is None:
        raise ConfigError(
            "the backend of this fit gives no function apart from the Result: it can be neither"
            " saved nor a start; take its parameters, result.params"
        )
    return found


def columns_of(predictor: Any) -> tuple[str, ...] | None:
    """The names of the columns that a fitted function takes; None where they have none."""
    encoder = getattr(predictor.transform, "encoder", None)
    if encoder is not None:
        return tuple(feature.name for feature in encoder.features)
    columns = getattr(predictor, "columns", None)
    return None if columns is None else columns.single


def load_all(
    path: str | os.PathLike[str], experiment: Callable[..., Task] | Task | None
) -> tuple[list[Fitted], bool]:
    """Read the members of a file, and whether they were saved as several.

    Raises:  InputError: no such file, a damaged one, or the model needs the experiment.
    """
    path = given_path("path", path, "wage.theta")
    document, arrays = read_tensors(path)
    shared: dict[str, Any] = {}
    with explained(path):
        members = [
            _loaded(held, arrays, str(k), experiment, shared)
            for k, held in enumerate(document["members"])
        ]
        if not members:
            raise ValueError("it holds no model")
    return members, bool(document["several"])


def _loaded(
    held: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    name: str,
    experiment: Callable[..., Task] | Task | None,
    shared: dict[str, Any],
) -> Fitted:
    given: dict[str, Any] = {key: dict(held[key]) for key in _MAPPINGS}
    for key in ("risk", "metrics"):
        given[key] = {k: math.nan if v is None else float(v) for k, v in given[key].items()}
    build = None
    if experiment is not None and held["model"] is None:
        build = _build(experiment, given["config"], held["values"])
    given |= {key: int(held[key]) for key in _COUNTS}
    unpack = unpack_predictor if "backend" not in held else backend(held["backend"]).unpacked
    return Fitted(
        **given,
        status=Status(held["status"]),
        reason=str(held["reason"]),
        best_by=str(held["best_by"]),
        tables=unpacked_tables(held.get("tables", {}), arrays),
        predictor=unpack(held, arrays, name, build, shared),
    )


def _build(
    experiment: Callable[..., Task] | Task, config: Mapping[str, Any], traced: list[str]
) -> Build:
    """What makes the Task of a stored config; ``config`` is JSON.

    Raises:  ConfigError: a value that the experiment cannot take.
    """
    if isinstance(experiment, Task):
        return GivenTask(experiment)
    signature = read_signature(experiment)

    def read(name: str, value: Any) -> Any:
        leaf = signature.leaves.get(name)
        # JSON has neither NaN nor infinity: in a config they are text.
        gone = value in _NOT_IN_JSON and leaf is not None and leaf.bare_type is float
        return float(value) if gone else value

    flat = {name: read(name, value) for name, value in config.items()}
    return builder(experiment, signature.flat(signature.config(flat)), frozenset(traced))
