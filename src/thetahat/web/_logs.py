"""The end of what a run printed, from the folder of its process; no path leads out of the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("stdout.log", "stderr.log")
_TAIL = 64 * 1024


def tails(folder: Path, provenance: Mapping[str, Any]) -> dict[str, str]:
    """The last of each log of a run, as text; empty where it has none.

    Args:    folder: of the store; a log that lies outside it, or is led outside it, is not read.
    """
    said = provenance.get("logs")
    if not isinstance(said, str) or not said:
        return {}
    inside = folder.resolve()
    found = {}
    for name in NAMES:
        try:
            path = (inside / said / name).resolve()
            if path.is_relative_to(inside) and path.is_file():
                found[name] = _tail(path)
        except (OSError, ValueError):
            continue
    return found


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        text = file.read(_TAIL).decode("utf-8", "replace")
    if size > _TAIL:
        text = f"… {size - _TAIL:,} bytes before this\n" + text.partition("\n")[2]
    return text
