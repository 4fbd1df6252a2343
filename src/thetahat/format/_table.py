"""One table, four ways: for the terminal, JSON, CSV and LaTeX. Rows are plain mappings."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.format._numbers import DIGITS, column_cells, cut, is_number, plain, word

FORMATS = ("table", "json", "csv", "latex")
STATUS_STYLES = {
    "finished": "green",
    "stopped": "cyan",
    "running": "blue",
    "queued": "dim",
    "interrupted": "yellow",
    "unmoved": "yellow",
    "cancelled": "yellow",
    "diverged": "red",
    "failed": "red",
}
_GAP = 2

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: the key of its values, its title, and how dear it is when space is short."""

    key: str
    title: str | None = None
    priority: float = 0.0
    """Columns of low priority go first; among equals, the last."""
    digits: int = DIGITS
    width: int = 40
    """Words are cut to this many cells on a terminal."""
    least: int = 12
    """Where space is short, words are cut to no fewer cells."""

    @property
    def head(self) -> str:
        """What stands above the column."""
        return self.key if self.title is None else self.title


def table(
    rows: Sequence[Row],
    columns: Sequence[Column | str] | None = None,
    format: str = "table",
    *,
    width: int | None = None,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """Rows as a table for the terminal, strict JSON, CSV (RFC 4180) or LaTeX (booktabs).

    Args:
        rows: mappings from a column's key to a value; a missing key is an empty cell.
        columns: which, and in which order; by default every key, in the order met.
        format: "table", "json", "csv" or "latex".
        width: cells of the terminal, to which a "table" is fitted; None for no limit.
        colour: whether a "table" may carry colours; ``ascii_only``: whether it must do without
            drawn lines.
    Raises:  ConfigError: another format.

    >>> print(table([{"lr": 0.1, "val_risk": 0.25}]), end="")
     lr  val_risk
    ─────────────
    0.1      0.25
    """
    if format not in FORMATS:
        raise ConfigError(f"no table format {format!r}{did_you_mean(format, FORMATS)}")
    chosen = as_columns(rows, columns)
    if format == "json":
        return _json(rows, None if columns is None else chosen)
    if format == "csv":
        return _csv(rows, chosen)
    if format == "latex":
        return _latex(rows, chosen)
    kept, _ = fit_width(rows, chosen, width)
    return _terminal(rows, kept, colour=colour, ascii_only=ascii_only)


def as_columns(rows: Sequence[Row], columns: Sequence[Column | str] | None) -> list[Column]:
    """The columns that were asked for; by default every key of the rows."""
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    return [Column(c) if isinstance(c, str) else c for c in columns]


def fit_width(
    rows: Sequence[Row], columns: Sequence[Column], width: int | None
) -> tuple[list[Column], list[Column]]:
    """The columns that fit into ``width`` cells, and those that had to go.

    Long words are shortened first, down to twelve cells; then the least dear columns go.
    """
    kept = list(columns)
    if width is None:
        return kept, []
    needs = {c.key: _need(rows, c) for c in kept}
    gone: list[Column] = []
    while len(kept) > 1:
        over = sum(needs[c.key][1] + _GAP for c in kept) - _GAP - width
        if over <= 0:
            break
        give = sum(needs[c.key][1] - needs[c.key][0] for c in kept)
        if give >= over:
            return _shrink(kept, needs, over), gone
        least = min(reversed(kept), key=lambda c: c.priority)
        kept.remove(least)
        gone.insert(0, least)
    return kept, gone


def _need(rows: Sequence[Row], column: Column) -> tuple[int, int]:
    """Least and full width of a column, in cells."""
    from rich.cells import cell_len

    values = [plain(row.get(column.key)) for row in rows]
    widest = max((cell_len(c) for c in column_cells(values, column.digits)), default=0)
    head = cell_len(word(column.head))
    full = max(head, min(widest, column.width))
    numeric = _numeric(values)
    return (full if numeric else max(head, min(column.least, full))), full


def _shrink(
    columns: Sequence[Column], needs: Mapping[str, tuple[int, int]], over: int
) -> list[Column]:
    """Take ``over`` cells from the widest columns of words, cell by cell, least dear first."""
    now = {c.key: needs[c.key][1] for c in columns}
    for _ in range(over):
        able = [c for c in columns if now[c.key] > needs[c.key][0]]
        now[max(able, key=lambda c: (-c.priority, now[c.key])).key] -= 1
    return [replace(c, width=now[c.key]) for c in columns]


def _terminal(
    rows: Sequence[Row], columns: Sequence[Column], *, colour: bool, ascii_only: bool
) -> str:
    from rich.cells import cell_len

    dash, more = ("-", "..") if ascii_only else ("–", "…")
    blocks: list[list[tuple[str, str]]] = []
    for column in columns:
        values = [plain(row.get(column.key)) for row in rows]
        texts = column_cells(values, column.digits)
        right = _numeric(values)
        pairs = [
            (word(column.head), "bold"),
            *(_styled(v, t, dash) for v, t in zip(values, texts, strict=True)),
        ]
        if not right:
            pairs = [(cut(text, column.width, more), style) for text, style in pairs]
        wide = max(cell_len(text) for text, _ in pairs)
        blocks.append([(_pad(text, wide, right), style) for text, style in pairs])
    lines = [[block[i] for block in blocks] for i in range(len(rows) + 1)]
    rule = ("-" if ascii_only else "─") * (cell_len((" " * _GAP).join(t for t, _ in lines[0])))
    lines.insert(1, [(rule, "dim")])
    return "".join(_line(line, colour) for line in lines)


def _line(cells: Sequence[tuple[str, str]], colour: bool) -> str:
    cells = [*cells[:-1], (cells[-1][0].rstrip(), cells[-1][1])]
    return (" " * _GAP).join(paint(text, style, colour) for text, style in cells).rstrip() + "\n"


def paint(text: str, style: str, colour: bool) -> str:
    """Text in one of the few styles that every terminal has."""
    if not colour or not style or not text.strip():
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}


def _pad(text: str, wide: int, right: bool) -> str:
    from rich.cells import cell_len

    space = " " * (wide - cell_len(text))
    return space + text if right else text + space


def _styled(value: Any, text: str, dash: str) -> tuple[str, str]:
    if text == "" and (value is None or is_number(value)):
        return dash, "dim"
    return text, STATUS_STYLES.get(text, "") if isinstance(value, str) else ""


def _numeric(values: Sequence[Any]) -> bool:
    present = [v for v in values if v is not None]
    return bool(present) and all(is_number(v) for v in present)


def _json(rows: Sequence[Row], columns: Sequence[Column] | None) -> str:
    if columns is not None:
        rows = [{c.key: row.get(c.key) for c in columns} for row in rows]
    return json_text(rows)


def json_text(value: Any) -> str:
    """A value as strict, indented JSON."""
    return json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def strict(value: Any) -> Any:
    """A value as strict JSON has it: null for NaN and infinity, text for what JSON lacks."""
    value = plain(value)
    if isinstance(value, Mapping):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(v) for v in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    return value if value is None or isinstance(value, (bool, int)) else str(value)


def _csv(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([c.head for c in columns])
    for row in rows:
        writer.writerow([_csv_cell(row.get(c.key)) for c in columns])
    return file.getvalue()


def _csv_cell(value: Any) -> Any:
    value = strict(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


_SIGNS = (
    "alpha:α beta:β gamma:γ delta:δ epsilon:ϵ varepsilon:ε zeta:ζ eta:η theta:θ iota:ι kappa:κ"
    " lambda:λ mu:μ nu:ν xi:ξ pi:π rho:ρ sigma:σ tau:τ upsilon:υ phi:ϕ varphi:φ chi:χ psi:ψ omega:ω"
    " Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Xi:Ξ Pi:Π Sigma:Σ Phi:Φ Psi:Ψ Omega:Ω"
    " le:≤ ge:≥ ne:≠ approx:≈ infty:∞ to:→ partial:∂"
)
_LIGATURES = re.compile(r"(?<=-)(?=-)|(?<=`)(?=`)|(?<=')(?=')|(?<=,)(?=,)|(?<=[?!])(?=`)")
"""Where two signs would become another one: ``--lr`` is no dash and ``lr``."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # By its place in the font: \textquotedbl is an error unless fontenc is T1.
    '"': r"\char34{}",
    # What pdflatex does not know, and names of parameters are made of.
    **{
        letter: rf"\ensuremath{{\{name}}}"
        for name, letter in (word.split(":") for word in _SIGNS.split())
    },
    **{c: "\\" + c for c in "&%$#_"},
}


def latex_text(text: str) -> str:
    """Words with LaTeX's own characters escaped, and Greek letters as pdflatex wants them.

    >>> latex_text("50% of val_risk")
    '50\\\\% of val\\\\_risk'
    """
    return "".join(_LATEX.get(c, c) for c in _LIGATURES.sub("\x00", text)).replace("\x00", "{}")


def _latex(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    values = {c.key: [plain(row.get(c.key)) for row in rows] for c in columns}
    cells = [
        [
            latex_cell(v, t)
            for v, t in zip(values[c.key], column_cells(values[c.key], c.digits), strict=True)
        ]
        for c in columns
    ]
    align = "".join("r" if _numeric(values[c.key]) else "l" for c in columns)
    body = [latex_line(row) for row in zip(*cells, strict=True)]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            latex_line([latex_text(word(c.head)) for c in columns]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def latex_line(cells: Sequence[str]) -> str:
    """A row of a tabular. One that begins with a bracket or a star would belong to the row above.

    >>> print(latex_line(["[64, 64]", "0.1"]))
    {}[64, 64] & 0.1 \\\\
    """
    first = "{}" if cells and cells[0].lstrip().startswith(("[", "*")) else ""
    return first + " & ".join(cells) + r" \\"


def latex_cell(value: Any, text: str) -> str:
    """A value as LaTeX, ``text`` being what ``column_cells`` made of it."""
    if text == "" and (value is None or is_number(value)):
        return "--"
    if not is_number(value):
        return latex_text(word(value))
    mantissa, power, exponent = text.partition("e")
    if power:
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    return f"${text}$" if text.startswith("-") else text
