"""Files that are written whole or not at all; pipes and devices that are given as files."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thetahat.core.errors import ConfigError


def given_path(name: str, given: object, example: str) -> Path:
    """Return a path that the user gave.

    Args:    name: of the argument, for the message.   example: a path that could be given.
    Raises:  ConfigError: something else than a path, or a name that no file can have.
    >>> given_path("path", "wage.theta", "wage.theta").name
    'wage.theta'
    """
    text = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        said = repr(given) if len(repr(given)) <= 80 else f"a {type(given).__name__}"
        raise ConfigError(f"{name}={said} is not the path of a file; give one, such as {example!r}")
    return Path(text)


def refuse_special(path: str | os.PathLike[str]) -> None:
    """Refuse a named pipe or a device: reading it may never end. The shell's <(command) is fine.

    Raises:  OSError.
    """
    mode = os.stat(path).st_mode
    of_shell = stat.S_ISFIFO(mode) and os.fspath(path).startswith(("/dev/", "/proc/"))
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or of_shell):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", os.fspath(path))


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what two paths of one file share; None if the file is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which takes the place of ``path`` if the block succeeds.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> with replacing(path) as new:
    ...     _ = new.write_text("a,b")
    >>> path.read_text()
    'a,b'
    """
    # Beside the file: only within one file system is a rename atomic.
    new = path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield new
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
