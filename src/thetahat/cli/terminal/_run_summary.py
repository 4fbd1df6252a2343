"""The end of a run: a few lines on a terminal, one line in a file or pipe."""

from __future__ import annotations

import math
import shutil
import sys
from typing import TYPE_CHECKING

from thetahat.cli._errors import print_error
from thetahat.cli._session import FitSettings
from thetahat.cli.terminal._fit_progress import span
from thetahat.cli.terminal._output import is_terminal, read_screen, say
from thetahat.core.run import Status
from thetahat.core.shell import store_flag
from thetahat.format import STATUS_STYLES, cut, paint, short, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thetahat.train import Result

_BAD = (Status.DIVERGED, Status.UNMOVED, Status.REJECTED, Status.FAILED)


def print_run(result: Result, name: str, setting: FitSettings) -> None:
    """Print how a run ended: on standard output, and on standard error if it went wrong."""
    if not setting.quiet and is_terminal(sys.stdout):
        look = f"thetahat show {word(name)}{store_flag(setting.store)}" if setting.tracked else ""
        print(page(result, word(name), look))
    elif not setting.quiet:
        say(line(result, word(name)))
    print_end(result, name, setting)


def print_end(result: Result, name: str, setting: FitSettings, who: str | None = None) -> None:
    """Print on standard error what went wrong, or how to continue.

    Args:    who: in place of the name, where several were interrupted.
    """
    if result.status in _BAD:
        print_error(f"{word(name)} {result.status}: {result.reason}")
    elif result.status is Status.INTERRUPTED:
        resume = f"; go on with: thetahat resume {word(name)}{store_flag(setting.store)}"
        can_resume = setting.tracked and setting.checkpoint
        print_error(f"{who or word(name)} {result.reason}{resume if can_resume else ''}")


def print_ends(
    results: Sequence[Result], names: Sequence[str], setting: FitSettings, what: str
) -> None:
    """Print what went wrong with runs of one checkpoint; those that were interrupted go on as one.

    Args:    what: the results are, in the plural.
    """
    cut = [k for k, result in enumerate(results) if result.status is Status.INTERRUPTED]
    for k, (result, name) in enumerate(zip(results, names, strict=False)):
        if k not in cut[1:]:
            print_end(result, name, setting, f"{len(cut)} {what}" if len(cut) > 1 else None)


def line(result: Result, name: str) -> str:
    """Describe a run in one line, for logs."""
    numbers = {f"{part}_risk": short(risk) or "nan" for part, risk in risks_of(result)}
    numbers |= {word(name): short(value) or "nan" for name, value in result.metrics.items()}
    numbers |= {
        "best_epoch": str(result.best_epoch),
        "n_params": str(result.n_params),
        "seconds": short(sum(result.seconds.get(part, 0.0) for part in ("compile", "run")), 3),
    }
    pairs = " ".join(f"{key}={value}" for key, value in numbers.items())
    return f"{name} {result.status} ({result.reason}): {pairs}"


def page(result: Result, name: str, look: str) -> str:
    """Describe a run in a few lines, for people."""
    screen = read_screen()
    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    status = str(result.status)
    # What went wrong is printed in full below.
    reason = result.reason.partition("; ")[0] if result.status in _BAD else result.reason
    reason = cut(reason, width - len(name) - len(status) - 4, "…")
    risks = "   ".join(f"{part} {short(risk) or 'nan'}" for part, risk in risks_of(result))
    by = "" if result.best_by == "val_risk" else f", the best {word(result.best_by)}"
    at = f"   (epoch {result.best_epoch:,}{by})" if result.best_by else ""
    if result.risk and not any(map(math.isfinite, result.risk.values())):
        risks, at = "not finite", ""
    spent = {part: span(result.seconds.get(part, 0.0)) for part in ("run", "compile")}
    unit = result.risk_unit
    rows = [
        ("risk", risks + at),
        ("", "" if unit is None or unit.one == 1 else str(unit)),
        *(("", f"{word(key)} {short(v) or 'nan'}") for key, v in result.metrics.items()),
        ("size", f"{result.n_params:,} parameters, {result.epochs:,} epochs"),
        ("time", f"{spent['run']} training, {spent['compile']} compiling"),
        ("look", look),
    ]
    style = STATUS_STYLES.get(status, "")
    head = f"{paint(name, 'bold', screen.colour)}  {paint(status, style, screen.colour)}  {reason}"
    rows = [(paint(label.ljust(6), "dim", screen.colour), text) for label, text in rows if text]
    return "\n".join([head, *(f"  {label}{text}" for label, text in rows)])


def risks_of(result: Result) -> list[tuple[str, float]]:
    """List the risks of the parts: train, val, test."""
    return [(part, result.risk[part]) for part in ("train", "val", "test") if part in result.risk]
