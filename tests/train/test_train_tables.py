"""Tables of a Task: columns of the fitted function at the best state, by every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thetahat as th
from thetahat.core import ConfigError, ShapeError

GRID = np.linspace(-1, 1, 7)
X = np.linspace(-1, 1, 40)[:, None]


def line(
    slope: float = 2.0, lr: float = 0.1, backend: str = "jax", epochs: int = 3, seed: th.Seed = 0
) -> th.Task:
    model: Any = th.models.MLP(1, width=4, depth=1, seed=seed)
    if backend != "jax":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def table(h: Any) -> dict[str, Any]:
        out = jax.vmap(h)(jnp.asarray(GRID, jnp.float32)[:, None]).reshape(-1)
        return {"k": GRID, "c": out, "slope": slope, "name": [str(k) for k in range(7)]}

    return th.Task(
        model,
        th.Data((X, X[:, 0]), val=(X[::2], X[::2, 0])),
        optimizer="adam",
        epochs=epochs,
        seed=seed,
        backend="torch" if backend == "torch" else "auto",
        tables={"line": table},
    )


@pytest.mark.filterwarnings("ignore::thetahat.core.errors.Notice")  # a seed that is static
@pytest.mark.parametrize("backend", ["jax", "converted", "torch"])
def test_a_cohorts_tables_are_the_predictions_at_each_best_state(backend: str) -> None:
    configs = [{"backend": backend, "seed": k, "slope": k + 0.5} for k in range(3)]
    for k, result in enumerate(th.fit_many(line, configs)):
        table = result.tables["line"]
        assert list(table) == ["k", "c", "slope", "name"]
        np.testing.assert_array_equal(table["k"], GRID)
        np.testing.assert_allclose(table["c"], result.predict(GRID[:, None]), rtol=1e-5)
        np.testing.assert_allclose(table["slope"], np.full(7, k + 0.5), rtol=1e-7)
        assert result.table("line")["name"].tolist() == [str(k) for k in range(7)]
    with pytest.raises(ConfigError, match="no table 'lin'; did you mean 'line'"):
        result.table("lin")


def test_results_stack_their_tables_with_their_configs(tmp_path: Path) -> None:
    def root(power: float = 1.0) -> th.Task:
        def table(h: Any) -> dict[str, Any]:
            return {"x": [0.0, 1.0], "y": [h(np.ones(1)), power], "who": ["a", "b"]}

        tables = {"line": table}
        return th.Task(th.models.Linear(1), (X, X[:, 0]), epochs=1, tables=tables)

    results = th.fit_many(root, [{"power": 1.5}, {"power": 2.5}])
    frame = results.table("line")
    assert list(frame.columns) == ["member", "power", "x", "y", "who"]
    assert frame.power.tolist() == [1.5, 1.5, 2.5, 2.5] and frame.member.tolist() == [0, 0, 1, 1]
    assert frame.y[1::2].tolist() == [1.5, 2.5]
    np.testing.assert_allclose(frame.y[::2], results.predict(np.ones(1)), rtol=1e-6)
    with pytest.raises(ConfigError, match="no member has a table 'lines'; did you mean 'line'"):
        results.table("lines")
    results.save(tmp_path / "lines.theta")
    loaded = th.load(tmp_path / "lines.theta")
    again = loaded.table("line")
    assert again.dtypes.tolist()[:4] == frame.dtypes.tolist()[:4]
    assert again.to_dict("list") == frame.to_dict("list")
    assert loaded[1].table("line").y[1] == 2.5
    with pytest.raises(ConfigError, match="the result has no table 'lin'; did you mean 'line'"):
        loaded[0].table("lin")


def test_a_table_of_named_columns_is_in_their_units() -> None:
    x = np.random.default_rng(0).normal(5, 2, 50)
    data = th.read_table({"x": x, "y": 3 * x + 10}, "y")

    def table(h: Any) -> dict[str, Any]:
        return {"x": GRID, "y": jax.vmap(h)(jnp.asarray(GRID)[:, None])}

    task = th.Task(
        th.models.Linear(1),
        data,
        optimizer="newton",
        epochs=3,
        tables={"line": table},
    )
    np.testing.assert_allclose(th.fit(task).tables["line"]["y"], 3 * GRID + 10, rtol=1e-4)


@pytest.mark.parametrize(
    ("table", "kind", "words"),
    [
        (lambda h: 3, ConfigError, "a int; return columns by name"),
        (lambda h: {"a": jnp.zeros(3), "b": jnp.zeros(2)}, ConfigError, "'a' has 3, 'b' has 2"),
        (lambda h: {"a": jnp.zeros((3, 2))}, ShapeError, r"the shape \(3, 2\); give one column"),
    ],
)
def test_a_wrong_table_fails_before_training(table: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        th.fit(th.Task(th.models.Linear(1), (X, X[:, 0]), epochs=10**9, tables={"t": table}))


def test_a_run_that_diverged_has_no_table() -> None:
    def table(h: Any) -> dict[str, Any]:
        return {"c": jax.vmap(h)(jnp.asarray(GRID)[:, None])}

    stopping = th.Divergence(1e-9)
    task = th.Task(th.models.Linear(1), (X, X[:, 0]), stopping=stopping, tables={"t": table})
    assert th.fit(task).tables == {}
