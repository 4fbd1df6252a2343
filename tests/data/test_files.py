"""Files as they come: compressed, of Stata, with other marks, odd cells and nameless columns."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thetahat as th
from thetahat.core.errors import ConfigError, DataError, MissingExtra

# Missing libraries are simulated by the readers' own question.
from thetahat.data import _office, _readers, read_table, split

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "wage": RNG.normal(10, 3, 40).round(2),
        "educ": RNG.integers(8, 18, 40),
        "name": [f"worker\n{i}, 'x'" for i in range(40)],
    }
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=[True, False], ids=["pyarrow", "python"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both readers of CSV files."""
    monkeypatch.setattr(_readers, "_has", lambda name: request.param)
    return request.param


def refused(text: str, kind: type[Exception] = DataError) -> Any:
    return pytest.raises(kind, match=re.escape(text))


def written(text: str, name: str = "t.csv") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize(
    "suffix", ["csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zip", "zip", "tsv.gz"]
)
@pytest.mark.usefixtures("reader")
def test_compressed_files_are_read_as_plain_ones(suffix: str) -> None:
    FRAME.to_csv(f"t.{suffix}", index=False, sep="\t" if "tsv" in suffix else ",")
    table = read_table(f"t.{suffix}", "wage", "educ")
    np.testing.assert_array_equal(table.y, FRAME["wage"])
    np.testing.assert_array_equal(table.x[:, 0], FRAME["educ"])
    assert table.column("name", "groups").values.tolist() == FRAME["name"].tolist()


def test_damaged_archives_are_refused() -> None:
    whole = FRAME.to_csv(index=False).encode()
    packed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    for suffix, pack in packed.items():
        data = pack(whole)
        for damaged in (data[: len(data) // 2], b"no such thing", data[:20] + b"\0" * 20):
            Path(f"t.csv.{suffix}").write_bytes(damaged)
            with refused(f"'t.csv.{suffix}' cannot be read as CSV ("):
                read_table(f"t.csv.{suffix}", "wage", "educ")
    Path("t.zip").write_bytes(b"PK no")
    with refused("'t.zip' cannot be read as CSV ("):
        read_table("t.zip", "wage")
    with zipfile.ZipFile("two.zip", "w") as archive:
        archive.writestr("a.csv", whole)
        archive.writestr("b.csv", whole)
    with refused("'two.zip' holds 2 files; give a .zip of one CSV file, or unpack it"):
        read_table("two.zip", "wage")


def test_labelled_values_of_stata_are_categories() -> None:
    frame = FRAME[["wage", "educ"]].assign(
        region=pd.Categorical(["south", "north"] * 20),
        tenure=[np.nan, 3.0, np.nan, 4.0] * 10,
        since=pd.date_range("2000-01-01", periods=40),
    )
    frame.to_stata("t.dta", write_index=False)
    table = read_table("t.dta", "wage", ["educ", "region", "tenure"], missing="mean")
    assert table.names == ("educ", "region=north", "region=south", "tenure")
    np.testing.assert_allclose(table.y, FRAME["wage"])
    assert np.isnan(table.x[::2, 3]).all()
    assert split(table, order="since").rows["train"].tolist() == list(range(28))
    with refused("the table has no column 'wages' (target); did you mean 'wage'?"):
        read_table("t.dta", "wages")


def test_missing_codes_of_stata_are_missing() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0, 3.0, 5.0], "x": [1.0, np.nan, 1234.5678, 4.0]})
    frame.to_stata("t.dta", write_index=False)
    code_a = struct.pack("<Q", 0x7FE0010000000000)  # Stata's .a
    whole = Path("t.dta").read_bytes()
    Path("t.dta").write_bytes(whole.replace(struct.pack("<d", 1234.5678), code_a))
    with pytest.warns(th.Notice, match="2 of 4 rows are left out"):
        assert read_table("t.dta", "y", missing="drop").y.tolist() == [1, 5]


def test_partly_labelled_values_of_stata_stay_numbers() -> None:
    pd.DataFrame({"y": [1.0, 2.0, 5.0], "x": [1, 2, 99]}).to_stata(
        "t.dta", write_index=False, value_labels={"x": {99: "no answer"}}
    )
    with (
        pytest.warns(th.Notice, match="column 'x' of 't.dta' labels only some values"),
        pytest.warns(th.Notice, match="1 of 3 rows is left out"),
    ):
        table = read_table("t.dta", "y", na_values=99, missing="drop")
    assert table.x.tolist() == [[1], [2]]


def test_a_damaged_stata_file_is_refused() -> None:
    Path("t.dta").write_bytes(b"not stata")
    with refused("'t.dta' cannot be read as Stata ("):
        read_table("t.dta", "y")
    FRAME[["wage", "educ"]].to_stata("s.dta")
    Path("t.dta").write_bytes(Path("s.dta").read_bytes()[:-400])
    with refused("'t.dta' cannot be read as Stata ("):
        read_table("t.dta", "wage", "educ")


def test_excel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.xlsx").write_bytes(b"")
    monkeypatch.setattr(_office, "_has", lambda name: name != "openpyxl")
    with refused("reading Excel files needs an extra: pip install 'thetahat[excel]'", MissingExtra):
        read_table("t.xlsx", "wage")


def test_excel_is_read() -> None:
    pytest.importorskip("openpyxl")
    FRAME.assign(when=pd.date_range("2000-01-01", periods=40)).to_excel("t.xlsx")
    with pytest.warns(th.Notice, match="column 1 of the table is without a name"):
        table = read_table("t.xlsx", "wage", ignore=["name", "when"])
    np.testing.assert_array_equal(table.y, FRAME["wage"])
    assert table.names == ("educ",)
    assert split(table, order="when").rows["train"].tolist() == list(range(28))
    Path("bad.xlsx").write_bytes(b"PK nothing")
    with refused("'bad.xlsx' cannot be read as Excel ("):
        read_table("bad.xlsx", "wage")


@pytest.mark.usefixtures("reader")
def test_numbers_may_have_other_marks() -> None:
    plain = read_table({"y": [1234.5, 2.0, 1e6], "x": [1.0, np.nan, -3500.0]}, "y", missing="mean")
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ('y,x\n"1,234.5",1\n2,.\n"1,000,000","-3,500"\n', {"thousands": ","}),
        ("y;x\n1.234,5;1\n2;.\n1.000.000;-3.500\n", {"thousands": ".", "decimal": ","}),
        ("y;x\n1234,5;1\n2;.\n1e6;-3500,0\n", {"decimal": ","}),
        ("y\tx\n1 234.5\t1\n2\t.\n1 000 000\t-3 500\n", {"thousands": " "}),
    )
    for text, marks in cases:
        table = read_table(written(text), "y", na_values=".", missing="mean", **marks)
        np.testing.assert_array_equal(table.x, plain.x)
        np.testing.assert_array_equal(table.y, plain.y)


@pytest.mark.usefixtures("reader")
def test_a_group_that_is_not_of_three_digits_is_no_thousand() -> None:
    with refused("column 'y' holds numbers, and text in 1 row (row 2: '1,5')"):
        read_table(written('y,x\n"1,234",1\n"1,5",2\n3,4\n'), "y", thousands=",")


@pytest.mark.parametrize("form", ["csv", "frame", "mapping"])
def test_na_values_are_missing_in_every_source(form: str, reader: bool) -> None:
    columns = {
        "y": [1.0, 2.0, 3.0, 4.0],
        "x": ["1.5", ".", "-99.0", "4"],
        "g": ["a", ".", "b", "a"],
    }
    source: Any = {
        "csv": lambda: written(pd.DataFrame(columns).to_csv(index=False)),
        "frame": lambda: pd.DataFrame(columns),
        "mapping": lambda: columns,
    }[form]()
    table = read_table(source, "y", na_values=[".", -99], missing="mean", categorical="g")
    np.testing.assert_array_equal(table.x[:, 0], [1.5, np.nan, np.nan, 4])
    assert table.names == ("x", "g=a", "g=b")
    assert np.isnan(table.x[1, 1])


LABELS = pd.DataFrame(
    {"y": [1, 2, 3, 4, 5, 6], "g": ["a", "None", "b", "None", "", "b"], "x": [1, 2, "NA", 4, 5, 9]}
)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_labels_that_read_as_missing_are_said_and_can_be_kept(form: str, reader: bool) -> None:
    path = written(LABELS.to_csv(index=False))
    if form == "xlsx":
        path = "labels.xlsx"
        LABELS.to_excel(path, index=False)
    roles: dict[str, Any] = {"target": "y", "categorical": "g"}
    hint = "'None' of 'g' (in 2 rows) is read as missing; if it is a label, give not_missing=['Non"
    lost = "4 of 6 rows are left out (missing='drop'), as they have missing values: 'g' in 3, "
    with pytest.raises(DataError, match=re.escape(hint)):
        read_table(path, **roles)
    with pytest.warns(th.Notice, match=re.escape(lost) + ".*" + re.escape(hint)):
        assert read_table(path, **roles, missing="drop").y.tolist() == [1, 6]
    if form == "csv":
        bare = read_table(path, "y", ignore="g", missing="mean")
        with pytest.raises(DataError, match=re.escape(hint)):
            split(bare, groups="g")
    with pytest.warns(th.Notice, match="^" + re.escape(hint)):
        read_table(path, **roles, missing="median")
    with pytest.warns(th.Notice, match=r"'x' in 1, 'g' in 1$|'g' in 1, 'x' in 1$"):
        table = read_table(path, **roles, missing="drop", not_missing="None")
    assert table.y.tolist() == [1, 2, 4, 6]
    assert table.names == ("g=None", "g=a", "g=b", "x")
    np.testing.assert_array_equal(table.encoder.rows(path)[0][1:2], [[1, 0, 0, 2]])


CELLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "stata": (
        "wage,educ\n3.1,1\n.,2\n4,3\n-,4\n5,5\n",
        {},
        "column 'wage' holds numbers, and text in 2 rows (row 2: '.', row 4: '-'); give"
        " na_values=['.', '-'] (--na-values=.,-) if they mean a missing value",
    ),
    "decimal comma": (
        "wage;educ\n3,1;1\n4,5;2\n5;3\n",
        {},
        "column 'wage' holds numbers, and text in 2 rows (row 1: '3,1', row 2: '4,5'); give"
        " decimal=',' (--decimal=',')",
    ),
    "only decimal commas": (
        "wage;educ\n3,1;1\n4,5;2\n5,3;3\n",
        {},
        "column 'wage' holds numbers, and text in 3 rows (row 1: '3,1', row 2: '4,5', row 3:"
        " '5,3'); give decimal=',' (--decimal=',')",
    ),
    "thousands and gaps": (
        "wage,educ\n" + '"3,100",1\n' * 5 + ".,2\n.,3\n",
        {},
        "column 'wage' holds numbers, and text in 7 rows (row 1: '3,100', row 2: '3,100', row 3:"
        " '3,100', ...); give thousands=',', na_values=['.'] (--thousands=',' --na-values=.)",
    ),
    "thousands": (
        'wage,educ\n"3,100",1\n4,2\n5,3\n',
        {},
        "column 'wage' holds numbers, and text in 1 row (row 1: '3,100'); give thousands=','"
        " (--thousands=',')",
    ),
    "european": (
        "wage;educ\n3.100,5;1\n4;2\n",
        {},
        "text in 1 row (row 1: '3.100,5'); give thousands='.', decimal=','"
        " (--thousands='.' --decimal=',')",
    ),
    "two forms": (
        "wage;educ\n3.1;1\n4,5;2\n5.3;3\n",
        {},
        "text in 1 row (row 2: '4,5'); correct these cells, or declare it with categorical=",
    ),
    "points under commas": (
        "wage;educ\n3.1;1\n4.5;2\n5.3;3\n",
        {"decimal": ","},
        "text in 3 rows (row 1: '3.1', row 2: '4.5', row 3: '5.3'); give decimal='.'",
    ),
    "many marks": (
        "wage,educ\n" + "".join(f"{i},{i}\n" for i in range(9)) + "a,1\nb,1\nc,1\nd,1\n",
        {},
        "text in 4 rows (row 10: 'a', row 11: 'b', row 12: 'c', ...); correct these cells, or"
        " declare it with categorical=['wage'] (--categorical wage)",
    ),
}


@pytest.mark.parametrize("case", CELLS)
@pytest.mark.usefixtures("reader")
def test_cells_that_do_not_parse_are_named(case: str) -> None:
    text, given, said = CELLS[case]
    with refused(said):
        read_table(written(text), "wage", **given)
    with refused(said):
        read_table(written(text), "educ", **given)


MARKS: dict[str, tuple[dict[str, Any], str]] = {
    "same": ({"thousands": "."}, "thousands and decimal are both '.'; give decimal=','"),
    "long": ({"thousands": "abc"}, "thousands='abc'; give one character such as ',' or '.'"),
    "digit": ({"decimal": "5"}, "decimal='5'; give one character such as ',' or '.'"),
    "empty": ({"decimal": ""}, "decimal=''; give one character"),
}


@pytest.mark.parametrize("case", MARKS)
def test_marks_that_cannot_be_are_refused(case: str) -> None:
    given, said = MARKS[case]
    with refused(said, ConfigError):
        read_table({"y": [1.0, 2.0], "x": [3.0, 1.0]}, "y", **given)


# -- columns that are no features -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.usefixtures("reader")
def test_a_column_without_a_name_is_no_feature(name: str) -> None:
    written(FRAME[["wage", "educ"]].rename_axis(name).to_csv())
    shown = "named 'Unnamed: 0'" if name else "without a name"
    with pytest.warns(
        th.Notice, match=f"column 1 of the table is {shown}, as the index of a saved"
    ):
        table = read_table("t.csv", "wage")
    assert table.names == ("educ",)
    if name:
        assert read_table("t.csv", "wage", [name, "educ"]).names == (name, "educ")


def noted(source: Any, target: Any, **given: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_table(source, target, **given)
    return [str(one.message) for one in caught]


def test_a_transform_of_the_target_is_noted() -> None:
    wage = RNG.lognormal(size=200)
    own = {
        "wage": wage,
        "lwage": np.log(wage),
        "minus": -(wage**3),
        "rank": pd.Series(wage).rank().to_numpy(),
        "rounded": wage.round(1),
        "near": np.log(wage) + RNG.normal(0, 0.01, 200),
        "noise": RNG.normal(size=200),
    }
    (said,) = noted(own, "wage")
    assert said.startswith("'lwage' and 'minus' and 'rank' determine the target 'wage'")
    assert noted(own, "wage", ignore=["lwage", "minus", "rank"]) == []
    (said,) = noted(own, ["noise", "wage"], ignore=["minus", "rank"])
    assert said.startswith("'lwage' determines the target 'wage'")


def test_a_code_of_the_target_is_noted_and_chance_is_not() -> None:
    group = RNG.integers(0, 8, 300)
    price = RNG.normal(size=8)[group]
    rare = np.zeros(300)
    rare[7] = 1
    own = {
        "price": price,
        "shop": [f"s{g}" for g in group],
        "x": RNG.normal(size=300),
        "id": RNG.permutation(300),
        "rare": rare,
        "spike": np.where(rare == 1, 9.0, RNG.uniform(size=300)),
    }
    (said,) = noted(own, "price", categorical="shop", ignore=["rare", "spike"])
    assert said.startswith("'shop' determines the target 'price'")
    assert noted(own, "rare", categorical="shop", ignore="price") == []
    labels = {"took": np.where(own["x"] > 0, "yes", "no"), "z": own["x"] > 0, "x2": own["id"]}
    (said,) = noted(labels, "took")
    assert said.startswith("'z' determines the target 'took'")


def test_a_column_that_numbers_the_rows_is_noted() -> None:
    own = {"y": RNG.normal(size=50), "id": np.arange(1, 51), "x": RNG.normal(size=50)}
    (said,) = noted(own, "y")
    assert said.startswith("column 'id' numbers the rows; if it is an index")
    assert noted(own, "y", ignore="id") == []
    assert noted({**own, "id": RNG.permutation(50)}, "y") == []


def test_ignored_columns_are_checked_and_remain_for_the_split() -> None:
    frame = FRAME.assign(firm=np.arange(40) // 4)
    table = read_table(frame, "wage", ignore=["name", "firm"])
    assert table.names == ("educ",)
    assert len(split(table, groups="firm").rows["train"]) == 28
    with refused("the table has no column 'firms' (ignore); did you mean 'firm'?"):
        read_table(frame, "wage", ignore="firms")
    with refused("'wage' is ignored, and is also the target or the weights"):
        read_table(frame, "wage", ignore=["name", "wage"])


ROLES: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"target": 0}, "target=0; give the name of a column as text, or a list of names"),
    "nested": ({"target": [["y"]]}, "target=[['y']]; give the name of a column as text"),
    "features": ({"features": 3}, "features=3; give the name of a column as text"),
    "ignore": ({"ignore": 3}, "ignore=3; give the name of a column as text"),
    "label": ({"not_missing": ["none"]}, "not_missing=['none']; give words that are labels"),
    "na": ({"na_values": {"x": 1}}, "na_values={'x': 1}; give text and numbers"),
}


@pytest.mark.parametrize("case", ROLES)
def test_arguments_of_another_type_are_refused(case: str) -> None:
    given, said = ROLES[case]
    with pytest.raises(th.InputError, match=re.escape(said)):
        read_table({"y": [1.0, 2.0], "x": [2.0, 1.0]}, **{"target": "y", **given})


@pytest.mark.usefixtures("reader")
def test_text_across_lines_and_other_delimiters_are_read() -> None:
    table = read_table(written('"y\nz"|x|s\n1|2|"a\n\nb"\n2|3|c\n'), "y\nz", "x")
    assert table.y.tolist() == [1, 2]
    assert table.column("s", "groups").values.tolist() == ["a\n\nb", "c"]
    with refused("(row 1: '2\\n2,3\\n'); correct these cells"):
        read_table(written('y,x\n1,"2\n2,3\n'), "y")
    Path("bom.csv").write_bytes("\ufeff\ny;x\n1;2\n2;3\n".encode())
    assert read_table("bom.csv", "y").names == ("x",)
