"""Mistakes and notes of a sweep file: the line, the key, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetahat.core.yaml_tree import YamlNode


@dataclass(frozen=True, order=True)
class Problem:
    """A mistake or a note: its line, counted from 1, its key (``parameters.lr.min``), a message."""

    line: int
    key: str
    message: str

    def in_file(self, file: str, word: str = "") -> str:
        """Write one line, as compilers do.

        >>> Problem(12, "parameters.lr.min", "it is text").in_file("a.yaml")
        'a.yaml:12: parameters.lr.min: it is text'
        """
        key = f"{self.key}: " if self.key else ""
        return f"{file}:{self.line}: {word}{key}{self.message}"


@dataclass
class Findings:
    """Mistakes and notes while a file is checked, by our rules and by W&B's.

    Under ``strict`` the verdict is W&B's own: a mistake by our rules alone becomes a note, and a
    mistake by W&B's rules alone becomes an error.
    """

    strict: bool = False
    errors: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Keys with a mistake by our own rules: a file with any cannot run."""

    def both(self, node: YamlNode, message: str, key: str | None = None) -> None:
        """Add a mistake by W&B's rules and ours."""
        self.wrong.append(node.key if key is None else key)
        self.errors.append(_problem(node, message, key))

    def ours(self, node: YamlNode, message: str, key: str | None = None) -> None:
        """Add a mistake that W&B does not find in the file."""
        if not self.strict:
            self.both(node, message, key)
            return
        self.wrong.append(node.key if key is None else key)
        self.note(node, f"W&B accepts this, but it cannot run: {message}", key)

    def theirs(self, node: YamlNode, message: str, key: str | None = None) -> None:
        """Add a value that W&B refuses and we accept; ``message`` serves for both."""
        (self.errors if self.strict else self.notes).append(_problem(node, message, key))

    def note(self, node: YamlNode, message: str, key: str | None = None) -> None:
        """Add a note on a value that is right, and may still surprise."""
        self.notes.append(_problem(node, message, key))

    def sound(self, node: YamlNode) -> bool:
        """Check that a value, and everything in it, has no mistake by our rules."""
        return not any(f"{key}.".startswith(f"{node.key}.") for key in self.wrong)


def by_line(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort problems by their lines, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))


def _problem(node: YamlNode, message: str, key: str | None) -> Problem:
    return Problem(node.line, node.key if key is None else key, message)
