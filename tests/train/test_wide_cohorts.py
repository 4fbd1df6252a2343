"""Wide cohorts: blocks of members, and compiler levels by all members. The bounds are lowered, since
cohorts that reach them take minutes."""

from __future__ import annotations

import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.train.jax import _compile, _member  # their bounds are lowered


def experiment(lr: float = 0.05, seed: th.Seed = 0) -> th.Task:
    data = th.split(th.dgp.linear(90, 2, 0.1, seed=seed), train=50, val=20, test=20, seed=seed)
    model = th.models.MLP(2, width=4, depth=1)
    return th.Task(model, data, optimizer=optax.sgd(lr), epochs=3, batch_size=8, seed=seed)


CONFIGS = [{"seed": seed, "lr": 0.02 + 0.01 * seed} for seed in range(5)]


@pytest.mark.parametrize("at_once", [1, 100, 150, 10**6])
def test_best_states_are_evaluated_in_blocks_of_members(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(_member, "EVAL_AT_ONCE", at_once)
    for config, member in zip(CONFIGS, th.fit_many(experiment, CONFIGS, mode="vmap"), strict=True):
        alone = th.fit(experiment, **config)
        for part in ("train", "val", "test"):
            assert member.risk[part] == pytest.approx(alone.risk[part], rel=1e-4)
        assert member.risk["val"] == pytest.approx(float(np.min(member.history["val_risk"])), 1e-4)


def test_members_one_by_one_have_the_bits_of_one_alone_at_any_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_compile, "_FEW_DRAWN", 300)  # more than one member's numbers
    monkeypatch.setattr(_compile, "_FEW_READ", 300)
    for config, member in zip(CONFIGS, th.fit_many(experiment, CONFIGS, mode="exact"), strict=True):
        alone = th.fit(experiment, **config)
        assert member.risk == alone.risk
        for name in ("data_train", "data_test", "init"):
            assert member.provenance[name] == alone.provenance[name]
