"""What a record of a ``.wandb`` file says: just enough of protobuf to read it.

A record is a protobuf message, of which five kinds matter here: a row of history (field 2), an
update of the summary (field 3), one of the config (field 5), what the run is called (field 17), and
the exit code (field 18).

Source:  the field numbers of wandb_internal.proto, wandb 0.31 (MIT).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from thetahat.sweep.processes._capture import number_of

_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_KEY, _NESTED, _BOOLEAN, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 1, 2, 4, 5, 6, 7, 8, 16
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")
_MEDIA = "_type"
"""The key that W&B gives to pictures, tables and the like, beside their sizes and hashes."""
_LABELS = {6: "group", 7: "job_type", 9: "notes"}
_RUN_CONFIG, _RUN_NAME, _RUN_TAGS = 4, 8, 10

Path = tuple[str, ...]
"""A name of W&B's, with those of the mappings it stands in before it."""


@dataclass(frozen=True)
class Row:
    """One row of history: a step, its numbers, and what is no number."""

    step: int
    values: Mapping[str, float]
    words: Mapping[str, Any] = field(default_factory=dict)
    """Texts, true and false, lists."""
    media: Mapping[str, str] = field(default_factory=dict)
    """Kinds of pictures, tables and the like, by name."""


@dataclass(frozen=True)
class Summary:
    """Changes of the summary: new values, and names that were removed."""

    values: Mapping[str, float]
    removed: tuple[str, ...] = field(default=())
    words: Mapping[str, Any] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """Changes of the config: new values, each with its path, and paths that were removed."""

    values: tuple[tuple[Path, Any], ...] = ()
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Named:
    """What the program calls its run, and all of its config at that moment."""

    name: str
    labels: Mapping[str, Any]
    """group, job_type, notes and tags, as far as they were given."""
    config: Config


@dataclass(frozen=True)
class Exit:
    """The program has finished its wandb run."""

    code: int


Record = Row | Summary | Config | Named | Exit


def read_record(data: bytes) -> Record | None:
    """What a record says; None for a record of another kind.

    Raises:  ValueError: these bytes are no message.
    """
    for number, value in fields(data):
        if number == _HISTORY:
            return _row(_message(value))
        if number == _SUMMARY:
            return _summary(_message(value))
        if number == _CONFIG:
            return _config(_message(value))
        if number == _RUN:
            return _named(_message(value))
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
    step, items = 0, []
    for number, value in fields(data):
        if number == 1:
            path, item = _item(_message(value))
            if path == ("_step",) and isinstance(item, int):
                step = item
            items.append((path, item))
        elif number == 2:
            found = dict(fields(_message(value))).get(1, step)
            step = found if isinstance(found, int) else step
    return Row(step, *_parts(items))


def _summary(data: bytes) -> Summary:
    items, removed = [], []
    for number, value in fields(data):
        if number in (1, 2):
            path, item = _item(_message(value))
            if number == 1:
                items.append((path, item))
            else:
                removed.append(".".join(path))
    values, words, media = _parts(items)
    return Summary(values, tuple(removed), words, media)


def _config(data: bytes) -> Config:
    values, removed = [], []
    for number, value in fields(data):
        if number in (1, 2):
            path, item = _item(_message(value))
            if path and path[0] not in _OWN:
                values.append((path, item)) if number == 1 else removed.append(path)
    return Config(tuple(values), tuple(removed))


def _named(data: bytes) -> Named:
    name, config = "", Config()
    labels: dict[str, Any] = {}
    tags: list[str] = []
    for number, value in fields(data):
        if isinstance(value, int):
            continue
        if number == _RUN_CONFIG:
            config = _config(value)
        elif number == _RUN_NAME:
            name = _text(value)
        elif number == _RUN_TAGS:
            tags.append(_text(value))
        elif number in _LABELS and value:
            labels[_LABELS[number]] = _text(value)
    return Named(name, {**labels, "tags": tags} if tags else labels, config)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _item(data: bytes) -> tuple[Path, Any]:
    name, nested = "", []
    item: Any = None
    for number, value in fields(data):
        if isinstance(value, int):
            if number == _BOOLEAN:
                item = bool(value)
            elif number == _INTEGER:
                item = (value >> 1) ^ -(value & 1)
        elif number == _KEY:
            name = _text(value)
        elif number == _NESTED:
            nested.append(_text(value))
        elif number == _NUMBER and len(value) == 8:
            item = struct.unpack("<d", value)[0]
        elif number == _TEXT:
            item = _text(value)
        elif number in (_JSON, _VALUE_JSON):
            item = _from_json(value)
    return (name,) if name else tuple(nested), item


def _from_json(value: bytes) -> Any:
    try:
        return json.loads(value.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _parts(
    items: Iterable[tuple[Path, Any]],
) -> tuple[dict[str, float], dict[str, Any], dict[str, str]]:
    """Numbers, words and kinds of media, nested ones under dotted names.

    A medium's own numbers, such as the width of a picture, are no metrics.
    """
    leaves = [leaf for path, item in items for leaf in _leaves(path, item)]
    media = {path[:-1]: kind for path, kind in leaves if path[-1] == _MEDIA and path[1:]}
    numbers: dict[str, float] = {}
    words: dict[str, Any] = {}
    for path, value in leaves:
        if media and any(path[:n] in media for n in range(1, len(path) + 1)):
            continue
        number = number_of(value)
        if number is not None:
            numbers[".".join(path)] = number
        elif value is not None:
            words[".".join(path)] = value
    return numbers, words, {".".join(path): str(kind) for path, kind in media.items()}


def _leaves(path: Path, item: Any) -> Iterator[tuple[Path, Any]]:
    if not path or path[0].partition(".")[0] in _OWN:
        return
    if isinstance(item, dict):
        for key, value in item.items():
            yield from _leaves((*path, str(key)), value)
    else:
        yield path, item
