"""What Python must know becomes static by itself, with one notice."""

from __future__ import annotations

import fractions
import random
import warnings
import zlib

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import draw

import thetahat as th
from thetahat.core import ConfigError

# Notices are given once in a process: the test forgets them.
from thetahat.train import _grouping


@pytest.fixture(autouse=True)
def _forget() -> None:
    _grouping._notice.cache_clear()


def branch(lr: float = 0.1, curve: float = 0.0, epochs: int = 3) -> th.Task:
    """Python branches on ``curve``."""
    obs = draw(30)
    loss = "huber" if curve > 0.5 else "squared"
    return th.Task(
        th.models.Linear(2, seed=0), th.Data(obs), loss=loss, optimizer=optax.sgd(lr), epochs=epochs
    )


def fraction(train: float = 0.7, lr: float = 0.1) -> th.Task:
    """A split's fraction is a shape."""
    data = th.split(draw(40), train=train, val=0.2, test=None, seed=0)
    return th.Task(th.models.Linear(2, seed=0), data, optimizer=optax.sgd(lr), epochs=3)


def generator(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A NumPy generator needs a number."""
    rng = np.random.default_rng(int(seed))
    x = rng.normal(size=(30, 2)).astype(np.float32)
    return th.Task(
        th.models.Linear(2, seed=0), th.Data((x, x.sum(axis=1))), optimizer=optax.sgd(lr), epochs=3
    )


def unconverted(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A NumPy generator is given the seed as it is."""
    return of_draws(np.random.default_rng(seed).normal(size=(30, 2)), lr)


def sequence(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A generator of a sequence of numbers."""
    return of_draws(np.random.default_rng([seed, 1]).normal(size=(30, 2)), lr)


def python(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """Python's own generator."""
    drawn = random.Random(seed)
    return of_draws(np.array([[drawn.gauss(0, 1), drawn.gauss(0, 1)] for _ in range(30)]), lr)


def sklearn(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """scikit-learn checks the type of its random state."""
    made = pytest.importorskip("sklearn.datasets").make_regression(30, 2, random_state=seed)
    return of_draws(made[0], lr)


def scipy(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """SciPy checks its random state too."""
    stats = pytest.importorskip("scipy.stats")
    return of_draws(stats.norm.rvs(size=(30, 2), random_state=seed), lr)


def exact(scale: float = 1.0, lr: float = 0.1) -> th.Task:
    """A number of Python's own library."""
    x = np.random.default_rng(0).normal(size=(30, 2))
    return of_draws(x * float(fractions.Fraction(scale)), lr)


def text(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A seed is part of a name, which no library reads."""
    rng = np.random.default_rng(zlib.crc32(f"data-{seed}".encode()))
    return of_draws(rng.normal(size=(30, 2)), lr)


def file(seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A seed names a table."""
    table = th.read_table(f"data-{seed}.csv", target="y")
    return th.Task(th.models.Linear(2, seed=0), th.Data(table), optimizer=optax.sgd(lr), epochs=3)


def of_draws(x: np.ndarray, lr: float) -> th.Task:
    x = np.asarray(x, np.float32)
    return th.Task(
        th.models.Linear(2, seed=0), th.Data((x, x.sum(axis=1))), optimizer=optax.sgd(lr), epochs=3
    )


def late(lr: float = 0.1, tilt: float = 1.0) -> th.Task:
    """The residual, not the experiment, needs the number."""

    def residual(h, z):
        x, y = z
        return h(x) - y if tilt < 2 else 2 * (h(x) - y)

    return th.Task(
        th.models.Linear(2, seed=0),
        th.Data(draw(30)),
        residual=residual,
        optimizer=optax.sgd(lr),
        epochs=3,
    )


@pytest.mark.usefixtures("fresh_programs")
def test_a_branch_makes_one_notice_that_names_parameter_line_and_cost() -> None:
    with pytest.warns(th.Notice) as caught:
        results = th.fit_many(branch, [{"curve": c, "lr": lr} for c in (0, 1) for lr in (0.1, 0.2)])
    assert len(caught) == 1
    said = str(caught[0].message)
    assert said.startswith(
        "branch(): 'curve' is static, because Python must know it at test_static.py:"
    )
    assert 'loss = "huber" if curve > 0.5 else "squared"' in said
    assert said.endswith(
        "each of its values compiles a program of its own. Write curve: th.Static[float]"
        " to say so for good"
    )
    assert [r.traces for r in results] == [1, 1, 1, 1]
    assert [r.mode for r in results] == ["vmap"] * 4
    alone = th.fit(branch, curve=1, lr=0.2)
    np.testing.assert_allclose(
        results[3].params["kernel"]
        if "kernel" in results[3].params
        else results[3].predict(np.eye(2)),
        alone.params["kernel"] if "kernel" in alone.params else alone.predict(np.eye(2)),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("experiment", "name", "values"),
    [
        (fraction, "train", (0.5, 0.6)),
        (generator, "seed", (1, 2)),
        (late, "tilt", (1.0, 3.0)),
        (unconverted, "seed", (1, 2)),
        (sequence, "seed", (1, 2)),
        (python, "seed", (1, 2)),
        (sklearn, "seed", (1, 2)),
        (scipy, "seed", (1, 2)),
        (exact, "scale", (1.0, 2.0)),
        (text, "seed", (1, 2)),
        (file, "seed", (1, 2)),
    ],
)
def test_shapes_generators_and_residuals_are_found(
    experiment, name, values, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in values:
        lines = [f"{k * seed},{k % 3},{k % 4}" for k in range(9)]
        (tmp_path / f"data-{seed}.csv").write_text("y,a,b\n" + "\n".join(lines), encoding="utf-8")
    with pytest.warns(th.Notice, match=f"{name!r} is static") as caught:
        results = th.fit_many(experiment, [{name: v} for v in values])
    assert len(caught) == 1
    for value, result in zip(values, results, strict=True):
        assert result.config[name] == value
        np.testing.assert_array_equal(
            result.predict(np.eye(2)), th.fit(experiment, **{name: value}).predict(np.eye(2))
        )


def test_an_error_of_the_experiment_itself_is_raised_without_a_notice() -> None:
    def broken(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        raise TypeError(f"wrong for {lr > 0 if isinstance(lr, float) else 'a traced'} value")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match="wrong for a traced value"):
            th.fit(broken)


def test_static_annotation_silences_the_notice() -> None:
    def said(curve: th.Static[float] = 1.0, lr: float = 0.1) -> th.Task:
        return branch(lr=lr, curve=curve)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert th.fit(said).epochs == 3


@pytest.mark.usefixtures("fresh_programs")
def test_closures_over_traced_parameters_work() -> None:
    def shifted(beta: float = 0.9, lr: float = 0.2) -> th.Task:
        obs = draw(40, noise=0.0)
        return th.Task(
            th.models.Linear(2, seed=0),
            th.Data(obs),
            epochs=400,
            optimizer=optax.sgd(lr),
            residual=lambda h, z: h(z.x) - beta * z.y,
            metrics={"gap": lambda h: jnp.abs(h(jnp.array([1.0, 0.0])) - beta)},
        )

    results = th.fit_many(shifted, [{"beta": b} for b in (0.5, 0.9)])
    assert results[0].traces == 1
    for result in results:
        np.testing.assert_allclose(result.predict([1.0, 0.0]), result.config["beta"], atol=1e-4)
        assert result.metrics["gap"] < 1e-4


def test_a_schedule_takes_a_traced_rate_and_logs_the_rate_of_the_last_step() -> None:
    def decayed(lr: float = 0.1) -> th.Task:
        return th.Task(
            th.models.Linear(2, seed=0),
            th.Data(draw(32)),
            epochs=4,
            batch_size=8,
            optimizer=optax.sgd(optax.exponential_decay(lr, 4, 0.5)),
        )

    for result in th.fit_many(decayed, [{"lr": 0.1}, {"lr": 0.2}]):
        expected = [result.config["lr"] * 0.5 ** ((4 * e - 1) / 4) for e in range(1, 5)]
        np.testing.assert_allclose(result.history["learning_rate"], expected, rtol=1e-5)


def test_what_is_given_is_checked() -> None:
    with pytest.raises(ConfigError) as caught:
        th.fit(branch, learning_rate=0.1)
    assert str(caught.value) == "branch() has no parameter 'learning_rate'; did you mean 'lr'?"
    with pytest.raises(ConfigError, match="lr='big' is not a number; give one, such as lr=0.01"):
        th.fit(branch, lr="big")
    with pytest.raises(ConfigError, match="lr=nan is not a number; give one, such as lr=0.01"):
        th.fit(branch, lr=float("nan"))
    with pytest.raises(ConfigError, match="an experiment must return a th.Task; got int"):
        th.fit(lambda lr=1: 5)
    with pytest.raises(ConfigError, match="fit_many got no configs"):
        th.fit_many(branch, [])
    with pytest.raises(
        ConfigError, match=r"seed=-1 is not a seed; give an integer from 0 to 2\*\*31 - 1"
    ):
        th.fit(generator, seed=-1)
