"""The page's own files, held in memory, under an address that changes when one of them does."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import os
import stat
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from thetahat.web._head import STATIC

_FOR_GOOD = "max-age=31536000, immutable"


def edition() -> str:
    """A word for our files as they are now: it is part of their addresses.

    What an address holds so never changes, and a browser need not ask for it again: a page asks
    for a dozen files, and each question takes as long as its answer.
    """
    found = []
    for folder in (STATIC, STATIC / "js"):
        # Not through Path, which takes ten times as long, and this is asked for each file.
        with os.scandir(folder) as inside:
            found += [(e.path, e.stat().st_mtime_ns) for e in inside if e.is_file()]
    return _edition(tuple(sorted(found)))


@functools.lru_cache(maxsize=2)
def _edition(files: tuple[tuple[str, int], ...]) -> str:
    found = hashlib.sha256()
    for path in [*(path for path, _ in files), *sorted((STATIC / "vendor").glob("*/VERSION"))]:
        found.update(Path(path).name.encode() + b"\0" + Path(path).read_bytes())
    return f"v-{found.hexdigest()[:12]}"


class Files(StaticFiles):
    """The files, read again when they change. Reading them each time would wait for threads."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        self._held: dict[str, tuple[int, bytes]] = {}

    async def get_response(self, path: str, scope: Any) -> Response:
        """A file, with how long it may be kept; or that it is still the same."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        first, _, rest = path.partition(os.sep)
        # One who comes with the address of an older edition gets the file of this one.
        full, found = self.lookup_path(rest if first.startswith("v-") else path)
        if found is None or not stat.S_ISREG(found.st_mode):
            raise HTTPException(404)
        held = self._held.get(full)
        if held is None or held[0] != found.st_mtime_ns:
            held = self._held[full] = (found.st_mtime_ns, Path(full).read_bytes())
        for_good = "vendor" in Path(full).parts or first == edition()
        headers = {
            "content-type": _kind(full),
            "cache-control": _FOR_GOOD if for_good else "no-cache",
            "etag": f'"{held[0]:x}-{len(held[1]):x}"',
        }
        if self.is_not_modified(Headers(headers), Headers(scope=scope)):
            return NotModifiedResponse(Headers(headers))
        return Response(held[1], headers=headers)


def _kind(path: str) -> str:
    # What Windows says of scripts depends on what else was installed there.
    known = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    kind = known.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
