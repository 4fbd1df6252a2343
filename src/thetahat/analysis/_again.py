"""The commands that repeat a run, or go on with it: to be pasted into a shell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.nested import flat_config
from thetahat.core.run import Status
from thetahat.core.shell import pasteable

if TYPE_CHECKING:
    from thetahat.store import RunRow, SweepRow


def again(run: RunRow, sweep: SweepRow | None = None, flag: str = "") -> list[tuple[str, str]]:
    """Return (what it does, the command) for a run.

    Args:    sweep: the run's, if it has one.   flag: gives a command the run's store.
    """
    found = []
    if run.status is Status.INTERRUPTED and run.checkpoint and run.sweep_id is None:
        found.append(("go on with it", f"thetahat resume {pasteable([run.name])}{flag}"))
    command = _alone(run, sweep)
    return [*found, ("run it again", command)] if command else found


def _alone(run: RunRow, sweep: SweepRow | None) -> str:
    argv = (run.provenance or {}).get("argv")
    if isinstance(argv, list) and argv:
        return pasteable(map(str, argv))
    if run.source is None or (run.command and run.sweep_id is None):
        return run.command or _in_python(run, sweep)
    function = None if sweep is None else sweep.spec.get("function")
    if function is None:
        flags = [f"--{name}={_flag(value)}" for name, value in flat_config(run.config).items()]
        words = ["python", run.source, *flags]
    else:
        of = f"{_literal(run.source)}, {_literal(function)}"
        fit = f"th.fit(load_experiment({of}), **{_literal(run.config)})"
        code = f"import thetahat as th; from thetahat.sweep import load_experiment; print({fit})"
        words = ["python", "-c", code]
    return _from(sweep, pasteable(words))


def _in_python(run: RunRow, sweep: SweepRow | None) -> str:
    """A call, for an experiment that no file has; none for a function without a name."""
    function = "" if sweep is None else str(sweep.spec.get("function") or "")
    return f"th.fit({function}, **{_literal(run.config)})" if function.isidentifier() else ""


def _from(sweep: SweepRow | None, command: str) -> str:
    """A command that runs in the folder of its sweep."""
    folder = None if sweep is None else sweep.folder
    if folder is None or Path(folder) == Path.cwd() or not Path(folder).is_dir():
        return command
    return f"cd {pasteable([folder])} && {command}"


def _literal(value: Any) -> str:
    """A value as Python code with double quotes, which a shell's single quotes hold."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _flag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
