"""Ctrl-Z and ``fg``, in a terminal whose shell is a small one of our own."""

from __future__ import annotations

import pytest
from programs import LINE
from terminals import Terminal

SHELL = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, *sys.argv[1:]], process_group=0)
while True:
    os.tcsetpgrp(0, child.pid)
    os.killpg(child.pid, signal.SIGCONT)
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    print("[1]+ Stopped", flush=True)
    while (word := input("$ ")) != "fg":
        os.killpg(child.pid, signal.SIGCONT)  # bg
"""
"""Runs one job: says when it has stopped, and goes on with it at the words bg and fg."""
PATIENT = "from thetahat.cli.terminal import _live; _live._OBEYED_S = 240.0\n"
"""The display waits for the main thread, which on a busy machine may compute for seconds."""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_z_gives_the_terminal_back_and_fg_goes_on(folder, times) -> None:
    (folder / "line.py").write_text(PATIENT + LINE)
    words = ["-c", SHELL, "line.py", "--epochs=2_000_000", "--N=4000", "--batch_size=4"]
    with Terminal(words, folder, 80) as terminal:
        for k in range(1, times + 1):
            terminal.wait_for(lambda: "val " in terminal.text())
            assert not terminal.cursor_shown
            terminal.press("\x1a")
            terminal.wait_for(lambda k=k: terminal.text().count("[1]+ Stopped") == k)
            terminal.wait_for(lambda: terminal.lines()[-1] == "$")
            assert terminal.cursor_shown
            assert "val " not in terminal.text()
            terminal.read(0.6)  # a line that was still drawn would be here by now
            assert terminal.lines()[-1] == "$"
            terminal.press("fg\n")
        terminal.wait_for(lambda: "val " in terminal.text())
        assert not terminal.cursor_shown
        # Nothing of what the shell has said was drawn over.
        said = [line for line in terminal.lines() if line.startswith(("[1]+", "$"))]
        assert said == ["[1]+ Stopped", "$ fg"] * times
        terminal.interrupt()
        assert terminal.end() == 130
        assert terminal.cursor_shown
        assert "epoch " not in terminal.text().partition("interrupted")[0].replace("^C", "")


def test_in_the_background_nothing_is_drawn(folder) -> None:
    (folder / "line.py").write_text(PATIENT + LINE)
    words = ["-c", SHELL, "line.py", "--epochs=2_000_000", "--N=4000", "--batch_size=4"]
    with Terminal(words, folder, 80) as terminal:
        terminal.wait_for(lambda: "val " in terminal.text())
        terminal.press("\x1a")
        terminal.wait_for(lambda: terminal.lines()[-1] == "$")
        terminal.press("bg\n")
        terminal.wait_for(lambda: terminal.lines()[-2:] == ["$ bg", "$"])
        terminal.read(0.8)
        assert terminal.cursor_shown
        assert terminal.lines()[-2:] == ["$ bg", "$"]
        terminal.press("fg\n")
        terminal.wait_for(lambda: "val " in terminal.text())
        assert not terminal.cursor_shown
        terminal.interrupt()
        assert terminal.end() == 130
        assert terminal.cursor_shown
