"""Values that tell groups apart: as Python compares them, but true is not 1."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thetahat.core.run import Status
from thetahat.store import NewRun, open_store

VALUES = (1, 1.0, True, "1", 0, False, None, "", [1, 2], [1.0, 2], {"b": 1}, 1e300, -0.0, "true")
MISSING = object()
DIGITS = (0.1 + 0.2, 0.3, 0.30000000000000004, 2**53, 2**53 + 1)
"""Numbers that differ in their last digit."""


def told_apart(value: Any) -> str:
    """A text that is the same for values that are one group."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json.dumps(value, sort_keys=True) if value is not MISSING else "null"
    return f"number {value + 0.0:.17g}" if abs(value) < 2**53 else f"number {int(value)}"


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, list[tuple[Any, float | None]]]:
    """A store of runs with all of these values of x, and (value, val_risk) of each run."""
    rng = random.Random(0)
    made = [(value, rng.random()) for value in (*VALUES, *DIGITS, MISSING) for _ in range(3)]
    rng.shuffle(made)
    with open_store(tmp_path) as store, store.batch() as writer:
        for value, risk in made:
            config = {"seed": 1} if value is MISSING else {"x": value, "seed": 1}
            run, _ = writer.create_run(NewRun(config))
            writer.finish_run(run, status=Status.FINISHED, metrics={"val_risk": risk})
    return tmp_path, made


@pytest.mark.parametrize("condition", [(), ("--where", "val_risk<0.5")])
def test_groups_are_those_of_pythons_values(
    stored: tuple[Path, list[tuple[Any, float]]],
    condition: tuple[str, ...],
    thetahat: Callable[..., tuple[int, str, str]],
) -> None:
    where, made = stored
    words = ["--group-by", "x", *condition, "--format", "json", "--store", str(where)]
    code, out, _ = thetahat("runs", *words)
    assert code == 0
    found = {told_apart(group["config"]["x"]): group["runs"] for group in json.loads(out)}
    kept = [value for value, risk in made if not condition or risk < 0.5]
    assert found == Counter(map(told_apart, kept))


def test_a_column_of_which_no_run_has_a_value_is_refused(
    stored: tuple[Path, Any], thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, said = thetahat("runs", "--group-by", "sed", "--store", str(stored[0]))
    assert (code, "did you mean 'seed'" in said) == (2, True)
