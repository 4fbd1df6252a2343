"""Arguments that a public name does not have, or words that it does not know: refused at once."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import thetahat as th
from thetahat.core.choices import LOSSES
from thetahat.core.task import OPTIMIZERS

CASES = {
    th.Task: ("epoch", "epochs"),
    th.Metric: ("mod", "mode"),
    th.Data: ("vla", "val"),
    th.read_table: ("weight", "weights"),
    th.stream_table: ("weight", "weights"),
    th.split: ("strat", "stratify"),
    th.folds: ("n_seed", "seed"),
    th.fit_many: ("progess", "progress"),
    th.load: ("experimnt", "experiment"),
    th.open_store: ("creat", "create"),
    th.open_sweep: ("stor", "store"),
    th.Patience: ("metrc", "metric"),
    th.models.MLP: ("widht", "width"),
    th.huber: ("detla", "delta"),
    th.ridge: ("alfa", "alpha"),
}


@pytest.mark.parametrize("function", CASES, ids=lambda function: function.__name__)
def test_an_unknown_argument_is_refused_with_the_nearest(function) -> None:
    wrong, right = CASES[function]
    assert right in inspect.signature(function).parameters
    with pytest.raises(th.InputError) as caught:
        function(**{wrong: 1})
    said = f"{function.__name__}() has no argument {wrong!r}; did you mean {right!r}?"
    assert str(caught.value) == said and isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "Adamm"}, "optimizer='Adamm' is unknown; did you mean 'adam'?"),
        ({"loss": "squard"}, "loss='squard' is unknown; did you mean 'squared'?"),
    ],
)
def test_a_task_refuses_unknown_words_before_its_fit(given, message) -> None:
    data = th.split((np.ones((8, 1)), np.ones(8)), train=0.5, val=0.5, test=0)
    with pytest.raises(th.InputError) as caught:
        th.Task(th.models.Linear(1), data, **given)
    assert str(caught.value) == message


def test_a_task_knows_the_words_of_optimizers_and_losses() -> None:
    assert set(OPTIMIZERS) == set(th.optim.OPTIMIZERS) and set(LOSSES) == set(th.risk.LOSSES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: th.Threshold(0.6, metric="val_risk"),  # type: ignore[misc]
            "Threshold() got multiple values for argument 'metric'; it takes metric, below, above",
        ),
        (th.load, "load() missing 1 argument: 'path'; it takes path, experiment"),  # type: ignore[call-arg]
        (
            lambda: th.load(1, 2, 3),  # type: ignore[call-arg]
            "load() takes from 1 to 2 arguments but 3 were given; it takes path, experiment",
        ),
    ],
)
def test_a_call_that_does_not_fit_says_what_the_function_takes(call, message) -> None:
    with pytest.raises(th.InputError) as caught:
        call()
    assert str(caught.value) == message and isinstance(caught.value, TypeError)


def test_a_type_error_inside_a_function_stays_what_it_is() -> None:
    from thetahat.core.arguments import arguments_named  # no public function raises one

    @arguments_named
    def broken(a):
        return a + "text"

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        broken(1)
    assert not isinstance(caught.value, th.InputError)


FLAGS = {
    "split": lambda text: th.split((np.ones((8, 1)), np.ones(8)), standardize=text),
    "MLP": lambda text: th.models.MLP(2, bias=text),
    "read_table": lambda text: th.read_table({"a": [1.0], "y": [2.0]}, "y", standardize=text),
    "fit": lambda text: th.fit(_switched, wide=text),
    "fit_many": lambda text: th.fit_many(_switched, [{"wide": text}]),
}


def _switched(wide: bool = False, deep: bool | None = None, width: int = 2) -> th.Task:
    raise NotImplementedError


@pytest.mark.parametrize("call", FLAGS)
def test_text_is_neither_true_nor_false(call: str) -> None:
    with pytest.raises(th.InputError, match=r"='no' is text, and \w+ is true or false .*=False$"):
        FLAGS[call]("no")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"deep": "x"}, "deep='x' is text, and deep is true or false (bool) or None; give deep="),
        ({"width": "3"}, "width='3' is text, and width is a whole number (int); give width=10"),
    ],
)
def test_text_is_no_number_of_an_experiment(given, message) -> None:
    with pytest.raises(th.InputError) as caught:
        th.fit(_switched, **given)
    assert str(caught.value).startswith(message)
