"""The functional equations of ``examples/equations``: each against a number found another way."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ruamel.yaml import YAML
from scipy.optimize import fsolve

import thetahat as th
from thetahat.cli import run as command

FOLDER = Path(__file__).parents[2] / "examples" / "equations"
NAMES = sorted(path.name.removesuffix("_sweep.yaml") for path in FOLDER.glob("*_sweep.yaml"))


def accepted(model, configs, **table):
    """Fit configs together; all are accepted. Return the fits."""
    fits = th.fit_many(model, configs)
    assert all(fit.accepted for fit in fits), [fit.reason for fit in fits]
    for fit in fits:
        errors = fit.tables["errors"]
        assert errors["quantile"].tolist() == [0.5, 0.9, 0.99, 1.0]
        assert errors["error"][2] < 1e-3
    return fits


def test_there_are_eight_of_them():
    assert len(NAMES) == 8


@pytest.mark.parametrize("name", NAMES)
def test_each_is_short_names_its_optimizer_and_has_its_defaults_in_a_file(name, example):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    assert "\nOptimizer: " in text
    assert f"python examples/equations/{name}.py" in text
    signature = inspect.signature(getattr(example(f"equations/{name}"), name))
    defaults = {n: parameter.default for n, parameter in signature.parameters.items()}
    assert YAML(typ="safe").load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")) == defaults


@pytest.mark.parametrize("name", NAMES)
def test_each_sweep_over_seeds_is_right(name, capsys):
    assert command(["check", str(FOLDER / f"{name}_sweep.yaml"), "--format=json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["errors"]) == (True, [])


@pytest.mark.parametrize("recursive", [False, True])
def test_asset_prices_have_no_bubble(recursive, example):
    model = example("equations/asset_prices").asset_prices
    (fit,) = accepted(model, [{"recursive": recursive}])
    assert fit.solution == "no bubble"
    prices = fit.tables["prices"]
    near = np.abs(prices["price"] / prices["exact"] - 1)
    assert near.max() < 1e-3
    dividends = 0.1 - 0.02 * 0.9 ** np.arange(2_000)
    first = 0.9 ** np.arange(2_000) @ dividends
    assert first == pytest.approx(0.894736, abs=1e-6)
    at = np.argmin(abs(prices["dividend"] - 0.08))
    assert prices["price"][at] == pytest.approx(first, abs=5e-4)


@pytest.mark.parametrize("recursive", [True, False])
def test_growth_ends_in_its_steady_state(recursive, example):
    (fit,) = accepted(example("equations/growth").growth, [{"recursive": recursive}])
    assert fit.solution == "steady state"
    k = fit.tables["path"]["k"]
    assert k[0] == pytest.approx(0.5, rel=1e-4)
    assert k[50] == pytest.approx(1.984045, rel=0.03)


def test_growth_with_full_depreciation_has_its_closed_form(example):
    model = example("equations/growth").growth
    (fit,) = accepted(model, [{"delta": 1.0, "k0": 0.1}])
    k = fit.tables["path"]["k"]
    np.testing.assert_allclose(k[1:], 0.3 * k[:-1] ** (1 / 3), atol=2.3e-4)


def test_both_steady_states_are_found_and_named(example):
    module = example("equations/growth_two_states")
    fits = accepted(module.growth_two_states, [{"k0": k0} for k0 in (0.5, 1.0, 3.0, 4.0)])
    assert [fit.solution for fit in fits] == ["low", "low", "high", "high"]
    assert "4 of 4 accepted (2 high, 2 low)" in repr(fits)
    for k in map(float, module.steady_states(0.9).values()):
        output = 0.5 * np.maximum(
            np.cbrt([k - 1e-6, k + 1e-6]), 3 * np.cbrt([k - 1e-6, k + 1e-6]) - 2.5
        )
        slope = (output[1] - output[0]) / 2e-6
        assert 0.9 * (slope + 1 - 0.1) == pytest.approx(1, abs=1e-6)


def test_stochastic_growth_saves_a_constant_share(example):
    model = example("equations/growth_stochastic").growth_stochastic
    (fit,) = accepted(model, [{}])
    paths = fit.tables["paths"]
    visited = (paths["k"] > -2.2) & (paths["k"] < -1.0)
    np.testing.assert_allclose(paths["next k"][visited], paths["exact"][visited], atol=1e-3)
    assert fit.traces <= 1
    assert np.ptp(fit.data.train[:, 0]) < 1.8  # no longer the points that it began with


def test_a_constant_share_of_the_cake_is_eaten(example):
    (fit,) = accepted(example("equations/cake_eating").cake_eating, [{}])
    np.testing.assert_allclose(fit.tables["shares"]["share"], 0.030070, rtol=1e-2)


def endogenous_grid(gamma=2.0, beta=0.94, R=1.02, sigma=0.2):
    """Solve saving under a borrowing limit by the method of endogenous grid points."""
    z, w = np.polynomial.hermite_e.hermegauss(5)
    y, w = np.exp(sigma * z - sigma**2 / 2), w / w.sum()
    saved = np.linspace(0, 8, 2_000)
    cash, c = np.array([1e-9, 20]), np.array([1e-9, 20])
    for _ in range(400):
        later = R * saved[:, None] + y[None]
        marginal = np.interp(later, cash, c) ** -gamma @ w
        c = np.r_[1e-9, (beta * R * marginal) ** (-1 / gamma)]
        cash = np.r_[1e-9, c[1:] + saved]
    return cash, c


def test_saving_under_a_borrowing_limit_is_that_of_endogenous_grid_points(example):
    model = example("equations/income_fluctuation").income_fluctuation
    (fit,) = accepted(model, [{}])
    policy = fit.tables["policy"]
    exact = np.interp(policy["cash"], *endogenous_grid())
    np.testing.assert_allclose(policy["c"], exact, rtol=1e-2)
    bound = policy["cash"] < 0.8
    np.testing.assert_allclose(exact[bound], policy["cash"][bound], rtol=1e-6)


def test_firms_invest_by_the_linear_policy(example):
    module: ModuleType = example("equations/investment")
    gamma, beta, delta = module.GAMMA, module.BETA, module.DELTA

    def conditions(policy):
        level, slope = policy
        a = 1 - delta + slope
        return [
            gamma * level - beta * (1 - level + gamma * (1 - delta) * (level + slope * level)),
            gamma * slope - beta * (-a + gamma * (1 - delta) * slope * a),
        ]

    level, slope = fsolve(conditions, [0.05, -0.02])
    assert (level, slope) == pytest.approx((0.06872, -0.05046), abs=5e-6)
    assert (module.LEVEL, module.SLOPE) == (0.06872, -0.05046)
    fits = accepted(module.investment, [{"firms": 8, "seed": s} for s in range(3)])
    for fit in fits:
        policy = fit.tables["policy"]
        assert np.mean(np.abs(policy["u"] / policy["exact"] - 1)) < 1e-3
        means = fit.data.train.mean(axis=1)
        assert np.mean(means > 0.6) > 0.6  # on paths to .684; of the first points it is .4
    assert fits[0].traces <= 2  # two on a slow machine, where one by one is timed too


def test_paths_of_firms_do_not_explode_after_the_first_points(example):
    """The first draws are of policies that know the first points only: these say what levels do."""
    module: ModuleType = example("equations/investment")
    configs = [{"firms": 8, "epochs": 6, "seed": s} for s in range(10)]
    for fit in th.fit_many(module.investment, configs):
        means = fit.data.train.mean(axis=1)
        assert ((means > 0) & (means < 1)).all()


def test_stopping_begins_where_value_iteration_stops(example):
    (fit,) = accepted(example("equations/optimal_stopping").optimal_stopping, [{}])
    z, w = np.polynomial.hermite_e.hermegauss(15)
    x = np.linspace(-2.5, 2.5, 4_001)
    later = 0.9 * x[:, None] + 0.15 * z[None]
    gain, waiting = np.exp(x) - 1, np.zeros_like(x)
    for _ in range(500):
        value = np.maximum(gain, waiting)
        waiting = 0.95 * np.interp(later, x, value) @ (w / w.sum())
    values = fit.tables["values"]
    np.testing.assert_allclose(values["waiting"], np.interp(values["x"], x, waiting), atol=5e-3)
    threshold = x[np.argmax(gain > waiting)]
    assert fit.tables["threshold"]["threshold"][0] == pytest.approx(threshold, abs=0.02)


def test_a_figure_draws_every_fit_and_its_errors(example):
    made = example("equations/figures").figure("cake_eating", seeds=2)
    left, right = made.axes
    assert len(left.lines) == 3  # two fits and the closed form
    assert right.get_title() == "2 of 2 accepted"
    assert all((line.get_ydata()[:3] < 1e-3).all() for line in right.lines[:2])
