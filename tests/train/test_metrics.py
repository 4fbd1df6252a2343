"""Metrics beside the risk: what they are taken over, and the direction that everything follows."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.train import Record

N = 90


def right(h: Any, z: Any) -> Any:
    """Whether the sign of the score is that of the label."""
    return (h(z.x) > 0) == (z.y > 0.5)


ACCURACY = th.Metric(right, mode="max")


def labelled(n: int = N, seed: int = 0, weights: Any = None) -> th.Observations:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    y = (x[:, 0] + 0.3 * rng.normal(size=n) > 0).astype(np.float32)
    return th.Observations(x, y, weights)


def parts(obs: th.Observations) -> th.Data:
    n = len(obs.y)
    a, b = n // 2, 3 * n // 4
    return th.Data(obs[:a], obs[a:b], obs[b:])


def classifier(
    lr: float = 0.5, epochs: int = 12, batch_size: int | None = 16, **fields: Any
) -> th.Task:
    fields = {"data": parts(labelled()), "metrics": {"accuracy": ACCURACY}} | fields
    start = {"kernel": np.array([[-1.0], [1.0]], np.float32)}
    model = (lambda key: start, lambda p, x: (x @ p["kernel"])[0])
    return th.Task(
        model,
        loss="logistic",
        optimizer=optax.sgd(lr),
        epochs=epochs,
        batch_size=batch_size,
        **fields,
    )


def accuracy_of(result: th.Result, obs: th.Observations) -> float:
    correct = (result.predict(np.asarray(obs.x)) > 0) == (np.asarray(obs.y) > 0.5)
    weights = None if obs.weight is None else np.asarray(obs.weight)
    return float(np.average(correct, weights=weights))


# -- direction ------------------------------------------------------------------------------------


def test_patience_does_not_stop_an_accuracy_that_rises() -> None:
    patience = th.Patience(20, metric="val_accuracy")
    task = classifier(lr=0.05, epochs=100, batch_size=None, data=parts(labelled(2000)))
    result = th.fit(dataclasses.replace(task, stopping=patience))
    accuracy = result.history["val_accuracy"]
    assert accuracy[-1] > accuracy[0] + 0.3
    assert (result.status, result.epochs) == ("finished", 100)


def test_patience_stops_once_an_accuracy_has_stopped_rising() -> None:
    patience = th.Patience(8, metric="val_accuracy")
    result = th.fit(classifier(epochs=200, stopping=patience))
    accuracy = result.history["val_accuracy"]
    assert result.reason == "val_accuracy has not improved for 8 epochs"
    assert result.epochs == 1 + accuracy.argmax() + 8


def test_threshold_above_stops_a_metric_to_maximize() -> None:
    result = th.fit(classifier(epochs=200, stopping=th.Threshold("val_accuracy", above=0.8)))
    accuracy = result.history["val_accuracy"]
    assert result.status == "stopped"
    assert accuracy[-1] >= 0.8 > accuracy[:-1].max()


def best_epochs(rule: Any, values: list[float], mode: Any) -> int | None:
    """The epoch, from 1, at which a rule stops."""
    metrics = {"m": th.Metric(lambda h: 0.0, mode=mode)}
    state = rule.init()
    for epoch, value in enumerate(values, 1):
        state, stop = rule.update(state, Record({"m": jnp.float32(value)}, metrics))
        if stop:
            return epoch
    return None


@pytest.mark.parametrize("mode", ["min", "max"])
def test_patience_asks_for_more_than_min_delta_in_both_directions(mode: str) -> None:
    sign = 1 if mode == "max" else -1
    patience = th.Patience(3, min_delta=0.1, metric="m")
    small = [sign * v for v in (0.5, 0.55, 0.59, 0.6, 0.7, 0.8)]
    large = [sign * v for v in (0.5, 0.65, 0.8, 0.95, 1.1, 1.25)]
    assert best_epochs(patience, small, mode) == 4
    assert best_epochs(patience, large, mode) is None
    assert best_epochs(patience, [-v for v in large], mode) == 4


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_better(mode: str, lost: float) -> None:
    sign = 1 if mode == "max" else -1
    patience = th.Patience(3, metric="m")
    assert best_epochs(patience, [0.5, lost, lost, lost], mode) == 4
    assert best_epochs(patience, [lost, lost, 0.5, sign + 0.5], mode) is None
    side = {"above": 0.9} if mode == "max" else {"below": -0.9}
    assert best_epochs(th.Threshold("m", **side), [lost, sign * 0.8], mode) is None
    assert best_epochs(th.Threshold("m", **side), [lost, sign * 0.9], mode) == 2


ERROR = "whose direction is unknown; write metrics="


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"metrics": {"accuracy": right}, "stopping": th.Patience(3, metric="val_accuracy")},
            f"Patience watches 'val_accuracy', {ERROR}"
            '{"accuracy": th.Metric(right, mode="max")}, or mode="min"',
        ),
        (
            {"metrics": {"gap": lambda h: 0.0}, "stopping": th.Threshold("gap", below=0.1)},
            f'Threshold watches \'gap\', {ERROR}{{"gap": th.Metric(f, mode="max")}}, or mode="min"',
        ),
        (
            {"stopping": th.Threshold("val_accuracy", below=0.9)},
            "Threshold('val_accuracy', below=0.9): val_accuracy is better the larger it is; write"
            " above=0.9",
        ),
        (
            {"stopping": th.Threshold("val_risk", above=0.9)},
            "Threshold('val_risk', above=0.9): val_risk is better the smaller it is; write"
            " below=0.9",
        ),
        (
            {"stopping": th.Patience(3, metric="accuracy")},
            "Patience watches 'accuracy', which this task does not record; did you mean"
            " 'val_accuracy'?",
        ),
        (
            {"stopping": th.Patience(3, metric="learning_rate")},
            "Patience watches 'learning_rate', which is better in no direction; watch a risk or a"
            " metric",
        ),
        (
            {"stopping": th.Patience(3, metric="val_accuracy"), "data": th.Data(labelled())},
            "Patience watches 'val_accuracy', which this task does not record; give the data a"
            " validation part",
        ),
        (
            {"best_by": "val_accuracy", "data": th.Data(labelled())},
            "best_by='val_accuracy': the task does not record it; give the data a validation part",
        ),
        (
            {"metrics": {"accuracy": right}, "best_by": "val_accuracy"},
            f"best_by names 'val_accuracy', {ERROR}"
            '{"accuracy": th.Metric(right, mode="max")}, or mode="min"',
        ),
        (
            {"best_by": "accuracy"},
            "best_by='accuracy': the task does not record it; did you mean 'val_accuracy'?",
        ),
        (
            {"best_by": "train_risk"},
            "best_by='train_risk': the best state is chosen on the validation part, or by a metric"
            " f(h); give one of val_risk, val_accuracy",
        ),
    ],
)
def test_a_watched_column_needs_a_direction(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(th.InputError) as caught:
        th.fit(classifier(**fields))
    assert str(caught.value) == message


def test_a_threshold_on_the_learning_rate_may_have_either_side() -> None:
    rate = Record({"learning_rate": jnp.float32(0.2)}, {})
    assert bool(th.Threshold("learning_rate", above=0.1).update((), rate)[1])
    assert not bool(th.Threshold("learning_rate", below=0.1).update((), rate)[1])


@dataclasses.dataclass(frozen=True)
class Both:
    """A rule of a user's own: it keeps the record before, and asks another rule."""

    inner: th.Patience

    def init(self) -> Any:
        zero = jnp.zeros(())
        names = ("train_risk", "val_risk", "learning_rate", "train_accuracy", "val_accuracy")
        return self.inner.init(), dict.fromkeys(names, zero)

    def update(self, state: Any, record: Any) -> Any:
        inner, before = state
        inner, stop = self.inner.update(inner, record)
        return (inner, record), stop & (record["val_risk"] <= before["val_risk"])

    def reason(self, record: Any) -> str:
        return "both"


def test_a_rule_of_ones_own_may_keep_the_record_and_ask_another_rule() -> None:
    result = th.fit(classifier(epochs=200, stopping=Both(th.Patience(8, metric="val_accuracy"))))
    assert result.reason == "both"
    assert result.epochs == 1 + result.history["val_accuracy"].argmax() + 8


# -- the best state -------------------------------------------------------------------------------


def test_the_best_state_may_be_chosen_by_accuracy() -> None:
    obs = labelled(weights=np.linspace(0.0, 2.0, N).astype(np.float32))
    result = th.fit(classifier(data=parts(obs), epochs=20, best_by="val_accuracy"))
    accuracy = result.history["val_accuracy"]
    assert result.best_epoch == 1 + accuracy.argmax() != 1 + result.history["val_risk"].argmin()
    assert list(result.metrics) == ["train_accuracy", "val_accuracy", "test_accuracy"]
    for part in ("train", "val", "test"):
        expected = accuracy_of(result, getattr(parts(obs), part))
        assert result.metrics[f"{part}_accuracy"] == pytest.approx(expected, rel=1e-6)
    assert result.metrics["val_accuracy"] == pytest.approx(accuracy.max(), rel=1e-6)
    assert f"best {result.best_epoch} by val_accuracy; risk" in repr(result)
    assert f"val_accuracy {accuracy.max():.4g}" in repr(result)


def test_a_metric_of_the_hypothesis_chooses_without_a_validation_part() -> None:
    def size(h: Any) -> Any:  # NaN at first, then it rises and falls
        slope = h.params["kernel"][0, 0]
        return jnp.where(slope < 0.5, jnp.nan, -((slope - 3.0) ** 2))

    metrics = {"near": th.Metric(size, mode="max")}
    data = th.Data(labelled())
    result = th.fit(classifier(data=data, metrics=metrics, epochs=40, best_by="near"))
    near = result.history["near"]
    assert np.isnan(near[0])
    assert 1 < result.best_epoch == 1 + np.nanargmax(near) < 40
    assert result.metrics["near"] == pytest.approx(np.nanmax(near), rel=1e-4)


def test_a_metric_that_is_never_finite_chooses_nothing() -> None:
    metrics = {"lost": th.Metric(lambda h: jnp.nan * h(jnp.ones(2)), mode="max")}
    result = th.fit(classifier(metrics=metrics, epochs=3, best_by="lost"))
    assert result.best_epoch == 0
    np.testing.assert_array_equal(result.params["kernel"], [[-1.0], [1.0]])


def test_a_diverged_fit_has_no_metrics() -> None:
    result = th.fit(classifier(epochs=5, stopping=th.Divergence(0.1)))
    assert result.status == "diverged"
    assert np.isnan(list(result.metrics.values())).all()


# -- what a metric is taken over ------------------------------------------------------------------


def still(**fields: Any) -> th.Result:
    """A fit that stays where it starts: every column is that of the first state."""
    return th.fit(classifier(lr=1e-20, epochs=2, **fields))


@pytest.mark.parametrize("batch_size", [None, 7])
def test_weights_count_and_what_weighs_nothing_does_not(batch_size: int | None) -> None:
    weights = np.linspace(0.1, 2.0, N).astype(np.float32)
    weights[::3] = 0.0
    obs = labelled(weights=weights)

    def spoiled(h: Any, z: Any) -> Any:  # infinite and NaN wherever the weight is zero
        lost = jnp.where(z.x[0] > 0, jnp.inf, jnp.nan)
        return jnp.where(z.weight > 0, h(z.x), lost)

    result = still(
        data=parts(obs), metrics={"score": spoiled, "accuracy": right}, batch_size=batch_size
    )
    for part in ("train", "val", "test"):
        mine = getattr(parts(obs), part)
        score = np.average(np.asarray(mine.x) @ [-1.0, 1.0], weights=np.asarray(mine.weight))
        assert result.metrics[f"{part}_score"] == pytest.approx(score, rel=1e-4, abs=1e-6)
        if part != "test":
            assert result.history[f"{part}_score"] == pytest.approx(score, rel=1e-4, abs=1e-6)
            recorded = result.history[f"{part}_accuracy"]
            assert recorded == pytest.approx(accuracy_of(result, mine), rel=1e-5)


def test_padding_counts_for_nothing_and_long_parts_are_taken_in_blocks() -> None:
    obs = labelled(20_000, seed=3)
    data = th.Data(obs[:9000], obs[9000:18_001], obs[18_001:])
    result = still(data=data, batch_size=1024)
    for part, mine in (("train", data.train), ("val", data.val)):
        expected = accuracy_of(result, mine)
        assert result.history[f"{part}_accuracy"] == pytest.approx(expected, rel=1e-6)
        assert result.metrics[f"{part}_accuracy"] == pytest.approx(expected, rel=1e-6)


def test_the_train_column_is_taken_on_the_way_like_the_risk() -> None:
    result = th.fit(classifier(epochs=3, metrics={"loss": th.Metric(logistic, mode="min")}))
    for part in ("train", "val"):
        np.testing.assert_allclose(
            result.history[f"{part}_loss"], result.history[f"{part}_risk"], rtol=1e-5
        )
        assert result.metrics[f"{part}_loss"] == pytest.approx(result.risk[part], rel=1e-5)


def logistic(h: Any, z: Any) -> Any:
    return jnp.log1p(jnp.exp(h(z.x))) - z.y * h(z.x)


def test_streamed_data_give_the_same_metrics(tmp_path) -> None:
    weights = np.linspace(0.0, 2.0, N).astype(np.float32)
    obs = labelled(weights=weights)

    def on_disk(name: str, array: np.ndarray) -> np.ndarray:
        file = np.lib.format.open_memmap(
            tmp_path / f"{name}.npy", "w+", dtype=array.dtype, shape=array.shape
        )
        file[:] = array
        file.flush()
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    def streamed(name: str, part: th.Observations) -> th.Observations:
        fields = {k: on_disk(name + k, np.asarray(getattr(part, k))) for k in ("x", "y", "weight")}
        return th.Observations(**fields)

    data = parts(obs)
    disk = th.Data(*(streamed(n, getattr(data, n)) for n in ("train", "val", "test")))
    metrics = {"accuracy": ACCURACY, "norm": lambda h: jnp.sum(h.params["kernel"] ** 2)}
    both = [
        th.fit(classifier(data=d, metrics=metrics, epochs=6, best_by="val_accuracy"))
        for d in (data, disk)
    ]
    assert both[0].best_epoch == both[1].best_epoch
    for name in ("train_accuracy", "val_accuracy", "norm"):
        np.testing.assert_allclose(both[0].history[name], both[1].history[name], rtol=1e-5)
    for name, value in both[0].metrics.items():
        assert both[1].metrics[name] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("mode", ["vmap", "exact"])
def test_a_cohort_has_the_metrics_of_its_members_alone(mode: str) -> None:
    def experiment(lr: float = 0.1, reach: float = 0.5) -> th.Task:
        def near(h: Any, z: Any) -> Any:
            return jnp.abs(h(z.x) - z.y) < reach

        metrics = {"near": th.Metric(near, mode="max"), "accuracy": ACCURACY}
        stopping = th.Patience(6, metric="val_accuracy")
        return classifier(lr, 20, metrics=metrics, best_by="val_accuracy", stopping=stopping)

    configs: list[dict[str, Any]] = [
        {"lr": 0.05, "reach": 0.4},
        {"lr": 0.5, "reach": 0.9},
        {"lr": 2.0, "reach": 0.9},
    ]
    together = th.fit_many(experiment, configs, mode=mode)
    assert len({(result.best_epoch, result.epochs) for result in together}) > 1
    for config, member in zip(configs, together, strict=True):
        alone = th.fit(experiment, **config)
        assert (alone.best_epoch, alone.epochs) == (member.best_epoch, member.epochs)
        assert alone.metrics == pytest.approx(member.metrics, rel=1e-5)
        for name in ("train_near", "val_near", "val_accuracy"):
            np.testing.assert_allclose(alone.history[name], member.history[name], rtol=1e-5)


# -- what a metric may be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda h, z: h(z.x)[None],
            "per observation; got shape (1,). Use h(x)[0], or MLP(..., out",
        ),
        (lambda h, z: jnp.ones(3), "per observation; got shape (3,). Take a mean"),
        (lambda h, z: None, "per observation; got None. Does the function return?"),
        (lambda h: (1.0, 2.0), "must return a scalar; got a tuple of 2."),
        (lambda h: jnp.ones(2), "must return a scalar; got shape (2,). Take a norm or a mean."),
    ],
)
def test_a_metric_must_be_a_scalar(function: Any, message: str) -> None:
    with pytest.raises(th.InputError) as caught:
        th.fit(classifier(metrics={"m": function}))
    assert str(caught.value).startswith("the metric 'm' must return a scalar")
    assert message in str(caught.value)


class Right:
    def __call__(self, h: Any, z: Any) -> Any:
        return 0.0


def test_a_metric_says_by_its_arguments_what_it_is_of() -> None:
    assert th.Metric(right).kind == "observation"
    assert th.Metric(Right()).kind == "observation"
    assert th.Metric(partial(right, z=None)).kind == "hypothesis"
    assert th.Metric(lambda h, z, scale=2.0: 0.0).kind == "observation"
    assert th.Metric(lambda h, target=1.0: 0.0).kind == "hypothesis"
    assert th.Metric(lambda prediction, target, weight: 0.0).kind == "part"
    assert th.Metric(th.metrics.r2) == th.Metric("R2") == th.Metric("r2", "max")
    assert th.Metric("grad_norm").kind == "norm"


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"m": lambda *a: 0.0}, "is neither f(h) nor f(h, z)"),
        ({"m": lambda: 0.0}, "is neither f(h) nor f(h, z)"),
        ({"m": lambda h, y, w, n: 0.0}, "is neither f(h) nor f(h, z)"),
        ({"m": lambda h, *, z: 0.0}, "is neither f(h) nor f(h, z)"),
        ({"m": 3.0}, "the metric 3.0 is not a function"),
        ({"": right}, "a metric is named ''"),
        ({"risk": right}, "the metric 'risk' would hide the column 'train_risk'"),
        ({"a": right, "val_a": lambda h: 0.0}, "like the metric 'a'; rename it"),
        ([lambda h: 0.0], "give a mapping from names to functions"),
        (["accuracie"], "did you mean 'accuracy'?"),
        (["r2", "R2"], "'r2' is given twice"),
        ({"auc": th.Metric("auc", mode=None), "s": "sharpe"}, "metric='sharpe' is unknown"),
    ],
)
def test_what_is_no_metric_is_refused_by_name(metrics: Any, message: str) -> None:
    with pytest.raises(th.InputError) as caught:
        classifier(metrics=metrics)
    assert message in str(caught.value)


def test_a_mode_is_min_or_max() -> None:
    with pytest.raises(th.InputError, match=r"th.Metric\(mode='maximize'\); give 'min' where"):
        th.Metric(right, mode="maximize")  # pyright: ignore[reportArgumentType]


def test_a_threshold_has_one_side() -> None:
    for sides in ({}, {"below": 1.0, "above": 2.0}):
        with pytest.raises(th.InputError, match="of below= and above=; give below= where smaller"):
            th.Threshold("val_risk", **sides)


def test_the_old_name_of_metrics_is_refused() -> None:
    with pytest.raises(th.InputError, match="write metrics= in place of diagnostics="):
        classifier(diagnostics={"norm": lambda h: 0.0})
