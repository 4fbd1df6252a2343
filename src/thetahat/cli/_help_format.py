"""How ``thetahat COMMAND --help`` is laid out: prose filled, examples wrapped between words."""

from __future__ import annotations

import argparse
import re
import textwrap

_EXAMPLE = re.compile(r"^(?P<command> *\S.*?\S {2,})(?P<about>\S.*)$")
_LEAST = 20


class HelpFormat(argparse.HelpFormatter):
    """Fills the description; keeps the lines of the examples, as far as the window allows."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" not in text.strip():
            return super()._fill_text(text, width, indent)
        return "".join(
            f"{indent}{line}\n" for row in text.splitlines() for line in wrap(row, width)
        )


def wrap(line: str, width: int) -> list[str]:
    """One line of examples in lines that fit: what a command does goes on under itself.

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
