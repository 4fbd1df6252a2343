"""``wandb.init`` and the run that it returns: kept by the agent of the program, or in the store.

Every run of a program with ``wandb`` loads this module: what few programs use is loaded by the
function that needs it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time

from thetahat.core.summary_forms import Forms
from thetahat.tracking._agent_run import ROWS, AgentRun
from thetahat.wandb._config import Config
from thetahat.wandb._summary import Summary
from thetahat.wandb._values import as_mapping, leaves, load, number_in, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from thetahat.core.run import Status
    from thetahat.store import ManualRun

OWN_STEP = "step (logged)"
"""The column of a program's own ``step``: the store counts rows by W&B's."""
NESTED = "_nested"
"""The hidden label with the names of what was logged as a mapping."""
_ENVIRONMENT = {
    "project": "WANDB_PROJECT",
    "group": "WANDB_RUN_GROUP",
    "job_type": "WANDB_JOB_TYPE",
    "notes": "WANDB_NOTES",
    "entity": "WANDB_ENTITY",
    "name": "WANDB_NAME",
    "id": "WANDB_RUN_ID",
    "resume": "WANDB_RESUME",
    "mode": "WANDB_MODE",
}

current: list[Run] = []
"""The run that ``wandb.run`` is, if there is one."""
_sinks: dict[str, AgentRun] = {}
"""The agent's run, by its file: a program may begin and finish it several times."""


stop_check: list[Callable[[], None]] = []
"""What ends the function of ``wandb.agent`` when its run has been stopped."""


class Error(Exception):
    """An error of a call of ``wandb``."""


class UsageError(Error):
    """A call of ``wandb`` that cannot be answered as it is."""


def warn(text: str) -> None:
    """Print a line on standard error, as wandb does."""
    sys.stderr.write(f"wandb: {text}\n")


class Run:
    """A run of this program. The store keeps all that it says."""

    def __init__(
        self, sink: AgentRun | ManualRun | None, labels: Mapping[str, Any], start: int = 0
    ) -> None:
        self._sink = sink
        self._labels = dict(labels)
        self._lock = threading.RLock()
        self._step = start
        self.starting_step = start
        self.start_time = time.time()
        self._over = False
        self._words: set[str] = set()
        """Names whose last value may be no number."""
        self._removed: set[str] = set()
        """Names that the program took out of the summary."""
        self._defined: dict[str, float] = {}
        """Numbers that the definitions ask for, such as ``loss.min``."""
        self._definitions: Any = None
        self._files: Any = None
        self._warned: set[str] = set()
        locked = sink.config if isinstance(sink, AgentRun) else {}
        self._config = Config(locked, self._tell_config)
        self._forms = Forms(self._labels.get(NESTED, ()))
        self._summary = Summary(self._tell_summary)
        self.resumed = start > 0
        self._owner = os.getpid()

    # -- what it is -----------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The config of the run."""
        return self._config

    @config.setter
    def config(self, values: Any) -> None:
        self._config.update(values)

    @property
    def summary(self) -> Summary:
        """The last value of all that was logged, and what the program put there."""
        return self._summary

    @property
    def id(self) -> str:
        """The id: the program's own, else the store's."""
        given = self._labels.get("id")
        return str(given or (self._sink.id if self._sink is not None else "disabled"))

    @property
    def name(self) -> str:
        """The name."""
        return str(self._labels.get("name") or (self._sink.name if self._sink else "disabled"))

    @name.setter
    def name(self, name: str) -> None:
        self._label(name=str(name))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags."""
        return tuple(self._labels.get("tags", ()))

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self._label(tags=tags_of(tags))

    @property
    def notes(self) -> str:
        """The notes."""
        return str(self._labels.get("notes", ""))

    @notes.setter
    def notes(self, notes: str) -> None:
        self._label(notes=str(notes))

    @property
    def group(self) -> str:
        """The group."""
        return str(self._labels.get("group", ""))

    @property
    def job_type(self) -> str:
        """The type of job."""
        return str(self._labels.get("job_type", ""))

    @property
    def project(self) -> str:
        """The project."""
        return str(self._labels.get("project") or "uncategorized")

    def project_name(self) -> str:
        """Return the project."""
        return self.project

    @property
    def entity(self) -> str:
        """The entity: a store has no accounts, so the one that the program gave."""
        return str(self._labels.get("entity") or "local")

    @property
    def path(self) -> str:
        """``entity/project/id``, as ``wandb.Api().run`` takes it."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def sweep_id(self) -> str | None:
        """The sweep, in a process that an agent started."""
        mine = isinstance(self._sink, AgentRun)
        return os.environ.get("WANDB_SWEEP_ID") if mine else None

    @property
    def step(self) -> int:
        """The step of the next row."""
        return self._step

    @property
    def offline(self) -> bool:
        """Nothing is sent anywhere."""
        return True

    @property
    def disabled(self) -> bool:
        """Whether the program asked for a run that keeps nothing."""
        return self._sink is None

    @property
    def mode(self) -> str:
        """``offline``, or ``disabled``."""
        return "disabled" if self.disabled else "offline"

    @property
    def url(self) -> None:
        """No page of a server."""

    project_url = sweep_url = url

    def get_url(self) -> None:
        """Return None: there is no page of a server."""

    get_project_url = get_sweep_url = get_url

    @property
    def settings(self) -> Any:
        """The settings that programs read."""
        from types import SimpleNamespace

        return SimpleNamespace(
            run_id=self.id,
            run_name=self.name,
            project=self.project,
            entity=self.entity,
            run_group=self.group,
            mode=self.mode,
            _offline=True,
            sweep_id=self.sweep_id,
            files_dir=self.dir,
            sync_dir=self.dir,
        )

    # -- logging --------------------------------------------------------------------------------

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        sync: bool | None = None,
    ) -> None:
        """Log a row; ``step`` counts rows unless given, and a row grows until it is committed."""
        if not hasattr(data, "items"):
            raise ValueError(f"wandb.log needs names and values, such as {{'loss': 0.1}}: {data!r}")
        if self._over:
            raise UsageError(f"the run {self.name} has finished; wandb.init() begins another")
        for check in stop_check:
            check()
        with self._lock:
            if step is not None:
                if step < self._step:
                    self._warn_step(int(step))
                    return
                self._step = int(step)
            numbers: dict[str, float] = {}
            if self._forms.mappings:
                self._replace_mappings(data)
            for name, value in data.items():
                if type(value) is float or type(value) is int:
                    numbers[name if type(name) is str else str(name)] = value
                else:
                    self._take(str(name), value, numbers)
            if self._definitions is not None:
                self._defined |= self._definitions.take(numbers, data)
            if numbers:
                self._log_numbers(numbers)
            if commit or (commit is None and step is None):
                self._step += 1

    def _log_numbers(self, numbers: dict[str, float]) -> None:
        self._summary.logged(numbers)
        at = self._step
        if "step" in numbers:
            numbers[OWN_STEP] = numbers.pop("step")
        if self._sink is None or not numbers:
            return
        if isinstance(self._sink, AgentRun):
            self._sink.log_numbers(numbers, at)
        else:
            self._sink.log(numbers, at)

    def _take(self, name: str, value: Any, numbers: dict[str, float]) -> None:
        """Take a value that is not a plain number of the row itself."""
        number = value if type(value) in (int, float) else number_in(value)
        if number is not None:
            numbers[name] = number
        elif hasattr(value, "items") and not hasattr(value, "iloc"):
            self._note_mapping(name)
            inner = dict(leaves(value, f"{name}."))
            self._replace(name, inner)
            for path, leaf in inner.items():
                self._take(path, leaf, numbers)
        elif value is not None:
            media = None if isinstance(value, (str, bool)) else load("_media")
            kept = None if media is None else media.keep_media(self, name, value)
            word = plain(value) if kept is None else kept
            self._summary.logged({name: word})
            if kept is None:
                self._words.add(name)
                self._tell({"words": {name: word}})

    def _warn_step(self, step: int) -> None:
        if "step" not in self._warned:
            self._warned.add("step")
            warn(
                f"wandb.log(step={step}) is before the row at step {self._step}: W&B drops such"
                " rows, and so does thetahat; use define_metric for another axis"
            )

    # -- telling --------------------------------------------------------------------------------

    def _tell(self, facts: dict[str, Any]) -> None:
        if isinstance(self._sink, AgentRun) and not self._over:
            self._sink.tell(facts)

    def _tell_config(self, changed: dict[str, Any]) -> None:
        if isinstance(self._sink, AgentRun):
            self._tell({"config": changed})
        elif self._sink is not None:
            self._sink.describe(changed)

    def _note_mapping(self, name: str) -> None:
        """Keep the name of a mapping: its values have names with dots, as others may."""
        known = self._labels.get(NESTED, ())
        if name not in known:
            self._label(**{NESTED: [*known, name]})

    def _replace_mappings(self, values: Mapping[Any, Any]) -> None:
        """Take mappings out of the summary that get a value of their own name."""
        for name in list(self._forms.mappings):
            value = values.get(name)
            if value is not None and not hasattr(value, "items"):
                self._replace(name, ())

    def _replace(self, name: str, inner: Collection[str]) -> None:
        """Take out of the summary what stands where values come."""
        if gone := self._forms.log(self._summary.flat, name, inner):
            self._words.difference_update(gone)
            self._tell_summary({}, gone)

    def _tell_summary(
        self, values: dict[str, Any], removed: list[str], mappings: Sequence[str] = ()
    ) -> None:
        for name in mappings:
            self._note_mapping(name)
        removed = [*removed, *self._forms.put(self._summary.flat, values, mappings)]
        self._summary.drop(removed)
        numbers = _stored({k: v for k, v in values.items() if type(v) in (int, float)})
        words = {k: v for k, v in values.items() if type(v) not in (int, float) and v is not None}
        removed = [*removed, *(k for k, v in values.items() if v is None)]
        if "step" in removed:
            removed.append(OWN_STEP)
        self._words.update(words)
        self._removed.update(removed)
        for name in (*values, *removed):
            self._defined.pop(name, None)
        self._tell({"summary": numbers, "words": words, "removed": removed})

    def _label(self, **labels: Any) -> None:
        self._labels |= labels
        name = labels.pop("name", None)
        if isinstance(self._sink, AgentRun):
            self._tell({"name": name, "labels": labels})
        elif self._sink is not None:
            self._sink.describe({}, name=name, labels=labels)

    # -- the end --------------------------------------------------------------------------------

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run; with another exit code than 0 it has failed."""
        if self._over:
            return
        with self._lock:
            if self._files is not None:
                self._files.collect()
            if isinstance(self._sink, AgentRun) and self._defined:
                self._sink.tell({"summary": self._defined})
            self._over = True
        if isinstance(self._sink, AgentRun):
            if exit_code:
                self._sink.finish("failed", f"wandb.finish(exit_code={exit_code})")
        elif self._sink is not None:
            how = ("finished", "")
            if exit_code:
                how = ("failed", f"wandb.finish(exit_code={exit_code})")
            self._end(*how)
        if self in current:
            current.remove(self)

    def _at_exit(self) -> None:
        """End the run of a program that does not."""
        if self._over or os.getpid() != self._owner:
            return
        error = getattr(sys, "last_value", None)
        if error is None or isinstance(self._sink, AgentRun) or self._sink is None:
            self.finish()
            return
        from thetahat.core.logged import ending_of

        status, reason = ending_of(error)
        self._over = True
        self._end(status, reason)

    def _end(self, status: Status | str, reason: str) -> None:
        """End a run of the program's own: of each name, its summary has the last value."""
        last = dict(self._summary.items())
        numbers = _stored({k: v for k, v in last.items() if type(v) in (int, float)})
        words = {k: v for k, v in last.items() if k in self._words and type(v) not in (int, float)}
        words = {name: value for name, value in words.items() if value is not None}
        gone = [name for name in self._removed if last.get(name) is None and name not in numbers]
        if "step" in words:
            gone.append(OWN_STEP)
        if not isinstance(self._sink, AgentRun) and self._sink is not None:
            self._sink.finish(
                *(status, reason),
                metrics=numbers | self._defined,
                words=words,
                removed=gone,
            )

    join = finish

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        clean = error is None or (isinstance(error, SystemExit) and not error.code)
        if clean or not isinstance(error, Exception) or isinstance(self._sink, AgentRun):
            self.finish(0 if clean else 1)
            return
        from thetahat.core.logged import ending_of

        status, reason = ending_of(error)
        self._over = True
        self._end(status, reason)
        if self in current:
            current.remove(self)

    def __repr__(self) -> str:
        return f"<wandb run {self.name} ({self.id}), kept by thetahat>"

    def __getattr__(self, name: str) -> Any:
        return load("_run_more").method_of(self, name)


def _stored(numbers: dict[str, float]) -> dict[str, float]:
    """Name numbers as the store does."""
    if "step" in numbers:
        numbers[OWN_STEP] = numbers.pop("step")
    return numbers


_ARGUMENTS = ("config", "tags", "reinit", "settings", "dir")
_IGNORED = frozenset(
    {
        *("force", "anonymous", "magic", "save_code", "allow_val_change", "name_prefix"),
        *("config_exclude_keys", "config_include_keys", "sync", "resume_step"),
    }
)


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: list[str] | None = None,
    config: dict[str, object] | str | None = None,
    config_exclude_keys: list[str] | None = None,
    config_include_keys: list[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    anonymous: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: object | None = None,
    **others: object,
) -> Run:
    """Begin a run, as ``wandb.init`` does: nothing is sent, the store keeps it.

    In a process that an agent started, this is the agent's run, and the sweep's values stand.
    (LightningCLI reads the names and types of these arguments.)
    """
    given: dict[str, Any] = {k: v for k, v in locals().items() if k != "others"}
    given |= others
    given = {k: v for k, v in given.items() if v is not None}
    if (settings := given.pop("settings", None)) is not None:
        given = {**load("_init_more").of_settings(settings), **given}
    if current and not _replaces(given.get("reinit")):
        return current[-1]
    unknown = [k for k in given if k not in _ENVIRONMENT and k not in _ARGUMENTS]
    if any(k not in _IGNORED for k in unknown):
        load("_init_more").say_unsupported({k: given[k] for k in unknown if k not in _IGNORED})
    run = _begun(given)
    config = as_mapping(given.get("config"))
    if wanted := given.get("config_include_keys"):
        config = {k: v for k, v in config.items() if k in wanted}
    unwanted = given.get("config_exclude_keys") or ()
    if os.path.exists("config-defaults.yaml"):
        config = {**as_mapping("config-defaults.yaml"), **config}
    config = {k: v for k, v in config.items() if k not in unwanted}
    if config:
        run.config.update(config)
    current.append(run)
    atexit.register(run._at_exit)
    return run


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the run, if there is one."""
    if current:
        current[-1].finish(exit_code, quiet)


def tags_of(tags: Any) -> list[str]:
    """Return tags as a list; W&B takes a word too."""
    return [tags] if isinstance(tags, str) else [str(tag) for tag in tags or ()]


def _replaces(reinit: Any) -> bool:
    """Whether a new run begins although one is there; end that one if it is asked for."""
    if reinit is True or reinit == "finish_previous":
        while current:
            current[-1].finish()
        return True
    return reinit == "create_new"


def of_agent() -> bool:
    """Whether this process is the run of an agent: its children may take themselves out."""
    here = os.environ
    mine = here.get("THETAHAT_RUN_ID")
    return bool(here.get(ROWS) and mine and here.get("WANDB_RUN_ID") == mine)


def _begun(given: dict[str, Any]) -> Run:
    agents = of_agent()
    labels = {}
    for name, variable in _ENVIRONMENT.items():
        # An agent sets these two for the real package.
        mine = agents and name in ("name", "id")
        found = given.get(name) or (None if mine else os.environ.get(variable))
        if found:
            labels[name] = str(found) if name != "resume" else found
    tags = tags_of(given.get("tags") or os.environ.get("WANDB_TAGS", "").split(","))
    if tags := [tag for tag in tags if tag]:
        labels["tags"] = tags
    mode, resume = labels.pop("mode", ""), labels.pop("resume", None)
    if mode == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1"):
        return Run(None, labels)
    if mode == "online" and "mode" in given:
        warn("mode='online' sends nothing here: thetahat keeps the run in its store")
    if not agents:
        return load("_init_more").own_run(labels, resume, wanted=given.get("dir"))
    labels.pop("id", None)
    path = os.environ[ROWS]
    try:
        sink = _sinks.get(path) or AgentRun(path)
    except (OSError, ValueError) as error:
        raise Error(f"the agent's file {path} cannot be opened ({error})") from error
    _sinks[path] = sink
    name = labels.get("name")
    facts = {k: v for k, v in labels.items() if k != "name"}
    if facts or name:
        sink.tell({"name": name, "labels": facts})
    return Run(sink, labels, sink.next_step)
