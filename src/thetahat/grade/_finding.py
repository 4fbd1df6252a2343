"""What grading returns: findings with their lines, notes, and what could not be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A silent error that a program has.

    Args:
        error: its number, a key of ``ERRORS``.
        line: the line of the program, from 1.
        shows: what was observed, with its numbers.
    """

    error: int
    line: int
    shows: str


@dataclass(frozen=True)
class Grade:
    """What is known of one program.

    Args:
        file: as it was given.
        findings: errors, in the order of the catalogue.
        notes: numbers that are wrong in another way than the catalogue's.
        unchecked: number of an error to the reason why it could not be looked for.
        texts: the lines of the findings, as the program has them.
    """

    file: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    unchecked: Mapping[int, str] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Write it as JSON types."""
        return {
            "file": self.file,
            "findings": [vars(one) for one in self.findings],
            "notes": list(self.notes),
            "unchecked": {str(error): why for error, why in self.unchecked.items()},
            "texts": {str(line): text for line, text in self.texts.items()},
        }


def grade_of_json(said: Mapping[str, Any]) -> Grade:
    """Read what ``as_json`` wrote."""
    return Grade(
        said["file"],
        tuple(Finding(**one) for one in said["findings"]),
        tuple(said["notes"]),
        {int(error): why for error, why in said["unchecked"].items()},
        {int(line): text for line, text in said["texts"].items()},
    )
