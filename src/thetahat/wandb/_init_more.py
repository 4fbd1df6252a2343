"""Rarer parts of ``wandb.init``: runs of the program's own, resumed ones, settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.store._live_run import ManualRun, begin_run, continue_run, store_to_log
from thetahat.store._run_of_id import knows_id
from thetahat.wandb._run import OWN_STEP, Run, UsageError, warn

REAL = "THETAHAT_WANDB=real runs the program with the installed package"
_NOTED = {
    "sync_tensorboard": "what TensorBoard writes is not read; log it by run.log",
    "tensorboard": "what TensorBoard writes is not read; log it by run.log",
    "monitor_gym": "videos of gym are not kept",
}
_SETTINGS = {
    **{f"run_{name}": name for name in ("name", "id", "group", "job_type", "tags", "notes")},
    **{name: name for name in ("project", "entity", "mode", "resume", "reinit")},
}


def of_settings(settings: Any) -> dict[str, Any]:
    """Return the arguments of init that settings hold; others, such as start_method, do nothing."""
    given = settings if isinstance(settings, Mapping) else vars(settings)
    return {_SETTINGS[k]: v for k, v in given.items() if k in _SETTINGS and v is not None}


def say_unsupported(given: Mapping[str, Any]) -> None:
    """Refuse or note arguments of init.

    Raises:  UsageError: an argument without which the run would be another.
    """
    for name, value in given.items():
        if name in _NOTED:
            if value:
                warn(f"{name}={value!r} is not answered by thetahat: {_NOTED[name]}")
        elif name in ("fork_from", "resume_from"):
            raise UsageError(
                f"wandb.init({name}={value!r}) is not answered by thetahat; begin a new run, or"
                f" resume one by id= and resume='must'. {REAL}"
            )
        else:
            raise TypeError(f"wandb.init() has no argument {name!r}")


def own_run(labels: dict[str, Any], resume: Any, wanted: str | None) -> Run:
    """Begin a run of the program's own in the store, or continue one by its id.

    Raises:  UsageError: ``resume="must"`` and no such run, or ``"never"`` and there is one.
    """
    project, name = labels.get("project"), labels.get("name")
    kept = {k: v for k, v in labels.items() if k not in ("project", "name")}
    id_, place = labels.get("id"), f" in the project {project!r}" if project else ""
    found: ManualRun | None = None
    how = "allow" if resume in (True, "auto", "True", "true") else resume
    if id_ is not None and how == "never" and knows_id(store_to_log(None), str(id_), project):
        raise UsageError(f"resume='never', and there is a run {id_!r}{place}; give another id=")
    if id_ is not None and how in ("allow", "must"):
        try:
            found = continue_run(str(id_), project)
        except ConfigError as error:
            raise UsageError(str(error)) from error
    if how == "must" and found is None:
        raise UsageError(
            f"resume='must', and the store has no run {id_!r}{place}; give the id of one"
        )
    if found is not None:
        run = Run(found, {**found.labels, **labels}, found.next_step)
        run.config.update(found.config)
        _go_on(run, found)
        return run
    made = begin_run(None, name=name, project=project, store=None, labels=kept, own=True)
    made.quiet_end = True
    if name is not None and made.name != name:  # the store tells runs apart by their names
        from thetahat.store._described_run import GIVEN_NAME

        made.describe({}, labels={GIVEN_NAME: name})
    return Run(made, labels)


def _go_on(run: Run, found: ManualRun) -> None:
    """Take the summary of the run before it was resumed."""
    numbers = {k: math.nan if v is None else v for k, v in found.metrics.items()}
    if OWN_STEP in numbers:
        numbers["step"] = numbers.pop(OWN_STEP)
    run._summary.logged({**numbers, **found.words})
    run._words.update(found.words)
