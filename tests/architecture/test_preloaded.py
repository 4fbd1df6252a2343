"""A Python that is forked with JAX loaded does what a Python of its own does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import preloaded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks them")

ABOUT = """# thetahat
import os, sys, warnings
print(__name__, __spec__, sys.argv, sys.path[:2], os.getcwd(), os.environ["GIVEN"], sys.stdin.read())
print(sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stdout.name)
print(os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid(), os.getppid(), sorted(vars())[:4])
print(__import__("signal").getsignal(2), sorted(int(k) for k in os.listdir("/proc/self/fd"))[:3])
print("late", file=sys.stderr)
"""
ENDS = [
    "import sys; sys.exit(3)",
    "import sys; sys.exit('bye')",
    "raise KeyboardInterrupt",
    "def f():\n    raise ValueError(3)\nf()",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "import os; os._exit(7)",
    "import atexit; atexit.register(print, 'at exit')",
    "class A:\n    def __del__(self):\n        print('gone')\na = A()",
    "import sys, os; os.close(1); print('lost')",
    "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('x'))).start()",
    "print('no end'",
]


@pytest.fixture(params=[True, False], ids=["text", "script"])
def words(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Makes the words of a program, as a text or as a script."""

    def make(text: str) -> list[str]:
        if request.param:
            return [sys.executable, "-c", text, "a", "--b=1"]
        (tmp_path / "program.py").write_text(text, encoding="utf-8")
        return [sys.executable, "program.py", "a", "--b=1"]

    return make


def both(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[Any]:
    """What a program leaves that is forked, and that has a Python of its own."""
    found = []
    for serving in (True, False):
        monkeypatch.setattr(preloaded, "serving", serving)
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=240, check=False, **more
        )
        found.append((done.returncode, done.stdout, done.stderr))
    return found


@pytest.mark.parametrize("more", [{}, {"start_new_session": True}, {"process_group": 0}])
def test_a_forked_python_begins_as_any_other(words, more, tmp_path, monkeypatch) -> None:
    env = {**os.environ, "GIVEN": "x"}
    forked, own = both(words(ABOUT), tmp_path, monkeypatch, env=env, input="in\r\nput", **more)
    assert forked == own
    assert own[0] == 0


@pytest.mark.parametrize("text", ENDS)
def test_a_forked_python_ends_as_any_other(text, words, tmp_path, monkeypatch) -> None:
    forked, own = both(words(f"{text}\n# thetahat\n"), tmp_path, monkeypatch)
    assert forked == own


def test_it_is_forked_with_jax_loaded_and_its_programs_are_too(tmp_path) -> None:
    inner = "import sys; print('jax' in globals()['sys'].__dict__['mod' + 'ules']) # thetahat"
    outer = f"{inner}; import subprocess; subprocess.run([sys.executable, '-c', {inner!r}])"
    # The words that look at modules are hidden, since a program that looks has its own Python.
    outer = outer.replace(" # thetahat;", ";") + " # thetahat"
    words = [sys.executable, "-u", "-c", outer]
    assert subprocess.check_output(words, text=True).splitlines() == ["False"] * 2
    assert subprocess.check_output([words[0], *words[2:]], text=True).split() == ["True"] * 2


def test_it_is_a_child_that_is_waited_for_and_signalled(tmp_path) -> None:
    text = "import time; print('up', flush=True); time.sleep(600) # thetahat"
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, 0)
