"""Other estimators beside a net: ridge, and scikit-learn's forest and boosting if it is installed.

All are fitted to the rows that the net was fitted to, and judged on its test part by its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thetahat.cli.commands._fit_classes import CLASS_LOSSES, LARGEST_OF_CLASSES
from thetahat.cli.commands._fit_table import in_units, outcome

if TYPE_CHECKING:
    from thetahat.data import Data

LARGEST = 5000
"""Rows of which a tree of the forest takes a sample, where there are more."""
TREES = 200
FOLDS = 5
PENALTIES = np.logspace(-3, 5, 25)
"""Penalties that cross-validation compares, for columns of standard deviation one."""
LEAST = 1e-6
"""Least probability of a class: one that a forest puts at zero has a finite log loss."""
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Peer:
    """An estimator fitted to the training part.

    Args:    predict: of rows x, the (standardised) y (N,), or probabilities of classes (N, K).
             params: how many coefficients, where that says something.
    """

    name: str
    predict: Predict
    params: int | None = None


def peers(data: Data, loss: str, tau: float) -> list[Peer]:
    """Fit ridge with a cross-validated penalty and, if scikit-learn is there, trees."""
    y, w = outcome(data, "train")
    if loss not in CLASS_LOSSES and not in_units(loss):
        return []  # those of numbers predict y, and the loss takes another scale
    if loss == "cross_entropy" and len(y) * len(data.classes or ()) > LARGEST_OF_CLASSES:
        return []  # trees of so many classes take minutes
    x = np.asarray(data.train.x, np.float64)
    found = []
    if loss == "cross_entropy":
        found += _multinomial(x, y, w, len(data.classes or ()))
    elif loss == "logistic":
        found.append(_penalised("ridge logit", x, y, w, _ridge_logit, _log_loss))
    else:
        found.append(_penalised("ridge", x, y, w, _ridge, _squared))
    weight = None if data.train.weight is None else w
    return [*found, *_trees(x, y, weight, loss, tau, len(data.classes or ()))]


def has_trees() -> bool:
    """Tell whether scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


# -- ridge ----------------------------------------------------------------------------------------

_Solve = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]
_Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _penalised(
    name: str, x: np.ndarray, y: np.ndarray, w: np.ndarray, solve: _Solve, score: _Score
) -> Peer:
    """Fit with the penalty that has the least cross-validated risk."""
    mean = np.average(x, axis=0, weights=w)
    spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    spread = np.where(spread > 0, spread, 1.0)

    def design(x: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(x)), (x - mean) / spread])

    z, risks = design(x), np.zeros(len(PENALTIES))
    for train, held in _folds(len(y)):
        if not w[held].any() or not w[train].any():
            continue
        for k, penalty in enumerate(PENALTIES):
            beta = solve(z[train], y[train], w[train], penalty * len(train) / len(y))
            risks[k] += np.sum(w[held] * score(z[held] @ beta, y[held]))
    beta = solve(z, y, w, PENALTIES[int(np.argmin(risks))])
    if score is _squared:
        return Peer(name, lambda x: design(x) @ beta, len(beta))

    def proba(x: np.ndarray) -> np.ndarray:
        p = np.exp(-np.logaddexp(0, -design(x) @ beta))
        return np.column_stack([1 - p, p])

    return Peer(name, proba, len(beta))


def _ridge(x: np.ndarray, y: np.ndarray, w: np.ndarray, penalty: float) -> np.ndarray:
    """Minimise sum w (x b - y)^2 + penalty |b|^2, without the intercept."""
    ridge = np.diag([0.0, *[penalty] * (x.shape[1] - 1)])
    return np.linalg.solve(x.T @ (w[:, None] * x) + ridge, x.T @ (w * y))


def _ridge_logit(x: np.ndarray, y: np.ndarray, w: np.ndarray, penalty: float) -> np.ndarray:
    """Minimise sum w log loss + penalty |b|^2 / 2, without the intercept, by Newton's method."""
    ridge = np.diag([0.0, *[penalty] * (x.shape[1] - 1)])
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = np.exp(-np.logaddexp(0, -x @ beta))
        slope = x.T @ (w * (p - y)) + ridge @ beta
        curvature = x.T @ ((w * p * (1 - p) + 1e-9)[:, None] * x) + ridge
        step = np.linalg.solve(curvature, slope)
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def _squared(score: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (score - y) ** 2


def _log_loss(score: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, score) - y * score


def _folds(n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng(0).permutation(n)
    for held in np.array_split(order, min(FOLDS, n)):
        yield np.setdiff1d(order, held), held


# -- scikit-learn ---------------------------------------------------------------------------------


def _multinomial(x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int) -> list[Peer]:
    counts = np.unique(y, return_counts=True)[1]
    folds = min(5, int(counts.min()))  # each has every class
    if folds < 2 or not has_trees():
        return []
    from sklearn.linear_model import LogisticRegressionCV

    mean, spread = np.average(x, axis=0, weights=w), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    made: Any = LogisticRegressionCV  # its stubs lag behind its arguments
    fitted = made(
        Cs=10,
        cv=folds,
        l1_ratios=(0,),
        scoring="neg_log_loss",
        max_iter=1000,
        use_legacy_attributes=False,
    ).fit((x - mean) / spread, y, sample_weight=w)
    params = (k - 1) * (x.shape[1] + 1)
    return [Peer("ridge logit", _proba(fitted, k, lambda x: (x - mean) / spread), params)]


def _trees(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, loss: str, tau: float, k: int
) -> list[Peer]:
    if not has_trees():
        return []
    from sklearn import ensemble

    forest: dict[str, Any] = {"n_estimators": TREES, "random_state": 0}
    if len(y) > LARGEST:
        forest["max_samples"] = LARGEST
    if loss in CLASS_LOSSES:
        makers = {
            "forest": ensemble.RandomForestClassifier(**forest),
            "boosting": ensemble.HistGradientBoostingClassifier(random_state=0),
        }
        return [
            Peer(name, _proba(maker.fit(x, y.astype(int), sample_weight=weight), k))
            for name, maker in makers.items()
        ]
    own: Mapping[str, dict[str, Any]] = {
        "absolute": {"loss": "absolute_error"},
        "pinball": {"loss": "quantile", "quantile": tau},
    }
    boosting = ensemble.HistGradientBoostingRegressor(random_state=0, **own.get(loss, {}))
    found = {"boosting": boosting}
    if loss not in own:  # a forest of means is no forest of quantiles
        found = {"forest": ensemble.RandomForestRegressor(**forest), **found}
    return [
        Peer(name, model.fit(x, y, sample_weight=weight).predict) for name, model in found.items()
    ]


def _proba(
    fitted: Any, k: int, prepared: Callable[[np.ndarray], np.ndarray] = lambda x: x
) -> Predict:
    """Give the probabilities of all k classes, also of those that the training part lacks."""

    def predict(x: np.ndarray) -> np.ndarray:
        p = np.full((len(x), k), LEAST)
        p[:, fitted.classes_.astype(int)] = np.maximum(fitted.predict_proba(prepared(x)), LEAST)
        return p / p.sum(1, keepdims=True)

    return predict
