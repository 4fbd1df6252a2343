"""The entry of both command lines: also while modules load, Ctrl-C prints one line."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing takes as long to load as all that is loaded here
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from thetahat.core.run import Event
    from thetahat.core.task import Task
    from thetahat.train import Result


def run(argv: Sequence[str] | None = None) -> int:
    """Run the ``thetahat`` command; give 0 if done, 1 if a run failed, 2 for wrong input."""
    try:
        from thetahat.cli._parser import run_command

        return run_command(argv)
    except KeyboardInterrupt:
        return _interrupted()


def main(
    experiment: Callable[..., Task],
    args: Sequence[str] | None = None,
    *,
    on: Callable[[Event], Any] | Sequence[Callable[[Event], Any]] = (),
) -> Result | None:
    """Run an experiment with the parameters of the command line, as one tracked run.

    Args:    experiment: a typed function that returns a ``th.Task``; its parameters are the flags.
             args: words in place of the command line's, such as ["--lr=0.01"]. Errors are then
             raised, and nothing exits.
             on: functions of events, as in ``th.fit``: ``on=[th.trackers.wandb("wages")]``. A sweep
             of the script has its own: ``th.run_sweep(..., on=...)``.
    Returns: the Result; None after --help and --print_config. A script whose run failed exits with
             1, with 2 where its input was wrong, with 130 after Ctrl-C.
    Raises:  InputError: with ``args``, a flag, a file or a store that cannot be used.
    """
    try:
        from thetahat.cli._script import run_experiment

        return run_experiment(experiment, args, on)
    except KeyboardInterrupt:
        if args is not None:
            raise
        sys.exit(_interrupted())


def _interrupted() -> int:
    if sys.stderr is not None:
        sys.stderr.write("thetahat: interrupted\n")
    return 130
