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
from thetahat.core.errors import StoreError

DESCRIPTION = (
    "Copy the store into one new file, at any time. A copy of store.db by hand lacks what lies in"
    " store.db-wal beside it."
)
EXAMPLES = """\
examples:
  thetahat store copy backup.db           then: thetahat runs --store backup.db
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``store``."""
    parser.add_argument("what", metavar="copy", choices=("copy",), help="the only action")
    parser.add_argument("file", metavar="FILE", help="the new file, such as backup.db")
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    """Copy the store."""
    from thetahat.store import locate, open_store

    path = Path(args.file)
    with open_store(args.store, create=False) as store:
        if os.path.lexists(path):
            raise StoreError(f"{path} is there already; give the name of a new file")
        if locate(args.file) != Path(os.path.realpath(path)):
            raise StoreError(f"{path} would not be read as a store; give a name such as {path}.db")
        try:
            # A snapshot: what is written meanwhile is not in it.
            with closing(sqlite3.connect(store.path)) as database:
                database.execute("VACUUM INTO ?", [os.fspath(path)])
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be written ({error}); give another place") from error
        _copy_files(store.folder, path.absolute().parent)
        n = len(store.runs())
    say(f"{path}: {many_runs(n)}; checkpoints and logs stay beside {store.path}")
    return 0


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
