"""Cards of facts as escaped HTML, for light and dark notebooks.

A card takes the notebook's own colours (``currentColor``), has no script and no style sheet, and
fits a narrow window.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from thetahat.core.numbers import is_number

_LONGEST = 160
_EDGE = "border:1px solid rgba(128,128,128,.35)"
_FONT = "font:13px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif"


def card(
    title: str,
    about: str = "",
    facts: Mapping[str, Any] | None = None,
    parts: Sequence[str] = (),
    warnings: Iterable[str] = (),
) -> str:
    """Draw a title, a few words beside it, labels with values, and parts that are HTML.

    >>> "<b>" in card("<b>", facts={"lr": 0.1})
    False
    """
    head = f'<b style="font-size:14px">{escaped(title)}</b>'
    if about:
        head += f' <span style="opacity:.7">{escaped(about)}</span>'
    warned = "".join(
        f'<div style="border-left:3px solid #b86800;padding:1px 8px;margin:4px 0">'
        f"{escaped(line)}</div>"
        for line in warnings
    )
    body = [f"<div>{head}</div>", warned, pairs(facts or {}), *parts]
    return (
        f'<div style="{_EDGE};border-radius:6px;padding:8px 12px;max-width:46rem;{_FONT};'
        f'overflow-x:auto">{"".join(filter(None, body))}</div>'
    )


def pairs(facts: Mapping[str, Any]) -> str:
    """Draw labels over their values, side by side where they fit."""
    cells = "".join(
        f'<div style="min-width:5rem"><div style="opacity:.65;font-size:11px">{escaped(k)}</div>'
        f'<div style="overflow-wrap:anywhere">{escaped(v)}</div></div>'
        for k, v in facts.items()
        if v not in (None, "")
    )
    place = "display:flex;flex-wrap:wrap;gap:4px 22px;margin-top:4px"
    return f'<div style="{place}">{cells}</div>' if cells else ""


def grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[Any]],
    more: str = "",
    right: Sequence[bool] | None = None,
) -> str:
    """Draw a table of words and numbers, with a few words below it.

    Args:    right: which columns are aligned right; by default those of numbers.
    """
    if right is None:
        right = [bool(rows) and all(_is_number(row[k]) for row in rows) for k in range(len(heads))]

    def cell(tag: str, value: Any, k: int) -> str:
        align = "right" if right[k] else "left"
        rule = "border-bottom:1px solid rgba(128,128,128,.35);" if tag == "th" else ""
        style = (
            f"text-align:{align};padding:1px 14px 1px 0;background:none;white-space:nowrap;{rule}"
        )
        return f'<{tag} style="{style}">{escaped(value)}</{tag}>'

    lines = ["".join(cell("th", head, k) for k, head in enumerate(heads))]
    lines += ["".join(cell("td", value, k) for k, value in enumerate(row)) for row in rows]
    table = "".join(f'<tr style="background:none">{line}</tr>' for line in lines)
    below = f'<div style="opacity:.65;font-size:11px">{escaped(more)}</div>' if more else ""
    style = "border-collapse:collapse;margin:6px 0 2px;font:inherit;color:inherit"
    return f'<table style="{style}">{table}</table>{below}'


def said(value: Any) -> str:
    """Format a value in a few printable characters.

    >>> said(0.000123456), said(None), said("a\\nb")
    ('0.0001235', '', 'a\\\\nb')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def escaped(value: Any) -> str:
    """Format a value as text for HTML or for an attribute."""
    return html.escape(said(value), quote=True)


def _is_number(value: Any) -> bool:
    return value is None or (is_number(value))
