"""``--ui``: the page beside an agent, in a process of its own that ends with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from children import until
from thetahat.cli import run
from thetahat.core.errors import ConfigError
from thetahat.store import open_store
from thetahat.web import page_beside

PROGRAM = """\
import json, pathlib, sys, time
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
while not pathlib.Path("go").exists():
    time.sleep(0.02)
print(json.dumps({"loss": float(given["lr"])}))
"""
SWEEP = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {values: [1, 2]}
"""
COMMAND = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"
WORDS = [sys.executable, "-c", COMMAND, "sweep", "sweep.yaml", "--run", "--ui"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep whose runs wait for a file."""
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    return tmp_path


def read(url: str) -> Any:
    root, _, token = url.partition("?token=")
    asked = urllib.request.Request(f"{root.rstrip('/')}/api/home")
    asked.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(asked, timeout=240) as answer:
        return json.loads(answer.read())


def gone(url: str) -> bool:
    """Whether the server stops answering within seconds."""
    for _ in range(2000):
        try:
            read(url)
        except OSError:
            return True
        time.sleep(0.1)
    return False


def address(stream: Any) -> str:
    """The page's address, from the lines of a command."""
    for line in stream:
        found = re.search(r"the page is at (http://\S+)", line)
        if found:
            return found.group(1)
    raise AssertionError("it never said where the page is")


def test_the_page_is_there_while_the_agent_works_and_ends_with_it(folder) -> None:
    with subprocess.Popen(WORDS, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as work:
        url = address(work.stderr)
        assert read(url)["sweeps"][0]["state"] == "running"
        (folder / "go").touch()
        assert work.wait() == 0
        assert gone(url)


def test_a_killed_agent_takes_the_page_with_it(folder) -> None:
    with subprocess.Popen(WORDS, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as work:
        url = address(work.stderr)
        read(url)
        work.kill()
        work.wait()
        (folder / "go").touch()
        assert gone(url)


def test_at_a_terminal_the_page_opens_and_stays_until_ctrl_c(folder, monkeypatch) -> None:
    import pty

    (folder / "browser").write_text(f'#!/bin/sh\necho "$1" > "{folder}/opened"\n')
    (folder / "browser").chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{folder}/browser %s")
    (folder / "go").touch()
    ours, theirs = pty.openpty()
    work = subprocess.Popen(WORDS, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    said = ""
    # Where the line breaks, depends on how long the address is.
    line = re.compile(r"the\s+page\s+stays\s+at\s+(http://\S+)\s+until\s+Ctrl-C")
    while (found := line.search(said)) is None:
        said += os.read(ours, 4096).decode()
    assert read(found.group(1))["sweeps"][0]["state"] == "finished"
    # The browser starts beside the runs, and may come after their end.
    opened = until(lambda: (folder / "opened").exists() and (folder / "opened").read_text().strip())
    # Other users can read a browser's command line: what is in it is valid once.
    assert opened.partition("?token=")[0] == found.group(1).partition("?token=")[0]
    assert opened != found.group(1)
    work.send_signal(signal.SIGINT)
    assert work.wait() == 0
    os.close(ours)
    assert gone(found.group(1))


def test_ui_without_run_says_what_is_missing(folder, capsys) -> None:
    assert run(["sweep", "sweep.yaml", "--ui"]) == 2
    said = "--ui shows the page while a sweep runs; give --run too"
    assert said in capsys.readouterr().err


def test_a_page_that_cannot_start_says_why(folder, monkeypatch) -> None:
    open_store(folder / "s").close()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (folder / "thetahat").mkdir()
    (folder / "thetahat" / "__init__.py").write_text("import sys; print('no luck'); sys.exit(3)")
    with pytest.raises(ConfigError, match="no luck"), page_beside(folder / "s"):
        pass
