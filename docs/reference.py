"""The reference as one Markdown page, from the docstrings of the public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from types import FunctionType, ModuleType
from typing import Any

from thetahat._names import HOMES, ROOMS

ASSIGNED = {
    "Seed": "thetahat.core.signature",
    "Static": "thetahat.core.signature",
    "risk.fractional_logit": "thetahat.risk._losses",
}
"""Where the names that are neither classes nor functions are assigned."""


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
        lines.append(document(said_beside(name.removeprefix("th."))))
    if isinstance(value, type):
        lines += [member(which, held) for which, held in members(value)]
    return "\n\n".join(line for line in lines if line)


def said_beside(name: str) -> str:
    """The string below an assignment: what documents a name that is no class and no function."""
    home = importlib.import_module(ASSIGNED[name])
    name = name.rpartition(".")[2]
    body = ast.parse(inspect.getsource(home)).body
    for one, after in pairwise(body):
        targets = one.targets if isinstance(one, ast.Assign) else []
        named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
        if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return str(after.value.value)
    raise ValueError(f"{name} has no docstring below its assignment in {home.__name__}")


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class defines, or a base of it that is not public."""
    ours = (base for base in kind.__mro__ if base.__module__.startswith("thetahat"))
    own = [base for base in ours if base is kind or base.__name__ not in HOMES]
    held = {name: value for base in own[::-1] for name, value in vars(base).items()}
    for name, value in held.items():
        if not name.startswith("_") and isinstance(_plain(value), FunctionType):
            yield name, value


def _plain(held: Any) -> Any:
    """The function behind a method or a property."""
    if isinstance(held, (staticmethod, classmethod)):
        return held.__func__
    return held.fget if isinstance(held, property) else getattr(held, "func", held)


def member(name: str, held: Any) -> str:
    """A method or property in one item."""
    plain = _plain(held)
    call = signature(plain) if isinstance(held, FunctionType) else ""
    call = " ".join(call.split()).replace("( ", "(").replace(", )", ")")
    first, _, rest = inspect.cleandoc(plain.__doc__ or "").partition("\n")
    text = f"- **`{name}{call}`**: {escaped(first)}"
    return text + (f"\n\n{textwrap.indent(block(rest), '  ')}" if rest.strip() else "")


def signature(value: Any) -> str:
    """A signature, one parameter a line where it is long; nothing for what cannot be called."""
    if not isinstance(value, (type, FunctionType)):
        return ""
    if isinstance(value, type) and not _built_by_hand(value):
        return ""
    found = inspect.signature(value)
    words, kind = [], None
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if kind is parameter.POSITIONAL_ONLY and parameter.kind is not kind:
            words.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and kind is not parameter.KEYWORD_ONLY:
            words.append("*")
        kind = parameter.kind
        words.append(_parameter(parameter))
    returns = "" if isinstance(value, type) else _annotation(found.return_annotation)
    after = f" -> {returns}" if returns not in ("", "None") else ""
    line = f"({', '.join(words)}){after}"
    if len(line) <= 80:
        return line
    return "(\n" + "".join(f"    {word},\n" for word in words) + f"){after}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    kind = _annotation(parameter.annotation)
    text = f"{stars}{parameter.name}" + (f": {kind}" if kind else "")
    if parameter.default is parameter.empty:
        return text
    default = repr(parameter.default)
    # A factory's default, or a function's, has no name that a reader could write.
    default = "..." if default.startswith("<") else default
    return f"{text} = {default}" if kind else f"{text}={default}"


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(\w+)", r"\1", text)


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
