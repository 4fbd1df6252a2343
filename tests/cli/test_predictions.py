"""``thetahat fit --predict``: every row of the table, in order, to be merged back."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

N = 90
FIT = ["fit", "t.csv", "--target=y", "--model=linear", "--optimizer=sgd", "--lr=0.3"]
FIT = [*FIT, "--epochs=200", "--features=a,c", "--categorical=c", "--dtype=float64"]


@pytest.fixture
def table(folder: Path) -> Path:
    """Every tenth row lacks y, every seventh a; one level is seen only where y is missing."""
    rng = np.random.default_rng(0)
    a, c = rng.normal(5, 2, N), rng.integers(0, 2, N)
    y = 1e4 + 3 * a + 2 * c + rng.normal(0, 1, N)
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["y", "a", "c", "w"])
        for i in range(N):
            level = "rare" if i == 3 else "uv"[c[i]]
            writer.writerow(
                ["" if i % 10 == 3 else y[i], "" if i % 7 == 2 else a[i], level, 1 + i % 3]
            )
    return folder / "t.csv"


def given() -> list[dict[str, str]]:
    with open("t.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(name: str) -> list[dict[str, Any]]:
    """A file's rows, with None where nothing is there."""
    if name.endswith(".json"):
        return json.loads(Path(name).read_text(encoding="utf-8"))
    if name.endswith(".parquet"):
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(name).to_pylist()
    with open(name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if name.endswith(".tsv") else ","))
    numbers = {"row": int, "y": float, "w": float, "fitted": float, "part": str}
    return [{k: numbers[k](v) if v else None for k, v in row.items()} for row in rows]


def risks(out: str, model: str) -> dict[str, float]:
    return {row["model"]: row for row in json.loads(out)}[model]


def test_every_row_is_there_with_its_number_and_a_value_where_its_features_allow(
    table: Path, thetahat
) -> None:
    code, _, err = thetahat(*FIT, "--missing=drop", "--predict=p.csv", "--format=json")
    assert code == 0
    rows = written("p.csv")
    assert [row["row"] for row in rows] == list(range(1, N + 1))
    assert list(rows[0]) == ["row", "y", "fitted", "part"]
    for row, from_table in zip(rows, given(), strict=True):
        assert row["y"] == (float(from_table["y"]) if from_table["y"] else None)
        allowed = from_table["a"] != "" and from_table["c"] != "rare"
        assert (row["fitted"] is not None) == allowed, row
        fitted_to = bool(from_table["y"]) and allowed
        assert (row["part"] in ("train", "val", "test")) == fitted_to, row
    lacking = sum(row["fitted"] is None for row in rows)
    why = f"{lacking - 1} lack a feature, 1 has a 'c' that the fit has not seen ('rare')"
    assert f"of 90 rows are in p.csv; {lacking} of them have none: {why}" in err


def test_rows_without_a_target_get_the_prediction_of_the_fit(table: Path, thetahat) -> None:
    from sklearn.linear_model import LinearRegression

    thetahat(*FIT, "--missing=drop", "--val=0", "--predict=p.csv", "--format=json")
    rows, x = written("p.csv"), given()
    at = [i for i, row in enumerate(rows) if row["fitted"] is not None]
    design = np.array([[float(x[i]["a"]), x[i]["c"] == "v"] for i in at], float)
    y = np.array([rows[i]["y"] or np.nan for i in at])
    train = np.array([rows[i]["part"] == "train" for i in at])
    expected = LinearRegression().fit(design[train], y[train]).predict(design)
    found = np.array([rows[i]["fitted"] for i in at])
    assert found == pytest.approx(expected, rel=1e-7)
    assert np.isnan(y).any()


def test_imputed_rows_have_a_value(table: Path, thetahat) -> None:
    whole = "\n".join(",".join(row.values()) for row in given() if row["y"])
    table.write_text(f"y,a,c,w\n{whole}\n", encoding="utf-8")
    code, _, _ = thetahat(*FIT, "--missing=mean", "--predict=p.csv", "--format=json")
    assert code == 0
    assert all(row["fitted"] is not None and row["part"] for row in written("p.csv"))


@pytest.mark.parametrize("weighted", [False, True])
def test_r2_printed_is_that_of_the_file(table: Path, thetahat, weighted: bool) -> None:
    more = ["--weights=w"] if weighted else []
    words = [*FIT, *more, "--missing=drop", "--predict=p.csv", "--format=json"]
    _, out, _ = thetahat(*words)
    rows = written("p.csv")
    for part in ("val", "test"):
        mine = [row for row in rows if row["part"] == part]
        y, fit = (np.array([row[k] for row in mine]) for k in ("y", "fitted"))
        w = np.array([row["w"] for row in mine]) if weighted else np.ones(len(mine))
        mse = np.average((y - fit) ** 2, weights=w)
        around = np.average((y - np.average(y, weights=w)) ** 2, weights=w)
        said = risks(out, "linear")
        assert said[f"{part}_mse"] == pytest.approx(mse, rel=1e-6)
        assert said[f"{part}_r2"] == pytest.approx(1 - mse / around, rel=1e-6)


@pytest.mark.parametrize("name", ["p.json", "p.parquet", "p.tsv"])
def test_every_format_holds_the_same_and_may_be_replaced(table: Path, thetahat, name: str) -> None:
    words = [*FIT, "--weights=w", "--missing=drop", "--quiet"]
    thetahat(*words, "--predict=p.csv")
    for _ in range(2):  # the second replaces the first
        assert thetahat(*words, f"--predict={name}")[0] == 0
    assert written(name) == written("p.csv")


def test_a_file_of_that_ending_that_is_not_ours_stays(table: Path, thetahat) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"row": [1], "fitted": [2.0], "part": ["x"]}), "p.parquet")
    Path("p.json").write_text('[{"row": 1, "mine": 2}]', encoding="utf-8")
    for name in ("p.parquet", "p.json"):
        before = Path(name).read_bytes()
        code, _, err = thetahat(*FIT, "--missing=drop", f"--predict={name}")
        assert code == 2
        assert "thetahat did not write it" in err
        assert Path(name).read_bytes() == before


def test_a_target_called_like_a_column_of_the_file_is_refused(table: Path, thetahat) -> None:
    text = table.read_text(encoding="utf-8").replace("y,a,c,w", "fitted,a,c,w", 1)
    table.write_text(text, encoding="utf-8")
    words = [w.replace("--target=y", "--target=fitted") for w in FIT]
    code, _, err = thetahat(*words, "--missing=drop", "--predict=p.csv")
    assert code == 2
    assert "the table's column 'fitted' is called like one of the file's" in err


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A disk of its own; the test is skipped where none can be mounted."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a disk can be mounted by root alone, on Linux")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("name", ["p.csv", "p.json", "p.parquet"])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("size=64k,nr_inodes=1", "No space left on device"),  # not even for an empty file
        ("size=4k", "No space left on device"),
        ("size=64k,ro", ""),
    ],
)
def test_a_disk_that_takes_no_file_is_said_in_one_line(
    table: Path, folder: Path, thetahat, options: str, why: str, name: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    with mounted(folder / "disk", options) as disk:
        if options == "size=4k":
            (disk / "full").write_bytes(b"1" * 4096)
        words = [*FIT, "--missing=drop", "--no-store", "--quiet"]
        code, _, err = thetahat(*words, f"--predict=disk/{name}")
        left = [file.name for file in disk.iterdir()]
    # The disk that cannot be written to is found before anything runs.
    said = f"cannot be written: {why}" if why else "cannot be written; give a file in a folder"
    assert code == 2
    note, line = err.splitlines()
    assert note.startswith("note: ")
    assert line.startswith(f"thetahat: --predict {Path('disk') / name} {said}"), err
    assert "Traceback" not in err
    assert left == (["full"] if options == "size=4k" else [])


def test_a_folder_that_is_gone_when_the_fit_ends_is_said(tmp_path: Path) -> None:
    # The writer of a table with many rows, without a fit.
    from thetahat.cli.commands._fit_predictions import Predictions, write
    from thetahat.core import ConfigError

    made = Predictions({"row": [1], "fitted": [0.5], "part": ["train"]}, 1)
    for kind in ("csv", "json", "parquet"):
        path = tmp_path / "gone" / f"p.{kind}"
        with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
            write(path, made)
