"""Several results as one object."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import thetahat as th

X = np.linspace(-1, 1, 50)[:, None]
Y = np.sin(3 * X[:, 0])


@dataclass(frozen=True)
class Net:
    width: int = 8


def experiment(lr: float = 0.02, seed: th.Seed = 0, net: Net = Net()) -> th.Task:
    """A small net on fixed data."""
    return th.Task(
        th.models.MLP(1, width=net.width, depth=1, activation="tanh", seed=seed),
        th.Data((X, Y), (X, Y)),
        optimizer=th.optim.named("adam", lr),
        epochs=5,
        seed=seed,
    )


def by_table(seed: th.Seed = 0, split_seed: int = 0) -> th.Task:
    """A line on a table; each split has a transform of its own."""
    rng = np.random.default_rng(0)
    columns = {
        "wage": rng.normal(5, 2, 40),
        "educ": rng.normal(12, 3, 40),
        "age": rng.normal(40, 9, 40),
    }
    data = th.split(
        th.read_table(columns, target="wage"), train=0.6, val=0.4, test=0, seed=split_seed
    )
    return th.Task(th.models.Linear(2), data, epochs=3, seed=seed)


@pytest.fixture(scope="module")
def hundred() -> th.Results[th.Result]:
    """100 seeds."""
    return th.fit_many(experiment, [{"seed": k} for k in range(100)])


@pytest.fixture(scope="module")
def tables() -> th.Results[th.Result]:
    """Two seeds on each of two splits."""
    return th.fit_many(by_table, [{"seed": k, "split_seed": s} for s in (0, 1) for k in (0, 1)])


def test_a_hundred_members_predict_with_one_compilation(hundred):
    began = time.process_time()
    found = hundred.predict(X)
    seconds = time.process_time() - began
    assert found.shape == (100, 50)
    (compiled,) = {id(r.fitted.predictor.source.compiled) for r in hundred}
    assert len(hundred[0].fitted.predictor.source.compiled.programs) == 1
    assert id(hundred[0].fitted.predictor.source.compiled) == compiled
    # A second on a fast machine.
    assert seconds < 10


def test_predictions_are_those_of_each_member(hundred, tables):
    assert np.array_equal(hundred[:3].predict(X), [r.predict(X) for r in hundred[:3]])
    assert hundred[:3].predict(X[0]).shape == (3,)
    rows = {"age": [3, 4.5], "educ": [9, 12]}
    assert np.array_equal(tables.predict(rows), [r.predict(rows) for r in tables])
    assert not np.array_equal(tables[0].predict(rows), tables[2].predict(rows))


def test_members_of_other_programs_predict_together():
    results = th.fit_many(experiment, [{"net": Net(4)}, {"net": Net(8)}, {"net": Net(4)}])
    assert results.predict(X).shape == (3, 50)


def test_quantiles_are_numpys_over_the_members(hundred):
    expected = np.quantile(np.stack([r.predict(X) for r in hundred]), (0.1, 0.5, 0.9), axis=0)
    assert np.array_equal(hundred.quantiles(X), expected)
    assert np.array_equal(hundred.quantiles(X, 0.5), expected[1])
    with pytest.raises(th.InputError, match="probabilities from 0 to 1"):
        hundred.quantiles(X, (0.1, 50))


def test_quantiles_leave_out_what_did_not_end_well(hundred):
    lost = replace(hundred[0], status=th.Status.DIVERGED, risk={"train": math.nan})
    mixed = th.Results([lost, *hundred[1:4]])
    with pytest.warns(th.Notice, match="1 of 4 results did not end well"):
        band = mixed.quantiles(X, 0.5)
    assert np.array_equal(band, hundred[1:4].quantiles(X, 0.5))
    with pytest.raises(th.InputError, match="none of the 1 results ended well"):
        mixed[:1].quantiles(X)


def test_results_behave_as_a_list(hundred):
    assert isinstance(hundred, list) and len(hundred) == 100
    assert isinstance(hundred[2:5], th.Results) and hundred[2:5][0] is hundred[2]
    assert hundred[:3] == [hundred[0], hundred[1], hundred[2]]
    assert hundred[:2] != hundred[1:3] and list(hundred)[-1] is hundred[-1]
    assert isinstance(hundred[0], th.Result)
    with pytest.raises(th.InputError, match="no results here"):
        hundred[:0].predict(X)


def test_a_frame_has_a_row_per_member_with_flat_columns(hundred):
    pd = pytest.importorskip("pandas")
    frame = hundred.frame()
    assert isinstance(frame, pd.DataFrame) and len(frame) == 100
    assert frame["seed"].tolist() == list(range(100))
    assert frame["net.width"].tolist() == [8] * 100
    assert frame["val_risk"].tolist() == [r.risk["val"] for r in hundred]
    assert set(frame["status"]) == {"finished"}
    (code,) = set(frame["code"])
    assert len(code) == 16


def test_the_frame_tells_fits_of_another_code_apart(tmp_path):
    x = np.linspace(-1, 1, 16)[:, None]

    def line(slope: float = 2.0) -> th.Task:
        return th.Task(th.models.Linear(1), th.Data((x, slope * x[:, 0])), epochs=2)

    before = th.fit_many(line, [{"slope": 1.0}, {"slope": 3.0}])
    same = line

    def line(slope: float = 2.0) -> th.Task:
        return th.Task(th.models.Linear(1), th.Data((x, -slope * x[:, 0])), epochs=2)

    after = th.fit_many(line, [{}])
    codes = [set(found.frame()["code"]) for found in (before, th.fit_many(same, [{}]), after)]
    assert codes[0] == codes[1] != codes[2] and len(codes[0]) == 1
    before.save(tmp_path / "two.theta")
    assert set(th.load(tmp_path / "two.theta").frame()["code"]) == codes[0]


def test_a_result_knows_its_rows_although_their_seed_is_traced():
    x, y = np.arange(40.0)[:, None], np.arange(40.0)

    def line(seed: th.Seed = 0) -> th.Task:
        return th.Task(th.models.Linear(1), th.split((x / 40, y), seed=seed), epochs=2)

    for seed, result in enumerate(th.fit_many(line, [{"seed": 0}, {"seed": 1}])):
        assert list(result.data.rows) == ["train", "val", "test"]
        for part, rows in result.data.rows.items():
            np.testing.assert_array_equal(getattr(result.data, part).y, y[rows])
        assert set(result.data.rows["test"]) == set(th.split((x, y), seed=seed).rows["test"])


def test_a_band_is_drawn_over_the_only_input_that_varies(hundred, tables):
    pytest.importorskip("matplotlib")
    figure = hundred.plot(X[::-1, 0])
    (median,) = figure.axes[0].lines
    assert np.array_equal(median.get_xdata(), X[:, 0])
    assert np.allclose(median.get_ydata(), hundred.quantiles(X, 0.5), atol=1e-6)
    figure = tables.plot({"educ": [8, 9, 10], "age": [20, 20, 20]})
    assert figure.axes[0].get_xlabel() == "educ" and figure.axes[0].get_ylabel() == "wage"
    with pytest.raises(th.InputError, match="2 of 2 vary in x; hold the others fixed"):
        tables.plot({"educ": [8, 9], "age": [20, 21]})


def test_a_notebook_shows_what_differs(hundred):
    html = hundred._repr_html_()
    assert "seed" in html and "val_risk" in html and "net.width" not in html


def test_results_are_saved_as_one_file_and_pickled(tables, tmp_path: Path):
    rows = {"age": [3, 4.5], "educ": [9, 12]}
    tables.save(tmp_path / "wage.theta")
    loaded = th.load(tmp_path / "wage.theta")
    assert isinstance(loaded, th.Results) and len(loaded) == 4
    assert [m.config["split_seed"] for m in loaded] == [0, 0, 1, 1]
    assert np.array_equal(loaded.predict(rows), tables.predict(rows))
    assert len({id(m.predictor.source) for m in loaded}) == 1
    copy = pickle.loads(pickle.dumps(tables))
    assert np.array_equal(copy.predict(rows), tables.predict(rows))
    assert copy[0].risk_unit == tables[0].risk_unit is not None


def test_members_that_nothing_tells_apart_are_said() -> None:
    def same(seed: th.Seed = 0) -> th.Task:
        return th.Task(th.models.Linear(1), th.Data((X, Y)), epochs=2)

    results = th.fit_many(same, [{"seed": k} for k in range(3)])
    with pytest.warns(th.Notice, match="all 3 members predict the same, .* show no spread. A seed"):
        results.quantiles(X)
    with pytest.warns(th.Notice, match="all 3 members have the same risks, .* show no spread"):
        results.frame()
