"""A column that does not vary in train is 0 in every row, whatever its value, however many rows."""

import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.sklearn import NeuralRegressor

DRAWS = np.random.default_rng(0)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 2.2, 0.001, 123.456, 7.7, -0.7, 1e6 + 0.1])
@pytest.mark.parametrize("n", [50, 200, 333, 10_000])
def test_a_constant_is_zero_in_arrays(value, n):
    x = np.c_[DRAWS.normal(size=n), np.full(n, value)]
    data = th.split((x, x[:, 0]), train=1.0, val=0, test=0, standardize=True)
    assert (np.asarray(data.train.x)[:, 1] == 0).all()
    assert data.transform.x_std[1] == 1e30
    assert np.asarray(data.train.x)[:, 0].std() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_in_train_alone_is_zero_in_tables(weighted):
    n = 400
    c = np.full(n, 0.3)
    c[350:] = DRAWS.normal(size=50)
    a, w = DRAWS.normal(size=n), np.where(np.arange(n) % 5 == 0, 0.0, 1.7)
    table = {"a": a, "c": c, "y": a + DRAWS.normal(size=n), "t": np.arange(n), "w": w}
    given = {"weights": "w"} if weighted else {"ignore": ["w", "t"]}
    found = th.read_table(table, "y", **{"ignore": ["t"], **given})
    train = 280 if weighted else 350  # rows of weight 0 are left out
    data = th.split(found, train=train, val=0, test=len(found) - train, order="t")
    assert (np.asarray(data.train.x)[:, 1] == 0).all()
    assert np.asarray(data.test.x)[:, 1] == pytest.approx(0, abs=1e-29)
    assert np.std(c[350:]) > 0.5


def test_a_column_that_varies_in_a_row_of_weight_0_alone_is_constant():
    x = np.c_[DRAWS.normal(size=60), np.full(60, 0.3)]
    x[0, 1] = 5.0
    weight = np.r_[0.0, np.ones(59)]
    part = th.Observations(x, x[:, 0], weight)
    data = th.split(part, train=1.0, val=0, test=0, standardize=True)
    column = np.sort(np.asarray(data.train.x)[:, 1])
    assert (column[:59] == 0).all()
    assert column[59] == pytest.approx(0, abs=1e-29)
    fitted = th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    assert fitted.risk["train"] < 1e-6


def with_a_constant(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x whose last column is 0.3, its y, and later rows where that column differs."""
    x = np.c_[DRAWS.normal(size=(n, 2)), np.full(n, 0.3)]
    y = x[:, 0] - x[:, 1] + 0.1 * DRAWS.normal(size=n)
    return x, y, x[:20] + np.r_[0.0, 0.0, 1.0] * DRAWS.normal(5, 9, size=(20, 1))


def test_a_constant_does_not_act_where_later_rows_differ(tmp_path):
    x, y, later = with_a_constant()
    data = th.split((x, y), val=0, test=0.1, standardize=True)
    result = th.fit(th.Task(th.models.MLP(3, width=8, depth=1), data, epochs=2))
    assert result.predict(later) == pytest.approx(result.predict(x[:20]), rel=1e-6)
    assert result.predict(x[:20]).std() > 0
    result.save(tmp_path / "fit.theta")
    loaded = th.load(tmp_path / "fit.theta")
    assert (loaded.predict(later) == result.predict(later)).all()
    row = np.asarray(result.model(later[0]), float)
    assert row == pytest.approx(result.predict(later[:1])[0], rel=1e-5)


def test_a_constant_of_a_split_that_a_program_draws_does_not_act():
    x, y, later = with_a_constant()
    x[7, 2] = 5.0
    table = th.read_table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}, "y")

    def experiment(seed: th.Seed = 0) -> th.Task:
        data = th.split(table, train=0.3, val=0, test=0.1, seed=seed)
        return th.Task(th.models.MLP(3, width=8, depth=1), data, epochs=2)

    results = th.fit_many(experiment, [{"seed": k} for k in range(6)])
    units = [r.predict(later) - r.predict(x[:20]) for r in results]
    acts = [np.abs(gap).max() > 1e-5 for gap in units]
    assert any(acts)  # where row 7 is in train
    assert not all(acts)


def test_a_constant_of_robust_units_does_not_act():
    x, y, later = with_a_constant()
    data = th.data.robust(th.split((x, y), val=0, test=0, standardize=True))
    result = th.fit(th.Task(th.models.MLP(3, width=8, depth=1), data, epochs=2))
    assert result.predict(later) == pytest.approx(result.predict(x[:20]), rel=1e-6)


@pytest.mark.parametrize("preprocessing", ["robust", "standard"])
def test_a_constant_of_an_estimator_does_not_act(preprocessing):
    x, y, later = with_a_constant()
    given = {"n_seeds": 2, "width": 4, "epochs": 2, "random_state": 0}
    net = NeuralRegressor(preprocessing=preprocessing, **given).fit(x, y)
    assert net.predict(later) == pytest.approx(net.predict(x[:20]), rel=1e-6)


def test_a_warm_start_from_rows_where_a_column_varied_sees_its_value():
    x, y, later = with_a_constant()
    varied = x.copy()
    varied[:, 2] += DRAWS.normal(size=len(x))

    def task(x: np.ndarray, **fields: object) -> th.Task:
        data = th.split((x, y), val=0, test=0, standardize=True)
        return th.Task(th.models.Linear(3), data, epochs=1, **fields)

    first = th.fit(task(varied, optimizer="sgd"))
    again = th.fit(task(x, start=first, optimizer=optax.sgd(1e-12)))
    assert again.predict(later) == pytest.approx(first.predict(later), rel=1e-4, abs=1e-4)
