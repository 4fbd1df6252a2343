"""A report as ONE HTML file: nothing in it is fetched, nothing in it runs, all of it is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thetahat import figures
from thetahat.format._numbers import is_number, plain, word
from thetahat.report._document import MADE_BY, Document, Grid, Picture, grid_cells

_STYLE = Path(__file__).with_name("page.css")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)


def html_report(document: Document) -> str:
    """The whole file as text; the same document gives the same text.

    Raises:  MissingExtra: matplotlib is not installed.
    """
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
        f"<footer>{MADE_BY} from its store; the same store gives the same file.</footer>",
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
    return f"<dl{' class=' + chr(34) + 'small' + chr(34) if small else ''}>\n{lines}\n</dl>"


def _grid(grid: Grid) -> str:
    columns = [(c, [plain(row.get(c.key)) for row in grid.rows]) for c in grid.columns]
    numeric = {c.key: any(is_number(v) for v in values) for c, values in columns}
    heads = "".join(
        f'<th scope="col"{_right(numeric[c.key])}>{_escaped(word(c.head))}</th>' for c, _ in columns
    )
    cells = grid_cells(grid)
    widest = {
        c.key: max((len(grid.marks.get((i, c.key), "")) for i in range(len(grid.rows))), default=0)
        for c, _ in columns
    }
    lines = []
    for i, row in enumerate(grid.rows):
        tds = [
            _cell(plain(row.get(c.key)), cells[c.key][i], numeric[c.key])
            + _marks(grid.marks.get((i, c.key), ""), widest[c.key])
            + "</td>"
            for c, _ in columns
        ]
        lines.append(f"<tr{_best(i == grid.best)}>{''.join(tds)}</tr>")
    below = [f"<sup>{_escaped(k)}</sup> {_escaped(v)}" for k, v in grid.legend.items()]
    words = ". ".join([*below, *([_escaped(grid.more)] if grid.more else [])])
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_escaped(grid.title)}">\n'
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n"
        "</table>\n</div>" + (f'\n<p class="legend">{words}</p>' if words else "")
    )


def _cell(value: Any, text: str, numeric: bool) -> str:
    if text == "":
        text = "–"
    kind = "n gone" if numeric and isinstance(value, str) else "n" if numeric else ""
    kind = "gone" if not numeric and text.startswith("suppressed (") else kind
    return f'<td class="{kind}">{_escaped(text)}' if kind else f"<td>{_escaped(text)}"


def _marks(letters: str, widest: int) -> str:
    """Marks to the right of a number; numbers without keep their place above those with."""
    if not widest:
        return ""
    gap = "x" * (widest - len(letters))
    pad = f'<sup class="pad" aria-hidden="true">{gap}</sup>' if gap else ""
    return (f"<sup>{_escaped(letters)}</sup>" if letters else "") + pad


def _right(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _best(best: bool) -> str:
    return ' class="best"' if best else ""


def _figures(pictures: Sequence[Picture]) -> str:
    drawn = [picture for picture in pictures if picture.draw is not None]
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
