"""``thetahat ui``: look at sweeps and runs in a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from thetahat.cli.terminal._output import note
from thetahat.core.errors import ConfigError

_EXAMPLES = """\
examples:
  thetahat ui                            of the store here, in your browser
  thetahat ui --store runs.db --port 9000 --no-browser
  ssh -L 8642:localhost:8642 machine     looks at the page of another machine
"""


def add_parser(subparsers: Any) -> None:
    """Add ``ui`` to the command line."""
    parser = subparsers.add_parser(
        "ui",
        help="look at sweeps and runs in a browser",
        description="Serve a page of the store's sweeps and runs to your browser, live, until"
        " Ctrl-C. It is reached from this machine only, and asks nothing of any other.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=int, metavar="P", help="(default: 8642, or the next that is free)"
    )
    parser.add_argument(
        "--host",
        metavar="H",
        default="127.0.0.1",
        help="another address than 127.0.0.1; the page then asks for the token it prints",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    parser.add_argument(
        "--store",
        metavar="URL",
        help="folder or file of the store (default: THETAHAT_STORE, else .thetahat here)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve the page."""
    from thetahat.web import serve

    if args.port is not None and not 0 <= args.port <= 65535:
        raise ConfigError(f"--port={args.port}: give a number from 0 to 65535 (0: any free one)")
    try:
        serve(
            args.store,
            host=args.host,
            port=args.port,
            browser=not args.no_browser,
            say=lambda url: print(f"the page is at {url}  (Ctrl-C ends it)", flush=True),
        )
    except KeyboardInterrupt:
        # The usual way to end it.
        print()
    return 0


@contextmanager
def beside(args: argparse.Namespace) -> Iterator[Callable[[], None]]:
    """``--ui`` of a command that works: the page while it does.

    Yields a function that, at a terminal, keeps the page open until Ctrl-C once the work is done;
    where nobody looks (a script, a queue) it returns at once, and the page ends with the command.
    """
    if not getattr(args, "ui", False):
        yield lambda: None
        return
    from thetahat.web import page_beside

    watched = sys.stderr.isatty()
    with page_beside(args.store, browser=watched) as page:
        note(f"the page is at {page.url}")

        def stay() -> None:
            if not watched:
                return
            note(f"the page stays at {page.url} until Ctrl-C")
            try:
                page.wait()
            except KeyboardInterrupt:
                # What is left is the page only, and this is how it ends.
                print(file=sys.stderr)

        yield stay
