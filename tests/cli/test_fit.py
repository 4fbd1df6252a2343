"""``thetahat fit``: a table without code, its numbers and its messages."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from thetahat import load
from thetahat.store import open_store

N = 200


@pytest.fixture
def table(folder: Path) -> Path:
    """y = 3 + 2 a - b plus noise, in units far from one; w are weights, c a word, one gap in g."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 2, N), rng.normal(-1, 3, N)
    y = 100 * (3 + 2 * a - b + rng.normal(0, 0.5, N))
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["y", "a", "b", "w", "c", "g", "k"])
        for i in range(N):
            gap = "" if i == 7 else i
            writer.writerow([y[i], a[i], b[i], 1 + i % 3, ["x", "z"][i % 2], gap, 1.0])
    return folder / "t.csv"


BASIC = ["fit", "t.csv", "--target", "y", "--features", "a,b", "--quiet"]
# Without a validation part the last state is the result: the minimum itself.
LEAST = ["--model=linear", "--dtype=float64", "--val=0"]
EXACT = [*LEAST, "--optimizer=sgd", "--lr=0.3", "--epochs=100"]
LINEAR = [*BASIC, *EXACT]


def rows(out: str) -> dict[str, dict]:
    return {row["model"]: row for row in json.loads(out)}


def test_a_linear_model_by_lbfgs_is_ols(table: Path, thetahat) -> None:
    words = [w for w in [*BASIC, *LEAST] if w != "--quiet"]
    words += ["--optimizer=lbfgs", "--epochs=40"]
    code, out, err = thetahat(*words, "--weights=w", "--format=json")
    assert (code, err) == (0, "")
    found = rows(out)
    for column in ("test_risk", "test_mse", "test_r2"):
        assert found["linear"][column] == pytest.approx(found["WLS"][column], rel=1e-4)
    assert found["linear"]["params"] == found["WLS"]["params"] == 3
    # In units of y: the noise has standard deviation 50, and explains next to nothing.
    assert 40**2 < found["WLS"]["test_mse"] < 60**2
    assert found["WLS"]["test_r2"] > 0.9


def test_rows_of_weight_0_are_counted(folder: Path, thetahat) -> None:
    lines = [f"{2.0 * i + i % 3},{i},{i % 4}" for i in range(40)]
    (folder / "w.csv").write_text("\n".join(["y,a,w", *lines]), encoding="utf-8")
    words = ["fit", "w.csv", "--target=y", "--weights=w", *EXACT, "--no-store"]
    code, out, _ = thetahat(*words)
    assert code == 0
    assert "30 rows (21 train, 5 test); 4 are in no part; 10 of weight 0 are left out" in out


def test_r2_and_units_are_those_of_scikit_learn(table: Path, thetahat) -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import mean_squared_error, r2_score

    words = [w for w in LINEAR if w != "--quiet"]
    _, out, _ = thetahat(*words, "--predict=out.csv", "--format=json")
    with open("out.csv", newline="", encoding="utf-8") as file:
        fitted = list(csv.DictReader(file))
    assert [int(row["row"]) for row in fitted] == list(range(1, N + 1))
    with table.open(newline="", encoding="utf-8") as file:
        given = list(csv.DictReader(file))
    x = np.array([[float(r["a"]), float(r["b"])] for r in given])
    y = np.array([float(r["y"]) for r in given])
    part = np.array([row["part"] for row in fitted])
    assert {p: int((part == p).sum()) for p in set(part)} == {"train": 140, "test": 30, "": 30}
    assert [float(row["y"]) for row in fitted] == y.tolist()
    train, test = part == "train", part == "test"
    y_hat = LinearRegression().fit(x[train], y[train]).predict(x)
    assert np.array([float(row["fitted"]) for row in fitted]) == pytest.approx(y_hat, rel=1e-4)
    ols = rows(out)["OLS"]
    assert ols["test_mse"] == pytest.approx(mean_squared_error(y[test], y_hat[test]), rel=1e-6)
    assert ols["test_r2"] == pytest.approx(r2_score(y[test], y_hat[test]), rel=1e-6)


def test_several_seeds_are_one_cohort_with_quantiles(table: Path, thetahat) -> None:
    words = [w for w in BASIC if w != "--quiet"]
    more = ["--model=mlp", "--width=4", "--depth=1", "--epochs=5", "--seeds=3", "--loss=absolute"]
    kept = ("--predict=out.csv", "--save=m.theta")
    code, out, err = thetahat(*words, *more, "--format=json", *kept)
    assert code == 0
    said = "over 3 seeds, the median, with 10 and 90 % quantiles, of 200 rows are in out.csv\n"
    assert f"note: fitted values {said}" in err  # a slow machine prints progress before it
    with open("out.csv", newline="", encoding="utf-8") as file:
        fitted = list(csv.DictReader(file))
    assert list(fitted[0]) == ["row", "y", "fitted", "q10", "q90", "part"]
    with table.open(newline="", encoding="utf-8") as file:
        given = list(csv.DictReader(file))
    members = load("m.theta").predict({n: [float(row[n]) for row in given] for n in ("a", "b")})
    for name, q in (("q10", 0.1), ("fitted", 0.5), ("q90", 0.9)):
        expected = np.quantile(members, q, axis=0)
        assert [float(row[name]) for row in fitted] == expected.tolist()
    found = rows(out)
    assert list(found) == ["mlp, 10 %", "mlp, median", "mlp, 90 %", "median regression", "OLS"]
    with open_store(create=False) as store:
        runs = store.runs()
    assert len(runs) == 3
    assert len({run.cohort for run in runs}) == 1
    assert [run.config["seed"] for run in runs] == [0, 1, 2]
    risks = [run.metrics["test_risk"] for run in runs]
    assert found["mlp, median"]["test_risk"] == pytest.approx(np.median(risks), rel=1e-6)
    assert found["mlp, 10 %"]["test_risk"] == pytest.approx(np.quantile(risks, 0.1), rel=1e-6)
    assert found["mlp, 10 %"]["test_r2"] > found["mlp, 90 %"]["test_r2"]


def test_the_screen(table: Path, thetahat) -> None:
    words = [w for w in LINEAR if w != "--quiet"]
    code, out, err = thetahat(*words, "--name=ols")
    assert (code, err) == (0, "")
    first, second, gap, head, *_ = out.splitlines()
    assert first == "t.csv: y on 2 columns, 200 rows (140 train, 30 test); 30 are in no part"
    assert second.startswith("ols finished (all 100 epochs done): train_risk=")
    assert gap == ""
    titles = "model params epochs test_risk test MSE (y²) test R²"
    assert head.split() == titles.split()


def test_the_screen_of_several_seeds_says_where_the_runs_are(table: Path, thetahat) -> None:
    words = [w for w in LINEAR if w != "--quiet"]
    code, out, err = thetahat(*words, "--seeds=2", "--store=s")
    assert (code, err) == (0, "")
    said = "2 runs, bright-magnolia-1 to mild-sun-2; look at them: thetahat runs --store s"
    assert out.splitlines()[-1] == said


def test_quiet(table: Path, thetahat) -> None:
    assert thetahat(*LINEAR) == (0, "", "")


@pytest.mark.parametrize(
    ("column", "named"), [("c", "'c'"), ("g", "'g' in 1 of 200 rows;"), ("k", "'k'")]
)
def test_columns_that_cannot_be_used_are_named(column, named, table: Path, thetahat) -> None:
    code, out, err = thetahat("fit", "t.csv", "--target=y", f"--features=a,{column}")
    assert (code, out) == (2, "")
    assert err.startswith("thetahat: ")
    assert named in err
    assert err.count("\n") == 1
    assert not (table.parent / ".thetahat").exists()


def test_a_fit_can_be_resumed(table: Path, thetahat) -> None:
    words = [*BASIC, "--width=4", "--depth=1", "--epochs=6", "--seeds=2"]
    assert thetahat(*words)[0] == 0
    with open_store(create=False) as store:
        before = store.runs()
        for run in before:
            store.finish_run(run.id, status="interrupted", reason="for this test")
    code, out, err = thetahat("resume", "last")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        [run.name, "finished"] for run in before
    ]
    with open_store(create=False) as store:
        after = store.runs()
    assert [run.metrics for run in after] == [run.metrics for run in before]
    assert [run.attempt for run in after] == [2, 2]


def test_a_diverged_fit_exits_with_1(table: Path, thetahat) -> None:
    words = [*BASIC, "--model=linear", "--optimizer=sgd", "--lr=1e9", "--name=wild"]
    code, out, err = thetahat(*words, "--predict=out.csv")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first.startswith("thetahat: wild diverged: train_risk = ")
    assert second == "note: out.csv was not written: no fit has a finite risk"
    assert not Path("out.csv").exists()
