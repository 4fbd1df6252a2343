"""Fits of the PyTorch backend: train and eval modes, cohorts, losses, tables, saved models."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error, r2_score
from torch import nn

import thetahat as th

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 2)).astype("float32")
Y = (X @ [1.0, -2.0] + 0.3 * X[:, 0] ** 2).astype("float32")
DATA = th.Data((X[:50], Y[:50]), (X[50:70], Y[50:70]), (X[70:], Y[70:]))
TRAIN = th.Data((X[:50], Y[:50]))


class Net(nn.Module):
    """Dropout and BatchNorm: other in training than in evaluation."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(2, width), nn.BatchNorm1d(width)
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(width, 1)

    def forward(self, x: Any) -> Any:
        return self.last(self.drop(torch.relu(self.norm(self.first(x)))))


class Plain(nn.Module):
    """A net without modes, that returns shape (B,)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, width), nn.Linear(width, 1)

    def forward(self, x: Any) -> Any:
        return self.last(torch.tanh(self.first(x)))[:, 0]


def task(model: Any = Net, **fields: Any) -> th.Task:
    """A short fit in minibatches with a short tail."""
    given = {"optimizer": "adam", "epochs": 6, "batch_size": 16, "backend": "torch", **fields}
    return th.Task(model, given.pop("data", DATA), **given)


def adam(lr: float) -> Any:
    """Adam at a rate."""
    return lambda p: torch.optim.Adam(p, lr=lr)


# -- modes ----------------------------------------------------------------------------------------


def test_dropout_and_batch_norm_train_and_evaluate_each_in_their_mode() -> None:
    torch.manual_seed(5)
    module = Net()
    result = th.fit(task(module, optimizer=adam(0.02), seed=3))
    ours = copy.deepcopy(module)
    optimizer, state = torch.optim.Adam(ours.parameters(), lr=0.02), torch.get_rng_state()
    torch.manual_seed(3)
    val = []
    batches = th.Batches((X[:50], Y[:50]), 16)
    for _ in range(6):
        ours.train()
        for x, y in batches:
            loss = (ours(torch.from_numpy(x))[:, 0] - torch.from_numpy(y)).square().sum() / 16
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ours.eval()
        with torch.no_grad():
            val.append(mean_squared_error(Y[50:70], ours(torch.from_numpy(X[50:70]))[:, 0]))
    torch.set_rng_state(state)
    np.testing.assert_allclose(result.history["val_risk"], val, rtol=1e-4)
    assert not result.model.training
    assert result.model.norm.num_batches_tracked == 4 * result.best_epoch


def test_a_fit_with_dropout_resumes_bitwise(tmp_path: Path) -> None:
    whole = th.fit(task(epochs=8, seed=4))
    th.fit(task(epochs=3, seed=4), checkpoint=tmp_path / "a")
    torch.manual_seed(99)
    resumed = th.fit(task(epochs=8, seed=4), checkpoint=tmp_path / "a", resume=True)
    for column in ("train_risk", "val_risk"):
        np.testing.assert_array_equal(resumed.history[column], whole.history[column])
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))


def test_frozen_parameters_stay_as_they_were() -> None:
    torch.manual_seed(0)
    module = Plain()
    for model in (th.freeze(module, "first"), th.trainable(module, ["last/*"])):
        result = th.fit(task(model))
        assert result.n_params == 9
        after, before = result.model.state_dict(), module.state_dict()
        assert torch.equal(after["first.weight"], before["first.weight"])
        assert not torch.equal(after["last.weight"], before["last.weight"])
    with pytest.raises(th.InputError, match="the paths are first/weight"):
        th.fit(task(th.freeze(module, "hidden")))


def test_a_class_makes_parameters_from_the_seed() -> None:
    torch.manual_seed(7)
    by_hand = Plain()
    one = th.fit(task(Plain, seed=7, epochs=1, optimizer=lambda p: torch.optim.SGD(p, lr=0.0)))
    for name, value in by_hand.named_parameters():
        np.testing.assert_array_equal(one.params[name], value.detach().numpy())


# -- cohorts --------------------------------------------------------------------------------------


def seeds(lr: float = 0.05, seed: th.Seed = 0, width: int = 8) -> th.Task:
    """A net whose first parameters are drawn from the seed."""
    return task(lambda: Plain(width), optimizer=adam(lr), seed=seed)


def by_manual_seed(lr: float = 0.05, seed: th.Seed = 0) -> th.Task:
    """The same, as PyTorch's users write it."""
    torch.manual_seed(seed)
    return task(Plain(), optimizer=adam(lr), seed=seed)


CONFIGS = [{"lr": lr, "seed": seed} for lr in (0.01, 0.1) for seed in (1, 2, 3)]


@pytest.mark.parametrize("experiment", [seeds, by_manual_seed])
def test_a_cohort_gives_the_fits_of_its_members_alone(experiment: Any) -> None:
    cohort = th.fit_many(experiment, CONFIGS, mode="vmap")
    assert [result.mode for result in cohort] == ["vmap"] * 6
    for config, member in zip(CONFIGS, cohort, strict=True):
        alone = th.fit(experiment, **config)
        for column in ("train_risk", "val_risk", "learning_rate"):
            one, other = member.history[column], alone.history[column]
            np.testing.assert_allclose(one, other, rtol=2e-4, err_msg=column)
        assert member.provenance["init"] == alone.provenance["init"]
        np.testing.assert_allclose(member.predict(X), alone.predict(X), rtol=1e-2, atol=1e-3)


def test_members_have_their_own_data_orders_and_schedules() -> None:
    def experiment(seed: th.Seed = 0) -> th.Task:
        rng = np.random.default_rng(int(seed))
        y = (Y + rng.normal(size=90)).astype("float32")
        data = th.Data((X[:50], y[:50]), (X[50:70], y[50:70]))

        def make(params: Any) -> Any:
            optimizer = torch.optim.Adam(params, lr=0.1)
            return optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)

        shuffle = th.Shuffle(seed=seed)
        return task(Plain, data=data, optimizer=make, seed=seed, sampling=shuffle, epochs=12)

    configs = [{"seed": seed} for seed in range(4)]
    cohort = th.fit_many(experiment, configs, mode="vmap")
    assert {result.mode for result in cohort} == {"vmap"}
    for config, member in zip(configs, cohort, strict=True):
        alone = th.fit(experiment, **config)
        np.testing.assert_allclose(
            member.history["train_risk"], alone.history["train_risk"], rtol=2e-3
        )
        np.testing.assert_array_equal(
            member.history["learning_rate"], alone.history["learning_rate"]
        )
    assert len({tuple(result.history["learning_rate"]) for result in cohort}) > 1


def test_a_cohort_keeps_the_buffers_of_each_member() -> None:
    def drawn(seed: th.Seed = 0) -> th.Task:
        def make() -> Any:
            return nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1))

        return task(make, optimizer=lambda p: torch.optim.SGD(p, lr=0.02), seed=seed)

    for result in th.fit_many(drawn, [{"seed": 1}, {"seed": 2}], mode="vmap"):
        assert result.mode == "vmap"
        alone = th.fit(drawn, seed=result.config["seed"])
        for name, value in result.model.state_dict().items():
            other = alone.model.state_dict()[name]
            np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_module_that_vmap_does_not_know_trains_one_by_one() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(2, 1)

        def forward(self, x: Any) -> Any:
            h = self.line(x)
            return h if float(h.sum().detach()) > 0 else 1.0 * h

    def experiment(seed: th.Seed = 0) -> th.Task:
        return task(Branch, seed=seed)

    configs = [{"seed": 1}, {"seed": 2}]
    for config, member in zip(configs, th.fit_many(experiment, configs), strict=True):
        assert member.mode == "exact"
        assert member.risk == th.fit(experiment, **config).risk


# -- losses, weights, penalties, metrics ----------------------------------------------------------


@pytest.mark.parametrize(
    "loss", [nn.MSELoss(), nn.functional.mse_loss, lambda r: r**2, nn.SmoothL1Loss(), "huber"]
)
def test_losses_of_numbers_give_the_mean_over_observations(loss: Any) -> None:
    result = th.fit(task(Plain, loss=loss))
    h, y = torch.from_numpy(result.predict(X[70:])), torch.from_numpy(Y[70:])
    right = {"huber": nn.HuberLoss()}.get(loss, loss) if isinstance(loss, str) else loss
    value = right(h - y).mean() if getattr(loss, "__name__", "") == "<lambda>" else right(h, y)
    assert result.risk["test"] == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "out"), [("logistic", 1), (nn.BCEWithLogitsLoss(), 1), (nn.CrossEntropyLoss(), 2)]
)
def test_losses_of_classes_predict_labels_and_probabilities(loss: Any, out: int) -> None:
    y = np.where(Y > 0, "high", "low")
    data = th.Data((X[:50], y[:50]), (X[50:70], y[50:70]), (X[70:], y[70:]))
    result = th.fit(task(nn.Linear(2, out), data=data, loss=loss, metrics=["accuracy"]))
    assert set(result.predict(X)) <= {"high", "low"}
    found = result.predict_proba(X[70:])
    assert result.risk["test"] == pytest.approx(log_loss(y[70:], found), rel=1e-4)
    right = np.mean(result.predict(X[70:]) == y[70:])
    assert result.metrics["test_accuracy"] == pytest.approx(right)


def test_weights_count_as_repeated_observations() -> None:
    twice = np.r_[np.arange(50), np.arange(10)]
    weight = np.where(np.arange(50) < 10, 2.0, 1.0)
    fields = {"batch_size": None, "dtype": "float64", "optimizer": adam(0.05), "epochs": 20}
    weighted = th.Data(th.Observations(X[:50], Y[:50], weight))
    torch.manual_seed(0)
    module = Plain()
    one = th.fit(task(module, data=weighted, **fields))
    other = th.fit(task(module, data=th.Data((X[twice], Y[twice])), **fields))
    np.testing.assert_allclose(one.history["train_risk"], other.history["train_risk"], rtol=1e-9)


def test_a_ridge_penalty_gives_the_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    fields = {"batch_size": None, "dtype": "float64", "epochs": 400, "data": TRAIN}
    sgd = lambda p: torch.optim.SGD(p, lr=0.2)  # noqa: E731
    right = Ridge(0.5 * 50 / 2).fit(X[:50], Y[:50])
    for penalty in (th.ridge(0.5, skip="bias"), lambda p: 0.25 * p["weight"].square().sum()):
        result = th.fit(task(nn.Linear(2, 1), optimizer=sgd, penalty=penalty, **fields))
        np.testing.assert_allclose(result.params["weight"][0], right.coef_, rtol=1e-5)


def test_metrics_are_those_of_scikit_learn_on_their_own_part() -> None:
    def near(h: Any, z: Any) -> Any:
        return (h(z[0]) - z[1]).abs() < 0.5

    metrics = {
        "r2": "r2",
        "mae": "mae",
        "near": th.Metric(near, mode="max"),
        "at_one": lambda h: h(np.ones(2)),
        "norm": "param_norm",
    }
    result = th.fit(task(Plain, metrics=metrics, best_by="val_near"))
    for part, rows in (("val", slice(50, 70)), ("test", slice(70, 90))):
        h = result.predict(X[rows])
        assert result.metrics[f"{part}_r2"] == pytest.approx(r2_score(Y[rows], h), rel=1e-4)
        mae = mean_absolute_error(Y[rows], h)
        assert result.metrics[f"{part}_mae"] == pytest.approx(mae, rel=1e-4)
        assert result.metrics[f"{part}_near"] == pytest.approx(np.mean(np.abs(h - Y[rows]) < 0.5))
    assert result.metrics["at_one"] == pytest.approx(result.predict(np.ones(2)), rel=1e-5)
    norm = np.sqrt(sum((p**2).sum() for p in result.params.values()))
    assert result.metrics["norm"] == pytest.approx(norm, rel=1e-5)


def test_a_metric_changes_no_number_of_a_fit_with_dropout_and_batch_norm() -> None:
    metrics = {"near": lambda h, z: (h(z[0])[0] - z[1]).abs() < 0.5, "r2": "r2"}
    one, other = th.fit(task(seed=3)), th.fit(task(seed=3, metrics=metrics))
    np.testing.assert_array_equal(one.history["val_risk"], other.history["val_risk"])
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_a_residual_of_ones_own_is_of_one_observation() -> None:
    one = th.fit(task(nn.Linear(2, 1), residual=lambda h, z: h(z[0])[0] - z[1], seed=2))
    assert one.risk["test"] == pytest.approx(
        mean_squared_error(Y[70:], one.predict(X[70:])), rel=1e-5
    )
    with pytest.raises(th.InputError, match=r"got shape \(1,\). Use h\(x\)\[0\]"):
        th.fit(task(nn.Linear(2, 1), residual=lambda h, z: h(z[0]) - z[1]))


# -- tables, several inputs, files ----------------------------------------------------------------


def test_a_table_is_predicted_in_its_units_and_the_model_takes_them_too() -> None:
    columns = {"a": 100 + 9 * X[:, 0], "b": 5 * X[:, 1], "y": 50 + 20 * Y}
    data = th.split(th.read_table(columns, target="y"), train=0.6, val=0.2, test=0.2, seed=0)
    result = th.fit(task(nn.Linear(2, 1), data=data, optimizer=adam(0.05), epochs=60))
    new = {"a": [91.0, 109.0], "b": [0.0, 10.0]}
    found = result.predict(new)
    rows = torch.tensor([[91.0, 0.0], [109.0, 10.0]])
    np.testing.assert_allclose(result.model(rows).detach().numpy(), found, rtol=1e-5)
    assert r2_score(columns["y"], result.predict(columns)) > 0.8


def test_a_module_of_several_inputs_takes_a_mapping() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kinds, self.line = nn.Embedding(3, 2), nn.Linear(3, 1)

        def forward(self, kind: Any, size: Any) -> Any:
            return self.line(torch.cat([self.kinds(kind), size[:, None]], 1))

    kind = RNG.integers(0, 3, 90)
    y = (kind * 1.0 + X[:, 0]).astype("float32")
    obs = th.Observations({"kind": kind, "size": X[:, 0]}, y)
    result = th.fit(task(Two, data=th.Data(obs[:60], obs[60:]), optimizer=adam(0.1), epochs=60))
    assert r2_score(y, result.predict(obs.x)) > 0.95


def test_a_saved_module_predicts_the_same_in_another_process(tmp_path: Path) -> None:
    result = th.fit(task(Net, seed=5))
    result.save(tmp_path / "net.theta")
    loaded = th.load(tmp_path / "net.theta", task(Net, seed=8))
    np.testing.assert_array_equal(loaded.predict(X), result.predict(X))
    assert isinstance(loaded.model, Net)
    assert loaded.risk == result.risk
    with pytest.raises(th.InputError, match="parameters of Net, a PyTorch module, and no program"):
        th.load(tmp_path / "net.theta")
    with pytest.raises(th.InputError, match="is not the Net that was saved"):
        th.load(tmp_path / "net.theta", task(lambda: Net(4)))


def test_a_pickled_result_predicts_and_leaves_the_data_behind() -> None:
    result = th.fit(task(Net, seed=5))
    copied = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(copied.predict(X), result.predict(X))
    with pytest.raises(th.InputError, match="leaves the data and the Task behind"):
        copied.evaluate("test")


def test_without_pytorch_one_message_says_what_to_install(monkeypatch: Any) -> None:
    for name in [n for n in sys.modules if n.startswith("thetahat.train.torch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(th.InputError, match=r"pip install 'thetahat\[torch\]'"):
        th.fit(th.Task(th.models.Linear(2), DATA, backend="torch"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": nn.Linear(3, 1)}, r"Linear failed on a batch of observations of the shapes"),
        (
            {"model": lambda: nn.Flatten(0), "data": th.Data((X[:, 0], Y))},
            "module Flatten has no trainable parameters",
        ),
        ({"model": th.models.Linear(2)}, "the PyTorch backend got Linear as the model"),
        ({"model": lambda: None}, "the PyTorch backend got NoneType as the model"),
        ({"start": "a.theta"}, "does not start from fitted parameters"),
        ({"loss": nn.MSELoss(reduction="sum")}, "a risk is a mean over observations"),
        ({"loss": nn.MSELoss}, r"call it: MSELoss\(\)"),
        ({"loss": nn.CrossEntropyLoss(weight=torch.ones(2))}, "divides by the weights"),
        ({"backend": "pytorch"}, "backend='pytorch' is unknown"),
        ({"stopping": th.Patience(3, metric="val_r2")}, "does not record"),
        ({"loss": "logistic"}, "logistic needs 0 or 1"),
    ],
)
def test_a_wrong_task_gets_one_message(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(th.InputError, match=said):
        th.fit(task(**{"model": Plain, **fields}))


# -- inputs ---------------------------------------------------------------------------------------


class InPlace(Plain):
    """A forward that changes its batch, which a loop over a DataLoader does not notice."""

    def forward(self, x: Any) -> Any:
        x -= 1.0
        return super().forward(x)


class OutOfPlace(Plain):
    """The same function."""

    def forward(self, x: Any) -> Any:
        return super().forward(x - 1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"batch_size": None},
        {"epochs": 150},
        {"metrics": {"miss": lambda h, z: (h(z[0]) - z[1]).abs()}},
    ],
    ids=["batches", "all at once", "replayed", "metric"],
)
def test_a_forward_that_changes_its_inputs_changes_no_data(fields: dict[str, Any]) -> None:
    one, other = (
        th.fit(task(net, optimizer=adam(0.01), **fields)) for net in (InPlace, OutOfPlace)
    )
    for column in set(one.history) - {"seconds"}:
        np.testing.assert_allclose(one.history[column], other.history[column], rtol=1e-6)
    assert one.risk == pytest.approx(other.risk, rel=1e-6)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-5)


def test_a_cohort_whose_forward_changes_its_inputs_changes_no_data() -> None:
    given = {"optimizer": adam(0.01), "batch_size": None}
    configs = [{"seed": seed} for seed in range(3)]

    def nets(net: Any) -> Any:
        return lambda seed=0: task(net, seed=seed, **given)

    found = [th.fit_many(nets(net), configs, mode="vmap") for net in (InPlace, OutOfPlace)]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one.history["val_risk"], other.history["val_risk"], rtol=1e-5)
