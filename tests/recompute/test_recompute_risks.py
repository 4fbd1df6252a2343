"""Risks, predictions and stopping, recomputed by NumPy, SciPy and scikit-learn from what a fit hands out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn import linear_model, metrics

import thetahat as th
from thetahat import risk

PARTS = ("train", "val", "test")


def observations(
    n: int, seed: int, *, labels: str = ""
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 3), a target (n,) or labels, and weights (n,) of which some are zero."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    score = x @ [1.0, -0.5, 0.2]
    y = score + rng.normal(size=n)
    if labels == "two":
        y = (score + rng.logistic(size=n) > 0).astype(np.int32)
    if labels == "three":
        y = np.argmax(x @ rng.normal(size=(3, 3)) + rng.gumbel(size=(n, 3)), axis=1).astype(
            np.int32
        )
    weight = rng.exponential(size=n)
    weight[:: max(2, n // 5)] = 0.0
    return x, y, weight


def parts(*, labels: str = "", weighted: bool = True) -> th.Data:
    """Three parts of sizes that no batch divides."""
    made = {}
    for i, (name, n) in enumerate(zip(PARTS, (101, 47, 53), strict=True)):
        x, y, weight = observations(n, i, labels=labels)
        made[name] = th.Observations(x, y, weight) if weighted else th.Observations(x, y)
    return th.Data(**made)


def weights_of(part: th.Observations) -> np.ndarray:
    """The weights of a part; ones where it has none."""
    return np.ones(len(part.y)) if part.weight is None else np.asarray(part.weight)


LOSSES = {
    "squared": lambda y, h, w: metrics.mean_squared_error(y, h, sample_weight=w),
    "absolute": lambda y, h, w: metrics.mean_absolute_error(y, h, sample_weight=w),
    "huber": lambda y, h, w: np.average(special.huber(1.0, h - y), weights=w),
    "pinball": lambda y, h, w: metrics.mean_pinball_loss(y, h, sample_weight=w, alpha=0.5),
}


OF_RESIDUALS = [n for n in risk.LOSSES if risk.resolve_loss(n).of == risk.RESIDUAL]


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("loss", OF_RESIDUALS)
def test_risks_of_a_regression_are_means_of_the_loss_over_each_part(
    loss: str, weighted: bool
) -> None:
    assert loss in LOSSES, "give its mean in NumPy, SciPy or scikit-learn in LOSSES above"
    data = parts(weighted=weighted)
    task = th.Task(
        th.models.MLP(3, width=8, depth=1), data, loss=loss, epochs=7, batch_size=16, seed=3
    )
    result = th.fit(task)
    for name in PARTS:
        part = getattr(data, name)
        right = LOSSES[loss](part.y, result.predict(part.x), weights_of(part))
        assert result.risk[name] == pytest.approx(right, rel=2e-5), name


def test_the_logistic_risk_is_the_log_loss() -> None:
    data = parts(labels="two")
    task = th.Task(th.models.Linear(3), data, loss="logistic", epochs=9, batch_size=16)
    result = th.fit(task)
    for name in PARTS:
        part = getattr(data, name)
        score = np.asarray(result.model(part.x[0])).shape
        assert score == ()
        scores = np.array([float(result.model(x)) for x in np.asarray(part.x, np.float32)])
        right = metrics.log_loss(part.y, special.expit(scores), sample_weight=weights_of(part))
        assert result.risk[name] == pytest.approx(right, rel=2e-5), name


def test_the_cross_entropy_risk_is_the_log_loss() -> None:
    data = parts(labels="three")
    task = th.Task(th.models.MLP(3, width=8, depth=1, out=3), data, loss="cross_entropy", epochs=9)
    result = th.fit(task)
    for name in PARTS:
        part = getattr(data, name)
        logits = np.stack([result.model(x) for x in np.asarray(part.x, np.float32)])
        right = metrics.log_loss(
            part.y,
            special.softmax(logits, axis=1),
            sample_weight=weights_of(part),
            labels=[0, 1, 2],
        )
        assert result.risk[name] == pytest.approx(right, rel=2e-5), name


def test_a_converged_logit_has_the_coefficients_of_scikit_learn() -> None:
    x, y, weight = observations(400, 9, labels="two")
    task = th.Task(
        th.models.Linear(3),
        th.Data(th.Observations(x, y, weight)),
        loss="logistic",
        optimizer="newton",
        epochs=20,
        dtype="float64",
    )
    result = th.fit(task)
    logit = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    logit.fit(x, y, sample_weight=weight)
    ours = [float(result.model(point)) for point in np.vstack([np.zeros(3), np.eye(3)])]
    right = logit.decision_function(np.vstack([np.zeros(3), np.eye(3)]))
    np.testing.assert_allclose(ours, right, rtol=2e-5, atol=1e-6)


def test_the_best_epoch_is_the_first_with_the_least_validation_risk() -> None:
    data = parts()
    task = th.Task(
        th.models.MLP(3, width=32, depth=2), data, optimizer="adam", epochs=60, batch_size=8
    )
    result = th.fit(task)
    history = np.asarray(result.history["val_risk"])
    assert result.best_epoch == int(np.argmin(history)) + 1
    assert result.risk["val"] == pytest.approx(history.min(), rel=2e-5)


def test_patience_stops_where_numpy_would() -> None:
    data = parts()
    for patience, min_delta in ((5, 0.0), (3, 1e-3), (10, 0.0)):
        rule = th.Patience(patience, min_delta=min_delta)
        task = th.Task(
            th.models.MLP(3, width=32, depth=2),
            data,
            optimizer="adam",
            epochs=400,
            batch_size=8,
            stopping=rule,
        )
        result = th.fit(task)
        history = np.asarray(result.history["val_risk"], np.float32)
        best, since, right = np.float32(np.inf), 0, len(history)
        for epoch, value in enumerate(history, 1):
            better = value < best - np.float32(min_delta)
            best, since = (value, 0) if better else (best, since + 1)
            if since >= patience:
                right = epoch
                break
        assert result.epochs == right == len(history)


def test_the_training_risk_of_one_epoch_is_the_mean_over_its_batches_before_each_step() -> None:
    """Gradient descent by hand, in the order of the data, with a short last batch."""
    x, y, _ = observations(23, 5)
    task = th.Task(
        th.models.Linear(3),
        th.Data((x, y)),
        optimizer=th.optim.named("sgd", 0.05),
        epochs=1,
        batch_size=8,
        sampling="sequential",
        dtype="float64",
    )
    result = th.fit(task)
    start = th.fit(
        th.Task(
            task.model,
            task.data,
            optimizer=th.optim.named("sgd", 1e-300),
            epochs=1,
            dtype="float64",
        )
    )
    ones = np.column_stack([np.ones(len(x)), x])
    corners = np.vstack([np.zeros(3), np.eye(3)])
    at = start.predict(corners)
    beta = np.append(at[0], at[1:] - at[0])
    total = 0.0
    for first in range(0, len(x), 8):
        rows, target = ones[first : first + 8], y[first : first + 8]
        residual = rows @ beta - target
        total += np.sum(residual**2)
        beta = beta - 0.05 * 2 * rows.T @ residual / 8  # the short last batch is a short step
    assert result.history["train_risk"][0] == pytest.approx(total / len(x), rel=1e-10)
    at = result.predict(corners)
    np.testing.assert_allclose(np.append(at[0], at[1:] - at[0]), beta, rtol=1e-10)
