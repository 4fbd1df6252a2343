"""``thetahat grade``: its output, its exit codes, and files that misbehave."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from students import correct, wrong

import thetahat as th

OWN_PYTHONS = True
HEAD = "def train(f, config, tracker):\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    # As a process that has imported PyTorch sets it for its children.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "of" / "the" / "parent"))
    return tmp_path


def test_errors_are_printed_with_their_lines(here: Path, thetahat: Any) -> None:
    student = wrong(2, 0)
    Path("student.py").write_text(student.text, encoding="utf-8")
    Path("good.py").write_text(correct(2).text, encoding="utf-8")
    code, out, said = thetahat("grade", "student.py", "good.py", "missing.py")
    assert code == 2
    assert said == "thetahat: missing.py is not a file; give a training program\n"
    assert out.startswith("student.py: 1 silent error\n\n  line ")
    line = int(re.findall(r"line (\d+): error 2, ", out)[0])
    assert line in student.lines
    assert f"    {student.text.splitlines()[line - 1].strip()}\n" in out
    assert "good.py: no silent error found\n" in out


def test_rows_of_other_formats(here: Path, thetahat: Any) -> None:
    student = wrong(6, 4)
    Path("student.py").write_text(student.text, encoding="utf-8")
    code, out, _ = thetahat("grade", "student.py", "--format=json")
    assert code == 1
    (row,) = json.loads(out)
    assert row["line"] in student.lines
    assert {"file": "student.py", "error": 6}.items() <= row.items()
    assert row["fix"] == th.grade.ERRORS[6].fix


def test_a_correct_program_exits_with_0_and_needs_no_other_library(
    here: Path, thetahat: Any
) -> None:
    text = correct(4).text.replace("import copy\n", "import copy\nimport sys\n")
    Path("good.py").write_text(f"{text}\nassert 'jax' not in sys.modules\n", encoding="utf-8")
    code, out, said = thetahat("grade", "good.py")
    assert (code, out, said) == (0, "good.py: no silent error found\n", "")


MISBEHAVING = {
    "never_ends": (
        f"{HEAD}    while True:\n        pass\n",
        r"does not end within 4 s; line [23] was",
    ),
    "leaves": (
        f"import os\n{HEAD}    os._exit(0)\n",
        "ends Python with exit code 0 before train returns",
    ),
    "exits": (
        f"import sys\n{HEAD}    sys.exit(3)\n",
        r"ends Python \(line 3\); train must return a dict",
    ),
    "prints": (
        f"{HEAD}    while True:\n        print('x' * 9999)\n",
        "prints more than 1,000,000 bytes",
    ),
    "deletes": (
        f"import os\n{HEAD}    try:\n        os.remove('{{folder}}/precious.txt')\n"
        "    except OSError:\n        pass\n    return {}\n",
        "deletes .*precious.txt'; write only into the current folder",
    ),
    "removes": (
        f"import shutil\n{HEAD}    shutil.rmtree('{{folder}}')\n",
        "deletes '.*'; write only",
    ),
    "writes": (
        f"{HEAD}    open('{{folder}}/precious.txt', 'w')\n",
        "writes '.*precious.txt'; write only",
    ),
    "starts": (
        f"import os\n{HEAD}    os.system('ls')\n",
        "starts another process; a graded program may",
    ),
    "calls": (
        f"import socket\n{HEAD}    socket.create_connection(('127.0.0.1', 9))\n",
        "uses the network; a graded program may not",
    ),
    "fills": (
        f"{HEAD}    kept = []\n    while True:\n        kept.append(bytearray(10**8))\n",
        r"takes more (than 0.5 GB of memory|memory than it may)",
    ),
    "is_no_python": (
        "def train(f, config, tracker)\n",
        r"is not a program of Python: expected ':' \(line 1\)",
    ),
    "has_no_train": ("x = 1\n", r"has no function train\(f, config, tracker\); see docs/grade.md"),
    "has_no_log": (
        f"{HEAD}    tracker.init(config=config)\n    return {{'predict': f}}\n",
        "train never calls tracker.log; call it once for each epoch",
    ),
    "gives_a_number": (f"{HEAD}    return 5\n", "train must return a dict; got int"),
    "needs_more": (
        "import not_installed_here\n",
        r"imports not_installed_here, which is not installed \(line 1\)",
    ),
    "raises": (
        f"{HEAD}    return 1 / 0\n",
        r"raised ZeroDivisionError: division by zero \(line 2\)",
    ),
    "logs_too_little": (
        f"{HEAD}    tracker.log(val_loss=1.0)\n",
        r"tracker.log needs predict, a function from x to predictions; got NoneType \(line 2\)",
    ),
    "is_deep": ("x = " + "(" * 5000 + ")" * 5000 + "\n", "is not a program of Python: "),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_file_that_misbehaves_gets_one_message(name: str, here: Path, thetahat: Any) -> None:
    text, message = MISBEHAVING[name]
    precious = here / "precious.txt"
    precious.write_text("precious", encoding="utf-8")
    file = here / "program.py"
    file.write_text(text.replace("{folder}", str(here)), encoding="utf-8")
    limit = "--seconds=4" if name == "never_ends" else "--seconds=100"
    code, out, said = thetahat("grade", "program.py", limit, "--memory=0.5")
    assert (code, out) == (2, "")
    plain = " ".join(said.split())
    assert re.search(rf"^thetahat: program\.py:? {message}", plain), plain
    assert plain.count("thetahat:") == 1
    assert "Traceback" not in said
    assert precious.read_text(encoding="utf-8") == "precious"
    assert {path.name for path in here.iterdir()} == {"precious.txt", "program.py"}


def test_bytes_are_no_program(here: Path, thetahat: Any) -> None:
    Path("program.py").write_bytes(bytes(range(256)))
    code, _, said = thetahat("grade", "program.py")
    assert (code, said) == (
        2,
        "thetahat: program.py is not text in UTF-8; give a program of Python\n",
    )
    shutil.rmtree(here / "folder", ignore_errors=True)
    (here / "folder.py").mkdir()
    assert thetahat("grade", "folder.py")[0] == 2
