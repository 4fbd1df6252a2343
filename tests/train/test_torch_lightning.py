"""Plain Lightning modules as Tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thetahat as th

lightning = pytest.importorskip("lightning.pytorch")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 2)).astype("float32")
Y = (X @ [1.0, -2.0]).astype("float32")
DATA = th.Data((X[:48], Y[:48]), (X[48:], Y[48:]))


class Regression(lightning.LightningModule):
    """The module of every tutorial."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(2, 1)

    def forward(self, x: Any) -> Any:
        return self.line(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        loss = nn.functional.mse_loss(self(x).squeeze(-1), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        monitored = {"scheduler": plateau, "monitor": "val_loss"}
        return {"optimizer": optimizer, "lr_scheduler": monitored}


@pytest.mark.filterwarnings("error")
def test_a_plain_lightning_module_trains_as_its_loop_does() -> None:
    module = Regression()
    result = th.fit(th.from_lightning(module, DATA, epochs=20, batch_size=16))
    by_hand = Regression()
    made = by_hand.configure_optimizers()
    optimizer, plateau = made["optimizer"], made["lr_scheduler"]["scheduler"]
    train, rates = [], []
    batches = th.Batches((X[:48], Y[:48]), 16)
    for _ in range(20):
        losses = []
        for x, y in batches:
            h = by_hand(torch.from_numpy(x)).squeeze(-1)
            loss = nn.functional.mse_loss(h, torch.from_numpy(y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            h = by_hand(torch.from_numpy(X[48:])).squeeze(-1)
        rates.append(optimizer.param_groups[0]["lr"])
        plateau.step(float(nn.functional.mse_loss(h, torch.from_numpy(Y[48:]))))
        train.append(np.mean(losses))
    np.testing.assert_allclose(result.history["train_risk"], train, rtol=1e-4)
    np.testing.assert_allclose(result.history["learning_rate"], rates, rtol=1e-6)
    assert type(result.model) is Regression
    assert result.model.log.__func__ is lightning.LightningModule.log


def test_a_module_that_is_not_plain_gets_the_rewrite() -> None:
    class ByHand(Regression):
        automatic_optimization = False

    class Hooked(Regression):
        def on_train_batch_end(self, *args: Any) -> None: ...

    class Summed(Regression):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return super().training_step(batch, batch_idx) * len(batch[0])

    class NoLoss(Regression):
        def training_step(self, batch: Any, batch_idx: int) -> Any: ...

    for kind, said in [
        (ByHand, "ByHand optimises by hand"),
        (Hooked, "Hooked changes Lightning's loop by on_train_batch_end"),
        (Summed, "training_step of Summed is not a mean over observations: a batch of 4 has"),
        (NoLoss, "training_step of NoLoss returned NoneType"),
    ]:
        with pytest.raises(th.InputError, match=f"{said}.*Write the Task by hand"):
            th.from_lightning(kind(), DATA)
    for wrong in (nn.Linear(2, 1), Regression, None):
        with pytest.raises(th.InputError, match="give a Lightning module"):
            th.from_lightning(wrong, DATA)
    with pytest.raises(th.InputError, match="takes loss from the module; leave loss out"):
        th.from_lightning(Regression(), DATA, loss="huber")


@pytest.mark.parametrize("clock", ["batch_idx", "current_epoch", "global_step"])
def test_a_loss_that_changes_with_time_is_refused(clock: str) -> None:
    class Annealed(Regression):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            at = batch_idx if clock == "batch_idx" else getattr(self, clock)
            return super().training_step(batch, batch_idx) * min(1.0, (at + 1) / 10)

    with pytest.raises(th.InputError, match=f"changes with {clock}, which nothing counts"):
        th.from_lightning(Annealed(), DATA, epochs=1)
