"""The reference as one Markdown page, from the docstrings of the public names."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from types import FunctionType, ModuleType
from typing import Any

from thetahat._names import HOMES, ROOMS


def reference_markdown() -> str:
    """The page: the names of ``thetahat`` itself, then room by room."""
    parts = ["# Reference", "Made from the docstrings.", "## thetahat"]
    parts += [entry(f"th.{name}", value) for name, value in top_names()]
    for room, home in ROOMS.items():
        module = importlib.import_module(home)
        parts.append(f"## th.{room}")
        parts.append((inspect.getdoc(module) or "").partition("\n")[0])
        parts += [entry(f"th.{room}.{name}", value) for name, value in public_names(module)]
    return "\n\n".join(parts) + "\n"


def top_names() -> Iterator[tuple[str, Any]]:
    """The names of ``thetahat`` itself, in the order of their rooms."""
    for name, home in HOMES.items():
        yield name, getattr(importlib.import_module(home), name)


def public_names(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a room offers beside what stands under ``thetahat`` itself, in its order."""
    for name, value in vars(module).items():
        ours = getattr(value, "__module__", "").startswith("thetahat")
        if name.startswith("_") or isinstance(value, ModuleType) or name in HOMES:
            continue
        if ours and callable(value) and _is_here(module, value):
            yield name, value


def _is_here(module: ModuleType, value: Any) -> bool:
    """A room that is one file shows what it defines, and not what it imports."""
    return hasattr(module, "__path__") or value.__module__ == module.__name__


def entry(name: str, value: Any) -> str:
    """One name: its signature, what it does, and a class's methods and fields."""
    lines = [f"### `{name}`"]
    call = signature(value)
    if call:
        lines.append(f"```python\n{name.removeprefix('th.')}{call}\n```")
    if isinstance(value, (type, FunctionType)):
        lines.append(document(inspect.getdoc(value) or ""))
    else:
        lines.append(document(note_on(value)))
    if isinstance(value, type):
        lines += [member(which, held) for which, held in members(value)]
    return "\n\n".join(line for line in lines if line)


def note_on(value: Any) -> str:
    """What stands for a docstring where a name is neither a class nor a function."""
    return f"`{value}`"


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class defines itself, documented ones."""
    for name, held in vars(kind).items():
        plain = held.fget if isinstance(held, property) else getattr(held, "func", held)
        if isinstance(held, (staticmethod, classmethod)):
            plain = held.__func__
        if not name.startswith("_") and isinstance(plain, FunctionType) and plain.__doc__:
            yield name, plain


def member(name: str, held: FunctionType) -> str:
    """A method or property in one item."""
    call = signature(held)
    inside = re.sub(r"^\(self(, )?", "(", call)
    first, _, rest = inspect.cleandoc(held.__doc__ or "").partition("\n")
    text = f"- **`{name}{inside if inside != '()' else ''}`**: {escaped(first)}"
    return text + (f"\n\n{textwrap.indent(block(rest), '  ')}" if rest.strip() else "")


def signature(value: Any) -> str:
    """A signature without its annotations' modules; nothing for what cannot be called."""
    if not callable(value) or (isinstance(value, type) and not _built_by_hand(value)):
        return ""
    try:
        found = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    found = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", found.replace("'", ""))
    found = re.sub(r"<factory>|<function [^>]*>|<object object at [^>]*>", "...", found)
    return re.sub(r" -> None$", "", found)


def _built_by_hand(kind: type) -> bool:
    return is_dataclass(kind) or "__init__" in vars(kind)


def document(text: str) -> str:
    """A docstring: its first paragraph as prose, the rest as it was set."""
    first, _, rest = inspect.cleandoc(text).partition("\n\n")
    return escaped(first) + (f"\n\n{block(rest)}" if rest.strip() else "")


def block(text: str) -> str:
    """Text as it was set."""
    return f"```text\n{textwrap.dedent(text).strip(chr(10))}\n```"


def escaped(text: str) -> str:
    """Prose of a docstring as Markdown: ``code`` stays code, stars stay stars."""
    text = text.replace("``", "`")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_<>\[\]|])", r"\\\1", part) for part in parts
    )
