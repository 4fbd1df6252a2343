"""Wrong arguments of public functions and classes: a message with the known ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from thetahat.core.annotations import refuse_text
from thetahat.core.elsewhere import argument_hint
from thetahat.core.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class UnknownArgument(ConfigError, TypeError):
    """An argument that a function does not have, or lacks; a TypeError, as Python's own."""


def arguments_named(function: F) -> F:
    """Decorate a public function or class: refuse an unknown argument with the nearest known one,
    and text where true or false is needed.

    >>> @arguments_named
    ... def read(path, missing="refuse"):
    ...     return path
    >>> try:
    ...     read("a.csv", misssing="drop")
    ... except TypeError as error:
    ...     print(error)
    read() has no argument 'misssing'; did you mean 'missing'?
    """
    if isinstance(function, type):
        kind: Any = function
        kind.__init__ = _named(kind.__init__, kind.__name__)
        return kind
    return _named(function, function.__name__)


def _named(function: Any, name: str) -> Any:
    parameters = inspect.signature(function).parameters
    known = [p for p in parameters if p != "self"]
    names = frozenset(known)
    flags = frozenset(n for n, p in parameters.items() if p.annotation in ("bool", "bool | None"))

    @functools.wraps(function)
    def checked(*args: Any, **given: Any) -> Any:
        if not names.issuperset(given):
            unknown = next(word for word in given if word not in names)
            hint = argument_hint(unknown, known, name)
            raise UnknownArgument(f"{name}() has no argument {unknown!r}{hint}")
        for word in flags.intersection(given):
            if isinstance(given[word], str):
                refuse_text(word, given[word], bool)
        try:
            return function(*args, **given)
        except TypeError as error:
            call = error.__traceback__
            if call is None or call.tb_next is not None:
                raise  # from inside the function
            said = str(error).partition("() ")[2] or str(error)
            said = said.replace("positional argument", "argument").replace("required ", "")
            raise UnknownArgument(f"{name}() {said}; it takes {', '.join(known)}") from None

    return checked
