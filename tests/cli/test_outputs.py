"""What a command writes never takes the place of a file that is not its own."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from thetahat.cli import run

FIT = ["fit", "t.csv", "--target=y", "--model=linear", "--epochs=2", "--quiet", "--no-store"]
NOT_OURS = (
    "that file is there already, and thetahat did not write it; give another name, or move it"
    " away first\n"
)


@pytest.fixture
def table(folder: Path) -> Path:
    draw = random.Random(0)
    rows = [(draw.random(), draw.random()) for _ in range(40)]
    lines = ["y,a", *(f"{y},{a}" for y, a in rows)]
    (folder / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "t.csv"


@pytest.mark.parametrize("way", ["t.csv", "./t.csv", "soft.csv", "hard.csv"])
def test_a_table_is_not_overwritten_by_its_own_fit(table: Path, thetahat, way: str) -> None:
    os.symlink("t.csv", "soft.csv")
    os.link("t.csv", "hard.csv")
    before = table.read_bytes()
    code, out, err = thetahat(*FIT, f"--predict={way}")
    assert (code, out) == (2, "")
    assert err == (
        f"thetahat: --predict {Path(way)} is the table itself, and would be overwritten; give"
        " another name\n"
    )
    assert table.read_bytes() == before
    assert os.path.islink("soft.csv")


def test_fitted_values_replace_fitted_values_and_nothing_else(table: Path, thetahat) -> None:
    for missing in ("drop", "refuse"):  # the second has a column more
        assert thetahat(*FIT, "--predict=out.csv", f"--missing={missing}")[0] == 0
    assert Path("out.csv").read_text(encoding="utf-8").startswith("row,y,fitted,part\n")
    for text in ("y,a\n1,2\n", "a,b,y,fitted,part\n", "notes\n"):
        Path("mine.csv").write_text(text, encoding="utf-8")
        code, _, err = thetahat(*FIT, "--predict=mine.csv")
        assert (code, err) == (2, f"thetahat: --predict mine.csv: {NOT_OURS}")
        assert Path("mine.csv").read_text(encoding="utf-8") == text
    Path("mine.csv").write_text("", encoding="utf-8")
    assert thetahat(*FIT, "--predict=mine.csv")[0] == 0


@pytest.mark.parametrize("suffix", ["html", "tex", "md", "csv"])
def test_a_report_replaces_a_report_and_nothing_else(kept: str, suffix: str, capsys) -> None:
    path = Path(f"a.{suffix}")
    assert run(["report", kept, "-o", str(path)]) == 0
    first = path.read_bytes()
    assert run(["report", kept, "-o", str(path)]) == 0
    assert path.read_bytes() == first
    capsys.readouterr()
    path.write_text("my own words\n", encoding="utf-8")
    assert run(["report", kept, "-o", str(path), "--figures", "figures"]) == 2
    assert capsys.readouterr().err == f"thetahat: -o {path}: {NOT_OURS}"
    assert path.read_text(encoding="utf-8") == "my own words\n"
    assert not Path("figures").exists()


def test_the_store_is_no_place_for_a_report(kept: str, capsys) -> None:
    assert run(["report", kept, "-o", ".thetahat/store.db", "--format=md"]) == 2
    assert capsys.readouterr().err == f"thetahat: -o .thetahat/store.db: {NOT_OURS}"
    assert run(["runs"]) == 0
    assert kept in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["pdf", "png", "svg"])
def test_figures_replace_figures_of_ours_and_nothing_else(kept: str, kind: str, capsys) -> None:
    words = ["report", kept, "-o", "a.md", "--figures", "f"]
    assert run(words) == 0
    assert run(words) == 0
    mine = next(Path("f").glob(f"*.{kind}"))
    others = {path: path.read_bytes() for path in Path("f").iterdir() if path != mine}
    mine.write_bytes(b"%PDF of my own")
    capsys.readouterr()
    assert run(words) == 2
    assert capsys.readouterr().err == f"thetahat: --figures {mine}: {NOT_OURS}"
    assert mine.read_bytes() == b"%PDF of my own"
    assert {path: path.read_bytes() for path in others} == others
