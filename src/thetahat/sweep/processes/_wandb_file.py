"""Read the records of a ``.wandb`` file: the framing of the file, and just enough of protobuf.

The file is a LevelDB log behind seven bytes of W&B's own: ``:W&B``, a magic number and a version.
It is a row of blocks of 32 KB. A block holds chunks: a checksum (CRC-32 of type and data), a
length, a type, the data. A record is one full chunk, or a first, middle ones and a last.

A record is a protobuf message; five kinds matter here: a row of history (field 2), an update of the
summary (field 3), one of the config (field 5), the run's name and labels (field 17), and the exit
code (field 18).

Source:  LevelDB's log format; wandb_internal.proto, the seven bytes and the checksum of wandb 0.31
         (MIT).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thetahat.sweep.processes._capture import number_of

_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT = 2, 3, 5, 17, 18
_KEY, _NESTED, _BOOLEAN, _INTEGER, _NUMBER, _TEXT, _JSON, _VALUE_JSON = 1, 2, 4, 5, 6, 7, 8, 16
_OWN = ("_step", "_runtime", "_timestamp", "_wandb")
_MEDIA = "_type"
"""The key by which W&B marks images, tables and other media, beside their sizes and hashes."""
_LABELS = {6: "group", 7: "job_type", 9: "notes"}
_RUN_CONFIG, _RUN_NAME, _RUN_TAGS, _RUN_START = 4, 8, 10, 17
_PLACE = {1: "id", 2: "entity", 3: "project", 12: "sweep"}

Keys = tuple[str, ...]
"""The keys of a value of W&B's, from the outermost mapping to the innermost."""


@dataclass(frozen=True)
class Row:
    """One row of history: a step, its numbers and its other values."""

    step: int
    values: Mapping[str, float]
    words: Mapping[str, Any] = field(default_factory=dict)
    """Texts, booleans and lists."""
    media: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Images, tables and other media by name: their ``_type``, ``path`` and the like."""
    mappings: tuple[str, ...] = field(default=(), compare=False)
    """Names of values that are mappings."""


@dataclass(frozen=True)
class WandbSummary:
    """Changes of the summary: new values, and names that were removed."""

    values: Mapping[str, float]
    removed: tuple[str, ...] = field(default=())
    words: Mapping[str, Any] = field(default_factory=dict)
    media: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mappings: tuple[str, ...] = field(default=(), compare=False)
    """Names of values that are mappings: theirs have names with dots, as others may."""
    whole: tuple[str, ...] = field(default=(), compare=False)
    """Those that are given whole: they take the place of what was there."""


@dataclass(frozen=True)
class WandbConfig:
    """Changes of the config: new values, each with its path, and paths that were removed."""

    values: tuple[tuple[Keys, Any], ...] = ()
    removed: tuple[Keys, ...] = ()


@dataclass(frozen=True)
class Named:
    """The name and labels of the run, and all of its config at that moment."""

    name: str
    labels: Mapping[str, Any]
    """group, job_type, notes and tags, if they were set."""
    config: WandbConfig
    place: Mapping[str, str] = field(default_factory=dict)
    """id, entity, project and sweep, as W&B has them."""
    began: float | None = None
    """When it began, in seconds since 1970."""


@dataclass(frozen=True)
class Exit:
    """The program has finished its wandb run."""

    code: int
    seconds: float = 0.0


WandbRecord = Row | WandbSummary | WandbConfig | Named | Exit


def read_record(data: bytes) -> WandbRecord | None:
    """Decode a record; None for a record of another kind.

    Raises:  ValueError: these bytes are not a message.
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
            found = dict(fields(_message(value)))
            code, seconds = found.get(1, 0), found.get(2, 0)
            ints = [n if isinstance(n, int) else 0 for n in (code, seconds)]
            return Exit(ints[0], float(ints[1]))
    return None


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: varints as int, others as bytes.

    Raises:  ValueError: these bytes are not a message.
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
    numbers, words, media = _parts(items)
    return Row(step, numbers, words, media, _mappings(items, media))


def _summary(data: bytes) -> WandbSummary:
    items, removed = [], []
    for number, value in fields(data):
        if number in (1, 2):
            path, item = _item(_message(value))
            if number == 1:
                items.append((path, item))
            else:
                removed.append(".".join(path))
    values, words, media = _parts(items)
    mappings = _mappings(items, media)
    given = {path[0] for path, item in items if len(path) == 1 and isinstance(item, dict)}
    whole = tuple(name for name in mappings if name in given)
    return WandbSummary(values, tuple(removed), words, media, mappings, whole)


def _mappings(items: Iterable[tuple[Keys, Any]], media: Collection[str]) -> tuple[str, ...]:
    """Return the names of values that are mappings, and no media."""
    nested = {
        path[0]: 0
        for path, item in items
        if path and path[0] not in media and (path[1:] or isinstance(item, dict))
    }
    return tuple(name for name in nested if name.partition(".")[0] not in _OWN)


def _config(data: bytes) -> WandbConfig:
    values, removed = [], []
    for number, value in fields(data):
        if number in (1, 2):
            path, item = _item(_message(value))
            if path and path[0] not in _OWN:
                values.append((path, item)) if number == 1 else removed.append(path)
    return WandbConfig(tuple(values), tuple(removed))


def _named(data: bytes) -> Named:
    name, config, began = "", WandbConfig(), None
    labels: dict[str, Any] = {}
    place: dict[str, str] = {}
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
        elif number == _RUN_START:
            clock = {k: v for k, v in fields(value) if isinstance(v, int)}
            began = clock.get(1, 0) + clock.get(2, 0) / 1e9
        elif number in _PLACE and value:
            place[_PLACE[number]] = _text(value)
        elif number in _LABELS and value:
            labels[_LABELS[number]] = _text(value)
    return Named(name, {**labels, "tags": tags} if tags else labels, config, place, began)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _item(data: bytes) -> tuple[Keys, Any]:
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
    items: Iterable[tuple[Keys, Any]],
) -> tuple[dict[str, float], dict[str, Any], dict[str, dict[str, Any]]]:
    """Return numbers, other values and media, nested ones under dotted names.

    The numbers of media, such as the width of an image, are not metrics.
    """
    leaves = [leaf for path, item in items for leaf in _leaves(path, item)]
    media: dict[Keys, dict[str, Any]] = {
        path[:-1]: {} for path, _ in leaves if path[-1] == _MEDIA and path[1:]
    }
    numbers: dict[str, float] = {}
    words: dict[str, Any] = {}
    for path, value in leaves:
        at = next((n for n in range(1, len(path) + 1) if path[:n] in media), None)
        if at is not None:
            media[path[:at]][".".join(path[at:])] = value
            continue
        number = number_of(value)
        if number is not None:
            # A large whole number keeps its digits in the summary.
            numbers[".".join(path)] = value if type(value) is int else number
        elif value is not None:
            words[".".join(path)] = value
    return numbers, words, {".".join(path): found for path, found in media.items()}


def _leaves(path: Keys, item: Any) -> Iterator[tuple[Keys, Any]]:
    if not path or path[0].partition(".")[0] in _OWN:
        return
    if isinstance(item, dict):
        for key, value in item.items():
            yield from _leaves((*path, str(key)), value)
    else:
        yield path, item


BLOCK = 2**15
HEADER = struct.Struct("<IHB")
START = struct.Struct("<4sHB")
IDENT, MAGIC, VERSION = b":W&B", 0xBEE1, 0
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

_AT_ONCE = 2**23


class LogTail:
    """Reads the records of a log that is being written.

    A record that is not complete yet is read later. Damaged ones are skipped; see ``problem``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """The first error that was found in the file."""
        self._at = 0
        self._parts: list[bytes] = []
        self._suspect = -1
        self._foreign = False

    def new(self) -> Iterator[bytes]:
        """Yield the records that are complete since the last call; the file may not exist yet."""
        try:
            with self.path.open("rb") as file:
                while not self._foreign:
                    file.seek(self._at)
                    before, data = self._at, file.read(_AT_ONCE)
                    yield from self._read(data)
                    if self._at == before or len(data) < _AT_ONCE:
                        return
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(f"cannot be read ({error.strerror or error})")

    def _read(self, data: bytes) -> Iterator[bytes]:
        start = self._at
        if start == 0 and not self._is_log(data):
            return
        while True:
            here = self._at - start
            left = BLOCK - self._at % BLOCK
            if left < HEADER.size:
                self._at += left
                continue
            if here + HEADER.size > len(data):
                return
            crc, length, kind = HEADER.unpack_from(data, here)
            end = here + HEADER.size + length
            if crc == length == kind == 0:
                # A block that was not filled; wait if it is the last.
                if here + left >= len(data):
                    return
                self._skip(left)
                continue
            if length <= left - HEADER.size and end > len(data):
                return
            body = data[here + HEADER.size : end]
            if length > left - HEADER.size or zlib.crc32(body, zlib.crc32(bytes([kind]))) != crc:
                if end >= len(data) and self._suspect != self._at:
                    # The last bytes of the file may not be written yet.
                    self._suspect = self._at
                    return
                self._complain(f"is damaged at byte {self._at}; the records up to the next block")
                self._skip(left)
                continue
            self._at += HEADER.size + length
            record = self._joined(kind, body)
            if record is not None:
                yield record

    def _is_log(self, data: bytes) -> bool:
        if len(data) < START.size:
            return False
        ident, magic, version = START.unpack_from(data)
        if (ident, magic) != (IDENT, MAGIC):
            self._complain("is not a file of wandb; its records")
            self._foreign = True
        elif version != VERSION:
            self._complain(f"is of version {version}, which this thetahat cannot read; its records")
            self._foreign = True
        else:
            self._at = START.size
        return not self._foreign

    def _joined(self, kind: int, body: bytes) -> bytes | None:
        if kind == FULL:
            self._parts = []
            return body
        if kind == FIRST:
            self._parts = [body]
        elif self._parts and kind in (MIDDLE, LAST):
            self._parts.append(body)
            if kind == LAST:
                whole, self._parts = b"".join(self._parts), []
                return whole
        return None

    def _skip(self, left: int) -> None:
        self._parts = []
        self._at += left

    def _complain(self, what: str) -> None:
        end = "" if what.endswith(")") else " are left out"
        self.problem = self.problem or f"{self.path.name} {what}{end}"
