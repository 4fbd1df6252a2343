"""A file of a run, as ``wandb.Api`` gives it: its facts, and a copy of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from thetahat.store import FileRow


class File:
    """A file that a run has kept."""

    def __init__(self, row: FileRow) -> None:
        self._row = row
        self.name, self.size, self.mimetype = row.name, row.bytes, row.media
        self.id, self.digest = row.digest, row.digest
        self.url = self.direct_url = row.path.as_uri()

    @property
    def md5(self) -> str:
        """The MD5 of its bytes, in base 64, as W&B has it."""
        import base64
        import hashlib

        made = hashlib.md5(self._row.path.read_bytes(), usedforsecurity=False)
        return base64.b64encode(made.digest()).decode()

    def download(
        self, root: Any = ".", replace: bool = False, exist_ok: bool = False, api: Any = None
    ) -> Any:
        """Copy it below ``root``, and open the copy.

        Raises:  ValueError: there is such a file; give ``replace=True`` or ``exist_ok=True``.
        """
        to = Path(root, self.name)
        if ".." in Path(self.name).parts or Path(self.name).is_absolute():
            raise ValueError(f"the file {self.name!r} would lie outside {os.fspath(root)}")
        if to.exists() and not (replace or exist_ok):
            raise ValueError(
                f"File already exists, pass replace=True to overwrite or exist_ok=True: {to}"
            )
        if replace or not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._row.path, to)
        return to.open(encoding="utf-8", errors="replace")

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}) {self.size:,} bytes>"
