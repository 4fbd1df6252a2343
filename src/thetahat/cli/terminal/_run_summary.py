"""What a run says when it has ended: a few lines on a terminal, one line elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
from typing import TYPE_CHECKING

from thetahat.cli._errors import say
from thetahat.cli._session import Setting
from thetahat.cli.terminal._fit_progress import span
from thetahat.cli.terminal._output import is_terminal, read_screen
from thetahat.core.run import Status
from thetahat.format import STATUS_STYLES, paint, short, word

if TYPE_CHECKING:
    from thetahat.train import Result

_BAD = (Status.DIVERGED, Status.UNMOVED, Status.FAILED)


def print_run(result: Result, name: str, setting: Setting, *, tracked: bool) -> None:
    """Print how a run ended: standard output, and standard error where it went wrong."""
    where = f" --store {setting.store}" if setting.store else ""
    name = word(name)
    if not setting.quiet:
        if is_terminal(sys.stdout):
            print(page(result, name, f"thetahat show {name}{where}" if tracked else ""))
        else:
            print(line(result, name))
    print_end(result, name, setting, tracked=tracked)


def print_end(result: Result, name: str, setting: Setting, *, tracked: bool) -> None:
    """Say on standard error what went wrong, or how to go on."""
    where = f" --store {setting.store}" if setting.store else ""
    name = word(name)
    if result.status in _BAD:
        say(f"{name} {result.status}: {result.reason}")
    elif result.status is Status.INTERRUPTED:
        on = (
            f"; go on with: thetahat resume {name}{where}" if tracked and setting.checkpoint else ""
        )
        say(f"{name} {result.reason}{on}")


def line(result: Result, name: str) -> str:
    """A run in one line, for logs."""
    numbers = {f"{part}_risk": short(risk) or "nan" for part, risk in risks_of(result)}
    numbers |= {word(name): short(value) or "nan" for name, value in result.metrics.items()}
    numbers |= {
        "best_epoch": str(result.best_epoch),
        "n_params": str(result.n_params),
        "seconds": short(_total_s(result), 3),
    }
    said = " ".join(f"{key}={value}" for key, value in numbers.items())
    return f"{name} {result.status} ({result.reason}): {said}"


def page(result: Result, name: str, look: str) -> str:
    """A run in a few lines, for people."""
    screen = read_screen()
    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    style = STATUS_STYLES.get(str(result.status), "")
    head = (
        f"{paint(name, 'bold', screen.colour)}  {paint(str(result.status), style, screen.colour)}"
    )
    room = width - len(name) - len(str(result.status)) - 4
    # Of what went wrong all is said below; here stands the fact.
    reason = result.reason.partition("; ")[0] if result.status in _BAD else result.reason
    reason = reason if len(reason) <= room else reason[: room - 1] + "…"
    risks = "   ".join(f"{part} {short(risk) or 'nan'}" for part, risk in risks_of(result))
    by = "" if result.best_by == "val_risk" else f", the best {word(result.best_by)}"
    at = f"   (epoch {result.best_epoch:,}{by})" if result.best_by else ""
    if result.risk and not any(map(math.isfinite, result.risk.values())):
        risks, at = "not finite", ""
    rows = [
        ("risk", risks + at),
        *(("", f"{word(key)} {short(v) or 'nan'}") for key, v in result.metrics.items()),
        ("size", f"{result.n_params:,} parameters, {result.epochs:,} epochs"),
        ("time", time_said(result)),
        ("look", look),
    ]
    lines = [f"{head}  {reason}"]
    lines += [
        f"  {paint(label.ljust(6), 'dim', screen.colour)}{text}" for label, text in rows if text
    ]
    return "\n".join(lines)


def risks_of(result: Result) -> list[tuple[str, float]]:
    """The risks in the order that people read them."""
    return [(part, result.risk[part]) for part in ("train", "val", "test") if part in result.risk]


def time_said(result: Result) -> str:
    """Training and compiling apart."""
    compile_s = result.seconds.get("compile", 0.0)
    return f"{span(result.seconds.get('run', 0.0))} training, {span(compile_s)} compiling"


def _total_s(result: Result) -> float:
    return sum(result.seconds.get(part, 0.0) for part in ("compile", "run"))
