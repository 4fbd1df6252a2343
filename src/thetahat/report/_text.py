"""A report as LaTeX, Markdown and CSV: the same numbers as the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thetahat.format._numbers import is_number, plain, word
from thetahat.format._table import Column, latex_cell, latex_line, latex_text, table
from thetahat.report._document import MADE_BY, Document, Grid, grid_cells

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def csv_report(document: Document) -> str:
    """Every row of the main table, numbers in full."""
    grid = document.grid
    rows = grid.rows if grid.full is None else grid.full
    columns = grid.columns if grid.full is None else grid.full_columns
    return table(rows, columns, "csv")


def latex_report(document: Document) -> str:
    """A table for a paper, its notes below it; needs the packages booktabs and threeparttable."""
    grid = document.grid
    label = re.sub(r"[^a-z0-9]+", "-", document.ident.lower())
    return "\n".join(
        [
            r"% \usepackage{booktabs,threeparttable}",
            f"% {MADE_BY}.",
            r"\begin{table}",
            r"\centering",
            r"\begin{threeparttable}",
            rf"\caption{{{_latex(document.title)}}}",
            rf"\label{{tab:{label}}}",
            _latex_grid(grid),
            r"\begin{tablenotes}[flushleft]",
            r"\footnotesize",
            *_latex_notes(document),
            r"\end{tablenotes}",
            r"\end{threeparttable}",
            r"\end{table}",
            "",
        ]
    )


def _latex_notes(document: Document) -> list[str]:
    warnings = [rf"\item \textbf{{{_latex(line)}}}" for line in document.warnings]
    marks = [rf"\item[{letter}] {_latex(text)}." for letter, text in document.grid.legend.items()]
    said = [rf"\textit{{{_latex(label)}:}} {_latex(text)}." for label, text in document.notes]
    more = [_latex(document.grid.more)] if document.grid.more else []
    return [*warnings, *marks, r"\item " + " ".join([*more, *said])]


def _latex_grid(grid: Grid) -> str:
    shown = _columns(grid)
    align = "".join("r" if numeric else "l" for _, numeric, _ in shown)
    heads = [_latex(word(column.head)) for column, _, _ in shown]
    lines = []
    for i, row in enumerate(grid.rows):
        cells = [
            latex_cell(plain(row.get(column.key)), texts[i])
            + _note(grid.marks.get((i, column.key), ""))
            for column, _, texts in shown
        ]
        lines.append(latex_line(cells))
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            latex_line(heads),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _note(letters: str) -> str:
    return rf"\tnote{{{','.join(letters)}}}" if letters else ""


def markdown_report(document: Document) -> str:
    """The report's words and tables, without its figures."""
    parts = [f"# {_markdown(document.title)}", _markdown(document.subtitle)]
    parts += [f"> **{_markdown(line)}**" for line in document.warnings]
    parts += [_markdown(line) for line in document.summary]
    for grid in (document.grid, *document.grids):
        if grid.rows:
            parts += [f"## {_markdown(grid.title)}", _markdown_grid(grid)]
            below = [f"<sup>{k}</sup> {_markdown(v)}" for k, v in grid.legend.items()]
            below += [_markdown(grid.more)] if grid.more else []
            parts += [". ".join(below)] if below else []
    parts += ["## What was estimated", _markdown_pairs(document.facts)]
    parts += ["## Notes", _markdown_pairs(document.notes)]
    parts += [f"{MADE_BY}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{_markdown(k)}**: {_markdown(v)}" for k, v in pairs)


def _markdown_grid(grid: Grid) -> str:
    shown = _columns(grid)
    lines = [[_markdown(word(column.head)) for column, _, _ in shown]]
    lines.append(["---:" if numeric else "---" for _, numeric, _ in shown])
    for i in range(len(grid.rows)):
        lines.append(
            [
                (_markdown(texts[i]) or "–") + _raised(grid.marks.get((i, column.key), ""))
                for column, _, texts in shown
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _raised(letters: str) -> str:
    return f"<sup>{letters}</sup>" if letters else ""


def _columns(grid: Grid) -> list[tuple[Column, bool, list[str]]]:
    """Each column, whether it holds numbers, and its cells as text."""
    found = []
    cells = grid_cells(grid)
    for column in grid.columns:
        values = [plain(row.get(column.key)) for row in grid.rows]
        numeric = any(is_number(value) for value in values)
        found.append((column, numeric, cells[column.key]))
    return found


def _latex(text: str) -> str:
    return latex_text(word(text))


def _markdown(text: str) -> str:
    r"""Words with Markdown's own characters escaped.

    >>> _markdown("val_risk <b>")
    'val\\_risk \\<b\\>'
    """
    return _MARKDOWN.sub(r"\\\1", word(text))


WRITERS: Mapping[str, Callable[[Document], Any]] = {
    "latex": latex_report,
    "md": markdown_report,
    "csv": csv_report,
}
