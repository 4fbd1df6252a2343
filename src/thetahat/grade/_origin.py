"""Where a value of a program is made: its lines are traced while it runs again.

A line of the program is one event, with the local names that it bound. The values that matter are
numbers (which line first has this number), iterators (which can be read once) and models.
"""

from __future__ import annotations

import collections.abc
import contextlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from thetahat.grade._contract import scalar

LIMIT = 100_000


@dataclass(frozen=True)
class Binding:
    """A name that a line bound; ``name`` is "" for what a function returned."""

    line: int
    function: str
    name: str
    number: float | None
    kind: str
    """ "number", "iterator", "state" or "other"."""


@dataclass
class LineTrace:
    """The bindings of one run of a program, and where its functions got an argument."""

    file: str
    marked: float
    """The learning rate: parameters that receive it are noted in ``received``."""
    returns: frozenset[int] = frozenset()
    """Lines of ``return`` statements: leaving a ``with`` block goes back to its first line."""
    bindings: list[Binding] = field(default_factory=list)
    received: list[tuple[str, int]] = field(default_factory=list)
    """Names of parameters that were given the learning rate, with the line of the call."""
    _last: dict[int, tuple[int, dict[str, int]]] = field(default_factory=dict)
    _returning: dict[int, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the lines that run inside."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            self._last.clear()

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename != self.file or len(self.bindings) > LIMIT:
            return None
        values = frame.f_locals
        self._last[id(frame)] = (frame.f_lineno, {name: id(v) for name, v in values.items()})
        if frame.f_back is not None and frame.f_code.co_name != "<module>":
            for name in _parameters(frame.f_code):
                if type(values.get(name)) is float and values[name] == self.marked:
                    self.received.append((name, frame.f_back.f_lineno))
        return self._inside

    def _inside(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            self._note(frame)
        if event == "line" and frame.f_lineno in self.returns:
            self._returning[id(frame)] = frame.f_lineno
        if event == "return":
            line, _ = self._last.pop(id(frame), (frame.f_lineno, {}))
            line = self._returning.pop(id(frame), line)
            self._bind(line, frame.f_code.co_name, "", arg)
        return self._inside

    def _note(self, frame: FrameType) -> None:
        line, before = self._last.get(id(frame), (frame.f_lineno, {}))
        values = frame.f_locals
        for name, value in values.items():
            if before.get(name) != id(value):
                self._bind(line, frame.f_code.co_name, name, value)
        self._last[id(frame)] = (frame.f_lineno, {name: id(v) for name, v in values.items()})

    def _bind(self, line: int, function: str, name: str, value: Any) -> None:
        if "Tracer" in type(value).__name__:
            return
        number = scalar(value) if type(value) in (float, int) or _is_one(value) else None
        kind = "number" if number is not None else _kind(value)
        self.bindings.append(Binding(line, function, name, number, kind))

    def first(self, value: float) -> int:
        """The line that first has a number; 0 if no line binds it."""
        for one in self.bindings:
            if one.number is not None and abs(one.number - value) <= 2e-7 * abs(value):
                return one.line
        return 0


def _parameters(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _is_one(value: Any) -> bool:
    """Whether a value is an array of one number."""
    if isinstance(value, type) or not hasattr(value, "__array__"):
        return False
    return math.prod(getattr(value, "shape", (0,))) == 1


def _kind(value: Any) -> str:
    if isinstance(value, collections.abc.Iterator):
        return "iterator"
    if value is None or isinstance(value, str | bool | tuple) or isinstance(value, type(sys)):
        return "other"
    return "state"
