"""``th.run_sweep``: a sweep from Python, with the engine and the store of the command."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean, notify
from thetahat.notebook._agent import work_of
from thetahat.notebook._sweep import Sweep

if TYPE_CHECKING:
    from thetahat.core import Event, Task
    from thetahat.core.places import Place
    from thetahat.store import Store
    from thetahat.sweep import SweepOptions, Work

_WORK = ("devices", "spread", "keep_going")
_OWN = ("extended", "limit", "trackers")
"""Options that a sweep gets later."""


def run_sweep(
    what: Callable[..., Task] | str | os.PathLike[str],
    spec: Mapping[str, Any] | str | os.PathLike[str],
    *,
    count: int | None = None,
    replicates: int = 1,
    workers: int | None = None,
    store: Store | str | os.PathLike[str] | None = None,
    wait: bool = True,
    name: str | None = None,
    quiet: bool = False,
    on: Callable[[Event], Any] | Sequence[Callable[[Event], Any]] = (),
    **options: Any,
) -> Sweep:
    """Run a sweep, as ``thetahat sweep FILE --run`` does.

    Args:
        what: an experiment, or the path of a program in any language.
        spec: a dict with the keys of a W&B sweep file, or the path of such a file.
        count: runs in all, at most.
        replicates: seeds of each setting.
        workers: processes at a time; by default one per core.
        store: open, or where it lies; by default as for ``th.open_store``.
        wait: return when the sweep is done; else at once, while an agent works in a thread:
            ``sweep.wait()``, ``sweep.cancel()``. It ends with Python.
        name: of the sweep; by default the spec's, else the experiment's.
        quiet: show nothing but failures.
        on: functions of the events of runs that this process's agent works on, as in ``th.fit``.
        options: seed, retries, sampler, shuffle, asha, mode, cohort, enqueue, constraints, folds,
            prior, timeout_s, devices, spread, keep_going: as the flags of ``thetahat sweep``.
            ``prior`` is a sweep's id, a CSV file, or a list of {parameter or metric: value}.
    Returns: the sweep, as ``th.open_sweep`` gives it.
    Raises:  ConfigError: every mistake of the spec.
             Interrupted: Ctrl-C or a notebook's stop button; the runs go back to the queue, and
             ``th.open_sweep("last").resume()`` goes on.

    A function in a file runs in worker processes, which load the file: put the call under
    ``if __name__ == "__main__":``. A function of a notebook's cell runs in this process.
    """
    from thetahat.store import open_store
    from thetahat.sweep import refuse_while_loaded, sweep_from
    from thetahat.sweep.agent import find_out, new_sweep, read_prior

    refuse_while_loaded("th.run_sweep")
    try:
        given = sweep_from(what, spec)
    except ConfigError as error:
        raise ConfigError(_in_python(str(error))) from None
    if not all(isinstance(point, Mapping) for point in options.get("enqueue", ())):
        raise ConfigError(
            f"enqueue={options['enqueue']!r:.80}: give a list of points, such as [{{'lr': 0.1}}]"
        )
    prior = options.pop("prior", ())
    plan, work = _options({"count": count, "replicates": replicates, **options}, workers, on)
    url: Any = getattr(store, "path", store)
    if prior:
        with open_store(url) as opened:
            plan = replace(plan, prior=read_prior(opened, given.spec, prior).runs)
    try:
        found = find_out(given.spec, plan, experiment=given.experiment)
    except ConfigError as error:
        raise ConfigError(_in_python(str(error))) from None
    if given.here and plan.mode == "process":
        raise ConfigError("mode='process' runs programs; give run_sweep() the path of one")
    with open_store(url) as opened:
        row = new_sweep(opened, given.spec, plan, name, found=found)
        path = opened.path
    if wait and row.points is None:
        notify(
            f"a {given.spec.method} search has no end by itself; give count=, or stop it by Ctrl-C"
        )
    experiment = given.experiment if given.here else None
    sweep = Sweep(path, row.id, experiment=experiment)
    try:
        sweep.work(work, wait=wait, quiet=quiet)
    except ConfigError as error:
        _cancel_empty(path, row.id, str(error))
        raise
    return sweep


def _cancel_empty(path: Place, sweep_id: str, reason: str) -> None:
    """Cancel a sweep that no worker could begin, so that no agent waits for it."""
    from thetahat.store import cancel_sweep, open_store

    with open_store(path) as store:
        if not store.runs(sweep_id=sweep_id):
            cancel_sweep(store, sweep_id, reason)


def _options(given: Mapping[str, Any], workers: int | None, on: Any) -> tuple[SweepOptions, Work]:
    from thetahat.sweep import SweepOptions

    known = [f.name for f in fields(SweepOptions) if f.name not in _OWN]
    for name in given:
        if name not in known and name not in _WORK:
            hint = did_you_mean(name, [*known, *_WORK, "workers", "store", "wait", "name", "on"])
            raise ConfigError(f"run_sweep() has no option {name!r}{hint}")
    try:
        plan = SweepOptions(**{k: v for k, v in given.items() if k in known})
    except ConfigError as error:
        raise ConfigError(_in_python(str(error))) from None
    more = {k: v for k, v in given.items() if k in _WORK}
    work = work_of(workers, **more, on=on)
    if work.on:
        from thetahat.tracking.trackers import describe

        plan = replace(plan, trackers=describe(work.on))
    return plan, work


def _in_python(message: str) -> str:
    """A message about a flag, as one about an argument."""
    message = re.sub(
        r"it is a flag: thetahat (sweep FILE|agent ID) --", "give run_sweep() --", message
    )
    # A flag in parentheses stands beside its argument.
    found = re.sub(r"(?<!\()--([a-z]+(?:-[a-z]+)*)", lambda m: m[1].replace("-", "_"), message)
    return found.replace("timeout=", "timeout_s=", 1) if found.startswith("timeout=") else found
