"""Why a program ended, in one line: its exit code or signal, and the last of its stderr."""

from __future__ import annotations

import re
import signal

LONGEST = 300
_TRACEBACK = "Traceback (most recent call last):"
_FATAL = ("Fatal Python error:", "terminate called", "panic:")
_ABORTS = re.compile(r"Fatal Python error:|terminate called|F\d{4} \d\d:")
"""How lines begin that Python, C++ and XLA write when they abort a process."""
_CHATTER = re.compile(r"wandb:|Set the environment variable HYDRA_FULL_ERROR")
_WINDOWS_CODES = {
    0xC0000005: "access violation",
    0xC00000FD: "stack overflow",
    0xC000013A: "Ctrl-C",
    0xC0000409: "stack buffer overrun",
}


def exit_reason(code: int, stderr: str = "") -> str:
    """The reason of a run whose program ended with ``code`` (negative for a signal).

    >>> exit_reason(3, "ValueError: no data")
    'exit code 3: ValueError: no data'
    >>> exit_reason(-11)
    'killed by SIGSEGV'
    """
    if code < 0:
        what = f"killed by {signal_name(-code)}"
        if signal_name(-code) == "SIGKILL":
            what += " (by the system, if memory ran out)"
    else:
        what = f"exit code {code}"
        inner = _WINDOWS_CODES.get(code) or (signal_name(code - 128) if 128 < code < 255 else "")
        # A shell says in this way that what it ran was killed.
        what += f" ({inner})" if inner and not inner.startswith("signal") else ""
    last = last_words(stderr)
    return f"{what}: {last}" if last else what


def worker_reason(code: int, log: str = "") -> str:
    """Why a worker ended, in one line: from its process, not from what happens to stand in its log.

    Args:    log: what it wrote. All its runs write there, so only the last words of a process
             that aborts are taken from it.

    >>> worker_reason(-9)
    'the worker was killed by signal 9 (SIGKILL): by a person, or by a system short of memory'
    >>> worker_reason(3, "epoch 4: 0.25")
    'the worker ended with exit code 3'
    """
    if code >= 0:
        inner = _WINDOWS_CODES.get(code)
        return f"the worker ended with exit code {code}" + (f" ({inner})" if inner else "")
    name = signal_name(-code)
    what = f"the worker was killed by signal {-code}" + ("" if " " in name else f" ({name})")
    if name == "SIGKILL":
        return f"{what}: by a person, or by a system short of memory"
    fatal = [line.strip() for line in log.splitlines() if _ABORTS.match(line)]
    return f"{what}: {_short(fatal[-1])}" if fatal else what


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; ``signal 99`` where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(stderr: str) -> str:
    """The line of a stderr that says most: the exception of its last traceback, else its last.

    >>> last_words("Traceback (most recent call last):\\n  File ...\\nKeyError: 'x'\\nbye")
    "KeyError: 'x'"
    """
    lines = [line.rpartition("\r")[2].rstrip() for line in stderr.replace("\r\n", "\n").split("\n")]
    starts = [k for k, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    if starts:
        indent = lines[starts[-1]].removesuffix(_TRACEBACK)
        for line in lines[starts[-1] + 1 :]:
            rest = line.removeprefix(indent)
            if rest and not rest[0].isspace() and not rest.startswith(("|", "+")):
                return _short(rest)
    fatal = [line for line in lines if line.startswith(_FATAL)]
    said = fatal[-1:] or [line for line in lines if line.strip() and not _CHATTER.match(line)]
    return _short(said[-1].strip()) if said else ""


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."
