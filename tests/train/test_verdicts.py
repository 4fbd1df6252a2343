"""How runs end: every status, its reason, and what is kept."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import net, parts

import thetahat as th
from thetahat.core import ConfigError


def linear(**fields: Any) -> th.Task:
    """A linear regression."""
    task = th.Task(th.models.Linear(2, seed=0), parts(), optimizer=optax.sgd(0.1), epochs=30)
    return dataclasses.replace(task, **fields)


def test_patience_stops_and_says_why() -> None:
    result = th.fit(net, lr=0.3, epochs=500)
    patient = th.fit(dataclasses.replace(net(lr=0.3, epochs=500), stopping=th.Patience(5)))
    assert patient.status == th.Status.STOPPED
    assert patient.reason == "val_risk has not improved for 5 epochs"
    val = result.history["val_risk"]
    best, since = np.inf, 0
    for epoch, value in enumerate(val, 1):
        best, since = (value, 0) if value < best else (best, since + 1)
        if since == 5:
            break
    assert patient.epochs == epoch
    np.testing.assert_array_equal(patient.history["val_risk"], val[:epoch])
    assert patient.risk["val"] == pytest.approx(val[:epoch].min(), rel=1e-6)


def test_threshold_stops_at_the_first_epoch_below() -> None:
    result = th.fit(linear(stopping=(th.Threshold("train_risk", 0.1),)))
    assert result.status == th.Status.STOPPED
    assert result.history["train_risk"][-1] <= 0.1 < result.history["train_risk"][-2]
    assert result.reason.startswith("train_risk reached 0.0")


def test_members_stop_on_their_own_and_are_frozen() -> None:
    def early(lr: float = 0.1) -> th.Task:
        return linear(
            optimizer=optax.adam(lr), epochs=60, stopping=(th.Threshold("train_risk", 0.2),)
        )

    configs = [{"lr": lr} for lr in (0.02, 0.1, 0.5)]
    together = th.fit_many(early, configs, mode="vmap")
    assert len({r.epochs for r in together}) == 3
    for config, member in zip(configs, together, strict=True):
        alone = th.fit(early, **config)
        assert member.epochs == alone.epochs
        for a, b in zip(jax.tree.leaves(member.params), jax.tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_divergence_is_reported_and_never_a_number() -> None:
    result = th.fit(linear(optimizer=optax.sgd(1e6), epochs=50))
    assert result.status == th.Status.DIVERGED
    assert result.epochs < 50
    assert "in epoch" in result.reason
    assert "the state before it is kept" in result.reason
    assert np.isnan(list(result.risk.values())).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    assert result.looks == []


def test_a_bound_calls_a_finite_risk_diverged() -> None:
    result = th.fit(linear(optimizer=optax.sgd(1.5), stopping=(th.Divergence(bound=1e3),)))
    assert result.status == th.Status.DIVERGED
    last = max(result.history["train_risk"][-1], result.history["val_risk"][-1])
    assert 1e3 < last < 1e9


def test_nothing_moved_is_an_alarm() -> None:
    result = th.fit(linear(optimizer=optax.sgd(0.0), epochs=500))
    assert (result.status, result.epochs) == (th.Status.UNMOVED, 10)
    assert result.reason == (
        "no parameter changed in 10 epochs: check the learning rate and what is trainable"
    )
    assert th.fit(linear(optimizer=optax.sgd(0.0), epochs=3)).status == th.Status.UNMOVED


def test_wall_time_stops_between_chunks() -> None:
    result = th.fit(linear(epochs=10**7, stopping=(th.WallTime(0.3),)))
    assert result.status == th.Status.STOPPED
    assert result.reason == "the wall time of 0.3 s is over"


def test_the_test_part_is_looked_at_once_and_looks_are_counted() -> None:
    result = th.fit(linear())
    assert result.looks == ["fit"]
    assert result.evaluate("test") == pytest.approx(result.risk["test"], rel=1e-6)
    assert result.looks == ["fit", "evaluate"]


def test_events_tell_the_whole_story() -> None:
    events: list[Any] = []
    result = th.fit(net, trackers=[events.append], epochs=12)
    started, *logged, ended = events
    assert started.config == {"lr": 0.05, "seed": 0, "width": 4, "epochs": 12, "batch_size": 16}
    assert started.n_params == result.n_params == 17
    assert {"prng_impl", "threefry_partitionable", "init", "data_train"} <= set(started.provenance)
    epochs = np.concatenate([e.columns["epoch"] for e in logged])
    np.testing.assert_array_equal(epochs, np.arange(1, 13))
    risks = np.concatenate([e.columns["val_risk"] for e in logged])
    np.testing.assert_array_equal(risks, result.history["val_risk"])
    assert ended.status == "finished"
    assert ended.metrics["test_risk"] == result.risk["test"]


def test_a_residual_that_raises_ends_the_run_as_failed() -> None:
    events: list[Any] = []

    def broken(event: Any) -> None:
        events.append(event)
        if isinstance(event, th.core.Logged):
            raise LookupError("no such column")

    with pytest.warns(
        th.Notice, match="the tracker broken failed and is left out .* The fit goes on"
    ):
        result = th.fit(net, trackers=[broken])
    assert result.status == th.Status.FINISHED
    assert len(events) == 2


def test_a_tracker_that_cannot_write_for_a_while_is_told_everything() -> None:
    told: list[str] = []
    full = ["first", "second", "third", "fourth"]

    def keeps(event: Any) -> None:
        if not isinstance(event, th.core.Started) and full:
            full.pop()
            raise OSError("no space left on device")
        told.append(f"{type(event).__name__} {event.member}")

    configs = [{"seed": 1}, {"seed": 2}]
    with pytest.warns(th.Notice) as said:
        th.fit_many(net, configs, trackers=[keeps])
    text = "no space left on device. The fit goes on, and what could not be kept is tried again"
    assert [str(w.message) for w in said if "space" in str(w.message)] == [text]
    assert full == []
    # A slow machine trains in more chunks, whose rows are kept as they come.
    states = [event for event in told if not event.startswith("Logged")]
    assert sorted(states) == ["Ended 0", "Ended 1", "Started 0", "Started 1"]


def test_rules_are_checked() -> None:
    with pytest.raises(
        ConfigError, match=r"stopping holds 5, which is not a stopping rule; give th.Patience\(50\)"
    ):
        th.fit(linear(stopping=(5,)))
    with pytest.raises(
        ConfigError, match="Patience watches 'val_risk', which this task does not record"
    ):
        th.fit(linear(data=th.Data(parts().train), stopping=th.Patience(3)))
    with pytest.raises(ConfigError) as caught:
        th.fit(linear(stopping=th.Threshold("train_rsk", 0.1)))
    assert str(caught.value) == (
        "Threshold watches 'train_rsk', which this task does not record; did you mean 'train_risk'?"
    )


def test_a_metric_must_be_a_scalar() -> None:
    with pytest.raises(
        th.InputError, match=r"the metric 'k' must return a scalar; got shape \(2,\)"
    ):
        th.fit(linear(metrics={"k": lambda h: jnp.ones(2)}))


def test_predictions_of_a_fit_that_diverged_are_noticed(tmp_path: Path) -> None:
    x = np.random.default_rng(6).normal(size=(40, 1))

    def line(lr: float) -> th.Task:
        sgd = th.optim.named("sgd", lr)
        return th.Task(th.models.Linear(1), (x, 3 * x[:, 0]), optimizer=sgd, epochs=40)

    good, lost = results = th.fit_many(line, [{"lr": 0.1}, {"lr": 500.0}])
    assert (good.status, lost.status) == ("finished", "diverged")
    lost.save(tmp_path / "lost.theta")
    for predict in (lost.predict, th.load(tmp_path / "lost.theta").predict, results.predict):
        with pytest.warns(th.Notice, match=r"the fit diverged \(.* in epoch \d+\)"):
            predict(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error", th.Notice)
        good.predict(x)
