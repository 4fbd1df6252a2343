"""The error tree. Every message says what came, what is needed, and how to fix it.

ThetahatError                  exit code 1
├── InputError                 exit code 2: something the user gave was wrong
│   ├── ConfigError            a parameter, a flag, a Task's field
│   ├── DataError              observations, tables, splits
│   ├── ShapeError             a residual, a loss or a model of the wrong shape
│   ├── CheckpointError        a checkpoint that is damaged, or belongs to another fit
│   ├── StoreError             a store that cannot be opened, or is of another version
│   └── MissingExtra           an optional dependency that is not installed
├── RunFailed                  the run itself broke (disk full, a residual that raised)
└── Interrupted                Ctrl-C; exit code 130
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class ThetahatError(Exception):
    """Root of every error that thetahat raises on purpose."""

    exit_code = 1


class InputError(ThetahatError):
    """Something the user gave was wrong; nothing has been lost."""

    exit_code = 2


class ConfigError(InputError):
    """A parameter, a flag or a field of a Task is wrong."""


class DataError(InputError):
    """Observations, a table or a split are wrong."""


class ShapeError(InputError):
    """A residual, a loss or a model returned something of the wrong shape."""


class CheckpointError(InputError):
    """A checkpoint cannot be read, or belongs to another fit."""


class StoreError(InputError):
    """A store cannot be opened, written or understood."""


class MissingExtra(InputError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'thetahat[{extra}]'")


class RunFailed(ThetahatError):
    """A run broke for a reason that is not the user's input."""


class Interrupted(ThetahatError):
    """Ctrl-C arrived; what was done up to the last chunk stands in ``results``."""

    exit_code = 130

    def __init__(self, message: str, results: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.results = tuple(results)


class Notice(UserWarning):
    """One line the user should read once; nothing is wrong."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A trailing «; did you mean 'lr'?», or the list of what is known.

    >>> did_you_mean("epoch", ["epochs", "width"])
    "; did you mean 'epochs'?"
    """
    known = list(known)
    near = get_close_matches(word.replace("-", "_"), known, n=1, cutoff=0.5)
    if not near:
        near = [
            k for k in known if word.replace("-", "_").lower() in k.lower() or _initials(word, k)
        ]
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def _initials(word: str, known: str) -> bool:
    """Whether ``known`` abbreviates ``word`` (learning_rate -> lr)."""
    return "".join(part[0] for part in word.replace("-", "_").split("_") if part) == known
