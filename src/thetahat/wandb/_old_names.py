"""Small names of ``wandb`` and its submodules, also those that newer versions refuse."""

from __future__ import annotations

import secrets
import string
import sys
from typing import Any

from thetahat.wandb._errors import CommError as CommError
from thetahat.wandb._run import Run as Run, current, warn
from thetahat.wandb._values import load, plain

RunDisabled = Run
WANDB_MODES = ("online", "offline", "disabled")


class Settings:
    """Settings by name; those of the connection and the process have no effect here."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

    def update(self, *mappings: Any, **given: Any) -> None:
        """Take values."""
        for one in (*mappings, given):
            self.__dict__.update(one)


def generate_id(length: int = 8) -> str:
    """Return a random id of letters and digits."""
    letters = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(letters) for _ in range(length))


def login(*_: Any, **__: Any) -> bool:
    """Log in: there are no accounts here, so it succeeds."""
    return True


def setup(*_: Any, **__: Any) -> Any:
    """Prepare: nothing is needed."""
    return sys.modules["wandb"]


def teardown(exit_code: int | None = None) -> None:
    """End all runs of this process."""
    while current:
        current[-1].finish(exit_code)


def require(*_: Any, **__: Any) -> None:
    """Require a feature: nothing is needed."""


def ensure_configured() -> None:
    """Read the settings: there are none."""


def termlog(text: str = "", *_: Any, **__: Any) -> None:
    """Print a line on standard error."""
    warn(text)


def termwarn(text: str = "", *_: Any, **__: Any) -> None:
    """Print a warning on standard error."""
    warn(f"WARNING {text}")


def termerror(text: str = "", *_: Any, **__: Any) -> None:
    """Print an error on standard error."""
    warn(f"ERROR {text}")


def restore(name: str, run_path: str | None = None, replace: bool = False, root: Any = None) -> Any:
    """Open a file that a run has saved; None if there is none."""
    return load("_api").restored(name, run_path, root)


def json_friendly(value: Any) -> tuple[Any, bool]:
    """Return a value as JSON types, and whether it changed."""
    made = plain(value)
    return made, made is not value


def to_json(value: Any) -> Any:
    """Return a value as JSON types."""
    return json_friendly(value)[0]


def get_module(name: str, required: str | bool | None = None) -> Any:
    """Import a module; None, or an error with the text ``required``, if there is none."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        if required:
            raise CommError(str(required)) from error
        return None
