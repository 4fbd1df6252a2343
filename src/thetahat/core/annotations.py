"""What an annotation of a parameter allows, for messages and for the readers of its values."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Any, Literal, Union

from thetahat.core.errors import ConfigError

EXAMPLES = {float: "0.01", int: "10", bool: "true", str: "word"}
NAMES = {
    float: "a number (float)",
    int: "a whole number (int)",
    bool: "true or false (bool)",
    str: "a word (str)",
}


_NO_TEXT = (bool, int, float, type(None))


def bare(annotation: Any) -> Any:
    """Return an annotation without any marks: ``int`` for ``th.Seed``."""
    while hasattr(annotation, "__metadata__"):
        annotation = typing.get_args(annotation)[0]
    return annotation


def arms(annotation: Any) -> list[Any]:
    """List the alternatives of a union; of another annotation, itself."""
    annotation = bare(annotation)
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [bare(arm) for arm in typing.get_args(annotation)]
    return [type(None) if annotation is None else annotation]


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """List the values of a ``Literal``, or the names of an ``Enum``; empty for another type."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(annotation.__members__)
    return ()


def refuse_text(name: str, value: str, annotation: Any) -> None:
    """Refuse text where an annotation allows true and false, numbers or None only.

    Python takes any text but the empty one for true, "False" too.

    Raises:  ConfigError: the text, and what is needed.
    >>> try:
    ...     refuse_text("wide", "False", bool)
    ... except ConfigError as error:
    ...     print(error)
    wide='False' is text, and wide is true or false (bool); give wide=False
    """
    allowed = arms(annotation)
    if not all(arm in _NO_TEXT for arm in allowed):
        return
    needed = " or ".join(NAMES.get(arm, "None") for arm in allowed)
    words = {"false": False, "no": False, "true": True, "yes": True}
    example: Any = EXAMPLES.get(allowed[0])
    if bool in allowed:
        example = words.get(value.strip().lower(), True)
    raise ConfigError(
        f"{name}={value!r:.80} is text, and {name} is {needed}; give {name}={example}"
    )
