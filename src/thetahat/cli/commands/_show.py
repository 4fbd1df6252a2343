"""``thetahat show``: one run, with all its facts."""

from __future__ import annotations

import argparse
import math
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._parser import add_format, add_store, add_switch
from thetahat.cli.commands._show_sweep import show_sweep, sweep_named
from thetahat.cli.terminal._output import Screen, emit, print_table, read_screen
from thetahat.core.garbage import uncollected
from thetahat.core.nested import flat_config
from thetahat.core.run import Status
from thetahat.core.shell import store_flag
from thetahat.format import (
    NOT_FINITE,
    STATUS_STYLES,
    json_text,
    paint,
    short,
    size,
    sparkline,
    word,
)

if TYPE_CHECKING:
    from thetahat.store import Block, RunRow, Store

_LABEL = 12
_SILENT_S = 60.0
_FEW = 4
"""Parameters that are listed in columns although the run's command does not name them."""
_CURVES = ("train_risk", "val_risk")
_MOST_CURVES = 4
_DIGITS = 12
_MOST_THINGS = 12
"""Tables, and files, that are listed."""
_BACKENDS = {"jax": "JAX", "torch": "PyTorch"}
_MEMBER_COLUMNS = ("member", "status", "best epoch", "val_risk", "test_risk", "train_risk")
_HEXADECIMAL = re.compile(r"[0-9a-f]{16,}")


DESCRIPTION = "Show one run: config, risks, curves, where it comes from; or how one sweep stands."
EXAMPLES = ""


def add_flags(parser: Any) -> None:
    """Add the flags of ``show``."""
    parser.add_argument(
        "name",
        metavar="RUN",
        help="its id or name, the beginning of either, or: last; or the id of a sweep",
    )
    add_switch(parser, "--history", "print the run's records instead, one row an epoch")
    add_store(parser)
    add_format(parser)


@uncollected()
def run(args: argparse.Namespace) -> int:
    """Show a run."""
    from thetahat.analysis import again, members_of_bag
    from thetahat.store import list_sweeps, open_store, standing

    screen = read_screen()
    with open_store(args.store, create=False) as store:
        sweep = None if args.history else sweep_named(store, args.name)
        if sweep is not None:
            return show_sweep(store, sweep, args.format, store_flag(args.store))
        [found] = standing(store, [store.run(args.name)])
        if args.history:
            history = {k: v.tolist() for k, v in store.history(found.id).items()}
            rows = [
                dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)
            ]
            print_table(rows, list(history), args.format)
            return 0
        notices = store.notices(found.id)
        path = store.model_path(found.id)
        kept = path if path.is_file() else None
        if args.format == "table":
            drawn = curves(store.blocks(found.id))
            emit(page(found, drawn, notices, screen, kept, left_behind(store, found)), painted=True)
            if members := members_of_bag(store, found):
                emit("\n")
                print_table([_member(one) for one in members], _MEMBER_COLUMNS)
            sweep = next((s for s in list_sweeps(store) if s.id == found.sweep_id), None)
            # Not wrapped: to be pasted.
            lines = again(found, sweep, store_flag(args.store))
            emit("".join(f"\n{what} with:\n{line}\n" for what, line in lines))
            return 0
        members = [{"id": one.id, **_member(one)} for one in members_of_bag(store, found)]
        left = listed_things(store, found)
    whole = {**facts(found, notices), "model": None if kept is None else str(kept)}
    whole |= {"members": members} if members else {}
    whole |= left
    if args.format == "json":
        emit(json_text(whole))
    else:
        rows = [{"field": k, "value": v} for k, v in flat_config(whole).items() if v != {}]
        print_table(rows, ["field", "value"], args.format)
    return 0


def facts(found: RunRow, notices: Sequence[str]) -> dict[str, Any]:
    """Give a run as JSON: the listing's keys first, then the rest."""
    listing = found.listing()
    rest = {k: v for k, v in asdict(found).items() if k not in listing}
    return {**listing, "seconds_by_part": dict(found.seconds), **rest, "notices": [*notices]}


def curves(blocks: Sequence[Block]) -> dict[str, list[float]]:
    """Choose the columns to draw as curves: the risks, else the first that were logged."""
    names = list(dict.fromkeys(name for b in blocks for name in b.columns[1:]))
    chosen = [n for n in _CURVES if n in names] or [n for n in names if n != "epoch"][:_MOST_CURVES]
    parts = {name: [b.column(name) for b in blocks if name in b.columns] for name in chosen}
    return {name: [*chain.from_iterable(found)] for name, found in parts.items()}


def listed_things(store: Store, found: RunRow) -> dict[str, list[dict[str, Any]]]:
    """List the tables and files of a run as JSON; no key for what it has none of."""
    from thetahat.store import list_files, list_tables

    tables = [
        {"name": one.name, "step": one.step, "rows": one.rows, "columns": [*one.columns]}
        for one in list_tables(store, found.id)
    ]
    files = [
        {"name": one.name, "step": one.step, "bytes": one.bytes, "path": str(one.path)}
        for one in list_files(store, found.id)
    ]
    return {name: what for name, what in (("tables", tables), ("files", files)) if what}


def left_behind(store: Store, found: RunRow) -> dict[str, str]:
    """Describe the tables and files of a run, each kind in a sentence for the terminal."""
    listed = listed_things(store, found)
    said = {}
    for kind, things in listed.items():
        latest = {str(one["name"]): one for one in things}
        words = []
        for name, one in [*latest.items()][:_MOST_THINGS]:
            n = sum(other["name"] == name for other in things)
            steps = f", {n} steps" if n > 1 else ""
            large = f"{one['rows']:,} rows" if kind == "tables" else size(one["bytes"])
            inside = f": {', '.join(map(word, one['columns'][:8]))}" if kind == "tables" else ""
            words.append(f"{word(name)} ({large}{steps}{inside})")
        more = len(latest) - len(words)
        said[kind] = ", ".join(words) + (f", and {more:,} more" if more else "")
    return said


def page(
    found: RunRow,
    drawn: Mapping[str, list[float]],
    notices: Sequence[str],
    screen: Screen,
    model: Path | None = None,
    left: Mapping[str, str] | None = None,
) -> str:
    """Lay a run out as a page of the terminal.

    Args:    model: where its fitted model is, if it was kept.   left: its tables and files.
    """
    from thetahat.analysis import risk_in_units

    layout = _Layout(min(screen.width or 100, 120), screen)
    row, pairs = layout.row, layout.pairs
    status = paint(str(found.status), STATUS_STYLES.get(str(found.status), ""), screen.colour)
    name = paint(word(found.name), "bold", screen.colour)
    about = [word(part) for part in (found.experiment, found.project) if part]
    proposed = None
    if found.proposed is not None:
        proposed = f"the sweep proposed {', '.join(flat_config(found.proposed)) or 'none'}"
    labels = {k: v if isinstance(v, list) else [v] for k, v in found.labels.items()}
    more = found.max_epochs and found.max_epochs != found.epochs
    failed = f", {found.failures} failed" if found.failures else ""
    attempt = f"  attempt {found.attempt}{failed}" if found.attempt > 1 else ""
    given, rest = _given(found)
    sections = [
        [
            "  ".join([name, status, *about]),
            *(layout.wrapped(found.reason) if found.reason else []),
            *(line for text in warnings_of(found, notices) for line in layout.warning(text)),
        ],
        [*pairs("config", given), *row("rest", _words(rest))],
        [
            *row("of these", proposed),
            *(line for k, v in labels.items() for line in row(k, ", ".join(map(str, v)))),
        ],
        [
            *pairs("metrics", found.metrics),
            *pairs("logged", (found.detail or {}).get("logged") or {}),
            *row("risk", risk_in_units(found)),
            *row("best", _best(found)),
        ],
        layout.curves(drawn),
        [line for kind, said in (left or {}).items() for line in row(kind, said)],
        [
            *row(found.counted, f"{found.epochs}" + (f" of {found.max_epochs}" if more else "")),
            *row("seconds", _seconds(found)),
            *row("parameters", "" if found.n_params is None else f"{found.n_params:,}"),
        ],
        [
            *row("id", found.id + attempt),
            *row("started", _when(found)),
            *row("command", found.command),
            *row("source", found.source),
            *row("checkpoint", _checkpoint(found)),
            *row("model", _model(model)),
            *(line for k, v in _origin(found.provenance or {}) for line in row(k, v)),
        ],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _given(found: RunRow) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Split a config into what the run's command names, and the rest; all, if it names nothing."""
    try:
        words = shlex.split(found.command or "")
    except ValueError:
        words = []
    flags = {w[2:].partition("=")[0].replace("-", "_") for w in words if w.startswith("--")}
    # Words that no flag stands before.
    free = {w for before, w in pairwise(words) if not before.startswith("-")}
    config = flat_config(found.config)
    given = {k: v for k, v in config.items() if k in flags or (isinstance(v, str) and v in free)}
    rest = {k: v for k, v in config.items() if k not in given}
    return (given, rest) if given and len(rest) > _FEW else (config, {})


def _words(values: Mapping[str, Any]) -> str:
    """Write values in a sentence, without those that are none."""
    return ", ".join(f"{word(k)}={_value(v)}" for k, v in values.items() if v is not None)


def warnings_of(found: RunRow, notices: Sequence[str]) -> list[str]:
    """List what a reader must know before trusting the numbers."""
    lines: list[str] = []
    if found.contaminated:
        lines.append("contaminated: tuned on the test set; its test risk estimates nothing")
    if found.status == Status.RUNNING and found.heartbeat:
        silent_s = (datetime.now(UTC) - datetime.fromisoformat(found.heartbeat)).total_seconds()
        if silent_s > _SILENT_S:
            lines.append(f"no heartbeat for {_span(silent_s)}: its process has probably ended")
    if found.status == Status.INTERRUPTED and found.checkpoint:
        lines.append(f"go on with: thetahat resume {word(found.name)}")
    missing = [key for key, value in found.metrics.items() if value is None]
    if missing:
        lines.append(f"not finite: {word(', '.join(missing))}")
    if ((found.provenance or {}).get("git") or {}).get("dirty"):
        lines.append("the code had changes that are in no commit")
    return [*lines, *(word(line) for line in notices)]


@dataclass(frozen=True)
class _Layout:
    """Lines of so many cells, labels to the left."""

    width: int
    screen: Screen

    def wrapped(self, text: str, indent: int = 0) -> list[str]:
        # A word that is too long is left whole, to be copied.
        lines = textwrap.wrap(
            word(text), self.width - indent, break_on_hyphens=False, break_long_words=False
        )
        return [" " * indent + line for line in lines or [""]]

    def warning(self, text: str) -> list[str]:
        lines = textwrap.wrap(
            f"! {text}", self.width, subsequent_indent="  ", break_on_hyphens=False
        )
        return [paint(line, "yellow", self.screen.colour) for line in lines]

    def label(self, text: str) -> str:
        return paint(text.ljust(_LABEL), "dim", self.screen.colour)

    def row(self, label: str, text: str | None) -> list[str]:
        if not text:
            return []
        first, *more = self.wrapped(text, indent=_LABEL)
        return [self.label(label) + first[_LABEL:], *more]

    def pairs(self, label: str, values: Mapping[str, Any]) -> list[str]:
        """Lay names and values out in as many columns as fit."""
        if not values:
            return []
        names = [word(name) for name in values]
        texts = ["none" if v is None and label == "config" else _value(v) for v in values.values()]
        name_w, text_w = max(map(len, names)), min(max(map(len, texts)), 40)
        fit = max(1, (self.width - _LABEL + 3) // (name_w + text_w + 5))
        down = -(-len(names) // fit)
        cells = [f"{n.ljust(name_w)}  {t.ljust(text_w)}" for n, t in zip(names, texts, strict=True)]
        lines = ["   ".join(cells[i::down]).rstrip() for i in range(down)]
        return [self.label("" if i else label) + line for i, line in enumerate(lines)]

    def curves(self, drawn: Mapping[str, list[float]]) -> list[str]:
        """Draw each column as a sparkline between its first and last value, all on one scale."""
        shown = {name: v for name, v in drawn.items() if len(v) > 1 and any(x == x for x in v)}
        if not shown:
            return []
        span = None
        if all(name.endswith("_risk") for name in shown):
            values = [x for v in shown.values() for x in filter(math.isfinite, v)]
            span = (min(values), max(values))
        heads = {name: short(v[0]) for name, v in shown.items()}
        tails = {name: short(v[-1]) or NOT_FINITE for name, v in shown.items()}
        left = max(map(len, heads.values()))
        room = self.width - _LABEL - left - max(map(len, tails.values())) - 4
        lines = []
        for name, v in shown.items():
            line = sparkline(v, min(60, room), ascii_only=self.screen.ascii_only, span=span)
            line = paint(line, "cyan", self.screen.colour)
            head = heads[name].rjust(left)
            lines.append(f"{self.label(word(name))}{head}  {line}  {tails[name]}")
        return lines


def _member(run: RunRow) -> dict[str, Any]:
    risks = {f"{part}_risk": run.metrics.get(f"{part}_risk") for part in ("train", "val", "test")}
    return {"member": run.name, "status": str(run.status), "best epoch": run.best_epoch, **risks}


def _best(found: RunRow) -> str:
    if (members := (found.detail or {}).get("members")) is not None:
        return f"an average of {members} members; val_risk is out of bag"
    value = found.metrics.get(found.best_by)
    if found.best_val_risk is not None:
        return f"val_risk {short(found.best_val_risk)} at epoch {found.best_epoch}"
    if value is None or found.best_epoch is None:
        return ""
    return f"{word(found.best_by)} {short(value)} at epoch {found.best_epoch}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return short(value, 6)
    return NOT_FINITE if value is None else word(value)


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

    start = local(found.started or found.created)
    return start + (f", ended {local(found.finished)}" if found.finished else "")


def _checkpoint(found: RunRow) -> str | None:
    if found.checkpoint is None:
        return None
    whole = Path(found.checkpoint)
    if found.status.well and not whole.exists():
        return None  # nothing is left to go on with
    return _near(whole) + ("" if whole.exists() else "  (no longer there)")


def _model(path: Path | None) -> str | None:
    return None if path is None else f"{_near(path)}  (th.load, thetahat predict)"


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _origin(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The whole provenance: the code, versions and the machine first."""
    rows: list[tuple[str, str]] = []
    git = provenance.get("git")
    if git:
        folder = f" in {git['folder']}" if git.get("folder") not in (None, ".") else ""
        rows.append(
            (
                "commit",
                _digest(git["commit"]) + (" and changes" if git.get("dirty") else "") + folder,
            )
        )
    versions = provenance.get("versions", {})
    python = f"python {provenance['python']}" if "python" in provenance else ""
    named = ", ".join(filter(None, [python, *(f"{k} {v}" for k, v in versions.items())]))
    rows.append(("versions", named))
    machine = [provenance.get("platform"), provenance.get("machine"), provenance.get("device")]
    if provenance.get("cpus"):
        machine.append(f"{provenance['cpus']} CPUs")
    rows.append(("machine", ", ".join(str(m) for m in machine if m)))
    if backend := provenance.get("backend"):
        why = provenance.get("backend_why") or "as backend= asks"
        rows.append(("backend", f"{_BACKENDS.get(backend, backend)}: {why}"))
    known = (
        *("versions", "python", "platform", "machine", "cpus", "git", "device", "earlier"),
        *("backend", "backend_why"),
        *("command", "source"),
    )
    rest = {k: v for k, v in provenance.items() if k not in known and v}
    rows.append(("more", _facts(rest)))
    for number, before in enumerate(provenance.get("earlier", []), 1):
        facts = {k: v for k, v in before.items() if k not in ("failed", "attempt", "until_epoch")}
        said = (
            f"failed: {before['failed']}"
            if "failed" in before
            else f"to epoch {before.get('until_epoch')}"
        )
        label = f"attempt {before.get('attempt', number)}"
        rows.append((label, "; ".join(filter(None, [said, _facts(facts)]))))
    return rows


def _facts(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{k}={_digest(v) if isinstance(v, str) else short(v)}"
        for k, v in flat_config(values).items()
        if v != {}
    )


def _digest(text: str) -> str:
    """Shorten a digest; JSON has the whole."""
    return text[:_DIGITS] if _HEXADECIMAL.fullmatch(text) else text


def _span(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
