"""The framing of a ``.wandb`` file: a LevelDB log behind seven bytes of W&B's own.

The file is a row of blocks of 32 KB, of which the first begins with ``:W&B``, a magic number and a
version. A block holds chunks: a checksum (CRC-32 of type and data), a length, a type, the data.
A record is one full chunk, or a first, middle ones and a last.

Source:  the format of LevelDB's log; the seven bytes and the checksum as wandb 0.31 writes them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

BLOCK = 2**15
HEADER = struct.Struct("<IHB")
START = struct.Struct("<4sHB")
IDENT, MAGIC, VERSION = b":W&B", 0xBEE1, 0
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

_AT_ONCE = 2**23


class LogTail:
    """Reads the records of a log that is being written.

    What is not whole yet is read the next time. What is damaged is skipped; ``problem`` says so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """What is wrong with the file, the first time that something is."""
        self._at = 0
        self._parts: list[bytes] = []
        self._suspect = -1
        self._foreign = False

    def new(self) -> Iterator[bytes]:
        """The records that became whole since the last call. The file may be missing yet."""
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
                # The rest of a block that was never written; wait where nothing follows it.
                if here + left >= len(data):
                    return
                self._skip(left)
                continue
            if length <= left - HEADER.size and end > len(data):
                return
            body = data[here + HEADER.size : end]
            if length > left - HEADER.size or zlib.crc32(body, zlib.crc32(bytes([kind]))) != crc:
                if end >= len(data) and self._suspect != self._at:
                    # The last bytes of a file may be seen before they are all there.
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
            self._complain("is no file of wandb; its records")
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
