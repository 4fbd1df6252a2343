"""Commands as text that can be pasted into a shell, and that reads as what it runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def pasteable(words: Iterable[str]) -> str:
    """Join words to a command of a POSIX shell.

    Characters that a terminal or a page would obey or reorder become escapes of ``$'...'``.

    >>> print(pasteable(["python", "~/a b.py", "--act=x\\u202ey", "--lr=0.1"]))
    python ~/'a b.py' $'--act=x\\u202ey' --lr=0.1
    """
    return " ".join(map(_quoted, words))


def store_flag(store: str | None) -> str:
    """Return the flag that gives a store, with a space before it; empty for the default.

    >>> print("thetahat agent k3x9q2f1" + store_flag("~/my runs"))
    thetahat agent k3x9q2f1 --store ~/'my runs'
    """
    return f" --store {pasteable([store])}" if store else ""


def _quoted(word: str) -> str:
    if not word.isprintable():
        return "$'" + "".join(map(_escape, word)) + "'"
    if word.startswith("~/"):  # a home is written so that the shell puts its path there
        return "~/" + (shlex.quote(word[2:]) if word[2:] else "")
    return shlex.quote(word)


def _escape(letter: str) -> str:
    if letter in "\\'":
        return "\\" + letter
    if letter.isprintable():
        return letter
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is no text
        return f"\\x{os.fsencode(letter)[0]:02x}"
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
