"""Load the models that a sweep has kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from thetahat.core.errors import ConfigError
from thetahat.store import RunRow, Store, SweepRow
from thetahat.sweep.agent._launch import folder_of
from thetahat.sweep.spec._program import find_program, load_experiment
from thetahat.sweep.spec._spec import spec_of


def load_models(
    store: Store,
    sweep: SweepRow,
    runs: Sequence[RunRow],
    experiment: Callable[..., Any] | None = None,
) -> Any:
    """Load the models of runs: a Fitted of one, Results of several; None where none was kept.

    Args:    experiment: for models of a class of the user's own; by default that of the sweep.
    Raises:  InputError: a damaged file, or the experiment is needed and is not there.
    """
    from thetahat.train import Results, load

    paths = [path for run in runs if (path := store.model_path(run.id)).is_file()]
    try:
        found = [load(path) for path in paths]
    except ConfigError:  # a class of the user's own
        spec = spec_of(sweep)
        file = find_program(spec, folder_of(sweep))
        if experiment is None and file is None:
            raise
        if experiment is None and file is not None:
            experiment = load_experiment(file, spec.function)
        found = [load(path, experiment) for path in paths]
    if not found:
        return None
    return found[0] if len(runs) == 1 else Results[Any](found)
