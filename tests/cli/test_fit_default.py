"""``thetahat fit`` without flags about training: averaged nets beside other estimators."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from thetahat.store import open_store

STANDARD_PROGRAMS = True

N = 150
SMALL = ["--members=3", "--width=8", "--epochs=24"]


@pytest.fixture
def table(folder: Path) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(N, 6)), columns=list("abcdef"))
    frame["y"] = 50 + 10 * (np.sin(2 * frame["a"]) + frame["b"] + 0.7 * rng.normal(size=N))
    frame.to_csv("t.csv", index=False)
    return frame


def test_it_is_compared_with_other_estimators_on_the_same_rows(
    table: pd.DataFrame, thetahat
) -> None:
    words = ["fit", "t.csv", "--target=y", *SMALL, "--predict=p.csv", "--format=json"]
    code, out, err = thetahat(*words)
    assert code == 0, err
    rows = {row["model"]: row for row in json.loads(out)}
    assert list(rows) == ["3 × net", "OLS", "ridge", "forest", "boosting"]
    file = pd.read_csv("p.csv")
    assert file["part"].value_counts().to_dict() == {"train": 128, "test": 22}
    train, test = ((file["part"] == part).to_numpy() for part in ("train", "test"))
    x, y = table[list("abcdef")].to_numpy(), table["y"].to_numpy()
    net = rows["3 × net"]
    assert net["test_r2"] == pytest.approx(r2_score(y[test], file["fitted"][test]), rel=1e-4)
    outside = file.loc[train, "out_of_bag"]
    assert outside.notna().sum() == 69 and file.loc[test, "out_of_bag"].isna().all()
    peers = {
        "OLS": LinearRegression(),
        "forest": RandomForestRegressor(200, random_state=0),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }
    for name, model in peers.items():
        y_hat = model.fit(x[train], y[train]).predict(x[test])
        close = 1e-6 if name == "OLS" else 0.05  # trees see scaled columns: ties fall otherwise
        assert rows[name]["test_r2"] == pytest.approx(r2_score(y[test], y_hat), abs=close)
    # Ridge has some penalty between none and many: its fit is one of scikit-learn's.
    z = (x - x[train].mean(0)) / x[train].std(0)
    fits = [Ridge(p).fit(z[train], y[train]).predict(z[test]) for p in np.logspace(-3, 5, 25)]
    assert min(abs(r2_score(y[test], f) - rows["ridge"]["test_r2"]) for f in fits) < 1e-5
    # The difference in the table is paired over the test rows.
    y_hat = LinearRegression().fit(x[train], y[train]).predict(x[test])
    scale = net["test_mse"] / net["test_risk"]
    gaps = ((y_hat - y[test]) ** 2 - (file["fitted"][test] - y[test]) ** 2) / scale
    assert rows["OLS"]["gap"] == pytest.approx(gaps.mean(), rel=1e-3, abs=1e-4)
    assert rows["OLS"]["gap_se"] == pytest.approx(gaps.std(ddof=1) / np.sqrt(len(gaps)), rel=1e-3)
    # Its run is the average; the runs of its members stand before it.
    with open_store(create=False) as store:
        *members, average = store.runs()
    assert [run.config["member"] for run in members] == [0, 1, 2]
    assert len({run.cohort for run in (*members, average)}) == 1
    assert "member" not in average.config
    assert average.metrics["test_risk"] == pytest.approx(net["test_risk"], rel=1e-6)
    code, out, _ = thetahat("show", "last", "--format=json")
    shown = json.loads(out)
    assert shown["name"] == average.name and shown["metrics"] == dict(average.metrics)
    assert [one["test_risk"] for one in shown["members"]] == [
        member.metrics["test_risk"] for member in members
    ]
    # A risk of 1, in squared units of y, is the variance of the first member's training rows.
    unit = shown["detail"]["risk_unit"]
    assert (unit["unit"], unit["one"]) == ("y²", pytest.approx(scale, rel=1e-5))
    _, out, _ = thetahat("show", "last")
    said = " ".join(out.split())
    assert "val_risk is out of bag" in said and f"test {net['test_mse']:.4g} y²" in said


def test_the_screen_says_who_wins_and_one_member_is_one_run(table: pd.DataFrame, thetahat) -> None:
    words = ["fit", "t.csv", "--target=y", *SMALL, "--no-store"]
    code, out, _ = thetahat(*words)
    assert code == 0
    said = " ".join(out.split())
    assert "(128 train, of which each member holds out 23, 22 test)" in said
    assert "3 of 3 members averaged" in said and "out-of-bag risk" in said
    assert "lowest test risk: " in said
    assert "paired over 22 test rows" in said
    assert "a risk of 1 is" in said and "y², the variance of y among the rows" in said
    code, out, _ = thetahat(*words, "--members=1", "--format=json")
    assert next(row["model"] for row in json.loads(out)) == "net"


def test_a_class_with_one_row_leaves_out_what_cannot_be_cross_validated(
    folder: Path, thetahat
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=40), "y": ["p", "q", "r", "s"] * 9 + list("pqrt")})
    frame.to_csv("t.csv", index=False)
    words = ["--members=1", "--width=4", "--epochs=2", "--no-store", "--train=37", "--val=0"]
    code, out, err = thetahat("fit", "t.csv", "--target=y", "--test=3", "--format=json", *words)
    assert code == 0 and "Traceback" not in err
    models = {row["model"] for row in json.loads(out)}
    assert "multinomial logit" in models and "ridge logit" not in models


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--members=8", "--seeds=3"], "--members 8 averages fits and --seeds 3 shows"),
        (["--lr=inf"], "--lr=inf"),
        (["--tau=2"], "--tau has no effect with --loss squared"),
        (["--loss=pinball", "--tau=2"], "tau"),
        (["--members=3", "--groups=a"], "--members 3 holds out rows without regard to --groups"),
        (["--members=0"], "--members=0"),
        (["--train=0"], "empty split: train"),
    ],
)
def test_flags_that_cannot_be_are_refused(
    words: list[str], said: str, table: pd.DataFrame, thetahat
) -> None:
    code, _, err = thetahat("fit", "t.csv", "--target=y", "--no-store", *words)
    assert code == 2
    assert said in " ".join(err.split())
    assert err.count("Traceback") == 0
