"""The few that are left of a cohort, once the host has stopped the others."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th
from thetahat.core import Status

# The timed probe is replaced by given times.
from thetahat.train import Interrupt, Options, Shop, _cohort

pytestmark = pytest.mark.usefixtures("fresh_programs")

SIZE = 6


def noisy(lr: float = 0.1, sigma: float = 0.1, epochs: int = 40, seed: th.Seed = 0) -> th.Task:
    """A small net on data of its own."""
    draw = th.dgp.sine_bump(N=64, sigma=sigma, seed=seed)
    data = th.split(draw, train=0.5, val=0.25, test=0.25, seed=seed)
    model = th.models.MLP(1, width=4, depth=1, seed=seed)
    optimizer = th.optim.named("adam", lr)
    return th.Task(model, data, optimizer=optimizer, epochs=epochs, batch_size=8, seed=seed)


def opened(monkeypatch, *, vmap: float, one_by_one: float, mode: str = "auto"):
    """A cohort of six with a mark at epoch 10, on a machine where epochs take so long."""
    seconds = {"vmap": vmap, "exact": one_by_one}
    monkeypatch.setattr(_cohort, "PROBE_WORTH_S", 0.0)
    monkeypatch.setattr(_cohort, "_epoch_s", lambda program, state: seconds[program.mode])
    configs = [{"lr": 0.02 * (k + 1), "sigma": 0.1 + 0.05 * k, "seed": k} for k in range(SIZE)]
    training = Shop(noisy).open(configs, Options(mode=mode), Interrupt(), marks=(10,))
    while training.driver.epoch < 10:
        assert training.step()
    return configs, training


def finish(training):
    while training.step():
        pass
    return training.finish()


def test_they_go_on_one_by_one_where_that_is_faster(monkeypatch) -> None:
    configs, training = opened(monkeypatch, vmap=1.0, one_by_one=2.0)
    assert training.driver.program.mode == "vmap"
    training.stop(dict.fromkeys((0, 1, 3), "a loser"))
    # Three at a third of a second each take as long as all six together.
    assert training.driver.program.mode == "vmap"
    training.stop({5: "a loser"})
    assert training.driver.program.mode == "exact"
    results = finish(training)
    for k, config in enumerate(configs):
        lost = k in (0, 1, 3, 5)
        alone = th.fit(noisy, **config, epochs=10 if lost else 40)
        assert results[k].status is (Status.STOPPED if lost else Status.FINISHED)
        assert results[k].epochs == alone.epochs
        for part in ("train", "val", "test"):
            np.testing.assert_allclose(results[k].risk[part], alone.risk[part], rtol=1e-5)
        for name in ("train_risk", "val_risk"):
            history = results[k].history[name]
            np.testing.assert_allclose(history, alone.history[name], rtol=1e-5)


@pytest.mark.parametrize("mode", ["vmap", "exact"])
def test_a_mapping_that_was_asked_for_stays(monkeypatch, mode) -> None:
    _, training = opened(monkeypatch, vmap=1.0, one_by_one=2.0, mode=mode)
    training.stop(dict.fromkeys(range(1, SIZE), "a loser"))
    assert training.driver.program.mode == mode


def test_one_by_one_from_the_start_there_is_nothing_to_change(monkeypatch) -> None:
    _, training = opened(monkeypatch, vmap=3.0, one_by_one=2.0)
    assert training.driver.program.mode == "exact"
    training.stop(dict.fromkeys(range(1, SIZE), "a loser"))
    assert training.driver.program is training.program
