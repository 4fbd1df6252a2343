"""The one page, whose head says what it will need: scripts and runs come beside each other.

A module is otherwise asked for when the module above it has been read, and the runs of a sweep
when all of them have.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGES = {"": "home.js", "sweep": "sweep.js", "run": "run.js", "compare": "compare.js"}
"""The first part of a path, and the module that draws its page: as ``main.js`` has them."""
_CHARTS = "charts.js"
_ECHARTS = "/static/vendor/echarts/echarts.esm.min.js"
_IMPORT = re.compile(r'^import [^"]*"\./(\w+\.js)";', re.MULTILINE)
_PLACE = "<!-- needed -->"
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""An id that is spelled one way only; ``theme.js`` has the same."""


def page(kind: str, name: str = "") -> str:
    """The page as HTML.

    Args:    kind: the first part of its path.   name: of the sweep or the run.
    """
    return _read().replace(_PLACE, "\n".join(needed(kind, name)))


def needed(kind: str, name: str = "") -> list[str]:
    """Links to what a page will ask for, the runs first: they take longest to answer."""
    links = []
    if kind == "sweep" and _PLAIN.fullmatch(name):
        links.append(f'<link rel="preload" as="fetch" crossorigin href="/api/sweeps/{name}">')
    return [*links, *(f'<link rel="modulepreload" href="{path}">' for path in modules(kind))]


@functools.cache
def modules(kind: str) -> tuple[str, ...]:
    """Every module that a page reads before it is drawn, without ``main.js``."""
    found: dict[str, None] = {}
    waiting = [PAGES[kind]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += _IMPORT.findall((STATIC / "js" / name).read_text(encoding="utf-8"))
    # ECharts is the longest to read.
    first = (_ECHARTS,) if _CHARTS in found else ()
    return (*first, *(f"/static/js/{name}" for name in found))


@functools.cache
def _read() -> str:
    return (STATIC / "index.html").read_text(encoding="utf-8")
