"""Check the English of the project: words and phrases that the glossary replaces.

Run as ``python tools/words.py [FILE ...]``; without files, all that git knows. Prints every place
as ``file:line: what was found; write what instead`` and exits with 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

INSTEAD = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bwhoever\b": "name the person or part",
    r"\bnobody\b": "name who does not",
    r"\bcrews?\b": "pool",
    r"\bseats?\b": "slot",
    r"\bnurser(y|ies)\b": "fork server",
    r"\bgraves?\b": "name the thing",
    r"\bstaff\b": "workers",
    r"\bhas no use for\b": "unexpected ...",
    r"\bhave no use for\b": "unexpected ...",
    r"\bto blame\b": "name the cause",
    r"\bguilt(y)?\b": "name the cause",
    r"\bis born\b|\bare born\b|\bborn\b": "started",
    r"\bby hand\b of\b": "name the part",
    r"^(Has|Have|Had|Should|Were) (one|it|they|there|nothing) \b": "begin with if or when",
    r"\bshould (it|one|something|they|nothing)\b.*,": "begin with if or when",
}
"""Pattern (any case) to what to write."""
SUFFIXES = {".py", ".md", ".js", ".html", ".css", ".toml", ".yaml", ""}
SKIPPED = (
    "benchmarks/results/",
    "changelog.d/",
    "CHANGELOG.md",
    "NOTICE",
    "LICENSE",
    "tools/words.py",
)
PATTERN = re.compile(
    "|".join(f"(?P<w{i}>{pattern})" for i, pattern in enumerate(INSTEAD)), re.IGNORECASE
)


def found(text: str) -> list[tuple[int, str, str]]:
    """Lines of ``text`` that hold such a word: number, what was found, what to write.

    >>> found("A crew of four.")
    [(1, 'crew', 'pool')]
    """
    places = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in PATTERN.finditer(line):
            instead = list(INSTEAD.values())[int((match.lastgroup or "w0")[1:])]
            places.append((number, match[0], instead))
    return places


def files() -> list[str]:
    """Files of the project that are written by people."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    return [
        name
        for name in listed.splitlines()
        if not name.startswith(SKIPPED) and "/vendor/" not in name and Path(name).suffix in SUFFIXES
    ]


def main() -> int:
    """Print every place; 1 if there is any."""
    places = [
        f"{name}:{number}: {word!r}; write: {instead}"
        for name in (sys.argv[1:] or files())
        if Path(name).is_file()
        for number, word, instead in found(Path(name).read_text(encoding="utf-8"))
    ]
    print("\n".join(places), end="\n" if places else "")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main())
