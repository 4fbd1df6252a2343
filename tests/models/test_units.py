"""The model that a fit hands out speaks the units of the table, as its predictions do."""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import thetahat as th
from thetahat.core.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=200) + 1e4, 3 + 100 * RNG.normal(size=200)
COLUMNS = {
    "a": A,
    "b": np.where(np.arange(200) % 9 == 0, np.nan, B),
    "region": np.array(["east", "west"])[np.arange(200) % 2],
    "y": 50 + 7 * (A - 1e4) - 0.02 * B,
}


class Net(nnx.Module):
    """A module with dropout: off in every evaluation."""

    def __init__(self, key: jax.Array) -> None:
        rngs = nnx.Rngs(key)
        self.inner = nnx.Linear(4, 8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.outer = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """One observation."""
        return self.outer(self.dropout(jnp.tanh(self.inner(x))))[0]


def fit(kind: str = "mlp", dtype: str = "float32") -> th.Result:
    read = th.read_table(COLUMNS, "y", categorical="region", missing="mean")
    model = th.models.MLP(4, width=8, depth=1) if kind == "mlp" else Net(jax.random.key(0))
    return th.fit(th.Task(model, th.split(read, seed=0), epochs=5, dtype=dtype))


@pytest.mark.parametrize(
    ("kind", "dtype"), [("mlp", "float32"), ("mlp", "float64"), ("nnx", "float32")]
)
def test_the_model_agrees_with_predict(kind: str, dtype: str) -> None:
    result = fit(kind, dtype)
    read = th.read_table(COLUMNS, "y", categorical="region", missing="mean")
    many = result.predict(read.x)
    near = 1e-6 if dtype == "float32" else 1e-13
    assert many.dtype == np.float64
    for i in (0, 9, 25):  # the first two lack b
        alone = float(np.squeeze(result.model(read.x[i])))
        assert alone == pytest.approx(many[i], rel=near)
        assert float(result.predict(read.x[i])) == pytest.approx(many[i], rel=near)
        assert float(result.predict(read.x[i : i + 1])[0]) == pytest.approx(many[i], rel=near)
    named = {"a": A[25], "b": B[25], "region": "west"}
    assert float(np.squeeze(result.model(named))) == pytest.approx(many[25], rel=near)


class Slope(eqx.Module):
    """A module of equinox."""

    slope: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.slope @ x


PAIR = (lambda key: {"w": jnp.ones(2)}, lambda p, x: p["w"] @ x)
NUMBERS = {"a": A, "b": B, "y": COLUMNS["y"]}


def split_by(seed: th.Seed = 0) -> th.Task:
    """An experiment whose seed splits the table, and so moves its means and deviations."""
    return th.Task(PAIR, th.split(th.read_table(NUMBERS, "y"), seed=seed), epochs=3)


def results_of(kind: str, folder: Path) -> list[th.Result]:
    """Fits of the same table by another way."""
    if kind == "split by the seed":
        return th.fit_many(split_by, [{"seed": 1}, {"seed": 2}])
    model, batch = PAIR, None
    if kind == "streamed":
        pd = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pd.DataFrame(NUMBERS).to_parquet(folder / "t.parquet")
        table, batch = th.stream_table(folder / "t.parquet", "y", cache=folder / "spool"), 32
    else:
        model = Slope(jnp.ones(2)) if kind == "equinox" else PAIR
        scale = kind != "the target as it is"
        table = th.read_table(NUMBERS, "y", target_scale=scale)
    return [th.fit(th.Task(model, th.split(table, seed=0), epochs=3, batch_size=batch))]


@pytest.mark.parametrize(
    "kind", ["equinox", "two functions", "streamed", "the target as it is", "split by the seed"]
)
def test_models_of_every_kind_speak_the_tables_units(kind: str, tmp_path: Path) -> None:
    results = results_of(kind, tmp_path)
    for result in results:
        x = np.array([A[3], B[3]])
        alone = float(np.squeeze(result.model(x)))
        assert alone == pytest.approx(float(result.predict(x)), rel=1e-6)
        assert alone == pytest.approx(float(result.predict(x[None])[0]), rel=1e-6)
        if kind != "the target as it is":
            assert abs(alone - 50) < 25  # the target's own level, not that of a standardised one
    assert len({float(result.predict(np.array([A[3], B[3]]))) for result in results}) == len(
        results
    )


def test_the_module_itself_is_there_in_standardised_units() -> None:
    result = fit()
    x = result.data.transform.encode({k: v for k, v in COLUMNS.items() if k != "y"})
    raw = np.squeeze(result.model.standardized(jnp.asarray(x[3], jnp.float32)))
    assert float(result.data.transform.decode(raw)) == pytest.approx(
        float(result.predict(x_of(3))), rel=1e-6
    )
    assert "in the table's units" in repr(result.model)
    with pytest.raises(AttributeError, match=r"the module of standardised inputs is \.standardized"):
        result.model.layers  # noqa: B018


def x_of(row: int) -> np.ndarray:
    """A row of the table's numbers."""
    return th.read_table(COLUMNS, "y", categorical="region", missing="mean").x[row]


def test_the_model_can_be_differentiated_and_mapped() -> None:
    result = fit()
    x = jnp.asarray(x_of(1), jnp.float32)
    slope = jax.grad(lambda x: jnp.squeeze(result.model(x)))(x)
    step = np.zeros(4)
    step[1] = 10.0
    numeric = (result.predict(x_of(1) + step) - result.predict(x_of(1) - step)) / 20
    assert float(slope[1]) == pytest.approx(float(numeric), rel=0.05, abs=1e-3)
    mapped = jax.vmap(result.model)(jnp.stack([x, x]))
    np.testing.assert_allclose(np.ravel(mapped), [float(result.predict(x_of(1)))] * 2, rtol=1e-3)


def test_the_model_refuses_what_is_no_observation_of_the_table() -> None:
    model = fit().model
    with pytest.raises(ShapeError, match=r"one observation, shape \(4,\) \(a, b, region=east"):
        model(np.zeros((5, 4)))
    with pytest.raises(DataError, match="level 'north'"):
        model({"a": 1.0, "b": 2.0, "region": "north"})


def test_without_a_table_the_model_is_the_users_own() -> None:
    x = RNG.normal(size=(40, 4))
    result = th.fit(th.Task(Net(jax.random.key(0)), th.Data((x, x[:, 0])), epochs=2))
    assert type(result.model) is Net
