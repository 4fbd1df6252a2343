"""Check arguments and results of functions against the shapes and dtypes that they state."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, TypeVar, cast

import jaxtyping
from beartype import beartype
from jax.typing import ArrayLike

F = TypeVar("F", bound=Callable[..., Any])

_ARRAY = re.compile(r"\b(Bool|Float|Int|Real|Shaped|UInt32|PyTree)\[")
_NAMES = {**vars(builtins), **vars(jaxtyping), "ArrayLike": ArrayLike}
_CHECK = ast.parse(f"__import__({__name__!r}).check", mode="eval").body


def check(function: F) -> F:
    """Return the function with the checks of its annotations that name arrays."""
    stated: dict[str, Any] = {}
    for name, text in getattr(function, "__annotations__", {}).items():
        if isinstance(text, str) and _ARRAY.search(text):
            try:
                stated[name] = eval(text, dict(_NAMES))
            except NameError:
                continue  # a name that exists for type checkers alone
    if not stated:
        return function
    function.__annotations__ = stated
    return cast(F, jaxtyping.jaxtyped(function, typechecker=beartype))


class _Checked(SourceFileLoader):
    """Imports a module with the decorator ``check`` on each of its functions."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source; nothing is kept on disk."""
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        for node in _functions(tree.body):
            node.decorator_list.append(ast.copy_location(_CHECK, node))
        return compile(tree, path, "exec", dont_inherit=True)


def _functions(block: Iterable[ast.AST]) -> Iterator[ast.FunctionDef]:
    """Find the functions of statements, also nested ones; no statement is within an expression."""
    for node in block:
        if isinstance(node, ast.FunctionDef):
            yield node
        for name in ("body", "orelse", "handlers", "finalbody", "cases"):
            yield from _functions(getattr(node, name, ()))


class _Finder(MetaPathFinder):
    def __init__(self, packages: Iterable[str]) -> None:
        self.packages = tuple(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not f"{fullname}.".startswith(self.packages):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Checked(spec.loader.name, spec.loader.path)
        return spec


def install(*packages: str) -> None:
    """Check the functions of packages that are imported from now on."""
    sys.meta_path.insert(0, _Finder(f"{package}." for package in packages))
