"""``thetahat report``: where it writes, what it says, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from thetahat.cli import run
from thetahat.core.run import Status
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, pack

TEXT = (
    "program: net.py\nmethod: grid\nmetric: {name: val_risk}\nparameters: {lr: {values: [1, 2]}}\n"
)
HEAVY = "import sys; from thetahat.cli import run; code = run(sys.argv[1:]);"
LOADED = (
    HEAVY
    + " print(*(m for m in ('jax', 'matplotlib', 'pandas') if m in sys.modules)); sys.exit(code)"
)
WITHOUT = "import sys; sys.modules['matplotlib'] = None;" + HEAVY + " sys.exit(code)"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store here with one sweep of four runs; the sweep's id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    with open_store() as store:
        sweep = create_sweep(store, NewSweep(TEXT, "small"))
        for lr in (1, 2):
            for seed in (1, 2):
                with store.batch() as writer:
                    config = {"lr": lr, "seed": seed}
                    run_id, _ = writer.create_run(NewRun(config=config, sweep_id=sweep.id))
                    value = 0.25 * lr + 0.125 * seed
                    columns = {"epoch": [1, 2], "train_risk": [2.0, 1.0], "val_risk": [2.0, value]}
                    writer.log_blocks([(run_id, pack(columns))])
                    metrics = {"val_risk": value}
                    writer.finish_run(run_id, status=Status.FINISHED, epochs=2, metrics=metrics)
    return sweep.id


def test_html_goes_to_a_file_of_its_own(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", made]) == 0
    path = Path(f"report-{made}.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"report-{made}.html: sweep small, ")


@pytest.mark.parametrize(
    ("format", "beginning"),
    [
        ("latex", "% \\usepackage{booktabs"),
        ("md", "# small\n"),
        ("csv", "lr,runs,n,failed,unfinished,val_risk median"),
    ],
)
def test_texts_go_to_standard_output(
    made: str, capsys: pytest.CaptureFixture[str], format: str, beginning: str
) -> None:
    assert run(["report", made, "--format", format]) == 0
    assert capsys.readouterr().out.startswith(beginning)
    assert not list(Path().glob("report-*"))


@pytest.mark.parametrize(
    ("file", "beginning"),
    [("a.html", b"<!doctype"), ("a.tex", b"% "), ("a.md", b"# small"), ("a.csv", b"lr,runs")],
)
def test_the_ending_of_the_file_says_the_format(made: str, file: str, beginning: bytes) -> None:
    assert run(["report", "small", "-o", file]) == 0
    assert Path(file).read_bytes().startswith(beginning)


def test_the_csv_has_the_numbers_in_full(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", made, "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lr,runs,n,failed,unfinished,val_risk median,val_risk q10,val_risk q90,marks"
    assert lines[1] == "1,2,2,0,0,0.4375,0.3875,0.4875,"


def test_figures_go_beside_it(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", made, "--format", "csv", "--figures", "figures"]) == 0
    names = {path.name for path in Path("figures").iterdir()}
    assert {"progress.pdf", "progress.png", "progress.svg", "seeds.pdf"} <= names
    n = len(names)
    assert f"figures: {n} files of {n // 3} figures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["-o", "a.pdf"],
            "-o a.pdf: its ending says no format; end it in .html, .tex, .md or .csv",
        ),
        (
            ["-o", "no/a.html"],
            "cannot write no/a.html: No such file or directory; give another place",
        ),
        (["--metric", "val_rsk"], "--metric val_rsk: no run has it; did you mean 'val_risk'?"),
        (["--format", "docx"], "--format: invalid choice: 'docx'"),
        (["--store", "nowhere"], "there is no store at"),
    ],
)
def test_what_is_wrong_is_one_line(
    made: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(["report", made, *words]) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and out == ""
    assert not list(Path().glob("*.html"))


def test_an_unknown_id_is_one_line(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "smal1"]) == 2
    assert "has no sweep and no run 'smal1'; did you mean 'small'?" in capsys.readouterr().err


def test_a_report_needs_no_matplotlib_and_no_jax(made: str) -> None:
    words = [sys.executable, "-c", LOADED, "report", made]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    [page] = Path().glob("*.html")
    assert page.read_text(encoding="utf-8").count("<svg") >= 3


def test_without_matplotlib_figures_say_what_to_install(made: str) -> None:
    words = [sys.executable, "-c", WITHOUT, "report", made, "--figures", "figures"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "thetahat: a figure needs an extra: pip install 'thetahat[report]'\n"
    assert not list(Path().glob("*.html")) and not Path("figures").exists()
