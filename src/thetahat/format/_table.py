"""Tables in four formats: for the terminal, JSON, CSV and LaTeX. Rows are plain mappings."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.format._numbers import DIGITS, NOT_FINITE, column_cells, cut, is_number, plain, word

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
    "rejected": "red",
    "failed": "red",
}
_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_GAP = 2
_SIGNED_NUMBER = re.compile(r"[-+](\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

TableRow = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: the key of its values, its title, and its priority if there is little room."""

    key: str
    title: str | None = None
    priority: float = 0.0
    """Columns of the least priority are left out first; among equals, the last."""
    digits: int = DIGITS
    width: int = 40
    """Text is cut to this many cells on a terminal."""
    least: int = 12
    """If there is little room, text is cut to no fewer cells."""
    together: str = ""
    """Columns of one word are left out together."""

    @property
    def head(self) -> str:
        """The title, by default the key."""
        return self.key if self.title is None else self.title


def table(
    rows: Sequence[TableRow],
    columns: Sequence[Column | str] | None = None,
    format: str = "table",
    *,
    width: int | None = None,
    colour: bool = False,
    ascii_only: bool = False,
    raw: bool = False,
) -> str:
    """Format rows as a table for the terminal, strict JSON, CSV (RFC 4180) or LaTeX (booktabs).

    Args:
        rows: mappings from a column's key to a value; a missing key is an empty cell.
        columns: which, and in which order; by default every key, in the order of the rows.
        format: "table", "json", "csv" or "latex".
        width: cells of the terminal, to which a "table" is fitted; None for no limit.
        colour: whether a "table" may have colours.   ascii_only: whether it must be ASCII.
        raw: whether "csv" keeps text that a spreadsheet would run as a formula.
    Raises:  ConfigError: another format.

    >>> print(table([{"lr": 0.1, "val_risk": 0.25}]), end="")
     lr  val_risk
    ─────────────
    0.1      0.25
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown table format {format!r}{did_you_mean(format, FORMATS)}")
    chosen = as_columns(rows, columns)
    if format == "json":
        if columns is not None:
            rows = [{c.key: row.get(c.key) for c in chosen} for row in rows]
        return json_text(rows)
    if format == "csv":
        return _csv(rows, chosen, raw=raw)
    if format == "latex":
        return _latex(rows, chosen)
    kept, _ = fit_width(rows, chosen, width)
    return _terminal(rows, kept, colour=colour, ascii_only=ascii_only)


def as_columns(rows: Sequence[TableRow], columns: Sequence[Column | str] | None) -> list[Column]:
    """Give the columns asked for; by default every key of the rows."""
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    return [Column(c) if isinstance(c, str) else c for c in columns]


def fit_width(
    rows: Sequence[TableRow], columns: Sequence[Column], width: int | None
) -> tuple[list[Column], list[Column]]:
    """Split columns into those that fit into ``width`` cells, and those that do not.

    Long text is cut first, down to the columns' ``least``; then columns of least priority go.
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
        out = [c for c in kept if c is least or (least.together and c.together == least.together)]
        kept = [c for c in kept if c not in out]
        gone = [*out, *gone]
    return kept, gone


def _need(rows: Sequence[TableRow], column: Column) -> tuple[int, int]:
    """Compute the least and the full width of a column, in cells."""
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
    """Take ``over`` cells from columns of text, from the least priority and the widest first."""
    now = {c.key: needs[c.key][1] for c in columns}
    for _ in range(over):
        able = [c for c in columns if now[c.key] > needs[c.key][0]]
        now[max(able, key=lambda c: (-c.priority, now[c.key])).key] -= 1
    return [replace(c, width=now[c.key]) for c in columns]


def _terminal(
    rows: Sequence[TableRow], columns: Sequence[Column], *, colour: bool, ascii_only: bool
) -> str:
    """Lay out cells in lines: numbers to the right, text to the left."""
    from rich.cells import cell_len

    rule, missing, more = ("-", "-", "..") if ascii_only else ("─", "–", "…")
    blocks: list[list[tuple[str, str]]] = []
    for column in columns:
        values = [plain(row.get(column.key)) for row in rows]
        texts = column_cells(values, column.digits)
        cells = [_styled(v, t, missing) for v, t in zip(values, texts, strict=True)]
        cells.insert(0, (word(column.head), "bold"))
        numeric = _numeric(values)
        if not numeric:
            cells = [(cut(text, column.width, more), style) for text, style in cells]
        wide = max(cell_len(text) for text, _ in cells)
        spaces = [" " * (wide - cell_len(text)) for text, _ in cells]
        if numeric:
            cells = [(s + text, style) for s, (text, style) in zip(spaces, cells, strict=True)]
        elif column is not columns[-1]:
            cells = [(text + s, style) for s, (text, style) in zip(spaces, cells, strict=True)]
        blocks.append(cells)
    gap = " " * _GAP
    lines = [
        gap.join(paint(text, style, colour) for text, style in line).rstrip()
        for line in zip(*blocks, strict=True)
    ]
    wide = sum(max(cell_len(text) for text, _ in block) + _GAP for block in blocks) - _GAP
    lines.insert(1, paint(rule * wide, "dim", colour))
    return "\n".join(lines) + "\n"


def paint(text: str, style: str, colour: bool) -> str:
    """Colour text in one of the few styles that every terminal has."""
    if not colour or not style or not text.strip():
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def _styled(value: Any, text: str, missing: str) -> tuple[str, str]:
    if text == "" and (value is None or is_number(value)):
        return missing, "dim"
    return text, STATUS_STYLES.get(text, "") if isinstance(value, str) else ""


_WORDS = ("inf", "-inf", NOT_FINITE)
"""Words among numbers."""


def _numeric(values: Sequence[Any]) -> bool:
    present = [v for v in values if v is not None]
    return bool(present) and all(is_number(v) or v in _WORDS for v in present)


def json_text(value: Any) -> str:
    """Write a value as strict, indented JSON."""
    return json.dumps(strict(value), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def strict(value: Any) -> Any:
    """Convert a value to strict JSON: null for NaN and infinity, text for other types."""
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


class CsvLines:
    """A file for ``csv.writer``: fields are quoted as in RFC 4180, and lines end in a newline."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write a line, without the carriage return."""
        return self._file.write(f"{line[:-2]}\n")


def _csv(rows: Sequence[TableRow], columns: Sequence[Column], *, raw: bool) -> str:
    file = io.StringIO()
    writer = csv.writer(CsvLines(file))
    keep: Callable[[Any], Any] = (lambda cell: cell) if raw else _no_formula
    writer.writerow([keep(c.head) for c in columns])
    for row in rows:
        writer.writerow([keep(_csv_cell(row.get(c.key))) for c in columns])
    return file.getvalue()


def _no_formula(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run, as OWASP has it.

    >>> _no_formula("=1+1"), _no_formula("-1e-3"), _no_formula(-1)
    ("'=1+1", '-1e-3', -1)
    """
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    return cell if _SIGNED_NUMBER.fullmatch(cell) else f"'{cell}"


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
"""Between two characters that LaTeX would join: the dashes of ``--lr``."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # By its number in the font: \textquotedbl is an error unless fontenc is T1.
    '"': r"\char34{}",
    # Unknown to pdflatex, and common in names of parameters.
    **{
        letter: rf"\ensuremath{{\{name}}}"
        for name, letter in (word.split(":") for word in _SIGNS.split())
    },
    **{c: "\\" + c for c in "&%$#_"},
}


def latex_text(text: str) -> str:
    """Escape LaTeX's own characters, and write Greek letters as pdflatex needs them.

    >>> latex_text("50% of val_risk")
    '50\\\\% of val\\\\_risk'
    """
    spaced = _LIGATURES.sub("\x00", text)
    # pdflatex stops at emoji, for which no font of LaTeX has a sign.
    told = (_LATEX.get(c, c) if c < "\U00010000" else f"[U+{ord(c):X}]" for c in spaced)
    return "".join(told).replace("\x00", "{}")


def _latex(rows: Sequence[TableRow], columns: Sequence[Column]) -> str:
    align, cells = "", []
    for c in columns:
        values = [plain(row.get(c.key)) for row in rows]
        align += "r" if _numeric(values) else "l"
        texts = column_cells(values, c.digits)
        cells.append([latex_cell(v, t) for v, t in zip(values, texts, strict=True)])
    head = latex_line([latex_text(word(c.head)) for c in columns])
    body = [latex_line(row) for row in zip(*cells, strict=True)]
    lines = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{align}}}", *lines, r"\end{tabular}", ""])


def latex_line(cells: Sequence[str]) -> str:
    """Write a row of a tabular; guard a bracket or a star at its start from the row above.

    >>> print(latex_line(["[64, 64]", "0.1"]))
    {}[64, 64] & 0.1 \\\\
    """
    first = "{}" if cells and cells[0].lstrip().startswith(("[", "*")) else ""
    return first + " & ".join(cells) + r" \\"


def latex_cell(value: Any, text: str) -> str:
    """Write a value as LaTeX; ``text`` is its cell by ``column_cells``."""
    if text == "" and (value is None or is_number(value)):
        return "--"
    if not is_number(value):
        return latex_text(word(value))
    mantissa, power, exponent = text.partition("e")
    if power:
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    return f"${text}$" if text.startswith("-") else text
