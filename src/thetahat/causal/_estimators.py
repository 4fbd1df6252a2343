"""Estimators with fit and predict, such as scikit-learn's, fitted fold by fold."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from thetahat.causal._folds import Pair
from thetahat.causal._nuisance import Nuisance
from thetahat.core import ConfigError, DataError


def fit_folds(
    nuisance: Nuisance,
    x: np.ndarray,
    samples: Sequence[Sequence[Pair]],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Predict every row of every repetition by a clone that was fitted without it.

    Returns: (n, repetitions); probabilities of 1 by an estimator with ``predict_proba``.
    Raises:  DataError: predictions that are not finite, or of another shape.
    """
    found = np.full((len(x), len(samples)), np.nan)
    for r, pairs in enumerate(samples):
        for train, test in pairs:
            rows = train[nuisance.counted[train]]
            if (only := nuisance.constant(train)) is not None:
                found[test, r] = only
                continue
            given = {} if weights is None else {"sample_weight": weights[rows]}
            own = _fitted(nuisance, x[rows], rows, given)
            found[test, r] = _predicted(nuisance, own, x[test])
    return found


def _fitted(nuisance: Nuisance, x: np.ndarray, rows: np.ndarray, given: dict[str, Any]) -> Any:
    own = clone(nuisance.learner)
    target = nuisance.target[rows]
    if given and hasattr(own, "steps"):  # a Pipeline passes it to the step that is named
        given = {f"{own.steps[-1][0]}__sample_weight": given["sample_weight"]}
    try:
        return own.fit(x, target.astype(int) if _classifies(nuisance) else target, **given)
    except TypeError as error:
        if not given or "sample_weight" not in str(error):
            raise
        raise ConfigError(
            f"nuisance {nuisance.name!r}: {type(own).__name__} takes no sample_weight; leave"
            " weights= away, or give an estimator that takes them"
        ) from error


def _classifies(nuisance: Nuisance) -> bool:
    return nuisance.binary and hasattr(nuisance.learner, "predict_proba")


def _predicted(nuisance: Nuisance, own: Any, x: np.ndarray) -> np.ndarray:
    made = np.asarray(own.predict_proba(x) if _classifies(nuisance) else own.predict(x))
    made = made[:, 1] if made.ndim == 2 and made.shape[1] == 2 else made
    made = made[:, 0] if made.ndim == 2 and made.shape[1] == 1 else made
    finite = bool(np.isfinite(made).all())
    if made.shape != (len(x),) or not finite:
        raise DataError(
            f"nuisance {nuisance.name!r}: {type(own).__name__} predicted shape {made.shape},"
            f" finite: {finite}; it must give one finite number per row, ({len(x)},)"
        )
    return made


def clone(estimator: Any) -> Any:
    """An unfitted copy."""
    if hasattr(estimator, "get_params"):
        try:
            from sklearn.base import clone as sklearn_clone
        except ModuleNotFoundError:
            return copy.deepcopy(estimator)
        return sklearn_clone(estimator)
    return copy.deepcopy(estimator)
