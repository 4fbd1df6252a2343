"""What a program gives to be kept as a file: its bytes, and the kind by which pages show it.

The ending of the name chooses the kind: PNG, JPEG, GIF, WebP and SVG are images, HTML is a page.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.core.files import given_path, refuse_special

MOST_BYTES = 2**30
"""Limit of the bytes of one file."""
_KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".htm": "text/html",
    ".json": "application/json",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".md": "text/plain",
}


def media_type(name: str) -> str:
    """Return the media type of a name, by its ending.

    >>> media_type("fit.png"), media_type("model.pt")
    ('image/png', 'application/octet-stream')
    """
    return _KINDS.get(os.path.splitext(name)[1].lower(), "application/octet-stream")


def given_file(name: Any, content: Any) -> tuple[str, bytes | Path]:
    """Return the name of a file to keep, and its bytes or its path.

    Args:    name: of the file; alone, the path of a file.   content: a path, bytes, a text, a
             figure of matplotlib, an image of Pillow, or an array (rows, columns[, 3 or 4]).
    Raises:  ConfigError: no such file, one that is too large, or another content.
    """
    if content is None:
        path = given_path("run.log_file: path", name, "fit.png")
        return path.name, _existing(path)
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if isinstance(content, os.PathLike):
        return name, _existing(Path(content))
    data = _bytes(str(name), content)
    if len(data) > MOST_BYTES:
        raise ConfigError(_too_large(str(name), len(data)))
    return name, data


def _existing(path: Path) -> Path:
    try:
        refuse_special(path)
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"run.log_file: {path} cannot be read ({why})") from error
    if path.is_dir():
        raise ConfigError(f"run.log_file: {path} is a folder; give a file, or a .zip of the folder")
    if size > MOST_BYTES:
        raise ConfigError(_too_large(str(path), size))
    return path


def _too_large(name: str, size: int) -> str:
    return (
        f"run.log_file: {name} has {size:,} bytes, which is above the limit of {MOST_BYTES:,}"
        " (1 GiB); keep it elsewhere, and log a text with its path"
    )


def _bytes(name: str, content: Any) -> bytes:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        return content.encode("utf-8", "backslashreplace")
    ending = os.path.splitext(name)[1].lower().lstrip(".")
    save = getattr(content, "savefig", None) or getattr(content, "save", None)
    if callable(save):
        buffer = io.BytesIO()
        try:
            save(buffer, format={"jpg": "jpeg"}.get(ending, ending) or "png")
        except (ValueError, KeyError, OSError) as error:
            raise ConfigError(
                f"run.log_file: {name!r} cannot be written ({error}); end the name in .png"
            ) from error
        return buffer.getvalue()
    if hasattr(content, "shape") and ending == "png":
        return png(name, content)
    raise ConfigError(
        f"run.log_file: {name!r} is a {type(content).__name__}; give a path, bytes, a text, a"
        " figure, or an array under a name that ends in .png"
    )


def png(name: str, pixels: Any) -> bytes:
    """Write an array (rows, columns) or (rows, columns, 3 or 4) as a PNG file.

    Integers are 0 to 255; floats are 0 to 1, and stretched to it if any is outside.

    Raises:  ConfigError: an array of another shape.
    """
    import numpy as np

    array = np.asarray(pixels.detach().cpu() if hasattr(pixels, "detach") else pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ConfigError(
            f"run.log_file: the image {name!r} has the shape {array.shape}; give (rows, columns) or"
            " (rows, columns, 3 or 4)"
        )
    if array.dtype.kind == "f":
        array = np.nan_to_num(array.astype(np.float64), posinf=1.0, neginf=0.0)
        low, high = array.min(), array.max()
        if low < 0 or high > 1:
            array = (array - low) / (high - low or 1.0)
        array = np.rint(array * 255)
    rows = np.clip(array, 0, 255).astype(np.uint8).reshape(array.shape[0], -1)
    lines = np.hstack([np.zeros((len(rows), 1), np.uint8), rows]).tobytes()
    color = {1: 0, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, color, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
