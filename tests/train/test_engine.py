"""The engine against itself: cohorts, resuming, chunks, stopping, the best state."""

from __future__ import annotations

import dataclasses

import numpy as np
import optax
import pytest
from small import draw, net, parts  # type: ignore[import-not-found]

import thetahat as th
from thetahat.core import ConfigError

# Chunks are made short.
from thetahat.train import _driver

STANDARD_PROGRAMS = True


def same(a: th.Result, b: th.Result, **tolerance: float) -> None:
    """Two results agree in every record and every parameter."""
    import jax

    for left, right in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
        np.testing.assert_allclose(left, right, **(tolerance or {"rtol": 0, "atol": 0}))
    for name in ("train_risk", "val_risk", "norm"):
        np.testing.assert_allclose(
            a.history[name], b.history[name], **(tolerance or {"rtol": 0, "atol": 0})
        )


def test_a_cohort_equals_its_members_alone() -> None:
    configs = [{"lr": lr, "seed": s} for lr in (0.01, 0.1) for s in (1, 2)]
    together = th.fit_many(net, configs, mode="vmap")
    for config, member in zip(configs, together, strict=True):
        alone = th.fit(net, **config)
        assert (member.mode, alone.mode) == ("vmap", "alone")
        same(member, alone, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(member.risk["test"], alone.risk["test"], rtol=1e-5)


def test_exact_members_are_bitwise_equal_to_fits_alone() -> None:
    configs = [{"lr": lr, "seed": s} for lr in (0.01, 0.1) for s in (1, 2)]
    for config, member in zip(configs, th.fit_many(net, configs, mode="exact"), strict=True):
        same(member, th.fit(net, **config))


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"mode='map': no such mode.*; give auto, vmap, exact"):
        th.fit_many(net, [{}], mode="map")


def test_a_cohort_does_not_depend_on_its_order() -> None:
    configs = [{"seed": s} for s in range(4)]
    forth = th.fit_many(net, configs)
    back = th.fit_many(net, configs[::-1])
    for a, b in zip(forth, back[::-1], strict=True):
        same(a, b)


@pytest.mark.usefixtures("fresh_programs")
def test_twelve_configs_over_floats_and_seeds_cost_one_trace() -> None:
    configs = [{"lr": lr, "seed": s} for lr in (0.01, 0.03, 0.1) for s in range(4)]
    assert {r.traces for r in th.fit_many(net, configs)} == {1}


@pytest.mark.usefixtures("fresh_programs")
def test_static_parameters_start_a_program_each() -> None:
    results = th.fit_many(net, [{"width": w, "seed": s} for w in (3, 5) for s in (0, 1)])
    assert [r.n_params for r in results] == [13, 13, 21, 21]
    assert {r.traces for r in results} == {1}


def test_chunk_length_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = th.fit(net, epochs=9)
    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, 2))
    same(th.fit(net, epochs=9), whole)


def test_the_best_state_is_at_most_every_record_and_proven() -> None:
    result = th.fit(net, epochs=40, lr=0.2)
    assert result.risk["val"] == pytest.approx(result.history["val_risk"].min(), rel=1e-5)
    assert result.history["val_risk"][result.best_epoch - 1] == result.history["val_risk"].min()
    assert result.evaluate("val") == pytest.approx(result.risk["val"], rel=1e-5)


def test_the_best_state_is_a_copy_not_the_last() -> None:
    result = th.fit(net, epochs=200, lr=0.3)
    last = dataclasses.replace(net(epochs=200, lr=0.3), data=th.Data(parts().train))
    assert result.best_epoch < 200
    assert result.risk["train"] != pytest.approx(th.fit(last).risk["train"], rel=1e-6)


def test_without_a_validation_part_the_last_state_is_the_result() -> None:
    result = th.fit(dataclasses.replace(net(), data=th.Data(parts().train)))
    assert set(result.risk) == {"train"}
    assert result.best_epoch == result.epochs == 7
    assert "val_risk" not in result.history


def test_a_risk_is_a_mean_over_observations_in_the_short_last_batch_too(small: th.Data) -> None:
    # At a learning rate of zero each batch sees the same parameters, so the epoch's mean is exact.
    task = dataclasses.replace(net(lr=0.0, epochs=1), optimizer=optax.sgd(0.0), batch_size=16)
    result = th.fit(task)
    x, y = small.train
    exact = np.mean((result.predict(x) - y) ** 2)
    assert len(y) % 16 != 0
    assert result.history["train_risk"][0] == pytest.approx(exact, rel=1e-5)
    assert result.risk["train"] == pytest.approx(exact, rel=1e-5)


def test_each_observation_weighs_the_same_in_a_step() -> None:
    # One linear parameter, sequential batches of 4 and 1: the last step is a quarter as long.
    x = np.ones((5, 1), np.float32)
    y = np.array([0, 0, 0, 0, 1.0], np.float32)
    pair = (lambda key: np.zeros(1, np.float32), lambda p, x: p[0] * x[0])
    task = th.Task(
        pair,
        th.Data((x, y)),
        optimizer=optax.sgd(0.5),
        epochs=1,
        batch_size=4,
        sampling="sequential",
    )
    assert th.fit(task).params[0] == pytest.approx(0.5 * 2 * 1 / 4)


def test_weights_of_two_equal_an_observation_twice() -> None:
    obs = draw(20)
    weight = np.ones(20, np.float32)
    weight[3] = 2
    doubled = th.Observations(
        np.concatenate([obs.x, obs.x[3:4]]), np.concatenate([obs.y, obs.y[3:4]])
    )
    fits = [
        th.fit(
            th.Task(th.models.Linear(2, seed=1), th.Data(d), optimizer=optax.sgd(0.1), epochs=25)
        )
        for d in (th.Observations(obs.x, obs.y, weight), doubled)
    ]
    np.testing.assert_allclose(fits[0].predict(obs.x), fits[1].predict(obs.x), rtol=2e-5, atol=1e-5)
    assert fits[0].risk["train"] == pytest.approx(fits[1].risk["train"], rel=1e-4)


def test_replacement_and_sequential_sampling_train() -> None:
    risks = [
        th.fit(dataclasses.replace(net(epochs=30), sampling=s)).risk["train"]
        for s in ("shuffle", "replacement", "sequential", "full", th.Shuffle(seed=5))
    ]
    assert len(set(risks)) == 5
    assert max(risks) < th.fit(net(epochs=1)).risk["train"]
