"""Constraints between parameters, such as ``width <= 4 * depth``: which configs may run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.search._random import random_draws
from thetahat.search._space import Space
from thetahat.search._trials import Proposals, Sampler, SearchHistory

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "len": len,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
}
_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    # Of floats: a power of whole numbers may be too large for the memory.
    ast.Pow: lambda a, b: float(a) ** float(b),
}
_COMPARED: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_REFUSED = 20_000
"""Proposals in a row that the constraints may refuse, after which none is left."""
_GUIDED = 100
"""Refused proposals in a row of a search, after which points are drawn at random."""


class _Absent(Exception):
    """The config lacks a parameter of the constraint."""


@dataclass(frozen=True)
class Constraint:
    """A condition on a config, in Python's grammar: names are parameters.

    A config without one of the parameters satisfies it.

    Raises:  ConfigError: not an expression of names, numbers, texts, comparisons and arithmetic.

    >>> one = Constraint("width <= 4 * depth and act in ('relu', 'tanh')")
    >>> one.accepts({"width": 8, "depth": 2, "act": "relu"}), sorted(one.names)
    (True, ['act', 'depth', 'width'])
    """

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if not isinstance(node, _ALLOWED):
                self._refuse(f"it may not contain {type(node).__name__}")
            if isinstance(node, ast.Call) and (
                not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS
            ):
                self._refuse(f"its functions are {', '.join(_FUNCTIONS)}")

    def _refuse(self, why: str) -> None:
        raise ConfigError(
            f"the constraint {self.text!r} cannot be read: {why}; write a comparison of parameters,"
            " such as 'width <= 4 * depth'"
        )

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"the constraint {self.text!r} is not an expression"
                f" ({getattr(error, 'msg', error)}); write one such as 'width <= 4 * depth'"
            ) from None

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters that it names, nested ones with dots."""
        inner = {id(n.value) for n in ast.walk(self._tree) if isinstance(n, ast.Attribute)}
        inner |= {id(n.func) for n in ast.walk(self._tree) if isinstance(n, ast.Call)}
        named = (n for n in ast.walk(self._tree) if isinstance(n, (ast.Name, ast.Attribute)))
        return frozenset(ast.unparse(n) for n in named if id(n) not in inner)

    def accepts(self, config: Mapping[str, Any]) -> bool:
        """Check a config.

        Raises:  ConfigError: its values cannot be compared so.
        """
        try:
            return bool(_value(self._tree, config))
        except _Absent:
            return True
        except (ArithmeticError, TypeError, ValueError) as error:
            values = {name: _inside(config, name) for name in sorted(self.names)}
            raise ConfigError(
                f"the constraint {self.text!r} fails at {values}: {error}; write it so that it"
                " holds for every value that a parameter can have"
            ) from None


_ALLOWED = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Compare),
    *(ast.IfExp, ast.Call, ast.Name, ast.Attribute, ast.Load, ast.Constant, ast.Tuple, ast.List),
    *(*_BINARY, *_COMPARED),
)


def _value(node: ast.expr, config: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            return _inside(config, ast.unparse(node))
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [_value(part, config) for part in parts]
        case ast.UnaryOp(op=ast.Not(), operand=one):
            return not _value(one, config)
        case ast.UnaryOp(operand=one):
            return -_value(one, config)
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, config), _value(right, config))
        case ast.BoolOp(op=op, values=parts):
            every = all if isinstance(op, ast.And) else any
            return every(_value(part, config) for part in parts)
        case ast.IfExp(test=test, body=body, orelse=other):
            return _value(body if _value(test, config) else other, config)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_value(one, config) for one in args))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(one, config) for one in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARED[type(op)](a, b) for op, a, b in pairs)
    raise AssertionError(ast.dump(node))


def _inside(config: Mapping[str, Any], name: str) -> Any:
    """Return a parameter's value: by its whole name, else inside of mappings."""
    if name in config:
        return config[name]
    found: Any = config
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise _Absent(name)
        found = found[part]
    return found


def accepts_all(constraints: Sequence[Constraint]) -> Callable[[Mapping[str, Any]], bool]:
    """Return the check of a config against all constraints."""
    return lambda config: all(one.accepts(config) for one in constraints)


def constrained(
    sample: Sampler, accepts: Callable[[Mapping[str, Any]], bool], *, walks: bool = False
) -> Sampler:
    """Return a sampler that leaves out what the constraints refuse.

    It asks the sampler again in place of a refused config, and after many in a row draws at random.
    If very many are refused, it is exhausted: what is feasible has run, or is tiny.

    Args:    walks: whether the sampler visits every point once, as a grid.
    """

    def asked(space: Space, history: SearchHistory, seed: int, n: int) -> Proposals:
        configs: list[dict[str, Any]] = []
        position, refused, exhausted = history.position, 0, False
        while len(configs) < n and not exhausted and (walks or refused < _REFUSED):
            at = SearchHistory(history.trials, position, history.metric)
            guided = walks or refused < _GUIDED
            found = (sample if guided else random_draws)(space, at, seed, n - len(configs))
            position, exhausted = found.position, found.exhausted
            feasible = [config for config in found.configs if accepts(config)]
            refused = 0 if feasible else refused + max(1, len(found.configs))
            configs += feasible
        return Proposals(configs, position, exhausted or len(configs) < n)

    return asked


def feasible_points(
    space: Space, accepts: Callable[[Mapping[str, Any]], bool], most: int
) -> int | None:
    """Count the points of a grid that constraints accept; None beyond ``most`` points."""
    size = space.size
    if size is None or size > most:
        return None
    return sum(accepts(space.point(i)) for i in range(size))
