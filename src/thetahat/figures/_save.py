"""Figures as bytes that depend only on their numbers, and as SVG inside a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.figures._style import figures, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("pdf", "png", "svg")
# No time and no version of the maker: the same numbers must give the same bytes. The maker's name
# tells `--figures` which files are its own to replace.
_METADATA = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": "thetahat"},
    "png": {"Software": "thetahat"},
    "svg": {"Date": None, "Creator": "thetahat", "Format": None, "Type": None},
}


def image(figure: Figure, kind: str = "svg", *, salt: str = "thetahat", dpi: int = 200) -> bytes:
    """Write a figure as a file's bytes; the same figure gives the same bytes.

    Args:    kind: "pdf", "png" or "svg".   salt: of the ids inside an SVG.
    Raises:  ConfigError: another kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"no kind of figure {kind!r}{did_you_mean(kind, KINDS)}")
    file = io.BytesIO()
    with styled():
        figures().rcParams["svg.hashsalt"] = salt
        figure.savefig(file, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return file.getvalue()


def inline_svg(figure: Any, name: str) -> str:
    """Write a figure that was drawn inside ``for_page()`` as an ``<svg>`` for the body of a page.

    Its ids begin with ``name``, so that figures of one page do not take each other's parts. Its
    colours are variables of the page (``--ink``, ``--dim``, ``--grid``, ``--paper``, ``--c1`` to
    ``--c8``), so that they follow a dark scheme.
    """
    return figure.svg(name)
