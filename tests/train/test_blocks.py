"""Blocks of data: each residual sees its own points, and the risk is the blocks' weighted mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thetahat as th
from thetahat.core import ConfigError, DataError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (20, 1))
Y = 1 + 2 * X[:, 0] + 0.3 * RNG.normal(size=20)
AT = np.array([0.0, 0.5, 1.0])


def line(weight: float = 5.0, optimizer: str = "lm", batch: int = 0, seed: th.Seed = 0) -> th.Task:
    """Fit a line to points (x, y), and its level at three others to 3."""
    return th.Task(
        th.models.Linear(1),
        th.Data({"fit": (X, Y), "level": AT}, val={"fit": (X[:5], Y[:5]), "level": AT[:2]}),
        residual={"fit": lambda h, z: h(z[0]) - z[1], "level": lambda h, t: h(t[None]) - 3.0},
        weights={"level": weight},
        optimizer=th.optim.levenberg_marquardt() if optimizer == "lm" else optimizer,
        epochs=3 if batch else 30,
        batch_size=batch or None,
        best_by="val_risk",
        seed=seed,
        dtype="float64",
    )


def weighted_line(weight: float) -> np.ndarray:
    """Solve the same weighted least squares by NumPy: level and slope."""
    a = np.column_stack([np.ones(23), np.r_[X[:, 0], AT]])
    b, w = np.r_[Y, np.full(3, 3.0)], np.r_[np.full(20, 1 / 20), np.full(3, weight / 3)]
    return np.linalg.lstsq(a * np.sqrt(w)[:, None], b * np.sqrt(w), rcond=None)[0]


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_a_cohort_over_a_blocks_weight_is_weighted_least_squares(optimizer: str) -> None:
    weights = (1.0, 5.0)
    plain = [{"weight": w, "optimizer": optimizer} for w in weights]
    for result, weight in zip(th.fit_many(line, plain), weights, strict=True):
        task = result.task
        assert result.traces <= 1 and list(task.residual.residuals) == ["fit", "level"]
        numbers = {**result.metrics, **{f"{k}_risk": v for k, v in result.risk.items()}}
        for part in ("train", "val"):
            both = numbers[f"{part}_fit_risk"] + weight * numbers[f"{part}_level_risk"]
            np.testing.assert_allclose(numbers[f"{part}_risk"], both / (1 + weight), rtol=1e-10)
        predicted = result.predict(X)
        np.testing.assert_allclose(numbers["train_fit_risk"], np.mean((predicted - Y) ** 2))
        np.testing.assert_allclose(
            numbers["train_level_risk"], np.mean((result.predict(AT[:, None]) - 3) ** 2)
        )
    level, slope = weighted_line(5.0)
    least = np.mean((level + slope * X[:, 0] - Y) ** 2) + 5 * np.mean((level + slope * AT - 3) ** 2)
    np.testing.assert_allclose(result.history["train_risk"][-1], least / 6, rtol=1e-6)


def test_batches_of_blocks_train_on_the_same_risk() -> None:
    result = th.fit(line, optimizer="sgd", batch=8)
    np.testing.assert_allclose(
        result.risk["train"],
        (result.metrics["train_fit_risk"] + 5 * result.metrics["train_level_risk"]) / 6,
        rtol=1e-10,
    )
    assert result.history["train_risk"][-1] < result.history["train_risk"][0]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"residual": {"fit": line}}, ConfigError, "blocks fit, and train has fit, level"),
        ({"residual": None}, DataError, "differ in their number .* For blocks of data give Task"),
        ({"residual": {"fit": 3}}, ConfigError, "does not map blocks to functions"),
        ({"weights": {"lvl": 2.0}}, ConfigError, "names the block 'lvl'; there are fit, level"),
        ({"weights": {"fit": 0.0}}, ConfigError, "'fit': 0.0}; give a number above 0"),
        ({"loss": "logistic"}, ConfigError, "blocks need one of a residual"),
        ({"metrics": {"a": lambda h, z: 0.0}}, ConfigError, "give f"),
        ({"accept": th.accept.residual(X)}, ConfigError, "the blocks are fit, level; give block="),
    ],
)
def test_blocks_that_do_not_fit_together_get_a_message(changes: Any, kind: Any, words: str) -> None:
    given = {
        "residual": {"fit": lambda h, z: h(z[0]) - z[1], "level": lambda h, t: h(t[None])},
        **changes,
    }
    with pytest.raises(kind, match=words):
        th.fit(th.Task(th.models.Linear(1), th.Data({"fit": (X, Y), "level": AT}), **given))


def test_weights_without_blocks_and_residuals_of_other_shapes_get_a_message() -> None:
    with pytest.raises(ConfigError, match=r"weights=\['level'\] are those of blocks"):
        th.fit(th.Task(th.models.Linear(1), (X, Y), weights={"level": 2.0}))
    shapes = {"fit": lambda h, z: h(z[0]) * np.ones(2), "level": lambda h, t: h(t[None])}
    with pytest.raises(ShapeError, match=r"different shapes: fit \(2,\), level \(\)"):
        th.fit(th.Task(th.models.Linear(1), th.Data({"fit": (X, Y), "level": AT}), residual=shapes))


def test_what_knows_no_blocks_refuses_them() -> None:
    torch = pytest.importorskip("torch")
    residual = {"fit": lambda h, z: h(z[0]) - z[1], "level": lambda h, t: h(t[None])}
    blocks = {"fit": (X, Y), "level": AT}
    net = torch.nn.Linear(1, 1)
    with pytest.raises(ConfigError, match="PyTorch trains Linear, .* residual= by block"):
        th.fit(th.Task(net, th.Data(blocks), residual=residual, backend="torch"))
    with pytest.raises(ConfigError, match="this Task has blocks of data"):
        th.fit_bagged(th.Task(th.models.Linear(1), th.Data(blocks), residual=residual))
    with pytest.raises(DataError, match=r"differ in their number .* split each block by itself"):
        th.split(blocks)

    def learner(data: th.Data) -> th.Task:
        return th.Task(th.models.Linear(1), data, residual=residual)

    with pytest.raises(ConfigError, match="blocks fit, level, and train has none"):
        th.crossfit(learner, X, Y, folds=2, repetitions=1)


def test_blocks_on_disk_are_refused(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    residual = {"fit": lambda h, x: h(x), "level": lambda h, t: h(t[None])}
    task = th.Task(th.models.Linear(1), th.Data({"fit": on_disk, "level": AT}), residual=residual)
    with pytest.raises(ConfigError, match="the blocks of train stay on disk"):
        th.fit(task)


def test_blocks_of_equal_length_can_be_split() -> None:
    data = th.split({"a": X, "b": Y}, train=10, val=5, test=5, seed=1)
    task = th.Task(
        th.models.Linear(1),
        data,
        residual={"a": lambda h, x: h(x) - 1, "b": lambda h, y: h(y[None]) - 1},
        optimizer="lm",
        epochs=3,
    )
    result = th.fit(task)
    at = np.r_[data.test["a"][:, 0], data.test["b"]]
    expected = np.mean((result.predict(at[:, None]) - 1) ** 2)
    assert result.risk["test"] == pytest.approx(expected, abs=1e-10)
