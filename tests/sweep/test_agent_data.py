"""A data file that somebody edits while a sweep runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from at_work import LINE

from children import STEPS, until
from thetahat.core.data_files import DataFile
from thetahat.sweep.spec import Code

X = "x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]"
READS = {
    "numpy": LINE.replace(X, 'x = np.loadtxt("x.csv", delimiter=",", skiprows=1)[:, :1]'),
    "pandas": "import pandas as pd\n"
    + LINE.replace(X, 'x = pd.read_csv("x.csv")[["x"]].to_numpy()'),
    "table": LINE.replace(X, 'x = th.read_table("x.csv", "y", standardize=False).x'),
    "at the top": LINE.replace(X, "x = X").replace(
        "def line", 'X = np.loadtxt("x.csv", delimiter=",", skiprows=1)[:, :1]\n\ndef line'
    ),
}
TEXT = """\
program: train.py
method: grid
metric: {name: val_risk}
parameters:
  epochs: {values: [40, 41, 42]}
  lr: {value: 0.0001}
"""


def table(scale: float) -> str:
    rows = [f"{scale * (i / 32 - 1)},{i % 7}" for i in range(64)]
    return "\n".join(["x,y", *rows]) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("reads", READS)
def test_runs_that_begin_after_an_edit_read_the_new_data_and_note_it(at, thetahat, reads) -> None:
    at.write("x.csv", table(1))
    file = at.sweep(TEXT, STEPS + READS[reads])
    at.hold(20)
    child = at.start("sweep", file, "--run", "--workers", "1", "--cohort", "1")
    until(lambda: at.any() and any(r.epochs for r in at.runs()))
    at.write("x.csv", table(10))
    at.hold()
    _, err = child.communicate()
    assert child.returncode == 0, err
    assert err.count("note: x.csv has changed: new runs use the new data") == 1
    assert err.count("note: x.csv is not as run ") == 1
    runs = [at.run(run) for run in at.runs()]
    assert [str(run.status) for run in runs] == ["finished"] * 3
    scales = [at.history(run)["train_risk"][0] > 10 for run in runs]
    assert (scales[0], scales[-1]) == (False, True)
    # Each run records which data it read, and its number is of these. A run that was opened during
    # the edit may have read the file before and after it, and then says so.
    found = [run.provenance["data_files"]["x.csv"] for run in runs]
    clear = [not digest.startswith("changed") for digest in found]
    assert clear.count(False) <= 1
    assert all(
        (digest == found[-1]) == scale
        for digest, scale, known in zip(found, scales, clear, strict=True)
        if known
    )
    assert scales == sorted(scales)
    with at.store() as store:
        said = [bool(store.notices(run.id)) for run in runs]
    assert said == [digest != found[0] for digest in found]
    code, _, err = thetahat("report", "last", "-o", "report.html")
    assert code == 0, err
    assert "Different data: x.csv changed while the sweep ran" in Path("report.html").read_text()


def test_another_agent_notes_data_that_differ_from_earlier_runs(at, thetahat) -> None:
    at.write("x.csv", table(1))
    file = at.sweep(TEXT.replace("4", "1"), READS["numpy"])
    assert thetahat("sweep", file)[0] == 0
    first = thetahat("agent", "last", "--workers", "1", "--count", "1")
    second = thetahat("agent", "last", "--workers", "1", "--count", "1")
    at.write("x.csv", table(2))
    third = thetahat("agent", "last", "--workers", "1")
    assert [code for code, _, _ in (first, second, third)] == [0, 0, 0]
    said = f"x.csv is not as run {at.runs()[0].name} of this sweep read it"
    assert [said in err for _, _, err in (first, second, third)] == [False, False, True]


def test_files_that_a_program_writes_and_reads_back_are_not_data(at, thetahat) -> None:
    writes = LINE.replace(
        X, X + '\n    np.save("x.npy", x + lr * 0 + epochs)\n    np.load("x.npy")'
    )
    file = at.sweep(
        TEXT.replace("4", "1").replace("lr: {value: 0.0001}", "width: {value: 3}"), writes
    )
    code, _, err = thetahat("sweep", file, "--run", "--workers", "1")
    assert code == 0, err
    assert "changed" not in err


def later(path: Path, text: str) -> None:
    path.write_text(text)
    stamp = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(stamp, stamp))


def test_code_look_ignores_data_that_are_only_touched_or_gone_for_a_moment(tmp_path) -> None:
    (tmp_path / "train.py").write_text("")
    data = tmp_path / "x.csv"
    data.write_text("1")
    code = Code(tmp_path / "train.py", tmp_path)
    found = data.stat()
    code.watch([DataFile(str(data), (found.st_mtime_ns, found.st_size), "6b86b273ff34fce1")])
    assert code.look(settled_s=0.0).anew is False
    later(data, "1")
    assert code.look(settled_s=0.0).anew is False
    data.unlink()
    assert code.look(settled_s=0.0).anew is False
    data.write_text("2")
    change = code.look(settled_s=0.0)
    name = "/".join(data.parts[-2:])
    assert (change.anew, change.say) == (True, f"{name} has changed: new runs use the new data")
    assert code.look(settled_s=0.0).anew is False
