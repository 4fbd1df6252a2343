"""``th.open_sweep``: a sweep to look at from Python, drawn and tabled as the report has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thetahat.analysis import MARKS, Setting, Study, flat_config, read_study
from thetahat.core.card import card, grid
from thetahat.core.errors import ConfigError, MissingExtra, did_you_mean
from thetahat.format._numbers import column_cells, is_number, short
from thetahat.report import _figures as pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.store import RunRow, Store

_SHOWN = 8


def open_sweep(
    name: str = "last",
    store: Store | str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
) -> Sweep:
    """Read a sweep as it stands now; open it again to see what has happened since.

    Args:    name: its id or name, the beginning of one, or "last".
             store: open, or where it lies; by default as for ``th.open_store``.
             metric: what to judge by, in place of the sweep file's.
    Raises:  StoreError: no such sweep; the nearest is offered.   ConfigError: no such metric.
    """
    from thetahat.store import find_sweep, open_store

    url: Any = getattr(store, "path", store)
    with open_store(url, create=False) as opened:
        study = read_study(opened, find_sweep(opened, name), metric=metric)
        return Sweep(study, opened.path)


class Sweep:
    """A sweep of a store: ``best``, ``settings``, ``runs``, ``table()`` and ``plot``; see
    ``th.open_sweep``."""

    def __init__(self, study: Study, path: os.PathLike[str]) -> None:
        self._study = study
        self._path = path

    @property
    def id(self) -> str:
        """As ``thetahat agent ID`` takes it."""
        return self._study.sweep.id

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
    def settings(self) -> Sequence[Setting]:
        """Its settings, the best first; runs of one setting differ in their seeds alone."""
        return self._study.settings

    @property
    def best(self) -> Setting | None:
        """The setting with the best median; None where no run has a number."""
        return self._study.best

    @cached_property
    def plot(self) -> Plots:
        """Figures: ``sweep.plot.history()``, ``.parallel()``, ``.slice("lr")``, ..."""
        return Plots(self._study, self._path)

    def table(self, by: str = "run") -> Any:
        """Return a pandas frame with a row for each "run", or for each "setting", the best first.

        Raises:  ConfigError: another ``by``.   MissingExtra: pandas is not installed.
        """
        if by not in ("run", "setting"):
            raise ConfigError(f"table(by={by!r}); give 'run' or 'setting'")
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingExtra("sweep.table()", "tables") from error
        rows = map(self._run_row, self.runs) if by == "run" else map(_setting_row, self.settings)
        return pd.DataFrame(list(rows))

    def _run_row(self, run: RunRow) -> dict[str, Any]:
        config, known = flat_config(run.config), {"name": run.name, "status": str(run.status)}
        wanted = [*self._study.parameters, *self._study.seeds]
        last = {"epochs": run.epochs, "seconds": run.total_seconds}
        last |= {"contaminated": run.contaminated, "reason": run.reason, "id": run.id}
        return {**known, **{k: config.get(k) for k in wanted}, **run.metrics, **last}

    def __repr__(self) -> str:
        best = self.best
        said = "no number yet"
        if best is not None:
            n = f" (median of {len(best.values)})" if self._study.replicated else ""
            said = f"best {short(best.median)}{n} at {best.name}"
        return f"Sweep({self.id!r}, {self.name!r}: {len(self.runs)} runs; {self.metric}: {said})"

    def _repr_html_(self) -> str:
        study = self._study
        statuses = dict(sorted(study.counts.items()))
        many = study.replicated
        counts = ["runs", "n", "failed", "unfinished"] if many else ["runs"]
        numbers = [f"{self.metric} median", "from", "to"] if many else [self.metric]
        heads = [*study.parameters, *counts, *numbers, ""]
        rows = [_card_row(setting, counts, len(numbers)) for setting in study.settings[:_SHOWN]]
        n = len(study.settings)
        more = f"the {_SHOWN} best of {n:,} settings" if n > _SHOWN else ""
        if many:
            says = "from, to: 10 to 90 % quantiles; of fewer than 5 runs, least to greatest"
            more = "; ".join(filter(None, [more, says]))
        about = f"{study.file.method} sweep {self.id}, {study.sweep.state}".strip()
        wrong = ["contaminated: it chose by the test set"] if study.contaminated else []
        columns = [list(column) for column in zip(*rows, strict=True)]
        cells = zip(*map(column_cells, columns), strict=True)
        right = [any(map(is_number, column)) for column in columns]
        shown = [grid(heads, list(cells), more, right)] if rows else []
        return card(self.name, about, {"runs": len(self.runs), **statuses}, shown, wrong)


class Plots:
    """A sweep's figures. Each method returns a matplotlib figure, which a notebook shows."""

    def __init__(self, study: Study, path: os.PathLike[str]) -> None:
        self._study = study
        self._path = path

    def history(self) -> Figure:
        """Draw the metric of every run in the order they were made, and the best so far."""
        return pictures.progress(self._study)

    def curves(self, n: int = pictures.MOST_CURVES) -> Figure:
        """Draw the training curves of the ``n`` best runs; with replicates, of the best settings,
        those nearest to the median first."""
        from thetahat.store import open_store

        with open_store(self._path, create=False) as store:
            return pictures.curves(store, self._study.leading_runs[:n])

    def parallel(self) -> Figure:
        """Draw each run as a line across its parameters to its metric; the best tenth stand out."""
        return pictures.parallel(self._study)

    def importance(self) -> Figure:
        """Draw how much each parameter matters, beside the share that chance would reach."""
        return pictures.importance(self._study)

    def slice(self, parameter: str) -> Figure:
        """Draw the metric of every run against one parameter.

        Raises:  ConfigError: a parameter that does not vary; the nearest is offered.
        """
        return pictures.slice_of(self._study, self._known(parameter))

    def contour(self, x: str, y: str) -> Figure:
        """Draw the metric over two numeric parameters.

        Raises:  ConfigError: a parameter that does not vary; the nearest is offered.
        """
        return pictures.contour(self._study, self._known(x), self._known(y))

    def seeds(self) -> Figure:
        """Draw every seed's number by setting, with median and quantiles."""
        return pictures.seeds(self._study)

    def _known(self, name: str) -> str:
        names = [*self._study.parameters, *self._study.seeds]
        if name not in names:
            raise ConfigError(
                f"no parameter {name!r} varies in this sweep{did_you_mean(name, names)}"
            )
        return name

    def __repr__(self) -> str:
        return "plots: history, curves, parallel, importance, slice(p), contour(p, q), seeds"


def _setting_row(setting: Setting) -> dict[str, Any]:
    group = setting.group
    row = {**setting.varying, "runs": group.runs, "n": len(setting.values)}
    row |= {"failed": group.failed, "unfinished": group.unfinished}
    for name, numbers in group.metrics.items():
        row |= {f"{name} {key}": value for key, value in numbers.items()}
    return {**row, "marks": _words(setting.marks)}


def _card_row(setting: Setting, counts: Sequence[str], numbers: int) -> list[Any]:
    group, spread = setting.group, setting.spread
    known = {"runs": group.runs, "n": len(setting.values)}
    known |= {"failed": group.failed, "unfinished": group.unfinished}
    found: list[Any] = [None] * 3
    if spread is not None:
        found = [spread.median, spread.low, spread.high]
    shown = [*setting.varying.values(), *(known[name] for name in counts), *found[:numbers]]
    return [*shown, _words(setting.marks)]


def _words(letters: str) -> str:
    return ", ".join(MARKS[letter].partition(":")[0].partition(", and")[0] for letter in letters)
