"""Data of other sizes train by one program, and give the numbers of a program of their own size.

The last digits may differ, as sums of another length are taken in another order: 1e-5 in float32,
1e-12 in float64. The training part is bitwise equal where its batches are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.train import Hyper
from thetahat.train.jax import _init, _padding  # no public name: no user turns padding off
from thetahat.train.jax._staging import stage

pytestmark = [
    pytest.mark.usefixtures("fresh_programs"),
    pytest.mark.filterwarnings("ignore:batch_size=.* is larger than"),
]

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def part(n: int, d: int = 3, *, labels: bool = False, weights: bool = False) -> th.Observations:
    """Observations of a linear relation with noise, or of two classes."""
    rng = np.random.default_rng((n, d))
    x = rng.normal(size=(n, d))
    y = x @ np.linspace(-1, 1, d) + 0.3 * rng.normal(size=n)
    weight = np.concatenate([[1.0], rng.integers(0, 4, size=n - 1)]) if weights else None
    return th.Observations(x, (y > np.median(y)).astype(float) if labels else y, weight)


def task(n: int, n_val: int | None = 11, d: int = 3, **changes: Any) -> th.Task:
    """A small net on ``n`` rows of ``d`` inputs, in batches of 16."""
    labels, weights = changes.get("loss") == "logistic", changes.pop("weights", False)
    kinds = {"d": d, "labels": labels, "weights": weights}
    val = None if n_val is None else part(n_val, **kinds)
    known = {
        "model": th.models.MLP(d, width=8, depth=1),
        "data": th.Data(part(n, **kinds), val=val, test=part(n // 3 + 1, **kinds)),
        "optimizer": optax.adam(0.02),
        "epochs": 5,
        "batch_size": 16,
    }
    return th.Task(**{**known, **changes})


@pytest.fixture
def own_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[th.Task], th.Result]:
    """Fit by a program of the data's own size."""

    def fit(what: th.Task) -> th.Result:
        with monkeypatch.context() as without:
            without.setattr(_padding, "SIZES", ())
            return th.fit(what)

    return fit


def numbers(result: th.Result) -> dict[str, np.ndarray]:
    """All numbers of a fit, by name."""
    found = {f"history {k}": v for k, v in result.history.items() if k != "seconds"}
    found |= {f"final {k}": np.asarray(v) for k, v in {**result.risk, **result.metrics}.items()}
    leaves = jax.tree.leaves(result.params)
    return found | {f"params {k}": np.asarray(leaf) for k, leaf in enumerate(leaves)}


def agree(one: th.Result, other: th.Result, dtype: str) -> None:
    """Compare all numbers, and how the fits ended."""
    assert (one.status, one.reason, one.epochs, one.best_epoch) == (
        other.status,
        other.reason,
        other.epochs,
        other.best_epoch,
    )
    mine, theirs = numbers(one), numbers(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        rtol = TOLERANCE[dtype]
        np.testing.assert_allclose(value, theirs[name], rtol=rtol, atol=rtol / 10, err_msg=name)


CASES: dict[str, Callable[[int], th.Task]] = {
    "batches": lambda n: task(n, batch_size=12),
    "full batch, no validation part": lambda n: task(n, None, batch_size=None, dtype="float64"),
    "weights, logistic loss": lambda n: task(n, weights=True, loss="logistic", dtype="float64"),
    "sequential, metrics, penalty": lambda n: task(
        n,
        sampling="sequential",
        penalty=th.ridge(0.1),
        metrics={"error": lambda h, z: abs(h(z.x) - z.y), "norm": lambda h: h(np.ones(3))},
    ),
    "weights, full batch, dropout": lambda n: task(
        n, weights=True, batch_size=99, model=th.models.TabularMLP(3, width=8, depth=1, dropout=0.3)
    ),
    "early stopping": lambda n: task(
        n, stopping=th.Patience(2), optimizer=optax.sgd(0.4), epochs=60, dtype="float64"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_padded_fit_has_the_numbers_of_a_fit_of_its_own_size(case: str, own_size) -> None:
    # One batch that is short, several, whole ones: by one program.
    sizes = (9, 77, 24) if case == "batches" else (77,)
    for n in sizes:
        what = CASES[case](n)
        padded, own = th.fit(what), own_size(what)
        assert (padded.traces, own.traces) == (int(n == sizes[0]), 1)
        agree(padded, own, what.dtype)


def test_training_in_batches_is_bitwise_that_of_a_fit_of_its_own_size(own_size) -> None:
    what = task(37, None)
    padded, own = numbers(th.fit(what)), numbers(own_size(what))
    for name, value in padded.items():
        assert name.startswith("final") or value.tobytes() == own[name].tobytes(), name


def test_fits_of_other_sizes_train_by_one_program(caplog) -> None:
    th.fit(task(200, 30))
    for n, n_val in ((2, 1), (16, 32), (31, 7), (160, 20), (300, 13), (384, 9)):
        assert th.fit(task(n, n_val)).traces == 0, n


def test_a_result_has_the_rows_that_were_given() -> None:
    what = task(21, 5)
    result = th.fit(what)
    given = [what.data.train, what.data.val, what.data.test]
    kept = [result.data.train, result.data.val, result.data.test]
    assert [len(part) for part in kept] == [21, 5, 8]
    for one, other in zip(given, kept, strict=True):
        np.testing.assert_array_equal(np.float32(one.x), other.x)
    again = th.fit(dataclasses.replace(what, epochs=1))
    assert again.provenance["data_train"] == result.provenance["data_train"]
    x, y = np.float32(what.data.train.x), np.float32(what.data.train.y)
    mean = np.mean((result.predict(x) - y) ** 2)
    np.testing.assert_allclose(result.risk["train"], mean, rtol=1e-5)


def test_members_of_an_exact_cohort_on_drawn_data_are_padded_as_alone() -> None:
    def drawn(n: int = 40, lr: float = 0.05, seed: th.Seed = 0) -> th.Task:
        data = th.split(th.dgp.linear(n, 3, 0.1, seed=seed), seed=seed)
        model = th.models.MLP(3, width=8, depth=1)
        return th.Task(model, data, optimizer=optax.sgd(lr), epochs=4, batch_size=8, seed=seed)

    configs = [{"seed": seed, "lr": lr} for seed, lr in ((0, 0.05), (3, 0.02), (9, 0.1))]
    th.fit_many(drawn, [{**config, "n": 57} for config in configs], mode="exact")
    together = th.fit_many(drawn, configs, mode="exact")
    assert [r.traces for r in together] == [0, 0, 0]
    alone = th.fit(drawn, **configs[1])
    assert {k: v.tobytes() for k, v in numbers(together[1]).items()} == {
        k: v.tobytes() for k, v in numbers(alone).items()
    }
    near = th.fit_many(drawn, configs, mode="vmap")
    agree(near[1], alone, "float32")


@pytest.mark.parametrize(("n", "batch_size"), [(23, None), (1000, 16)])
def test_folds_that_differ_by_a_row_train_by_one_program(n: int, batch_size: Any, own_size) -> None:
    folds = th.folds(part(n), k=3, seed=1)
    assert len({len(data.train) for data in folds}) == 2
    for k, data in enumerate(folds):
        what = task(20, data=data, batch_size=batch_size, epochs=2)
        fitted = th.fit(what)
        assert fitted.traces == int(k == 0)
        if k == 0:
            alone = dataclasses.replace(what, data=data.changed(largest=None))
            agree(fitted, own_size(alone), "float32")


def test_a_padded_fit_goes_on_bitwise_and_refuses_other_data(tmp_path) -> None:
    what = task(50, 20)
    whole = th.fit(what)
    path = tmp_path / "fit.ckpt"
    th.fit(dataclasses.replace(what, epochs=2), checkpoint=path)
    resumed = th.fit(what, checkpoint=path, resume=True)
    assert {k: v.tobytes() for k, v in numbers(whole).items()} == {
        k: v.tobytes() for k, v in numbers(resumed).items()
    }
    with pytest.raises(th.InputError, match="data"):
        th.fit(task(51, 20), checkpoint=path, resume=True)


OPTIMIZERS: dict[str, Any] = {
    "adamw": optax.adamw(optax.cosine_decay_schedule(0.05, 30), weight_decay=0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.rmsprop(0.02, momentum=0.5)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_inputs_of_zeros_change_no_number(name: str, own_size) -> None:
    given = {
        "optimizer": OPTIMIZERS[name],
        "penalty": th.ridge(0.05),
        "metrics": ["param_norm", "grad_norm"],
    }
    th.fit(task(40, d=8, **given))
    what = task(40, d=5, **given)
    padded, own = th.fit(what), own_size(what)
    assert (padded.traces, own.traces) == (0, 1)
    agree(padded, own, "float32")
    assert padded.n_params == own.n_params == 57
    assert padded.params["layers"][0]["kernel"].shape == (5, 8)
    assert padded.data.val.x.shape == (11, 5)
    assert padded.provenance["init"] == own.provenance["init"]
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(padded.predict(x), own.predict(x), rtol=1e-5)


def test_inputs_of_zeros_change_no_number_of_a_net_for_tables(own_size) -> None:
    def what(d: int) -> th.Task:
        net = th.models.TabularMLP(d, width=8, depth=2)
        return task(40, d=d, model=net, optimizer=th.optim.tabular(15, 0.05, 0.1))

    th.fit(what(8))
    padded, own = th.fit(what(5)), own_size(what(5))
    assert (padded.traces, own.traces) == (0, 1)
    agree(padded, own, "float32")
    assert padded.params["scale"].shape == (5,)
    assert padded.params["layers"][0]["kernel"].shape == (5, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [th.models.MLP, th.models.TabularMLP])
def test_one_program_draws_the_parameters_for_any_few_inputs(
    kind: Any, dtype: str, own_size, monkeypatch
) -> None:
    def net(d: int, seed: th.Seed = 0) -> th.Task:
        return task(40, d=d, model=kind(d, width=8, depth=2), epochs=1, dtype=dtype, seed=seed)

    monkeypatch.setattr(_init, "host_draws", lambda *_: None)  # as where the host draws none
    drawn = []

    def compile_draw(*given: Any, compile: Any = _init.compile_draw, **how: Any) -> Any:
        drawn.append(given)
        return compile(*given, **how)

    monkeypatch.setattr(_init, "compile_draw", compile_draw)
    fits = {d: th.fit(net(d)) for d in (1, 5, 7)}
    assert len(drawn) == 1
    seeds = [{"d": 5, "seed": seed} for seed in (0, 3)]
    members = th.fit_many(net, seeds)
    assert members[0].provenance["init"] == fits[5].provenance["init"]
    assert members[1].provenance["init"] != fits[5].provenance["init"]
    # The numbers are those of a net of its own inputs, to the last bit.
    for d, fitted in fits.items():
        assert fitted.provenance["init"] == own_size(net(d)).provenance["init"]


def test_sixteen_tables_of_other_sizes_train_by_four_programs() -> None:
    # As scikit-learn's check_estimator makes them; benchmarks.fits has sixty.
    shapes = [(2, 1), (300, 3), (20, 2), (31, 8), (100, 20), (150, 10), (57, 24), (10, 4)]
    losses = ("squared", "logistic")
    fits = [
        th.fit(task(n, None, d, loss=loss, epochs=2, batch_size=32))
        for n, d in shapes
        for loss in losses
    ]
    assert sum(result.traces for result in fits) == 4


OWN_COLUMNS: dict[str, dict[str, Any]] = {
    "a residual": {"residual": lambda h, z: h(z.x) - z.y},
    "a metric": {"metrics": {"at": lambda h: h(np.ones(3))}},
    "a penalty": {"penalty": lambda p: sum(a.mean() for a in jax.tree.leaves(p))},
    "an optimizer by shapes": {"optimizer": optax.adafactor(0.1)},
    "noise": {"optimizer": optax.noisy_sgd(0.1, key=0)},
    "zero over zero": {"optimizer": optax.adam(0.1, eps=0.0)},
    "another model": {"model": th.models.TabularMLP(3, width=8, dropout=0.1)},
    "a part of a model": {"model": th.models.freeze(th.models.MLP(3, width=8), "layers/0")},
}


@pytest.mark.parametrize("case", OWN_COLUMNS)
def test_what_may_see_columns_keeps_them(case: str) -> None:
    def columns(what: th.Task) -> Any:
        padding = _padding.padding_of(stage(lambda _: what, Hyper({}, {})))
        assert padding is not None
        return padding.columns

    assert columns(task(50)) == (3, 8)
    assert columns(task(50, **OWN_COLUMNS[case])) is None


OWN_SIZE: dict[str, Callable[[], th.Task]] = {
    "full batch methods": lambda: task(50, optimizer=th.optim.lbfgs(), batch_size=None),
    "orders drawn by JAX": lambda: task(50, sampling="replacement"),
    "metrics of a part": lambda: task(50, metrics={"r2": "r2"}),
    "wide nets": lambda: task(50, model=th.models.MLP(3, width=512), batch_size=None),
    "long parts": lambda: task(500),
    "long rows": lambda: task(50, model=th.models.Linear(3000), data=th.Data(part(50, 3000))),
}


@pytest.mark.parametrize("case", OWN_SIZE)
def test_what_padding_would_change_or_slow_keeps_its_size(case: str) -> None:
    def padded(what: th.Task) -> bool:
        return _padding.padding_of(stage(lambda _: what, Hyper({}, {}))) is not None

    assert padded(task(50))
    assert not padded(OWN_SIZE[case]())
