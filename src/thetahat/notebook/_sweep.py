"""``th.open_sweep``: a sweep to look at and to work on from Python."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.analysis import (
    MARKS,
    Group,
    Setting,
    Study,
    best_first,
    center_of,
    flat_config,
    group_runs,
    over_folds,
    read_study,
)
from thetahat.core.acceptance import accepted_words
from thetahat.core.arguments import arguments_named
from thetahat.core.card import card, grid
from thetahat.core.errors import ConfigError, Interrupted, MissingExtra, notify
from thetahat.core.files import given_path
from thetahat.format._numbers import column_cells, is_number, short
from thetahat.notebook._agent import start_agent, work_of
from thetahat.report import Plots

if TYPE_CHECKING:
    from thetahat.core.places import Place
    from thetahat.notebook._agent import Background
    from thetahat.store import RunRow, Store
    from thetahat.sweep import Work

_FRESH_S = 1.0
_SHOWN = 8


@dataclass(frozen=True, repr=False)
class LoadableSetting(Setting):
    """A setting of a sweep, whose fitted models can be loaded if the sweep keeps them."""

    sweep: Sweep | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """The median of each metric over its runs that ended well; of folds the mean."""
        return {name: center_of(numbers) for name, numbers in self.group.metrics.items()}

    def load(self) -> Any:
        """Load the fitted model of its run: a ``th.Fitted``; ``th.Results`` of several seeds.

        Raises:  ConfigError: the sweep keeps no model of it.
        """
        assert self.sweep is not None
        return self.sweep._load(self)


@arguments_named
def open_sweep(
    name: str = "last",
    store: Store | str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
) -> Sweep:
    """Read a sweep as it stands now; ``refresh()`` reads what has happened since.

    Args:    name: its id or name, the beginning of one, or "last".
             store: open, or where it lies; by default as for ``th.open_store``.
             metric: what to judge by, in place of the sweep file's.
    Raises:  StoreError: no such sweep; the nearest is offered.   ConfigError: no such metric.
    """
    from thetahat.store import find_sweep, open_store

    url: Any = getattr(store, "path", store)
    with open_store(url, create=False) as opened:
        sweep = Sweep(opened.path, find_sweep(opened, name).id, metric=metric)
    sweep.refresh()
    return sweep


class Sweep:
    """A sweep of a store, to look at and to work on: ``th.run_sweep`` and ``th.open_sweep`` give
    one.

    Looking: ``best``, ``front``, ``settings``, ``runs``, ``frame()``, ``groups()``, ``history()``,
    ``table(name)``, ``plot``, ``report(path)``. Working: ``wait()``, ``cancel()``, ``resume()``,
    ``retry_failed()``, ``extend(...)``.
    """

    def __init__(
        self,
        path: Place,
        sweep_id: str,
        *,
        metric: str | None = None,
        experiment: Callable[..., Any] | None = None,
    ) -> None:
        self._path, self._id, self._asked = path, sweep_id, metric
        self._experiment = experiment
        """A function that no file has, and so no agent but those of this process."""
        self._agent: Background | None = None
        self._how: Work | None = None
        self._quiet = False
        self._read: Study | None = None
        self._read_s = 0.0
        self._settings: tuple[Study, list[LoadableSetting]] | None = None

    @property
    def _study(self) -> Study:
        """The sweep, read; while an agent of this process works, at most a second old."""
        stale = self._agent is not None and time.monotonic() - self._read_s > _FRESH_S
        if self._read is None or stale:
            self.refresh()
        assert self._read is not None
        return self._read

    def refresh(self) -> Sweep:
        """Read the sweep again, as it stands now.

        Raises:  ConfigError: no run has the metric that was asked for.
        """
        from thetahat.store import find_sweep

        with self._store() as store:
            self._read = read_study(store, find_sweep(store, self._id), metric=self._asked)
        self._read_s = time.monotonic()
        if self._agent is not None and not self._agent.works:
            self._agent = None if self._agent.wait() else self._agent
        return self

    def _store(self) -> Store:
        from thetahat.store import open_store

        return open_store(self._path, create=False)

    # -- working ----------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """Its state now: "running", "paused", "cancelled" or "finished"."""
        from thetahat.store import find_sweep

        with self._store() as store:
            return find_sweep(store, self._id).state

    def work(self, how: Work, *, wait: bool = True, quiet: bool | None = None) -> None:
        """Start an agent of this process, unless one works; its successors work alike.

        Raises:  Interrupted: Ctrl-C or a notebook's stop button.
        """
        self._how, self._quiet = how, self._quiet if quiet is None else quiet
        if self._agent is not None and self._agent.works:
            if wait:
                self.wait()
            return
        try:
            given = (self._path, self._id, how, self._experiment)
            self._agent = start_agent(*given, wait=wait, quiet=self._quiet)
        except Interrupted as error:
            raise Interrupted(str(error), [self]) from None
        finally:
            self._read = None

    def _as_before(self, workers: int | None) -> Work:
        """Return how the last agent worked, with another number of workers if one is given."""
        how = self._how or work_of(None)
        return how if workers is None else replace(how, workers=work_of(workers).workers)

    def wait(self, timeout_s: float | None = None) -> Sweep:
        """Wait until the agent of this process has ended, at most so long.

        Raises:  InputError, StoreError: why it ended before the sweep was done.
        """
        if self._agent is not None and self._agent.wait(timeout_s):
            self._agent = None
        self._read = None
        return self

    def cancel(self) -> Sweep:
        """End the sweep, and its runs, now."""
        from thetahat.store import cancel_sweep

        with self._store() as store:
            cancel_sweep(store, self._id, "from Python")
        return self.wait()

    def resume(
        self,
        experiment: Callable[..., Any] | None = None,
        *,
        workers: int | None = None,
        wait: bool = True,
        quiet: bool | None = None,
    ) -> Sweep:
        """Go on with a sweep that was interrupted or paused.

        Args:    experiment: the function, for a sweep that began in a notebook's cell.
                 (the others as for ``th.run_sweep``, and by default as they were there)
        """
        from thetahat.store import set_state

        how = self._as_before(workers)
        self._take(experiment, "resume")
        with self._store() as store:
            if not set_state(store, self._id, "running", "resumed from Python"):
                raise ConfigError(
                    f"the sweep {self._id} is {self.status} already; for other points use extend()"
                )
        self.work(how, wait=wait, quiet=quiet)
        return self

    def retry_failed(
        self,
        experiment: Callable[..., Any] | None = None,
        *,
        diverged: bool = False,
        workers: int | None = None,
        wait: bool = True,
        quiet: bool | None = None,
    ) -> Sweep:
        """Run the failed runs again, after the program was fixed; no others, if the sweep is over.

        Args:    experiment: the fixed function, for a sweep that began in a notebook's cell; by
                 default the one that has its name there now.
                 diverged: also the runs that diverged.
                 (the others as for ``th.run_sweep``, and by default as they were there)
        Raises:  ConfigError: no run has failed.
        """
        from thetahat.store import find_sweep, nothing_to_retry, retry_failed

        how = self._as_before(workers)
        self._take(experiment, "retry_failed")
        with self._store() as store:
            if not retry_failed(store, self._id, diverged=diverged):
                row, flag = find_sweep(store, self._id), "retry_failed(diverged=True)"
                raise ConfigError(nothing_to_retry(store, row, flag, diverged=diverged))
        self.work(how, wait=wait, quiet=quiet)
        return self

    def extend(
        self,
        more: int | Mapping[str, Any] | str | os.PathLike[str],
        *,
        workers: int | None = None,
        wait: bool = True,
        quiet: bool | None = None,
    ) -> Sweep:
        """Go on with more runs, or with more values; no point that has run runs again.

        Args:    more: a number of runs; new values by parameter, such as ``{"width": [128, 256]}``
                 or ``{"lr": {"min": 1e-4, "max": 1.0}}``; or the path of another sweep file.
                 (the others as for ``th.run_sweep``, and by default as they were there)
        Raises:  ConfigError: values that the experiment cannot take; more runs of a whole grid.
        """
        from thetahat.store import find_sweep
        from thetahat.sweep.agent import extend_by

        how = self._as_before(workers)
        self._renew()
        with self._store() as store:
            extend_by(store, find_sweep(store, self._id), more, self._experiment)
        self.work(how, wait=wait, quiet=quiet)
        return self

    def _load(self, setting: Setting) -> Any:
        """Load the kept models of a setting."""
        from thetahat.store import find_sweep
        from thetahat.sweep.agent import load_models

        with self._store() as store:
            row = find_sweep(store, self._id)
            found = load_models(store, row, setting.runs, self._experiment)
        if found is None:
            raise ConfigError(
                f"the sweep {self._id} keeps no model of {setting.name}: it keeps those of its best"
                " settings; run it with keep=K (--keep K) for more, or fit this one again:"
                " th.fit(experiment, **setting.config)"
            )
        return found

    def _take(self, experiment: Callable[..., Any] | None, call: str) -> None:
        """Take a function for a sweep of a notebook's function."""
        from thetahat.store import find_sweep
        from thetahat.sweep.agent import spec_of

        with self._store() as store:
            spec = spec_of(find_sweep(store, self._id))
        if spec.program is not None or spec.function is None:
            if experiment is not None:
                raise ConfigError(
                    f"the sweep {self._id} runs {spec.program or 'a program'}, which its workers"
                    " load anew; leave the experiment out"
                )
        elif experiment is not None:
            self._experiment = experiment
        elif self._experiment is None:
            raise ConfigError(
                f"{spec.function}() of the sweep {self._id} is in no file; give it: for example"
                f" {call}({spec.function})"
            )
        else:
            self._renew()

    def _renew(self) -> None:
        """Take a notebook's function as it is now: its cell may have been edited."""
        known = self._experiment
        home = sys.modules.get(getattr(known, "__module__", ""))
        now = getattr(home, getattr(known, "__qualname__", ""), None)
        if known is not None and callable(now) and now is not known:
            notify(f"{known.__name__}() was defined anew: the runs take it as it is now")
            self._experiment = now

    # -- looking ----------------------------------------------------------------------------------

    def frame(self) -> Any:
        """Return a pandas frame with a row for each run: its whole config and its metrics.

        ``code`` is a digest of the program's files: runs of the same code have the same. A
        parameter that is called like a column of the run, such as ``name``, begins with "config.".

        Raises:  MissingExtra: pandas is not installed.
        """
        from thetahat.store import code_digests

        with self._store() as store:
            code = code_digests(store, self._id)
        rows = []
        for run in self.runs:
            known = {"name": run.name, "status": str(run.status)}
            last = {"seconds": run.total_seconds, "attempt": run.attempt, "id": run.id}
            last |= {"code": code.get(run.id), "reason": run.reason}
            own = known.keys() | last.keys()
            config = {
                f"config.{k}" if k in own else k: v for k, v in flat_config(run.config).items()
            }
            taken = own | config.keys()
            metrics = {f"final {k}" if k in taken else k: v for k, v in run.metrics.items()}
            rows.append({**known, **config, **metrics, **last})
        return _pandas("sweep.frame()").DataFrame(rows)

    def groups(self, over: str | Sequence[str] = ()) -> Any:
        """Return a pandas frame with a row for each setting, the best first: counts, then median,
        10 % and 90 % quantiles of each metric, and the mean over ``--folds``, which ranks them.

        Args:    over: parameters to average out; by default the seeds.
        Raises:  ConfigError: no run has such a parameter.   MissingExtra: pandas is not installed.
        """
        study = self._study
        names = [over] if isinstance(over, str) else list(over)
        if not names:
            return _pandas("sweep.groups()").DataFrame(list(map(_setting_row, study.settings)))
        mean = over_folds(study.sweep, names)
        groups = group_runs(study.runs, names, metric=self.metric, by_mean=mean)
        ranked = best_first(groups, self.metric, study.sign, 1)
        varying = _varying([group.config for group in groups])
        rows = [_group_row({k: g.config.get(k) for k in varying}, g) for g in ranked]
        return _pandas("sweep.groups()").DataFrame(rows)

    def history(self, columns: Sequence[str] | None = None) -> Any:
        """Return a pandas frame with a row for each epoch of each run: ``name`` (the run's),
        ``epoch`` or ``step``, and the logged columns.

        Args:    columns: only these of the logged columns.
        Raises:  ConfigError: a column that no run logged.   MissingExtra: pandas is not installed.
        """
        from thetahat.notebook._history import history_frame

        pandas = _pandas("sweep.history()")
        with self._store() as store:
            return history_frame(pandas, store, self._id, columns)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report as one file, whose ending chooses the format: .html, .tex, .md or .csv.

        Raises:  ConfigError: another ending, or a file of another kind.
        """
        from thetahat.report import (
            format_of,
            is_report,
            make_report,
            refuse_foreign,
            render,
            write_whole,
        )

        to = given_path("path", path, "sweep.html")
        try:
            kind = format_of(to)
        except ConfigError as error:  # in words of the command line
            said = str(error).removeprefix("-o ").removesuffix(", or give --format")
            raise ConfigError(said) from None
        with self._store() as store:
            text = render(make_report(store, self._id, metric=self._asked), kind)
        refuse_foreign(to, str(to), is_report(text, kind))
        write_whole(to, text.encode("utf-8", "backslashreplace"))
        return to

    @property
    def id(self) -> str:
        """As ``thetahat agent ID`` takes it."""
        return self._id

    @property
    def name(self) -> str:
        """As the sweep file says, or a memorable one."""
        return self._study.sweep.name

    @property
    def metric(self) -> str:
        """What settings are judged by."""
        return self._study.metric

    @property
    def runs(self) -> Sequence[RunRow]:
        """Its runs, in the order they were made."""
        return self._study.runs

    @property
    def settings(self) -> Sequence[LoadableSetting]:
        """Its settings, the best first; runs of one setting differ in their seeds alone."""
        study = self._study
        if self._settings is None or self._settings[0] is not study:
            self._settings = study, [self._loadable(setting) for setting in study.settings]
        return self._settings[1]

    @property
    def best(self) -> LoadableSetting | None:
        """The setting with the best median (mean over folds); None where no run has a number.
        ``best.load()`` is its fitted model."""
        found = self._study.best
        if found is None:
            return None
        pairs = zip(self._study.settings, self.settings, strict=True)
        return next(ours for given, ours in pairs if given is found)

    @property
    def front(self) -> Sequence[LoadableSetting]:
        """The settings that no other improves on, from the best of the first metric: the Pareto
        front of a sweep with several ``metrics``; empty of any other."""
        front = self._study.front
        if front is None:
            return []
        known = {id(s): ours for s, ours in zip(self._study.settings, self.settings, strict=True)}
        return [known[id(setting)] for setting in front.best]

    def _loadable(self, setting: Setting) -> LoadableSetting:
        own = {field.name: getattr(setting, field.name) for field in fields(setting)}
        return LoadableSetting(**own, sweep=self)

    @property
    def plot(self) -> Plots:
        """Figures: ``sweep.plot.history()``, ``.parallel()``, ``.slice("lr")``, ..."""
        return Plots(self._study, self._path)

    def table(self, name: str = "run") -> Any:
        """Return the tables of this name that the runs have left behind, as one pandas frame: a
        line for each run and row, its status and config beside it.

        ``.quantiles(by="k")`` takes quantiles over the seeds, ``.plot("k", "c")`` draws medians and
        bands, ``.counts`` says how many runs failed. Without a table of that name, "run" and
        "setting" give a row for each run, or for each setting, the best first.

        Raises:  ConfigError: no run has such a table.   MissingExtra: pandas is not installed.
        """
        from thetahat.notebook._tables import table_frame
        from thetahat.store import tables_of_sweep

        pd = _pandas("sweep.table()")
        with self._store() as store:
            known = [one.name for one in tables_of_sweep(store, self._id)]
            if name in known or name not in ("run", "setting"):
                return table_frame(pd, store, self._study, name)
        rows = map(self._run_row, self.runs) if name == "run" else map(_setting_row, self.settings)
        return pd.DataFrame(list(rows))

    @property
    def tables(self) -> list[str]:
        """The names of the tables that its runs have left behind."""
        from thetahat.store import tables_of_sweep

        with self._store() as store:
            return [one.name for one in tables_of_sweep(store, self._id)]

    def _run_row(self, run: RunRow) -> dict[str, Any]:
        config, known = flat_config(run.config), {"name": run.name, "status": str(run.status)}
        wanted = [*self._study.parameters, *self._study.seeds]
        last = {"epochs": run.epochs, "seconds": run.total_seconds}
        last |= {"contaminated": run.contaminated, "reason": run.reason, "id": run.id}
        return {**known, **{k: config.get(k) for k in wanted}, **run.metrics, **last}

    def __repr__(self) -> str:
        best, study = self.best, self._study
        said = "no number yet"
        if best is not None:
            n = f" ({study.word} of {len(best.values)})" if study.replicated else ""
            said = f"best {short(best.center)}{n} at {best.name}"
        ends = study.ends
        lost = "".join(f", {ends[how]} {how}" for how in ("failed", "unfinished") if ends[how])
        checked = accepted_words(self.runs)
        runs = f"{len(self.runs)} runs{lost}{f', {checked}' if checked else ''}"
        return f"Sweep({self.id!r}, {self.name!r}: {runs}; {self.metric}: {said})"

    def _repr_html_(self) -> str:
        study = self._study
        statuses = dict(sorted(study.counts.items()))
        many = study.replicated
        counts = ["runs", "n", "failed", "unfinished"] if many else ["runs"]
        numbers = [f"{self.metric} {study.word}", "from", "to"] if many else [self.metric]
        heads = [*study.parameters, *counts, *numbers, ""]
        rows = [_card_row(setting, counts, len(numbers)) for setting in study.settings[:_SHOWN]]
        n = len(study.settings)
        more = f"the {_SHOWN} best of {n:,} settings" if n > _SHOWN else ""
        if many:
            says = "from, to: 10 to 90 % quantiles; of fewer than 5 runs, least to greatest"
            more = "; ".join(filter(None, [more, says]))
        about = f"{study.file.method} sweep {self.id}, {study.sweep.state}".strip()
        about = ", ".join(filter(None, [about, accepted_words(self.runs)]))
        wrong = ["contaminated: it chose by the test set"] if study.contaminated else []
        columns = [list(column) for column in zip(*rows, strict=True)]
        cells = zip(*map(column_cells, columns), strict=True)
        right = [any(map(is_number, column)) for column in columns]
        shown = [grid(heads, list(cells), more, right)] if rows else []
        return card(self.name, about, {"runs": len(self.runs), **statuses}, shown, wrong)


def _setting_row(setting: Setting) -> dict[str, Any]:
    row = _group_row(setting.varying, setting.group)
    return {**row, "n": len(setting.values), "marks": _words(setting.marks)}


def _group_row(varying: Mapping[str, Any], group: Group) -> dict[str, Any]:
    row = {**varying, "runs": group.runs, "n": group.runs - group.failed - group.unfinished}
    row |= {"failed": group.failed, "unfinished": group.unfinished}
    for name, numbers in group.metrics.items():
        row |= {f"{name} {key}": value for key, value in numbers.items()}
    return row


def _varying(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for config in configs for name in config)
    return [n for n in names if len({str(config.get(n)) for config in configs}) > 1]


def _pandas(what: str) -> Any:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtra(what, "tables") from error
    return pandas


def _card_row(setting: Setting, counts: Sequence[str], numbers: int) -> list[Any]:
    group, spread = setting.group, setting.spread
    known = {"runs": group.runs, "n": len(setting.values)}
    known |= {"failed": group.failed, "unfinished": group.unfinished}
    found: list[Any] = [None] * 3
    if spread is not None:
        found = [spread.center, spread.low, spread.high]
    shown = [*setting.varying.values(), *(known[name] for name in counts), *found[:numbers]]
    return [*shown, _words(setting.marks)]


def _words(letters: str) -> str:
    return ", ".join(MARKS[letter].partition(":")[0].partition(", and")[0] for letter in letters)
