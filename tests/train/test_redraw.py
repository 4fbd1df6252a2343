"""Points that are drawn anew from paths of the current hypothesis, inside one program."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thetahat as th
from thetahat.core import CheckpointError, ConfigError, ShapeError

# Chunks are made short.
from thetahat.train import _driver

FIRST = np.linspace(-1, 1, 8)[:, None]
EVERY = 4


def simulate(h: Any, key: Any) -> Any:
    """Eight points around the hypothesis at zero."""
    return 0.1 * h(jnp.zeros(1)) + jax.random.normal(key, (8, 1))


def line(
    lr: float = 0.05,
    epochs: int = 14,
    every: int = EVERY,
    below: float = 0.0,
    optimizer: str = "sgd",
    seed: th.Seed = 0,
) -> th.Task:
    """Fit h(x) = 1 + 2 x at points that are drawn anew."""
    import optax

    from_zero = (lambda key: {"b": jnp.zeros(2)}, lambda params, x: params["b"] @ jnp.r_[1.0, x])
    return th.Task(
        from_zero,
        th.Data(FIRST),
        residual=lambda h, x: h(x) - 1 - 2 * x[0],
        optimizer=optax.sgd(lr) if optimizer == "sgd" else optimizer,
        epochs=epochs,
        seed=seed,
        dtype="float64",
        stopping=th.Threshold("train_risk", below=below),
        redraw=th.Redraw(simulate, every=every),
    )


def by_hand(lr: float, seed: int, epochs: int = 14) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient descent in NumPy: the risk of each epoch, (level, slope), and the last points."""
    level = slope = 0.0
    x, risks = FIRST[:, 0], []
    with jax.enable_x64(True):
        key = jax.random.fold_in(jax.random.key(seed), 6)
        for epoch in range(epochs):
            if epoch in (4, 8, 12):
                draw = jax.random.normal(jax.random.fold_in(key, epoch), (8, 1))
                x = 0.1 * level + np.asarray(draw)[:, 0]
            r = level + slope * x - 1 - 2 * x
            risks.append(np.mean(r**2))
            level, slope = level - 2 * lr * np.mean(r), slope - 2 * lr * np.mean(r * x)
    return np.array(risks), np.array([level, slope]), x


def test_a_cohort_trains_on_the_points_that_its_own_hypotheses_draw() -> None:
    configs = [{"lr": 0.05, "seed": 0}, {"lr": 0.2, "seed": 0}, {"lr": 0.2, "seed": 7}]
    results = th.fit_many(line, configs, mode="vmap")
    assert {r.traces for r in results} <= {0, 1}
    for result, config in zip(results, configs, strict=True):
        risks, (level, slope), x = by_hand(**config)
        np.testing.assert_allclose(result.history["train_risk"], risks, rtol=1e-9)
        np.testing.assert_allclose(result.predict([0.0]), level, rtol=1e-9)
        np.testing.assert_allclose(np.ravel(result.data.train), x, rtol=1e-9)
        last = np.mean((level + slope * x - 1 - 2 * x) ** 2)
        np.testing.assert_allclose([result.risk["train"], result.evaluate("train")], last)


@pytest.mark.parametrize("members", [1, 2])
def test_a_fit_that_is_cut_between_two_draws_resumes_bitwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    monkeypatch.setattr(_driver.ChunkLength, "next", lambda self, left, most: min(left, 3))
    configs = [{"seed": s} for s in range(members)]
    path = tmp_path / "run.ckpt"

    def ctrl_c(progress: Any) -> None:
        if progress.epoch == 6:
            signal.raise_signal(signal.SIGINT)

    cut = th.fit_many(line, configs, mode="vmap", checkpoint=path, progress=ctrl_c)
    assert {r.epochs for r in cut} == {6}
    resumed = th.fit_many(line, configs, mode="vmap", checkpoint=path, resume=True)
    for one, other in zip(resumed, th.fit_many(line, configs, mode="vmap"), strict=True):
        np.testing.assert_array_equal(one.history["train_risk"], other.history["train_risk"])
        np.testing.assert_array_equal(one.data.train, other.data.train)
        assert one.risk == other.risk
    others = [{**config, "every": 5} for config in configs]
    with pytest.raises(CheckpointError, match="every"):
        th.fit_many(line, others, mode="vmap", checkpoint=path, resume=True)


def test_a_member_that_has_ended_keeps_its_points() -> None:
    alone = th.fit(line, lr=0.2, below=1.0)
    together = th.fit_many(line, [{"lr": 0.2, "below": 1.0}, {"lr": 0.01, "below": 0.0}])
    assert alone.epochs < EVERY < together[1].epochs
    np.testing.assert_array_equal(together[0].data.train, FIRST)
    assert together[0].risk["train"] == pytest.approx(alone.risk["train"])


@pytest.mark.parametrize("optimizer", ["lbfgs", "levenberg_marquardt"])
def test_optimizers_of_the_full_risk_begin_anew_where_the_points_do(optimizer: str) -> None:
    result = th.fit(line, optimizer=optimizer, every=3, epochs=12)
    np.testing.assert_allclose(result.predict(FIRST), 1 + 2 * FIRST[:, 0], rtol=1e-6)


def test_some_blocks_are_drawn_anew_and_the_others_stay() -> None:
    def redrawn(seed: th.Seed = 0) -> th.Task:
        def euler(h: Any, key: Any) -> Any:
            return {"euler": h(jnp.zeros(1)) + jax.random.normal(key, (5, 1))}

        return th.Task(
            th.models.Linear(1),
            th.Data({"initial": np.zeros(2), "euler": FIRST[:5]}),
            residual={"euler": lambda h, x: h(x) - x[0], "initial": lambda h, t: h(t[None]) - 1},
            optimizer="sgd",
            epochs=3,
            redraw=th.Redraw(euler, every=2),
            seed=seed,
        )

    result = th.fit(redrawn)
    points, block = result.data.train["points"], result.data.train["block"]
    drawn = jax.random.normal(
        jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 6), 2), (5, 1)
    )
    spread = points["euler"][block == 0] - np.asarray(drawn)
    np.testing.assert_allclose(spread, spread[0, 0], atol=1e-6)  # the level of the hypothesis
    assert abs(spread[0, 0]) > 1e-3
    np.testing.assert_array_equal(points["initial"][block == 1], 0.0)
    np.testing.assert_allclose(
        result.risk["train"],
        (result.metrics["train_euler_risk"] + result.metrics["train_initial_risk"]) / 2,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("simulated", "kind", "words"),
    [
        (lambda h, key: jnp.zeros((7, 1)), ShapeError, r"returned float32\[7, 1\], and the"),
        (lambda h, key: jnp.zeros((8, 1), int), ShapeError, r"returned int32\[8, 1\]"),
        (lambda h, key: {"k": jnp.zeros((8, 1))}, ShapeError, r"returned {k: float32\[8, 1\]}"),
    ],
)
def test_other_points_than_the_tasks_fail_before_training(
    simulated: Any, kind: Any, words: str
) -> None:
    task = th.Task(
        th.models.Linear(1),
        th.Data(FIRST),
        residual=lambda h, x: h(x) - x[0],
        epochs=10**9,
        redraw=th.Redraw(simulated),
    )
    with pytest.raises(kind, match=words):
        th.fit(task)


def test_wrong_redraws_get_a_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"give a function simulate\(h, key\)"):
        th.Redraw(lambda h: h)
    with pytest.raises(ConfigError, match=r"every=0\); give an integer of at least 1"):
        th.Redraw(simulate, every=0)
    with pytest.raises(ConfigError, match=r"give th.Redraw\(simulate, every=50\)"):
        th.Task(th.models.Linear(1), FIRST, redraw=simulate)  # type: ignore[arg-type]
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(f"{k},{2 * k}" for k in range(30)))
    data = th.split(th.read_table(tmp_path / "t.csv", target="y"))
    with pytest.raises(ConfigError, match="these data are rows of a table"):
        th.fit(th.Task(th.models.Linear(1), data, redraw=th.Redraw(simulate)))
    with pytest.raises(ConfigError, match="this Task has points that are redrawn"):
        th.fit_bagged(th.Task(th.models.Linear(1), FIRST, redraw=th.Redraw(simulate)))
