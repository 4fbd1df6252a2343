"""Columns of frames that are fitted as arrays: later frames may have them in any order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import thetahat as th

RNG = np.random.default_rng(0)
N = 60
FRAME = pd.DataFrame({"educ": RNG.normal(size=N), "age": RNG.normal(size=N)})
Y = (3 * FRAME["educ"] - FRAME["age"] + 1).to_numpy()
OTHER = FRAME[["age", "educ"]]
LIBRARIES = {"pandas": lambda f: f, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}


def line(data: Any, **fields: Any) -> th.Task:
    return th.Task(
        th.models.Linear(2), data, **{"optimizer": optax.sgd(0.3), "epochs": 60, **fields}
    )


def torch_line(data: Any, **fields: Any) -> th.Task:
    optimizer = lambda p: torch.optim.Adam(p, lr=0.1)  # noqa: E731
    module = torch.nn.Linear(2, 1)
    return th.Task(module, data, optimizer=optimizer, epochs=300, backend="torch", **fields)


@pytest.fixture(scope="module")
def result() -> th.Result:
    return th.fit(line(th.Data((FRAME, Y))))


DATA = {
    "Data": lambda: th.Data((FRAME, Y)),
    "Data of polars": lambda: th.Data((pl.from_pandas(FRAME), Y)),
    "Observations": lambda: th.Data(th.Observations(FRAME, Y)),
    "a dict": lambda: th.Data({"x": FRAME, "y": Y}),
    "a pair": lambda: (FRAME, Y),
    "a split": lambda: th.split((FRAME, Y), seed=0),
    "a standardised split": lambda: th.split((FRAME, Y), seed=0, standardize=True),
    "a fold": lambda: th.folds((FRAME, Y), k=3)[1],
    "a table": lambda: th.Data(th.read_table(FRAME.assign(y=Y), "y")),
}


@pytest.mark.parametrize("kind", DATA)
def test_predict_takes_the_columns_of_a_frame_by_their_names(kind: str) -> None:
    found = th.fit(line(DATA[kind]()))
    for convert in LIBRARIES.values():
        np.testing.assert_allclose(found.predict(convert(OTHER)), Y, atol=1e-3)
        np.testing.assert_array_equal(found.predict(convert(OTHER)), found.predict(convert(FRAME)))
    assert found.predict(OTHER.iloc[3]) == pytest.approx(Y[3], abs=1e-3)
    np.testing.assert_allclose(found.predict(FRAME.to_numpy()), Y, atol=1e-3)


def test_pytorch_takes_the_columns_of_a_frame_by_their_names(tmp_path: Path) -> None:
    task = torch_line(th.Data((FRAME, Y)))
    found = th.fit(task)
    found.save(tmp_path / "line.theta")
    for model in (found, th.load(tmp_path / "line.theta", task)):
        for convert in LIBRARIES.values():
            np.testing.assert_allclose(model.predict(convert(OTHER)), Y, atol=1e-2)
        assert model.predict(OTHER.iloc[3]) == pytest.approx(Y[3], abs=1e-2)
        with pytest.raises(th.InputError, match="without the column 'age'"):
            model.predict(FRAME[["educ"]])


def test_observations_of_a_frame_are_taken_by_names(result: th.Result) -> None:
    np.testing.assert_allclose(result.predict(th.Observations(OTHER, Y)), Y, atol=1e-3)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (FRAME[["age"]], "predict got a table without the column 'educ'; the model was fitted to"),
        (FRAME.assign(y=Y), "with the column 'y', which is not among them"),
        (
            FRAME.rename(columns={"age": "Age"}),
            "without the column 'age' and with the column 'Age'",
        ),
    ],
)
def test_a_column_that_is_missing_or_unknown_is_refused(
    result: th.Result, library: str, given: Any, said: str
) -> None:
    with pytest.raises(th.InputError, match=said):
        result.predict(LIBRARIES[library](given))


def test_one_row_with_other_names_is_refused(result: th.Result) -> None:
    with pytest.raises(th.InputError, match="without the column 'age'"):
        result.predict(pd.Series({"educ": 1.0, "wage": 2.0}))


def test_frames_without_names_go_by_position(result: th.Result) -> None:
    plain = pd.DataFrame(FRAME.to_numpy())
    np.testing.assert_array_equal(result.predict(plain), result.predict(FRAME))
    of_arrays = th.fit(line(th.Data((FRAME.to_numpy(), Y))))
    np.testing.assert_array_equal(of_arrays.predict(FRAME), result.predict(FRAME))
    of_plain = th.fit(line(th.Data((plain, Y))))
    np.testing.assert_array_equal(of_plain.predict(plain[[1, 0]]), result.predict(FRAME))
    np.testing.assert_array_equal(of_plain.predict(FRAME), result.predict(FRAME))


def test_two_columns_of_one_name_are_refused_in_another_order() -> None:
    twice = pd.DataFrame(np.column_stack([FRAME, FRAME["age"] ** 2]), columns=["a", "b", "a"])
    task = th.Task(th.models.Linear(3), th.Data((twice, Y)), optimizer=optax.sgd(0.1), epochs=500)
    found = th.fit(task)
    np.testing.assert_allclose(found.predict(twice), Y, atol=1e-2)
    with pytest.raises(th.InputError, match="two columns 'a', in another order"):
        found.predict(twice.iloc[:, [1, 0, 2]])


# -- files and other processes -------------------------------------------------------------------


PROGRAM = """
import sys
import numpy as np, pandas as pd, thetahat as th
model, frame = th.load(sys.argv[1]), pd.read_csv(sys.argv[2])
np.save(sys.argv[3], (model if hasattr(model, "predict") else model[0]).predict(frame))
print(model.columns)
"""


def test_a_saved_model_knows_the_names_in_another_process(
    result: th.Result, tmp_path: Path
) -> None:
    result.save(tmp_path / "line.theta")
    OTHER.to_csv(tmp_path / "other.csv", index=False)
    paths = [str(tmp_path / name) for name in ("line.theta", "other.csv", "out.npy")]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "('educ', 'age')"
    np.testing.assert_array_equal(np.load(paths[2]), result.predict(FRAME))


def test_predict_of_the_command_line_goes_by_names(
    result: th.Result, tmp_path: Path, thetahat: Any
) -> None:
    result.save(tmp_path / "line.theta")
    model, out = str(tmp_path / "line.theta"), str(tmp_path / "out.csv")
    OTHER.assign(wage=Y).to_csv(tmp_path / "other.csv", index=False)
    assert thetahat("predict", model, str(tmp_path / "other.csv"), "-o", out)[0] == 0
    np.testing.assert_allclose(pd.read_csv(out)["predicted"], Y, atol=1e-3)
    FRAME[["age"]].to_csv(tmp_path / "short.csv", index=False)
    code, _, error = thetahat("predict", model, str(tmp_path / "short.csv"), "-o", out)
    assert code == 2 and "has no column 'educ' (feature)" in error


def test_a_file_of_an_older_version_has_no_names_and_goes_by_position(
    result: th.Result, tmp_path: Path
) -> None:
    from dataclasses import replace  # of a private class: such a file has no public writer

    old = replace(result, fitted=replace(
        result.fitted, predictor=replace(result.fitted.predictor, columns=None)))  # fmt: skip
    old.save(tmp_path / "old.theta")
    model = th.load(tmp_path / "old.theta")
    assert model.columns is None
    np.testing.assert_array_equal(model.predict(FRAME), result.predict(FRAME))


# -- several fits --------------------------------------------------------------------------------


def test_bags_seeds_and_folds_go_by_names(tmp_path: Path) -> None:
    data = th.split((FRAME, Y), train=0.8, val=0.2, test=0, seed=0)
    bag = th.fit_bagged(line(data), members=3)
    np.testing.assert_array_equal(bag.predict(OTHER), bag.predict(FRAME))
    bag.save(tmp_path / "bag.theta")
    np.testing.assert_array_equal(
        th.load(tmp_path / "bag.theta").predict(OTHER), bag.predict(FRAME)
    )

    def seeds(seed: th.Seed = 0) -> th.Task:
        return line(th.split((FRAME, Y), seed=seed), seed=seed)

    results = th.fit_many(seeds, [{"seed": k} for k in range(3)])
    assert results[0].mode != "alone"
    np.testing.assert_array_equal(results.predict(OTHER), results.predict(FRAME))
    results.save(tmp_path / "seeds.theta")
    loaded = th.load(tmp_path / "seeds.theta")
    np.testing.assert_array_equal(loaded.predict(pl.from_pandas(OTHER)), results.predict(FRAME))


def test_a_start_in_another_order_is_refused(result: th.Result, tmp_path: Path) -> None:
    said = "start was fitted to the columns educ, age, and these data have age, educ"
    with pytest.raises(th.InputError, match=said):
        th.fit(line(th.Data((OTHER, Y)), start=result))
    result.save(tmp_path / "line.theta")
    with pytest.raises(th.InputError, match=said):
        th.fit(line(th.Data((OTHER, Y)), start=tmp_path / "line.theta"))
    same = th.fit(line(th.Data((FRAME.to_numpy(), Y)), start=result, epochs=1))
    np.testing.assert_allclose(same.predict(OTHER.to_numpy()[:, ::-1]), Y, atol=1e-3)


# -- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_parts_may_have_their_columns_in_another_order(library: str, part: str) -> None:
    convert = LIBRARIES[library]
    parts = {"train": (convert(FRAME[:40]), Y[:40]), part: (convert(OTHER[40:]), Y[40:])}
    data = th.Data(**parts)
    np.testing.assert_array_equal(getattr(data, part)[0], FRAME[40:].to_numpy())
    assert th.fit(line(data)).risk[part] < 1e-5


def test_parts_with_other_columns_are_refused() -> None:
    train = (FRAME[:40], Y[:40])
    with pytest.raises(th.InputError, match=r"val\[0\] is a table without the column 'age' and"):
        th.Data(train, val=(FRAME[40:].rename(columns={"age": "wage"}), Y[40:]))
    with pytest.raises(th.InputError, match=r"test\[0\] is a table with the column 'x'"):
        th.Data(train, test=(FRAME[40:].assign(x=1.0), Y[40:]))


def test_targets_of_several_columns_are_put_in_order() -> None:
    y = pd.DataFrame({"wage": Y, "hours": -Y})
    data = th.Data((FRAME[:40], y[:40]), val=(FRAME[40:], y[["hours", "wage"]][40:]))
    np.testing.assert_array_equal(data.val[1], y[40:].to_numpy())


def test_tables_with_other_levels_or_classes_are_refused() -> None:
    rows = {"z": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 3.0, 2.0, 4.0]}
    one = th.read_table({**rows, "s": ["a", "b", "a", "b"]}, "y", categorical="s")
    two = th.read_table({**rows, "s": ["a", "c", "a", "c"]}, "y", categorical="s")
    with pytest.raises(th.InputError, match="val is a table with the columns z, s=a, s=c"):
        th.Data(one, val=two)
    first = th.read_table({"z": rows["z"], "y": ["lo", "hi", "lo", "hi"]}, "y")
    second = th.read_table({"z": rows["z"], "y": ["lo", "mid", "lo", "mid"]}, "y")
    with pytest.raises(th.InputError, match="val is a table whose target has the classes"):
        th.Data(first, val=second)


def test_points_of_a_check_go_by_names() -> None:
    check = th.accept.residual((OTHER, Y), below=0.01, quantile=1.0)
    found = th.fit(line(th.Data((FRAME, Y)), accept=[check]))
    assert found.accepted
    of_torch = th.fit(torch_line(th.Data((FRAME, Y)), accept=[check]))
    assert of_torch.accepted


def test_the_function_of_a_model_of_ours_takes_a_row_by_name(tmp_path: Path) -> None:
    found = th.fit(line(th.Data((FRAME, Y))))
    turned, row = FRAME[FRAME.columns[::-1]].iloc[0], FRAME.to_numpy()[0]
    found.save(tmp_path / "line.theta")
    for h in (found.model, th.load(tmp_path / "line.theta").model):
        assert h(turned) == h(row) == h(turned.to_dict())
        assert h(turned) != h(turned.to_numpy())
        slope = jax.grad(lambda v, h=h: h({"age": v, "educ": row[0]}))(float(row[1]))
        assert slope == jax.grad(lambda x, h=h: h(x))(jnp.asarray(row))[1]
        with pytest.raises(th.InputError, match="the model got a row without the column 'age'"):
            h({"educ": 1.0})


# -- standardised arrays -------------------------------------------------------------------------


def test_a_frame_for_a_standardised_array_without_names_is_explained(
    tmp_path: Path, thetahat: Any
) -> None:
    found = th.fit(line(th.split((FRAME.to_numpy(), Y), seed=0, standardize=True)))
    np.testing.assert_allclose(found.predict(FRAME.to_numpy()), Y, atol=1e-3)
    with pytest.raises(th.InputError, match="the fit is of an array of 2 columns without names"):
        found.predict(FRAME)
    found.save(tmp_path / "line.theta")
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    model, table, out = (str(tmp_path / name) for name in ("line.theta", "t.csv", "out.csv"))
    assert thetahat("predict", model, table, "-o", out)[0] == 0
    np.testing.assert_allclose(pd.read_csv(out)["predicted"], Y, atol=1e-3)


def test_a_start_of_a_standardised_frame_needs_the_same_columns() -> None:
    first = th.fit(line(th.split((FRAME, Y), seed=0, standardize=True)))
    with pytest.raises(th.InputError, match="start was fitted to the columns educ, age"):
        th.fit(line(th.split((OTHER, Y), seed=0, standardize=True), start=first))
    array = th.split((FRAME.to_numpy(), Y), seed=0, standardize=True)
    again = th.fit(line(array, start=first, epochs=1))
    np.testing.assert_allclose(again.predict(FRAME.to_numpy()), Y, atol=1e-3)
