"""What a record of a ``.wandb`` file says: just enough of protobuf to read metrics.

A record is a protobuf message, of which three kinds matter here: a row of history (field 2), an
update of the summary (field 3), and the exit code (field 18).

Source:  the field numbers of wandb_internal.proto, wandb 0.31 (MIT).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from thetahat.sweep._stdout import number_of

_HISTORY, _SUMMARY, _EXIT = 2, 3, 18
_KEY, _NESTED, _BOOLEAN, _INTEGER, _NUMBER, _JSON, _VALUE_JSON = 1, 2, 4, 5, 6, 8, 16
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")


@dataclass(frozen=True)
class Row:
    """One row of history: a step and its numbers."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """Changes of the summary: new values, and names that were removed."""

    values: Mapping[str, float]
    removed: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Exit:
    """The program has finished its wandb run."""

    code: int


def read_record(data: bytes) -> Row | Summary | Exit | None:
    """What a record says; None for a record of another kind.

    Raises:  ValueError: these bytes are no message.
    """
    for number, value in fields(data):
        if number == _HISTORY:
            return _row(_message(value))
        if number == _SUMMARY:
            return _summary(_message(value))
        if number == _EXIT:
            code = dict(fields(_message(value))).get(1, 0)
            return Exit(code if isinstance(code, int) else 0)
    return None


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: varints as int, everything else as bytes.

    Raises:  ValueError: these bytes are no message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
        if at + length > len(data):
            raise ValueError("a field that is longer than its message")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("an integer without an end")


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message is due")
    return value


def _row(data: bytes) -> Row:
    step, values = 0, {}
    for number, value in fields(data):
        if number == 1:
            name, item = _item(_message(value))
            if name == "_step" and isinstance(item, int):
                step = item
            values.update(_numbers(name, item))
        elif number == 2:
            found = dict(fields(_message(value))).get(1, step)
            step = found if isinstance(found, int) else step
    return Row(step, values)


def _summary(data: bytes) -> Summary:
    values: dict[str, float] = {}
    removed = []
    for number, value in fields(data):
        if number in (1, 2):
            name, item = _item(_message(value))
            if number == 1:
                values.update(_numbers(name, item))
            else:
                removed.append(name)
    return Summary(values, tuple(removed))


def _item(data: bytes) -> tuple[str, Any]:
    name, nested = "", []
    item: Any = None
    for number, value in fields(data):
        if isinstance(value, int):
            if number == _BOOLEAN:
                item = bool(value)
            elif number == _INTEGER:
                item = (value >> 1) ^ -(value & 1)
        elif number == _KEY:
            name = value.decode("utf-8", "replace")
        elif number == _NESTED:
            nested.append(value.decode("utf-8", "replace"))
        elif number == _NUMBER and len(value) == 8:
            item = struct.unpack("<d", value)[0]
        elif number in (_JSON, _VALUE_JSON):
            item = _from_json(value)
    return name or ".".join(nested), item


def _from_json(value: bytes) -> Any:
    try:
        return json.loads(value.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _numbers(name: str, item: Any) -> dict[str, float]:
    """The numbers of a value, nested ones under dotted names; pictures and tables have none."""
    if name.partition(".")[0] in _OWN:
        return {}
    if isinstance(item, dict):
        if "_type" in item:
            return {}
        inner = (_numbers(f"{name}.{key}", value) for key, value in item.items())
        return {key: value for numbers in inner for key, value in numbers.items()}
    number = number_of(item)
    return {} if number is None else {name: number}
