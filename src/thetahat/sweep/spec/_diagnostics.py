"""What is wrong in a sweep file, or worth a word: where it stands and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thetahat.core.yaml_tree import At


@dataclass(frozen=True, order=True)
class Problem:
    """A mistake or a note: its line, counted from 1, its key (``parameters.lr.min``), the words."""

    line: int
    key: str
    message: str

    def said(self, file: str, word: str = "") -> str:
        """One line, as compilers write it.

        >>> Problem(12, "parameters.lr.min", "it is text").said("a.yaml")
        'a.yaml:12: parameters.lr.min: it is text'
        """
        key = f"{self.key}: " if self.key else ""
        return f"{file}:{self.line}: {word}{key}{self.message}"


@dataclass
class Findings:
    """Mistakes and notes while a file is read, by whose rules they are.

    Under ``strict`` the verdict is W&B's own: what only we refuse becomes a note, and what only
    W&B refuses becomes a mistake.
    """

    strict: bool = False
    errors: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Keys with a mistake by our own rules: a file with any cannot be run."""

    def both(self, at: At, message: str, key: str | None = None) -> None:
        """A mistake by W&B's rules and ours."""
        self._refuse(at, key)
        self.errors.append(_problem(at, message, key))

    def ours(self, at: At, message: str, key: str | None = None) -> None:
        """A mistake here that W&B does not find in the file."""
        self._refuse(at, key)
        if self.strict:
            self.note(at, f"W&B accepts this, but it cannot run: {message}", key)
        else:
            self.errors.append(_problem(at, message, key))

    def theirs(self, at: At, message: str, key: str | None = None) -> None:
        """What W&B refuses and we read; ``message`` says it for both."""
        (self.errors if self.strict else self.notes).append(_problem(at, message, key))

    def _refuse(self, at: At, key: str | None) -> None:
        self.wrong.append(at.key if key is None else key)

    def note(self, at: At, message: str, key: str | None = None) -> None:
        """Nothing wrong, but worth a word."""
        self.notes.append(_problem(at, message, key))


def by_line(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In the order of the file, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: problem.line))


def _problem(at: At, message: str, key: str | None) -> Problem:
    return Problem(at.line, at.key if key is None else key, message)
