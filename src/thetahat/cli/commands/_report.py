"""``thetahat report``: a sweep or a run as one file, for people who do not code."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from thetahat.cli._parser import add_store, add_value, whole_number
from thetahat.cli.terminal._output import emit, print_beside
from thetahat.core.garbage import uncollected

DESCRIPTION = (
    "Write what a co-author needs to know about a sweep or a run into one file: what was"
    " estimated, the best setting, the table by setting, figures, failures, notes."
)
EXAMPLES = """\
examples:
  thetahat report last                        of the latest sweep, as report-ID.html
  thetahat report ID -o results.html          one file, opens without a network
  thetahat report ID --format latex           a booktabs table with notes, on standard output
  thetahat report ID -o table.tex --figures figures/
  thetahat report ID --min-cell 10            for disclosure review: no small cells
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``report``."""
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
    add_value(parser, "--figures DIR", "write the figures there too, as PDF, PNG and SVG")
    add_value(parser, "--metric NAME", "in place of the sweep file's")
    add_value(parser, "--top N", "settings in the table (default: 30)", whole_number(), 30)
    add_value(
        parser,
        "--min-cell K",
        "show nothing that rests on fewer than K runs or observations",
        whole_number(),
        1,
    )
    add_store(parser)


@uncollected()
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

    format = args.format or (format_of(args.output) if args.output else "html")
    with open_store(args.store, create=False) as store:
        document = make_report(
            store, args.name, metric=args.metric, min_cell=args.min_cell, top=args.top
        )
        text = render(document, format)
        path = Path(args.output or f"report-{document.ident}.html")
        if format == "html" or args.output:
            option = f"-o {path}" if args.output else str(path)
            refuse_foreign(path, option, is_report(text, format))
        drawn = save_figures(document, args.figures) if args.figures else []
    if format == "html" or args.output:
        # CSV brings its own line ends.
        write_whole(path, text.encode("utf-8", "backslashreplace"))
        print_beside(
            f"{path}: {document.kind} {document.title}, {len(text.encode()) / 1e3:,.0f} kB"
        )
    else:
        emit(text)
    if args.figures:
        print_beside(f"{args.figures}: {len(drawn)} files of {len(drawn) // 3} figures")
    return 0
