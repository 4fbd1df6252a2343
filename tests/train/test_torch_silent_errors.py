"""Silent errors of programs that are often taught: none can be written with a PyTorch module.

The numbers are those of the list that the project was measured against.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error
from torch import nn

import thetahat as th

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 2)).astype("float32")
Y = (X @ [1.0, -2.0] + 0.5 * RNG.normal(size=100)).astype("float32")
DATA = th.Data((X[:52], Y[:52]), (X[52:70], Y[52:70]), (X[70:], Y[70:]))


class Net(nn.Module):
    """A net that returns shape (B, 1), as most do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 32), nn.Linear(32, 1)

    def forward(self, x: Any) -> Any:
        return self.last(torch.relu(self.first(x)))


def task(**fields: Any) -> th.Task:
    """A fit that overfits: its best epoch is not its last."""
    given = {
        "model": Net,
        "data": DATA,
        "optimizer": lambda p: torch.optim.Adam(p, lr=0.05),
        "epochs": 60,
        "batch_size": 16,
        "backend": "torch",
        **fields,
    }
    return th.Task(**given)


def test_1_the_best_state_is_a_copy_and_not_a_reference_to_the_last() -> None:
    result = th.fit(task())
    assert result.best_epoch < 60
    last = th.fit(task(data=th.Data(DATA.train)))
    best = result.model.state_dict()
    assert any(
        not torch.equal(best[name], value) for name, value in last.model.state_dict().items()
    )
    found = mean_squared_error(Y[52:70], result.predict(X[52:70]))
    assert found == pytest.approx(result.history["val_risk"].min(), rel=1e-5)
    assert result.risk["val"] == pytest.approx(found, rel=1e-5)


def test_2_every_risk_is_divided_by_the_observations_of_its_own_part() -> None:
    result = th.fit(task())
    for part, rows in (("train", slice(52)), ("val", slice(52, 70)), ("test", slice(70, 100))):
        right = mean_squared_error(Y[rows], result.predict(X[rows]))
        assert result.risk[part] == pytest.approx(right, rel=1e-5)


def test_4_a_rate_cannot_be_taken_for_a_device_or_a_precision() -> None:
    result = th.fit(task(optimizer=lambda p: torch.optim.SGD(p, 0.02), epochs=2))
    np.testing.assert_allclose(result.history["learning_rate"], 0.02, rtol=1e-6)
    wide = th.fit(task(model=Net().double(), epochs=2))
    assert {p.dtype for p in wide.model.parameters()} == {torch.float32}
    assert wide.provenance["dtype"] == "float32"
    with pytest.raises(th.InputError, match="residual=0.01 is not a function"):
        th.fit(th.Task(Net, DATA, 0.01, backend="torch"))
    with pytest.raises(th.InputError, match="dtype=0.01; give 'float32' or 'float64'"):
        task(dtype=0.01)
    with pytest.raises(th.InputError, match="optimizer=0.01; give a function of the parameters"):
        th.fit(task(optimizer=0.01))


def test_5_an_error_names_the_part_that_it_is_of() -> None:
    result = th.fit(task(metrics=["mae"]))
    for part, rows in (("train", slice(52)), ("val", slice(52, 70)), ("test", slice(70, 100))):
        right = mean_absolute_error(Y[rows], result.predict(X[rows]))
        assert result.metrics[f"{part}_mae"] == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize(
    "loss", ["squared", nn.MSELoss(), nn.SmoothL1Loss(), nn.functional.l1_loss]
)
def test_7_a_column_is_not_broadcast_against_a_row(loss: Any) -> None:
    column = th.fit(task(loss=loss))
    flat = th.fit(task(loss=loss, model=lambda: nn.Sequential(Net(), nn.Flatten(0))))
    np.testing.assert_allclose(column.history["val_risk"], flat.history["val_risk"], rtol=1e-5)
    other = th.Data((X, Y[:, None]))
    with pytest.raises(th.InputError, match=r"h\(x\) has shape \(2,\) and y has shape \(2, 1\)"):
        th.fit(task(data=other, loss=loss, model=lambda: nn.Sequential(Net(), nn.Flatten(0))))
    with pytest.raises(th.InputError, match=r"h\(x\) has shape \(2, 3\) and y has shape \(2,\)"):
        th.fit(task(loss=loss, model=nn.Linear(2, 3)))


def test_9_every_observation_weighs_the_same_in_a_short_last_batch_too() -> None:
    # 52 observations in batches of 16: the last has 4, and takes a quarter of a full step.
    rate, fields = 0.1, {"sampling": "sequential", "dtype": "float64", "epochs": 1}
    module = nn.Linear(2, 1)
    b = module.weight.detach().double().numpy()[0]
    a = float(module.bias.detach().double()[0])
    for first in range(0, 52, 16):
        x, y = X[first : min(first + 16, 52)].astype(float), Y[first : min(first + 16, 52)]
        r = x @ b + a - y
        b, a = b - rate * 2 * (r @ x) / 16, a - rate * 2 * r.sum() / 16
    result = th.fit(task(model=module, optimizer=lambda p: torch.optim.SGD(p, rate), **fields))
    last = th.fit(
        task(
            model=module,
            data=th.Data(DATA.train),
            optimizer=lambda p: torch.optim.SGD(p, rate),
            **fields,
        )
    )
    np.testing.assert_allclose(last.params["weight"][0], b, rtol=1e-12)
    np.testing.assert_allclose(last.params["bias"], [a], rtol=1e-10)
    assert result.epochs == 1


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(ignore_index=1),
        functools.partial(nn.functional.cross_entropy, ignore_index=1),
    ],
)
def test_a_loss_whose_mean_leaves_observations_out_is_refused(loss: Any) -> None:
    labels = (Y > 0).astype("int64")
    with pytest.raises(th.InputError, match="ignore_index=1 divides by the observations"):
        th.fit(task(model=lambda: nn.Linear(2, 2), data=th.Data((X, labels)), loss=loss))
