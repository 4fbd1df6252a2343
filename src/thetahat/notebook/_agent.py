"""An agent of this process: in the foreground with a screen, or in a thread.

An agent in a thread ends with Python: its runs go back to the queue, and its workers end. If Python
is killed, workers notice that their agent is gone, and another agent finds the runs.
"""

from __future__ import annotations

import atexit
import re
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thetahat.core.choices import DEVICE
from thetahat.core.errors import ConfigError, Interrupted
from thetahat.core.places import Place, opening
from thetahat.core.run import functions_of

if TYPE_CHECKING:
    from thetahat.store import Store, SweepRow
    from thetahat.sweep import Work
    from thetahat.sweep.agent import Tally

EXIT_S = 10.0
"""Seconds that Python's end waits for an agent's last chunk."""
Experiment = Callable[..., Any]


def work_of(
    workers: int | None,
    devices: Any = (),
    *,
    spread: str = "auto",
    keep_going: bool = False,
    on: Any = (),
) -> Work:
    """Return how an agent works.

    Raises:  ConfigError: a number of workers below 1; devices that are no list of GPUs; an ``on``
             that is no function.
    """
    from thetahat.sweep import Work

    listed = isinstance(devices, Iterable) and not isinstance(devices, str)
    names = [str(name) for name in devices] if listed else []
    if not listed or not all(re.fullmatch(DEVICE, name) for name in names):
        raise ConfigError(f"devices={devices!r:.80}: give a list of GPUs, such as [0, 1]")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ConfigError(f"workers={workers!r}: give a whole number of at least 1")
    return Work(None, workers, tuple(names), bool(keep_going), functions_of(on), spread)


def start_agent(
    path: Place,
    sweep_id: str,
    work: Work,
    experiment: Experiment | None,
    *,
    wait: bool,
    quiet: bool,
) -> Background | None:
    """Work on a sweep until it is done, or in the background."""
    if not wait:
        return Background(path, sweep_id, work, experiment)
    work_here(path, sweep_id, work, experiment, quiet=quiet)
    return None


def work_here(
    path: Place, sweep_id: str, work: Work, experiment: Experiment | None, *, quiet: bool
) -> None:
    """Work on a sweep until it is done, with a screen.

    Raises:  Interrupted: Ctrl-C, or a notebook's stop button; the runs are back in the queue.
    """
    from thetahat.notebook._screen import view_of
    from thetahat.store import find_sweep, open_store
    from thetahat.sweep.agent import spec_of

    with open_store(path) as store:
        sweep = find_sweep(store, sweep_id)
        with view_of(store, sweep, spec_of(sweep).metric, quiet=quiet) as view:
            tally = _work(store, sweep, work, experiment, view.say)
    if tally.interrupted:
        name = "" if experiment is None else getattr(experiment, "__name__", "experiment")
        raise Interrupted(
            f"interrupted: the runs of the sweep {sweep_id} went back to the queue; go on with"
            f" {opening(sweep_id, path)}.resume({name})"
        )


class Background:
    """An agent in a thread of this process."""

    def __init__(
        self, path: Place, sweep_id: str, work: Work, experiment: Experiment | None
    ) -> None:
        self._given = (path, sweep_id, work, experiment)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"agent of {sweep_id}", daemon=True)
        _AGENTS.add(self)
        self._thread.start()

    @property
    def works(self) -> bool:
        """Whether it works on the sweep."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; return whether it has ended.

        Raises:  InputError, StoreError: why it ended before the sweep was done.
        """
        self._thread.join(timeout_s)
        if self.works:
            return False
        error, self._error = self._error, None
        if error is not None:
            raise error
        return True

    def stop(self, timeout_s: float | None = None) -> None:
        """Return its runs to the queue and end it, after the chunk that it trains."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        from thetahat.store import find_sweep, open_store

        path, sweep_id, work, experiment = self._given
        try:
            with open_store(path) as store:
                sweep = find_sweep(store, sweep_id)
                _work(store, sweep, work, experiment, lambda event: None, self._stop.is_set)
        except BaseException as error:  # noqa: BLE001 - wait() raises it
            self._error = error


_AGENTS: weakref.WeakSet[Background] = weakref.WeakSet()


def _stop_all() -> None:
    for agent in list(_AGENTS):
        agent._stop.set()
    for agent in list(_AGENTS):
        agent.stop(EXIT_S)


atexit.register(_stop_all)


def _work(
    store: Store,
    sweep: SweepRow,
    work: Work,
    experiment: Experiment | None,
    say: Callable[[Any], None],
    stops: Callable[[], bool] | None = None,
) -> Tally:
    from thetahat.sweep.agent import FirstRunsFailed, pool_here, spec_of, work_on

    if stored := sweep.plan.get("trackers"):
        from thetahat.tracking.trackers import with_stored

        work = replace(work, on=with_stored(work.on, stored))
    runner = None
    if experiment is not None and spec_of(sweep).program is None:
        runner = pool_here(store, sweep, experiment, work)
    try:
        return work_on(store, sweep, work, say, runner, stops)
    except FirstRunsFailed as error:
        name = "" if experiment is None else getattr(experiment, "__name__", "experiment")
        raise FirstRunsFailed(
            error.reason,
            f"run all again with: {opening(sweep.id, store.path)}.retry_failed({name}); or run the"
            " others all the same with keep_going=True",
        ) from None
