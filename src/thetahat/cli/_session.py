"""A fit from the command line: open the store, show progress, keep the runs, report failures."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
import secrets
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import print_note
from thetahat.cli._flags import stored_value
from thetahat.cli.terminal._fit_progress import progress_bar
from thetahat.core import ConfigError, Event, InputError, Notice, Started, Status, StoreError, Task
from thetahat.core.errors import why_failed
from thetahat.core.filelock import held
from thetahat.core.run import Ended, Logged
from thetahat.core.shell import store_flag

if TYPE_CHECKING:
    from thetahat.store import Store, Unkept
    from thetahat.train import Bag, Result

LATEST = "last"
"""The name of the latest run: no run can have it."""
_LONGEST_REASON = 300


@dataclass(frozen=True)
class FitSettings:
    """How to run, as the options say."""

    store: str | None = None
    tracked: bool = True
    checkpoint: bool = True
    name: str | None = None
    quiet: bool = False


@dataclass(frozen=True)
class RunSource:
    """The name of an experiment, and the file that it is read from."""

    experiment: str
    file: Path | None = None


@dataclass(frozen=True)
class ResumedRuns:
    """A checkpoint to continue from, and the names of its runs."""

    checkpoint: Path
    names: tuple[str, ...]
    cohort: str | None = None
    command: str | None = None
    """What began the runs."""


@dataclass(frozen=True)
class Trained:
    """A Result for each config, and the names of their runs if there is a store."""

    results: Sequence[Result]
    names: Sequence[str | None]
    bag: Bag | None = None
    """Of members of a bag: their average. Its name is the last."""


def source_of(experiment: Callable[..., Any], name: str) -> RunSource:
    """Find the file that an experiment was written in, if it has one."""
    try:
        found = inspect.getsourcefile(inspect.unwrap(experiment))
    except TypeError:
        found = None
    file = Path(found) if found else None
    return RunSource(name, file if file is not None and file.is_file() else None)


def train(
    experiment: Callable[..., Task],
    configs: Sequence[Mapping[str, Any]],
    setting: FitSettings,
    source: RunSource,
    *,
    resumed: ResumedRuns | None = None,
    label: str | None = None,
    mode: str = "auto",
    bagged: bool = False,
    on: Any = (),
) -> Trained:
    """Fit configs that differ in traced parameters only, as tracked runs.

    Args:    on: the user's functions of events.
             bagged: whether they are the members of a bag, whose average is a run too.
    Raises:  InputError: before anything ran, if the store cannot be opened or written, or the
             name is reserved.
    """
    if setting.name == LATEST:
        raise ConfigError(
            f"--name={LATEST}: {LATEST!r} means the latest run, in show, resume and report; give"
            " another name"
        )
    with contextlib.ExitStack() as stack:
        keeper, path = stack.enter_context(_keeper(configs, setting, source, resumed))
        stop_if_asked = stack.enter_context(_interruptible())
        notices = stack.enter_context(_collected_notices())
        from thetahat.train import announce, bag, fit_many, of_members

        made = None
        trackers = (stop_if_asked,) if keeper is None else (stop_if_asked, keeper)
        unkept: Sequence[Unkept] = ()
        try:
            with progress_bar(label or source.experiment, quiet=setting.quiet) as progress:
                results = fit_many(
                    experiment,
                    configs,
                    mode=mode,
                    trackers=tuple(map(of_members, trackers)) if bagged else trackers,
                    checkpoint=path,
                    resume=resumed is not None,
                    progress=progress,
                    on=on,
                )
            if bagged:
                made = bag(results)
                config = {k: v for k, v in made.config.items() if k != "member"}
                made = replace(made, config=config)
                announce(made, trackers, path, resumed is not None)
        except InputError:
            raise
        except Exception as error:
            if keeper is not None:
                keeper.failed(configs, error)
            raise
        finally:
            if keeper is not None:
                keeper.note(notices)
                unkept = keeper.settle()
        n = len(configs) + (made is not None)
        names = [None if keeper is None else keeper.name(k) for k in range(n)]
        return Trained(_with_losses(results, unkept), names, made)


def exit_code(results: Sequence[Result]) -> int:
    """Give 0 if all is done, 1 if a run failed, 130 if one was interrupted."""
    statuses = {result.status for result in results}
    if Status.INTERRUPTED in statuses:
        return 130
    return int(any(status.failed or status is Status.UNMOVED for status in statuses))


def file_hash(path: Path) -> str:
    """Hash a source file, to detect that it has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _with_losses(results: Sequence[Result], unkept: Sequence[Unkept]) -> list[Result]:
    """Give the results as the store has them: a run whose records are incomplete has failed."""
    found = list(results)
    for one in unkept:
        if one.member == len(found):
            continue  # the average of a bag
        if found[one.member].status in (Status.FINISHED, Status.STOPPED):
            found[one.member] = replace(found[one.member], status=Status.FAILED, reason=one.reason)
    return found


@contextlib.contextmanager
def _keeper(
    configs: Sequence[Any], setting: FitSettings, source: RunSource, resumed: ResumedRuns | None
) -> Iterator[tuple[_StoreKeeper | _AgentKeeper | None, Path | None]]:
    """Open the tracker of a fit, and the checkpoint that it writes, locked."""
    if os.environ.get("THETAHAT_RUN_ID") and os.environ.get("THETAHAT_STORE"):
        yield _AgentKeeper(), None
        return
    if not setting.tracked:
        yield None, None
        return
    from thetahat.store import open_store

    facts: dict[str, Any] = {"experiment": source.experiment, "name": setting.name}
    if len(configs) > 1:
        facts["cohort"] = f"c{secrets.token_hex(4)}"
    if resumed is not None:  # the average of members joins them
        facts |= {"cohort": resumed.cohort, "command": resumed.command}
    with open_store(setting.store) as store, contextlib.ExitStack() as stack:
        path = None
        if setting.checkpoint:
            path = store.folder / "checkpoints" / f"{secrets.token_hex(4)}.ckpt"
            path = path if resumed is None else resumed.checkpoint
            what = "this run" if resumed is None else f"the run {resumed.names[0]}"
            stack.enter_context(_locked(path, what))
        yield _StoreKeeper(store, facts, source), path


@contextlib.contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    try:
        with held(path.with_name(path.name + ".lock"), what):
            yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(path.parent)):
            raise
        raise StoreError(
            f"the folder {path.parent} cannot be written ({error.strerror}); give another place"
            " with --store or THETAHAT_STORE"
        ) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[Event], None]]:
    """Delay Ctrl-C until a program is compiled, since XLA cannot be stopped cleanly inside.

    Yields a tracker that stops the fit before its first epoch; from then on the engine handles
    Ctrl-C. SIGTERM, by which a cluster ends a job, does what Ctrl-C does.
    """
    asked: list[int] = []

    def listen(number: int, _frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        print_note("stopping as soon as the program is compiled; Ctrl-C again stops at once")

    def stop_if_asked(event: Event) -> None:
        if asked and isinstance(event, Started):
            raise KeyboardInterrupt("nothing had run yet")

    if threading.current_thread() is not threading.main_thread():
        yield stop_if_asked
        return
    before = signal.signal(signal.SIGINT, listen)
    ended = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield stop_if_asked
    finally:
        signal.signal(signal.SIGTERM, ended)
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _collected_notices() -> Iterator[list[str]]:
    """Collect the notices shown while the block runs."""
    found: list[str] = []
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            found.append(str(message))
        before(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield found
    finally:
        warnings.showwarning = before


class _AgentKeeper:
    """The tracker of a fit in a process that an agent started: logs to the agent's run.

    The fit fails if its records cannot be written or it breaks before it began; the process then
    exits with an error, and the agent ends the run. Notices are in the log of the process.
    """

    def __init__(self) -> None:
        from thetahat.tracking import start

        self._run = start()

    def __call__(self, event: Event) -> None:
        """Record one event."""
        if isinstance(event, Logged):
            refused: StoreError | None = None
            for values in zip(*event.columns.values(), strict=True):
                refused = self._log(dict(zip(event.columns, values, strict=True))) or refused
            if refused is not None:
                raise refused
        elif isinstance(event, Ended):
            self._run.finish(event.status, event.reason, event.metrics)

    def _log(self, row: Mapping[str, Any]) -> StoreError | None:
        """Log a row; return the error of rows before it, which wait to be written, as this one."""
        refused: StoreError | None = None
        # The first call may raise for the rows before this one; after the second the row is queued.
        for _ in range(2):
            try:
                self._run.log(row, step=int(row["epoch"]))
                break
            except StoreError as error:
                refused = error
        return refused

    def failed(self, configs: Sequence[Mapping[str, Any]], error: Exception) -> None: ...

    def note(self, lines: Sequence[str]) -> None: ...

    def settle(self) -> Sequence[Unkept]:
        return ()

    def name(self, member: int) -> str | None:
        del member
        return self._run.name


@dataclass
class _StoreKeeper:
    """The tracker of a session: adds facts of the process, and remembers the runs."""

    store: Store
    facts: dict[str, Any]
    source: RunSource
    _tracker: Any = field(init=False)
    _process: dict[str, Any] = field(init=False)
    _unwritten: list[str] = field(default_factory=list)
    """Notices that could not be kept."""
    _started: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        from thetahat.core.provenance import provenance
        from thetahat.store import StoreTracker

        process = provenance(self.source.file)
        command, source = process.pop("command"), process.pop("source")
        if self.source.file is not None:
            process["source_hash"] = file_hash(self.source.file)
        self.facts = {"command": command, **self.facts, "source": source}
        self._process = process
        self._tracker = StoreTracker(self.store, self.facts)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._tracker(
                replace(
                    event,
                    config={name: stored_value(v) for name, v in (event.config or {}).items()},
                    provenance={**self._process, **event.provenance},
                )
            )
            self._tracker.flush()
            self._started.append(event.member)
        else:
            self._tracker(event)

    def name(self, member: int) -> str | None:
        """Give the name of a run that has started."""
        return self._tracker.run_name(member) if member in self._started else None

    def failed(self, configs: Sequence[Mapping[str, Any]], error: Exception) -> None:
        """Keep runs that failed before they could start; the engine ends those that did."""
        if self._started:
            return
        reason = why_failed(error)
        try:
            for config in configs:
                shown = {name: stored_value(value) for name, value in config.items()}
                run = self.store.create_run(shown, provenance=self._process, **self.facts)
                self.store.finish_run(
                    run.id, status=Status.FAILED, reason=reason[:_LONGEST_REASON], epochs=0
                )
        except StoreError as refused:
            # The user must see why the run failed, not this.
            print_note(f"the failed run could not be kept: {refused}")

    def note(self, lines: Sequence[str]) -> None:
        """Keep notices with the runs."""
        if not lines or not self._started:
            return
        try:
            with self.store.batch() as writer:
                for member in self._started:
                    for line in lines:
                        writer.note(self._tracker.run_id(member), line)
        except StoreError:
            self._unwritten = list(lines)

    def settle(self) -> Sequence[Unkept]:
        """Wait for room on a full disk; report the records that could not be kept."""
        from thetahat.store import EXIT_S

        unkept = self._tracker.settle(0.0)
        if unkept:
            lost, of = sum(one.lost for one in unkept), sum(one.of for one in unkept)
            print_note(
                f"{lost:,} of {of:,} records wait for room on the disk: trying for {EXIT_S:g} s"
            )
            unkept = self._tracker.settle()
        self.note(self._unwritten)
        for one in unkept:
            print_note(_repair(self.store, one))
        return unkept


def _repair(store: Store, one: Unkept) -> str:
    """Say how the store has a run whose records are incomplete, and how to repair it."""
    from thetahat.store import locate

    if one.name is None:
        return f"the store {store.path} does not have this run at all; free space, and run it again"
    has = f"the store {store.path} has the run {one.name} as failed, without them"
    if not one.marked:
        has = f"the store {store.path} does not have the end of the run {one.name}"
    where = store_flag(None if store.path == locate() else str(store.path))
    return f"{has}; free space, and repair it with: thetahat resume {one.name}{where}"
