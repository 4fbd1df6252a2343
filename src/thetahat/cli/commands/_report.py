"""``thetahat report``: a sweep or a run as one file, for people who do not code."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from thetahat.cli.terminal._output import emit, note
from thetahat.core.errors import ConfigError

_EXAMPLES = """\
examples:
  thetahat report last                        of the latest sweep, as report-ID.html
  thetahat report ID -o results.html          one file, opens without a network
  thetahat report ID --format latex           a booktabs table with notes, on standard output
  thetahat report ID -o table.tex --figures figures/
  thetahat report ID --min-cell 10            for disclosure review: no small cells
"""


def add_parser(subparsers: Any) -> None:
    """Add ``report`` to the command line."""
    parser = subparsers.add_parser(
        "report",
        help="one file of a sweep or run, for co-authors",
        description="Write what a co-author needs of a sweep or a run into one file: what was"
        " estimated, the best setting, the table by setting, figures, failures, notes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name",
        metavar="ID",
        help="of a sweep or a run; or its name, the beginning of one, or: last",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to (default: report-ID.html); replaces a former report, no other file",
    )
    parser.add_argument(
        "--format",
        choices=("html", "latex", "md", "csv"),
        help="default: by the ending of FILE, else html; the others go to standard output",
    )
    parser.add_argument(
        "--figures", metavar="DIR", help="write the figures there too, as PDF, PNG and SVG"
    )
    parser.add_argument("--metric", metavar="NAME", help="in place of the sweep file's")
    parser.add_argument(
        "--top", type=int, metavar="N", default=30, help="settings in the table (default: 30)"
    )
    parser.add_argument(
        "--min-cell",
        type=int,
        metavar="K",
        default=1,
        help="show nothing that rests on fewer than K runs or observations",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="folder or file of the store (default: THETAHAT_STORE, else .thetahat here)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report."""
    from thetahat.report import (
        format_of,
        is_report,
        make_report,
        refuse_foreign,
        render,
        save_figures,
        write_whole,
    )
    from thetahat.store import open_store

    if args.top < 1:
        raise ConfigError(f"--top={args.top}: give a whole number of at least 1")
    format = args.format or (format_of(args.output) if args.output else "html")
    with open_store(args.store, create=False) as store:
        document = make_report(
            store, args.name, metric=args.metric, min_cell=args.min_cell, top=args.top
        )
        text = render(document, format)
        path = Path(args.output or f"report-{document.ident}.html")
        if format == "html" or args.output:
            said = f"-o {path}" if args.output else str(path)
            refuse_foreign(path, said, is_report(text, format))
        drawn = save_figures(document, args.figures) if args.figures else []
    if format == "html" or args.output:
        # CSV brings its own line ends.
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        note(f"{path}: {document.kind} {document.title}, {len(text.encode()) / 1e3:,.0f} kB")
    else:
        emit(text)
    if args.figures:
        note(f"{args.figures}: {len(drawn)} files of {len(drawn) // 3} figures")
    return 0
