"""Acceptance of a solution: checks at the best state, off the training points, by every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thetahat as th
from thetahat.cli import run
from thetahat.core import ConfigError, ShapeError, Status
from thetahat.store import NewSweep, create_sweep

X = np.linspace(-1, 1, 40)[:, None]
OFF = np.linspace(-0.95, 0.95, 21)[:, None]


def line(
    below: float = 1.0, high: float = 2.0, backend: str = "jax", lr: float = 0.1, seed: th.Seed = 0
) -> th.Task:
    """Fit y = x; h starts near 0, so that one epoch leaves residuals between 0 and 1."""
    model: Any = th.models.MLP(1, width=4, depth=1, out="scalar", seed=seed)
    if backend != "jax":
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def path(h: Any) -> dict[str, Any]:
        return {"c": jax.vmap(h)(jnp.asarray(OFF, jnp.float32)).reshape(-1)}

    return th.Task(
        model,
        th.Data((X, X[:, 0])),
        optimizer="adam",
        epochs=2,
        seed=seed,
        backend="torch" if backend == "torch" else "auto",
        accept=[
            th.accept.residual((OFF, OFF[:, 0]), quantile=0.9, below=below),
            th.accept.inside(path, {"c": (-2.0, high)}),
        ],
    )


@pytest.mark.filterwarnings("ignore::thetahat.core.errors.Notice")  # a seed that is static
@pytest.mark.parametrize("backend", ["jax", "converted", "torch"])
def test_checks_measure_what_numpy_measures_and_reject_each_member_by_its_own_bounds(
    backend: str, tmp_path: Path
) -> None:
    configs = [{"backend": backend, "seed": 0, "below": b, "high": c} for b, c in BOUNDS]
    results = th.fit_many(line, configs)
    for result, (below, high) in zip(results, BOUNDS, strict=True):
        predicted = result.predict(OFF).reshape(-1)
        table = result.tables["accept"]
        quantile = np.quantile(np.abs(predicted - OFF[:, 0]), 0.9)
        measured = [quantile, predicted.min(), predicted.max()]
        np.testing.assert_allclose(table["value"], measured, rtol=1e-4)
        holds = [quantile < below, predicted.min() >= -2, predicted.max() <= high]
        assert table["accepted"].tolist() == holds
        assert result.accepted is all(holds)
        assert result.status is (Status.FINISHED if all(holds) else Status.REJECTED)
    assert {r.status for r in results} == {Status.FINISHED, Status.REJECTED}
    assert "90 % quantile of |residual| is" in results[1].reason
    assert "largest c is" in results[2].reason and "all 2 epochs done" in results[2].reason
    assert "1 of 3 accepted" in repr(results)
    if backend == "jax":
        results.save(tmp_path / "lines.theta")
        assert [one.accepted for one in th.load(tmp_path / "lines.theta")] == [True, False, False]
    with pytest.warns(th.Notice, match=r"2 of 3 results .* left out \(1 of 3 accepted\)"):
        assert len(results.ended_well()) == 1


BOUNDS = [(10.0, 2.0), (1e-6, 2.0), (10.0, -1.5)]


def test_a_function_of_h_is_a_check_and_nan_is_not_accepted() -> None:
    def rises(h: Any) -> Any:
        return h(jnp.ones(1)) > h(-jnp.ones(1)) + 100.0

    def lost(h: Any) -> Any:
        return h(jnp.ones(1)) * jnp.nan

    data = th.Data((X, X[:, 0]))
    model = th.models.MLP(1, width=4, depth=1, out="scalar")
    one = th.fit(th.Task(model, data, epochs=1, accept=rises))
    assert (one.status, one.reason) == (
        Status.REJECTED,
        "rises(h) is False; all 1 epochs done",
    )
    two = th.fit(th.Task(model, data, epochs=1, accept=th.accept.inside(lost, (-1.0, 1.0))))
    assert two.reason.startswith("smallest lost is nan; largest lost is nan")
    assert th.fit(th.Task(model, data, epochs=1)).accepted is None


@pytest.mark.parametrize(
    ("accept", "kind", "words"),
    [
        (3, ConfigError, "accept=3 is not a check; give th.accept.residual"),
        (lambda h: jnp.ones(2), ShapeError, r"returned the shape \(2,\); return one bool"),
        (
            th.accept.inside(lambda h: {"k": h(jnp.ones(1))}, {"c": (0.0, 1.0)}),
            ConfigError,
            "returned k, and bounds name c",
        ),
    ],
)
def test_a_wrong_check_fails_before_training(accept: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        th.fit(th.Task(th.models.Linear(1), (X, X[:, 0]), epochs=10**9, accept=accept))


def test_wrong_arguments_of_checks_get_a_message() -> None:
    with pytest.raises(ConfigError, match=r"quantile=2\); give one in \(0, 1\]"):
        th.accept.residual(X, quantile=2)
    with pytest.raises(ConfigError, match="give one or more points"):
        th.accept.residual(np.zeros((0, 1)))
    with pytest.raises(ConfigError, match=r"\(3.0, 1.0\); give \(low, high\)"):
        th.accept.inside(lambda h: h, (3.0, 1.0))
    with pytest.raises(ConfigError, match="the checks of accept= have this name"):
        th.Task(th.models.Linear(1), X, tables={"accept": lambda h: {"x": X}})


def two_lines(to: float = 1.0, within: float = 0.5, seed: th.Seed = 0) -> th.Task:
    """Fit the line y = to x: its slope says which of two solutions it is."""

    def slope(h: Any) -> Any:
        return h(jnp.ones(1)) - h(jnp.zeros(1))

    return th.Task(
        th.models.Linear(1),
        th.Data(X),
        residual=lambda h, x: h(x) - to * x[0],
        optimizer="lm",
        epochs=5,
        seed=seed,
        accept=th.accept.solution(slope, {"flat": 1.0, "steep": 3.0}, within=within),
    )


def test_solutions_are_named_by_the_nearest_known_one_and_counted() -> None:
    results = th.fit_many(two_lines, [{"to": to} for to in (3.1, 2.9, 0.8, 2.0)])
    assert [r.solution for r in results] == ["steep", "steep", "flat", None]
    assert results[0].reason == "all 5 epochs done; found steep; accepted"
    distance = "distance of slope from the nearest of flat, steep is 1, which is not below 0.5"
    assert results[3].reason == f"{distance}; all 5 epochs done"
    assert "3 of 4 accepted (2 steep, 1 flat)" in repr(results)
    table = results[0].tables["accept"]
    np.testing.assert_allclose(table["value"], [3.1, 2.1, 0.1, 0.1], atol=1e-4)
    assert table["solution"].tolist() == ["", "flat", "steep", ""]


def test_wrong_solutions_get_a_message() -> None:
    def fit(*checks: Any) -> Any:
        return th.fit(th.Task(th.models.Linear(1), (X, X[:, 0]), epochs=1, accept=list(checks)))

    one = th.accept.solution(lambda h: h(jnp.ones(1)), {"a": 1.0}, within=1)
    with pytest.raises(ConfigError, match="several th.accept.solution"):
        fit(one, one)
    with pytest.raises(ShapeError, match=r"returned the shape \(\), and the solution 'a' has"):
        fit(th.accept.solution(lambda h: h(jnp.ones(1)), {"a": [1.0, 2.0]}, within=1))
    for known, within, words in (
        ({}, 1, "map names"),
        ({"a;b": 1}, 1, "';'"),
        ({"a": 1}, 0, "abo"),
    ):
        with pytest.raises(ConfigError, match=words):
            th.accept.solution(len, known, within=within)


def test_a_store_counts_rejected_runs_and_keeps_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = "method: grid\nmetric: {name: train_risk}\nparameters: {lr: {values: [1, 2]}}"
    with th.open_store(tmp_path / "store.db") as store:
        th.fit(line, below=1e-6, trackers=[th.store_tracker(store, name="one")])
        sweep = create_sweep(store, NewSweep(spec, "checked"))
        for k, status in enumerate(("finished", "rejected", "failed")):
            run_row = store.create_run({"lr": k}, sweep_id=sweep.id)
            reason = "all 2 epochs done" + "; found low; accepted" * (k == 0)
            metrics = {"train_risk": 1.0 - 0.1 * k}
            store.finish_run(run_row.id, status=status, reason=reason, metrics=metrics)
    said = {}
    for command in ("show one", "table one accept", f"show {sweep.id}", f"runs {sweep.id}"):
        assert run([*command.split(), "--store", str(tmp_path / "store.db")]) == 0
        said[command.split()[0] + command.split()[1][:3]] = "".join(capsys.readouterr())
    shown = said["show" + sweep.id[:3]]
    assert "one  rejected" in said["showone"]
    assert "90 % quantile of |residual|" in said["tableone"]
    assert "accepted    1 of 3 runs, by the checks of their solutions (1 low)" in shown
    assert "train_risk 1, run" in said["show" + sweep.id[:3]]  # 0.9 was rejected
    assert "1 of 3 accepted (1 low)" in said["runs" + sweep.id[:3]]
