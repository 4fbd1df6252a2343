"""``th.main``: an experiment's function as a command line program."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from thetahat.cli._errors import guarded
from thetahat.core.collect import collected
from thetahat.core.errors import ConfigError
from thetahat.core.task import Task

if TYPE_CHECKING:
    from thetahat.cli._session import Trained
    from thetahat.train import Result


def run_experiment(
    experiment: Callable[..., Task], args: Sequence[str] | None = None, on: Any = ()
) -> Result | None:
    """Run an experiment as ``th.main`` does."""
    if collected(experiment):  # the script is loaded, not run
        return None
    if args is not None:
        trained = _run(experiment, args, on)
        return None if trained is None else trained.results[0]
    ended: list[Trained] = []

    def action() -> int:
        from thetahat.cli._session import exit_code

        trained = _run(experiment, sys.argv[1:], on)
        if trained is None:
            return 0
        ended.append(trained)
        return exit_code(trained.results)

    code = guarded(action)
    if code or not ended:
        sys.exit(code)
    return ended[0].results[0]


def _run(experiment: Callable[..., Task], words: Sequence[str], on: Any) -> Trained | None:
    from thetahat.cli._flags import dump_config, read_flags
    from thetahat.cli._help import help_text
    from thetahat.core.signature import read_signature

    signature = read_signature(experiment)
    flags = read_flags(signature, words)
    if "help" in flags.options:
        print(help_text(signature), end="")
        return None
    if "print_config" in flags.options:
        print(dump_config(signature, flags.config), end="")
        return None
    from thetahat.cli._session import FitSettings, source_of, train
    from thetahat.cli.terminal._run_summary import print_run

    def word(name: str) -> str | None:
        value = flags.options.get(name)
        return value if isinstance(value, str) else None

    setting = FitSettings(
        store=word("store"),
        tracked="no_store" not in flags.options,
        checkpoint="no_checkpoint" not in flags.options,
        name=word("name"),
        quiet="quiet" in flags.options,
    )
    checked = check_batch(experiment) if "batch_size" in flags.given else experiment
    source = source_of(experiment, signature.name)
    trained = train(checked, [flags.config], setting, source, on=on)
    print_run(trained.results[0], trained.names[0] or signature.name, setting)
    return trained


def check_batch(experiment: Callable[..., Task]) -> Callable[..., Task]:
    """Wrap an experiment to refuse a batch size above N, if the user gave one."""

    @functools.wraps(experiment)
    def checked(**config: Any) -> Task:
        from thetahat.data import n_observations

        task = experiment(**config)
        if not isinstance(task, Task) or task.batch_size is None:
            return task
        n = n_observations(getattr(task.data, "train", task.data))
        if task.batch_size > n:
            raise ConfigError(
                f"batch_size={task.batch_size} is larger than the {n} training observations;"
                f" give at most {n}, or none for the full batch"
            )
        return task

    return checked
