"""Bags: members that hold out different rows, their average, and what is out of bag."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import thetahat as th

N, MEMBERS = 90, 5


def table(classes: bool = False) -> th.Data:
    rng = np.random.default_rng(4)
    columns = {"a": rng.normal(5, 2, N), "b": rng.normal(-1, 3, N), "w": rng.integers(1, 4, N)}
    y = 100 + 20 * columns["a"] - 9 * columns["b"] + 30 * rng.normal(size=N)
    columns["y"] = np.where(y > np.median(y), 2, 1) if classes else y
    given = ["y"] if classes else None
    read = th.read_table(columns, "y", features=["a", "b"], weights="w", categorical=given)
    return th.split(read, train=0.6, val=0.2, test=0.2, seed=3)


def task(data: th.Data, **more: object) -> th.Task:
    model = th.models.MLP(2, width=4, depth=1)
    return th.Task(model, data, epochs=8, optimizer=th.optim.named("adam", 0.05), **more)


@pytest.fixture(scope="module")
def bag() -> th.Bag:
    return th.fit_bagged(task(table()), members=MEMBERS)


def raw(data: th.Data, part: str) -> np.ndarray:
    """The table's own x of a part."""
    return np.asarray(getattr(data, part).x) * data.transform.x_std + data.transform.x_mean


def test_all_members_train_as_one_program_and_hold_out_different_rows(bag: th.Bag) -> None:
    assert {(member.traces <= 1, member.mode) for member in bag.members} == {(True, "vmap")}
    pool = np.sort(np.asarray(bag.data.train.y))
    assert len(pool) == 72 and bag.data.val is None
    held = []
    for member in bag.members:
        train, val = np.asarray(member.data.train.y), np.asarray(member.data.val.y)
        assert (len(train), len(val)) == (54, 18)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), pool)
        np.testing.assert_array_equal(member.data.test.y, bag.data.test.y)
        held.append(set(val.tolist()))
    assert len(set().union(*held)) == 72, "every row is held out by some member"
    assert len({frozenset(rows) for rows in held}) == MEMBERS


def test_a_bag_predicts_the_mean_of_its_members_in_units_of_y(bag: th.Bag) -> None:
    x = raw(bag.data, "test")
    mean = np.mean([member.predict(x) for member in bag.members], axis=0)
    np.testing.assert_allclose(bag.predict(x), mean, rtol=1e-5)
    np.testing.assert_allclose(bag.predict(x[0]), mean[0], rtol=1e-5)


def test_risks_are_weighted_means_of_the_average(bag: th.Bag) -> None:
    for part in ("train", "test"):
        there = getattr(bag.data, part)
        y_hat = (bag.predict(raw(bag.data, part)) - bag.data.transform.y_mean) / (
            bag.data.transform.y_std
        )
        expected = np.average((y_hat - np.asarray(there.y)) ** 2, weights=there.weight)
        assert bag.risk[part] == pytest.approx(expected, rel=1e-4)
        assert bag.evaluate(part) == pytest.approx(bag.risk[part], rel=1e-5)


def test_out_of_bag_predictions_come_from_members_that_held_the_row_out(bag: th.Bag) -> None:
    x, y = raw(bag.data, "train"), np.asarray(bag.data.train.y)
    each = np.array([member.predict(x) for member in bag.members])
    held = np.array([np.isin(y, np.asarray(member.data.val.y)) for member in bag.members])
    expected = (each * held).sum(0) / held.sum(0)
    np.testing.assert_allclose(bag.out_of_bag, expected, rtol=1e-5)
    y_hat = (expected - bag.data.transform.y_mean) / bag.data.transform.y_std
    risk = np.average((y_hat - y) ** 2, weights=np.asarray(bag.data.train.weight))
    assert bag.risk["val"] == pytest.approx(risk, rel=1e-4)


def test_rows_of_a_bag_and_of_its_members_are_those_of_the_table(bag: th.Bag) -> None:
    own = table()
    assert sorted(bag.data.rows) == ["test", "train"]
    np.testing.assert_array_equal(
        bag.data.rows["train"], np.concatenate([own.rows["train"], own.rows["val"]])
    )
    y = np.zeros(N)
    for part in ("train", "val", "test"):
        y[own.rows[part]] = np.asarray(getattr(own, part).y)
    for result in (bag, *bag.members):
        for part, at in result.data.rows.items():
            np.testing.assert_allclose(np.asarray(getattr(result.data, part).y), y[at], rtol=1e-6)


def test_a_bag_and_its_members_are_runs_of_a_store(tmp_path: Path) -> None:
    with th.open_store(tmp_path / "store.db") as store:
        made = th.fit_bagged(
            lambda lr=0.05: task(table()),
            members=2,
            trackers=[th.store_tracker(store, name="wage")],
        )
        *members, run = store.runs()
        assert [one.name for one in members] == ["wage-member", "wage-member-2"]
        run = store.run("wage")
        history = store.history(run.id)
    assert run.metrics == {f"{k}_risk": pytest.approx(v) for k, v in made.risk.items()}
    assert (run.best_val_risk, run.best_epoch) == (pytest.approx(made.risk["val"]), None)
    assert [m.metrics["test_risk"] for m in members] == [
        pytest.approx(m.risk["test"]) for m in made.members
    ]
    np.testing.assert_allclose(history["val_risk"], made.history["val_risk"])


def test_a_bag_that_was_interrupted_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def cut(_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    long = replace(task(table()), epochs=500)
    path = tmp_path / "bag.ckpt"
    half = th.fit_bagged(long, members=3, checkpoint=path, progress=cut)
    assert half.status == "interrupted" and half.epochs < 500
    assert half.reason == f"interrupted after epoch {half.epochs} of 500"
    whole = th.fit_bagged(long, members=3)
    went_on = th.fit_bagged(long, members=3, checkpoint=path, resume=True)
    assert (went_on.reason, went_on.epochs) == ("the average of 3 members", 500)
    np.testing.assert_array_equal(went_on.out_of_bag, whole.out_of_bag)
    assert went_on.risk == whole.risk
    for one, other in zip(went_on.members, whole.members, strict=True):
        np.testing.assert_array_equal(one.history["val_risk"], other.history["val_risk"])


def test_a_risk_of_one_is_named_in_units_of_the_target(bag: th.Bag, tmp_path: Path) -> None:
    variance = float(bag.data.transform.y_std) ** 2
    assert (bag.risk_unit.name, bag.risk_unit.one) == ("y²", pytest.approx(variance))
    assert f"(1 is {variance:.4g} y²)" in repr(bag)
    y, rows = np.asarray(bag.data.test.y) * variance**0.5, raw(bag.data, "test")
    mse = np.average(
        (bag.predict(rows) - bag.data.transform.y_mean - y) ** 2, weights=bag.data.test.weight
    )
    assert bag.risk["test"] * bag.risk_unit.one == pytest.approx(mse, rel=1e-4)
    bag.members[0].save(tmp_path / "one.theta")
    assert th.load(tmp_path / "one.theta").risk_unit == bag.members[0].risk_unit
    quick = {"epochs": 1, "optimizer": "sgd"}
    model = th.models.Linear(2)
    mean = th.fit(th.Task(model, table(), loss="absolute", **quick))
    assert (mean.risk_unit.name, mean.risk_unit.one) == ("y", pytest.approx(variance**0.5))
    labels = th.fit(th.Task(model, table(classes=True), loss="logistic", **quick))
    assert (labels.risk_unit.name, labels.risk_unit.one) == ("nats", 1)

    def squared(r: float) -> float:
        return 3 * r**2

    assert th.fit(th.Task(model, table(), loss=squared, **quick)).risk_unit is None
    own = th.fit(th.Task(model, table(), residual=lambda h, z: h(z.x) - 2 * z.y, **quick))
    assert own.risk_unit is None


def test_a_saved_bag_predicts_the_same(bag: th.Bag, tmp_path: Path) -> None:
    bag.save(tmp_path / "bag.theta")
    x = raw(bag.data, "test")
    np.testing.assert_array_equal(th.load(tmp_path / "bag.theta").predict(x), bag.predict(x))


def test_probabilities_of_classes_are_averaged_and_labels_are_the_users() -> None:
    bag = th.fit_bagged(task(table(classes=True), loss="logistic"), members=3)
    x = raw(bag.data, "test")
    mean = np.mean([member.predict_proba(x) for member in bag.members], axis=0)
    np.testing.assert_allclose(bag.predict_proba(x), mean, atol=1e-6)
    np.testing.assert_array_equal(bag.predict(x), np.array([1, 2])[mean.argmax(1)])
    y, w = np.asarray(bag.data.test.y, int), np.asarray(bag.data.test.weight)
    expected = np.average(-np.log(mean[np.arange(len(y)), y]), weights=w)
    assert bag.risk["test"] == pytest.approx(expected, rel=1e-4)


def test_labels_of_arrays_are_coded_before_members_trace_their_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = np.array([3, 5, 9])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)]
    net = th.models.Linear(2, out=3)
    optimizer = th.optim.named("adam", 0.2)
    bag = th.fit_bagged(
        th.Task(net, th.split((x, y)), loss="cross_entropy", epochs=60, optimizer=optimizer),
        members=2,
    )
    assert set(bag.predict(x)) <= {3, 5, 9}
    assert np.mean(bag.predict(x) == y) > 0.8


def test_members_that_diverge_are_left_out() -> None:
    def experiment(lr: float = 0.05) -> th.Task:
        return task(table())

    good = th.fit_bagged(experiment, members=2)
    assert good.status == "finished"
    wild = th.fit_bagged(
        th.Task(th.models.Linear(2), table(), optimizer=th.optim.named("sgd", 1e9), epochs=9),
        members=2,
    )
    assert wild.status == "diverged"
    assert np.isnan(wild.risk["train"]) and np.isnan(wild.out_of_bag).all()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(th.InputError, match="members"):
        th.fit_bagged(task(table()), members=0)
    with pytest.raises(th.InputError, match=r"fit_bagged\(task\) takes no parameters; got lr"):
        th.fit_bagged(task(table()), lr=0.1)


def test_metrics_of_a_bag_are_in_the_units_of_the_target() -> None:
    draws = np.random.default_rng(5)
    x = draws.normal(size=(80, 2))
    y = 40 + 200 * x[:, 0] + 20 * draws.normal(size=80)
    data = th.split((x, y), seed=0, standardize=True)
    own = th.Metric(lambda h, y, w: (w * (h - y)).sum() / w.sum())
    metrics = {"rmse": "rmse", "mae": "mae", "own": own}
    made = th.fit_bagged(th.Task(th.models.Linear(2), data, epochs=3, metrics=metrics), members=2)
    for part, at in (("test", data.rows["test"]), ("train", made.data.rows["train"])):
        gap = made.predict(x[at]) - y[at]
        assert made.metrics[f"{part}_rmse"] == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-4)
        assert made.metrics[f"{part}_mae"] == pytest.approx(np.abs(gap).mean(), rel=1e-4)
        assert made.metrics[f"{part}_own"] == pytest.approx(gap.mean(), rel=1e-3, abs=1e-3)


def test_a_bag_of_a_task_that_pytorch_trains_is_refused() -> None:
    x = np.random.default_rng(5).normal(size=(40, 2))
    task = th.Task(lambda: torch.nn.Linear(2, 1), th.Data((x, x[:, 0])), epochs=1, backend="torch")
    with pytest.raises(th.InputError, match="averages fits by JAX, and PyTorch trains this Task"):
        th.fit_bagged(task, members=2)


def test_a_fit_from_another_table_says_whose_variance_its_risk_is_in(tmp_path: Path) -> None:
    x = np.random.default_rng(5).normal(size=(40, 2))

    def task(y: np.ndarray, **fields: object) -> th.Task:
        data = th.split((x, y), seed=0, standardize=True)
        return th.Task(th.models.Linear(2), data, epochs=1, **fields)

    first = th.fit(task(200 * x[:, 0]))
    again = th.fit(task(2 * x[:, 1], start=first))
    again.save(tmp_path / "again.theta")
    for found in (again, th.load(tmp_path / "again.theta")):
        assert found.risk_unit.one == first.risk_unit.one
        assert found.risk_unit.why.endswith("of the fit that it started from")
