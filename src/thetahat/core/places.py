"""The place of a store: a file, or the address of a database. Nothing is opened or made here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.files import identity_of

FOLDER = ".thetahat"
FILE = "store.db"
ENVIRONMENT = "THETAHAT_STORE"
ENVIRONMENT_FOLDER = "THETAHAT_FOLDER"
"""The variable that says where this machine has the folder of a store in PostgreSQL."""
_SUFFIXES = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True)
class Server:
    """A store in PostgreSQL: a database, and the folder of checkpoints, logs, models and files."""

    url: str
    """As libpq takes it, with the password if one was given."""
    folder: Path | None = None
    """None: where the store itself says."""

    @property
    def given(self) -> str:
        """What THETAHAT_STORE or ``--store`` takes, with the password and the folder."""
        if self.folder is None:
            return self.url
        from urllib.parse import quote

        mark = "&" if "?" in self.url else "?"
        return f"{self.url}{mark}folder={quote(str(self.folder))}"

    def split_password(self) -> tuple[Server, str | None]:
        """Return the address without the password, and the password.

        >>> place, password = Server("postgresql://ann:a%40b@db/wages?sslmode=require").split_password()
        >>> print(place.given, password)
        postgresql://ann@db/wages?sslmode=require a@b
        """
        from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

        parts = urlsplit(self.url)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        name, at, host = parts.netloc.rpartition("@")
        name, colon, password = name.partition(":")
        found = asked.pop("password", unquote(password) if colon else None)
        query = urlencode(asked, safe="/")
        url = urlunsplit((*parts[:1], f"{name}{at}{host}", parts.path, query, ""))
        return Server(url, self.folder), found

    def __str__(self) -> str:
        """Return the address without the password."""
        from urllib.parse import urlsplit, urlunsplit

        parts = urlsplit(self.url)
        name, at, host = parts.netloc.rpartition("@")
        return urlunsplit((*parts[:1], f"{name.partition(':')[0]}{at}{host}", parts.path, "", ""))


Place = Path | Server
"""Where a store is: a file of SQLite, or a database of PostgreSQL."""


def given_place(place: Place) -> str:
    """Return what THETAHAT_STORE takes for a place."""
    return place.given if isinstance(place, Server) else str(place)


def _server(given: str) -> Server:
    from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise StoreError(f"{given!r} is not an address ({error}); {_AS_SERVER}") from error
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    folder = asked.pop("folder", "") or os.environ.get(ENVIRONMENT_FOLDER, "")
    if not parts.path.strip("/") and "dbname" not in asked:
        where = f"{parts.hostname or ''}{'' if port is None else f':{port}'}"
        raise StoreError(f"the address postgresql://{where} names no database; {_AS_SERVER}")
    url = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(asked), ""))
    return Server(url, Path(os.path.realpath(Path(folder).expanduser())) if folder else None)


_AS_SERVER = "give postgresql://USER@HOST/DATABASE"


def locate(url: str | os.PathLike[str] | Server | None = None) -> Place:
    """Return the place that ``url`` names, else THETAHAT_STORE, else ``.thetahat/`` here.

    Links are followed: processes that reach one store by several paths meet at one.

    Raises:  StoreError: neither a file nor the address of a database.
    """
    if isinstance(url, Server):
        return url
    if url is not None and not isinstance(url, (str, os.PathLike)):
        raise StoreError(f"{url!r} is not a store; give a folder, or a file such as runs.db")
    given = os.fspath(url) if url is not None else os.environ.get(ENVIRONMENT, "")
    if not given:
        return Path(os.path.realpath(Path(FOLDER) / FILE))
    scheme, separator, rest = given.partition("://")
    if separator:
        if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
            return _server(given)
        if scheme != "sqlite" or not rest.startswith("/"):
            raise StoreError(
                f"{given!r} is not a store; give a folder, a file such as runs.db,"
                " sqlite:///runs.db, or postgresql://USER@HOST/DATABASE"
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


def place_identity(place: Place) -> tuple[int, int] | str | None:
    """Return what two names of one store share; None if its file is missing."""
    return str(place) if isinstance(place, Server) else identity_of(place)


MODELS = "models"
"""The folder, beside a store's file, of kept models."""
_MODEL = ".theta"


def opening(sweep: str, path: Place) -> str:
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
