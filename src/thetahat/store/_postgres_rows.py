"""Send many rows to PostgreSQL at once, and texts without the character that it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BLOCK = {"run_id": "text", "first": "int8", "last": "int8", "count": "int8"}
_BLOCK |= {"columns": "text", "data": "bytea"}
_COPY = f"COPY records ({', '.join(map(json.dumps, _BLOCK))}) FROM STDIN (FORMAT BINARY)"
_SUMMARY = {"run": "text", "now": "text", "last": "text", "epochs": "int8"}
_SUMMARY |= {"best_val_risk": "float8", "best_epoch": "int8"}
_UPDATE = (
    'UPDATE runs SET "last" = new."last", epochs = new.epochs, heartbeat = new.now,'
    " best_val_risk = new.best_val_risk, best_epoch = new.best_epoch"
    " FROM json_to_recordset(%s) AS new("
    + ", ".join(f'"{name}" {kind}' for name, kind in _SUMMARY.items())
    + ") WHERE runs.id = new.run"
)


def copy_blocks(connection: Any, blocks: Iterable[Mapping[str, Any]]) -> None:
    """Insert blocks of records, in their order, while the next ones are made."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(list(_BLOCK.values()))
        for block in blocks:
            row = {**block, "columns": storable(block["columns"])}
            copy.write_row([row[name] for name in _BLOCK])


def update_summaries(connection: Any, summaries: Sequence[Mapping[str, Any]]) -> None:
    """Update the summaries of runs, in one statement, with the last records as objects.

    PostgreSQL stores the text of such an object as it stands in the list.
    """
    rows = json.dumps(summaries, ensure_ascii=False, allow_nan=False)
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [storable(rows)])


def text_dumper() -> Any:
    """Return psycopg's dumper of texts, without the character NUL, which PostgreSQL refuses."""
    from psycopg.types.string import StrDumperUnknown

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(storable(obj))

    return Dumper


def storable(text: str) -> str:
    """Return a text without the character NUL, also where it is JSON."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return without_nul(text) if "\\u0000" in text else text


def without_nul(text: str) -> str:
    """Replace NUL in JSON by the character for what cannot be shown.

    >>> print(without_nul(r'["a\\u0000b", "c:\\\\u0000"]'))
    ["a\\ufffdb", "c:\\\\u0000"]
    """
    parts = text.split("\\u0000")
    for k, part in enumerate(parts[:-1]):
        slashes = len(part) - len(part.rstrip("\\"))
        parts[k] = part + ("\\u0000" if slashes % 2 else "\\ufffd")
    return "".join(parts)
