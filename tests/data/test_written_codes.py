"""Codes such as 007 in CSV files are other labels than 7, and the same number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import thetahat as th
from thetahat.core.errors import DataError

CODES = ["007", "7", "08", "8", "100"] * 8


@pytest.fixture(params=[True, False], ids=["pyarrow", "python"])
def path(request: pytest.FixtureRequest, tmp_path, monkeypatch):
    """A file of codes, read by either reader."""
    import thetahat.data._readers as readers  # what is installed has no public switch

    has = readers._has
    monkeypatch.setattr(readers, "_has", lambda name: request.param and has(name))
    y = np.arange(40.0)
    made = pd.DataFrame({"id": CODES, "a": y % 7, "zero": ["0", "10"] * 20, "y": y})
    made.to_csv(tmp_path / "codes.csv", index=False)
    return tmp_path / "codes.csv"


def test_categories_are_as_they_are_written(path) -> None:
    table = th.read_table(path, target="y", features=["id", "zero"], categorical=["id", "zero"])
    assert table.names == ("id=007", "id=08", "id=100", "id=7", "id=8", "zero=0", "zero=10")
    assert table.x[:, 0].tolist() == [float(code == "007") for code in CODES]


def test_numbers_are_numbers(path) -> None:
    table = th.read_table(path, target="y", features=["id"])
    assert table.x[:5, 0].tolist() == [7, 7, 8, 8, 100]


def test_groups_are_as_they_are_written(path) -> None:
    table = th.read_table(path, target="y", features=["a"])
    frame = pd.DataFrame({"id": CODES, "a": np.arange(40.0) % 7, "y": np.arange(40.0)})
    same = th.read_table(frame, target="y", features=["a"])
    data = th.split(table, groups="id", train=0.6, val=0.2, test=0.2, seed=1)
    as_frame = th.split(same, groups="id", train=0.6, val=0.2, test=0.2, seed=1)
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(data, part).y, getattr(as_frame, part).y)


def test_classes_are_as_they_are_written(path) -> None:
    table = th.read_table(path, target="id", features=["a"])
    assert table.classes is not None
    assert table.classes == ("007", "08", "100", "7", "8")
    assert [table.classes[int(k)] for k in table.y] == CODES


def test_a_target_that_is_filled_with_zeros_stays_numbers(tmp_path) -> None:
    (tmp_path / "f.csv").write_text("y,a\n0012,1\n0007,2\n0100,3\n", encoding="utf-8")
    table = th.read_table(tmp_path / "f.csv", target="y")
    assert table.classes is None
    assert table.y.tolist() == [12, 7, 100]


def test_predictions_find_the_written_levels(path) -> None:
    table = th.read_table(path, target="y", features=["id"], categorical=["id"])
    data = th.split(table, train=1.0, val=0, test=0)
    task = th.Task(th.models.Linear(5), data, optimizer="newton", epochs=1, batch_size=None)
    result = th.fit(task)
    means = pd.Series(np.arange(40.0)).groupby(CODES).transform("mean").to_numpy()
    np.testing.assert_allclose(result.predict(path), means, atol=0.05)
    np.testing.assert_allclose(result.predict(pd.DataFrame({"id": CODES})), means, atol=0.05)


def test_missing_codes_stay_missing(tmp_path) -> None:
    (tmp_path / "m.csv").write_text("id,y\n007,1\n,2\n8,3\n007,4\n", encoding="utf-8")
    with pytest.raises(DataError, match="missing"):
        th.read_table(tmp_path / "m.csv", target="y", categorical=["id"])
    with pytest.warns(th.Notice, match="1 of 4 rows is left out"):
        table = th.read_table(tmp_path / "m.csv", target="y", categorical=["id"], missing="drop")
    assert table.names == ("id=007", "id=8")
    assert len(table.x) == 3
