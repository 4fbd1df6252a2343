"""Resuming goes on with the fit that a checkpoint is of, and with no other: differences are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import net, parts

import thetahat as th
from thetahat.core import CheckpointError
from thetahat.train import Interrupt, Options, Shop, read_checkpoint, write_checkpoint

END = (
    ". Only epochs and stopping rules may change: go on with what it was made with, or give another"
    " checkpoint"
)


def task(**fields: Any) -> th.Task:
    """A small Task of a linear model, most of whose parts are said."""
    given: dict[str, Any] = {
        "model": th.models.Linear(2, seed=1),
        "data": parts(),
        "optimizer": optax.sgd(1e-3),
        "epochs": 4,
        "batch_size": 16,
        "seed": 1,
    }
    return th.Task(**(given | fields))


def net_task(**fields: Any) -> th.Task:
    """The same of a net."""
    net = {"model": th.models.MLP(2, width=4, depth=1, seed=1), "optimizer": optax.adam(1e-3)}
    return task(**(net | fields))


def refused(path: Path, go_on: Callable[[], Any]) -> str:
    """What a resumed fit says differs; the checkpoint stays as it was."""
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        go_on()
    assert path.read_bytes() == before
    start = f"the checkpoint {path} belongs to another fit: "
    assert str(caught.value).startswith(start), caught.value
    assert str(caught.value).endswith(END)
    return str(caught.value).removeprefix(start).removesuffix(END)


@pytest.fixture(scope="module")
def of_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.ckpt"
    th.fit(net, epochs=4, checkpoint=path)
    return path


@pytest.fixture(scope="module")
def of_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("task") / "task.ckpt"
    th.fit(net_task(), checkpoint=path)
    return path


# -- configs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"lr": 0.1}, "lr was 0.05, is 0.1"),
        ({"seed": 3}, "seed was 0, is 3"),
        ({"batch_size": 8}, "batch_size was 16, is 8"),
        ({"width": 5}, "width was 4, is 5; the model differs: width was 4, is 5"),
        ({"lr": 0.1, "seed": 3}, "lr was 0.05, is 0.1; seed was 0, is 3"),
    ],
)
def test_resume_refuses_another_config(of_net: Path, config: dict[str, Any], said: str) -> None:
    # As many epochs, or more.
    epochs = 4 if len(config) > 1 else 9
    again = lambda: th.fit(net, **config, epochs=epochs, checkpoint=of_net, resume=True)  # noqa: E731
    assert refused(of_net, again) == said


def test_more_epochs_are_said_and_give_what_a_whole_fit_gives(of_net: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(of_net.read_bytes())
    result = th.fit(net, epochs=7, checkpoint=path, resume=True)
    assert result.reason == "all 7 epochs done; resumed at epoch 4: epochs 4 -> 7"
    whole = th.fit(net, epochs=7)
    np.testing.assert_array_equal(result.history["val_risk"], whole.history["val_risk"])
    assert th.fit(net, epochs=7, checkpoint=path, resume=True).reason == "all 7 epochs done"


def test_fewer_epochs_than_there_are_are_refused(of_net: Path) -> None:
    with pytest.raises(CheckpointError, match="holds 4 epochs, and 3 were asked for; give at leas"):
        th.fit(net, epochs=3, checkpoint=of_net, resume=True)


def test_members_in_another_order_are_refused(tmp_path: Path) -> None:
    path, configs = tmp_path / "a.ckpt", [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    th.fit_many(net, configs, checkpoint=path)

    def again(some: list[dict[str, float]]) -> Callable[[], Any]:
        return lambda: th.fit_many(net, some, checkpoint=path, resume=True)

    assert refused(path, again(configs[::-1])) == "the members are in another order"
    other = [*configs[:2], {"lr": 0.4}]
    assert refused(path, again(other)) == "of member 2: lr was 0.3, is 0.4"
    with pytest.raises(CheckpointError, match="holds 3 members, and 2 were asked for"):
        again(configs[:2])()
    assert [r.reason for r in again(configs)()] == ["all 7 epochs done"] * 3


@pytest.mark.parametrize("rates", [(0.1, 0.2), (3, 2, 1)])
def test_members_that_are_to_be_exact_do_not_go_on_from_a_vmapped_state(
    tmp_path: Path, rates: tuple[float, ...]
) -> None:
    path, configs = tmp_path / "a.ckpt", [{"lr": lr} for lr in rates]
    th.fit_many(net, configs, mode="vmap", checkpoint=path)
    with pytest.raises(CheckpointError, match="was trained by vmap, whose last digits are not"):
        th.fit_many(net, configs, mode="exact", checkpoint=path, resume=True)


def grid(points: Any = None, seed: th.Seed = 0) -> th.Task:
    """An experiment whose data are a parameter."""
    x = np.asarray(points, np.float32)[:, None]
    return th.Task(
        th.models.Linear(1),
        th.Data((x, 2 * x[:, 0] + x[:, 0] ** 2)),
        optimizer=th.optim.named("sgd", 0.01),
        epochs=3,
        seed=seed,
    )


def long_arrays() -> tuple[np.ndarray, np.ndarray]:
    """Two whose ``repr`` is the same."""
    one = np.linspace(-1, 1, 3000)
    other = one.copy()
    other[1000:2000] = 1.0
    assert repr(one) == repr(other)
    return one, other


def test_long_arrays_that_differ_in_the_middle_are_other_configs(tmp_path: Path) -> None:
    one, other = long_arrays()
    path = tmp_path / "a.ckpt"
    th.fit(grid, points=one, checkpoint=path)
    said = refused(path, lambda: th.fit(grid, points=other, checkpoint=path, resume=True))
    assert said == "points differs"


def test_long_arrays_that_differ_in_the_middle_get_numbers_of_their_own() -> None:
    one, other = long_arrays()
    both = th.fit_many(grid, [{"points": one}, {"points": other}])
    alone = [th.fit(grid, points=points) for points in (one, other)]
    assert [r.risk["train"] for r in both] == [r.risk["train"] for r in alone]
    assert both[0].risk["train"] != both[1].risk["train"]
    shop = Shop(grid)
    for points, expected in zip((one, other, one), (*alone, alone[0]), strict=True):
        training = shop.open([{"points": points}], Options(), Interrupt())
        while training.step():
            pass
        assert training.finish()[0].risk["train"] == expected.risk["train"]
    assert len(shop._made) == 2


def with_loss(loss: Any = None, seed: th.Seed = 0) -> th.Task:
    """An experiment whose loss is a parameter."""
    return task(loss=loss, epochs=3, seed=seed)


class Scaled:
    """Losses that all look the same."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __repr__(self) -> str:
        return "Scaled()"

    def __call__(self, r: Any) -> Any:
        return self.by * r**2


@pytest.mark.parametrize("make", [Scaled, lambda by: lambda r: by * r**2])
def test_functions_that_hold_other_values_get_numbers_of_their_own(make: Any) -> None:
    both = th.fit_many(with_loss, [{"loss": make(1.0)}, {"loss": make(50.0)}])
    alone = [th.fit(with_loss, loss=make(by)).risk["train"] for by in (1.0, 50.0)]
    assert [r.risk["train"] for r in both] == alone


# -- the parts of a Task ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": optax.adam(1e-2)}, "the optimizer differs: step_size was -0.001, is -0.01"),
        ({"optimizer": optax.adam(1e-3, b1=0.8)}, "the optimizer differs: b1 was 0.9, is 0.8"),
        ({"optimizer": optax.sgd(1e-3)}, "optimizer was scale_by_adam, scale, is scale"),
        ({"optimizer": "adam"}, "optimizer was scale_by_adam, scale, is 'adam'"),
        ({"loss": "huber"}, "loss was 'squared', is 'huber'"),
        ({"residual": lambda h, z: 2 * (h(z.x) - z.y)}, "residual was None, is <lambda>"),
        ({"penalty": lambda p: 0.0}, "penalty was None, is <lambda>"),
        ({"batch_size": 8}, "batch_size was 16, is 8"),
        ({"batch_size": None}, "batch_size was 16, is None"),
        ({"sampling": "sequential"}, "sampling was 'shuffle', is 'sequential'"),
        ({"seed": 2}, "seed was 1, is 2"),
        ({"dtype": "float64"}, "dtype was 'float32', is 'float64'"),
        ({"data": parts(seed=1)}, "the training data differ; the validation data differ; the test data differ"),
        ({"data": replace(parts(), test=parts(seed=1).test)}, "the test data differ"),
        ({"model": th.models.MLP(2, width=4, depth=1, seed=2)}, "the model differs: seed was 1, is 2"),
        (
            {"model": th.models.MLP(2, width=4, depth=1, seed=1, activation="tanh")},
            "the model differs: activation was 'relu', is 'tanh'",
        ),
    ],
)  # fmt: skip
def test_resume_refuses_another_task(of_task: Path, fields: dict[str, Any], said: str) -> None:
    again = lambda: th.fit(net_task(epochs=9, **fields), checkpoint=of_task, resume=True)  # noqa: E731
    assert refused(of_task, again) == said


def test_the_same_task_goes_on(of_task: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(of_task.read_bytes())
    result = th.fit(net_task(epochs=6), checkpoint=path, resume=True)
    np.testing.assert_array_equal(
        result.history["val_risk"], th.fit(net_task(epochs=6)).history["val_risk"]
    )


class Wave(eqx.Module):
    """A model whose activation is no array."""

    slope: jax.Array
    shape: Any = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        return self.shape(self.slope @ x)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            {"optimizer": optax.adamw(0.01, weight_decay=1e-4)},
            {"optimizer": optax.adamw(0.01, weight_decay=1e-3)},
            "the optimizer differs: weight_decay was 0.0001, is 0.001",
        ),
        (
            {"optimizer": th.optim.named("sgd", optax.piecewise_constant_schedule(0.1, {5: 0.1}))},
            {"optimizer": th.optim.named("sgd", optax.piecewise_constant_schedule(0.1, {5: 0.5}))},
            "the optimizer differs",
        ),
        (
            {"sampling": th.Shuffle(seed=3)},
            {"sampling": th.Shuffle(seed=4)},
            "the sampling differs: seed was 3, is 4",
        ),
        ({"penalty": th.ridge(0.1)}, {"penalty": th.ridge(0.2)}, "the penalty differs: alpha was"),
        ({"loss": th.pinball(0.1)}, {"loss": th.pinball(0.2)}, "the loss differs: tau was 0.1, is"),
        (
            {"model": Wave(jnp.ones(2), jnp.tanh)},
            {"model": Wave(jnp.ones(2), jnp.sin)},
            "the model differs",
        ),
        (
            {"model": Wave(jnp.ones(2), jnp.tanh)},
            {"model": Wave(2 * jnp.ones(2), jnp.tanh)},
            "the model differs",
        ),
        (
            {"metrics": {"m": th.Metric(lambda h: 0.0, mode="max")}},
            {"metrics": {"m": th.Metric(lambda h: 0.0, mode="min")}},
            "the metrics 'm' differs",
        ),
    ],
)
def test_resume_refuses_what_a_part_of_a_task_holds(
    before: dict[str, Any], after: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    th.fit(task(**before), checkpoint=path)
    again = lambda: th.fit(task(epochs=6, **after), checkpoint=path, resume=True)  # noqa: E731
    assert refused(path, again).startswith(said)


@pytest.mark.parametrize("kind", ["parquet", "memmap"])
def test_data_on_disk_with_one_other_number_are_refused(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)

    def on_disk(row: int | None) -> th.Task:
        y = x[:, 0].copy()
        if row is not None:
            y[row] += 0.5
        if kind == "memmap":
            np.save(tmp_path / "y.npy", y)
            data = th.Data((x, np.load(tmp_path / "y.npy", mmap_mode="r")))
        else:
            file = tmp_path / "t.parquet"
            parquet.write_table(pa.table({"a": x[:, 0], "b": x[:, 1], "y": y}), file)
            os.utime(file, (1e9, 1e9))  # its time and its size tell nothing
            streamed = th.stream_table(file, "y", cache=tmp_path / f"spool {row}")
            data = th.split(streamed, train=1.0, val=0, test=0)
        return th.Task(th.models.Linear(2), data, epochs=3, batch_size=16)

    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.ckpt"
    th.fit(on_disk(None), checkpoint=path)
    again = lambda: th.fit(on_disk(7), checkpoint=path, resume=True)  # noqa: E731
    assert refused(path, again) == "the training data differ"


HELD = {"rate": 0.05, "factor": 1.0}
"""What no name, closure or default of the functions below holds: they look it up when they are traced."""


def _held_rate(step: Any) -> Any:
    return HELD["rate"] * 0.99**step


def _environment_rate(step: Any) -> Any:
    return float(os.environ["RATE"]) * 0.99**step


def _held_metric(h: Any, z: Any) -> Any:
    return HELD["factor"] * h(jax.tree.leaves(z)[0]) ** 2


def _held_metric_alone(h: Any) -> Any:
    return HELD["factor"] * h(jnp.ones(2))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimizer": optax.sgd(_held_rate)}, "optimizer"),
        ({"optimizer": optax.adam(_environment_rate)}, "optimizer"),
        ({"optimizer": optax.sgd(0.1), "metrics": {"m": _held_metric}}, "metrics"),
        ({"optimizer": optax.sgd(0.1), "metrics": {"m": _held_metric_alone}}, "metrics"),
    ],
)
def test_a_number_that_is_looked_up_is_mathematics(
    fields: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    monkeypatch.setenv("RATE", "0.05")
    th.fit(task(**fields), checkpoint=path)
    assert th.fit(task(**fields, epochs=5), checkpoint=path, resume=True).epochs == 5
    monkeypatch.setenv("RATE", "0.2")
    monkeypatch.setitem(HELD, "rate", 0.2)
    monkeypatch.setitem(HELD, "factor", 2.0)
    went_on = refused(path, lambda: th.fit(task(**fields, epochs=6), checkpoint=path, resume=True))
    assert went_on == f"the mathematics of the {said} differs"


def test_weights_are_data(tmp_path: Path) -> None:
    path, data = tmp_path / "a.ckpt", parts()
    x, y = data.train.x, data.train.y

    def weighted(first: float) -> th.Task:
        weight = np.ones(len(y), np.float32)
        weight[0] = first
        return task(data=th.Data(th.Observations(x, y, weight)))

    th.fit(weighted(1.0), checkpoint=path)
    again = lambda: th.fit(weighted(2.0), checkpoint=path, resume=True)  # noqa: E731
    assert refused(path, again) == "the training data differ"


def test_a_rate_that_depends_on_epochs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"

    def decaying(epochs: int = 4) -> th.Task:
        rate = optax.cosine_decay_schedule(0.1, 3 * epochs)
        return task(optimizer=optax.sgd(rate), epochs=epochs)

    th.fit(decaying, checkpoint=path)
    said = refused(path, lambda: th.fit(decaying, epochs=8, checkpoint=path, resume=True))
    assert said == "the optimizer differs: decay_steps was 12, is 24"


# -- code ------------------------------------------------------------------------------------------

PROGRAM = """\
import jax.numpy as jnp
import thetahat as th
from small import parts

SCALE = [1.0]

def inner(r):
    return 1.0 * r

def residual(h, z):
    return inner(SCALE[0] * (h(z.x) - z.y))

def experiment(lr: float = 0.05, epochs: int = 4, seed: th.Seed = 0) -> th.Task:
    factor = 1.0
    return th.Task(th.models.Linear(2, seed=seed), parts(),
                   residual=lambda h, z: factor * residual(h, z),
                   penalty=lambda p: 0.0 * jnp.sum(p["kernel"]),
                   optimizer=th.optim.named("sgd", lr), epochs=epochs, batch_size=16, seed=seed)
"""


def program(*edit: str) -> Callable[..., th.Task]:
    """The experiment of a program after an edit."""
    text = PROGRAM
    if edit:
        assert edit[0] in text
        text = text.replace(edit[0], edit[1])
    made = ModuleType("program")
    exec(compile(text, "program.py", "exec"), made.__dict__)
    return made.experiment


@pytest.fixture(scope="module")
def of_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program.ckpt"
    th.fit(program(), checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("return 1.0 * r", "return 2.0 * r"), "the residual differs in what its code holds"),
        (("factor = 1.0", "factor = 2.0"), "the residual differs: factor was 1.0, is 2.0"),
        (("factor * residual(h, z)", "factor * residual(h, z)**3"), "the residual's code differs"),
        (("0.0 * jnp.sum", "1.0 * jnp.sum"), "the penalty's code differs"),
        (("SCALE = [1.0]", "SCALE = [2.0]"), "the mathematics of the loss differs"),
        (('"sgd"', '"adam"'), "optimizer was "),
        (("batch_size=16", "batch_size=8"), "batch_size was 16, is 8"),
    ],
)
def test_resume_refuses_an_edited_program(
    of_program: Path, edit: tuple[str, str], said: str
) -> None:
    again = program(*edit)
    for epochs in (4, 9):
        go_on = lambda n=epochs: th.fit(again, epochs=n, checkpoint=of_program, resume=True)  # noqa: E731
        assert refused(of_program, go_on).startswith(said)


@pytest.mark.parametrize(
    "edit",
    [
        ("def residual", "\n\n# moved\ndef residual"),
        ("    factor = 1.0\n", '    """Say what it is."""\n\n    factor = 1.0\n'),
        ("SCALE = [1.0]", "SCALE = [1.0]\nUNUSED = 3\n"),
    ],
)
def test_code_that_moved_goes_on(of_program: Path, tmp_path: Path, edit: tuple[str, str]) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(of_program.read_bytes())
    result = th.fit(program(*edit), epochs=6, checkpoint=path, resume=True)
    assert result.reason == "all 6 epochs done; resumed at epoch 4: epochs 4 -> 6"


def test_epochs_and_rules_in_the_code_may_change(of_program: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(of_program.read_bytes())
    edited = program("epochs=epochs,", "epochs=8, stopping=th.Patience(50),")
    result = th.fit(edited, checkpoint=path, resume=True)
    assert result.reason == (
        "all 8 epochs done; resumed at epoch 4: epochs 4 -> 8; stopping changed: none ->"
        " Patience(epochs=50, min_delta=0.0, metric='val_risk')"
    )


def test_other_numbers_on_the_host_are_other_mathematics(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    table = np.linspace(0, 1, 3000).astype(np.float32)

    def with_table() -> th.Task:
        return task(residual=_looks_up)

    globals()["TABLE"] = table
    th.fit(with_table, checkpoint=path)
    other = table.copy()
    other[1500] = 7.0
    globals()["TABLE"] = other
    said = refused(path, lambda: th.fit(with_table, checkpoint=path, resume=True))
    assert said == "the residual differs in what its code holds or calls"


TABLE = np.zeros(1)


def _looks_up(h: Any, z: Any) -> Any:
    return h(z.x) - z.y * (1 + jnp.asarray(TABLE)[jnp.int32(1500)])


def test_other_versions_are_said_and_what_cannot_be_compared_is_not(
    of_program: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    kept = read_checkpoint(of_program)
    identity = kept.header["identity"]
    identity["versions"]["jax"] = "0.4.0"
    identity["mathematics"] = dict.fromkeys(identity["mathematics"], "of another version")
    write_checkpoint(path, kept)
    result = th.fit(program(), checkpoint=path, resume=True)
    said = f"; resumed at epoch 4: jax was 0.4.0, is {jax.__version__}"
    assert result.reason == f"all 4 epochs done{said}"


# -- stopping rules --------------------------------------------------------------------------------


def falling(tol: float = 0.0, patience: int = 3, lr: float = 0.3, epochs: int = 60) -> th.Task:
    """Stops after a while: its validation risk falls slower and slower."""
    rules = [th.Patience(patience, min_delta=0.01), th.Threshold("val_risk", tol)]
    return net_task(optimizer=th.optim.named("sgd", lr), epochs=epochs, stopping=rules)


def test_a_fit_that_patience_stopped_goes_on_with_more_patience(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    first = th.fit(falling, checkpoint=path)
    assert first.status is th.Status.STOPPED
    more = th.fit(falling, patience=9, checkpoint=path, resume=True)
    whole = th.fit(falling, patience=9)
    assert whole.epochs > first.epochs
    assert (more.epochs, more.status) == (whole.epochs, whole.status)
    np.testing.assert_array_equal(more.history["val_risk"], whole.history["val_risk"])
    assert more.risk == whole.risk
    assert more.reason.startswith(
        f"{whole.reason}; resumed at epoch {first.epochs}: stopping changed: Patience(epochs=3,"
    )


def test_a_traced_parameter_of_a_rule_may_change(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    whole = th.fit(falling, patience=60)
    tol = [float(whole.history["val_risk"][k]) for k in (5, 20)]
    assert tol[1] < tol[0]
    first = th.fit(falling, tol=tol[0], patience=60, checkpoint=path)
    assert first.epochs == 6
    more = th.fit(falling, tol=tol[1], patience=60, checkpoint=path, resume=True)
    expected = th.fit(falling, tol=tol[1], patience=60)
    assert (more.epochs, more.status) == (expected.epochs, th.Status.STOPPED)
    np.testing.assert_array_equal(more.history["val_risk"], expected.history["val_risk"])
    assert f"; resumed at epoch 6: tol was {tol[0]!r}, is {tol[1]!r}" in more.reason
    said = refused(
        path, lambda: th.fit(falling, tol=0.0, lr=0.1, patience=60, checkpoint=path, resume=True)
    )
    assert "lr was 0.3, is 0.1" in said


def test_a_rule_of_a_metric_that_is_better_when_larger_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"

    def scored(patience: int = 3) -> th.Task:
        score = th.Metric(lambda h, z: -((h(z.x) - z.y) ** 2), mode="max")
        rule = th.Patience(patience, min_delta=0.01, metric="val_score")
        return net_task(optimizer=th.optim.named("sgd", 0.3), epochs=60, stopping=rule, metrics={"score": score})  # fmt: skip

    first = th.fit(scored, checkpoint=path)
    more = th.fit(scored, patience=9, checkpoint=path, resume=True)
    whole = th.fit(scored, patience=9)
    assert first.epochs < more.epochs == whole.epochs
    assert more.risk == whole.risk


def test_members_that_stand_at_different_epochs_cannot_go_on_together(tmp_path: Path) -> None:
    path, configs = tmp_path / "a.ckpt", [{"lr": 0.3}, {"lr": 0.1}]
    first = th.fit_many(falling, configs, checkpoint=path)
    assert first[0].epochs != first[1].epochs
    more = [{**config, "patience": 30} for config in configs]
    with pytest.raises(
        CheckpointError, match="members that stand at the epochs .*; keep the rules"
    ):
        th.fit_many(falling, more, checkpoint=path, resume=True)


def test_a_rule_that_would_have_stopped_the_fit_stops_it_now(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    first = th.fit(falling, patience=60, epochs=30, checkpoint=path)
    less = th.fit(falling, patience=2, epochs=40, checkpoint=path, resume=True)
    assert (less.status, less.epochs) == (th.Status.STOPPED, first.epochs)
    assert less.reason.startswith("val_risk has not improved for 2 epochs; resumed at epoch 30: ")
