"""Tokens of the page that are valid after its server starts anew: in a file of their owner's."""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from thetahat.core.errors import ConfigError
from thetahat.core.shell import pasteable

_LINES = re.compile(r"acts ([\w-]{20,200})\nreads ([\w-]{20,200})\n?", re.ASCII)
_MOST_BYTES = 1_000


@dataclass(frozen=True)
class Tokens:
    """One token may do all that the page can; the other only reads."""

    acts: str
    reads: str


def new_tokens() -> Tokens:
    """Draw tokens, of 192 bits each."""
    return Tokens(secrets.token_urlsafe(24), secrets.token_urlsafe(24))


def kept_tokens(path: str | os.PathLike[str]) -> Tokens:
    """Read the tokens in a file; one that is not there is made, for its owner alone.

    Raises:  ConfigError: others may read or change the file, it holds no tokens, or it cannot be
        read or made.
    """
    place = Path(path).expanduser()
    try:
        if not place.exists():
            _make(place, new_tokens())
        found = place.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"--tokens {path} is not a file; give a new one, or one of yours")
        _check_owner(place, found)
        with place.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("ascii", "replace").replace("\r\n", "\n")
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(
            f"--tokens {path} cannot be read or made ({why}); give a file in a folder of yours"
        ) from error
    match = _LINES.fullmatch(text)
    if match is None or match[1] == match[2]:
        raise ConfigError(
            f"--tokens {path} is not as thetahat writes it: two lines, `acts` and `reads`, each"
            " with another token of 20 or more letters, digits, - and _; remove it, and it is made"
            " anew"
        )
    return Tokens(*match.groups())


def _make(place: Path, tokens: Tokens) -> None:
    """Write a whole file at once: another server may look for it at this moment."""
    new = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(f"acts {tokens.acts}\nreads {tokens.reads}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(new, place)
        except FileExistsError:
            return  # the other server was first: its tokens count
        except OSError:  # a file system without such links
            if not place.exists():
                new.rename(place)
    finally:
        new.unlink(missing_ok=True)


def _check_owner(place: Path, found: os.stat_result) -> None:
    if os.name == "nt":  # modes say nothing there
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"--tokens {place} belongs to another user; give a file of yours")
    if found.st_mode & 0o077:
        raise ConfigError(
            f"--tokens {place} can be read or changed by others (mode"
            f" {stat.S_IMODE(found.st_mode):o}); remove it, and it is made anew, or, if no one has"
            f" read it, run {pasteable(['chmod', '600', str(place)])}"
        )
