"""Error tree. Every message says what was given, what is allowed, and the fix.

ThetahatError                  exit code 1
├── InputError                 exit code 2: an input is wrong
│   ├── ConfigError            a parameter, a flag, a Task's field
│   │   └── NotConverted       a part of PyTorch without a counterpart in JAX
│   ├── DataError              observations, tables, splits
│   ├── ShapeError             a residual, a loss or a model of the wrong shape
│   ├── CheckpointError        a damaged checkpoint, or one of another fit
│   ├── StoreError             a store that cannot be opened, or is of another version
│   └── MissingExtra           an optional dependency that is not installed
├── RunFailed                  the run failed (disk full, a residual that raised)
└── Interrupted                Ctrl-C; exit code 130
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class ThetahatError(Exception):
    """Root of the errors that thetahat raises."""

    exit_code = 1


class InputError(ThetahatError):
    """An input that is wrong; no result is lost."""

    exit_code = 2


class ConfigError(InputError):
    """A wrong parameter, flag or field of a Task."""


class NotConverted(ConfigError):
    """A part of a Task that PyTorch can train and the JAX engine cannot.

    Args:    reason: what has no counterpart in JAX.   model: the module's class, once known.
    """

    def __init__(self, reason: str, model: str = "") -> None:
        self.reason, self.model = reason, model
        whose = f"the PyTorch module {model} cannot be converted to JAX: " if model else ""
        super().__init__(whose + reason)


class DataError(InputError):
    """Wrong observations, a wrong table or a wrong split."""


class ShapeError(InputError):
    """A value of the wrong shape from a residual, a loss or a model."""


class CheckpointError(InputError):
    """A checkpoint that cannot be read, or that another fit wrote."""


class StoreError(InputError):
    """A store that cannot be opened, written or read."""


class MissingExtra(InputError):
    """An optional dependency that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'thetahat[{extra}]'")


class RunFailed(ThetahatError):
    """A run that failed for another reason than its input."""


class Interrupted(ThetahatError):
    """Ctrl-C; ``results`` holds the work up to the last chunk."""

    exit_code = 130

    def __init__(self, message: str, results: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.results = tuple(results)


class Notice(UserWarning):
    """One line that the user should read once; the program goes on."""


def notify(text: str) -> None:
    """Warn with a Notice at the line of the user's program, in no library and no file of ours."""
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_code.co_filename.startswith((*_not_the_users(), "<")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, Notice, stacklevel=2 if frame is None else level)


def why_failed(error: BaseException) -> str:
    """Say in one line what an exception is, and in which line of the user's program it came up.

    >>> why_failed(KeyError("z"))
    "KeyError: 'z'"
    """
    said = f"{type(error).__name__}: {error}".strip().partition("\n")[0].rstrip(": ")
    others = _not_the_users()
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(others)
    ]
    if not frames or isinstance(error, SystemExit):
        return said
    file, line = frames[-1]
    cell = file.startswith("<") or "ipykernel" in file
    return f"{said} ({'' if cell else f'{os.path.basename(file)}, '}line {line})"


@functools.cache
def _not_the_users() -> tuple[str, ...]:
    """Return where the files of thetahat, of Python and of libraries begin."""
    paths = sysconfig.get_paths()
    ours = os.path.dirname(os.path.dirname(__file__))
    return (ours, paths["stdlib"], paths["purelib"], "<frozen", "<__array_function__")


def check_choice(
    name: str, value: object, known: Iterable[str], error: type[InputError] = ConfigError
) -> None:
    """Refuse a word that is not one of the known ones.

    Raises:  error: with the nearest known word, or all of them.
    >>> check_choice("sampling", "full", ("shuffle", "full"))
    """
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise error(f"{name}={value!r:.80} is unknown{did_you_mean(str(value), known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'lr'?", or the list of known words.

    >>> did_you_mean("epoch", ["epochs", "width"])
    "; did you mean 'epochs'?"
    >>> did_you_mean("acc", ["auc", "accuracy"])
    "; did you mean 'accuracy'?"
    """
    known = [name if len(name) <= 80 else f"{name[:77]}..." for name in known]
    plain = word.replace("-", "_")
    near = [k for k in known if len(plain) > 2 and k.startswith(plain)]
    near = near or get_close_matches(plain, known, n=1, cutoff=0.5)
    if not near:
        near = [k for k in known if plain and (plain.lower() in k.lower() or _initials(word, k))]
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def _initials(word: str, known: str) -> bool:
    """Return whether ``known`` abbreviates ``word`` (learning_rate -> lr)."""
    return "".join(part[0] for part in word.replace("-", "_").split("_") if part) == known
