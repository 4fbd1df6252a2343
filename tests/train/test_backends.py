"""The conformance suite of whole fits: every backend gives the same runs, statuses and files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest
from numpy_backend import Descent, NumpyLinear
from small import parts
from torch_line import line

import thetahat as th
from thetahat.core import CheckpointError, ConfigError, Ended, Logged, Started, Status

# Chunks are made short.
from thetahat.train import Interrupt, Options, Shop, TooLarge, _driver

STANDARD_PROGRAMS = True

Experiment = Callable[..., th.Task]
Make = Callable[..., Experiment]

CHOICES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "jax": lambda lr: {
        "model": th.models.Linear(2, start="zeros"),
        "optimizer": optax.sgd(lr),
    },
    "numpy": lambda lr: {"model": NumpyLinear(2), "optimizer": Descent(lr)},
    "torch": lambda lr: {"model": line(), "optimizer": optax.sgd(lr), "backend": "torch"},
}
CONVERTED = {"converted": lambda lr: {"model": line(), "optimizer": optax.sgd(lr)}}
"""The same module by JAX, which the tests of its own backend cover else."""


@pytest.fixture(params=CHOICES)
def make(request: pytest.FixtureRequest) -> Make:
    """An experiment of one backend, with fields of its Task."""
    choice = CHOICES[request.param]

    def experiment(**fields: Any) -> Experiment:
        def linear(lr: float = 0.05, epochs: int = 12, seed: th.Seed = 0) -> th.Task:
            base = th.Task(**choice(lr), data=parts(), epochs=epochs, batch_size=16)
            return dataclasses.replace(base, seed=seed, **fields)

        return linear

    return experiment


def same(one: th.Result, other: th.Result) -> None:
    """Two results agree to the last bit."""
    assert (one.status, one.epochs, one.best_epoch) == (
        other.status,
        other.epochs,
        other.best_epoch,
    )
    assert one.risk == other.risk
    for name in ("train_risk", "val_risk"):
        np.testing.assert_array_equal(one.history[name], other.history[name])
    np.testing.assert_array_equal(one.predict(np.eye(2)), other.predict(np.eye(2)))


@pytest.mark.parametrize("form", [lambda z: (z.x, z.y), lambda z: {"x": z.x, "y": z.y}])
def test_a_part_may_be_observations_a_pair_or_a_dict(make: Make, form: Any) -> None:
    given = parts()
    named = {name: form(getattr(given, name)) for name in ("train", "val", "test")}
    same(th.fit(make(data=th.Data(**named))), th.fit(make(data=given)))


def finish(training: Any) -> dict[int, th.Result]:
    """Train to the end."""
    while training.step():
        pass
    return training.finish()


def test_backends_agree() -> None:
    found = {}
    for name, choice in (CHOICES | CONVERTED).items():
        task = th.Task(**choice(0.05), data=parts(), epochs=9, batch_size=16)
        found[name] = th.fit(dataclasses.replace(task, sampling="sequential"))
    one = found.pop("jax")
    for other in found.values():
        for column in ("train_risk", "val_risk", "learning_rate"):
            np.testing.assert_allclose(one.history[column], other.history[column], rtol=1e-5)
        assert one.best_epoch == other.best_epoch
        assert one.risk == pytest.approx(other.risk, rel=1e-5)
        np.testing.assert_allclose(one.predict(np.eye(2)), other.predict(np.eye(2)), rtol=1e-5)
        assert one.provenance["data_train"] == other.provenance["data_train"]
    assert one.n_params == other.n_params == 3


def table() -> th.Data:
    """A table far from standard units."""
    rng = np.random.default_rng(0)
    educ, age = rng.normal(12, 3, size=60), rng.normal(40, 9, size=60)
    wage = 500 + 40 * educ - 5 * age + rng.normal(0, 20, size=60)
    columns = {"educ": educ, "age": age, "wage": wage}
    return th.split(th.read_table(columns, target="wage"), train=0.8, val=0, test=0.2, seed=0)


def plain(lr: float = 0.1, **fields: Any) -> th.Task:
    """A Task of the NumPy backend, whose fits have no predictor."""
    return th.Task(**CHOICES["numpy"](lr), data=parts(), epochs=3, batch_size=16, **fields)


def test_fits_of_a_backend_without_a_predictor_predict_together_and_are_not_saved(tmp_path) -> None:
    fits = th.Results([th.fit(plain(lr=lr)) for lr in (0.1, 0.3)])
    x = np.eye(2)
    np.testing.assert_array_equal(fits.predict(x), [fit.predict(x) for fit in fits])
    with pytest.raises(ConfigError, match="neither saved nor a start; take its parameters"):
        fits[0].save(tmp_path / "a.theta")
    with pytest.raises(ConfigError, match="neither saved nor a start"):
        th.fit(plain(start=fits[0]))


def test_a_file_that_no_backend_could_read_is_not_written(tmp_path) -> None:
    fit = th.fit(plain())
    known = SimpleNamespace(packed=lambda arrays, prefix: {"backend": "mine"})
    odd = dataclasses.replace(fit, fitted=SimpleNamespace(predictor=known))
    with pytest.raises(ConfigError, match="'mine' is not one of thetahat's"):
        odd.save(tmp_path / "a.theta")
    assert not (tmp_path / "a.theta").exists()


def test_backends_predict_a_tables_rows_in_its_units() -> None:
    data, found = table(), {}
    new = {"educ": [8.0, 16.0], "age": [30.0, 50.0]}
    for name, choice in (CHOICES | CONVERTED).items():
        found[name] = th.fit(th.Task(**choice(0.2), data=data, epochs=200))
    design = np.column_stack([np.ones(len(data.train.x)), data.train.x])
    right = np.linalg.lstsq(design, data.train.y)[0]
    at = np.column_stack([np.ones(2), data.transform.encode(new)])
    wages = data.transform.decode(at @ right)
    assert wages[0] == pytest.approx(670, abs=30)
    for name, result in found.items():
        np.testing.assert_allclose(result.predict(new), wages, rtol=2e-3, err_msg=name)
        assert result.predict(pd.DataFrame(new).iloc[0]) == pytest.approx(wages[0], rel=2e-3)
        # The inputs of a part are encoded already.
        part = data.transform.decode(design @ right)
        for given in ("train", result.data.train, result.data.train.x):
            np.testing.assert_allclose(result.predict(given), part, rtol=2e-3, err_msg=name)
        assert result.evaluate("test") == pytest.approx(result.risk["test"], rel=1e-5)


def test_a_backend_refuses_fields_that_it_does_not_obey() -> None:
    base = th.Task(NumpyLinear(2), parts(), optimizer=Descent(0.1))
    refused = "the backend of NumpyLinear does not support "
    for fields, said in [
        ({"penalty": th.ridge(0.1)}, r"penalty=.*; leave it out"),
        ({"sampling": "replacement"}, "sampling='replacement'; give 'shuffle' or 'sequential'"),
        ({"sampling": th.Shuffle(seed=3)}, "sampling=Shuffle; give 'shuffle' or 'sequential'"),
        ({"loss": "huber"}, "loss='huber'; leave it out"),
        ({"residual": lambda h, z: h(z.x)}, "residual=.*lambda.*; leave it out"),
        ({"metrics": ["r2"]}, "metrics=.*; leave it out"),
        ({"best_by": "val_r2", "metrics": ["r2"]}, "metrics=.*; leave it out"),
    ]:
        with pytest.raises(th.InputError, match=refused + said):
            th.fit(dataclasses.replace(base, **fields))


def test_a_backend_refuses_a_field_that_task_gets_later() -> None:
    @dataclasses.dataclass(frozen=True)
    class Later(th.Task):
        dropout: float = 0.0

    given = Later(NumpyLinear(2), parts(), optimizer=Descent(0.1), epochs=2)
    assert th.fit(given).epochs == 2
    with pytest.raises(th.InputError, match="does not support dropout=0.5; leave it out"):
        th.fit(dataclasses.replace(given, dropout=0.5))


@pytest.mark.usefixtures("fresh_programs")
def test_a_fit_sends_its_events_in_order(make: Make) -> None:
    events: list[Any] = []
    result = th.fit(make(), trackers=[events.append])
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert all(isinstance(event, Logged) for event in events[1:-1])
    epochs = np.concatenate([event.columns["epoch"] for event in events[1:-1]])
    np.testing.assert_array_equal(epochs, np.arange(1, 13))
    assert events[-1].metrics["val_risk"] == result.risk["val"]
    assert events[-1].detail["traces"] == 1


def test_the_length_of_a_chunk_changes_nothing(make: Make, monkeypatch) -> None:
    whole = th.fit(make())
    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, most, 2))
    same(th.fit(make()), whole)


def test_the_best_state_is_the_lowest_validation_risk_and_is_proven(make: Make) -> None:
    result = th.fit(make(), lr=0.3, epochs=30)
    assert result.best_epoch == int(np.argmin(result.history["val_risk"])) + 1
    assert result.risk["val"] == pytest.approx(result.history["val_risk"].min(), rel=1e-5)
    assert result.evaluate("val") == pytest.approx(result.risk["val"], rel=1e-6)
    x, y = parts().val.x, parts().val.y
    assert result.risk["val"] == pytest.approx(np.mean((result.predict(x) - y) ** 2), rel=1e-5)


def test_without_a_validation_part_the_last_state_counts(make: Make) -> None:
    result = th.fit(make(data=th.Data(parts().train)))
    assert (result.best_epoch, result.best_by, set(result.risk)) == (12, "", {"train"})


@pytest.mark.parametrize(
    ("fields", "config", "status", "reason"),
    [
        ({}, {}, Status.FINISHED, "all 12 epochs done"),
        ({"stopping": th.Threshold("val_risk", 1.0)}, {}, Status.STOPPED, "val_risk reached"),
        (
            {"stopping": th.Patience(2)},
            {"lr": 0.4, "epochs": 200},
            Status.STOPPED,
            "val_risk has not improved for 2 epochs",
        ),
        ({"stopping": th.Divergence(1e-3)}, {}, Status.DIVERGED, "train_risk ="),
        ({}, {"lr": 1e9, "epochs": 60}, Status.DIVERGED, "train_risk ="),
        ({}, {"lr": 0.0, "epochs": 30}, Status.UNMOVED, "no parameter changed in 10 epochs"),
        ({"stopping": th.WallTime(1e-9)}, {"epochs": 500}, Status.STOPPED, "the wall time of"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_a_fit_ends_with_a_status_and_a_reason(
    make: Make, fields: dict[str, Any], config: dict[str, Any], status: Status, reason: str
) -> None:
    result = th.fit(make(**fields), **config)
    assert result.status is status
    assert result.reason.startswith(reason)
    assert len(result.history["val_risk"]) == result.epochs
    if status is Status.DIVERGED:
        assert np.isnan(list(result.risk.values())).all()
        with pytest.warns(th.Notice, match="the fit diverged"):
            assert np.isfinite(result.predict(np.eye(2))).all()


def test_a_fit_is_interrupted_between_chunks(make: Make) -> None:
    interrupt = Interrupt()
    training = Shop(make()).open([{"epochs": 100_000}], Options(), interrupt)
    assert training.step()
    interrupt.seen = True
    result = finish(training)[0]
    assert result.status is Status.INTERRUPTED
    assert "test" not in result.risk


# -- cohorts --------------------------------------------------------------------------------------

CONFIGS = [{"lr": lr, "seed": seed} for lr in (0.02, 0.1) for seed in (1, 2)]


def test_exact_members_equal_fits_alone(make: Make) -> None:
    for config, member in zip(CONFIGS, th.fit_many(make(), CONFIGS, mode="exact"), strict=True):
        assert member.mode == "exact"
        same(member, th.fit(make(), **config))


def test_members_of_a_cohort_end_each_on_their_own(make: Make) -> None:
    configs = [{"lr": lr, "epochs": 30} for lr in (0.0, 0.05, 1e9)]
    with np.errstate(all="ignore"):
        results = th.fit_many(make(), configs, mode="vmap")
    statuses = [Status.UNMOVED, Status.FINISHED, Status.DIVERGED]
    assert [result.status for result in results] == statuses
    alone = th.fit(make(), lr=0.05, epochs=30)
    assert results[1].risk["val"] == pytest.approx(alone.risk["val"], rel=1e-5)


def test_the_host_stops_members_and_the_others_go_on(make: Make) -> None:
    configs = [{"lr": lr} for lr in (0.02, 0.05, 0.1)]
    training = Shop(make()).open(configs, Options(mode="vmap"), Interrupt(), marks=(3,))
    while training.driver.epoch < 3:
        training.step()
    assert training.driver.epoch == 3
    training.stop({1: "not among the best"})
    assert training.running.tolist() == [True, False, True]
    results = finish(training)
    assert (results[1].status, results[1].reason) == (Status.STOPPED, "not among the best")
    assert [results[k].epochs for k in range(3)] == [12, 3, 12]
    alone = th.fit(make(), lr=0.1)
    assert results[2].risk["val"] == pytest.approx(alone.risk["val"], rel=1e-5)


def test_a_program_is_used_again_for_other_values(make: Make) -> None:
    shop = Shop(make())
    finish(shop.open([{"lr": 0.02}], Options(), Interrupt()))
    second = shop.open([{"lr": 0.1, "seed": 2}], Options(), Interrupt())
    result = finish(second)[0]
    assert second.program.traces == 0
    same(result, th.fit(make(), lr=0.1, seed=2))


def test_a_cohort_that_does_not_fit_says_how_many_do(make: Make) -> None:
    with pytest.raises(TooLarge) as refused:
        Shop(make()).open(CONFIGS, Options(share=0.0), Interrupt())
    assert refused.value.fits == 1


# -- checkpoints ----------------------------------------------------------------------------------


def test_a_resumed_fit_equals_the_whole_bitwise(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    th.fit(make(), epochs=5, checkpoint=path)
    resumed = th.fit(make(), epochs=12, checkpoint=path, resume=True)
    assert resumed.reason == "all 12 epochs done; resumed at epoch 5: epochs 5 -> 12"
    same(resumed, th.fit(make(), epochs=12))


def test_a_resumed_cohort_equals_the_whole_bitwise(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    th.fit_many(make(), [{**c, "epochs": 5} for c in CONFIGS], checkpoint=path, mode="vmap")
    whole = th.fit_many(make(), CONFIGS, mode="vmap")
    again = th.fit_many(make(), CONFIGS, checkpoint=path, resume=True)
    for one, other in zip(again, whole, strict=True):
        same(one, other)


def test_new_stopping_rules_see_the_records_so_far(make: Make, tmp_path: Path) -> None:
    path, config = tmp_path / "a.ckpt", {"lr": 0.4, "epochs": 60}
    first = th.fit(make(stopping=th.Patience(2)), checkpoint=path, **config)
    assert first.status is Status.STOPPED
    longer = make(stopping=th.Patience(5))
    same(th.fit(longer, checkpoint=path, resume=True, **config), th.fit(longer, **config))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": parts(seed=3)}, "the training data differ"),
        ({"batch_size": 8}, "batch_size was 16, is 8"),
    ],
)
def test_a_checkpoint_of_another_task_is_refused(
    make: Make, fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    th.fit(make()(), checkpoint=path)
    with pytest.raises(CheckpointError, match=f"belongs to another fit: {said}"):
        th.fit(make(**fields)(), checkpoint=path, resume=True)


def test_a_checkpoint_of_another_config_is_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    th.fit(make(), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"another fit: lr was 0\.05, is 0\.1"):
        th.fit(make(), lr=0.1, checkpoint=path, resume=True)
