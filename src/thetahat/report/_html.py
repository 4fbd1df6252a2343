"""A report as one HTML file: it fetches nothing, runs nothing, and escapes all text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from thetahat import figures
from thetahat.format._numbers import word
from thetahat.report._document import (
    MADE_BY,
    Document,
    Grid,
    Picture,
    ShownColumn,
    shown_columns,
)

_STYLE = Path(__file__).with_name("page.css")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)


def html_report(document: Document) -> str:
    """Write the whole file as text; the same document gives the same text."""
    body = [
        f"<header>\n<h1>{_escaped(document.title)}</h1>\n<p>{_escaped(document.subtitle)}</p>\n</header>",
        *(f'<p class="warning" role="note">{_escaped(line)}</p>' for line in document.warnings),
        _section("In short", _prose(document.summary)),
        _section(document.grid.title, _grid(document.grid)) if document.grid.rows else "",
        _section("Figures", _figures(document.pictures)) if document.pictures else "",
        _section("What was estimated", _pairs(document.facts)),
        *(_section(grid.title, _grid(grid)) for grid in document.grids),
        _section("Notes", _pairs(document.notes, small=True)),
        _source(document),
        f"<footer>{MADE_BY}{document.origin}.</footer>",
    ]
    css = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_escaped(document.title)}: report</title>\n<style>\n{css}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(filter(None, body)) + "\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, inside: str) -> str:
    return f"<section>\n<h2>{_escaped(title)}</h2>\n{inside}\n</section>" if inside else ""


def _prose(sentences: Sequence[str]) -> str:
    return "\n".join(f'<p class="lead">{_escaped(sentence)}</p>' for sentence in sentences)


def _pairs(pairs: Sequence[tuple[str, str]], *, small: bool = False) -> str:
    if not pairs:
        return ""
    lines = "\n".join(f"<dt>{_escaped(k)}</dt><dd>{_escaped(v)}</dd>" for k, v in pairs)
    return f"<dl{_class('small' if small else '')}>\n{lines}\n</dl>"


def _grid(grid: Grid) -> str:
    columns = shown_columns(grid)
    heads = "".join(
        f'<th scope="col"{_class("n" if c.numeric else "")}>{_escaped(c.head)}</th>'
        for c in columns
    )
    lines = []
    for i in range(len(grid.rows)):
        cells = "".join(_cell(column, i) for column in columns)
        lines.append(f"<tr{_class('best' if i == grid.best else '')}>{cells}</tr>")
    below = [f"<sup>{_escaped(k)}</sup> {_escaped(v)}" for k, v in grid.legend.items()]
    words = ". ".join([*below, *([_escaped(grid.more)] if grid.more else [])])
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_escaped(grid.title)}">\n'
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n"
        "</table>\n</div>" + (f'\n<p class="legend">{words}</p>' if words else "")
    )


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _cell(column: ShownColumn, i: int) -> str:
    text, letters = column.cells[i] or "–", column.marks[i]
    if column.numeric:
        kind = "n gone" if isinstance(column.values[i], str) else "n"
    else:
        kind = "gone" if text.startswith("suppressed (") else ""
    # Numbers without marks stay aligned with those that have some.
    gap = "x" * (column.widest - len(letters))
    marks = f"<sup>{_escaped(letters)}</sup>" if letters else ""
    marks += f'<sup class="pad" aria-hidden="true">{gap}</sup>' if gap else ""
    return f"<td{_class(kind)}>{_escaped(text)}{marks}</td>"


def _figures(pictures: Sequence[Picture]) -> str:
    drawn = [picture for picture in pictures if picture.draw is not None]
    with figures.for_page():
        shown = "\n".join(_figure(k, picture) for k, picture in enumerate(drawn, 1))
    parts = [f'<div class="figures">\n{shown}\n</div>'] if drawn else []
    left: dict[str, list[str]] = {}
    for picture in pictures:
        if picture.draw is None:
            left.setdefault(picture.caption, []).append(picture.title)
    parts += [
        f'<p class="legend">Left out, as {_escaped(why)}: {_escaped("; ".join(titles))}.</p>'
        for why, titles in left.items()
    ]
    return "\n".join(parts)


def _figure(k: int, picture: Picture) -> str:
    assert picture.draw is not None
    svg = figures.inline_svg(picture.draw(), f"f{k}")
    return (
        f"<figure>\n<h3>{_escaped(picture.title)}</h3>\n"
        f'<div role="img" aria-label="{_escaped(picture.title)}">{svg}</div>\n'
        f"<figcaption>{_escaped(picture.caption)}</figcaption>\n</figure>"
    )


def _source(document: Document) -> str:
    if document.source is None:
        return ""
    name, text = document.source
    lines = "\n".join(map(word, text.replace("\r\n", "\n").split("\n"))).strip("\n")
    return _section(f"The sweep file{', ' * bool(name)}{name}", f"<pre>{_escaped(lines)}</pre>")


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
