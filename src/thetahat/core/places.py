"""The path of a store: nothing is opened or made here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from thetahat.core.errors import ConfigError, StoreError

FOLDER = ".thetahat"
FILE = "store.db"
ENVIRONMENT = "THETAHAT_STORE"
_SUFFIXES = (".db", ".sqlite", ".sqlite3")


def locate(url: str | os.PathLike[str] | None = None) -> Path:
    """Return the database file that ``url`` names, else THETAHAT_STORE, else ``.thetahat/`` here.

    Links are followed: processes that reach one store by several paths meet at one.

    Raises:  StoreError: a store of another kind than SQLite.
    """
    if url is not None and not isinstance(url, (str, os.PathLike)):
        raise StoreError(f"{url!r} is not a store; give a folder, or a file such as runs.db")
    given = os.fspath(url) if url is not None else os.environ.get(ENVIRONMENT, "")
    if not given:
        return Path(os.path.realpath(Path(FOLDER) / FILE))
    scheme, separator, rest = given.partition("://")
    if separator:
        if scheme.startswith("postgres"):
            raise StoreError(
                "a store is a SQLite file as yet, not PostgreSQL; give a folder, a file such as"
                " runs.db, or sqlite:///runs.db"
            )
        if scheme != "sqlite" or not rest.startswith("/"):
            raise StoreError(
                f"{given!r} is not a store; give a folder, a file such as runs.db, or"
                " sqlite:///runs.db"
            )
        given = rest[1:]
    try:
        path = Path(given).expanduser().absolute()
        file = path if path.suffix in _SUFFIXES and not path.is_dir() else path / FILE
        file.exists()  # a name that is too long raises here
        return Path(os.path.realpath(file))
    except (OSError, ValueError, RuntimeError) as error:
        shown = given if len(given) <= 80 else f"{given[:80]}..."
        why = getattr(error, "strerror", None) or error
        raise StoreError(
            f"the store {shown!r} cannot be opened ({why}); give a folder, a file such as runs.db,"
            " or sqlite:///runs.db"
        ) from error


MODELS = "models"
"""The folder, beside a store's file, of kept models."""
_MODEL = ".theta"


def opening(sweep: str, path: Path) -> str:
    """Write the call that opens a sweep of the store at ``path``."""
    store = "" if path == locate() else f", store={str(path)!r}"
    return f"th.open_sweep({sweep!r}{store})"


def model_path(folder: Path, run: str) -> Path:
    """Return where the model of a run lies, if it was kept.

    Args:    folder: of the store.   run: its id.
    """
    return folder / MODELS / f"{run}{_MODEL}"


def kept_models(folder: Path) -> dict[str, Path]:
    """Map ids of runs to their models, in the folder of a store."""
    return {path.stem: path for path in (folder / MODELS).glob(f"*{_MODEL}")}


WANDB = "THETAHAT_WANDB"
"""The variable that chooses who answers ``import wandb``: ``local`` (thetahat) or ``real``."""


def wandb_commands(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the PATH with which a script's command ``wandb`` is answered by thetahat.

    Empty if the user wants the real package, by THETAHAT_WANDB=real.
    """
    if environment.get(WANDB, "local") == "real":
        return {}
    here = str(Path(__file__).parent.parent / "wandb" / "path" / "bin")
    path = os.pathsep.join([here, environment.get("PATH", os.defpath)])
    return {"PATH": path, "THETAHAT_PYTHON": sys.executable}


def wandb_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the PYTHONPATH with which a program's ``import wandb`` is answered by thetahat.

    Empty if the user wants the real package, by THETAHAT_WANDB=real.

    Raises:  ConfigError: another value of THETAHAT_WANDB.
    """
    chosen = environment.get(WANDB, "local")
    if chosen not in ("local", "real"):
        raise ConfigError(f"{WANDB}={chosen!r} is not a choice; give local or real")
    if chosen == "real":
        return {}
    here = str(Path(__file__).parent.parent / "wandb" / "path")
    others = environment.get("PYTHONPATH", "").split(os.pathsep)
    return {"PYTHONPATH": os.pathsep.join([here, *(one for one in others if one and one != here)])}
