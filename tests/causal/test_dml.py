"""th.dml: effects, standard errors and sensitivity against closed forms and statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier

import thetahat as th

LOGIT = LogisticRegression(solver="newton-cholesky")
LINEAR = {"l": LinearRegression(), "m": LOGIT}
LINEAR_IRM = {"g": LinearRegression(), "m": LOGIT}


def sample(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    z = (rng.random(n) < 1 / (1 + np.exp(-a))).astype(float)
    d = (rng.random(n) < 1 / (1 + np.exp(0.5 - b - z))).astype(float)
    y = 0.5 * d + a + 0.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "d": d, "z": z, "a": a, "b": b, "g": np.arange(n) // 5})


def by_ols(frame: pd.DataFrame, weights=None) -> dict[str, np.ndarray]:
    """In-sample least-squares predictions: by Frisch and Waugh, theta is then that of OLS."""
    x = sm.add_constant(frame[["a", "b"]])
    w = np.ones(len(frame)) if weights is None else weights
    return {
        k: sm.WLS(frame[v], x, weights=w).fit().fittedvalues.to_numpy()
        for k, v in (("l", "y"), ("m", "d"))
    }


def test_partially_linear_equals_robust_least_squares_given_its_residuals():
    frame = sample()
    x = sm.add_constant(frame[["d", "a", "b"]])
    rng = np.random.default_rng(1)
    w = rng.uniform(0.5, 2, len(frame))
    for weights, options in (
        (None, {"cov_type": "HC0"}),
        (w, {"cov_type": "HC0"}),
        (
            None,
            {"cov_type": "cluster", "cov_kwds": {"groups": frame["g"], "use_correction": False}},
        ),
    ):
        given = np.ones(len(frame)) if weights is None else weights
        theirs = sm.WLS(frame["y"], x, weights=given).fit(**options)
        groups = "g" if options["cov_type"] == "cluster" else None
        ours = th.dml(
            *("y", "d", ["a", "b"]), data=frame, predictions=by_ols(frame, weights),
            weights=weights, groups=groups,
        )  # fmt: skip
        assert ours.theta == pytest.approx(theirs.params["d"], abs=1e-10)
        assert ours.se == pytest.approx(theirs.bse["d"], abs=1e-10)
        assert ours.p_value == pytest.approx(theirs.pvalues["d"], rel=1e-6)
        assert ours.ci == pytest.approx(tuple(theirs.conf_int().loc["d"]), rel=1e-6)


def test_rows_of_weight_zero_are_left_out():
    frame = sample()
    weights = np.random.default_rng(1).uniform(0.5, 2, len(frame))
    gone = [0, 7, len(frame) - 1]
    frame.loc[gone, ["y", "d"]], weights[gone] = (1e6, 3), 0
    whole = frame.assign(w=weights)
    some, controls = whole.drop(index=gone), ["a", "b"]
    how = {"model": "irm", "learner": LINEAR_IRM, "repetitions": 2, "compare": ("lasso",)}
    found = th.dml("y", "d", controls, data=whole, weights="w", groups="g", **how)
    alone = th.dml("y", "d", controls, data=some, weights="w", groups="g", **how)
    assert (found.theta, found.se) == (alone.theta, alone.se)
    assert found.sensitivity() == alone.sensitivity()
    assert f"{len(some)} rows, 2 controls" in str(found) and "(3 more of weight 0)" in str(found)
    assert str(found).replace(" (3 more of weight 0)", "") == str(alone)
    # Predictions are those of all rows.
    every = {k: np.full(len(whole), np.nan) for k in ("l", "m")}
    for k, values in by_ols(some, some["w"]).items():
        every[k][some.index] = values
    plain = th.dml("y", "d", controls, data=whole, weights="w", predictions=every)
    theirs = sm.WLS(some["y"], sm.add_constant(some[["d", "a", "b"]]), weights=some["w"]).fit()
    assert plain.theta == pytest.approx(theirs.params["d"], abs=1e-10)


def means_by(frame: pd.DataFrame, what: str, by: str, value: int) -> np.ndarray:
    return np.full(len(frame), frame.loc[frame[by] == value, what].mean())


def test_interactive_model_without_controls_is_a_difference_in_means():
    frame = sample()
    given = {f"g{v}": means_by(frame, "y", "d", v) for v in (0, 1)}
    given["m"] = np.full(len(frame), frame["d"].mean())
    groups = [frame.loc[frame["d"] == v, "y"] for v in (0, 1)]
    gap = groups[1].mean() - groups[0].mean()
    error = np.sqrt(sum(g.var(ddof=0) / len(g) for g in groups))
    for effect in ("ATE", "ATTE"):
        found = th.dml(
            *("y", "d", ["a"]), data=frame, model="irm", effect=effect, predictions=given
        )
        assert found.theta == pytest.approx(gap, abs=1e-12)
        assert found.se == pytest.approx(error, rel=1e-10)


def test_instrument_without_controls_gives_the_ratio_of_wald():
    frame = sample()
    given = {f"g{v}": means_by(frame, "y", "z", v) for v in (0, 1)}
    given |= {f"r{v}": means_by(frame, "d", "z", v) for v in (0, 1)}
    given["m"] = np.full(len(frame), frame["z"].mean())
    found = th.dml("y", "d", ["a"], "z", data=frame, predictions=given)
    wald = (given["g1"] - given["g0"])[0] / (given["r1"] - given["r0"])[0]
    assert found.effect == "LATE" and found.theta == pytest.approx(wald, abs=1e-12)
    # The standard error of 2SLS, robust.
    z, d, y = (frame[k] - frame[k].mean() for k in "zdy")
    u = y - wald * d
    assert found.se == pytest.approx(np.sqrt((z**2 * u**2).sum()) / abs((z * d).sum()), rel=1e-10)
    with pytest.raises(th.InputError, match="the theory is of plr and irm"):
        found.sensitivity()


def test_an_instrument_that_nobody_takes_up_without_it_needs_no_classifier_there():
    frame = sample().assign(d=lambda f: f["d"] * f["z"])
    found = th.dml(
        "y",
        "d",
        ["a", "b"],
        "z",
        data=frame,
        learner={**LINEAR_IRM, "r": LOGIT},
        repetitions=1,
        compare=(),
    )
    assert (found.nuisances["r0"].predictions == 0).all()
    assert 0 < found.nuisances["r1"].score < 1 and np.isfinite(found.se)


def test_repetitions_are_joined_by_the_stated_median_rule():
    frame = sample()
    found = th.dml("y", "d", ["a", "b"], data=frame, learner=LINEAR, repetitions=4, compare=())
    assert found.theta == np.median(found.thetas)
    spread = np.median(found.ses**2 + (found.thetas - found.theta) ** 2)
    assert found.se == pytest.approx(np.sqrt(spread))
    assert len(set(found.thetas)) == 4


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, covered, simulations = np.random.default_rng(0), 0, 120
    for _ in range(simulations):
        x = rng.normal(size=(120, 2))
        d = x[:, 0] + rng.normal(size=120)
        y = 0.5 * d + x.sum(1) + rng.normal(size=120)
        linear = {"l": LinearRegression(), "m": LinearRegression()}
        low, high = th.dml(y, d, x, learner=linear, folds=2, repetitions=1, compare=()).ci
        covered += low < 0.5 < high
    assert 0.90 <= covered / simulations <= 0.99  # 2.8 standard deviations around .95


@pytest.mark.parametrize("model", ["plr", "irm"])
def test_standard_errors_of_sensitivity_bounds_are_those_of_the_jackknife(model):
    frame = sample(100, seed=2)
    x = sm.add_constant(frame[["a", "b"]])
    kept = {"m": np.clip(sm.Logit(frame["d"], x).fit(disp=0).predict(x).to_numpy(), 0.1, 0.9)}
    kept |= {k: by_ols(frame)["l"] for k in ("l", "g0", "g1")}
    kept["g1"] = kept["g1"] + 0.4

    def bounds(rows: np.ndarray):
        given = {k: v[rows] for k, v in kept.items()}
        halves = np.array_split(np.arange(len(rows)), 2)
        one = th.dml(
            *("y", "d", ["a", "b"]), data=frame.iloc[rows], model=model, predictions=given,
            folds=[[(halves[0], halves[1]), (halves[1], halves[0])]],
        )  # fmt: skip
        return one.sensitivity(0.2, 0.2)

    rows = np.arange(100)
    full, without = bounds(rows), [bounds(np.delete(rows, i)) for i in rows]
    for side in ("low", "high"):
        ends = np.array([getattr(one, side) for one in without])
        jackknife = np.sqrt(99 / 100 * np.sum((ends - ends.mean()) ** 2))
        error = abs(getattr(full, f"ci_{side}") - getattr(full, side)) / 1.6448536269514722
        assert error == pytest.approx(jackknife, rel=0.03)


def test_robustness_value_moves_the_bound_to_the_null():
    frame = sample()
    found = th.dml("y", "d", ["a", "b"], data=frame, learner=LINEAR, repetitions=3, compare=())
    for null in (0.0, 2 * found.theta):
        value = found.sensitivity(null=null)
        moved = found.sensitivity(value.robustness, value.robustness)
        assert (moved.low if null == 0 else moved.high) == pytest.approx(null, abs=1e-9)
        assert value.robustness_ci < value.robustness
    assert found.sensitivity(0, 0).low == pytest.approx(found.theta)


def test_trimming_is_counted_and_bounds_what_is_divided_by():
    frame = sample()
    chances = np.linspace(0, 1, len(frame))
    given = {"g0": np.zeros(300), "g1": np.ones(300), "m": chances}
    found = th.dml("y", "d", ["a"], data=frame, model="irm", predictions=given, trim=0.1)
    assert found.trimmed.below.tolist() == [int((chances < 0.1).sum())]
    assert found.trimmed.above.tolist() == [int((chances > 0.9).sum())]
    kept = {**given, "m": np.clip(chances, 0.1, 0.9)}
    again = th.dml("y", "d", ["a"], data=frame, model="irm", predictions=kept, trim=0)
    assert again.theta == found.theta
    with pytest.raises(th.InputError, match="probabilities of 0 or 1"):
        th.dml("y", "d", ["a"], data=frame, model="irm", predictions=given, trim=0)


def test_nets_estimate_both_nuisances_and_stand_beside_lasso_and_forest(tmp_path):
    frame = sample(120)
    found = th.dml("y", "d", ["a", "b"], data=frame, folds=2, repetitions=2, nets=2)
    assert abs(found.theta - 0.5) < 4 * found.se
    printed = str(found)
    for words in (
        "partially linear regression", "y on d: 120 rows, 2 controls", "2 x net", "lasso", "forest",
        "median of se_r^2 + (theta_r - theta)^2", "least", "log loss", "R2", "Overlap", "Trimming",
        "Sensitivity",
    ):  # fmt: skip
        assert words in printed, words
    assert f"{found.theta:.2g}" in printed
    page = tmp_path / "effect.html"
    found.save(page)
    html = page.read_text()
    assert html.count("<svg") == 2 and "from its store" not in html and "Effect of d on y" in html
    table = found.latex()
    assert r"\toprule" in table and "2 x net &" in table and table.count(r"\\") >= 4
    found.save(tmp_path / "effect.tex")
    assert (tmp_path / "effect.tex").read_text() == table
    (tmp_path / "mine.md").write_text("my notes")
    with pytest.raises(th.InputError, match="thetahat did not write it"):
        found.save(tmp_path / "mine.md")
    assert "<table" in found._repr_html_()


def test_arrays_and_columns_of_a_table_give_the_same_numbers():
    frame = sample(120)
    options = {"learner": LINEAR, "repetitions": 2, "compare": ()}
    named = th.dml("y", "d", ["a", "b"], data=frame, **options)
    arrays = th.dml(frame["y"], frame["d"].to_numpy(), frame[["a", "b"]], **options)
    others = th.dml("y", "d", data=frame.drop(columns=["z", "g"]), **options)
    assert named.theta == pytest.approx(arrays.theta) == pytest.approx(others.theta)
    assert arrays.columns.controls == ("a", "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": "w"}, "'w'"),
        ({"d": "y"}, "'y' is given for y and for d"),
        ({"x": ["a", "d"]}, "'d' is a control too"),
        ({"data": None}, "y='y' names a column, and there is no table"),
        ({"model": "plm"}, "model='plm' is unknown; did you mean 'plr'"),
        ({"effect": "ATE"}, "effect='ATE' is unknown"),
        ({"model": "irm", "d": "a", "x": ["b"]}, "a holds .* needs 0 and 1; model='plr' takes"),
        ({"model": "iivm"}, "needs an instrument"),
        ({"model": "irm", "z": "z"}, "takes no instrument"),
        ({"trim": 0.5}, "trim=0.5"),
        ({"level": 95}, "level=95"),
        ({"learner": {"l": LinearRegression()}}, "no entry for nuisance 'm'"),
        ({"learner": {"q": LinearRegression()}}, "learner='q' is unknown"),
        ({"model": "irm", "learner": LinearRegression()}, "has no predict_proba"),
        ({"predictions": {"l": np.zeros(60)}}, "predictions lack m"),
        ({"predictions": {"l": np.zeros(3), "m": np.zeros(3)}}, "have shape"),
        ({"compare": "boosting"}, "compare='boosting' is unknown"),
        ({"modle": "plr"}, "no argument 'modle'; did you mean 'model'"),
    ],
)
def test_bad_input_gets_one_message(change, message):
    given = {"y": "y", "d": "d", "x": ["a", "b"], "data": sample(60), "learner": LINEAR,
             "folds": 2, "repetitions": 1, "compare": (), **change}  # fmt: skip
    with pytest.raises(th.InputError, match=message):
        th.dml(**given)


def test_missing_values_and_a_treatment_that_never_varies_are_refused():
    frame = sample(60)
    with pytest.raises(th.InputError, match="d"):
        th.dml("y", "d", ["a"], data=frame.assign(d=frame["d"].where(frame.index > 0)))
    with pytest.raises(th.InputError, match="d is 1 in every row"):
        th.dml("y", "d", ["a"], data=frame.assign(d=1.0))


def test_dml_refuses_what_would_give_a_wrong_effect_in_silence() -> None:
    frame = sample()
    x, given = frame[["a", "b"]], {"learner": LINEAR, "repetitions": 1, "compare": ()}
    with pytest.raises(th.InputError, match="another order than those of y: row 0 has the labels"):
        th.dml(frame["y"], frame["d"][::-1], x, **given)
    for copied, name in ((1 - 2 * frame["d"], "d"), (3 * frame["y"], "y")):
        with pytest.raises(th.InputError, match=f"control more is a copy of {name}"):
            th.dml(frame["y"], frame["d"], x.assign(more=copied), **given)
    total = LinearRegression()
    with pytest.raises(th.InputError, match="the controls determine dose up to rounding"):
        th.dml(frame["y"], (x["a"] + x["b"]).rename("dose"), x, learner=total, compare=())
    with pytest.raises(th.InputError, match="LogisticRegression predicts labels, and a mean"):
        th.dml(frame["y"], frame["d"] + 1, x, **given)
    with pytest.raises(th.InputError, match="RidgeClassifier predicts labels"):
        th.crossfit(RidgeClassifier(), x, frame["d"], repetitions=1)
    scores = {"g0": frame["a"], "g1": frame["a"], "m": frame["b"]}
    with pytest.raises(
        th.InputError, match="predictions of 'm' lie between .*; give probabilities"
    ):
        th.dml(frame["y"], frame["d"], x, model="irm", predictions=scores)


def test_a_tiny_p_value_is_that_of_scipy() -> None:
    frame = sample(n=2000)
    found = th.dml(frame["y"], frame["d"], frame[["a", "b"]], predictions=by_ols(frame))
    assert 0 < found.p_value < 1e-30
    assert np.isclose(found.p_value, 2 * stats.norm.sf(found.theta / found.se), rtol=1e-9)
