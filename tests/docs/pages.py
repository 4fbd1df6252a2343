"""Runs what stands in Markdown: blocks of Python, and commands of a console, in order.

A block whose language is "text output" is what the block of Python before it prints. In a console
block, the lines after ``$ command`` are what a terminal of 80 cells shows. Numbers may differ a
little, seconds and the ids of sweeps wholly. A block of "yaml NAME" or "python NAME" is a
file of that name; the Python also runs.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thetahat.cli import run as thetahat

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?(?![\w])")
_SECONDS = re.compile(r"\b[\d.]+ (?:s|min|h)\b(?: [\d.]+ (?:s|min))?")
_RULE = re.compile("─+")
_ID = re.compile(r"\b(sweep|agent|runs) [a-z][a-z0-9]{7}\b")
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TRAIN_LONG = ("README", "cli", "small-tables")
"""Pages whose fits take longer than to compile their programs."""
CLOSE = 0.05
"""Relative difference that numbers on another machine may show."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the line it starts in."""

    language: str
    text: str
    line: int
    expected: str | None = None
    """What a block of Python prints, where the page says so."""
    file: str | None = None
    """The file that a block of YAML is."""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that can run, each with the output that follows it."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        info = match["info"].split()
        if info[1:] == ["output"]:
            before = found.pop()
            found.append(Block(before.language, before.text, before.line, match["text"]))
        else:
            file = info[1] if info[:1] in (["yaml"], ["python"]) and len(info) == 2 else None
            found.append(Block(info[0] if info else "text", match["text"], line, file=file))
    return [block for block in found if block.language in ("python", "console") or block.file]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block and what it shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


class Terminal(io.StringIO):
    """Standard output as a terminal has it."""

    encoding = "utf-8"  # pyright: ignore[reportAssignmentType]

    def isatty(self) -> bool:
        """Yes."""
        return True


def run_python(block: Block, namespace: dict[str, Any], page: Path) -> str:
    """What a block of Python prints; it sees what the page's earlier blocks defined."""
    code = "\n" * block.line + block.text
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(page), "exec", dont_inherit=True), namespace)
    return out.getvalue()


def run_command(command: str) -> str:
    """What a command shows on a terminal: ``thetahat ...`` or ``python SCRIPT ...``."""
    program, *words = shlex.split(command)
    out, errors = Terminal(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        if program == "thetahat":
            thetahat(words)
        elif program == "python":
            _script(words)
        else:
            raise ValueError(f"no way to run {command!r}")
    return out.getvalue() + errors.getvalue()


def _script(words: list[str]) -> None:
    before = sys.argv
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
    finally:
        sys.argv = before


def run_page(page: Path) -> list[str]:
    """Run every block of a page in this folder; return where it shows something else first."""
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.file is not None:
            Path(block.file).write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            continue
        if block.language == "python":
            came = run_python(block, namespace, page)
            if block.expected is not None and (found := differences(block.expected, came)):
                return [where, *found]
            continue
        for command, shown in commands(block):
            if found := differences(shown, run_command(command)):
                return [f"{where}: {command}", *found]
    return []


def differences(expected: str, came: str) -> list[str]:
    """Lines that differ in more than rounding, seconds and the width of columns."""
    wanted, got = _lines(expected), _lines(came)
    if len(wanted) != len(got):
        return [f"{len(wanted)} lines expected, {len(got)} came:\n{came}"]
    return [
        f"expected {one!r}\n     got {other!r}"
        for one, other in zip(wanted, got, strict=True)
        if not _alike(one, other)
    ]


def _lines(text: str) -> list[str]:
    text = _ID.sub(r"\1 ID", _RULE.sub("─", _SECONDS.sub("some time", text)))
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def _alike(one: str, other: str) -> bool:
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(_near(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(abs(a), abs(b))
