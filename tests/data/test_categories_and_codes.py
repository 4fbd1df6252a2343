"""Categories of numbers and codes of missing values are the same in frames and in files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import thetahat as th

N = 12
FRAME = pd.DataFrame(
    {
        "y": np.arange(float(N)),
        "area": pd.Categorical([5, 7, -9] * 4),
        "rate": np.array([-99.9, 1, 2, 3] * 3, "float32"),
        "kind": pd.Categorical(["a", "b", "a", "c"] * 3),
    }
)
NAMES = ("area=-9", "area=5", "area=7")


def sources(folder: Path) -> dict[str, object]:
    path = folder / "t.parquet"
    FRAME.to_parquet(path)
    return {
        "frame": FRAME,
        "Parquet": path,
        "arrow": pa.Table.from_pandas(FRAME),
        "arrow of Parquet": pq.read_table(path),
    }


def test_a_category_of_numbers_is_one_in_every_source(tmp_path: Path) -> None:
    for name, source in sources(tmp_path).items():
        table = th.read_table(source, "y", features=["area"])
        assert table.names == NAMES, name
        assert table.x.sum(0).tolist() == [4, 4, 4], name
        classes = th.read_table(source, "area", features=["y"]).classes
        assert classes == (-9, 5, 7), name
    stream = th.stream_table([tmp_path / "t.parquet"], "y", features=["area"])
    assert stream.names == NAMES


@pytest.mark.parametrize("name", ["frame", "Parquet", "arrow", "arrow of Parquet"])
def test_codes_of_missing_values_are_found_in_categories_and_single_precision(
    name: str, tmp_path: Path
) -> None:
    given = {"na_values": [-9, -99.9, "c"], "missing": "mean"}
    table = th.read_table(sources(tmp_path)[name], "y", **given)
    assert table.names == ("area=5", "area=7", "rate", "kind=a", "kind=b")
    gone = np.isnan(table.x)
    assert gone[:, 0].tolist() == (FRAME["area"].astype(int) == -9).tolist()
    assert gone[:, 2].tolist() == (FRAME["rate"] < -50).tolist()
    assert gone[:, 3].tolist() == (FRAME["kind"] == "c").tolist()


def test_a_code_is_found_in_a_file_of_stata(tmp_path: Path) -> None:
    FRAME[["y", "rate"]].to_stata(tmp_path / "t.dta", write_index=False)
    table = th.read_table(tmp_path / "t.dta", "y", na_values=-99.9, missing="mean")
    assert np.isnan(table.x[:, 0]).sum() == 3


@pytest.mark.filterwarnings("ignore::thetahat.core.errors.Notice")  # of sizes, and dropped rows
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("rule", ["groups", "order", "stratify"])
def test_a_rule_in_another_order_than_the_frame_is_refused(rule: str, dropped: bool) -> None:
    frame = FRAME[["y", "rate"]].astype(float)
    if dropped:
        frame.loc[2, "rate"] = np.nan
    table = th.read_table(frame, "y", missing="drop")
    values = pd.Series(np.arange(N) // 3, frame.index)
    values = values.drop(2) if dropped else values
    split = {"seed": 0, "train": 0.6, "val": 0, "test": 0.4, rule: values}
    right = th.split(table, **split)
    assert th.split(table, **{**split, rule: values.to_numpy()}).rows["test"].tolist() == (
        right.rows["test"].tolist()
    )
    with pytest.raises(th.InputError, match=f"rows of {rule} are in another order than those of f"):
        th.split(table, **{**split, rule: values.iloc[::-1]})
    with pytest.raises(th.InputError, match="in another order"):
        th.folds(table, 2, **{rule: values.iloc[::-1]})


A, B = FRAME["y"] + 1, FRAME["y"] * 2
TURNED = B.iloc[::-1]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda b: th.read_table({"y": FRAME["y"], "a": A, "b": b}, "y"), "b"),
        (lambda b: th.split(({"u": A, "v": b}, FRAME["y"].to_numpy())), r"x\['v'\]"),
        (lambda b: th.Data(((A.to_frame(), b.to_frame()), FRAME["y"].to_numpy())), r"x\[1\]"),
        (lambda b: th.Batches((A.to_frame(), b), 4), "y"),
        (lambda b: th.dml("y", "d", ["b"], data={"y": FRAME["y"], "d": A, "b": b}), r"data\['b'\]"),
        (lambda b: line().predict({"a": A, "b": b}), "b"),
    ],
)
def test_series_in_a_mapping_or_tuple_are_in_one_order_or_refused(call, name) -> None:
    with pytest.raises(th.InputError, match=f"the rows of {name} are in another order than those"):
        call(TURNED)


def line() -> th.Result:
    table = th.read_table({"y": FRAME["y"], "a": A, "b": B.to_numpy() ** 2}, "y")
    return th.fit(th.Task(th.models.Linear(2), th.split(table, seed=0), epochs=1))


def test_whole_numbers_that_double_precision_merges_are_refused_in_arrays() -> None:
    k = np.arange(20)
    with pytest.raises(th.InputError, match="column 'x' holds integers beyond 2"):
        th.split(((2**60 + k)[:, None], k), standardize=True)
    with pytest.raises(th.InputError, match="column 'y' holds integers beyond 2"):
        th.split((k[:, None], 2**53 + k), standardize=True)


@pytest.mark.parametrize("standardize", [True, False])
def test_durations_are_refused(standardize: bool) -> None:
    days = np.arange(20).astype("timedelta64[D]")
    with pytest.raises(th.InputError, match=r"y has dtype timedelta64\[D\]; give numbers"):
        th.split((np.ones((20, 1)), days), standardize=standardize)


def test_a_series_as_target_is_answered_in_one_line() -> None:
    with pytest.raises(th.InputError, match="target=Series; give the name of a column") as caught:
        th.read_table(FRAME, FRAME["y"])
    assert "\n" not in str(caught.value)
