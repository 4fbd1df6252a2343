"""The files of the page: one HTML file with preloads, and scripts under versioned addresses."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import os
import re
import stat
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

STATIC = Path(__file__).parent / "static"
PAGES = {"": "home.js", "sweep": "sweep.js", "run": "run.js", "compare": "compare.js"}
"""The first part of a path, and the module that draws its page: as in ``main.js``."""
_CHARTS = "charts.js"
_ECHARTS = "/static/vendor/echarts/echarts.esm.min.js"
_IMPORT = re.compile(r'^import [^"]*"\./(\w+\.js)";', re.MULTILINE)
_PLACE = "<!-- needed -->"
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""Ids with one spelling; ``theme.js`` has the same."""
_UNCHANGING = "max-age=31536000, immutable"


def page(kind: str, name: str = "") -> str:
    """Return the page as HTML.

    Args:    kind: the first part of its path.   name: of the sweep or the run.
    """
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    return html.replace(_PLACE, "\n".join(needed(kind, name)))


def needed(kind: str, name: str = "") -> list[str]:
    """Link what a page will fetch, so that the browser fetches all at once.

    The runs come first: they take longest to answer.
    """
    links = []
    if kind == "sweep" and _PLAIN.fullmatch(name):
        links.append(f'<link rel="preload" as="fetch" crossorigin href="/api/sweeps/{name}">')
    return [*links, *(f'<link rel="modulepreload" href="{path}">' for path in modules(kind))]


@functools.cache
def modules(kind: str) -> tuple[str, ...]:
    """List every module that a page imports, but ``main.js``; ECharts, the largest, first."""
    found: dict[str, None] = {}
    waiting = [PAGES[kind]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += _IMPORT.findall((STATIC / "js" / name).read_text(encoding="utf-8"))
    first = (_ECHARTS,) if _CHARTS in found else ()
    return (*first, *(f"/static/js/{name}" for name in found))


def edition() -> str:
    """Hash our files as they are now; the hash is part of their addresses.

    The content of an address never changes, so that a browser caches it without asking again.
    """
    found = []
    for folder in (STATIC, STATIC / "js"):
        # Called for each file; os.scandir takes a tenth of the time of Path.
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
    """The static files, cached in memory until they change: disk reads would wait for threads."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        self._contents: dict[str, tuple[int, bytes]] = {}

    async def get_response(self, path: str, scope: Any) -> Response:
        """Send a file with its caching rules, or 304 where the browser has it."""
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        first, _, rest = path.partition(os.sep)
        # An address of an older edition gets the current file.
        full, found = self.lookup_path(rest if first.startswith("v-") else path)
        if found is None or not stat.S_ISREG(found.st_mode):
            raise HTTPException(404)
        cached = self._contents.get(full)
        if cached is None or cached[0] != found.st_mtime_ns:
            cached = self._contents[full] = (found.st_mtime_ns, Path(full).read_bytes())
        unchanging = "vendor" in Path(full).parts or first == edition()
        headers = {
            "content-type": _kind(full),
            "cache-control": _UNCHANGING if unchanging else "no-cache",
            "etag": f'"{cached[0]:x}-{len(cached[1]):x}"',
        }
        if self.is_not_modified(Headers(headers), Headers(scope=scope)):
            return NotModifiedResponse(Headers(headers))
        return Response(cached[1], headers=headers)


def _kind(path: str) -> str:
    # On Windows the media type of scripts depends on other installed programs.
    known = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    kind = known.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
