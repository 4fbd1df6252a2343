"""Fields of a Task that a backend does not obey: refused, also those that Task gets later."""

from __future__ import annotations

import dataclasses
from typing import Any

from thetahat.core import ConfigError, Task


def check_obeyed(task: Task, *obeyed: str, **choices: tuple[Any, ...]) -> None:
    """Refuse a Task with a field that a backend would ignore.

    A field that is named neither in ``obeyed`` nor in ``choices`` must have its default, so a
    backend refuses new fields of Task until it obeys them.

    Args:    obeyed: the fields that the backend obeys in full.   choices: fields of which it obeys
             these values: ``sampling=("shuffle", "sequential")``.
    Raises:  ConfigError: a field has another value.
    """
    for field in dataclasses.fields(task):
        if field.name in ("model", *obeyed):
            continue
        default = () if field.default is dataclasses.MISSING else (field.default,)
        if field.default_factory is not dataclasses.MISSING:
            default = (field.default_factory(),)
        value, allowed = getattr(task, field.name), choices.get(field.name, default)
        if any(value is one or (type(value) is type(one) and value == one) for one in allowed):
            continue
        shown = getattr(value, "__qualname__", None) or (
            repr(value) if isinstance(value, (str, int, float, dict)) else type(value).__name__
        )
        fix = "leave it out"
        if field.name in choices:
            fix = f"give {' or '.join(map(repr, allowed))}"
        raise ConfigError(
            f"the backend of {type(task.model).__name__} does not support"
            f" {field.name}={shown}; {fix}"
        )
