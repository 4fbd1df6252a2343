"""``thetahat grade``: name the silent errors of training loops."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import print_error
from thetahat.cli._parser import add_format, add_value, positive
from thetahat.cli.terminal._output import print_table, say
from thetahat.core.errors import InputError

if TYPE_CHECKING:
    from thetahat.grade import Grade

DESCRIPTION = (
    "Run training programs of JAX or PyTorch on small problems, each in a process of its own with"
    " limits, and name which of 14 silent errors they have, with the line. A program defines"
    " train(f, config, tracker). Exit code 1 if an error was found, 2 if a file cannot be graded."
)
EXAMPLES = """\
examples:
  thetahat grade homework.py
  thetahat grade students/*.py --format csv        (a row for each error)
  thetahat grade slow.py --seconds 600 --memory 8
"""


def add_flags(parser: Any) -> None:
    """Add the arguments of ``grade``."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="programs with a function train")
    add_value(parser, "--seconds S", "limit of time of each file (default: 120)", positive)
    add_value(parser, "--memory GB", "limit of memory of each file (default: 4)", positive)
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Grade each file."""
    from thetahat.grade import grade_file

    given = {"seconds": args.seconds, "memory_gb": args.memory}
    limits = {name: value for name, value in given.items() if value is not None}
    code, rows = 0, list[dict[str, Any]]()
    for file in args.files:
        try:
            grade = grade_file(file, **limits)
        except InputError as error:
            print_error(str(error))
            code = error.exit_code
            continue
        if grade.findings:
            code = max(code, 1)
        if args.format == "table":
            say("\n".join(_report(grade)))
        rows += _rows(grade)
    if args.format != "table":
        print_table(rows, ["file", "line", "error", "what", "shows", "fix"], args.format)
    return code


def _rows(grade: Grade) -> Iterator[dict[str, Any]]:
    from thetahat.grade import ERRORS

    for one in grade.findings:
        known = ERRORS[one.error]
        what = {"error": one.error, "what": known.what, "shows": one.shows, "fix": known.fix}
        yield {"file": grade.file, "line": one.line, **what}


def _report(grade: Grade) -> Iterator[str]:
    """Lines for people: each error with its line, what was seen, and the fix."""
    from thetahat.grade import ERRORS

    n = len(grade.findings)
    found = "no silent error found" if not n else f"{n} silent error{'s' if n > 1 else ''}"
    yield f"{grade.file}: {found}"
    for one in grade.findings:
        known = ERRORS[one.error]
        yield f"\n  line {one.line}: error {one.error}, {known.what}"
        if grade.texts.get(one.line):
            yield f"    {grade.texts[one.line]}"
        yield f"    seen: {one.shows}"
        yield f"    fix:  {known.fix}"
    if grade.notes or grade.unchecked:
        yield ""
    for note in grade.notes:
        yield f"  note: {note}"
    for error, why in sorted(grade.unchecked.items()):
        yield f"  not checked: error {error}, because {why}"
