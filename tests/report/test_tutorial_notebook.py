"""The tutorial notebook runs from its first cell to its last, in a real kernel, and shows what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

import thetahat

STANDARD_PROGRAMS = True

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebooks" / "tutorial.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
book = nbformat.read(sys.argv[1], 4)
slow = {"timeout": 400, "startup_timeout": 400}
nbclient.NotebookClient(book, kernel_name="python3", **slow).execute()
nbformat.write(book, sys.argv[2])
"""
COMMAND = """#!{python}
import sys
from thetahat.cli import run
sys.exit(run())
"""


def test_it_is_kept_without_outputs() -> None:
    book = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    assert "/" not in book.metadata.kernelspec.get("display_name", "")
    assert sum(cell.cell_type == "code" for cell in book.cells) < 20


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The notebook with its outputs, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("tutorial")
    command = folder / "bin" / "thetahat"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable), encoding="utf-8")
    command.chmod(0o755)
    source = str(Path(thetahat.__file__).parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": path,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    environment.pop("THETAHAT_STORE", None)
    out = folder / "out.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), str(out)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(out, 4), folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_cell_runs_and_shows_something(ran: tuple[Any, Path]) -> None:
    book, folder = ran
    kinds: list[str] = []
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            kinds += list(output.get("data", {}))
            assert "Warning" not in output.get("text", "")
    assert kinds.count("image/png") == 4 and kinds.count("text/html") == 4
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h1>bump</h1>" in report and "16 runs of a random search over" in report


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_lesson_holds(ran: tuple[Any, Path]) -> None:
    said = "".join(o.get("text", "") for cell in ran[0].cells for o in cell.get("outputs", ()))
    chosen = float(re.search(r"the part that chose it +([\d.]+)", said).group(1))  # pyright: ignore
    fresh = float(re.search(r"fresh seeds, unseen data +([\d.]+)", said).group(1))  # pyright: ignore
    assert 0.05 < chosen < fresh < 0.2
