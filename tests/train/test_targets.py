"""Targets are what the loss needs, or are refused by name, with the fix, before anything trains."""

from __future__ import annotations

import re
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import thetahat as th
from thetahat import risk
from thetahat.core.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
BINARY = (X[:, 0] + RNG.normal(size=60) > 0).astype(int)
THREE = np.tile([0, 1, 2], 20)


def fit(y: Any, loss: Any, out: Any = "scalar", **fields: Any) -> th.Result:
    model = th.models.Linear(2, out=out)
    data = fields.pop("data", None) or th.Data((X, y))
    given = {"optimizer": "sgd", "epochs": 2} | fields
    return th.fit(th.Task(model, data, loss=loss, **given))


def refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(DataError) as caught:
        fit(*args, **fields)
    return str(caught.value)


BAD = {
    "three labels": (THREE, "logistic", "scalar", "the values 0, 1, 2", "out=3"),
    "shares": (0.5 * BINARY, "logistic", "scalar", "0, 0.5", "th.risk.fractional_logit"),
    "a number": (10 * X[:, 0], "logistic", "scalar", " to ", 'loss="squared" for numbers'),
    "too large a share": (
        2.0 * BINARY,
        th.risk.fractional_logit,
        "scalar",
        "numbers from 0 to 1",
        "give y / max(y)",
    ),
    "more classes than outputs": (THREE, "cross_entropy", 2, "needs 0..1", "the model out=3"),
    "negative classes": (THREE - 1, "cross_entropy", 4, "the values -1, 0, 1", "give y + 1"),
    "classes with gaps": (2 * THREE + 5, "cross_entropy", 4, "5, 7, 9", "np.unique"),
    "broken classes": (THREE + 0.5, "cross_entropy", 3, "0.5, 1.5, 2.5", "whole numbers"),
    "many classes": (np.arange(60) % 12, "cross_entropy", 5, "0 to 11", "the model out=12"),
    "rows that sum to 2": (
        2 * np.eye(3)[THREE],
        "cross_entropy",
        3,
        "at index 0 (60",
        "by its sum",
    ),
    "negative rows": (2 / 3 - np.eye(3)[THREE], "cross_entropy", 3, "-0.33", "at least 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_targets_that_a_loss_cannot_use_are_refused_with_the_fix(name: str) -> None:
    y, loss, out, found, fix = BAD[name]
    said = refusal(y, loss, out)
    assert said.startswith("train[1] has the ")
    assert found in said
    assert fix in said.split(": ", 1)[1]


@pytest.mark.parametrize(
    ("y", "loss", "out"),
    [
        (BINARY == 1, "logistic", "scalar"),
        (BINARY.astype(float), "logistic", "scalar"),
        (0.25 + 0.5 * BINARY, th.risk.fractional_logit, "scalar"),
        (BINARY == 1, "cross_entropy", 2),
        (THREE.astype(np.float64), "cross_entropy", 3),
        (THREE.astype(np.uint8), "cross_entropy", 4),
        (np.full((60, 3), 1 / 3), "cross_entropy", 3),
        (X[:, 0], "pinball", "scalar"),
    ],
)
def test_targets_that_a_loss_can_use_are_taken(y: np.ndarray, loss: Any, out: Any) -> None:
    result = fit(y, loss, out)
    assert result.status == "finished"
    assert 0 <= result.risk["train"] < 20


def test_float_and_integer_classes_give_the_same_numbers() -> None:
    one, two = (fit(THREE.astype(kind), "cross_entropy", 3) for kind in (int, float))
    assert one.risk == two.risk


@pytest.mark.parametrize("part", ["val", "test"])
def test_every_part_is_checked(part: str) -> None:
    data = th.Data((X, BINARY), **{part: (X, 2 * BINARY - 1)})
    assert refusal(None, "logistic", data=data).startswith(f"{part}[1] has the values -1, 1")


@pytest.mark.parametrize("loss", ["pinball", "huber", "absolute", "squared", "logistic"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_refused_with_their_row(loss: str, value: float) -> None:
    y = BINARY.astype(float)
    y[7] = value
    assert "1 non-finite value, first at index 7" in refusal(y, loss)


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_weights_that_are_no_weights_are_refused(value: float) -> None:
    weight = np.ones(60)
    weight[3] = value
    with pytest.raises(DataError, match="at index 3"):
        fit(None, "logistic", data=th.Data({"x": X, "y": BINARY, "weight": weight}))


def test_the_target_that_a_residual_returns_is_checked() -> None:
    y = 2 * BINARY - 1
    taken = {"residual": lambda h, z: (h(z[0]), z[1])}
    assert refusal(y, "logistic", **taken).startswith("train[1] has the values -1, 1")
    made = {"residual": lambda h, z: (h(z[0]), 2.0 * z[1] - 1)}
    said = refusal(BINARY, "logistic", **made)
    assert said.startswith("the target that the residual returns, in train, has the values -1, 1")
    right = {"residual": lambda h, z: (h(z[0]), (z[1] > 0).astype(float))}
    assert fit(y, "logistic", **right).status == "finished"


def test_a_loss_of_the_users_says_what_it_needs() -> None:
    counts = th.risk.Need(lambda k: "counts, at least 0", lambda y, k: y >= 0)
    loss = th.risk.Loss("poisson", lambda s, y: jnp.exp(s) - y * s, "prediction", counts)
    said = refusal(THREE - 1.0, loss)
    assert "poisson needs counts, at least 0: fix or drop those rows" in said
    assert fit(THREE.astype(float), loss).status == "finished"


def drawn(kind: str = "sign", seed: th.Seed = 0, lr: float = 0.1, base: float = 1.0) -> th.Task:
    """Data that only exist inside the trace."""
    x = jax.random.normal(jax.random.key(seed), (40, 2))
    y = {"sign": jnp.sign(x[:, 0]), "log": jnp.log(base + 0 * x[:, 0])}[kind]
    loss = "logistic" if kind == "sign" else "squared"
    optimizer = th.optim.named("sgd", lr)
    return th.Task(th.models.Linear(2), th.Data((x, y)), loss=loss, optimizer=optimizer, epochs=2)


def test_data_that_a_process_draws_are_checked_before_training() -> None:
    with pytest.raises(DataError, match=r"has the values -1, 1 .* give \(y \+ 1\) / 2"):
        th.fit(drawn)
    with pytest.raises(DataError, match="40 targets that squared cannot use: nan, nan, nan at ind"):
        th.fit(drawn, kind="log", base=-1.0)


def test_a_member_whose_own_data_are_not_finite_diverges_and_the_others_go_on() -> None:
    bad, good = th.fit_many(drawn, [{"kind": "log", "base": b} for b in (-1.0, 2.0)])
    assert bad.status == "diverged"
    assert good.status == "finished"


# --- tables ---------------------------------------------------------------------------------------


def table(target: np.ndarray, **options: Any) -> th.Data:
    columns = {"a": X[:, 0], "b": 50 + 5 * X[:, 1], "y": target}
    return th.split(th.read_table(columns, "y", **options), train=0.7, val=0, test=0.3, seed=1)


def test_a_tables_binary_target_is_never_standardised_under_a_loss_of_a_prediction() -> None:
    result = th.fit(
        th.Task(th.models.Linear(2), table(BINARY), loss="logistic", optimizer="newton", epochs=20)
    )
    y, x = np.asarray(result.data.train.y), np.asarray(result.data.train.x)
    assert set(y.tolist()) == {0.0, 1.0}
    peer = LogisticRegression(C=1e9, tol=1e-9, max_iter=5000).fit(x, y)
    assert result.risk["train"] == pytest.approx(log_loss(y, peer.predict_proba(x)), abs=1e-5)
    test = result.data.test
    expected = log_loss(test.y, peer.predict_proba(np.asarray(test.x)), labels=[0, 1])
    assert result.risk["test"] == pytest.approx(expected, abs=1e-3)
    scores = result.decision_function({"a": X[:, 0], "b": 50 + 5 * X[:, 1]})
    np.testing.assert_allclose(
        scores[:5], peer.decision_function(result.data.transform.encode(_rows()))[:5], atol=5e-3
    )


def _rows() -> dict[str, np.ndarray]:
    return {"a": X[:, 0], "b": 50 + 5 * X[:, 1]}


def test_the_squared_loss_of_a_tables_binary_target_is_the_linear_probability_model() -> None:
    result = th.fit(
        th.Task(th.models.Linear(2), table(BINARY), optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    train = result.data.train
    assert abs(float(np.mean(np.asarray(train.y)))) < 1e-6
    raw = table(BINARY, standardize=False).train
    design = np.column_stack([np.ones(len(raw.y)), raw.x])
    beta = np.linalg.lstsq(design, raw.y, rcond=None)[0]
    mine = np.column_stack([np.ones(60), *_rows().values()]) @ beta
    np.testing.assert_allclose(result.predict(_rows()), mine, atol=1e-4)


def _likelihood(h: Any, z: Any) -> Any:
    return jnp.log1p(jnp.exp(h(z.x))) - z.y * h(z.x)


def _half(h: Any, z: Any) -> Any:
    return (h(z.x) > 0) == (z.y > 0.5)


@pytest.mark.parametrize(
    ("labels", "fields", "said"),
    [
        (BINARY, {"residual": _likelihood, "loss": lambda r: r}, "0 and 1, .*: the residual get -"),
        (2 * BINARY - 1, {"residual": _likelihood, "loss": lambda r: r}, "-1 and 1, .*: the resid"),
        (BINARY, {"metrics": {"near": _half}}, "0 and 1, .*: the metric 'near' get -"),
        (BINARY + 1.0, {"residual": _likelihood, "metrics": {"near": _half}, "loss": lambda r: r},
         "1 and 2, .*: the residual and the metric 'near' get -"),
    ],
)  # fmt: skip
def test_labels_that_a_function_of_the_users_gets_standardised_are_said(
    labels: np.ndarray, fields: dict[str, Any], said: str
) -> None:
    model = th.models.Linear(2, seed=0)
    with pytest.warns(th.Notice, match=f"target 'y' has two values, {said}.*target_scale=False"):
        th.fit(th.Task(model, table(labels), epochs=2, **fields))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        th.fit(th.Task(model, table(labels, target_scale=False), epochs=2, **fields))


@pytest.mark.parametrize("kind", ["split by a traced seed", "streamed"])
def test_labels_that_get_standardised_elsewhere_are_said_too(kind: str, tmp_path: Any) -> None:
    columns = {**_rows(), "y": BINARY}

    def estimate(seed: th.Seed = 0, scale: bool = True) -> th.Task:
        if kind == "streamed":
            path = tmp_path / "t.parquet"
            pd.DataFrame(columns).to_parquet(path)
            spool = tmp_path / f"spool {scale}"
            read = th.stream_table(path, "y", cache=spool, target_scale=scale)
            data, batch = th.split(read, seed=0), 16
        else:
            data, batch = th.split(th.read_table(columns, "y", target_scale=scale), seed=seed), None
        fields: dict[str, Any] = {"residual": _likelihood, "loss": lambda r: r}
        return th.Task(th.models.Linear(2), data, epochs=2, batch_size=batch, **fields)

    with pytest.warns(th.Notice, match="target 'y' has two values, 0 and 1, and is standardised"):
        th.fit(estimate)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        th.fit(estimate, scale=False)


def test_the_likelihood_of_ones_own_is_the_logistic_loss() -> None:
    model = th.models.Linear(2, seed=0)
    own = {"residual": _likelihood, "loss": lambda r: r}
    mine = th.fit(th.Task(model, table(BINARY, target_scale=False), epochs=3, **own))
    ours = th.fit(th.Task(model, table(BINARY), loss="logistic", epochs=3))
    assert mine.risk == pytest.approx(ours.risk, rel=1e-5)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (BINARY, {}),
        (BINARY, {"loss": "logistic", "metrics": {"near": _half}}),
        (THREE, {"metrics": {"near": _half}}),
        (X.sum(1), {"residual": lambda h, z: h(z.x) - z.y}),
    ],
)
def test_nothing_is_said_of_targets_that_are_no_labels_or_are_kept(
    target: np.ndarray, fields: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        th.fit(th.Task(th.models.Linear(2, seed=0), table(target), epochs=2, **fields))


@pytest.mark.parametrize("seeded", [False, True])
def test_a_split_by_a_traced_seed_keeps_the_tables_own_target_too(seeded: bool) -> None:
    def estimate(seed: th.Seed = 1) -> th.Task:
        read = th.read_table({**_rows(), "y": BINARY}, "y")
        data = th.split(read, seed=seed if seeded else 1)
        return th.Task(th.models.Linear(2, seed=3), data, loss="logistic", epochs=3)

    result = th.fit(estimate)
    assert set(np.asarray(result.data.train.y).tolist()) == {0.0, 1.0}
    assert 0.1 < result.risk["train"] < 3


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["no", "yes"])[BINARY], ("no", "yes")),
        (np.array([1, 2])[BINARY], (1, 2)),
        (np.array([-1, 1])[BINARY], (-1, 1)),
        (pd.Series(pd.Categorical(np.array(["a", "b"])[BINARY])), ("a", "b")),
    ],
)
def test_declared_classes_are_coded_once_and_remembered(labels: Any, classes: tuple) -> None:
    data = table(labels, categorical=["y"])
    assert data.transform.classes == classes
    task = th.Task(th.models.Linear(2, seed=0), data, loss="logistic", epochs=3)
    coded = th.Task(th.models.Linear(2, seed=0), table(BINARY), loss="logistic", epochs=3)
    assert th.fit(task).risk == th.fit(coded).risk


def test_cross_entropy_of_a_tables_classes_is_multinomial_logit() -> None:
    names = np.array(["ask", "bid", "cut"])
    model = th.models.Linear(2, out=3)
    fields = {"loss": "cross_entropy", "optimizer": th.optim.named("sgd", 1.0), "epochs": 500}
    named = th.fit(th.Task(model, table(names[THREE], categorical="y"), **fields))
    whole = th.fit(th.Task(model, table(THREE), **fields))
    assert named.risk == whole.risk
    train = whole.data.train
    x, y = np.asarray(train.x), np.asarray(train.y).astype(int)
    peer = LogisticRegression(C=1e9, tol=1e-9, max_iter=5000).fit(x, y)
    assert whole.risk["train"] == pytest.approx(log_loss(y, peer.predict_proba(x)), abs=1e-4)


def test_a_tables_numbers_are_refused_by_the_name_of_their_column() -> None:
    task = th.Task(th.models.Linear(2), table(THREE + 1), loss="logistic", epochs=2)
    with pytest.raises(DataError) as caught:
        th.fit(task)
    assert re.fullmatch(
        r"target 'y', in the train part, has the values 1, 2, 3 \(.* wrong, in rows .* of the table,"
        r" counted from 1\); logistic needs 0 or 1: give loss=.cross_entropy. and a model with out=3"
        r" for classes",
        str(caught.value),
    )


def test_a_loss_of_counts_does_not_ask_for_classes() -> None:
    need = risk.Need(lambda k: "counts, at least 0", lambda y, k: y >= 0)
    loss = risk.Loss("poisson", lambda h, y: jnp.exp(h) - y * h, risk.PREDICTION, need)
    with pytest.raises(DataError) as caught:
        th.fit(th.Task(th.models.Linear(2), table(THREE - 1), loss=loss, epochs=2))
    assert str(caught.value).endswith("poisson needs counts, at least 0: fix or drop those rows")


def test_classes_are_refused_under_a_loss_of_numbers() -> None:
    data = table(np.array(["a", "b", "c"])[THREE], categorical=["y"])
    with pytest.raises(DataError, match=r"classes 'a', 'b', 'c'.*cross_entropy.*out=3"):
        th.fit(th.Task(th.models.Linear(2), data, epochs=2))
    with pytest.raises(DataError, match=r"3 classes .* needs two: give loss=.cross_entropy."):
        th.fit(th.Task(th.models.Linear(2), data, loss="logistic", epochs=2))
    with pytest.raises(DataError, match="the model out=3"):
        th.fit(th.Task(th.models.Linear(2, out=2), data, loss="cross_entropy", epochs=2))


@pytest.mark.parametrize("labels", [BINARY, BINARY + 1])
def test_a_streamed_tables_target_is_its_own_and_is_checked(tmp_path, labels: np.ndarray) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({**_rows(), "y": labels}).to_parquet(path)
    read = th.stream_table(path, "y", cache=tmp_path / "spool")
    streamed = th.split(read, train=0.7, val=0, test=0.3, seed=1)
    fields = {"loss": "logistic", "epochs": 3, "batch_size": 16}
    task = th.Task(th.models.Linear(2, seed=0), streamed, **fields)
    if labels.max() > 1:
        with pytest.raises(DataError, match="the values 1, 2"):
            th.fit(task)
        return
    memory = th.fit(th.Task(th.models.Linear(2, seed=0), table(labels), **fields))
    np.testing.assert_allclose(
        th.fit(task).history["train_risk"], memory.history["train_risk"], rtol=1e-6
    )


def test_a_streamed_tables_classes_are_coded_in_its_spool(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({**_rows(), "y": np.array(["no", "yes"])[BINARY]}).to_parquet(path)
    for _ in range(2):  # spooled, then opened
        read = th.stream_table(path, "y", categorical="y", cache=tmp_path / "spool")
        assert read.classes == ("no", "yes")
        np.testing.assert_array_equal(np.asarray(read.y), BINARY)


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.* rows are left out")
@pytest.mark.parametrize("missing", ["refuse", "drop"])
@pytest.mark.parametrize("kind", ["frame", "csv", "stream"])
def test_a_refused_row_of_a_table_has_its_number_in_the_file(tmp_path, kind, missing) -> None:
    bad = BINARY.astype(float)
    bad[[17, 31, 44]] = 2
    columns = pd.DataFrame({**_rows(), "y": bad})
    if missing == "drop":
        columns.loc[[2, 3, 20], "a"] = np.nan
    source = tmp_path / "t.csv"
    columns.to_csv(source, index=False)
    columns.to_parquet(tmp_path / "t.parquet")
    if kind == "stream":
        read = th.stream_table(tmp_path / "t.parquet", "y", missing=missing, cache=tmp_path / "s")
    else:
        read = th.read_table(columns if kind == "frame" else source, "y", missing=missing)
    data = th.split(read, train=1.0, val=0, test=0, seed=3)
    said = refusal(None, "logistic", data=data, batch_size=8)
    assert "in rows 18, 32, 45 of the table, counted from 1)" in said
    lines = source.read_text().splitlines()[1:]
    assert all(float(lines[row - 1].split(",")[-1]) == 2 for row in (18, 32, 45))


def test_a_refused_row_of_a_part_is_named_in_that_part_alone() -> None:
    bad = BINARY.astype(float)
    order = np.asarray(th.data.permutation(th.data.keys.role_key(3, th.data.keys.SPLIT), 60))
    inside = sorted(order[42:].tolist())[:2]
    bad[inside] = 2
    read = th.read_table({**_rows(), "y": bad}, "y")
    said = refusal(None, "logistic", data=th.split(read, train=0.7, val=0, test=0.3, seed=3))
    assert said.startswith("target 'y', in the test part, has the values 0, 1, 2 (2 wrong, in rows")
    assert f"rows {inside[0] + 1}, {inside[1] + 1} of the table" in said


def test_a_refused_row_of_split_arrays_has_its_index_before_the_split() -> None:
    bad = BINARY.astype(float)
    bad[[9, 30, 31, 50]] = 2
    data = th.split((X, bad), train=1.0, val=0, test=0, seed=3)
    said = refusal(None, "logistic", data=data)
    assert "(4 wrong, at indices 9, 30, 31, ... of what was split)" in said
    moved = th.Data(data.train)  # these arrays are what was given now
    at = np.flatnonzero(np.asarray(data.train[1]) == 2)
    assert f"(4 wrong, at indices {', '.join(map(str, at[:3]))}, ...)" in refusal(
        None, "logistic", data=moved
    )


def test_rows_of_a_split_by_a_traced_seed_are_said_to_be_in_its_order() -> None:
    def estimate(seed: th.Seed = 1) -> th.Task:
        data = th.split(th.read_table({**_rows(), "y": THREE + 1.0}, "y"), seed=seed)
        return th.Task(th.models.Linear(2, seed=3), data, loss="logistic", epochs=3)

    with pytest.raises(DataError, match=r"at indices .* of the part, in the order of the split\)"):
        th.fit(estimate)


# --- weights --------------------------------------------------------------------------------------


LOST = {
    "an infinite loss": lambda x, h: jnp.log(x) * (1 + h) - h,
    "a loss that is no number": lambda x, h: h * x / x - x,
    "an infinite gradient of a finite loss": lambda x, h: jnp.sqrt(x * jnp.abs(1 + h)) - x,
    "an overflow": lambda x, h: jnp.exp(1e3 * jnp.maximum(0.1 - x, 0)) * h - x,
}


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("kind", LOST)
def test_a_zero_weight_times_an_infinite_loss_is_nothing(kind: str, batch_size: int | None) -> None:
    x = np.abs(X[:, :1]) + 0.1
    weight = np.ones(60)
    weight[:7], x[:7] = 0, 0  # where log, division, root and exp are lost
    kept = {"x": x[7:], "y": x[7:, 0], "weight": weight[7:]}
    every = {"x": x, "y": x[:, 0], "weight": weight}

    def estimate(part: dict) -> th.Result:
        return th.fit(
            th.Task(
                th.models.Linear(1, seed=0),
                th.Data(part, val=part),
                residual=lambda h, z: LOST[kind](z["x"][0], h(z["x"])),
                optimizer=th.optim.named("sgd", 1e-3),
                sampling="sequential",
                batch_size=batch_size,
                epochs=5,
            )
        )

    result = estimate(every)
    assert result.status == "finished"
    assert np.isfinite(list(result.risk.values())).all()
    if batch_size is None:
        assert result.risk == pytest.approx(estimate(kept).risk, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton", "gauss_newton", "lm"])
def test_a_zero_weight_counts_for_nothing_in_second_order_steps(optimizer: str) -> None:
    x = np.abs(X[:, :1]) + 0.1
    weight = np.ones(60)
    weight[:7], x[:7] = 0, 0

    def estimate(rows: slice) -> th.Result:
        part = {"x": x[rows], "y": x[rows, 0], "weight": weight[rows]}
        residual = lambda h, z: jnp.log(z["x"][0]) * (1 + h(z["x"])) - h(z["x"])  # noqa: E731
        model = th.models.Linear(1, seed=0)
        task = th.Task(model, th.Data(part), residual=residual, optimizer=optimizer, epochs=4)
        return th.fit(task)

    assert estimate(slice(None)).risk == pytest.approx(estimate(slice(7, None)).risk, rel=1e-5)
