"""Observations and Data: pytrees that check themselves when a person makes them, and only then."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest

from thetahat.core.errors import DataError
from thetahat.data import (
    Data,
    Observations,
    content_hash,
    folds,
    n_observations,
    read_table,
    weights_of,
)


def refused(text: str):
    return pytest.raises(DataError, match=f"^{re.escape(text)}$")


def test_observations_unpack_index_and_count() -> None:
    obs = Observations(np.arange(6.0).reshape(3, 2), np.array([0.0, 1.0, 2.0]), np.ones(3))
    x, y = obs
    assert x is obs.x
    assert y is obs.y
    assert len(obs) == 3
    picked = obs[np.array([2, 0])]
    np.testing.assert_array_equal(picked.x, [[4, 5], [0, 1]])
    np.testing.assert_array_equal(picked.y, [2, 0])
    assert obs[1:].weight.shape == (2,)
    assert obs[jnp.array([1])].y.shape == (1,)
    assert obs[0] is obs.x
    assert obs[1] is obs.y
    with pytest.raises(IndexError, match=r"row 2 is \[2:3\]"):
        obs[2]


def test_data_print_a_line_a_part_and_no_numbers() -> None:
    frame = {"a": np.arange(90.0) % 7, "b": ["u", "v", "w"] * 30, "y": ["no", "yes"] * 45}
    (*_, last) = folds(read_table(frame, "y", categorical=["b"]), k=3)
    assert str(last) == (
        "Data\n  train  x: (60, 4), y: (60,)\n  test   x: (30, 4), y: (30,)\n"
        "  table  y on a, b=u, b=v, b=w\n  y      0..1: 'no', 'yes'"
    )
    assert repr(last.transform) == "Transform(y on a, b=u, b=v, b=w)"
    assert repr(Data(train={"z": np.ones((3, 2))})) == "Data(train (3, 2))"


def test_weight_is_no_leaf_when_none() -> None:
    assert len(jax.tree.leaves(Observations(np.ones((2, 1)), np.ones(2)))) == 2
    assert len(jax.tree.leaves(Observations(np.ones((2, 1)), np.ones(2), np.ones(2)))) == 3


def test_one_observation_unpacks_inside_vmap() -> None:
    obs = Observations(jnp.arange(6.0).reshape(3, 2), jnp.arange(3.0))

    def residual(z: Observations) -> jax.Array:
        x, y = z
        assert x.shape == (2,)
        return x.sum() - y

    np.testing.assert_allclose(jax.vmap(residual)(obs), [1.0, 4.0, 7.0])


@pytest.mark.parametrize("leaf", [object(), None, "text", jax.ShapeDtypeStruct((3,), float), 0.0])
def test_rebuilding_never_checks(leaf: object) -> None:
    obs = Observations(np.ones((2, 1)), np.ones(2), np.ones(2))
    data = Data(train=obs, val=obs)
    structure = jax.tree.structure(data)
    rebuilt = jax.tree.unflatten(structure, [leaf] * structure.num_leaves)
    assert rebuilt.train.x is leaf
    assert isinstance(rebuilt.val, Observations)


def test_data_passes_through_jit_and_eval_shape() -> None:
    data = Data(train=(jnp.ones((4, 2)), jnp.ones(4)), val=(jnp.ones((2, 2)), jnp.ones(2)))
    doubled = jax.jit(lambda d: jax.tree.map(lambda a: 2 * a, d))(data)
    assert isinstance(doubled, Data)
    np.testing.assert_array_equal(doubled.val[1], [2, 2])
    assert jax.eval_shape(lambda: data).train[0].shape == (4, 2)


def test_numpy_stays_as_given_and_frames_become_numpy() -> None:
    x = np.ones((3, 2))
    assert Data(train=(x, np.ones(3))).train[0] is x
    from_pandas = Data(train=(pd.DataFrame({"a": [1.0, 2.0]}), pd.Series([1, 2])))
    assert from_pandas.train[0].shape == (2, 1)
    from_polars = Data(train={"x": pl.Series([1.0, 2.0])})
    assert from_polars.train["x"].dtype == np.float64


def test_traced_values_are_not_looked_at() -> None:
    def run(x: jax.Array) -> jax.Array:
        return Data(train=(x, x)).train[0].sum()

    assert np.isnan(jax.jit(run)(jnp.array([1.0, jnp.nan])))


def test_counts_and_weights() -> None:
    assert n_observations({"x": np.ones((7, 2)), "y": np.ones(7)}) == 7
    weight = np.array([0.0, 2.0])
    assert weights_of(Observations(np.ones(2), np.ones(2), weight)) is weight
    assert weights_of({"x": np.ones(2), "weight": weight}) is weight
    assert weights_of((np.ones(2), np.ones(2))) is None
    assert weights_of(Observations(np.ones(2), np.ones(2))) is None


MESSAGES = {
    "no train": (
        lambda: Data(train=None),
        "train is None; Data needs a training part",
    ),
    "lengths": (
        lambda: Data(train=Observations(np.ones((3, 2)), np.ones(2))),
        "leaves of train differ in their number of observations: train.x (3, 2), train.y (2,)",
    ),
    "lengths in a tuple": (
        lambda: Data(train=(np.ones(3), np.ones(2))),
        "leaves of train differ in their number of observations: train[0] (3,), train[1] (2,)",
    ),
    "empty": (
        lambda: Data(train=np.ones((3, 1)), val=np.ones((0, 1))),
        "empty split: val has no observations; give it some, or leave it None",
    ),
    "no arrays": (
        lambda: Data(train=()),
        "train has no arrays; give observations with N along the first axis",
    ),
    "list": (
        lambda: Data(train=[1.0, 2.0]),
        "train[0] is a float, not an array; wrap it in np.asarray(...)",
    ),
    "scalar": (
        lambda: Data(train=(np.ones(3), np.float64(1))),
        "train[1] is a scalar; every leaf needs N observations along its first axis",
    ),
    "nan": (
        lambda: Data(train=Observations(np.array([[1, 2], [np.nan, np.inf]]), np.ones(2))),
        "train.x has 2 non-finite values, first at index 1; drop those rows or impute them",
    ),
    "one nan on the device": (
        lambda: Data(train=np.ones(2), test=jnp.array([jnp.inf, 1.0])),
        "test has 1 non-finite value, first at index 0; drop those rows or impute them",
    ),
    "text": (
        lambda: Data(train={"x": np.array(["a", "b"])}),
        "train['x'] has dtype <U1; give numbers (read_table encodes columns; labels y may be text)",
    ),
    "structure": (
        lambda: Data(train=(np.ones(2), np.ones(2)), val=np.ones(2)),
        "val and train differ in structure: PyTreeDef(*) against PyTreeDef((*, *)); "
        "give all parts the same leaves",
    ),
    "columns": (
        lambda: Data(train=(np.ones((4, 2)), np.ones(4)), test=(np.ones((3, 1)), np.ones(3))),
        "test[0] has observations of shape (1,), train[0] of shape (2,); "
        "give all parts the same columns",
    ),
    "negative weight": (
        lambda: Data(train=Observations(np.ones(3), np.ones(3), np.array([1.0, -2.0, -1.0]))),
        "weights must be finite and at least 0; got -2.0 at index 1 (2 such); "
        "drop or fix those rows",
    ),
    "zero weights": (
        lambda: weights_of({"weight": np.zeros(3)}),
        "all weights are zero; give at least one observation a positive weight",
    ),
    "weight matrix": (
        lambda: weights_of({"weight": np.ones((3, 1))}),
        "weights have shape (3, 1); give one per observation, shape (N,)",
    ),
    "nothing to count": (
        lambda: n_observations(()),
        "a part without arrays; give observations with N along the first axis",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_message(case: str) -> None:
    call, text = MESSAGES[case]
    with refused(text):
        call()


def test_content_hash_is_of_the_content() -> None:
    part = Observations(np.arange(6.0).reshape(3, 2), np.arange(3))
    same = Observations(np.arange(6.0).reshape(3, 2).copy(order="F"), np.arange(3))
    assert content_hash(part) == content_hash(same)
    assert len(content_hash(part)) == 64
    others = [
        Observations(np.arange(6.0).reshape(2, 3), np.arange(3)),
        Observations(np.arange(6.0).reshape(3, 2), np.arange(3.0)),
        Observations(np.arange(6.0).reshape(3, 2), np.array([0, 1, 3])),
    ]
    assert len({content_hash(other) for other in [part, *others]}) == 4
    single = part.x.astype(np.float32)
    assert content_hash(jnp.asarray(single)) == content_hash(single)
