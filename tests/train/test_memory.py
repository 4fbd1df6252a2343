"""As many members train together as the memory holds; the others in their turn."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from small import net

import thetahat as th
from thetahat.core import ConfigError

# The memory of the machine and of the device is simulated.
from thetahat.train import Hyper, Interrupt, Options, Shop, TooLarge, _memory, free_memory
from thetahat.train.jax import _memory as device, prepare

pytestmark = pytest.mark.usefixtures("fresh_programs")

CONFIGS = [{"lr": 0.01 * (k + 1), "epochs": 4} for k in range(5)]


def program(size: int):
    """The program of ``size`` members."""
    hyper = Hyper({"lr": np.linspace(0.1, 0.2, size)}, {"seed": np.int32(0)})

    def build(values):
        return net(epochs=2, **values)

    return prepare(build, hyper, size, "vmap")


def test_what_training_needs_grows_with_the_members() -> None:
    small, large = program(2), program(64)
    state = sum(a.nbytes for k, a in large.pack(large.init()).items() if k != "key")
    assert large.needs() > 2 * state
    assert large.needs() - small.needs() > state  # the orders of batches are shared
    assert large.staged.member_bytes * 64 >= state


def test_what_does_not_fit_is_refused_and_how_many_do_is_said(monkeypatch) -> None:
    large = program(64)
    machine(monkeypatch, large.needs() // 4)
    assert 8 <= large.fits(1.0) <= 16
    assert large.fits(0.5) <= 8
    machine(monkeypatch, large.needs())
    assert large.fits(1.0) == 64
    machine(monkeypatch, 1)
    assert program(1).fits(1.0) == 1


def test_what_is_too_large_for_its_arrays_alone_is_not_compiled(monkeypatch) -> None:
    large = program(64)
    machine(monkeypatch, large.staged.member_bytes * 20)
    assert large.fits(1.0) == 10
    assert large._chunk is None


def test_the_memory_that_is_free_is_known_here() -> None:
    assert 1 << 24 < free_memory() < 1 << 50


def machine(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    """A machine on which so many bytes are free."""
    monkeypatch.setattr(_memory, "free_memory", lambda: free)


def narrow(monkeypatch: pytest.MonkeyPatch, members: float) -> None:
    """A machine that holds so many members of these cohorts."""
    each = program(5).needs() / 5
    machine(monkeypatch, members * each / _memory.SHARE)


def test_fits_take_turns_where_not_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = th.fit_many(net, CONFIGS)
    narrow(monkeypatch, 3.5)
    turns = th.fit_many(net, CONFIGS)
    assert [r.config for r in turns] == [r.config for r in whole]
    for one, other in zip(turns, whole, strict=True):
        np.testing.assert_allclose(one.history["val_risk"], other.history["val_risk"], rtol=1e-5)


def test_turns_that_were_interrupted_go_on(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow(monkeypatch, 3.5)
    path = tmp_path / "many.ckpt"
    full = th.fit_many(net, CONFIGS, checkpoint=path)
    assert path.exists()
    # More memory now: those who began together go on together.
    monkeypatch.undo()
    again = th.fit_many(net, CONFIGS, checkpoint=path, resume=True)
    assert [r.risk for r in again] == [r.risk for r in full]


def test_a_shop_says_how_many_fit() -> None:
    shop = Shop(net)
    with pytest.raises(TooLarge):
        shop.open(CONFIGS, Options(share=0.0), Interrupt())
    training = shop.open(CONFIGS[:1], Options(share=0.0), Interrupt())
    while training.step():
        pass
    assert training.finish()[0].epochs == 4


def wide(width: int, n: int = 64, seed: th.Seed = 0) -> th.Task:
    """A net of any width, on observations that are drawn where it trains."""
    data = th.split(th.dgp.linear(n, 2, 0.1, seed=seed), train=0.5, val=0.5, test=0.0)
    return th.Task(th.models.MLP(2, width=width, depth=2, seed=seed), data, epochs=1, seed=seed)


@pytest.mark.parametrize(
    ("width", "needs"), [(3_000_000, "288 TB"), (10**13, "3e[+]12 PB"), (10**20, "3e[+]26 PB")]
)
def test_a_model_that_cannot_be_held_is_refused_before_it_is_compiled(
    width, needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_memory, "total_memory", lambda: 25.3e9)
    said = f"model of this fit cannot be held in memory: it takes {needs} at least, and there are"
    with pytest.raises(ConfigError, match=f"{said} 25.3 GB; make it smaller: a smaller width"):
        th.fit(wide, width=width)
    assert ConfigError.exit_code == 2
    # In a worker, it is that run's matter: the next is opened as ever.
    shop = Shop(wide)
    with pytest.raises(ConfigError, match=said):
        shop.open([{"width": width}], Options(), Interrupt())
    assert shop.open([{"width": 4}], Options(), Interrupt()).running.tolist() == [True]


def test_data_that_cannot_be_held_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "total_memory", lambda: 1e6)
    said = "the data of this fit cannot be held in memory: it takes .* MB at least, and there are 1"
    with pytest.raises(ConfigError, match=f"{said} MB; make fewer observations"):
        th.fit(wide, width=2, n=40_000_000)


def test_the_memory_of_the_machine_is_more_than_what_is_free() -> None:
    assert free_memory() <= _memory.total_memory() < 1 << 60


def test_memory_that_runs_out_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "total_memory", lambda: 2e9)
    monkeypatch.setattr(_memory, "free_memory", lambda: 1.5e9)
    raised = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore"
    with (
        pytest.raises(
            ConfigError,
            match=r"^memory ran out: 1.5 GB of 2 GB are free, and more was needed \(Out of memory"
            r" allocating 9 bytes\); a smaller model, a smaller batch_size or fewer observations",
        ),
        device.memory_errors(),
    ):
        raise jax.errors.JaxRuntimeError(raised)
    other = jax.errors.JaxRuntimeError("INTERNAL: else")
    with (
        pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"),
        device.memory_errors(),
    ):
        raise other
