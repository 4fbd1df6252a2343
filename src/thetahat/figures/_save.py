"""Figures as bytes that depend only on their numbers, and as SVG inside a page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.figures._style import COLOURS, DIM, GRID, INK, figures, styled

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
_NAMES = {INK: "ink", DIM: "dim", GRID: "grid", **{c: f"c{k + 1}" for k, c in enumerate(COLOURS)}}
_NAMESPACE = re.compile(r'\s(xmlns(:\w+)?|version)="[^"]*"')
_ID = re.compile(r'\bid="')
_COLOUR = re.compile("|".join(map(re.escape, _NAMES)))
_PAPER = re.compile(r"(fill|stroke): (white|#ffffff)")
_PAGE_DPI = 144
"""Of many dots in a page, which are drawn as an image: three for each two of a plain screen."""
_TAG = re.compile(r"<[^>]*>")


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


def inline_svg(figure: Figure, name: str) -> str:
    """Write a figure as an ``<svg>`` for the body of a page.

    Its ids begin with ``name``, so that figures of one page do not take each other's parts. Its
    colours are variables of the page (``--ink``, ``--dim``, ``--grid``, ``--paper``, ``--c1`` to
    ``--c8``), so that they follow a dark scheme.
    """
    text = image(figure, "svg", salt=name, dpi=_PAGE_DPI).decode("utf-8")
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = _TAG.sub(lambda tag: _page_tag(tag.group(), name), text)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"\n\s*", "\n", text)
    return re.sub(r"^<svg ", '<svg focusable="false" aria-hidden="true" ', text).strip() + "\n"


def _page_tag(tag: str, name: str) -> str:
    """Rewrite a tag without namespaces, with ids and colours of the page."""
    if tag.startswith("</"):
        return tag
    tag = (
        _NAMESPACE.sub("", tag)
        .replace("xlink:href=", "href=")
        .replace('href="#', f'href="#{name}-')
    )
    tag = _ID.sub(f'id="{name}-', tag).replace("url(#", f"url(#{name}-")
    if tag.startswith("<svg"):
        tag = re.sub(r'\s(width|height)="[^"]*"', "", tag)
    if "#" in tag or "white" in tag:
        tag = _COLOUR.sub(lambda found: f"var(--{_NAMES[found.group()]})", tag)
        tag = _PAPER.sub(r"\1: var(--paper)", tag)
    return tag
