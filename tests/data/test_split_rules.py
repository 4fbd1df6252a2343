"""Splits and folds by group, by time and by level, with the properties of scikit-learn's."""

from __future__ import annotations

import re
import warnings
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

import thetahat as th
from thetahat.core.errors import DataError
from thetahat.data import Observations

RNG = np.random.default_rng(0)
N = 240
PANEL = pd.DataFrame(
    {
        "wage": RNG.normal(10, 3, N),
        "educ": RNG.integers(8, 18, N),
        "exper": RNG.normal(20, 5, N),
        "firm": [f"f{i // 6}" for i in range(N)],
        "year": [1990 + i % 6 for i in range(N)],
        "region": RNG.choice(["east", "south", "west"], N, p=[0.2, 0.3, 0.5]),
    }
)
X, Y = PANEL[["educ", "exper"]].to_numpy(float), PANEL["wage"].to_numpy()
TABLE = th.read_table(PANEL, "wage", features=["educ", "exper"])


def refused(text: str) -> Any:
    return pytest.raises(DataError, match=re.escape(text))


def all_rows(data: th.Data) -> list[int]:
    return sorted(int(i) for rows in data.rows.values() for i in rows)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 12), min_size=40, max_size=120), st.integers(0, 99))
def test_no_group_is_in_two_parts(drawn: list[int], seed: int) -> None:
    groups = np.array([*drawn, 20, 21, 22])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", th.Notice)  # of sizes that whole groups do not allow
        data = th.split(np.arange(float(len(groups))), seed=seed, groups=groups)
    assert all_rows(data) == list(range(len(groups)))
    found = [set(groups[rows].tolist()) for rows in data.rows.values()]
    assert len(set.union(*found)) == sum(map(len, found)) == len(set(groups.tolist()))
    np.testing.assert_array_equal(data.train, data.rows["train"])


def test_equal_groups_meet_the_shares_and_the_seed_chooses_them() -> None:
    one, same, other = (th.split(TABLE, groups="firm", seed=s) for s in (1, 1, 2))
    assert [len(rows) for rows in one.rows.values()] == [168, 36, 36]
    np.testing.assert_array_equal(one.rows["test"], same.rows["test"])
    assert set(one.rows["test"]) != set(other.rows["test"])


def test_sizes_that_whole_groups_do_not_allow_are_said() -> None:
    groups = ["a"] * 80 + [f"g{i}" for i in range(20)]
    with pytest.warns(th.Notice) as caught:
        data = th.split((np.ones((100, 1)), np.arange(100.0)), 0.5, 0.25, 0.25, groups=groups)
    said = str(caught[0].message)
    sizes = {name: len(rows) for name, rows in data.rows.items()}
    name = max(sizes, key=lambda part: sizes[part])
    assert f"{name} has {sizes[name]} rows, {50 if name == 'train' else 25} asked for" in said
    assert "since 'a' has 80 of 100 rows and no group is divided" in said


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 30), min_size=30, max_size=90))
def test_time_is_cut_between_different_values(times: list[int]) -> None:
    t = np.array([*times, 100, 101, 102])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", th.Notice)
        data = th.split(np.arange(float(len(t))), order=t)
    assert all_rows(data) == list(range(len(t)))
    assert t[data.rows["train"]].max() < t[data.rows["val"]].min()
    assert t[data.rows["val"]].max() < t[data.rows["test"]].min()


def test_rows_that_an_order_leaves_out_are_the_earliest() -> None:
    data = th.split(np.arange(10.0), train=4, val=0, test=2, order=np.arange(10)[::-1])
    assert data.rows["train"].tolist() == [5, 4, 3, 2]
    assert data.rows["test"].tolist() == [1, 0]


@pytest.mark.parametrize(
    "kind", ["pandas", "numpy ns", "numpy D", "text", "date", "categorical", "period"]
)
def test_dates_of_any_kind_are_an_order(kind: str) -> None:
    days = pd.date_range("2019-12-20", periods=20)[np.random.default_rng(1).permutation(20)]
    order: Any = {
        "pandas": lambda: pd.Series(days),
        "numpy ns": lambda: days.to_numpy("M8[ns]"),
        "numpy D": lambda: days.to_numpy("M8[D]"),
        "text": lambda: days.strftime("%Y-%m-%d").to_numpy(),
        "date": lambda: [day.date() for day in days],
        "categorical": lambda: pd.Series(days.strftime("%Y-%m-%d")).astype("category"),
        "period": lambda: pd.Series(days.to_period("D")),
    }[kind]()
    data = th.split(np.arange(20.0), train=0.5, val=0, test=0.5, order=order)
    assert days[data.rows["train"]].max() == days.sort_values()[9]
    table = th.read_table({"y": np.arange(20.0), "x": np.arange(20.0) % 3, "t": order}, "y", "x")
    again = th.split(table, train=0.5, val=0, test=0.5, order="t")
    np.testing.assert_array_equal(again.rows["train"], data.rows["train"])


def test_text_that_does_not_sort_by_time_is_refused() -> None:
    with refused("order holds text such as '3/12/2020', which does not sort by time"):
        th.split(np.arange(8.0), order=["3/12/2020", "4/1/2019"] * 4)


@pytest.mark.parametrize("seed", [0, 5])
def test_strata_have_their_share_as_in_scikit_learn(seed: int) -> None:
    region = PANEL["region"].to_numpy()
    data = th.split(TABLE, train=0.75, val=0, test=0.25, stratify="region", seed=seed)
    ((_, test),) = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed).split(X, region)
    for level in np.unique(region):
        ours, theirs = ((region[rows] == level).sum() for rows in (data.rows["test"], test))
        assert abs(ours - theirs) <= 1
        assert abs(ours - 0.25 * (region == level).sum()) < 1
    assert [len(rows) for rows in data.rows.values()] == [180, 60]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 999), st.integers(2, 5))
def test_parts_of_strata_are_disjoint_and_within_two_rows(seed: int, levels: int) -> None:
    strata = np.random.default_rng(seed).integers(0, levels, 100) ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", th.Notice)  # of levels too rare for every part
        data = th.split(np.arange(100.0), stratify=strata, seed=seed)
    assert all_rows(data) == list(range(100))
    for share, rows in zip((0.7, 0.15, 0.15), data.rows.values(), strict=True):
        for level in np.unique(strata):
            assert abs((strata[rows] == level).sum() - share * (strata == level).sum()) < 2


def test_a_level_too_rare_for_every_part_is_said() -> None:
    strata = ["common"] * 98 + ["rare"] * 2
    with pytest.warns(th.Notice, match="has no row of 'rare': too few rows to be in every part"):
        th.split(np.arange(100.0), stratify=strata)
    with pytest.warns(th.Notice, match=r"fold \d has no row of 'rare'"):
        th.folds(np.arange(100.0), 3, stratify=strata)


# -- folds ----------------------------------------------------------------------------------------


def held_out(folds: Any) -> list[np.ndarray]:
    return [np.sort(data.rows["test"]) for data in folds]


def test_folds_hold_out_every_row_once_in_the_sizes_of_scikit_learn() -> None:
    folds = th.folds((X[:23], Y[:23]), k=4, seed=3)
    assert len(folds) == 4
    tests = held_out(folds)
    assert sorted(np.concatenate(tests)) == list(range(23))
    assert [len(t) for t in tests] == [len(t) for _, t in KFold(4).split(X[:23])]
    for data in folds:
        assert data.val is None
        assert all_rows(data) == list(range(23))
        np.testing.assert_array_equal(data.test.y, Y[data.rows["test"]])
    again = held_out(th.folds((X[:23], Y[:23]), k=4, seed=3))
    assert all(np.array_equal(a, b) for a, b in zip(tests, again, strict=True))
    assert not np.array_equal(tests[0], held_out(th.folds((X[:23], Y[:23]), k=4, seed=4))[0])


def test_folds_of_groups_are_as_balanced_as_scikit_learns() -> None:
    groups = np.repeat(np.arange(17), np.random.default_rng(2).integers(1, 30, 17))
    data = np.arange(float(len(groups)))
    ours = held_out(th.folds(data, 5, groups=groups, seed=8))
    theirs = [test for _, test in GroupKFold(5).split(data, groups=groups)]
    assert sorted(map(len, ours)) == sorted(map(len, theirs))
    assert sorted(np.concatenate(ours)) == list(range(len(groups)))
    for i, one in enumerate(ours):
        for other in ours[i + 1 :]:
            assert not set(groups[one]) & set(groups[other])


def test_folds_of_strata_have_their_shares_as_scikit_learns() -> None:
    region = PANEL["region"].to_numpy()
    ours = held_out(th.folds(TABLE, 7, stratify="region", seed=1))
    theirs = [test for _, test in StratifiedKFold(7).split(X, region)]
    for level in np.unique(region):
        assert sorted((region[t] == level).sum() for t in ours) == sorted(
            (region[t] == level).sum() for t in theirs
        )
    assert sorted(map(len, ours)) == sorted(map(len, theirs))


def test_folds_by_time_are_scikit_learns_windows() -> None:
    mixed = np.random.default_rng(3).permutation(50)
    folds = th.folds(np.arange(50.0), 4, order=mixed)
    for data, (train, test) in zip(folds, TimeSeriesSplit(4).split(np.arange(50)), strict=True):
        assert mixed[data.rows["train"]].tolist() == train.tolist()
        assert mixed[data.rows["test"]].tolist() == test.tolist()


def test_folds_by_time_keep_ties_together() -> None:
    for data in th.folds(TABLE, 2, order="year", val=0.4):
        year = {name: PANEL["year"].to_numpy()[rows] for name, rows in data.rows.items()}
        assert year["train"].max() < year["val"].min() <= year["val"].max() < year["test"].min()


def test_a_fold_is_standardised_by_its_own_training_rows() -> None:
    for data in th.folds(TABLE, 3, groups="firm", val=0.25):
        rows = data.rows["train"]
        np.testing.assert_allclose(data.transform.x_mean, X[rows].mean(0))
        np.testing.assert_allclose(data.transform.y_std, Y[rows].std())
        np.testing.assert_allclose(
            data.test.x, (X[data.rows["test"]] - X[rows].mean(0)) / X[rows].std(0)
        )
        firms = [set(PANEL["firm"].iloc[at]) for at in data.rows.values()]
        assert len(set.union(*firms)) == sum(map(len, firms))


def test_a_fold_is_a_parameter_of_an_experiment() -> None:
    def estimate(fold: int = 0) -> th.Task:
        data = th.folds((X, Y), 3, standardize=True)[fold]
        return th.Task(th.models.Linear(2), data, optimizer="sgd", epochs=10)

    results = th.fit_many(estimate, [{"fold": i} for i in range(3)])
    rows = [np.asarray(r.data.rows["test"]) for r in results]
    assert sorted(np.concatenate(rows)) == list(range(N))


# -- arrays as tables -----------------------------------------------------------------------------


def test_arrays_are_standardised_as_a_table_is() -> None:
    weight = np.random.default_rng(0).uniform(0.5, 2, N)
    columns = {"x0": X[:, 0], "x1": X[:, 1], "y": Y, "w": weight}
    table = th.split(th.read_table(columns, "y", weights="w"), seed=2)
    arrays = th.split(Observations(X, Y, weight), seed=2, standardize=True)
    for one, other in zip(
        jax.tree.leaves((table.train, table.transform)),
        jax.tree.leaves((arrays.train, arrays.transform)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert type(table.train) is type(arrays.train) is type(th.split((X, Y)).train)


def test_predictions_of_standardised_arrays_are_in_units_of_y() -> None:
    x = X * 1000 + 5e4
    y = 1e6 + x @ [3.0, -1.0]
    data = th.split((x, y), standardize=True)
    result = th.fit(
        th.Task(th.models.Linear(2), data, optimizer=th.optim.named("sgd", 0.3), epochs=100)
    )
    np.testing.assert_allclose(result.predict(x), y, rtol=1e-6)
    np.testing.assert_allclose(result.model(x[3]), y[3], rtol=1e-6)
    np.testing.assert_array_equal(result.data.rows["test"], data.rows["test"])
    assert th.split((x, y), standardize=True, target_scale=False).transform.y_std == 1
    assert th.split(TABLE, standardize=False).transform.x_std.tolist() == [1, 1]


def test_a_row_of_standardised_arrays_is_named_by_its_index() -> None:
    y = (Y > 10).astype(float)
    y[7] = 3
    data = th.split((X, y), train=1.0, val=0, test=0, standardize=True)
    with refused("index 7 of what was split"):
        th.fit(th.Task(th.models.Linear(2), data, loss="logistic", epochs=1))


def test_rows_of_a_table_with_dropped_rows_are_those_of_the_file() -> None:
    frame = PANEL.copy()
    frame.loc[[3, 50, 51], "educ"] = np.nan
    with pytest.warns(th.Notice, match="3 of .* rows are left out"):
        table = th.read_table(frame, "wage", ["educ", "exper"], missing="drop")
    data = th.split(table, groups="firm")
    assert all_rows(data) == [i for i in range(N) if i not in (3, 50, 51)]
    own = data.transform.decode(data.test.y)
    np.testing.assert_allclose(own, frame["wage"].to_numpy()[data.rows["test"]])
    same = th.split(table, groups=frame["firm"])  # a value for each row of the frame
    assert {k: v.tolist() for k, v in same.rows.items()} == {
        k: v.tolist() for k, v in data.rows.items()
    }


def test_levels_of_an_index_are_columns_for_those_who_ask() -> None:
    frame = PANEL.drop(columns="region").set_index(["firm", "year"])
    with pytest.warns(th.Notice, match=r"the index of the frame \('firm', 'year'\) is not taken"):
        table = th.read_table(frame, "wage")
    assert not {"firm", "year"} & set(table.names)
    flat = th.split(th.read_table(PANEL, "wage", table.names), groups="firm")
    parts = th.split(table, groups="firm")
    assert all(np.array_equal(parts.rows[k], flat.rows[k]) for k in flat.rows)
    assert th.read_table(frame, "wage", ["educ", "year"]).names == ("educ", "year")
    assert th.read_table(frame, "wage", ignore=["firm", "year"]).names == table.names


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "two rules": (
        {"groups": "firm", "order": "year"},
        "groups= and order= are given; a split has one rule",
    ),
    "column": ({"groups": "firms"}, "the table has no column 'firms' (groups); did you mean"),
    "length": (
        {"groups": [1, 2]},
        "groups has shape (2,); give one value per row, shape (240,), or the name of a column",
    ),
    "matrix": ({"stratify": X}, "stratify has shape (240, 2); give one value per row"),
    "missing": (
        {"order": [np.nan, *range(239)]},
        "order has 1 missing value, in row 1 of the table, counted from 1; fill them",
    ),
    "missing group": ({"groups": [*["a", "b"] * 119, None, "a"]}, "groups has 1 missing value"),
    "missing date": (
        {"order": np.array(["NaT"] + ["2020-01-01"] * 239, "M8[ns]")},
        "order has 1 missing value",
    ),
    "few groups": (
        {"groups": ["a", "b"] * 120},
        "groups has 2 groups for 3 parts, and none may be in two",
    ),
    "few times": ({"order": [1] * 240}, "order has 1 different value for 3 parts"),
    "numbers": (
        {"stratify": "wage"},
        "stratify='wage' has 240 levels in 240 rows; give classes, for numbers intervals",
    ),
    "mixed": (
        {"order": np.array([1, "2020"] * 120, object)},
        "order holds int and str, which have no order",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_that_cannot_be_used_is_refused(case: str) -> None:
    given, text = CASES[case]
    with refused(text):
        th.split(TABLE, **given)


FOLDS: dict[str, tuple[dict[str, Any], str]] = {
    "k": ({"k": 1}, "folds(k=1); give an integer of at least 2"),
    "many": ({"k": 241}, "240 observations cannot make 241 folds; give k=240 at most"),
    "groups": ({"groups": ["a", "b"] * 120}, "groups has 2 groups for 5 folds; give k=2"),
    "one": ({"groups": ["a"] * 240}, "groups has a single group ('a'); folds need two"),
    "times": ({"k": 6, "order": "year"}, "has 6 different values, and 6 folds by time need 7"),
    "val": ({"val": 1.5}, "val=1.5 is more than the whole"),
    "val text": ({"val": "a"}, "val='a'; give a fraction"),
}


@pytest.mark.parametrize("case", FOLDS)
def test_folds_that_cannot_be_made_are_refused(case: str) -> None:
    given, text = FOLDS[case]
    with refused(text):
        th.folds(TABLE, **given)


def test_arrays_have_no_columns() -> None:
    with refused("groups='firm' names a column, and arrays have none"):
        th.split((X, Y), groups="firm")
    with refused("standardize=True needs x of shape (N, d); got (240,); give x[:, None]"):
        th.split((Y, Y), standardize=True)
    with refused("standardize=True needs a pair (x, y) of arrays"):
        th.split({"a": X, "b": Y}, standardize=True)


def test_a_group_column_among_the_features_is_noted() -> None:
    table = th.read_table(PANEL, "wage", ["educ", "firm"], categorical="firm")
    with pytest.warns(th.Notice, match="groups='firm' is a feature too"):
        th.split(table, groups="firm")


def test_a_source_that_has_changed_is_refused() -> None:
    columns = {"y": [1.0, 2.0, 4.0, 3.0], "x": [1.0, 2, 3, 5], "g": [1, 1, 2, 3]}
    table = th.read_table(columns, "y", "x")
    columns["g"] = [1, 2]
    with refused("the table has changed since it was read"):
        th.split(table, 2, 1, 1, groups="g")


def test_labels_are_strata_of_arrays_and_tables() -> None:
    region = PANEL["region"].to_numpy(str)
    arrays = th.split((X, region), stratify=region, standardize=True, seed=4)
    table = th.split(th.read_table(PANEL, "region", ["educ", "exper"]), stratify="region", seed=4)
    for name, rows in arrays.rows.items():
        np.testing.assert_array_equal(rows, table.rows[name])
        np.testing.assert_array_equal(getattr(arrays, name).y, getattr(table, name).y)
        np.testing.assert_array_equal(getattr(arrays, name).x, getattr(table, name).x)
    assert arrays.transform.y_std == 1
    plain = th.split((X, region), stratify=region, seed=4)
    np.testing.assert_array_equal(plain.test.x, X[arrays.rows["test"]])
    assert th.split((X, Y), target_scale=True).transform.x_std.tolist() == [1, 1]


def test_arrays_drawn_in_a_program_are_standardised() -> None:
    def drawn(sigma: float = 0.5, seed: th.Seed = 0) -> th.Task:
        draw = th.dgp.linear(N=60, M=2, sigma=sigma, seed=seed)
        data = th.split(draw, order=np.arange(60), standardize=True)
        return th.Task(th.models.Linear(2), data, optimizer="newton", epochs=3)

    result = th.fit(drawn)
    assert result.data.rows["train"].tolist() == list(range(42))
    draw = th.dgp.linear(N=60, M=2, sigma=0.5, seed=0)
    x, y = np.asarray(draw.x), np.asarray(draw.y)
    np.testing.assert_allclose(result.data.transform.x_mean, x[:42].mean(0), rtol=1e-5)
    np.testing.assert_allclose(result.data.transform.y_std, y[:42].std(0), rtol=1e-5)
    line = np.linalg.lstsq(np.c_[np.ones(42), x[:42]], y[:42])[0]
    np.testing.assert_allclose(result.predict(x), np.c_[np.ones(60), x] @ line, atol=0.1)


@pytest.mark.parametrize("order", [["2020-12", "202001"], ["2020-01-01T10:00+02:00", "2020-01-02"]])
def test_text_of_two_forms_does_not_sort_by_time(order: list[str]) -> None:
    with refused("which does not sort by time; give dates, numbers, or text of one form"):
        th.split(np.arange(40.0), order=order * 20)


def test_dates_and_times_of_one_form_sort() -> None:
    order = ["2020-12", "2021", "2020-12-01 10:00", "2020"] * 10
    data = th.split(np.arange(40.0), train=20, val=10, test=10, order=order)
    assert set(np.asarray(order)[data.rows["test"]]) == {"2021"}
