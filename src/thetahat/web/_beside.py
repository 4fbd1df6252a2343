"""The page beside a command that works: a process of its own, which never holds up training."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from thetahat.core.errors import ConfigError, MissingExtra

_NEW_GROUP = 0x00000200
"""Windows' CREATE_NEW_PROCESS_GROUP."""


@dataclass(frozen=True)
class Beside:
    """A page that is being served by another process."""

    url: str
    process: subprocess.Popen[str]

    def stay(self) -> None:
        """Return only when the page has ended."""
        self.process.wait()


@contextmanager
def page_beside(
    store: str | os.PathLike[str] | None = None, *, browser: bool = False
) -> Iterator[Beside]:
    """Serve the page of a store until the block ends, or this process does, however it ends.

    Args:    store: as ``--store`` gives it.   browser: whether to open one.
    Raises:  MissingExtra: no Starlette or uvicorn.  ConfigError: the page did not start.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise MissingExtra("the page", "ui")
    words = [sys.executable, "-m", "thetahat.web._beside", "1" if browser else "0"]
    words += [] if store is None else [os.fspath(store)]
    # A group of its own: Ctrl-C is for the command, which finishes its chunk and is looked at.
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        creationflags=_NEW_GROUP if os.name == "nt" else 0,
        start_new_session=os.name != "nt",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline().strip()
        if not said.startswith("http"):
            raise ConfigError(said or f"the page ended at once (code {process.wait()})")
        yield Beside(said, process)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def main(words: list[str]) -> int:
    """Serve until standard input ends: it does when the command does, even when that is killed."""
    from thetahat.web._server import serve

    def follow() -> None:
        sys.stdin.read()
        # The store is only read, and pages that listen are not waited for.
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()
    try:
        serve(
            words[1] if len(words) > 1 else None,
            browser=words[0] == "1",
            say=_tell,
        )
    except ConfigError as error:
        _tell(str(error))
        return 2
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
