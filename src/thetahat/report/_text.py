"""A report as LaTeX, Markdown and CSV: the same numbers as the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thetahat.format._numbers import word
from thetahat.format._table import latex_cell, latex_line, latex_text, table
from thetahat.report._document import MADE_BY, Document, Grid, shown_columns

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$&])")


def csv_report(document: Document) -> str:
    """Write every row of the main table, numbers in full."""
    grid = document.grid
    rows = grid.rows if grid.full is None else grid.full()
    columns = grid.columns if grid.full is None else grid.full_columns
    return table(rows, columns, "csv")


def latex_report(document: Document) -> str:
    """Write a table for a paper with notes; needs the packages booktabs and threeparttable."""
    head = [r"% \usepackage{booktabs,threeparttable}", f"% {MADE_BY}."]
    lines = _latex_table(document.title, document.ident, document.grid, _latex_notes(document))
    for grid in document.grids:
        if grid.of_runs:
            notes = [rf"\item {_latex(grid.more)}"]
            label = f"{document.ident}-{grid.title}"
            lines += ["", *_latex_table(f"{document.title}: {grid.title}", label, grid, notes)]
    return "\n".join([*head, *lines, ""])


def _latex_table(title: str, label: str, grid: Grid, notes: Sequence[str]) -> list[str]:
    label = re.sub(r"[^a-z0-9]+", "-", label.lower())
    return [
        r"\begin{table}",
        r"\centering",
        r"\begin{threeparttable}",
        rf"\caption{{{_latex(title)}}}",
        rf"\label{{tab:{label}}}",
        _latex_grid(grid),
        r"\begin{tablenotes}[flushleft]",
        r"\footnotesize",
        *notes,
        r"\end{tablenotes}",
        r"\end{threeparttable}",
        r"\end{table}",
    ]


def _latex_notes(document: Document) -> list[str]:
    warnings = [rf"\item \textbf{{{_latex(line)}}}" for line in document.warnings]
    marks = [rf"\item[{letter}] {_latex(text)}." for letter, text in document.grid.legend.items()]
    notes = [rf"\textit{{{_latex(label)}:}} {_latex(text)}." for label, text in document.notes]
    more = [_latex(document.grid.more)] if document.grid.more else []
    return [*warnings, *marks, r"\item " + " ".join([*more, *notes])]


def _latex_grid(grid: Grid) -> str:
    columns = shown_columns(grid)
    align = "".join("r" if column.numeric else "l" for column in columns)
    lines = [
        latex_line(
            [
                latex_cell(c.values[i], c.cells[i])
                + (rf"\tnote{{{','.join(c.marks[i])}}}" if c.marks[i] else "")
                for c in columns
            ]
        )
        for i in range(len(grid.rows))
    ]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            latex_line([latex_text(column.head) for column in columns]),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def markdown_report(document: Document) -> str:
    """Write the report's words and tables, without its figures."""
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
    columns = shown_columns(grid)
    lines = [[_markdown(column.head) for column in columns]]
    lines.append(["---:" if column.numeric else "---" for column in columns])
    for i in range(len(grid.rows)):
        raised = [f"<sup>{c.marks[i]}</sup>" if c.marks[i] else "" for c in columns]
        texts = [_markdown(c.cells[i]) or "–" for c in columns]
        lines.append([text + mark for text, mark in zip(texts, raised, strict=True)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _latex(text: str) -> str:
    return latex_text(word(text))


def _markdown(text: str) -> str:
    r"""Escape Markdown's own characters.

    >>> _markdown("val_risk <b>")
    'val\\_risk \\<b\\>'
    """
    return _MARKDOWN.sub(r"\\\1", word(text))


WRITERS: Mapping[str, Callable[[Document], Any]] = {
    "latex": latex_report,
    "md": markdown_report,
    "csv": csv_report,
}
