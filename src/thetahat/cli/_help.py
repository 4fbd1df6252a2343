"""Help: of an experiment, by its docstring and parameters; the layout of a command's help."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from thetahat.cli._flags import OPTIONS, stored_value, type_name
from thetahat.core.signature import Signature

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns|Raises|Source|Notes?|Examples?|Yields)\b:?"
)


def help_text(signature: Signature, width: int | None = None) -> str:
    """Write the help screen of an experiment."""
    width = min(width or shutil.get_terminal_size((80, 24)).columns, 100)
    script = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else f"{signature.name}.py"
    lines = [f"usage: python {script} [--parameter=value ...] [options]", ""]
    about = description(signature.doc)
    if about:
        lines += [about, ""]
    about_each = parameter_help(signature)
    rows = []
    for name, parameter in signature.parameters.items():
        default = "(needed)" if parameter.required else _shown(parameter.default)
        rows.append((f"--{name}", type_name(parameter), default, about_each.get(name, "")))
    if rows:
        lines += ["parameters (name, type, default):", *_columns(rows, width), ""]
    ours = [o for o in OPTIONS if o.name not in signature.parameters]
    options = [(f"--{o.name} {o.metavar}".rstrip(), o.help) for o in ours]
    lines += ["options of thetahat:", *_columns(options, width)]
    return "\n".join(lines) + "\n"


def description(doc: str) -> str:
    """Give the docstring up to its first section."""
    kept = []
    for line in doc.splitlines():
        if _SECTION.match(line) or line.startswith((":param", ">>>")):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def parameter_help(signature: Signature) -> Mapping[str, str]:
    """Find the docstring's text for each parameter, in any of the usual styles."""
    found: dict[str, str] = {}
    last = None
    names = "|".join(map(re.escape, sorted(signature.parameters, key=len, reverse=True)))
    if not names:
        return found
    start = re.compile(
        rf"^\s*(?:Args:|Arguments:|:param\s)?\s*(?:\w+\s)?({names})(?:\s*\([^)]*\))?\s*:\s*(.*)$"
    )
    for line in signature.doc.splitlines()[1:]:
        match = start.match(line)
        if match:
            last = match.group(1)
            found[last] = match.group(2).strip()
        elif last and line.startswith("  ") and line.strip() and not _SECTION.match(line):
            found[last] = f"{found[last]} {line.strip()}".strip()
        else:
            last = None
    return found


def _shown(value: object) -> str:
    plain = stored_value(value)
    if isinstance(plain, bool):
        return str(plain).lower()
    text = "null" if plain is None else str(plain)
    return text if len(text) <= 24 else text[:23] + "…"


def _columns(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Lay rows out under each other, the last cell wrapped."""
    wide = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        head = "  " + "  ".join(cell.ljust(w) for cell, w in zip(row[:-1], wide, strict=True))
        room = max(20, width - len(head) - 2)
        parts = textwrap.wrap(row[-1], room) or [""]
        lines.append(f"{head}  {parts[0]}".rstrip())
        lines += [" " * (len(head) + 2) + part for part in parts[1:]]
    return lines


_EXAMPLE = re.compile(r"^(?P<command> *\S.*?\S {2,})(?P<about>\S.*)$")
_LEAST = 20


def layout(text: str) -> str:
    """Fill prose; wrap each line of examples, whose columns stay under each other."""
    width = shutil.get_terminal_size((80, 24)).columns - 2
    if "\n" not in text:
        return textwrap.fill(text, width)
    return "\n".join(line for row in text.splitlines() for line in wrap(row, width))


def wrap(line: str, width: int) -> list[str]:
    """Wrap a line of examples; the text beside a command continues under itself.

    >>> wrap("  thetahat agent ID    until it is done; as many as you like", 50)
    ['  thetahat agent ID    until it is done; as many', '                       as you like']
    """
    if len(line) <= width:
        return [line]
    found = _EXAMPLE.match(line)
    if found is not None and width - len(found["command"]) >= _LEAST:
        hang = " " * len(found["command"])
    else:
        hang = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )
