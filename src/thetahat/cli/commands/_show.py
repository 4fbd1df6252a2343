"""``thetahat show``: one run, with all that is known of it."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_format, add_store, add_switch
from thetahat.cli.terminal._output import Screen, emit, read_screen
from thetahat.core.run import Status
from thetahat.format import STATUS_STYLES, json_text, paint, short, sparkline, table, word

if TYPE_CHECKING:
    from thetahat.store import Block, RunRow

_HASH = re.compile(r"[0-9a-f]{16,}")
_LABEL = 12
_SILENT_S = 60.0
_CURVES = ("train_risk", "val_risk")
_MOST_CURVES = 4


DESCRIPTION = "Show one run: config, risks, curves, where it comes from."
EXAMPLES = ""


def add_flags(parser: Any) -> None:
    """Add the flags of ``show``."""
    parser.add_argument(
        "name", metavar="RUN", help="its id or name, the beginning of either, or: last"
    )
    add_switch(parser, "--history", "print the run's records instead, one row an epoch")
    add_store(parser)
    add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Show a run."""
    from thetahat.store import open_store, standing

    screen = read_screen()
    with open_store(args.store, create=False) as store:
        [found] = standing(store, [store.run(args.name)])
        if args.history:
            history = {k: v.tolist() for k, v in store.history(found.id).items()}
            rows = [
                dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)
            ]
            emit(table(rows, list(history), args.format, **screen.look))
            return 0
        notices = store.notices(found.id)
        if args.format == "table":
            emit(page(found, curves(store.blocks(found.id)), notices, screen))
            return 0
    whole = facts(found, notices)
    if args.format == "json":
        emit(json_text(whole))
    else:
        rows = [{"field": k, "value": v} for k, v in _flat(whole).items()]
        emit(table(rows, ["field", "value"], args.format))
    return 0


def facts(found: RunRow, notices: Sequence[str]) -> dict[str, Any]:
    """A run as JSON gives it: the listing's keys first, then the rest."""
    rest = {k: v for k, v in asdict(found).items() if k not in found.listing()}
    return {
        **found.listing(),
        "seconds_by_part": dict(found.seconds),
        **rest,
        "notices": [*notices],
    }


def curves(blocks: Sequence[Block]) -> dict[str, list[float]]:
    """The columns worth a curve: the risks, else the first that were logged."""
    names = list(dict.fromkeys(name for b in blocks for name in b.columns[1:]))
    chosen = [n for n in _CURVES if n in names] or [n for n in names if n != "epoch"][:_MOST_CURVES]
    return {
        name: [v for b in blocks if name in b.columns for v in b.column(name)] for name in chosen
    }


def page(
    found: RunRow, drawn: Mapping[str, list[float]], notices: Sequence[str], screen: Screen
) -> str:
    """A run as a page of the terminal."""
    width = min(screen.width or 100, 120)
    lines = _Lines(width, screen)
    status = paint(str(found.status), STATUS_STYLES.get(str(found.status), ""), screen.colour)
    about = [word(part) for part in (found.experiment, found.project)]
    lines.plain(
        "  ".join([paint(word(found.name), "bold", screen.colour), status, *filter(None, about)])
    )
    if found.reason:
        lines.wrapped(found.reason, indent=0)
    for line in warnings_of(found, notices):
        lines.warning(line)
    lines.gap()
    lines.pairs("config", found.config)
    lines.gap()
    if found.proposed is not None:
        lines.row("of these", f"the sweep proposed {', '.join(_flat(found.proposed)) or 'none'}")
    for name, label in found.labels.items():
        lines.row(name, ", ".join(map(str, label)) if isinstance(label, list) else str(label))
    lines.gap()
    lines.pairs("metrics", found.metrics)
    lines.pairs("logged", (found.detail or {}).get("logged") or {})
    if found.best_val_risk is not None:
        lines.row("best", f"val_risk {short(found.best_val_risk)} at epoch {found.best_epoch}")
    elif (value := found.metrics.get(found.best_by)) is not None and found.best_epoch is not None:
        by = word(found.best_by)
        lines.row("best", f"{by} {short(value)} at epoch {found.best_epoch}")
    lines.curves(drawn)
    lines.gap()
    most = (
        f" of {found.max_epochs}" if found.max_epochs and found.max_epochs != found.epochs else ""
    )
    lines.row("epochs", f"{found.epochs}{most}")
    lines.row("seconds", _seconds(found))
    if found.n_params is not None:
        lines.row("parameters", f"{found.n_params:,}")
    lines.gap()
    lines.row("id", found.id + (f"  attempt {found.attempt}" if found.attempt > 1 else ""))
    lines.row("started", _when(found))
    lines.row("command", found.command)
    lines.row("source", found.source)
    lines.row("checkpoint", _checkpoint(found.checkpoint))
    for label, text in _origin(found.provenance or {}):
        lines.row(label, text)
    return lines.text()


def warnings_of(found: RunRow, notices: Sequence[str]) -> list[str]:
    """What a reader must know before trusting the numbers."""
    said: list[str] = []
    if found.contaminated:
        said.append("contaminated: tuned on the test set; its test risk estimates nothing")
    if found.status == Status.RUNNING and found.heartbeat:
        silent_s = (datetime.now(UTC) - datetime.fromisoformat(found.heartbeat)).total_seconds()
        if silent_s > _SILENT_S:
            said.append(f"no sign of life for {_span(silent_s)}: its process has probably ended")
    if found.status == Status.INTERRUPTED and found.checkpoint:
        said.append(f"go on with: thetahat resume {word(found.name)}")
    missing = [key for key, value in found.metrics.items() if value is None]
    if missing:
        said.append(f"not finite: {word(', '.join(missing))}")
    if ((found.provenance or {}).get("git") or {}).get("dirty"):
        said.append("the code had changes that are in no commit")
    return [*said, *(word(line) for line in notices)]


class _Lines:
    """A page that grows line by line, labels to the left."""

    def __init__(self, width: int, screen: Screen) -> None:
        self._width = width
        self._screen = screen
        self._lines: list[str] = []

    def plain(self, line: str) -> None:
        self._lines.append(line)

    def gap(self) -> None:
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def wrapped(self, text: str, indent: int) -> None:
        lines = textwrap.wrap(word(text), self._width - indent, break_on_hyphens=False) or [""]
        self._lines += [" " * indent + line for line in lines]

    def warning(self, text: str) -> None:
        first, *more = textwrap.wrap(text, self._width - 2, break_on_hyphens=False)
        self._lines.append(paint(f"! {first}", "yellow", self._screen.colour))
        self._lines += [paint(f"  {line}", "yellow", self._screen.colour) for line in more]

    def row(self, label: str, text: str | None) -> None:
        if not text:
            return
        at = len(self._lines)
        self.wrapped(text, indent=_LABEL)
        head = paint(label.ljust(_LABEL), "dim", self._screen.colour)
        self._lines[at] = head + self._lines[at][_LABEL:]

    def pairs(self, label: str, values: Mapping[str, Any]) -> None:
        """Names over values, in as many columns as fit."""
        if not values:
            return
        names = [word(name) for name in values]
        texts = ["none" if v is None and label == "config" else _value(v) for v in values.values()]
        name_w, text_w = max(map(len, names)), min(max(map(len, texts)), 40)
        fit = max(1, (self._width - _LABEL + 3) // (name_w + text_w + 5))
        down = -(-len(names) // fit)
        for i in range(down):
            cells = [
                f"{names[j].ljust(name_w)}  {texts[j].ljust(text_w)}"
                for j in range(i, len(names), down)
            ]
            line = "   ".join(cells).rstrip()
            head = paint((label if i == 0 else "").ljust(_LABEL), "dim", self._screen.colour)
            self._lines.append(head + line)

    def curves(self, drawn: Mapping[str, list[float]]) -> None:
        """One sparkline a column, all on one scale, first and last value at its ends."""
        shown = {name: v for name, v in drawn.items() if len(v) > 1 and any(x == x for x in v)}
        if not shown:
            return
        self.gap()
        values = [x for v in shown.values() for x in v if x == x]
        one_unit = all(name.endswith("_risk") for name in shown)
        span = (min(values), max(values)) if one_unit else None
        heads = {name: short(v[0]) for name, v in shown.items()}
        tails = {name: short(v[-1]) or "not finite" for name, v in shown.items()}
        left = max(map(len, heads.values()))
        room = self._width - _LABEL - left - max(map(len, tails.values())) - 4
        for name, v in shown.items():
            line = sparkline(v, min(60, room), ascii_only=self._screen.ascii_only, span=span)
            line = paint(line, "cyan", self._screen.colour)
            head = paint(word(name).ljust(_LABEL), "dim", self._screen.colour)
            self._lines.append(f"{head}{heads[name].rjust(left)}  {line}  {tails[name]}")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return short(value, 6)
    return "not finite" if value is None else word(value)


def _seconds(found: RunRow) -> str:
    spent = {k: v for k, v in found.seconds.items() if v is not None and k != "total"}
    parts = ", ".join(f"{k} {short(v, 3)}" for k, v in spent.items())
    together = int((found.detail or {}).get("together", 1))
    if together > 1:
        parts = f"its share; the {together} runs trained together took {parts}"
    total = found.total_seconds
    if total is None:
        return parts
    return f"{short(total, 3)}" + (f"  ({parts})" if len(spent) > 1 else "")


def _when(found: RunRow) -> str:
    def local(stamp: str) -> str:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")

    begun = local(found.started or found.created)
    return begun + (f", ended {local(found.finished)}" if found.finished else "")


def _checkpoint(path: str | None) -> str | None:
    if path is None:
        return None
    whole = Path(path)
    here = Path.cwd()
    shown = whole.relative_to(here) if whole.is_relative_to(here) else whole
    return f"{shown}" + ("" if whole.exists() else "  (no longer there)")


def _origin(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    git = provenance.get("git")
    if git:
        said.append(("commit", git["commit"][:12] + (" and changes" if git.get("dirty") else "")))
    versions = provenance.get("versions", {})
    python = f"python {provenance['python']}" if "python" in provenance else ""
    named = ", ".join(filter(None, [python, *(f"{k} {v}" for k, v in versions.items())]))
    said.append(("versions", named))
    machine = [provenance.get("platform"), provenance.get("device")]
    if provenance.get("cpus"):
        machine.append(f"{provenance['cpus']} CPUs")
    said.append(("machine", ", ".join(str(m) for m in machine if m)))
    known = ("versions", "python", "platform", "machine", "cpus", "command", "source", "git")
    rest = {k: v for k, v in provenance.items() if k not in (*known, "device", "earlier") and v}
    said.append(("more", ", ".join(f"{k}={_beginning(v)}" for k, v in _flat(rest).items())))
    earlier = provenance.get("earlier", [])
    if earlier:
        until = ", ".join(str(part.get("until_epoch")) for part in earlier)
        said.append(("resumed", f"after epoch {until}"))
    return said


def _beginning(value: Any) -> str:
    """A hash by its beginning, as commits are shown; JSON has all of it."""
    text = short(value)
    return text[:12] if _HASH.fullmatch(text) else text


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{before}{key}."))
        else:
            flat[f"{before}{key}"] = value
    return flat


def _span(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
