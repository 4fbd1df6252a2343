"""The permutation: every index once, uniform, keyed, and the same however it is called."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from thetahat.core.errors import DataError
from thetahat.data import host_orders, order, permutation, split

# The rule for small n, and the grid, whose bijection is proved by itself.
from thetahat.data._permutation import SORTED_BELOW, grid
from thetahat.data.keys import SPLIT, role_key

SIGNIFICANCE = 1e-4  # of every chi-square test here; the keys are fixed, so nothing is left to luck


def draws(n: int, count: int, seed: int = 0) -> np.ndarray:
    """Permutations of consecutive epochs, (count, n)."""
    keys = jax.vmap(lambda e: jax.random.fold_in(jax.random.key(seed), e))(jnp.arange(count))
    return np.asarray(jax.jit(jax.vmap(lambda key: permutation(key, n)))(keys))


def p_value(counts: np.ndarray, df: int) -> float:
    expected = counts.sum() / counts.size
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), df))


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 5000), st.integers(0, 2**31 - 1))
def test_every_index_once(n: int, seed: int) -> None:
    order = permutation(jax.random.key(seed), n)
    assert order.dtype == jnp.int32
    assert order.shape == (n,)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [31, 33, 4096, 4097, 1_000_003])
def test_every_index_once_at_the_edges(n: int) -> None:
    for seed in range(3):
        order = np.asarray(permutation(jax.random.key(seed), n))
        np.testing.assert_array_equal(np.bincount(order, minlength=n), 1)


@settings(max_examples=300)
@given(st.integers(SORTED_BELOW, 2**31 - 1))
def test_grid_is_just_larger_than_n(n: int) -> None:
    a, b = grid(n)
    assert n <= a * b < n + max(a, b)
    assert a * b < 2**32
    assert max(a, b) < 2**17


@pytest.mark.parametrize("n", range(5, 17))
def test_small_orders_are_uniform_over_positions(n: int) -> None:
    order = draws(n, 20_000)
    counts = np.array([np.bincount(order[:, i], minlength=n) for i in range(n)])
    assert p_value(counts, (n - 1) ** 2) > SIGNIFICANCE


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_small_orders_all_occur_alike(n: int) -> None:
    names = {order: i for i, order in enumerate(itertools.permutations(range(n)))}
    found = [names[tuple(order)] for order in draws(n, 12_000).tolist()]
    counts = np.bincount(found, minlength=len(names))
    assert counts.min() > 0
    assert p_value(counts, len(names) - 1) > SIGNIFICANCE


@pytest.mark.parametrize("n", [32, 200, 1000])
def test_large_orders_are_uniform_over_positions(n: int) -> None:
    order = draws(n, 20_000)
    for position in (0, 1, n // 3, n - 1):
        assert p_value(np.bincount(order[:, position], minlength=n), n - 1) > SIGNIFICANCE


@pytest.mark.parametrize("n", [32, 128, 256, 4096])
def test_neighbours_are_independent(n: int) -> None:
    """Differences at lags 1 and b (one row of the grid), where few rounds show at once."""
    order = draws(n, 3_000_000 // n)
    _, b = grid(n)
    for lag in (1, b):
        gaps = ((order[:, lag:] - order[:, :-lag]) % n).ravel()
        assert p_value(np.bincount(gaps, minlength=n)[1:], n - 2) > SIGNIFICANCE


def test_successive_epochs_are_independent() -> None:
    n = 200
    order = draws(n, 4000)
    same = (order[1:] == order[:-1]).sum(1)  # fixed points of one against the next: Poisson(1)
    counts = np.bincount(np.minimum(same, 5), minlength=6)
    expected = len(same) * np.append(stats.poisson.pmf(range(5), 1), stats.poisson.sf(4, 1))
    assert stats.chisquare(counts, expected).pvalue > SIGNIFICANCE
    place = np.argsort(order, axis=1)
    correlation = np.corrcoef(place[:-1].ravel(), place[1:].ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(place[1:].size)


def test_one_bit_of_the_key_changes_nearly_every_place() -> None:
    n = 1000
    for bit in range(0, 31, 6):
        one = np.asarray(permutation(jax.random.key(7), n))
        other = np.asarray(permutation(jax.random.key(7 ^ (1 << bit)), n))
        assert (one == other).mean() < 0.01


@pytest.mark.parametrize("n", [5, 1009])
def test_eager_jit_vmap_and_scan_agree(n: int) -> None:
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    eager = np.stack([np.asarray(permutation(key, n)) for key in keys])
    jitted = np.stack([np.asarray(jax.jit(lambda k: permutation(k, n))(key)) for key in keys])
    mapped = np.asarray(jax.vmap(lambda key: permutation(key, n))(keys))
    _, scanned = jax.lax.scan(lambda c, key: (c, permutation(key, n)), 0, keys)
    for other in (jitted, mapped, scanned):
        np.testing.assert_array_equal(eager, other)


def test_the_definition_does_not_move() -> None:
    """A change here changes every published run: it must be on purpose."""
    assert permutation(jax.random.key(0), 8).tolist() == PINNED_8
    assert permutation(jax.random.key(0), 1000)[:8].tolist() == PINNED_1000
    assert permutation(jax.random.key(0), 10_007)[:8].tolist() == PINNED_10007


PINNED_8 = [5, 6, 2, 3, 4, 7, 0, 1]
PINNED_1000 = [151, 241, 531, 559, 37, 504, 331, 568]
PINNED_10007 = [5276, 5928, 5828, 8930, 6360, 7236, 9632, 1311]


@pytest.mark.parametrize("n", [0, -1, 2**31])
def test_message(n: int) -> None:
    text = rf"^cannot order {n} observations; N must be at least 1 and below 2\*\*31$"
    with pytest.raises(DataError, match=text):
        permutation(jax.random.key(0), n)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 255, 256, 350, 4095, 4096, 5000])
def test_the_shorter_program_gives_the_same_order(n: int) -> None:
    key = jax.random.key(n)
    assert np.array_equal(permutation(key, n), permutation(key, n, once=True))


@pytest.mark.parametrize(
    "n", [1, 2, 31, 32, 33, 100, 255, 256, 350, 1000, 1024, 4095, 4096, 10_007]
)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 123_456), (2**31 - 1, 3)])
def test_the_hosts_orders_are_those_of_the_program(n: int, seed: int, epoch: int) -> None:
    found = host_orders(seed, epoch, 3, n)
    assert found is not None
    assert found.dtype == np.int32
    for k in range(3):
        np.testing.assert_array_equal(found[k], order(seed, epoch + k, n))


def test_the_host_makes_no_orders_of_other_keys() -> None:
    assert host_orders(0, 0, 1, 50, "replacement") is None
    assert host_orders(2**31, 0, 1, 50) is None
    assert host_orders(-1, 0, 1, 50) is None
    with jax.default_prng_impl("rbg"):
        assert host_orders(0, 0, 1, 50) is None
    with jax.threefry_partitionable(False):
        assert host_orders(0, 0, 1, 50) is None


def test_orders_of_many_seeds_are_those_of_each() -> None:
    seeds = np.array([0, 7, 2**31 - 1])
    found = host_orders(seeds, 3, 2, 70)
    assert found is not None and found.shape == (3, 2, 70)
    for seed, orders in zip(seeds, found, strict=True):
        for k in range(2):
            np.testing.assert_array_equal(orders[k], order(int(seed), 3 + k, 70))
    assert host_orders(np.array([1, -1]), 0, 1, 50) is None


@pytest.mark.parametrize("n", [1, 31, 32, 421])
def test_a_split_has_the_order_that_jax_draws(n: int) -> None:
    data = split((np.zeros((n, 1)), np.zeros(n)), train=1.0, val=0, test=0, seed=7)
    drawn = permutation(role_key(7, SPLIT), n)
    np.testing.assert_array_equal(data.rows["train"], drawn)
