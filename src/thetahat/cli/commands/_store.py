"""``thetahat store copy``: a whole copy of a store, also while programs write to it."""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from thetahat.cli._parser import add_store
from thetahat.cli.terminal._output import many_runs, say
from thetahat.core.errors import ConfigError, StoreError
from thetahat.core.places import Server

DESCRIPTION = (
    "Copy a store into a new file, or into an empty database of PostgreSQL, and back, at any time."
    " A copy of store.db by hand lacks what lies in store.db-wal beside it."
)
EXAMPLES = """\
examples:
  thetahat store copy backup.db           then: thetahat runs --store backup.db
  thetahat store copy .thetahat postgresql://ann@db.org/wages
  thetahat store copy postgresql://ann@db.org/wages wages.db
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``store``."""
    parser.add_argument("what", metavar="copy", choices=("copy",), help="the only action")
    parser.add_argument(
        "places",
        metavar="[FROM] TO",
        nargs="+",
        help="the store (default: that of --store), and the new file, such as backup.db, or the"
        " postgresql:// address of an empty database",
    )
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Copy the store."""
    from thetahat.store import locate, open_store

    if len(args.places) > 2:
        raise ConfigError("thetahat store copy takes [FROM] TO; got " + " ".join(args.places))
    if len(args.places) == 2 and args.store is not None:
        raise ConfigError("give the store either before the new one, or with --store")
    given, to = args.places[0] if len(args.places) == 2 else args.store, args.places[-1]
    place = locate(to)
    with open_store(given, create=False) as store:
        if isinstance(place, Server) or isinstance(store.path, Server):
            _copy_rows(store, to, place)
        else:
            _copy_file(store, store.path, to, place)
    return 0


def _copy_rows(store: Any, to: str, place: Any) -> None:
    """Copy a store from or to PostgreSQL."""
    from thetahat.store import copy_store, open_store

    if not isinstance(place, Server) and os.path.lexists(place):
        raise StoreError(f"{place} is there already; give the name of a new file")
    with open_store(to) as target:
        n = copy_store(store, target)
        say(f"{target.path}: {many_runs(n)}; checkpoints, logs, models and files: {target.folder}")


def _copy_file(store: Any, path: Path, to: str, place: Path) -> None:
    """Copy the file of a store into a new one."""
    file = Path(to)
    if os.path.lexists(file):
        raise StoreError(f"{file} is there already; give the name of a new file")
    if place != Path(os.path.realpath(file)):
        raise StoreError(f"{file} would not be read as a store; give a name such as {file}.db")
    try:
        # A snapshot: what is written meanwhile is not in it.
        with closing(sqlite3.connect(path)) as database:
            database.execute("VACUUM INTO ?", [os.fspath(file)])
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be written ({error}); give another place") from error
    _copy_files(store.folder, file.absolute().parent)
    say(f"{file}: {many_runs(len(store.runs()))}; checkpoints and logs stay beside {path}")


def _copy_files(folder: Path, to: Path) -> None:
    """Copy the files that runs have logged beside the new store; they lie under their digests.

    Raises:  StoreError: they cannot be written.
    """
    from thetahat.store import FILES

    if not (folder / FILES).is_dir() or folder.resolve() == to.resolve():
        return
    try:
        shutil.copytree(folder / FILES, to / FILES, dirs_exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the files of runs cannot be copied to {to / FILES} ({error}); free some space, and"
            " remove the new file before you try again"
        ) from error
