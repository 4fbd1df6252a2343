"""The split: every row in one part, the same on every path, in the shares that were asked for."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from thetahat.core.errors import DataError
from thetahat.data import Data, Observations, dgp, n_observations, permutation, split

# The bounds of parts are a pure function, tested for thousands of sizes.
from thetahat.data._split import bounds_of
from thetahat.data.keys import SPLIT, role_key


def sizes(data: Data) -> list[int]:
    parts = (data.train, data.val, data.test)
    return [0 if part is None else n_observations(part) for part in parts]


def rows(n: int) -> Observations:
    return Observations(np.arange(2.0 * n).reshape(n, 2), np.arange(float(n)))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([1, 2, 30, 333]), st.integers(0, 2**31 - 1), st.data())
def test_parts_are_disjoint_rows_of_the_whole(n: int, seed: int, data: st.DataObject) -> None:
    n_train = data.draw(st.integers(1, n))
    n_val = data.draw(st.integers(0, n - n_train))
    parts = split(rows(n), train=n_train, val=n_val, test=n - n_train - n_val, seed=seed)
    assert sizes(parts) == [n_train, n_val, n - n_train - n_val]
    ys = [part.y for part in (parts.train, parts.val, parts.test) if part is not None]
    np.testing.assert_array_equal(np.sort(np.concatenate(ys)), np.arange(n))
    np.testing.assert_array_equal(parts.train.x[:, 0], 2 * parts.train.y)


@settings(deadline=None, max_examples=100)
@given(st.integers(20, 3000), st.floats(0.3, 0.7), st.floats(0.1, 0.15))
def test_fractions_are_within_a_row_of_their_share(n: int, train: float, val: float) -> None:
    test = 1 - train - val
    bounds = bounds_of(n, {"train": train, "val": val, "test": test})
    got = [stop - start for start, stop in bounds.values()]
    assert sum(got) == n
    for count, share in zip(got, (train, val, test), strict=True):
        assert abs(count - share * n) < 1 + 1e-6


@pytest.mark.parametrize(
    ("n", "shares", "expected"),
    [
        (500, {}, [350, 75, 75]),
        (526, {}, [368, 79, 79]),
        (10, {}, [7, 2, 1]),
        (10, {"train": 0.5, "val": None, "test": 0}, [5, 0, 0]),
        (10, {"train": 1.0, "val": 0, "test": 0}, [10, 0, 0]),
        (10, {"train": 6, "val": 0.2, "test": 0.2}, [6, 2, 2]),
        (10, {"train": np.int64(6), "val": np.float32(0.25), "test": 1}, [6, 3, 1]),
        (3, {"train": 1 / 3, "val": 1 / 3, "test": 1 / 3}, [1, 1, 1]),
        (1000, {"train": 0.1, "val": 0.2, "test": 0.7}, [100, 200, 700]),
    ],
)
def test_sizes(n: int, shares: dict, expected: list[int]) -> None:
    assert sizes(split(np.zeros(n), **shares)) == expected


def test_order_is_the_permutation_of_the_split_key() -> None:
    order = np.asarray(permutation(role_key(3, SPLIT), 20))
    data = split(rows(20), train=14, val=3, test=3, seed=3)
    np.testing.assert_array_equal(data.train.y, order[:14])
    np.testing.assert_array_equal(data.val.y, order[14:17])
    np.testing.assert_array_equal(data.test.y, order[17:])


def test_numpy_stays_numpy_also_inside_a_trace() -> None:
    kinds = []
    on_device = jnp.arange(20.0)

    def run(lr: jax.Array) -> jax.Array:
        data = split(rows(20), seed=1)
        kinds.append(type(data.train.x))
        kinds.append(type(split(on_device, seed=1).train))
        return lr

    jax.jit(run)(0.1)
    jax.vmap(run)(jnp.ones(2))
    assert kinds[0] is np.ndarray
    assert kinds[2] is np.ndarray
    assert not issubclass(kinds[1], jax.core.Tracer)
    assert split(rows(20)).train.x.dtype == np.float64


def test_traced_and_concrete_seeds_agree() -> None:
    def run(seed: jax.Array) -> Data:
        return split(rows(40), seed=seed)

    plain = split(rows(40), seed=5)
    traced = jax.jit(run)(5)
    np.testing.assert_array_equal(traced.train.y, plain.train.y)
    many = jax.vmap(run)(jnp.array([4, 5]))
    np.testing.assert_array_equal(many.test.y[1], plain.test.y)
    assert not np.array_equal(many.test.y[0], many.test.y[1])


def test_traced_observations() -> None:
    data = jax.jit(lambda s: split(dgp.linear(N=30, sigma=s, seed=0), seed=2))(0.5)
    plain = split(dgp.linear(N=30, sigma=0.5, seed=0), seed=2)
    np.testing.assert_allclose(data.train.y, plain.train.y, rtol=1e-6)


def test_any_pytree() -> None:
    part = {"x": np.ones((10, 2)), "k": np.arange(10)}
    data = split(part, train=0.8, val=0.2, test=0)
    assert data.test is None
    assert data.train["x"].shape == (8, 2)
    assert sorted([*data.train["k"], *data.val["k"]]) == list(range(10))


def test_a_traced_fraction_fails_in_the_words_of_jax() -> None:
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.jit(lambda f: split(rows(10), train=f, val=0, test=0).train.y)(0.5)
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.jit(lambda f: split(rows(10), train=f, val=0, test=0).train.y)(5)


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        (
            {"train": 0.8, "val": 0.2},
            "train=0.8 + val=0.2 + test=0.15 is 1.15 of the observations; "
            "fractions must sum to at most 1",
        ),
        (
            {"train": 8, "val": 2, "test": 1},
            "the parts need 11 observations (train 8, val 2, test 1); there are 10",
        ),
        (
            {"train": 0.9, "val": 0.04, "test": 0.06},
            "empty split: val=0.04 of 10 observations gives 0 rows; give a larger share, or 0",
        ),
        (
            {"train": 0},
            "empty split: train has no observations; give it a fraction or a count",
        ),
        (
            {"train": 70.0},
            "train=70 is more than the whole; write 70 for a count of rows",
        ),
        ({"val": -1}, "val=-1; give a fraction from 0 to 1, or a count of rows"),
        (
            {"val": float("nan")},
            "val=nan; give a fraction from 0 to 1, or a count of rows",
        ),
        (
            {"test": "15%"},
            "test='15%'; give a fraction such as 0.15, or a count of rows",
        ),
        ({"train": True}, "train=True; give a fraction such as 0.15, or a count of rows"),
    ],
)
def test_message(shares: dict, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        split(rows(10), **shares)


def test_bad_observations_are_named_before_they_are_split() -> None:
    text = "obs.y has 1 non-finite value, first at index 2; drop those rows or impute them"
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        split(Observations(np.ones((4, 1)), np.array([0, 0, np.nan, 0])))
    with pytest.raises(DataError, match="^empty split: obs has no observations"):
        split(np.ones((0, 2)))


def test_lists_of_numbers_are_split_as_arrays_are() -> None:
    x, y = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], [1.0, 2.0, 3.0, 4.0]
    of_lists = split((x, y), train=0.5, val=0.25, test=0.25)
    of_arrays = split((np.array(x), np.array(y)), train=0.5, val=0.25, test=0.25)
    np.testing.assert_array_equal(of_lists.train.x, of_arrays.train.x)
    np.testing.assert_array_equal(of_lists.test.y, of_arrays.test.y)
    with pytest.raises(DataError, match=r"^x is a list of lists of different lengths; give"):
        split(([[1.0], [2.0, 3.0]], [1.0, 2.0]))
