"""What the page may change: a sweep's state, by the rules of ``thetahat sweep``."""

from __future__ import annotations

from thetahat.core.errors import ConfigError
from thetahat.store import Store, SweepRow, find_sweep, set_state, standing_runs

ACTIONS = {"pause": "paused", "resume": "running", "cancel": "cancelled"}


def act(store: Store, sweep: SweepRow, action: str) -> str:
    """Pause, resume or cancel a sweep; its new state.

    Raises:  ConfigError: another action, or a sweep that it comes too late for.
    """
    if action not in ACTIONS:
        raise ConfigError(f"the page can pause, resume and cancel, not {action[:40]!r}")
    if not set_state(store, sweep.id, ACTIONS[action], f"by the page: {action}"):
        state = find_sweep(store, sweep.id).state
        raise ConfigError(f"the sweep {sweep.name} is {state} already")
    if action == "cancel":
        for run in standing_runs(store, sweep_id=sweep.id, status="queued"):
            store.finish_run(run.id, status="cancelled", reason="the sweep was cancelled")
    return ACTIONS[action]
