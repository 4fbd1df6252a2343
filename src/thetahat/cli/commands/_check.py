"""``thetahat check``: every mistake of a sweep file, with its line and the fix, before a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_format, add_switch, add_value, seed_number, whole_number
from thetahat.cli.terminal._output import Screen, emit, many_runs, print_table, read_screen
from thetahat.core.errors import ConfigError
from thetahat.format import escaped, json_text, paint

if TYPE_CHECKING:
    from thetahat.sweep import Problem, Reading, SweepSpec

DESCRIPTION = (
    "Print every mistake of a sweep file, with its line and how to fix it, and count its points."
    " Nothing runs. Exit code 2 if there is a mistake."
)
EXAMPLES = """\
examples:
  thetahat check sweep.yaml
  thetahat check sweep.yaml --list 5          the first five configs, in order
  thetahat check sweep.yaml --strict          what W&B itself would say
"""


def add_flags(parser: Any) -> None:
    """Add the flags of ``check``."""
    parser.add_argument("file", metavar="FILE", help="the sweep file (YAML)")
    add_switch(parser, "--strict", "give W&B's own verdict in place of ours")
    add_value(parser, "--list N", "print the first N configs", whole_number())
    add_value(parser, "--seed S", "of a random search (default: 0)", seed_number, 0)
    add_format(parser, ("table", "json"))


def run(args: argparse.Namespace) -> int:
    """Check a sweep file; 2 if it has a mistake."""
    from thetahat.sweep import read_sweep

    reading = read_sweep(args.file, strict=args.strict)
    errors, notes = findings_of(reading, strict=args.strict)
    screen = read_screen()
    if args.list is not None and reading.spec is not None and not errors:
        # Standard output has the listed configs only; the verdict is the same.
        print(page(reading, errors, notes, screen), end="", file=sys.stderr)
        from thetahat.analysis import flat_config

        configs = first_configs(reading.spec, args.list, args.seed)
        if args.format == "json":
            emit(json_text(configs))
        else:
            print_table([flat_config(config) for config in configs])
    elif args.format == "json":
        emit(json_text(_answer(reading, errors, notes)))
    else:
        emit(page(reading, errors, notes, screen), painted=True)
    return 2 if errors else 0


def findings_of(reading: Reading, *, strict: bool = False) -> tuple[list[Problem], list[Problem]]:
    """List the mistakes and the notes of a sweep file and of its program, by line."""
    from thetahat.sweep import nothing_varies, scheduler_problems

    errors, notes = list(reading.errors), list(reading.notes)
    if reading.sound is not None:
        # W&B reads the file only, so with --strict a mistake of the program is a note.
        wrong, more = _against_program(reading.sound)
        (notes if strict else errors).extend(wrong)
        notes.extend(more)
    if reading.spec is not None and not errors:
        (notes if strict else errors).extend(scheduler_problems(reading.spec))
    same = None if reading.spec is None or errors else nothing_varies(reading.spec)
    if same is not None:
        (notes if strict else errors).append(same)
    errors.sort(key=lambda problem: problem.line)
    notes.sort(key=lambda problem: problem.line)
    return errors, notes


def _against_program(spec: SweepSpec) -> tuple[list[Problem], list[Problem]]:
    """Check that the program can run and takes these parameters: its mistakes and notes."""
    from thetahat.core.signature import read_signature
    from thetahat.sweep import (
        Problem,
        check_against,
        check_metric,
        experiment_of,
        notes_against,
        notes_of_bands,
        notes_of_trials,
    )

    program = experiment_of(spec)
    errors, notes = list(program.errors), list(program.notes)
    if program.experiment is None:
        return errors, notes
    try:
        signature = read_signature(program.experiment)
    except ConfigError as error:
        return [Problem(spec.place("program").line, "program", str(error))], notes
    wrong = check_against(spec, signature)
    # Parameters that the signature refuses are not tried.
    tried = []
    if not wrong:
        wrong = check_metric(spec, signature, program.experiment)
        tried = notes_of_trials(spec, signature, program.experiment)
        tried += notes_of_bands(spec, signature, program.experiment)
    return wrong, [*notes, *notes_against(spec, signature), *tried]


def _answer(
    reading: Reading, errors: Sequence[Problem], notes: Sequence[Problem]
) -> dict[str, Any]:
    return {
        "valid": not errors,
        "method": reading.method,
        "points": None if reading.spec is None else reading.spec.points,
        "settings": None
        if reading.spec is None or reading.spec.proposes
        else reading.spec.space.settings,
        "errors": [asdict(problem) for problem in errors],
        "notes": [asdict(problem) for problem in notes],
    }


def page(
    reading: Reading, errors: Sequence[Problem], notes: Sequence[Problem], screen: Screen
) -> str:
    """Write a line for each mistake and note, and the verdict."""
    lines = [(p.line, 0, _line(p, reading.file, "", screen)) for p in errors]
    lines += [(p.line, 1, _line(p, reading.file, "note: ", screen)) for p in notes]
    verdict = paint(_verdict(reading, len(errors)), "bold", screen.colour)
    last = f"{escaped(reading.file)}: {verdict}"
    return "\n".join([*(text for *_, text in sorted(lines)), last, ""])


def _line(problem: Problem, file: str, word: str, screen: Screen) -> str:
    where = paint(f"{escaped(file)}:{problem.line}:", "bold", screen.colour)
    head = paint(word.strip(), "yellow", screen.colour) + " " if word else ""
    key = paint(f"{escaped(problem.key)}:", "yellow" if word else "red", screen.colour) + " "
    message = escaped(problem.message)
    if screen.ascii_only:
        message = message.replace("«", '"').replace("»", '"').encode("ascii", "replace").decode()
    return f"{where} {head}{key if problem.key else ''}{message}"


def _verdict(reading: Reading, mistakes: int) -> str:
    if mistakes:
        return f"{mistakes} mistake{'' if mistakes == 1 else 's'}; nothing has run"
    spec = reading.spec
    if spec is None:
        return "valid for W&B, but cannot be run here (see the notes)"
    points = spec.points
    if points is None:
        cap = f"run_cap ends it after {many_runs(spec.run_cap)}" if spec.run_cap else "endless"
        settings = None if spec.proposes else spec.space.settings
        over = "" if settings is None else f" over {settings:,} settings"
        if settings is not None and not (spec.run_cap and spec.run_cap <= settings):
            cap += f"; settings repeat after {settings:,} runs, when all were tried"
        return f"valid; {spec.method}{over}, {cap}"
    counted = f"{points:,} point{'' if points == 1 else 's'}"
    if spec.run_cap is not None and spec.run_cap < points:
        counted += f", of which run_cap runs {spec.run_cap:,}"
    return f"valid; a grid of {counted}"


def first_configs(spec: SweepSpec, count: int, seed: int) -> list[dict[str, Any]]:
    """Draw the first configs of a sweep in which nothing has run yet."""
    from thetahat.search import SearchHistory
    from thetahat.sweep.spec import SweepOptions, sampler_of

    draw = sampler_of(spec, SweepOptions(seed=seed))
    configs: list[dict[str, Any]] = []
    position = 0
    while len(configs) < count:
        more = draw(
            spec.space, SearchHistory((), position, spec.metric), seed, count - len(configs)
        )
        configs += more.configs
        if more.exhausted or not more.configs:
            break
        position = more.position
    return configs[:count]
