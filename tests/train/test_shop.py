"""A shop: cohorts trained a chunk at a time, programs used again, members stopped by the host."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th
from thetahat.core import Ended, Status
from thetahat.train import Interrupt, NeedsStatic, Options, Shop


def line(
    lr: float = 0.1, scale: float = 1.0, epochs: int = 40, width: int = 4, seed: th.Seed = 0
) -> th.Task:
    """A small net on a line."""
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    data = th.split(th.Observations(x, 2 * x[:, 0]), train=0.5, val=0.25, test=0.25, seed=0)
    return th.Task(
        model=th.models.MLP(1, width=width, depth=1, seed=seed),
        data=data,
        loss=lambda r: scale * r**2,
        optimizer=th.optim.named("sgd", lr),
        epochs=epochs,
        seed=seed,
    )


def branching(lr: float = 0.1, flag: float = 1.0) -> th.Task:
    """Python must know ``flag``."""
    return line(lr=lr, epochs=3 if flag > 0.5 else 4)


def finish(training):
    """Train to the end."""
    while training.step():
        pass
    return training.finish()


@pytest.mark.usefixtures("fresh_programs")
def test_a_program_is_compiled_once_and_gives_what_a_fit_gives() -> None:
    shop = Shop(line)
    first = shop.open([{"lr": 0.05}], Options(), Interrupt())
    finish(first)
    second = shop.open([{"lr": 0.2, "seed": 3}], Options(), Interrupt())
    result = finish(second)[0]
    assert (first.program.traces, second.program.traces) == (1, 0)
    alone = th.fit(line, lr=0.2, seed=3)
    assert result.risk == alone.risk
    assert np.array_equal(result.history["val_risk"], alone.history["val_risk"])
    assert result.config == alone.config


@pytest.mark.usefixtures("fresh_programs")
def test_another_static_part_is_another_program() -> None:
    shop = Shop(line)
    finish(shop.open([{"width": 2}], Options(), Interrupt()))
    other = shop.open([{"width": 3}], Options(), Interrupt())
    finish(other)
    assert other.program.traces == 1


def test_cohorts_of_one_size_share_a_program() -> None:
    shop = Shop(line)
    finish(shop.open([{"lr": 0.1}, {"lr": 0.2}], Options(mode="vmap"), Interrupt()))
    again = shop.open([{"lr": 0.3}, {"lr": 0.4}], Options(mode="vmap"), Interrupt())
    results = finish(again)
    assert again.program.traces == 0
    # At 0.4 the fit is close to unstable and magnifies rounding a hundred times.
    alone = th.fit(line, lr=0.3)
    np.testing.assert_allclose(results[0].risk["val"], alone.risk["val"], rtol=1e-5)


def test_members_stopped_by_the_host_end_at_once_and_the_others_are_untouched() -> None:
    ended: list[Ended] = []
    options = Options((lambda e: ended.append(e) if isinstance(e, Ended) else None,), mode="vmap")
    training = Shop(line).open(
        [{"lr": 0.05}, {"lr": 0.1}, {"lr": 0.2}], options, Interrupt(), marks=(9,)
    )
    while training.driver.epoch < 9:
        assert training.step()
    assert training.driver.epoch == 9  # a chunk ends at the mark, however long it would be
    training.stop({1: "a loser"})
    assert [(e.member, e.status, e.reason) for e in ended] == [(1, Status.STOPPED, "a loser")]
    assert training.running.tolist() == [True, False, True]
    results = finish(training)
    assert [e.member for e in ended] == [1, 0, 2]
    assert (results[1].epochs, len(results[1].history["epoch"])) == (9, 9)
    whole = th.fit(line, lr=0.2)
    np.testing.assert_allclose(results[2].risk["val"], whole.risk["val"], rtol=1e-5)
    assert results[2].epochs == 40


def test_a_parameter_that_python_must_know_is_found_and_remembered() -> None:
    shop = Shop(branching)
    with pytest.warns(th.Notice, match="'flag' is static"), pytest.raises(NeedsStatic) as found:
        shop.open([{"flag": 0.1}, {"flag": 0.9}], Options(), Interrupt())
    assert found.value.names == {"flag"}
    assert shop.traced == {"lr"}
    result = finish(shop.open([{"flag": 0.9}], Options(), Interrupt()))[0]
    assert result.epochs == 3


def test_a_checkpoint_of_a_stopped_member_goes_on(tmp_path) -> None:
    path = tmp_path / "cohort.ckpt"
    configs = [{"lr": 0.05}, {"lr": 0.1}]
    training = Shop(line).open(configs, Options(checkpoint=path), Interrupt(), marks=(5,))
    while training.driver.epoch < 5:
        training.step()
    training.stop({0: "a loser"})
    training.step()
    again = Shop(line).open(configs, Options(checkpoint=path, resume=True), Interrupt())
    results = finish(again)
    assert (results[0].status, results[0].epochs) == (Status.STOPPED, 5)
    np.testing.assert_allclose(results[1].risk["val"], th.fit(line, lr=0.1).risk["val"], rtol=1e-5)
