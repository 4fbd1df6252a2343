"""Data that stay on disk: the same batches, the same risks, the same parameters."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import thetahat as th
from thetahat.core import ConfigError

# Blocks are made small.
from thetahat.train.jax import _member, _stream

STANDARD_PROGRAMS = True


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    """300 rows of two features, a target and a weight."""
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, size=(300, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["y"] = x @ [1.0, -0.5] + 0.1 * rng.normal(size=300)
    frame["w"] = rng.uniform(0.5, 2, size=300)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=64)
    return tmp_path / "rows.parquet"


def task(table: Any, lr: float = 0.02, seed: Any = 1, **fields: Any) -> th.Task:
    """A net on a table, with a short last batch."""
    data = th.split(table, train=0.6, val=0.2, test=0.2, seed=0)
    base = th.Task(
        th.models.MLP(2, width=8, depth=1, activation="tanh", seed=seed),
        data,
        optimizer=optax.adam(lr),
        epochs=4,
        batch_size=32,
    )
    return dataclasses.replace(base, **fields)


@pytest.mark.parametrize("weights", [None, "w"])
def test_streamed_and_in_memory_agree(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str | None
) -> None:
    # Small segments and blocks, so that the seams are crossed.
    monkeypatch.setattr(_stream, "SEGMENT_BYTES", 2 * 32 * 12)
    monkeypatch.setattr(_member, "EVAL_BLOCK", 25)
    streamed = th.stream_table(parquet, "y", ["a", "b"], weights, cache=tmp_path / "spool")
    memory = th.read_table(parquet, "y", ["a", "b"], weights)
    left, right = th.fit(task(streamed)), th.fit(task(memory))
    # The batches are the same, bit for bit; two programs may round the last digit of a sum apart.
    for column in ("train_risk", "val_risk"):
        np.testing.assert_allclose(left.history[column], right.history[column], rtol=5e-7)
    for a, b in zip(jax.tree.leaves(left.params), jax.tree.leaves(right.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert left.risk == pytest.approx(right.risk, rel=1e-6)
    for part in ("train", "val", "test"):
        assert left.evaluate(part) == pytest.approx(left.risk[part], rel=1e-6)
    assert left.provenance["data_train"] != ""
    frame = pd.read_parquet(parquet).head(5)
    np.testing.assert_allclose(left.predict(frame), right.predict(frame), rtol=1e-6)


def test_a_streamed_cohort_equals_its_members(parquet: Path, tmp_path: Path) -> None:
    table = th.stream_table(parquet, "y", ["a", "b"], cache=tmp_path / "spool")

    def fit_one(lr: float = 0.02, seed: th.Seed = 1) -> th.Task:
        return task(table, lr, seed)

    configs = [{"lr": 0.01, "seed": 1}, {"lr": 0.05, "seed": 2}]
    for config, member in zip(configs, th.fit_many(fit_one, configs), strict=True):
        alone = th.fit(fit_one, **config)
        np.testing.assert_allclose(member.history["val_risk"], alone.history["val_risk"], rtol=1e-5)
        assert member.traces == 1


def test_a_streamed_run_resumes_bitwise(parquet: Path, tmp_path: Path) -> None:
    table = th.stream_table(parquet, "y", ["a", "b"], cache=tmp_path / "spool")
    path = tmp_path / "run.ckpt"
    th.fit(task(table, epochs=2), checkpoint=path)
    resumed = th.fit(task(table, epochs=4), checkpoint=path, resume=True)
    whole = th.fit(task(table, epochs=4))
    np.testing.assert_array_equal(resumed.history["val_risk"], whole.history["val_risk"])


def test_a_full_batch_cannot_be_streamed(parquet: Path, tmp_path: Path) -> None:
    table = th.stream_table(parquet, "y", ["a", "b"], cache=tmp_path / "spool")
    with pytest.raises(ConfigError) as caught:
        th.fit(task(table, batch_size=None))
    assert str(caught.value) == (
        "the 180 training observations stay on disk, and a full batch would need them all in memory;"
        " give a batch_size, such as 512"
    )
