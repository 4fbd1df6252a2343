"""Ready metrics against scikit-learn: as functions, and in a fit, in the target's own units."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import thetahat as th

RNG = np.random.default_rng(0)
N = 400
WEIGHT = np.where(RNG.uniform(size=N) < 0.1, 0.0, RNG.uniform(0.2, 3.0, N))
Y = RNG.normal(10, 3, N)
CLOSE = Y + RNG.normal(0, 1, N)
BINARY = (RNG.uniform(size=N) < 0.3).astype(int)
SCORE = np.round(1.5 * BINARY - 1 + RNG.normal(size=N), 1)  # with ties
CLASS = RNG.integers(0, 4, N)
LOGITS = 2.0 * np.eye(4)[CLASS] + RNG.normal(size=(N, 4))


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score))


def theirs(name: str, y: Any, prediction: Any, w: Any) -> float:
    """The number of scikit-learn."""
    if name in ("r2", "mae", "rmse"):
        call = {"r2": sk.r2_score, "mae": sk.mean_absolute_error}
        return call.get(name, sk.root_mean_squared_error)(y, prediction, sample_weight=w)
    if name == "pinball":
        return sk.mean_pinball_loss(y, prediction, sample_weight=w, alpha=0.5)
    many = prediction.ndim == 2
    chances = softmax(prediction) if many else sigmoid(prediction)
    decided = prediction.argmax(1) if many else prediction > 0
    if name == "accuracy":
        return sk.accuracy_score(y, decided, sample_weight=w)
    if name == "balanced_accuracy":
        return sk.balanced_accuracy_score(y, decided, sample_weight=w)
    if name == "log_loss":
        return sk.log_loss(y, chances, sample_weight=w)
    return sk.roc_auc_score(y, chances, sample_weight=w, **({"multi_class": "ovr"} if many else {}))


NUMBERS = ("r2", "mae", "rmse")
CLASSES = ("accuracy", "balanced_accuracy", "log_loss", "auc")
CASES = [
    *[(name, Y, CLOSE) for name in NUMBERS],
    *[(name, np.stack([Y, -Y], 1), np.stack([CLOSE, Y + CLOSE], 1)) for name in NUMBERS],
    *[(name, BINARY, SCORE) for name in CLASSES],
    *[(name, CLASS, LOGITS) for name in CLASSES],
]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(("name", "y", "prediction"), CASES)
def test_ready_metrics_equal_scikit_learn(name, y, prediction, weight):
    ours = getattr(th.metrics, name)
    w = None if weight is None else jnp.asarray(weight, jnp.float32)
    found = ours(jnp.asarray(prediction, jnp.float32), jnp.asarray(y), w)
    assert float(found) == pytest.approx(theirs(name, y, prediction, weight), rel=2e-5)


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_pinball_equals_scikit_learn(tau):
    ours = th.metrics.pinball(tau)
    expected = sk.mean_pinball_loss(Y, CLOSE, alpha=tau, sample_weight=WEIGHT)
    assert float(ours(CLOSE, Y, WEIGHT)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(th.InputError, match="tau between 0 and 1"):
        th.metrics.pinball(1.5)


def test_balanced_accuracy_leaves_absent_classes_out_and_auc_of_one_class_is_nan():
    score, y = jnp.asarray([3.0, -1.0, 2.0]), jnp.asarray([1, 1, 1])
    assert float(th.metrics.balanced_accuracy(score, y)) == pytest.approx(2 / 3)
    assert np.isnan(float(th.metrics.auc(score, y)))
    with pytest.raises(th.InputError, match=r"shape \(3,\) and targets of shape \(2,\)"):
        th.metrics.mae(score, jnp.ones(2))


# -- in a fit -------------------------------------------------------------------------------------


def frame() -> pd.DataFrame:
    """A target whose level is far from zero, weights, and two labels."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 300))
    y = 2003 + 5 * (a - b) + rng.normal(size=300)
    label = np.where(a + rng.normal(size=300) > 0, "yes", "no")
    return pd.DataFrame({"a": a, "b": b, "y": y, "label": label, "w": rng.integers(0, 4, 300)})


def fitted(target: str, batch_size: int | None, **fields: Any) -> tuple[th.Result, Any]:
    """A short fit of the table, and its validation rows."""
    table = th.read_table(frame(), target=target, features=["a", "b"], weights="w")
    data = th.split(table, train=0.6, val=0.2, test=0.2, seed=0)
    task = th.Task(
        th.models.MLP(2, width=4, depth=1),
        data,
        optimizer=th.optim.named("adam", 0.02),
        epochs=15,
        batch_size=batch_size,
        **fields,
    )
    return th.fit(task), frame().iloc[data.rows["val"]]


@pytest.fixture(scope="module")
def numbers() -> tuple[th.Result, Any]:
    names = ["r2", "mae", "rmse", "pinball", "grad_norm", "param_norm"]
    return fitted("y", 32, metrics=names, best_by="val_r2")


def test_a_pinball_of_another_quantile_is_a_metric_of_a_task():
    x = np.random.default_rng(3).normal(size=(40, 2))
    y = 5 + 200 * x[:, 0]
    data = th.split((x, y), seed=0, standardize=True)
    metrics = {"pin": th.metrics.pinball(0.9)}
    result = th.fit(th.Task(th.models.Linear(2), data, epochs=2, metrics=metrics))
    at = data.rows["test"]
    expected = sk.mean_pinball_loss(y[at], result.predict(x[at]), alpha=0.9)
    assert result.metrics["test_pin"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", [*NUMBERS, "pinball"])
def test_metrics_of_a_standardised_table_are_in_the_targets_units(numbers, name):
    result, val = numbers
    prediction = result.predict(val[["a", "b"]])
    expected = theirs(name, val["y"], prediction, val["w"])
    assert result.metrics[f"val_{name}"] == pytest.approx(expected, rel=1e-4)
    assert result.history[f"val_{name}"][result.best_epoch - 1] == pytest.approx(expected, rel=1e-4)
    best = result.history["val_r2"]
    assert result.best_epoch == 1 + int(best.argmax())
    assert {f"{part}_{name}" for part in ("train", "val", "test")} <= set(result.metrics)


def test_train_columns_see_each_observation_before_its_step(numbers):
    result, _ = numbers
    std = float(result.data.transform.y_std)
    expected = std * np.sqrt(result.history["train_risk"])
    np.testing.assert_allclose(result.history["train_rmse"], expected, rtol=1e-4)


def test_norms_are_those_of_gradient_and_parameters(numbers):
    result, _ = numbers
    leaves = [np.ravel(leaf) for layer in result.params["layers"] for leaf in layer.values()]
    norm = np.linalg.norm(np.concatenate(leaves))
    assert result.metrics["param_norm"] == pytest.approx(norm, rel=1e-5)
    x = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")
    y = (x @ [1.0, -2.0]).astype("float32")
    start = {"w": np.array([0.5, 0.5], "float32")}
    task = th.Task(
        (lambda key: start, lambda p, x: p["w"] @ x),
        (x, y),
        metrics={"g": "grad_norm"},
        optimizer=th.optim.named("sgd", 0.1),
        stopping=th.Threshold("g", below=1e-3),
        epochs=200,
    )
    result = th.fit(task)
    gradient = 2 * x.T @ (x @ start["w"] - y) / 50
    assert result.history["g"][0] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    assert (result.status, result.history["g"][-1] <= 1e-3) == ("stopped", True)
    assert "grad_norm" not in th.fit(th.Task(th.models.Linear(2), (x, y), epochs=1)).history


@pytest.mark.parametrize("batch_size", [None, 32])
def test_metrics_of_classes_in_a_fit_equal_scikit_learn(batch_size):
    metrics = {"acc": "accuracy", "bal": "balanced accuracy", "ll": "log_loss", "auc": "auc"}
    rule = th.Patience(100, metric="val_auc")
    result, val = fitted("label", batch_size, loss="logistic", metrics=metrics, stopping=rule)
    y = (val["label"] == "yes").to_numpy().astype(int)
    score = np.asarray(result.decision_function(val[["a", "b"]]))
    for column, name in (("acc", CLASSES[0]), ("bal", CLASSES[1]), ("ll", CLASSES[2])):
        expected = theirs(name, y, score, val["w"])
        assert result.metrics[f"val_{column}"] == pytest.approx(expected, rel=1e-4)
    assert result.metrics["val_auc"] == pytest.approx(theirs("auc", y, score, val["w"]), rel=1e-4)
    np.testing.assert_allclose(result.history["val_ll"], result.history["val_risk"], rtol=1e-4)
    np.testing.assert_allclose(result.history["train_ll"], result.history["train_risk"], rtol=1e-4)


def test_a_metric_of_ones_own_takes_a_whole_part_in_blocks_and_in_a_cohort():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(9000, 1)).astype("float32")
    y = (3 * x[:, 0] + rng.normal(size=9000)).astype("float32")

    def worst(prediction, target, weight):
        return jnp.max(jnp.abs(prediction - target))

    def experiment(lr: float = 0.1) -> th.Task:
        data = th.Data((x[:100], y[:100]), (x, y))
        metrics = {"worst": th.Metric(worst, mode="min"), "r2": "r2"}
        descent = th.optim.named("sgd", lr)
        return th.Task(th.models.Linear(1), data, metrics=metrics, optimizer=descent, epochs=5)

    results = th.fit_many(experiment, [{"lr": 0.1}, {"lr": 0.3}], mode="vmap")
    for result in results:
        prediction = result.predict(x)
        assert result.metrics["val_worst"] == pytest.approx(np.abs(prediction - y).max(), rel=1e-5)
        assert result.metrics["val_r2"] == pytest.approx(sk.r2_score(y, prediction), rel=1e-5)


def test_a_metric_that_does_not_suit_the_loss_is_refused():
    x, y = np.ones((8, 1), "float32"), np.arange(8) % 2
    with pytest.raises(th.InputError, match="accuracy needs scores of classes"):
        th.fit(th.Task(th.models.Linear(1), (x, y), metrics=["accuracy"]))
    with pytest.raises(th.InputError, match="h\\(x\\) is a score"):
        th.fit(th.Task(th.models.Linear(1), (x, y), loss="logistic", metrics=["r2"]))
    with pytest.raises(th.InputError, match="auc is better the larger"):
        th.Metric("auc", mode="min")
    with pytest.raises(th.InputError, match="belongs to an epoch"):
        th.Task(None, None, metrics=["grad_norm"], best_by="grad_norm")


# -- wrong arguments ------------------------------------------------------------------------------

ROW, LABELS = np.array([0.2, -0.3, 2.0]), np.array([0, 1, 1])
WRONG: list[tuple[str, tuple[Any, ...], str]] = [
    ("r2", ("x", ROW), r"a metric got 'x' as predictions; give an array of real numbers, \(N,\)"),
    ("r2", (ROW, ["a", "b", "c"]), r"got \['a', 'b', 'c'\] as targets; for labels"),
    ("mae", (None, ROW), "got None as predictions"),
    ("mae", (ROW, [1.0, None, 2.0]), "as targets; give an array of real"),
    ("rmse", ([[1.0], [1.0, 2.0]], ROW), "as predictions; give an array of real"),
    ("rmse", (ROW + 1j, ROW), "an array of complex128 as predictions"),
    ("r2", (1.0, 2.0), r"predictions of shape \(\) and targets of shape \(\)"),
    ("r2", (ROW, ROW, ROW[:2]), r"3 predictions and weights of shape \(2,\); give \(3,\)"),
    ("log_loss", (ROW, LABELS, np.ones((3, 1))), r"weights of shape \(3, 1\); give \(3,\)"),
    ("r2", (ROW, ROW, "w"), "got 'w' as weights; give an array"),
    ("accuracy", (np.array(["a", "b", "b"]), LABELS), "compare them: .result.predict.x. == y."),
    ("accuracy", (ROW, np.array([0, 1, 2])), "got the target 2, .* the classes are 0 and 1; give"),
    ("auc", (ROW, np.array([1, 2, 2])), "got the target 2"),
    ("log_loss", (np.eye(3), np.array([0, 1, 3])), "got the target 3, .* classes are 0 to 2"),
    ("log_loss", (ROW, np.array([0.5, 1.0, 1.5])), "got the target 1.5"),
    ("balanced_accuracy", (ROW, np.array([0.5, 1.0, 1.0])), "got the target 0.5"),
    ("accuracy", (ROW[:, None], LABELS), r"of one class; .* scores\[:, 0\]"),
    ("log_loss", (np.full((3, 3), 1 / 3), LABELS), "probabilities, whose rows sum to 1, as scores"),
    ("auc", (np.full((3, 3), 1 / 3), LABELS), r"result.decision_function\(x\)"),
    ("accuracy", (ROW, np.ones((3, 2))), r"targets of shape \(3, 2\)"),
]


@pytest.mark.parametrize(("name", "given", "said"), WRONG)
def test_wrong_arguments_get_one_message(name, given, said):
    with pytest.raises(th.InputError, match=said):
        getattr(th.metrics, name)(*given)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(("scores", "y"), [(SCORE, BINARY), (LOGITS, CLASS)])
def test_a_nan_score_gives_nan_unless_its_weight_is_zero(name, scores, y):
    lost, weight = scores.copy(), np.ones(N)
    lost[7] = np.nan
    ours = getattr(th.metrics, name)
    assert np.isnan(float(ours(lost, y, weight)))
    if name != "log_loss":  # 0 times NaN
        weight[7] = 0.0
        kept = np.arange(N) != 7
        assert float(ours(lost, y, weight)) == pytest.approx(float(ours(scores[kept], y[kept])))


def test_shares_are_targets_of_the_log_loss_of_two_classes():
    share = np.linspace(0, 1, len(ROW))
    p = sigmoid(ROW)
    wanted = -np.mean(share * np.log(p) + (1 - share) * np.log1p(-p))
    assert float(th.metrics.log_loss(ROW, share)) == pytest.approx(wanted, rel=1e-6)
