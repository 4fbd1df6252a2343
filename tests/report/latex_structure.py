"""A strict reader of the LaTeX that we write: nothing but what is on its list may stand there."""

from __future__ import annotations

import re

_ALLOWED = (
    "textbackslash textasciitilde textasciicircum textless textgreater textbar char ensuremath"
    " times toprule midrule bottomrule caption label centering footnotesize textit textbf tnote"
    " item begin end"
)
"""The commands there may be, beside the signs inside of ``ensuremath``."""
WORDS = frozenset(_ALLOWED.split())
SPECIALS = "&%$#_{}"
_TOKEN = re.compile(r"\\([A-Za-z]+)|\\(.)|(.)", re.DOTALL)
_MATH = re.compile(r"-?[\d.]+( \\times 10\^\{-?\d+\})?")
_SIGN = re.compile(r"\\ensuremath\{\\[A-Za-z]+\}")
_TABULAR = re.compile(r"\\begin\{tabular\}\{([^}]*)\}\n(.*?)\\end\{tabular\}", re.DOTALL)


def check(text: str) -> list[list[list[str]]]:
    """Read LaTeX strictly; gives its tables, each with its rows of cells, the titles first.

    Raises:  AssertionError: it has what should not be there.
    """
    lines = text.split("\n")
    assert all(c.isprintable() for line in lines for c in line)
    comments = [line for line in lines if line.startswith("%")]
    body = "\n".join(line for line in lines if not line.startswith("%"))
    assert all("\\" not in line or "usepackage" in line for line in comments)
    for found in re.findall(r"(?<!\\)\$([^$]*?)(?<!\\)\$", body):
        assert _MATH.fullmatch(found), f"mathematics of somebody else's: {found!r}"
    plain = re.sub(r"(?<!\\)\$[^$]*?(?<!\\)\$", "0", _SIGN.sub("s", body))
    _tokens(plain)
    return [_table(spec, inside) for spec, inside in _TABULAR.findall(plain)]


def _tokens(text: str) -> None:
    depth, opened = 0, []
    for match in _TOKEN.finditer(text):
        command, escaped, other = match.groups()
        if command is not None:
            assert command in WORDS, f"\\{command}"
            if command in ("begin", "end"):
                name = re.match(r"\{([a-z]+)\}", text[match.end() :])
                assert name is not None
                if command == "begin":
                    opened.append((name[1], depth))
                else:
                    assert opened.pop() == (name[1], depth)
        elif escaped is not None:
            assert escaped in SPECIALS + "\\", f"\\{escaped}"
        elif other in "{}":
            depth += 1 if other == "{" else -1
            assert depth >= 0, "a brace closes what was never opened"
        else:
            assert other not in "#$%^_~", f"{other!r} bare in {text[match.start() - 20 :][:40]!r}"
    assert (depth, opened) == (0, []), "left open"


def _table(spec: str, inside: str) -> list[list[str]]:
    assert re.fullmatch("[lr]+", spec), spec
    lines = inside.rstrip("\n").split("\n")
    assert [lines[0], lines[2], lines[-1]] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = []
    for line in [lines[1], *lines[3:-1]]:
        assert line.endswith(r" \\"), line
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == len(spec), f"{len(cells)} cells, {len(spec)} columns: {line}"
        assert not any("rule" in cell or r"\\" in cell for cell in cells)
        assert not cells[0].lstrip().startswith(("[", "*"))
        rows.append([cell.strip() for cell in cells])
    return rows
