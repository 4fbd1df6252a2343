"""The estimators, each a function of training rows and test rows, with its own defaults."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.data import Problem

Estimator = Callable[[Problem, np.ndarray, np.ndarray], np.ndarray]
"""From a problem and its training and test rows to predictions: (n,), or probabilities (n, k)."""


def thetahat(problem: Problem, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The command line without any flag about training; its own test part is left to the caller."""
    from thetahat.cli._parser import run_command
    from thetahat.cli.commands import _fit_contest
    from thetahat.train import load

    # The estimators that the command prints beside the net are measured here on their own.
    setattr(_fit_contest, "peers", lambda *_: [])  # noqa: B010
    names = [f"x{k}" for k in range(problem.x.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        table, model = Path(folder, "train.csv"), Path(folder, "model.theta")
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*names, "y"])
            for x, y in zip(problem.x[train].tolist(), problem.y[train].tolist(), strict=True):
                writer.writerow([*x, y])
        # Of the rows that are no test rows the default trains on 0.7 / 0.85.
        parts = ["--train=0.8235", "--val=0.1765", "--test=0"]
        kind = f"--target-kind={'class' if problem.classes else 'number'}"
        words = ["fit", str(table), "--target=y", kind, *parts, "--no-store", "--quiet"]
        code = run_command([*words, f"--save={model}"])
        if code:
            raise RuntimeError(f"thetahat fit ended with exit code {code}")
        fitted = load(model)
        x = problem.x[test]
        return np.asarray(fitted.predict_proba(x) if problem.classes else fitted.predict(x))


def _fitted(make: Callable[[bool], Any]) -> Estimator:
    def estimate(problem: Problem, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        model = make(problem.classes).fit(problem.x[train], problem.y[train])
        x = problem.x[test]
        return np.asarray(model.predict_proba(x) if problem.classes else model.predict(x))

    return estimate


def _scaled(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


def _linear(classes: bool) -> Any:
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV

    if not classes:
        return _scaled(RidgeCV(np.logspace(-3, 4, 30)))
    options: dict[str, Any] = {"l1_ratios": (0,), "use_legacy_attributes": True}
    return _scaled(LogisticRegressionCV(Cs=10, max_iter=1000, scoring="neg_log_loss", **options))


def _forest(classes: bool) -> Any:
    from sklearn import ensemble

    kind = ensemble.RandomForestClassifier if classes else ensemble.RandomForestRegressor
    return kind(300, random_state=0)


def _boosting(classes: bool, **options: Any) -> Any:
    from sklearn import ensemble

    if classes:
        return ensemble.HistGradientBoostingClassifier(random_state=0, **options)
    return ensemble.HistGradientBoostingRegressor(random_state=0, **options)


def _tuned(classes: bool) -> Any:
    from sklearn.model_selection import GridSearchCV

    grid = {"learning_rate": [0.02, 0.1], "max_leaf_nodes": [4, 15]}
    score = "neg_log_loss" if classes else "neg_mean_squared_error"
    return GridSearchCV(
        _boosting(classes, early_stopping=True, max_iter=500), grid, cv=4, scoring=score
    )


def _mlp(classes: bool) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if classes else MLPRegressor
    net = _scaled(kind(max_iter=1000, random_state=0))
    if classes:
        return net
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(net, transformer=StandardScaler())


def _ours(classes: bool) -> Any:
    from thetahat.sklearn import NeuralClassifier, NeuralRegressor

    return NeuralClassifier() if classes else NeuralRegressor()


def _pytabkit(name: str) -> Callable[[bool], Any]:
    def make(classes: bool) -> Any:
        import pytabkit

        kind = getattr(pytabkit, f"{name}_{'Classifier' if classes else 'Regressor'}")
        return kind(device="cpu", n_threads=1, random_state=0)

    return make


ESTIMATORS: dict[str, Estimator] = {
    "ridge or logit": _fitted(_linear),
    "boosting": _fitted(_boosting),
    "forest": _fitted(_forest),
    "MLP of scikit-learn": _fitted(_mlp),
    "thetahat fit": thetahat,
    "thetahat.sklearn": _fitted(_ours),
    "RealMLP_TD": _fitted(_pytabkit("RealMLP_TD")),
    "tuned boosting": _fitted(_tuned),
    "TabM_D": _fitted(_pytabkit("TabM_D")),
}
"""By name, cheap ones first: the order in which they are measured."""
OURS = "thetahat fit"
NEEDS = {OURS: "jax", "RealMLP_TD": "pytabkit", "TabM_D": "pytabkit"}
"""What an estimator needs beside scikit-learn."""
