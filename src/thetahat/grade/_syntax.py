"""Lines of a program by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def key_line(tree: ast.AST, key: str, *, value: bool = True) -> int:
    """The line of the value that a key gets, in a dict, by keyword or as an item; 0 if none does.

    A value that is a name is followed to the last line that assigns it in the same function.
    """
    for owner in _functions(tree):
        for node in _own(owner):
            found = _value_of_key(node, key)
            if found is None:
                continue
            if value and isinstance(found, ast.Name):
                return assignment_line(owner, found.id, found.lineno) or found.lineno
            return found.lineno
    return 0


def _value_of_key(node: ast.AST, key: str) -> ast.expr | None:
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if isinstance(name, ast.Constant) and name.value == key:
                return value
    elif isinstance(node, ast.keyword) and node.arg == key:
        return node.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        where = node.targets[0].slice
        if isinstance(where, ast.Constant) and where.value == key:
            return node.value
    return None


def assignment_line(owner: ast.AST, name: str, before: int) -> int:
    """The last line above ``before`` that assigns a name; 0 if none does."""
    lines = [
        node.lineno
        for node in _own(owner)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For)
        and node.lineno < before
        and name in _targets(node)
    ]
    return max(lines, default=0)


def kept_lines(tree: ast.AST) -> list[tuple[int, str]]:
    """Lines that keep a state: assignments inside a comparison inside a loop, with their names."""
    found = []
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For | ast.While):
            continue
        for test in ast.walk(loop):
            if isinstance(test, ast.If):
                for node in (one for part in test.body for one in ast.walk(part)):
                    if isinstance(node, ast.Assign | ast.AnnAssign):
                        found += [(node.lineno, name) for name in _targets(node)]
    return sorted(set(found))


def comparison_line(tree: ast.AST, names: set[str]) -> int:
    """The line of the ``if`` under which one of these names is assigned; 0 if there is none."""
    for test in ast.walk(tree):
        if isinstance(test, ast.If):
            for node in (one for part in test.body for one in ast.walk(part)):
                if isinstance(node, ast.Assign | ast.AnnAssign) and names & set(_targets(node)):
                    return test.lineno
    return 0


def names_of_if(tree: ast.AST, line: int) -> set[str]:
    """Names of the comparison that guards a line."""
    best: ast.If | None = None
    for test in ast.walk(tree):
        inside = isinstance(test, ast.If) and test.lineno <= line <= (test.end_lineno or 0)
        if inside and (best is None or test.lineno > best.lineno):
            best = test  # type: ignore[assignment]
    return set() if best is None else {n.id for n in ast.walk(best.test) if isinstance(n, ast.Name)}


def break_line(tree: ast.AST) -> int:
    """The line of the first ``break`` or ``return`` of an ``if`` inside a loop; 0 if none."""
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For | ast.While):
            for node in ast.walk(loop):
                if isinstance(node, ast.Break):
                    return node.lineno
    return 0


def metric_line(tree: ast.AST) -> int:
    """The line of the name of a sweep's metric; 0 if there is no such dict."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            value = _value_of_key(node, "metric")
            name = None if value is None else _value_of_key(value, "name")
            if name is not None:
                return name.lineno
    return 0


def constant_line(tree: ast.AST, text: str) -> int:
    """The line of a text; 0 if there is none."""
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value == text]
    return min(lines, default=0)


def _targets(node: ast.AST) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        one.id
        for target in targets
        if target is not None
        for one in ast.walk(target)
        if isinstance(one, ast.Name)
    ]


def _functions(tree: ast.AST) -> Iterator[ast.AST]:
    """The functions, inner ones first, then the module."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    yield from reversed(found)
    yield tree


def _own(owner: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function without those of functions inside it."""
    stack = list(ast.iter_child_nodes(owner))
    while stack:
        node = stack.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += ast.iter_child_nodes(node)
