"""Several results as one object: predictions of all members, bands, a frame."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, SupportsIndex, TypeVar, overload

import numpy as np

from thetahat.core import ConfigError, MissingExtra, ShapeError, Status, Task, notify
from thetahat.core.acceptance import accepted_words
from thetahat.core.arguments import arguments_named
from thetahat.core.card import card, grid
from thetahat.core.errors import did_you_mean
from thetahat.core.json import plain_value
from thetahat.core.nested import flat_config
from thetahat.data import blank, frame_names, say_gone
from thetahat.train._result import Result
from thetahat.train._saved import Fitted, load_all, save_all

AnyResult = TypeVar("AnyResult", Result, Fitted)
_SHOWN = 20
"""Members that a notebook lists."""
_WELL = (Status.FINISHED, Status.STOPPED, Status.INTERRUPTED)


_EQUAL = (
    "{} over them show no spread. A seed acts where it is passed on: Task(seed=seed), a module's"
    " own key, th.Shuffle(seed=seed) for the order of batches"
)


class Results(list[AnyResult]):
    """A list of Results, as ``fit_many`` returns it, or of what ``th.load`` read.

    Members that share a program share one compiled prediction.
    """

    @overload
    def __getitem__(self, at: SupportsIndex) -> AnyResult: ...
    @overload
    def __getitem__(self, at: slice) -> Results[AnyResult]: ...
    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return Results(found) if isinstance(at, slice) else found

    def predict(self, x: Any) -> np.ndarray:
        """Predict with every member.

        Args:    x: as for ``Result.predict``.
        Returns: (C, N) for C members and N rows; (C,) for one input; (C, N, k) for k outputs.
        Raises:  ShapeError: the members give different shapes.
        """
        return self._stacked(lambda member, at: member.predict(at), x)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Probabilities of the classes by every member: (C, N, K), or (C, K) of one input.

        Raises:  ConfigError: a loss that gives none.   ShapeError: members with other classes.
        """
        first = self._first().classes
        if any(not np.array_equal(member.classes, first) for member in self):  # pyright: ignore
            raise ShapeError("the members have different classes; predict with those of one data")
        return self._stacked(lambda member, at: member.predict_proba(at), x)

    def _stacked(self, predict: Callable[[AnyResult, Any], np.ndarray], x: Any) -> np.ndarray:
        found = self._each(predict, x)
        if len({one.shape for one in found}) > 1:
            raise ShapeError(
                "the members predict different shapes"
                f" ({', '.join(map(str, sorted({one.shape for one in found})))}); predict with"
                " those of one shape, such as results[:3]"
            )
        return np.stack(found)

    def quantiles(self, x: Any, q: Sequence[float] | float = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Quantiles over the members that ended well, at each row.

        A Notice says if some did not, or if all predict the same.

        Args:    q: probabilities.
        Returns: (len(q), N), or (N,) for one probability.
        Raises:  ConfigError: a probability outside [0, 1], or no member ended well.
        """
        try:
            probabilities = np.asarray(q, np.float64)
        except (TypeError, ValueError):
            probabilities = np.array([np.nan])
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ConfigError(
                f"q={q!r:.80}: give probabilities from 0 to 1, such as (0.1, 0.5, 0.9)"
            )
        kept = self.ended_well()
        if kept[0].classes is not None:
            raise ConfigError(
                "the members predict labels, which have no quantiles; take those of the"
                " probabilities: np.quantile(results.predict_proba(x), q, axis=0)"
            )
        found = kept.predict(x)
        if len(kept) > 1 and (found == found[0]).all():
            notify(_EQUAL.format(f"all {len(kept)} members predict the same, so that quantiles"))
        return np.quantile(found, probabilities, axis=0)

    def plot(self, x: Any, q: Sequence[float] = (0.1, 0.5, 0.9)) -> Any:
        """Draw the median of the predictions within a band, over one input.

        Args:    x: (N,) or (N, 1): values of the only input; or a table with one number that
                 varies.   q: probabilities of the band's edges and of its middle.
        Returns: a matplotlib figure.
        Raises:  ShapeError: more inputs than one vary.   MissingExtra: no matplotlib.
        """
        if len(q) != 3:
            raise ConfigError(f"q={q!r}: give three probabilities: low, middle and high")
        name, at, x = _only_input(x, self._first()._transform)
        kept = self.ended_well()
        low, middle, high = kept.quantiles(x, q)
        order = np.argsort(at, kind="stable")
        encoder = getattr(kept[0]._transform, "encoder", None)
        from thetahat.figures import draw_band  # most fits are not drawn

        return draw_band(
            *(column[order].tolist() for column in (at, low, middle, high)),
            says_band=f"quantiles {q[0]:g} to {q[2]:g} of {len(kept)} fits",
            axis=name,
            metric=getattr(encoder, "target", "prediction"),
        )

    def frame(self) -> Any:
        """A pandas frame: one row per member, its config, status, risks and metrics as columns.

        Parameters inside a parameter have dotted names; a column of the config that is called like
        one of the others begins with "config.". ``code`` is a digest of the experiment's own code.
        A Notice says if all members have the same risks.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtra("frame()", "tables") from None
        risks = {tuple(m.risk.items()) for m in self if m.risk and _is_finite(m)}
        if len(self) > 1 and len(risks) == 1 and all(map(_is_finite, self)):
            notify(_EQUAL.format(f"all {len(self)} members have the same risks, so that numbers"))
        return pd.DataFrame(self._rows())

    def table(self, name: str) -> Any:
        """A pandas frame of the members' tables of this name: one line per member and row, with the
        member's place and config beside it. Members that diverged have none.

        Raises:  ConfigError: no member has such a table.   MissingExtra: pandas is not installed.

        >>> import thetahat as th, numpy as np
        >>> x = np.linspace(-1, 1, 8)[:, None]
        >>> def line(slope: float = 1.0) -> th.Task:
        ...     tables = {"line": lambda h: {"x": [0.0, 1.0], "true": [0.0, slope]}}
        ...     return th.Task(th.models.Linear(1), (x, slope * x[:, 0]), epochs=1, tables=tables)
        >>> th.fit_many(line, [{"slope": 1.0}, {"slope": 2.0}]).table("line").shape
        (4, 4)
        """
        there = [k for k, m in enumerate(self) if name in getattr(m, "tables", {})]
        if not there:
            known = dict.fromkeys(n for m in self for n in getattr(m, "tables", {}))
            said = did_you_mean(name, known) if known else "; Task(tables={name: f}) makes them"
            raise ConfigError(f"no member has a table {name!r}{said}")
        frames = []
        for k in there:
            own = self[k].table(name)
            config = flat_config(_plain_config(self[k]))
            heads = {f"config.{c}" if c in own else c: v for c, v in config.items()}
            frames.append(own.assign(member=k, **heads)[["member", *heads, *own.columns]])
        import pandas as pd

        return pd.concat(frames, ignore_index=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all members to one file; ``th.load`` gives them back. Raises as ``Result.save``."""
        self._first()
        save_all(self, path, several=True)

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for member in self:
            facts = {
                "status": str(member.status),
                "epochs": member.epochs,
                "best_epoch": member.best_epoch,
                **{f"{part}_risk": value for part, value in member.risk.items()},
                **member.metrics,
                "code": next(iter(member.provenance.get("code", {}).values()), None),
            }
            config = flat_config(_plain_config(member))
            rows.append({f"config.{k}" if k in facts else k: v for k, v in config.items()} | facts)
        return rows

    def _first(self) -> AnyResult:
        if not self:
            raise ConfigError("there are no results here; fit_many gives one for each config")
        return self[0]

    def ended_well(self) -> Results[AnyResult]:
        """The members that finished or were stopped, with finite risks; a Notice if some did not.

        Raises:  ConfigError: none did.
        """
        self._first()
        kept = Results([m for m in self if m.status in _WELL and _is_finite(m)])
        if not kept:
            raise ConfigError(f"none of the {len(self)} results ended well; look at .frame()")
        if len(kept) < len(self):
            said = accepted_words(self)
            notify(
                f"{len(self) - len(kept)} of {len(self)} results did not end well and are left out"
                + (f" ({said})" if said else ""),
            )
        return kept

    def _each(self, predict: Callable[[AnyResult, Any], np.ndarray], x: Any) -> list[np.ndarray]:
        """Predict with each member; a table's rows are encoded once for all that encode alike."""
        self._first()
        encoder, at, gone = None, x, np.zeros(0, bool)
        found = []
        for member in self:
            own = getattr(member._transform, "encoder", None)
            if own is None or not _is_table(x):
                at, gone = x, gone[:0]
            elif own != encoder:
                encoder = own
                at, gone, why = own.rows(x)
                say_gone(gone, why, x)
            found.append(blank(np.asarray(predict(member, at)), gone))
        return found

    def _repr_html_(self) -> str:
        """The results as a notebook shows them: the parameters that differ, and the risks."""
        rows = self._rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        varied = [n for n in names if len({repr(row.get(n)) for row in rows}) > 1]
        shown = [n for n in varied if n not in ("epochs", "best_epoch")] or ["status"]
        table = [[row.get(n) for n in shown] for row in rows[:_SHOWN]]
        more = f", the first {_SHOWN} shown" if len(rows) > _SHOWN else ""
        said = ", ".join(filter(None, [f"{len(self)}{more}", accepted_words(self)]))
        return card("Results", said, parts=[grid(shown, table)])

    def __repr__(self) -> str:
        said = accepted_words(self)
        shown = f"{', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''}"
        return f"Results([{shown}]{f', {said}' if said else ''})"


@arguments_named
def load(path: str | os.PathLike[str], experiment: Any = None) -> Fitted | Results[Fitted]:
    """Load a model that ``result.save`` or ``results.save`` wrote.

    Args:    experiment: what was fitted, where the model is of a class of the user's own: the
             function, which is called with the stored config; its Task; or a model of the same
             shapes, whose parameters are replaced. Models of ``th.models`` need none.
    Returns: a Fitted; Results of them for a file of ``results.save``.
    Raises:  InputError: no such file, a damaged one, or one that needs the experiment.

    >>> import numpy as np, tempfile, thetahat as th
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> result = th.fit(th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])), optimizer="lbfgs"))
    >>> path = f"{tempfile.mkdtemp()}/line.theta"
    >>> result.save(path)
    >>> bool((th.load(path).predict(x) == result.predict(x)).all())
    True
    """
    if isinstance(experiment, type):
        name = experiment.__name__
        raise ConfigError(
            f"{name} is a class; give a model of it, th.load(path, {name}(...)), or the function"
            " that was fitted"
        )
    if _is_model(experiment):
        experiment = Task(experiment, data=None)
    if not (experiment is None or isinstance(experiment, Task) or callable(experiment)):
        raise ConfigError(
            f"experiment={experiment!r:.80} is not an experiment; give the function that was"
            " fitted, a th.Task, or the model"
        )
    members, several = load_all(path, experiment)  # pyright: ignore[reportArgumentType]
    return Results(members) if several else members[0]


def _is_model(value: Any) -> bool:
    """Whether a value is a model of one's own: a module, or an object with ``apply``."""
    libraries = {kind.__module__.split(".")[0] for kind in type(value).__mro__}
    pair = hasattr(value, "init") and hasattr(value, "apply")
    return bool(libraries & {"flax", "equinox", "torch"}) or pair


def _plain_config(member: Any) -> dict[str, Any]:
    """Return a member's config, with dataclasses as mappings."""
    return {n: plain_value(v) if is_dataclass(v) else v for n, v in member.config.items()}


def _is_table(x: Any) -> bool:
    """Whether x has named columns."""
    return isinstance(x, Mapping) or hasattr(x, "columns") or hasattr(x, "column_names")


def _only_input(x: Any, transform: Any) -> tuple[str, np.ndarray, Any]:
    """The input that varies over the rows of x: its name, its values, and x for ``predict``."""
    encoder = getattr(transform, "encoder", None)
    if _is_table(x):
        rows = encoder.encode(x) if encoder is not None else np.asarray(x)
    else:
        try:
            rows = np.asarray(x, np.float64)
        except (TypeError, ValueError):
            raise ShapeError(
                f"plot(x={x!r:.80}): give numbers, (N,) or (N, d), or a table"
            ) from None
        rows = x = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) < 2:
        raise ShapeError(f"plot got inputs of shape {rows.shape}; give (N, d), at least two rows")
    varies = np.flatnonzero((rows != rows[0]).any(axis=0))
    if len(varies) != 1:
        raise ShapeError(
            f"plot draws over one input, and {len(varies)} of {rows.shape[1]} vary in x; hold the"
            " others fixed, at their means for example"
        )
    own = frame_names(x) if encoder is None else encoder.names
    names = own or [f"x[{k}]" for k in range(rows.shape[1])]
    name = "x" if own is None and rows.shape[1] == 1 else names[varies[0]]
    return name, rows[:, varies[0]], x


def _is_finite(member: Result | Fitted) -> bool:
    return all(map(math.isfinite, member.risk.values()))
