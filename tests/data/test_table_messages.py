"""Every refusal of a table, by its exact text."""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thetahat.core.errors import DataError, InputError, MissingExtra

# A missing library is simulated by the readers' own question.
from thetahat.data import _readers, read_table, split

GOOD = {"wage": [1.0, 2.0, 4.0], "educ": [8, 12, 16], "exper": [1, 2, 3]}


def refused(text: str, kind: type[Exception] = DataError):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


COLUMNS = {
    "target": (
        {"target": "wages"},
        {},
        "the table has no column 'wages' (target); did you mean 'wage'?",
    ),
    "feature": (
        {"features": ["educ", "experience"]},
        {},
        "the table has no column 'experience' (feature); did you mean 'exper'?",
    ),
    "far away": (
        {"features": ["zzz"]},
        {},
        "the table has no column 'zzz' (feature); known: wage, educ, exper",
    ),
    "weights name": (
        {"weights": "w"},
        {},
        "the table has no column 'w' (weights); did you mean 'wage'?",
    ),
    "twice": (
        {"features": ["educ", "educ"]},
        {},
        "feature 'educ' is given twice; give it once",
    ),
    "target among features": (
        {"features": ["educ", "wage"]},
        {},
        "target 'wage' is among the features; leave it out of them",
    ),
    "weights are the target": (
        {"weights": "wage"},
        {},
        "target 'wage' is also the weights; give another column",
    ),
    "no features": (
        {"features": []},
        {},
        "no features: the table has no column beside 'wage'",
    ),
    "categorical": (
        {"categorical": ["edu"]},
        {},
        "categorical 'edu' is not among the features; did you mean 'educ'?",
    ),
    "missing": (
        {"missing": "means"},
        {},
        "missing='means' is unknown; did you mean 'mean'?",
    ),
    "text": (
        {},
        {"region": ["west", "east", "west"]},
        "column 'region' holds text, e.g. 'west'; declare it with categorical=['region'] "
        "(--categorical region), or leave it out of the features",
    ),
    "text target": (
        {},
        {"wage": ["3.5", "low", "low"]},
        "target 'wage' holds text, e.g. '3.5'; declare its classes with categorical=['wage'] "
        "(--categorical wage), or turn it into numbers",
    ),
    "text weights": (
        {"weights": "w"},
        {"w": ["1", "2", "x"]},
        "column 'w' holds numbers, and text in 1 row (row 3: 'x'); give na_values=['x'] "
        "(--na-values=x) if they mean a missing value",
    ),
    "dates": (
        {},
        {"day": np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[D]")},
        "column 'day' holds datetime64[D], e.g. '2020-01-01'; turn it into numbers, "
        "or leave it out of the features",
    ),
    "mixed": (
        {},
        {"mixed": np.array([1, "a", 2], dtype=object)},
        "column 'mixed' holds numbers, and text in 1 row (row 2: 'a'); give na_values=['a'] "
        "(--na-values=a) if they mean a missing value, or categorical=['mixed'] (--categorical "
        "mixed) if all its cells are labels",
    ),
    "two kinds": (
        {},
        {"mixed": np.array([1, (2, 3), 2], dtype=object)},
        "column 'mixed' holds int and tuple, e.g. '(2, 3)'; turn it into numbers, "
        "or leave it out of the features",
    ),
    "all missing": (
        {},
        {"empty": [None, None, None]},
        "column 'empty' has missing values only; leave it out",
    ),
    "constant": (
        {},
        {"one": [5, 5, 5]},
        "column 'one' is constant (5) and cannot be standardised; leave it out",
    ),
    "constant target": (
        {},
        {"wage": [2.5, 2.5, 2.5]},
        "target 'wage' is constant (2.5); there is nothing to estimate",
    ),
    "single level": (
        {"categorical": ["g"]},
        {"g": ["a", "a", "a"]},
        "column 'g' has the single level 'a'; leave it out",
    ),
    "odd level": (
        {},
        {"g": pd.Series(pd.Categorical([datetime.date(2020, 1, 1)] * 3))},
        "column 'g' has the level datetime.date(2020, 1, 1), a date; make the levels text or "
        "numbers",
    ),
    "missing values": (
        {},
        {"educ": [8, None, None], "exper": [1, 2, None]},
        "missing values: 'educ' in 2 of 3 rows, 'exper' in 1 of 3 rows; give missing='drop' (--missing drop), "
        "'mean' or 'median', or leave the columns out",
    ),
    "missing values of the target too": (
        {},
        {"wage": [1.0, None, 2.0], "educ": [8, None, None]},
        "missing values: 'educ' in 2 of 3 rows, 'wage' in 1 of 3 rows; give missing='drop' (--missing drop), "
        "which leaves those rows out ('wage' cannot be imputed)",
    ),
    "missing values of target and weights": (
        {"weights": "w"},
        {"wage": [1.0, None, 2.0], "w": [1.0, 1.0, None]},
        "missing values: 'wage' in 1 of 3 rows, 'w' in 1 of 3 rows; give missing='drop' (--missing drop), "
        "which leaves those rows out ('wage' and 'w' cannot be imputed)",
    ),
    "too large": (
        {},
        {"educ": [8.0, -1e300, 9.0]},
        "column 'educ' reaches 1e+300, whose square overflows double precision; rescale it",
    ),
    "too large a target": (
        {},
        {"wage": [8.0, 1e151, 9.0]},
        "column 'wage' reaches 1e+151, whose square overflows double precision; rescale it",
    ),
    "missing target": (
        {"missing": "mean"},
        {"wage": [1.0, None, 2.0]},
        "target 'wage' has 1 missing value, which cannot be imputed; "
        "give missing='drop' (--missing drop), or leave these rows out first and impute the "
        "features: frame.dropna(subset=['wage'])",
    ),
    "numbers as text": (
        {},
        {"educ": ["1.5", "2", "3"]},
        "column 'educ' holds text, e.g. '1.5'; turn it into numbers (pandas.to_numeric), or, if "
        "they are labels, declare it with categorical=['educ'] (--categorical educ), "
        "or leave it out of the features",
    ),
    "missing weights": (
        {"missing": "median", "weights": "w"},
        {"w": [None, None, 2.0]},
        "weights 'w' has 2 missing values, which cannot be imputed; "
        "give missing='drop' (--missing drop), or leave these rows out first and impute the "
        "features: frame.dropna(subset=['w'])",
    ),
    "nothing left": (
        {"missing": "drop"},
        {"educ": [8, None, None], "exper": [None, 2, 3]},
        "all 3 rows have a missing value (educ 2, exper 1); leave a column out, or impute",
    ),
    "infinite": (
        {},
        {"exper": [1.0, np.inf, -np.inf]},
        "column 'exper' has 2 infinite values, first in row 2 of the table, counted from 1; drop or fix those rows",
    ),
    "negative weights": (
        {"weights": "w"},
        {"w": [1.0, -2.0, -1.0]},
        "weights 'w' has negative values (least -2); weights must be at least 0",
    ),
    "zero weights": (
        {"weights": "w"},
        {"w": [0.0, 0.0, 0.0]},
        "weights 'w' are all zero; give some row a positive weight",
    ),
    "lengths": (
        {},
        {"educ": [1, 2]},
        "columns differ in length: wage 3, educ 2, exper 3",
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns(case: str) -> None:
    roles, changed, text = COLUMNS[case]
    with refused(text):
        read_table({**GOOD, **changed}, **{"target": "wage", **roles})


def test_constant_column_may_stay_where_nothing_is_standardised() -> None:
    table = read_table({**GOOD, "one": [1, 1, 1]}, "wage", standardize=False)
    assert table.x[:, 2].tolist() == [1, 1, 1]


def test_no_rows() -> None:
    with refused("the table has no rows; give at least one observation"):
        read_table(pd.DataFrame({"y": [], "x": []}, dtype=float), "y")


def test_repeated_column_of_a_frame(tmp_path: Path) -> None:
    with refused("the table has two columns 'x'; rename one"):
        read_table(pd.DataFrame([[1, 2, 3]], columns=["y", "x", "x"]), "y")
    path = tmp_path / "t.csv"
    path.write_text("y,x,x\n1,2,3\n")
    with refused("the table has two columns 'x'; rename one"):
        read_table(path, "y")


def test_no_table() -> None:
    with refused(
        "a list is not a table; give a path, a pandas or polars frame, or a mapping of columns"
    ):
        read_table([[1, 2]], "y")


def test_a_column_lost_to_the_train_part() -> None:
    table = read_table({"y": np.arange(10.0), "a": [1.0, 2.0] + [None] * 8}, "y", missing="median")
    both = ({0, 1} & set(split(np.arange(10), seed=s).train.tolist()) for s in range(99))
    seed = next(s for s, kept in enumerate(both) if not kept)
    with refused(
        "column 'a' has no value in the train part, so it cannot be imputed; leave it out, "
        "or give train more rows"
    ):
        split(table, seed=seed)


class TestFiles:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_not_there(self) -> None:
        Path("wages.csv").write_text("y,x\n1,2\n")
        with refused("no file 'wage.csv'; did you mean 'wages.csv'?"):
            read_table("wage.csv", "y")
        with refused("no file 'nowhere/t.csv'; check the path"):
            read_table(Path("nowhere") / "t.csv", "y")

    def test_folder(self) -> None:
        os.mkdir("data")
        with refused("'data' is a folder; give a CSV or Parquet file in it"):
            read_table("data", "y")

    def test_suffix(self) -> None:
        Path("t.sav").write_text("")
        with refused(
            "'t.sav' has the suffix '.sav'; give .csv, .tsv (also .gz, .bz2, .xz, .zip), .parquet,"
            " .pq, .dta or .xlsx, or read the file and give the frame"
        ):
            read_table("t.sav", "y")

    def test_empty(self) -> None:
        Path("t.csv").write_text("")
        with refused("'t.csv' is empty; give a header line and rows"):
            read_table("t.csv", "y")
        Path("h.csv").write_text("y,x\n")
        with refused("the table has no rows; give at least one observation"):
            read_table("h.csv", "y")

    @pytest.mark.parametrize("pyarrow", [True, False])
    def test_ragged_csv(self, pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("t.csv").write_text("y,x\n1,2\n3,4,5\n")
        monkeypatch.setattr(_readers, "_has", lambda name: pyarrow)
        said = (
            "CSV parse error: Expected 2 columns, got 3: 3,4,5"
            if pyarrow
            else "line 3 has 3 fields, the header 2"
        )
        with refused(
            f"'t.csv' cannot be read as CSV ({said}); check that the file is complete and of that kind"
        ):
            read_table("t.csv", "y")

    @pytest.mark.parametrize("pyarrow", [True, False])
    def test_not_utf8(self, pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_readers, "_has", lambda name: pyarrow)
        Path("t.csv").write_bytes("y,x\n1,2\n3,caf\xe9\n".encode("latin-1"))
        with refused("'t.csv' is not UTF-8 (byte 0xe9 in line 3); save it as UTF-8"):
            read_table("t.csv", "y")
        Path("h.csv").write_bytes("y,pr\xe9\n1,2\n".encode("latin-1"))
        with refused("'h.csv' is not UTF-8 (byte 0xe9 in line 1); save it as UTF-8"):
            read_table("h.csv", "y")

    @pytest.mark.parametrize("pyarrow", [True, False])
    def test_corrupt_parquet(self, pyarrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        has = _readers._has
        monkeypatch.setattr(
            _readers, "_has", lambda name: has(name) and (pyarrow or name != "pyarrow")
        )
        Path("t.parquet").write_bytes(b"PAR1 this is not parquet")
        with pytest.raises(
            DataError,
            match=r"^'t\.parquet' cannot be read as Parquet \(.+\); "
            r"check that the file is complete and of that kind$",
        ):
            read_table("t.parquet", "y")

    def test_truncated_parquet(self) -> None:
        pd.DataFrame({"y": np.arange(1000.0), "x": np.arange(1000.0)}).to_parquet("t.parquet")
        whole = Path("t.parquet").read_bytes()
        Path("t.parquet").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"^'t\.parquet' cannot be read as Parquet \("):
            read_table("t.parquet", "y")

    def test_parquet_without_a_reader(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pd.DataFrame({"y": [1.0]}).to_parquet("t.parquet")
        monkeypatch.setattr(_readers, "_has", lambda name: False)
        with refused(
            "reading Parquet needs an extra: pip install 'thetahat[tables]'", MissingExtra
        ):
            read_table("t.parquet", "y")


class TestEncoding:
    @pytest.fixture
    def encoder(self):
        frame = {**GOOD, "region": ["west", "east", "west"]}
        return read_table(frame, "wage", categorical="region").encoder

    @pytest.mark.parametrize(
        ("table", "text"),
        [
            (
                {"educ": [1], "exper": [2], "region": ["north"]},
                "column 'region' has the level 'north'; known: 'east', 'west'",
            ),
            (
                {"education": [1], "exper": [2], "region": ["west"]},
                "the table has no column 'educ' (feature); known: exper, region",
            ),
            (
                {"educ": ["a"], "exper": [2], "region": ["west"]},
                "column 'educ' holds text, e.g. 'a'; it was a column of numbers",
            ),
            (
                {"educ": ["1.5", "12 EUR", "2"], "exper": [2] * 3, "region": ["west"] * 3},
                "column 'educ' holds text, e.g. '12 EUR' (1 cell is no number, 2 are); it was a column of"
                " numbers",
            ),
            (
                {"educ": [1, None], "exper": [2, 2], "region": ["west", "east"]},
                "column 'educ' has 1 missing value; drop or fill them first",
            ),
            (
                {"educ": [np.inf], "exper": [2], "region": ["west"]},
                "column 'educ' has infinite values; drop or fix those rows",
            ),
            (
                np.ones((5, 3)),
                "got an array of shape (5, 3) for 4 columns (educ, exper, region=east, region=west); "
                "give shape (n, 4)",
            ),
        ],
    )
    def test_message(self, encoder, table: object, text: str) -> None:
        with refused(text):
            encoder.encode(table)


def test_every_refusal_is_an_input_error() -> None:
    assert issubclass(DataError, InputError)
    assert DataError("x").exit_code == 2


def test_all_features_of_text_are_named_at_once():
    table = {"y": [1.0, 2.0, 3.0], "a": ["u", "v", "u"], "n": [1, 2, 4], "b": ["p", "q", "q"]}
    with pytest.raises(DataError) as caught:
        read_table(table, target="y")
    assert str(caught.value) == (
        "columns 'a', 'b' hold text, e.g. 'u' in 'a'; declare them with categorical=['a', 'b']"
        " (--categorical a,b), or leave them out of the features"
    )
