"""The records of all runs of a sweep as one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thetahat.store import sweep_records

if TYPE_CHECKING:
    from thetahat.store import Store


def history_frame(
    pandas: Any, store: Store, sweep_id: str, columns: Sequence[str] | None = None
) -> Any:
    """Return a frame with a row for each epoch of each run; ``name``, the run's, is categorical.

    Raises:  ConfigError: a column that no run logged.
    """
    names, places, found = sweep_records(store, sweep_id, columns)
    runs = pandas.Categorical.from_codes(places, categories=names)
    return pandas.DataFrame({"name": runs, **found}, copy=False)
