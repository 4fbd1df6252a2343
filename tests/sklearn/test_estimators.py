"""NeuralRegressor and NeuralClassifier: their numbers, and how they behave within scikit-learn."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import thetahat as th
from thetahat.sklearn import NeuralClassifier, NeuralRegressor

# The forward pass in NumPy has no public name; it is compared with JAX's.
from thetahat.sklearn._nets import ACTIVATIONS, Nets

SMALL = {"width": 8, "depth": 1, "epochs": 24, "n_seeds": 3}


def draw(n: int = 90, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a linear relation with noise."""
    rng = np.random.default_rng((n, d, seed))
    x = rng.normal(size=(n, d))
    return x, 10 + 5 * x[:, 0] + rng.normal(size=n)


@pytest.fixture(scope="module")
def fitted() -> NeuralRegressor:
    """A small bag."""
    return NeuralRegressor(**SMALL).fit(*draw())


# -- its numbers ----------------------------------------------------------------------------------


def test_activations_are_those_of_the_nets_in_jax() -> None:
    import jax

    assert set(ACTIVATIONS) == set(th.models.ACTIVATIONS)
    values, nets = np.linspace(-30, 30, 41), {}
    for name in ACTIVATIONS:
        net = th.models.TabularMLP(1, width=1, depth=1, activation=name)
        layers = [
            {"kernel": np.eye(1), "bias": np.zeros(1)},
            {"kernel": np.eye(1), "bias": np.zeros(1)},
        ]
        # Inputs are squashed: the first layer's bias is the value.
        nets[name] = lambda v, net=net, layers=layers: net.apply(
            {"scale": np.zeros(1), "layers": [layers[0] | {"bias": v[None]}, layers[1]]},
            np.zeros(1),
        )
    with jax.enable_x64(True):
        both = jax.jit(lambda v: {name: jax.vmap(net)(v) for name, net in nets.items()})(values)
    for name, expected in both.items():
        found = ACTIVATIONS[name](values)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15, err_msg=name)


def test_the_forward_pass_is_that_of_the_net_in_jax() -> None:
    import jax

    rng = np.random.default_rng(0)
    net = th.models.TabularMLP(3, width=4, depth=2, out=2)
    shapes = [(3, 4), (4, 4), (4, 2)]
    layers = [{"kernel": rng.normal(size=s), "bias": rng.normal(size=s[1])} for s in shapes]
    params = {"scale": rng.normal(size=3), "layers": layers}
    x, mean, std = rng.normal(size=(5, 3)), rng.normal(size=3), np.array([1.0, 2.0, 0.5])
    nets = Nets(
        scale=params["scale"][None],
        kernels=tuple(layer["kernel"][None] for layer in layers),
        biases=tuple(layer["bias"][None] for layer in layers),
        x_mean=mean,
        x_std=std,
        y_mean=np.array([1.0, 2.0]),
        y_std=np.array([3.0, 4.0]),
        clip=th.models.CLIP,
        activation="mish",
    )
    with jax.enable_x64(True):
        h = jax.jit(jax.vmap(lambda row: net.apply(params, row)))((x - mean) / std)
    expected = np.asarray(h) * [3, 4] + [1, 2]
    np.testing.assert_allclose(nets.outputs(x)[0], expected, rtol=1e-12)


TABLES = {"diabetes": load_diabetes, "wine": load_wine}


@pytest.mark.parametrize("name", TABLES)
def test_the_defaults_are_those_of_thetahat_fit(name: str, tmp_path: Path, thetahat) -> None:
    x, y = TABLES[name](return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[:150]
    (x, new), (y, truth) = (np.split(values[rows], [110]) for values in (x, y))
    # The estimator sorts its rows first, so that their order changes nothing.
    order = np.lexsort(np.column_stack([x, y])[:, ::-1].T)
    frame = pd.DataFrame(x[order], columns=[f"x{k}" for k in range(x.shape[1])])
    frame.assign(y=y[order]).to_csv(tmp_path / "t.csv", index=False)
    kind = "class" if name == "wine" else "number"
    saved = tmp_path / "model.theta"
    # In double precision, so that rounding cannot hide another program.
    words = ["--train=0.8", "--val=0.2", "--test=0", "--no-store", "--quiet", f"--save={saved}"]
    words += ["--dtype=float64", "--epochs=12"]
    given = {"dtype": "float64", "epochs": 12}
    table = str(tmp_path / "t.csv")
    code, _, err = thetahat("fit", table, "--target=y", f"--target-kind={kind}", *words)
    assert code == 0, err
    if name == "wine":
        ours = NeuralClassifier(**given).fit(x, y).predict_proba(new)
        np.testing.assert_allclose(ours, th.load(saved).predict_proba(new), atol=1e-5)
        assert log_loss(truth, ours) < 0.3
    else:
        ours, theirs = NeuralRegressor(**given).fit(x, y).predict(new), th.load(saved).predict(new)
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * y.std())


def test_each_loss_estimates_its_own_location() -> None:
    rng = np.random.default_rng(1)
    x = np.repeat([0.0, 1.0], 200)[:, None]
    y = 3 * x[:, 0] + rng.exponential(size=400)
    sample = y[:200]
    wanted = {
        "squared": sample.mean(),
        "absolute": np.median(sample),
        "quantile": np.quantile(sample, 0.9),
        "huber": sample.mean(),
    }
    for loss, level in wanted.items():
        model = NeuralRegressor(loss, quantile=0.9, delta=1e3, **(SMALL | {"epochs": 80}))
        np.testing.assert_allclose(model.fit(x, y).predict([[0.0]]), level, atol=0.2, err_msg=loss)


def test_shares_are_fitted_by_the_logistic_loss() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    truth = 1 / (1 + np.exp(-2 * x[:, 0]))
    y = rng.binomial(5, truth) / 5  # 0 and 1 too
    model = NeuralRegressor("logistic", **(SMALL | {"epochs": 60})).fit(x, y)
    assert np.sqrt(np.mean((model.predict(x) - truth) ** 2)) < 0.08
    each = 1 / (1 + np.exp(-model.nets_.outputs(x)[..., 0]))
    np.testing.assert_allclose(model.predict(x), each.mean(0), rtol=1e-9)
    np.testing.assert_allclose(model.predict_std(x), each.std(0), atol=1e-12)
    far = model.predict([[50.0, 0.0], [-50.0, 0.0]])
    assert 0 <= far[1] < 0.2 < 0.8 < far[0] <= 1
    assert np.nanmin(model.oob_prediction_) >= 0 and np.nanmax(model.oob_prediction_) <= 1


def test_a_weight_of_two_is_two_rows_and_of_zero_none() -> None:
    x, y = draw(60)
    weight = np.random.default_rng(0).integers(0, 4, size=60)
    weighted = NeuralRegressor(**SMALL).fit(x, y, sample_weight=weight)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(60), weight))
    repeated = NeuralRegressor(**SMALL).fit(x[rows], y[rows])
    assert weighted.predict(x).tobytes() == repeated.predict(x).tobytes()
    plain = NeuralRegressor(**SMALL).fit(x, y)
    assert np.abs(plain.predict(x) - weighted.predict(x)).max() > 1e-3
    assert np.isnan(weighted.oob_prediction_[weight == 0]).all()


def test_a_class_of_weight_zero_is_none() -> None:
    x, y = draw(60)
    label = np.where(y > 10, "high", "low").astype("<U9")
    label[:5], weight = "forgotten", np.repeat([0.0, 1.0], [5, 55])
    weighted = NeuralClassifier(**SMALL).fit(x, label, sample_weight=weight)
    without = NeuralClassifier(**SMALL).fit(x[5:], label[5:])
    assert weighted.classes_.tolist() == without.classes_.tolist() == ["high", "low"]
    assert weighted.predict_proba(x).tobytes() == without.predict_proba(x).tobytes()
    outside = weighted.oob_decision_function_
    np.testing.assert_array_equal(outside[5:], without.oob_decision_function_)
    assert np.isnan(outside[:5]).all()
    with pytest.raises(ValueError, match="one class, 'high'"):
        NeuralClassifier(**SMALL).fit(x, label, sample_weight=(label == "high") * 1.0)
    share = np.where(weight > 0, y > 10, 7.0)
    shares = NeuralRegressor("logistic", **SMALL).fit(x, share, sample_weight=weight)
    assert shares.predict(x).max() <= 1


def test_predictions_out_of_bag_are_those_of_the_nets_that_held_a_row_out() -> None:
    x, y = draw(50)
    model = NeuralRegressor(**SMALL, val=1 / 3).fit(x[:48], y[:48])
    each = model.nets_.outputs(x[:48])[..., 0]
    apart = np.abs(each - model.oob_prediction_)
    assert apart.min(axis=0).max() < 1e-9  # three nets hold out a third each: one for every row
    assert np.bincount(apart.argmin(axis=0), minlength=3).tolist() == [16] * 3
    classes = NeuralClassifier(**SMALL, val=1 / 3).fit(x[:48], y[:48] > 10)
    np.testing.assert_allclose(classes.oob_decision_function_.sum(axis=1), 1)


def test_spread_is_over_the_nets(fitted: NeuralRegressor) -> None:
    x, _ = draw(20, seed=1)
    each = fitted.nets_.outputs(x)[..., 0]
    assert each.shape == (3, 20)
    np.testing.assert_allclose(fitted.predict(x), each.mean(0))
    np.testing.assert_allclose(fitted.predict_std(x), each.std(0))
    quantiles = fitted.predict_quantiles(x, (0.0, 0.5, 1.0))
    np.testing.assert_allclose(quantiles, np.sort(each, axis=0).T)


def test_several_targets_are_fitted_together() -> None:
    x, y = draw()
    model = NeuralRegressor(**(SMALL | {"epochs": 80})).fit(x, np.c_[y, -3 * y])
    assert model.predict(x).shape == model.predict_std(x).shape == (90, 2)
    assert model.predict_quantiles(x).shape == (90, 3, 2)
    assert r2_score(np.c_[y, -3 * y], model.predict(x), multioutput="raw_values").min() > 0.8


def test_more_than_two_classes_of_text() -> None:
    x, y = draw(150)
    label = np.array(["high", "low", "mid"])[np.digitize(y, [8, 12]) - 1]
    model = NeuralClassifier(**(SMALL | {"epochs": 80})).fit(x, label)
    assert model.classes_.tolist() == ["high", "low", "mid"]
    assert model.score(x, label) > 0.75
    assert model.predict_proba(x).shape == model.decision_function(x).shape == (150, 3)
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1)
    assert model.predict_std(x).shape == (150, 3)


def test_training_has_the_precision_that_was_asked_for() -> None:
    x, y = draw(40)
    double = NeuralRegressor(**SMALL, dtype="float64").fit(x, y)
    single = NeuralRegressor(**SMALL).fit(x, y)
    assert np.array_equal(np.float32(single.nets_.scale), single.nets_.scale)
    assert not np.array_equal(np.float32(double.nets_.scale), double.nets_.scale)
    assert double.score(x, y) == pytest.approx(single.score(x, y), abs=0.1)


def test_warm_start_goes_on_from_the_nets_before() -> None:
    x, y = draw()
    model = NeuralRegressor(**SMALL, warm_start=True, random_state=3)
    first = model.fit(x, y).score(x, y)
    before = model.nets_
    model.set_params(epochs=1, lr=1e-9).fit(x[:80] + 1, y[:80])
    # A step of nearly no length keeps the function of the table's own columns, on other rows too.
    np.testing.assert_allclose(model.nets_.outputs(x), before.outputs(x), rtol=1e-4)
    assert model.set_params(epochs=24, lr=0.01).fit(x, y).score(x, y) > first - 0.02
    with pytest.raises(ValueError, match=r"3 nets with layers \(3, 8, 1\).*\(3, 9, 1\)"):
        model.set_params(width=9).fit(x, y)


# -- within scikit-learn --------------------------------------------------------------------------


def test_other_tables_and_rates_train_by_the_same_program(fresh_programs) -> None:
    counts = []
    for k, (n, d) in enumerate([(60, 3), (71, 4), (64, 8)]):
        model = NeuralRegressor(**SMALL, lr=0.01 * (k + 1), weight_decay=0.1 * k, random_state=k)
        counts.append(model.fit(*draw(n, d)).traces_)
    assert counts == [1, 0, 0]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_give_their_names(kind: str) -> None:
    x, y = draw(40)
    make: Any = pd.DataFrame if kind == "pandas" else pl.DataFrame
    frame, target = (
        make({"a": x[:, 0], "b": x[:, 1]}),
        (pd.Series if kind == "pandas" else pl.Series)(y),
    )
    model = NeuralRegressor(**SMALL).fit(frame, target)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    alone = NeuralRegressor(**SMALL).fit(x[:, :2], y)
    np.testing.assert_array_equal(model.predict(frame), alone.predict(x[:, :2]))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a"]])


def test_pipelines_searches_and_copies(tmp_path: Path, fitted: NeuralRegressor) -> None:
    x, y = draw()
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False), NeuralRegressor(**SMALL))
    name = "neuralregressor__lr"
    search = GridSearchCV(pipe, {name: [1e-6, 0.05]}, cv=KFold(2), n_jobs=2).fit(x, y)
    assert search.best_params_ == {name: 0.05} and search.best_score_ > 0.3
    model = NeuralRegressor(**SMALL)
    folds = cross_val_predict(model, x, y, cv=KFold(3))
    one = clone(model).fit(x[30:], y[30:]).predict(x[:30])
    np.testing.assert_array_equal(folds[:30], one)
    joblib.dump(fitted, tmp_path / "model.joblib")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib")):
        assert copy.predict(x).tobytes() == fitted.predict(x).tobytes()


def test_random_states() -> None:
    x, y = draw(40)

    def at(state: Any) -> np.ndarray:
        return NeuralRegressor(**(SMALL | {"epochs": 2}), random_state=state).fit(x, y).predict(x)

    assert at(0).tobytes() == at(0).tobytes() != at(1).tobytes()
    assert at(np.random.RandomState(5)).tobytes() == at(np.random.RandomState(5)).tobytes()
    assert at(None).tobytes() != at(None).tobytes()


# -- wrong input ----------------------------------------------------------------------------------

X, Y = draw(30)
NAN = np.where(np.arange(30)[:, None] == 4, np.nan, X)
WRONG: dict[str, tuple[Any, Any, Any, str]] = {
    "no 2d x": (NeuralRegressor(), X[:, 0], Y, "Expected 2D array, got 1D array"),
    "other lengths": (NeuralRegressor(), X, Y[:9], "inconsistent numbers of samples"),
    "missing": (NeuralRegressor(), NAN, Y, "Input X contains NaN"),
    "missing y": (NeuralRegressor(), X, NAN[:, 0], "Input y contains NaN"),
    "text": (NeuralRegressor(), [["a"], ["b"]], [1, 2], "'a'; encode text as numbers, such as by"),
    "text y": (NeuralRegressor(), X[:2], ["a", "b"], "'a'.*; encode text as numbers"),
    "constant y": (NeuralRegressor(), X, 0 * Y + 2, "y is constant: 2 in all 30 rows"),
    "one class": (NeuralClassifier(), X, ["a"] * 30, "y has one class, 'a'; give at least two"),
    "numbers as classes": (NeuralClassifier(), X, Y, "Unknown label type: continuous"),
    "loss": (NeuralRegressor("huberr"), X, Y, "loss='huberr' is unknown; did you mean 'huber'"),
    "activation": (NeuralClassifier(activation="rel"), X, Y > 9, "did you mean 'relu'"),
    "preprocessing": (NeuralRegressor(preprocessing="minmax"), X, Y, "known: robust, standard"),
    "no shares": (NeuralRegressor("logistic"), X, Y, r"y has 0\.\d+ to 1\d\..*shares from 0 to 1"),
    "quantile": (NeuralRegressor("quantile", quantile=90), X, Y, "a number between 0 and 1"),
    "seeds": (NeuralRegressor(n_seeds=0), X, Y, "n_seeds=0.*an integer of at least 1"),
    "val": (NeuralRegressor(val=1.0), X, Y, "a share from 0 to 1"),
    "lr": (NeuralRegressor(lr="fast"), X, Y, "lr='fast'.*a number above 0, or None"),
    "random state": (NeuralRegressor(random_state=-1), X, Y, "random_state=-1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_message(case: str) -> None:
    model, x, y, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        model.fit(x, y)


def test_wrong_weights_and_levels_get_one_message(fitted: NeuralRegressor) -> None:
    with pytest.raises(ValueError, match="1 rows have a weight above 0; give at least 2"):
        NeuralRegressor().fit(X, Y, sample_weight=np.eye(30)[0])
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        NeuralRegressor().fit(X, Y, sample_weight=-np.ones(30))
    with pytest.raises(ValueError, match="levels from 0 to 1"):
        fitted.predict_quantiles(X, 90)
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(X[:, :2])


def test_a_column_of_y_is_flattened_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        model = NeuralRegressor(**(SMALL | {"epochs": 2})).fit(X, Y[:, None])
    assert model.predict(X).shape == (30,)


def test_rates_that_are_too_high_get_one_message() -> None:
    with pytest.raises(ValueError, match="none of the 3 nets has a finite risk.*a lower lr"):
        NeuralRegressor(**SMALL, lr=1e30).fit(X, Y)
