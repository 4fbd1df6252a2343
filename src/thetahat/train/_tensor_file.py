"""Named arrays and one JSON document as a safetensors file: no pickle, and nothing is run.

    8 bytes   length of the header, little-endian
    header    JSON: {"__metadata__": {...}, name: {"dtype", "shape", "data_offsets"}, ...}
    buffer    the arrays' bytes, in the order of the header, without gaps

A reader trusts nothing: every length is compared with the file's own before memory is taken, dtypes
are those of a short list, arrays must fill the buffer exactly, and a digest covers every byte that
counts. The document is text in the metadata, so that other readers of safetensors see it too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thetahat.core import ConfigError, InputError
from thetahat.core.files import replacing
from thetahat.train._memory import total_memory

MOST_HEADER = 1 << 25
"""Bytes of a header at most: a reader parses it whole."""
MOST_DEPTH = 64
"""Levels of nesting in the document at most."""
KIND = "thetahat model"
VERSION = "1"
_KINDS = {
    **{f"F{8 * n}": f"<f{n}" for n in (2, 4, 8)},
    **{f"I{8 * n}": f"<i{n}" for n in (1, 2, 4, 8)},
    **{f"U{8 * n}": f"<u{n}" for n in (1, 2, 4, 8)},
    "BOOL": "|b1",
}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items()}


class _Wrong(Exception):
    """What is wrong with a file, in a few words."""


def write_tensors(path: Path, document: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file of this kind, whole or not at all.

    Args:    document: JSON types.
    Raises:  ConfigError: a file of another kind is there, or the file cannot be written.
    """
    check_place(path)
    try:
        with replacing(path) as new, new.open("wb") as file:
            file.writelines(_parts(path, document, arrays))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"cannot write {path}: {why}; give a file in a folder that exists and is yours"
        ) from error


def check_place(path: Path) -> None:
    """Check, before anything runs, that a file of this kind can be written here.

    Raises:  ConfigError: a file of another kind is there, or no file can be.
    """
    if path.exists() and not (path.is_file() and (path.stat().st_size == 0 or is_ours(path))):
        raise ConfigError(
            f"{path} is there already and is not a saved model; give another name, or move it away"
            " first"
        )
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise ConfigError(f"cannot write {path}; give a file in a folder that exists and is yours")


def read_tensors(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Read what ``write_tensors`` wrote: the document and the arrays.

    Raises:  InputError: no such file, one of another kind or version, a damaged one.
    """
    with explained(path):
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise InputError(f"{path} is not a file; give a file that result.save wrote")
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                table, metadata = _header(file, size)
                buffer = file.read()
        except FileNotFoundError:
            raise InputError(f"there is no file {path}; check the path") from None
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror or error}); give a file that can be read"
            ) from None
        if metadata.get("digest") != _digest(table, metadata["document"], [buffer]):
            raise _Wrong("its checksum is wrong")
        return _json(metadata["document"]), _arrays(table, buffer)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Make one InputError of whatever is found to be wrong with a file inside the block."""
    try:
        yield
    except InputError:
        raise
    except (
        *(_Wrong, LookupError, ValueError, TypeError, AttributeError),
        *(ArithmeticError, RecursionError),
    ) as error:
        raise InputError(
            f"{path} is not a model that thetahat can load ({str(error) or type(error).__name__});"
            " give a file that result.save wrote, or save it again"
        ) from error


def is_ours(path: Path) -> bool:
    """Tell whether a file begins as those of ``write_tensors`` do."""
    try:
        with path.open("rb") as file:
            return f'"kind":"{KIND}"'.encode() in file.read(200)
    except OSError:
        return False


# -- writing --------------------------------------------------------------------------------------


def _parts(path: Path, document: Any, arrays: Mapping[str, np.ndarray]) -> list[bytes]:
    """The bytes of a file."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    table, buffers, at = {}, [], 0
    for name, array in arrays.items():
        kept = np.ascontiguousarray(array)
        kept = kept.astype(kept.dtype.newbyteorder("<"))
        if kept.dtype not in _NAMES:
            raise ConfigError(
                f"{name} has dtype {kept.dtype}, which cannot be saved; use {', '.join(_KINDS)}"
            )
        buffers.append(kept.tobytes())
        span = [at, at := at + len(buffers[-1])]
        shape = list(np.shape(array))
        table[name] = {"dtype": _NAMES[kept.dtype], "shape": shape, "data_offsets": span}
    metadata = {
        "kind": KIND,
        "version": VERSION,
        "digest": _digest(table, text, buffers),
        "document": text,
    }
    header = json.dumps({"__metadata__": metadata, **table}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > MOST_HEADER:
        raise ConfigError(
            f"{path}: the description of this model takes {len(header):,} bytes, and the most is"
            f" {MOST_HEADER:,}; leave large values out of the config"
        )
    return [len(header).to_bytes(8, "little"), header, *buffers]


def _digest(table: Any, text: str, buffers: list[bytes]) -> str:
    digest = hashlib.blake2b(json.dumps(table, sort_keys=True).encode(), digest_size=16)
    digest.update(text.encode())
    for buffer in buffers:
        digest.update(buffer)
    return digest.hexdigest()


# -- reading --------------------------------------------------------------------------------------


def _header(file: Any, size: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The table of arrays and the metadata; every length fits the file's."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise _Wrong("it is cut, or of another kind")
    if length > MOST_HEADER:
        raise _Wrong(f"its header claims {length:,} bytes, and the most is {MOST_HEADER:,}")
    if size > total_memory():
        raise _Wrong(f"its {size:,} bytes are more than this machine's memory")
    try:
        table = _json(file.read(length).decode("utf-8"))
    except UnicodeDecodeError:
        raise _Wrong("it is of another kind") from None
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("kind") != KIND:
        raise _Wrong("it is of another kind")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise _Wrong("its metadata are not text")
    if metadata.get("version") != VERSION:
        raise InputError(
            f"the file has version {metadata.get('version')}, and this thetahat reads version"
            f" {VERSION}; upgrade: pip install -U thetahat"
        )
    _check_table(table, size - 8 - length)
    return table, metadata


def _check_table(table: Mapping[str, Any], room: int) -> None:
    """Check that the arrays of a table fill the buffer's ``room`` bytes, one after the other."""
    at = 0
    for name, entry in table.items():
        shape, span = entry["shape"], entry["data_offsets"]
        if entry["dtype"] not in _KINDS:
            raise _Wrong(f"{name} has the unknown dtype {entry['dtype']!r}")
        if not (isinstance(shape, list) and len(shape) <= 32 and all(map(_is_count, shape))):
            raise _Wrong(f"{name} has no shape")
        if not (isinstance(span, list) and len(span) == 2 and all(map(_is_count, span))):
            raise _Wrong(f"{name} has no place")
        numbers = math.prod(shape)
        if span[0] != at or span[1] != at + numbers * np.dtype(_KINDS[entry["dtype"]]).itemsize:
            raise _Wrong(f"{name} claims another place than its shape needs")
        if (at := span[1]) > room:
            raise _Wrong(f"{name} ends at byte {at:,} of {room:,}")
    if at != room:
        raise _Wrong(f"its arrays take {at:,} of {room:,} bytes")


def _arrays(table: Mapping[str, Any], buffer: bytes) -> dict[str, np.ndarray]:
    found = {}
    for name, entry in table.items():
        first, last = entry["data_offsets"]
        kind = np.dtype(_KINDS[entry["dtype"]])
        array = np.frombuffer(buffer[first:last], kind).reshape(entry["shape"])
        found[name] = array.astype(kind.newbyteorder("="))
    return found


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _json(text: str) -> Any:
    """Read JSON: no key twice, no NaN, and not too deep."""
    found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise _Wrong(f"its JSON is nested more than {MOST_DEPTH} deep")
        values = [v.values() if isinstance(v, dict) else v for v in level]
        level = [w for v in values for w in v if isinstance(w, (dict, list))]
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Wrong("its JSON has a key twice")
    return found


def _no_constant(word: str) -> Any:
    raise _Wrong(f"its JSON holds {word}")
