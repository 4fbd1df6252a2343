"""Bags: several fits of one Task that hold out different rows, and their average."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from thetahat.core import (
    ConfigError,
    Event,
    Logged,
    Seed,
    Started,
    Status,
    Task,
    Tracker,
    read_signature,
)
from thetahat.core.metric import directions_of
from thetahat.core.numbers import whole
from thetahat.core.signature import refuse_parameters
from thetahat.data import (
    Data,
    gather,
    held_out,
    joined,
    n_observations,
    ring_rows,
    rotated_rows,
    weights_of,
)
from thetahat.risk import inputs_and_target
from thetahat.train._fit import checked_trackers, fit_many
from thetahat.train._options import Progress
from thetahat.train._result import History, Result
from thetahat.train._risk_unit import RiskUnit, risk_unit
from thetahat.train._session import TrackerGroup, ended, judged
from thetahat.train.jax import average, evaluated, metrics, rotated, tables

MEMBER = "member"
"""A word in the names of the members' runs."""
MOST_MEMBERS = 1000
"""Members of a bag: the average of more is hardly another one."""
_OF_TORCH = (
    "fit_bagged() averages fits by JAX, and PyTorch trains this Task; leave backend='torch' out, if"
    " the module can be converted, or average the predictions of th.fit_many over seeds"
)
_OF_ONE = ("data_train", "data_val", "init", "code")
"""Facts of a member or of a Result that are not those of the run of an average."""


@dataclass(frozen=True, repr=False)
class Bag(Result):
    """The average of several fits, each of which chose its best state on other held-out rows.

    A Result whose function is the average of the members that ended well: of their predictions, or
    of their probabilities with the logistic loss and cross-entropy. ``risk["train"]`` and
    ``risk["test"]`` are those of the average, over the rows of train and val together, and of test.
    ``risk["val"]`` is out of bag: each row of train and val is predicted by the members that held
    it out. Those are few, so it is, as a rule, above the risk of the whole bag at new rows.
    ``history`` has the members' mean, over the epochs that all of them did.
    """

    members: Sequence[Result] = ()
    """One Result per member, in order."""
    out_of_bag: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """Predictions of the rows of train, then of val, by the members that held them out: NaN where
    none did."""

    @property
    def risk_unit(self) -> RiskUnit | None:
        """What a risk of 1 is, in units of the target."""
        where = "among the rows that the first member trained on"
        return risk_unit(self._scores.loss, self._scores.residual, self._transform, where)


def fit_bagged(
    what: Task | Callable[..., Task],
    /,
    *,
    members: int = 8,
    trackers: Sequence[Tracker] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    **config: Any,
) -> Bag:
    """Fit a Task several times, with other held-out rows and initial parameters; average the fits.

    The rows of the train and val parts form a ring; each member takes its val part a share
    1/``members`` further on, and chooses its best state there. All members train as one compiled
    program. The test part is the same for all, and no member trains on it.

    Args:
        what: a Task, or a typed function that returns one.
        members: how many fits.
        config: the experiment's parameters; what is not given has its default.
        (the others as in ``fit``)
    Returns: the Bag.
    Raises:  InputError: as ``fit``, or data that are not in memory.

    >>> import numpy as np, thetahat as th
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> data = th.split((x, 2 * x[:, 0]), seed=0)
    >>> bag = th.fit_bagged(th.Task(th.models.Linear(1), data, optimizer=th.optim.lbfgs()))
    >>> len(bag.members), round(float(bag.predict([0.5])), 3)
    (8, 1.0)
    """
    whole("members", members)
    trackers = checked_trackers(trackers)
    if members > MOST_MEMBERS:
        raise ConfigError(f"members={members}: a bag has at most {MOST_MEMBERS:,}; give fewer")
    if isinstance(what, Task):
        refuse_parameters("fit_bagged", config)
        task = what
    else:
        config = read_signature(what).config(config)
        task = what(**config)
        if not isinstance(task, Task):
            raise ConfigError(
                f"{getattr(what, '__name__', 'the experiment')}() returned {task!r:.80}; return a"
                " th.Task"
            )

    if isinstance(task.residual, Mapping) or task.redraw is not None:
        has = "points that are redrawn" if task.redraw is not None else "blocks of data"
        raise ConfigError(
            f"fit_bagged() holds out rows of a table, and this Task has {has}; fit it from several"
            " seeds by th.fit_many"
        )
    if task.backend == "torch":
        raise ConfigError(_OF_TORCH)

    def experiment(member: Seed = 0) -> Task:
        return rotated(task, member, members)

    configs = [{"member": k} for k in range(members)]
    results = fit_many(
        experiment,
        configs,
        trackers=[of_members(tracker) for tracker in trackers],
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
    )
    made = replace(bag(results), config=config)
    announce(made, trackers, checkpoint, resume)
    return made


def bag(results: Sequence[Result]) -> Bag:
    """Average the members of a bag that ended well.

    Args:    results: of the Tasks that ``rotated`` made, in the order of the members.
    """
    if not hasattr(results[0].fitted, "predictor") or not hasattr(results[0].fitted, "build"):
        raise ConfigError(_OF_TORCH)
    own = results[0].task.data  # of the first member: that of the Task itself
    rows = getattr(own, "rows", None)
    results = [_with_rows(r, own, k, len(results)) for k, r in enumerate(results)]
    first = results[0]
    rows = None if rows is None else ring_rows(rows)
    ring = first.data.changed(train=joined(first.data), val=None, rows=rows)
    kept = [k for k, r in enumerate(results) if np.isfinite(r.risk.get("train", np.nan))]
    lost = len(results) - len(kept)
    worst = first if not lost else next(r for k, r in enumerate(results) if k not in kept)
    base = replace(
        worst,
        reason=_reason(len(kept), len(results), worst),
        epochs=max(r.epochs for r in results),
        history=_mean_history(results),
        n_params=sum(r.n_params for r in results),
        looks=[],
    )
    if not kept:
        return _made(base, results, np.full(len(weights_or_ones(ring.train)), np.nan))
    fitted: Any = average([cast(Any, results[k].fitted) for k in kept], ring)
    held = held_out(first.data, len(results))[kept]
    risks, outside = _judged(fitted, ring, held)
    base = replace(
        base,
        risk=risks,
        metrics=metrics(fitted),
        tables=tables(fitted),
        best_epoch=int(np.median([results[k].best_epoch for k in kept])),
        fitted=fitted,
    )
    base = judged(base, bool(first.task.accept))
    return _made(base, results, outside)


def _reason(kept: int, of: int, worst: Result) -> str:
    if not kept or worst.status is Status.INTERRUPTED:
        return worst.reason
    lost = f" of {of} members; a lost one: {worst.reason}" if kept < of else " members"
    return f"the average of {kept}{lost}"


def _with_rows(result: Result, data: Any, member: int, of: int) -> Result:
    """Give a member's data the rows of its parts, which its compiled program does not know."""
    rows = rotated_rows(data, member, of) if isinstance(data, Data) else None
    fitted: Any = result.fitted
    return replace(result, fitted=replace(fitted, data=fitted.data.changed(rows=rows)))


def of_members(tracker: Tracker) -> Tracker:
    """A tracker for the members of a bag: their runs' names say that they are."""

    @functools.wraps(tracker, updated=())
    def send(event: Event) -> None:
        tracker(replace(event, part=MEMBER) if isinstance(event, Started) else event)

    return send


def announce(
    bag: Bag,
    trackers: Sequence[Tracker],
    checkpoint: str | Path | None = None,
    resumed: bool = False,
) -> None:
    """Send the average of a bag to trackers, as a run behind those of its members."""
    n = len(bag.members)
    if Status.INTERRUPTED in {one.status for one in bag.members}:
        return  # it is sent when they are resumed
    started = Started(
        member=n,
        config=bag.config,
        epochs=bag.members[0].task.epochs,
        n_params=bag.n_params,
        provenance={k: v for k, v in bag.provenance.items() if k not in _OF_ONE},
        checkpoint=None if checkpoint is None else str(checkpoint),
        resumed=0 if resumed else None,
    )
    known = directions_of(bag.members[0].task.metrics)
    detail = {
        "directions": {name: mode for name, mode in known.items() if mode},
        "members": n,
    }
    group = TrackerGroup(list(trackers))
    group.send(started)
    group.send(Logged(n, bag.history.columns))
    group.send(ended(bag, n, bag.seconds, detail))


def _judged(fitted: Any, ring: Data, held: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Compute the risks of the average, and its predictions out of bag.

    Args:    ring: the data of the bag.   held: which of its rows each member held out, (K, n).
    """
    members, n = held.shape
    known = np.flatnonzero(held.any(0))
    uniform = np.full((1, members), 1 / members)
    # One program for all: the rows of train, of test, and again those that a member held out.
    blocks = [(ring.train, np.repeat(uniform, n, 0))]
    if ring.test is not None:
        blocks.append((ring.test, np.repeat(uniform, n_observations(ring.test), 0)))
    blocks.append((gather(ring.train, known), (held / np.maximum(held.sum(0), 1)).T[known]))
    whole = blocks[0][0]
    for part, _ in blocks[1:]:
        whole = joined(ring.changed(train=whole, val=part))
    losses, made = evaluated(fitted, whole, np.vstack([s for _, s in blocks]), _inputs(whole))
    ends = np.cumsum([len(shares) for _, shares in blocks])
    names = ["train", *(["test"] if ring.test is not None else []), "val"]
    means = {}
    for name, (part, _), each in zip(names, blocks, np.split(losses, ends[:-1]), strict=True):
        if len(each):
            means[name] = float(np.average(each, weights=weights_or_ones(part)))
    risks = {name: means[name] for name in ("train", "val", "test") if name in means}
    if made is None:
        return risks, np.full(n, np.nan)
    outside = np.full((n, *made.shape[1:]), np.nan)
    outside[known] = made[ends[-2] :]
    return risks, outside


def weights_or_ones(part: Any) -> np.ndarray:
    """Give the weights of a part, ones by default."""
    weight = weights_of(part)
    return np.ones(n_observations(part)) if weight is None else np.asarray(weight, np.float64)


def _inputs(part: Any) -> Any:
    """Return the inputs of a part; None where its observations have no x."""
    try:
        return inputs_and_target(part)[0]
    except ConfigError:
        return None


def _made(base: Result, results: Sequence[Result], outside: np.ndarray) -> Bag:
    given = {f.name: getattr(base, f.name) for f in fields(base) if f.init}
    return Bag(**given, members=tuple(results), out_of_bag=outside)


def _mean_history(results: Sequence[Result]) -> History:
    done = min(len(r.history["epoch"]) for r in results)
    return History(
        {
            name: np.mean([r.history[name][:done] for r in results], axis=0)
            if name != "epoch"
            else results[0].history[name][:done]
            for name in results[0].history
        }
    )
