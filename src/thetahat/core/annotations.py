"""What an annotation of a parameter allows, for messages and for the readers of its values."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Any, Literal, Union

EXAMPLES = {float: "0.01", int: "10", bool: "true", str: "word"}
NAMES = {
    float: "a number (float)",
    int: "a whole number (int)",
    bool: "true or false (bool)",
    str: "a word (str)",
}


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
