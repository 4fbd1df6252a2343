"""A nuisance function: what is predicted, from which rows, by which learner."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from thetahat.core import ConfigError, DataError
from thetahat.data import unmasked

NOTHING_LEFT = 1e-20
"""A share of a variance that rounding errors of double precision have."""


@dataclass(frozen=True, eq=False)
class Nuisance:
    """One function to estimate.

    Args:    target: (n,).   where: rows to train on, and to judge by, (n,); None for all.
             learner: a scikit-learn estimator or an experiment.
             binary: whether the target is 0 or 1, and a probability is predicted.
    """

    name: str
    target: np.ndarray
    learner: Any
    binary: bool
    where: np.ndarray | None = None

    @property
    def counted(self) -> np.ndarray:
        """The rows that it is judged by."""
        return np.ones(len(self.target), bool) if self.where is None else self.where

    def constant(self, train: np.ndarray) -> float | None:
        """The target's only value among training rows; None if it varies."""
        rows = self.target[train[self.counted[train]]]
        if not rows.size:
            raise DataError(
                f"nuisance {self.name!r}: a fold has no training row for it; give fewer folds"
            )
        return float(rows[0]) if (rows == rows[0]).all() else None


def is_experiment(learner: Any) -> bool:
    """Whether a learner is a function from Data to a Task."""
    return callable(learner) and not hasattr(learner, "fit")


def experiment_of(learner: Any) -> Any:
    """The function from the Data of a fold to a Task; None for other estimators.

    Estimators of ``thetahat.sklearn`` have one, so that their folds train together.
    """
    return learner if is_experiment(learner) else getattr(learner, "crossfit_task", None)


def check_learner(name: str, learner: Any) -> None:
    """Refuse what can neither be fitted nor called.

    Raises:  ConfigError.
    """
    estimator = hasattr(learner, "fit") and hasattr(learner, "predict")
    if isinstance(learner, type) or not (estimator or is_experiment(learner)):
        what = f"the class {learner.__name__}" if isinstance(learner, type) else f"{learner!r:.60}"
        raise ConfigError(
            f"nuisance {name!r}: the learner is {what}; give an object with fit and predict, such"
            " as LassoCV(), or a function of th.Data that returns a th.Task"
        )


def classifies_numbers(nuisance: Nuisance) -> bool:
    """Whether a learner would predict labels where a mean is needed."""
    if nuisance.binary or is_experiment(nuisance.learner) or np.ptp(nuisance.target) == 0:
        return False
    if hasattr(nuisance.learner, "predict_proba"):
        return True
    if not hasattr(nuisance.learner, "__sklearn_tags__"):
        return False
    return bool(sys.modules["sklearn.base"].is_classifier(nuisance.learner))


def column_of_numbers(name: str, values: Any, n: int | None = None) -> np.ndarray:
    """Read one number per row.

    Raises:  DataError: another shape, text, missing values.
    """
    array = unmasked(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or (n is not None and len(array) != n):
        want = "(n,)" if n is None else f"({n},)"
        raise DataError(f"{name} has shape {array.shape}; give one number per row, {want}")
    return _finite(name, array)


def matrix_of_numbers(name: str, values: Any) -> np.ndarray:
    """Read the controls: (n, d).

    Raises:  DataError: another shape, text, missing values.
    """
    array = unmasked(values)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size:
        raise DataError(f"{name} has shape {array.shape}; give one row per observation, (n, d)")
    return _finite(name, array)


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            flat = [v for v in array.ravel().tolist() if isinstance(v, str)][:1]
            such = f" such as {flat[0]!r}" if flat else ""
            raise DataError(
                f"{name} holds values that are no numbers{such}; encode categories first, for"
                " example by pandas.get_dummies"
            ) from None
    found = np.asarray(array, np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        raise DataError(
            f"{name} has {len(bad)} value{'s' * (len(bad) > 1)} that are missing or infinite, the"
            f" first in row {int(bad[0][0])}; drop these rows, or fill them"
        )
    return found


def read_weights(weights: Any, n: int) -> np.ndarray | None:
    """Read one weight per row; None stays None.

    Raises:  DataError: another shape, negative or missing weights, or no weight above 0.
    """
    if weights is None:
        return None
    w = column_of_numbers("weights", weights, n)
    if (w < 0).any() or not w.any():
        raise DataError("weights must be at least 0, and not all 0; fix or drop those rows")
    return w


def is_binary(target: np.ndarray) -> bool:
    """Whether a target is 0 or 1, and takes both values."""
    return bool(np.isin(target, (0.0, 1.0)).all() and np.ptp(target) > 0)
