"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thetahat.core import ConfigError, MissingExtra, Status, Task
from thetahat.core.acceptance import ACCEPT, nearest_solution
from thetahat.core.card import card, pairs
from thetahat.core.errors import did_you_mean
from thetahat.train._classify import ClassScores, scores_of
from thetahat.train._program import Estimate
from thetahat.train._saved import FittedFunction
from thetahat.train._tables import accepted_of, frame_of


class UnknownColumn(ConfigError, KeyError):
    """A column that the history does not have; a KeyError, so that ``in`` and ``get`` work."""

    __str__ = Exception.__str__


@dataclass(frozen=True)
class History(Mapping[str, np.ndarray]):
    """One row per epoch: epoch (from 1), train_risk, val_risk, learning_rate, metrics, seconds.

    ``train_risk`` is the mean loss over the epoch's observations, each taken before the step that
    used it, and so is the train column of a metric; the others are taken after the epoch;
    ``learning_rate`` is that of its last step; ``seconds`` counts training alone.
    """

    columns: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise UnknownColumn(
                f"the history has no column {name!r}{did_you_mean(name, self.columns)}"
            )
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def to_frame(self) -> Any:
        """A pandas frame, one row per epoch."""
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtra("to_frame()", "tables") from None
        return pd.DataFrame(dict(self.columns))


@dataclass(frozen=True)
class Result(FittedFunction):
    """A finished (or interrupted) run: the estimated function and how it came about.

    ``risk["train"|"val"|"test"]`` and ``metrics`` are re-evaluated at the best state: chosen by the
    column ``best_by``, as a rule the validation risk (the last state, where there is no validation
    part). A diverged run has no risk: all are NaN.
    """

    config: Mapping[str, Any]
    status: Status
    reason: str
    epochs: int
    """Epochs completed."""
    best_epoch: int
    """The epoch whose state this is, counted from 1; 0 is the state before training."""
    best_by: str
    """The column that chose it; empty where nothing did, and this is the last state."""
    risk: Mapping[str, float]
    metrics: Mapping[str, float]
    """The Task's metrics at this state, by column, such as val_accuracy."""
    history: History
    n_params: int
    traces: int
    """How often the training program was traced for this result's cohort; 0 where it was reused."""
    seconds: Mapping[str, float]
    """import, compile and run; the cohort's, not this member's share."""
    provenance: Mapping[str, Any]
    mode: str
    """How it was trained: "alone", or in a cohort, by "vmap" or "exact"."""
    fitted: Estimate = field(repr=False)
    """The estimated function, by the backend that trained it."""
    looks: list[str] = field(default_factory=list, repr=False)
    """Every look at the test part, in order."""
    tables: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict, repr=False)
    """The Task's tables at this state, by name and column; of a diverged run there are none."""

    @property
    def accepted(self) -> bool | None:
        """Whether the solution passed all checks of its Task; None where none were evaluated."""
        return accepted_of(self.tables)

    @property
    def solution(self) -> str | None:
        """The name of the solution that it found, by ``th.accept.solution``; None where none is
        named, or the result is not accepted."""
        return (nearest_solution(self.tables[ACCEPT]) or None) if self.accepted else None

    @property
    def data(self) -> Any:
        """The data that it was fitted to."""
        return self.fitted.data

    @property
    def task(self) -> Task:
        """The Task that was fitted."""
        return self.fitted.task

    def evaluate(self, part: str = "val") -> float:
        """The risk of "train", "val" or "test" anew. A look at the test part is counted."""
        if not isinstance(part, str):
            raise ConfigError(
                f"evaluate() takes the name of a part, 'train', 'val' or 'test'; got a"
                f" {type(part).__name__}. For other rows compare result.predict(x) with y"
            )
        if part == "test":
            self.looks.append("evaluate")
        return self.fitted.risk(part)

    def table(self, name: str) -> Any:
        """A table of the Task as a pandas frame.

        Raises:  ConfigError: no such table.   MissingExtra: pandas is not installed.
        """
        return frame_of(self.tables, name)

    def to_frame(self) -> Any:
        """The history as a pandas frame."""
        return self.history.to_frame()

    def plot(self, log: bool | None = None) -> Any:
        """Train and validation risk by epoch, the best epoch marked, and why training stopped.

        Args:    log: the scale of the risks; by default a log scale where they span much.
        Returns: a matplotlib figure; a notebook shows it, ``savefig`` writes it.
        Raises:  MissingExtra: matplotlib is not installed.
        """
        from thetahat.figures import draw_fit  # most fits are not drawn

        columns = {name: column.tolist() for name, column in self.history.items()}
        return draw_fit(
            columns,
            best_epoch=self.best_epoch,
            best_by=self.best_by,
            ending=self._ending,
            log=log,
        )

    @property
    def _estimate(self) -> Estimate:
        return self.fitted

    @property
    def _transform(self) -> Any:
        predictor = getattr(self.fitted, "predictor", None)
        own = self.data if predictor is None else predictor  # a pickle leaves the data behind
        return getattr(own, "transform", None)

    @property
    def _scores(self) -> ClassScores:
        predictor = getattr(self.fitted, "predictor", None)
        return scores_of(self.task, self.data) if predictor is None else predictor.scores

    @property
    def _ending(self) -> str:
        return f"{self.status}: {self.reason or 'all epochs done'}"

    def _repr_html_(self) -> str:
        """The Result as a notebook shows it."""
        by = "" if self.best_by in ("", "val_risk") else f" by {self.best_by}"
        risks = {f"{part}_risk": float(value) for part, value in self.risk.items()}
        counts = {
            f"best epoch{by}": f"{self.best_epoch} of {self.epochs}",
            "params": f"{self.n_params:,}",
            **({} if self.risk_unit is None else {"risk": str(self.risk_unit)}),
            "training, s": float(self.seconds["run"]),
            "compiling, s": float(self.seconds["compile"]),
        }
        curves = {
            name: self.history[name].tolist()
            for name in ("train_risk", "val_risk")
            if name in self.history
        }
        from thetahat.figures import spark

        parts = [spark(curves, self.best_epoch - 1), pairs(self.config)]
        return card("Result", self._ending, {**risks, **self.metrics, **counts}, parts)

    def __repr__(self) -> str:
        risks = ", ".join(f"{k} {v:.4g}" for k, v in self.risk.items())
        metrics = "".join(f"; {k} {v:.4g}" for k, v in self.metrics.items())
        by = "" if self.best_by in ("", "val_risk") else f" by {self.best_by}"
        unit = (
            ""
            if (of := self.risk_unit) is None or of.one == 1
            else f" (1 is {of.one:.4g} {of.name})"
        )
        return (
            f"{type(self).__name__}({self.status}: {self.reason or 'all epochs done'}; epochs"
            f" {self.epochs}, best {self.best_epoch}{by}; risk {risks}{unit}{metrics};"
            f" {self.n_params} params)"
        )
