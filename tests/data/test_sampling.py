"""The order of an epoch, and loaders that can be iterated again."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thetahat.core.errors import ConfigError, DataError
from thetahat.data import Batches, Observations, Shuffle, dgp, order, permutation
from thetahat.data.keys import SHUFFLE, role_key


def part(n: int) -> Observations:
    return Observations(np.arange(2.0 * n).reshape(n, 2), np.arange(float(n)))


def test_order_by_its_definition() -> None:
    key = jax.random.fold_in(role_key(3, SHUFFLE), 7)
    np.testing.assert_array_equal(order(3, 7, 50), permutation(key, 50))
    np.testing.assert_array_equal(
        order(3, 7, 50, "replacement"), jax.random.randint(key, (50,), 0, 50)
    )
    for sampling in ("sequential", "full"):
        np.testing.assert_array_equal(order(3, 7, 5, sampling), np.arange(5))
    for sampling in ("shuffle", "replacement", "sequential", "full"):
        assert order(0, 0, 5, sampling).dtype == jnp.int32


def test_order_under_a_traced_epoch_and_seed() -> None:
    traced = jax.jit(lambda seed, epoch: order(seed, epoch, 300))(3, 7)
    np.testing.assert_array_equal(traced, order(3, 7, 300))


def test_replacement_repeats_and_omits() -> None:
    drawn = np.concatenate([order(0, e, 100, "replacement") for e in range(50)])
    counts = np.bincount(drawn, minlength=100)
    assert counts.min() > 0  # 50 expected of each
    left_out = np.mean([len(set(order(0, e, 100, "replacement").tolist())) for e in range(50)])
    assert left_out == pytest.approx(100 * (1 - np.exp(-1)), abs=2)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (10, 5), (10, 10), (7, 1)])
def test_an_epoch_visits_every_row_once(n: int, size: int) -> None:
    batches = Batches(part(n), size)
    for _ in range(3):
        got = list(batches)
        assert len(got) == len(batches) == -(-n // size)
        assert [len(b) for b in got[:-1]] == [size] * (len(got) - 1)
        assert len(got[-1]) == n - size * (len(got) - 1)
        y = np.concatenate([b.y for b in got])
        np.testing.assert_array_equal(np.sort(y), np.arange(n))
        np.testing.assert_array_equal(np.concatenate([b.x[:, 0] for b in got]), 2 * y)


def test_every_pass_is_a_new_epoch_in_the_order_of_the_engine() -> None:
    batches = Batches(part(20), 6, seed=4)
    for epoch in range(3):
        y = np.concatenate([b.y for b in batches])
        np.testing.assert_array_equal(y, order(4, epoch, 20))
    again = np.concatenate([b.y for b in batches.epoch(1)])
    np.testing.assert_array_equal(again, order(4, 1, 20))
    np.testing.assert_array_equal(np.concatenate([b.y for b in batches]), order(4, 3, 20))


def test_batches_are_numpy_of_the_structure_given() -> None:
    batch = next(iter(Batches(dgp.linear(N=10, M=2, sigma=0.1, seed=0), 4)))
    assert isinstance(batch, Observations)
    assert isinstance(batch.x, np.ndarray)
    batch = next(iter(Batches({"x": jnp.ones((4, 2))}, None)))
    assert batch["x"].shape == (4, 2)
    assert len(Batches(part(10), 3, "full")) == 1


def test_shuffle_carries_a_traced_seed() -> None:
    assert Shuffle().seed is None
    doubled = jax.jit(lambda s: Shuffle(seed=s * 2))(4)
    assert isinstance(doubled, Shuffle)
    assert int(doubled.seed) == 8


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: Batches(part(10), 16),
            DataError,
            "batch_size=16 with 10 observations; give 1 to 10, or None",
        ),
        (
            lambda: Batches(part(10), 0),
            DataError,
            "batch_size=0 with 10 observations; give 1 to 10, or None",
        ),
        (
            lambda: Batches(part(10), 2, "shufle"),
            ConfigError,
            "sampling='shufle' is unknown; did you mean 'shuffle'?",
        ),
        (
            lambda: order(0, 0, 10, "bootstrap"),
            ConfigError,
            "sampling='bootstrap' is unknown; known: shuffle, replacement, sequential, full",
        ),
    ],
)
def test_message(call, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()
