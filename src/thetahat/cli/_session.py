"""A fit from the command line: a store opened first, progress drawn, failures told."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import secrets
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.cli._agent_run import AgentKeeper, is_under_agent
from thetahat.cli._errors import note
from thetahat.cli._flags import stored_value
from thetahat.cli.terminal._fit_progress import progress_bar
from thetahat.core import ConfigError, Event, InputError, Notice, Started, Status, StoreError, Task
from thetahat.core.filelock import held

if TYPE_CHECKING:
    from thetahat.store import Store, Unkept
    from thetahat.train import Result

CHECKPOINTS = "checkpoints"
LATEST = "last"
"""What no run can be called."""
_LONGEST_REASON = 300


@dataclass(frozen=True)
class Setting:
    """How to run, as the options say."""

    store: str | None = None
    tracked: bool = True
    checkpoint: bool = True
    name: str | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Origin:
    """Where an experiment comes from."""

    experiment: str
    file: Path | None = None


@dataclass(frozen=True)
class Going:
    """A checkpoint to go on from, and the runs it belongs to."""

    checkpoint: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What came out: a Result per config, and the names of the runs where there is a store."""

    results: Sequence[Result]
    names: Sequence[str | None]


def origin_of(experiment: Callable[..., Any], name: str) -> Origin:
    """The file that an experiment was written in, if it has one."""
    try:
        found = inspect.getsourcefile(inspect.unwrap(experiment))
    except TypeError:
        found = None
    file = Path(found) if found else None
    return Origin(name, file if file is not None and file.is_file() else None)


def train(
    experiment: Callable[..., Task],
    configs: Sequence[Mapping[str, Any]],
    setting: Setting,
    origin: Origin,
    *,
    going: Going | None = None,
    label: str | None = None,
) -> Trained:
    """Fit configs that differ in traced parameters only, as tracked runs.

    Raises:  InputError: before anything ran, where the store cannot be opened or written, or the
             name is no name.
    """
    if setting.name == LATEST:
        raise ConfigError(
            f"--name={LATEST}: {LATEST!r} means the latest run, in show, resume and report; give"
            " another name"
        )
    with contextlib.ExitStack() as stack:
        own = setting.tracked and not is_under_agent()
        store = stack.enter_context(_opened(setting)) if own else None
        path = None
        if store is not None:
            path = going.checkpoint if going else _new_checkpoint(store, setting)
            if path is not None:
                what = f"the run {going.names[0]}" if going else "this run"
                stack.enter_context(_locked(path, what))
        stop_if_asked = stack.enter_context(_patient())
        keeper: _Keeper | AgentKeeper | None = AgentKeeper() if is_under_agent() else None
        if store is not None:
            keeper = _Keeper(store, _facts(origin, configs, setting), origin)
        said = stack.enter_context(_collected_notices())
        unkept: Sequence[Unkept] = ()
        from thetahat.train import fit_many

        bar = progress_bar(label or origin.experiment, quiet=setting.quiet)
        try:
            with bar as progress:
                results = fit_many(
                    experiment,
                    configs,
                    trackers=(stop_if_asked,) if keeper is None else (stop_if_asked, keeper),
                    checkpoint=path,
                    resume=going is not None,
                    progress=progress,
                )
        except InputError:
            raise
        except Exception as error:
            if keeper is not None:
                keeper.broke(configs, error)
            raise
        finally:
            if keeper is not None:
                keeper.note(said)
                unkept = keeper.settle()
        names = [None if keeper is None else keeper.name(k) for k in range(len(configs))]
        return Trained(_with_losses(results, unkept), names)


def exit_code(results: Sequence[Result]) -> int:
    """0 done, 1 a run failed, 130 interrupted."""
    statuses = {result.status for result in results}
    if Status.INTERRUPTED in statuses:
        return 130
    return int(bool(statuses & {Status.DIVERGED, Status.UNMOVED, Status.FAILED}))


def _with_losses(results: Sequence[Result], unkept: Sequence[Unkept]) -> list[Result]:
    """The results as the store has them: a run whose records are not all there has failed."""
    found = list(results)
    for one in unkept:
        if found[one.member].status in (Status.FINISHED, Status.STOPPED):
            found[one.member] = replace(found[one.member], status=Status.FAILED, reason=one.reason)
    return found


@contextlib.contextmanager
def _opened(setting: Setting) -> Iterator[Store]:
    from thetahat.store import open_store

    with open_store(setting.store) as store:
        yield store


@contextlib.contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    try:
        lock = held(path.with_name(path.name + ".lock"), what)
        with lock:
            yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(path.parent)):
            raise
        raise StoreError(
            f"the folder {path.parent} cannot be written ({error.strerror}); give another place"
            " with --store or THETAHAT_STORE"
        ) from error


def _new_checkpoint(store: Store, setting: Setting) -> Path | None:
    if not setting.checkpoint:
        return None
    return store.folder / CHECKPOINTS / f"{secrets.token_hex(4)}.ckpt"


def _facts(origin: Origin, configs: Sequence[Any], setting: Setting) -> dict[str, Any]:
    facts: dict[str, Any] = {"experiment": origin.experiment, "name": setting.name}
    if len(configs) > 1:
        facts["cohort"] = f"c{secrets.token_hex(4)}"
    return facts


@contextlib.contextmanager
def _patient() -> Iterator[Callable[[Event], None]]:
    """Ctrl-C while a program compiles: wait for it, since XLA cannot be stopped cleanly inside.

    Gives a tracker that stops the fit before its first epoch. From then on the engine listens. Who
    asks the process to end, as a queue of a cluster does, asks for what Ctrl-C does.
    """
    asked: list[int] = []

    def listen(number: int, _frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        note("stopping as soon as the program is compiled; Ctrl-C again stops at once")

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
    """The notices shown while the block runs."""
    said: list[str] = []
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            said.append(str(message))
        before(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield said
    finally:
        warnings.showwarning = before


def file_hash(path: Path) -> str:
    """What tells whether a source file has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@dataclass
class _Keeper:
    """The tracker of a session: adds what the process knows, and remembers the runs."""

    store: Store
    facts: dict[str, Any]
    origin: Origin
    _tracker: Any = field(init=False)
    _process: dict[str, Any] = field(init=False)
    _unsaid: list[str] = field(default_factory=list)
    """Notices that could not be kept."""
    _begun: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        from thetahat.core.provenance import provenance
        from thetahat.store import StoreTracker

        process = provenance(self.origin.file)
        command, source = process.pop("command"), process.pop("source")
        if self.origin.file is not None:
            process["source_hash"] = file_hash(self.origin.file)
        self.facts = {**self.facts, "command": command, "source": source}
        self._process = process
        self._tracker = StoreTracker(self.store, self.facts)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._tracker(
                replace(
                    event,
                    config={name: stored_value(v) for name, v in event.config.items()},
                    provenance={**self._process, **event.provenance},
                )
            )
            self._tracker.flush()
            self._begun.append(event.member)
        else:
            self._tracker(event)

    def name(self, member: int) -> str | None:
        """The name of a run that has begun."""
        return self._tracker.run_name(member) if member in self._begun else None

    def broke(self, configs: Sequence[Mapping[str, Any]], error: Exception) -> None:
        """Keep runs that broke before they could begin."""
        if self._begun:
            return  # the engine has told how they ended
        reason = f"{type(error).__name__}: {str(error).strip()}".partition("\n")[0]
        try:
            for config in configs:
                shown = {name: stored_value(value) for name, value in config.items()}
                run = self.store.create_run(shown, provenance=self._process, **self.facts)
                self.store.finish_run(
                    run.id, status=Status.FAILED, reason=reason[:_LONGEST_REASON], epochs=0
                )
        except StoreError as refused:
            # What broke the run is what the user must see.
            note(f"that the run failed could not be kept: {refused}")

    def note(self, lines: Sequence[str]) -> None:
        """Keep notices with the runs."""
        if not lines or not self._begun:
            return
        try:
            with self.store.batch() as writer:
                for member in self._begun:
                    for line in lines:
                        writer.note(self._tracker.run_id(member), line)
        except StoreError:
            self._unsaid = list(lines)

    def settle(self) -> Sequence[Unkept]:
        """Wait for room, where a disk is full, and say what could not be kept."""
        from thetahat.store import EXIT_S

        unkept = self._tracker.settle(0.0)
        if unkept:
            lost, of = sum(one.lost for one in unkept), sum(one.of for one in unkept)
            note(f"{lost:,} of {of:,} records wait for room on the disk: trying for {EXIT_S:g} s")
            unkept = self._tracker.settle()
        self.note(self._unsaid)
        for one in unkept:
            note(_repair(self.store, one))
        return unkept


def _repair(store: Store, one: Unkept) -> str:
    """How the store has a run whose records are not all there, and what to do."""
    from thetahat.store import locate

    if one.name is None:
        return f"the store {store.path} does not have this run at all; free space, and run it again"
    has = f"the store {store.path} has the run {one.name} as failed, without them"
    if not one.marked:
        has = f"the store {store.path} could not be told how the run {one.name} ended"
    where = "" if store.path == locate() else f" --store {store.path}"
    return f"{has}; free space, and repair it with: thetahat resume {one.name}{where}"
