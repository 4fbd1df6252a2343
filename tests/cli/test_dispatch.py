"""The ``thetahat`` command: what it answers, and what answering costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs import run_thetahat

from children import COMMAND, environment

# The list of commands is what is tested.
from thetahat.cli._parser import COMMANDS, LATER

HEAVY = ("jax", "jaxlib", "numpy", "sqlalchemy", "rich", "jsonargparse", "torch", "pandas")


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["runs", "--help"], ["fit", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    script = (
        "import sys; from thetahat.cli import run; code = run(sys.argv[1:]);"
        f"print('HEAVY', code, sorted(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "HEAVY 0 []"


def test_import_and_help_take_little_processor_time(tmp_path: Path) -> None:
    # Processor time of the child's own modules, the best of three: other programs on the machine
    # must not fail this test. The interpreter itself is started for comparison.
    timed = (
        "import time; a = time.process_time(); import thetahat; from thetahat.cli import run;"
        "run(['--help']); print(time.process_time() - a)"
    )
    taken = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", timed],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        taken.append(float(done.stdout.splitlines()[-1]))
    assert min(taken) < 0.2


def test_help_lists_what_there_is_and_nothing_else(thetahat) -> None:
    code, out, err = thetahat("--help")
    assert (code, err) == (0, "")
    listed = out.partition("commands:\n")[2].partition("\n\n")[0]
    assert [row.split()[0] for row in listed.splitlines()] == list(COMMANDS)
    assert not set(LATER) & set(COMMANDS)
    assert thetahat() == (0, out, "")


def test_version(thetahat) -> None:
    import thetahat as th

    assert thetahat("--version") == (0, f"thetahat {th.__version__}\n", "")


def test_a_hostile_name_is_escaped_where_it_is_printed(thetahat, folder) -> None:
    (folder / "t.csv").write_text("y,a\n" + "1.5,2\n3.5,5\n4.5,9\n" * 10, encoding="utf-8")
    words = ["fit", "t.csv", "--target=y", "--model=linear", "--epochs=2"]
    code, out, err = thetahat(*words, "--name=bad\nname\x1b[31m")
    assert code == 0
    assert "bad\\nname\\x1b[31m finished (all 2 epochs done): " in out
    assert "\x1b" not in out + err
    assert out.startswith("t.csv: y on 1 column, 30 rows (")
    code, out, err = thetahat(*words, "--lr=1e30", "--name=worse\x1b[31m")
    assert code == 1
    assert "thetahat: worse\\x1b[31m diverged: " in err
    assert "\x1b" not in out + err


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()\n" + COMMAND, "--help"],
        cwd=tmp_path, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdin is not None
    child.stdout.close()
    child.stdin.close()
    said = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), said) == (0, "")


def test_the_exit_code_of_a_real_process(tmp_path: Path) -> None:
    code, out, err = run_thetahat(["show", "x"], tmp_path)
    where = tmp_path / ".thetahat" / "store.db"
    said = f"thetahat: there is no store at {where}; a run makes one, or give it with store= (--store)\n"
    assert (code, out, err) == (2, "", said)
