"""As many members train together as the memory holds; the others in their turn."""

from __future__ import annotations

import numpy as np
import pytest
from small import net

import thetahat as th
from thetahat.train import Interrupt, Options, Shop, TooLarge, _memory, free_memory
from thetahat.train.backends.jax import Hyper, make_program, stage

CONFIGS = [{"lr": 0.01 * (k + 1), "epochs": 4} for k in range(5)]


def program(size: int):
    """The program of ``size`` members."""
    hyper = Hyper({"lr": np.linspace(0.1, 0.2, size)}, {"seed": np.int32(0)})

    def build(values):
        return net(epochs=2, **values)

    return make_program(build, hyper, stage(build, hyper), size, "vmap")


def test_what_training_needs_grows_with_the_members() -> None:
    small, large = program(2), program(64)
    state = sum(a.nbytes for k, a in large.pack(large.init()).items() if k != "key")
    assert large.needs() > 2 * state
    assert large.needs() > 4 * small.needs()
    assert large.staged.member_bytes * 64 >= state


def test_what_does_not_fit_is_refused_and_how_many_do_is_said() -> None:
    large = program(64)
    with pytest.raises(TooLarge) as refused:
        _memory.check_fits(large, large.needs() // 4)
    assert 8 <= refused.value.fits <= 16
    _memory.check_fits(large, large.needs())
    _memory.check_fits(program(1), 1)


def test_what_is_too_large_for_its_arrays_alone_is_not_compiled() -> None:
    large = program(64)
    with pytest.raises(TooLarge) as refused:
        _memory.check_fits(large, large.staged.member_bytes * 20)
    assert refused.value.fits == 10
    assert large._chunk is None


def test_the_memory_that_is_free_is_known_here() -> None:
    assert 1 << 24 < free_memory() < 1 << 50


def narrow(monkeypatch: pytest.MonkeyPatch, members: float) -> None:
    """A machine that holds so many members of these cohorts."""
    each = program(5).needs() / 5
    monkeypatch.setattr(_memory, "free_memory", lambda: members * each / _memory.SHARE)


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
        shop.open(CONFIGS, Options(memory=1), Interrupt())
    training = shop.open(CONFIGS[:1], Options(memory=1), Interrupt())
    while training.step():
        pass
    assert training.finish()[0].epochs == 4
