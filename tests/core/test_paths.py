"""What is not a path, given where a path is expected: one message of ours, in every function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thetahat as th

X = np.linspace(-1, 1, 16)[:, None]
TASK = th.Task(th.models.Linear(1), th.Data((X, 2 * X[:, 0])), optimizer="sgd", epochs=2)
GRID = {"method": "grid", "parameters": {"lr": {"values": [0.1]}}}


def experiment(lr: float = 0.1) -> th.Task:
    return TASK


@pytest.fixture(scope="module")
def result() -> th.Result:
    return th.fit(TASK)


FUNCTIONS: dict[str, Callable[[th.Result, Any], object]] = {
    "load": lambda _, path: th.load(path),
    "save": lambda result, path: result.save(path),
    "save several": lambda result, path: th.Results([result]).save(path),
    "checkpoint": lambda _, path: th.fit(TASK, checkpoint=path),
    "read_checkpoint": lambda _, path: th.train.read_checkpoint(path),
    "read_table": lambda _, path: th.read_table(path, target="y"),
    "stream_table": lambda _, path: th.stream_table(path, target="y"),
    "open_sweep": lambda _, path: th.open_sweep("last", store=path),
    "run_sweep": lambda _, path: th.run_sweep(experiment, path),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "given", [3, True, b"x", object(), "a\0b"], ids=["3", "True", "bytes", "object", "NUL"]
)
def test_what_is_no_path_is_refused_by_name(
    name: str, given: object, result: th.Result, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(th.ThetahatError) as caught:
        FUNCTIONS[name](result, given)
    said = str(caught.value)
    assert len(said) < 300 and "\n" not in said.split("the spec")[0]
    assert not list(tmp_path.iterdir()), "nothing was written"


@pytest.mark.parametrize("name", ["load", "save", "save several", "stream_table"])
def test_none_is_not_a_path_and_the_message_gives_one(name: str, result: th.Result) -> None:
    with pytest.raises(th.InputError, match="=None is not the path of a file; give one, such as"):
        FUNCTIONS[name](result, None)


@pytest.mark.parametrize("given", [None, 3, "lr=0.1", {"lr": 0.1}, [0.1], [None]], ids=repr)
def test_configs_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(th.InputError, match=r"configs?.*such as"):
        th.fit_many(experiment, given)


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        ({**GRID, "workers": 2}, {}, "no key 'workers'; give run_sweep() workers"),
        (GRID, {"timeout_s": -1}, "timeout_s=-1: give seconds"),
        (GRID, {"enqueue": "points.csv"}, "enqueue='points.csv': give a list of points"),
        (GRID, {"asha": True}, "asha needs the bands"),
    ],
)
def test_messages_of_run_sweep_are_about_its_arguments(
    spec: dict, options: dict, said: str, tmp_path
) -> None:
    with pytest.raises(th.InputError) as caught:
        th.run_sweep(experiment, spec, store=tmp_path / "s.db", **options)
    assert said in str(caught.value)
    assert "--" not in str(caught.value) and "thetahat sweep" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: th.fit(TASK, trackers=3), "trackers=3: give a list of functions"),
        (lambda: th.fit_bagged(TASK, trackers=[3]), r"trackers=\[3\]: give a list of functions"),
        (lambda: th.fit(TASK, progress=3), "progress=3 is not a function"),
        (lambda: th.fit_bagged(lambda: 3), "returned 3; return a th.Task"),
        (lambda: th.fit_bagged(TASK, members=10**7), "members=10000000: a bag has at most 1,000"),
        (lambda: th.split((X, X[:, 0]), seed=2**32 + 1), r"from 0 to 2\*\*31 - 1"),
        (lambda: th.split((X, X[:, 0]), seed=-1), r"from 0 to 2\*\*31 - 1"),
        (lambda: th.dgp.linear(seed=np.int64(2**40)), r"from 0 to 2\*\*31 - 1"),
    ],
)
def test_odd_arguments_get_a_message_of_ours(call: Callable[[], object], said: str) -> None:
    with pytest.raises(th.InputError, match=said):
        call()
