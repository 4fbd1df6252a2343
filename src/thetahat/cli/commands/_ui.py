"""``thetahat ui``: look at sweeps and runs in a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from thetahat.cli._parser import add_store, add_switch, add_value, whole_number
from thetahat.cli.terminal._output import print_beside
from thetahat.core.errors import StoreError
from thetahat.core.places import Server, locate

DESCRIPTION = (
    "Serve a page of the store's sweeps and runs to your browser, live, until Ctrl-C. Only this"
    " machine can reach it, with the token in the address; it loads nothing from any other."
)
EXAMPLES = """\
examples:
  thetahat ui                            of the store here, in your browser
  thetahat ui --store runs.db --port 9000 --no-browser
  ssh -L 8642:localhost:8642 machine     looks at the page of another machine
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``ui``."""
    add_value(
        parser,
        "--port P",
        "(default: 8642, or the next that is free; 0: any free one)",
        whole_number(0, 65535),
    )
    add_value(
        parser,
        "--host H",
        "another address than 127.0.0.1",
        _host,
        "127.0.0.1",
    )
    add_switch(
        parser,
        "--no-token",
        "ask for no token: every user who reaches the address sees the runs, and can cancel sweeps",
    )
    add_switch(
        parser,
        "--readers",
        "print a second address too, whose token only reads: it cannot pause or cancel",
    )
    add_value(
        parser,
        "--tokens FILE",
        "keep the tokens there: the addresses stay valid when the page starts anew",
    )
    add_value(
        parser,
        "--behind URL",
        "the address at which a reverse proxy serves the page, such as https://lab.org/wages",
    )
    add_switch(parser, "--no-browser", "print the address, open nothing")
    add_store(parser)


def _host(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("=: give an address, such as 0.0.0.0 for all of them")
    return text


def _say_readers(url: str) -> None:
    print(f"to read only: {url}", flush=True)


def run(args: argparse.Namespace) -> int:
    """Serve the page."""
    from thetahat.web import serve

    path = locate(args.store)
    if not isinstance(path, Server) and path.parent.is_file():
        raise StoreError(
            f"{path.parent} is a file of another kind, not a store; give a folder, or a file such"
            " as runs.db"
        )
    try:
        serve(
            args.store,
            host=args.host,
            port=args.port,
            browser=not args.no_browser,
            token=not args.no_token,
            tokens=args.tokens,
            behind=args.behind,
            say_readers=_say_readers if args.readers else None,
            say=lambda url: print(f"the page is at {url}  (Ctrl-C ends it)", flush=True),
        )
    except KeyboardInterrupt:
        print()
    return 0


@contextmanager
def beside(args: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """Serve the page while a command works, if it has ``--ui``.

    Yields a function to call after the work: at a terminal it keeps the page open until Ctrl-C; in
    a script or a queue it returns at once, and the page ends with the command.
    """
    if not getattr(args, "ui", False):
        yield lambda: None
        return
    from thetahat.web import page_beside

    watched = sys.stderr.isatty()
    with page_beside(args.store, browser=watched) as page:
        print_beside(f"the page is at {page.url}")

        def stay() -> None:
            if not watched:
                return
            print_beside(f"the page stays at {page.url} until Ctrl-C")
            try:
                page.wait()
            except KeyboardInterrupt:
                print(file=sys.stderr)

        yield stay
