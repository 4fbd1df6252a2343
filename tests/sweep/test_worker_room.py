"""A worker whose job cannot write its first checkpoint. Private: the shop simulates a full disk."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thetahat.core.errors import CheckpointError

# A worker without a process, on a disk that is full.
from thetahat.sweep.workers import _worker
from thetahat.sweep.workers._messages import Job, JobReport, Over


class Link:
    """Keeps what is sent to the agent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


def refused(code: int) -> CheckpointError:
    error = CheckpointError("cannot write the checkpoint c.ckpt: why")
    error.__cause__ = OSError(code, "why")
    return error


class Shop:
    """Opens a job once its errors are used up."""

    signature = SimpleNamespace(parameters={}, traced=())

    def __init__(self, errors: list[CheckpointError]) -> None:
        self.errors = errors

    def open(self, *_: Any, **__: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        driver = SimpleNamespace(epoch=0, clock=SimpleNamespace(spent_s=0.0))
        return SimpleNamespace(driver=driver, running=np.array([True]))


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(_worker.SHARE, "1")
    monkeypatch.setattr(_worker, "AGAIN_S", 0.01)

    def begin(errors: list[CheckpointError]) -> list[Any]:
        link = Link()
        worker = _worker.Worker(link, Shop(errors), [])  # type: ignore[arg-type]
        worker._begin(Job("j", [{}], ["r"], checkpoint="c.ckpt"))
        return link.sent

    return begin


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_job_waits_for_room_for_its_first_checkpoint_and_notes_it_once(begun, code) -> None:
    sent = begun([refused(code)] * 3)
    told = [message for message in sent if isinstance(message, JobReport)]
    assert [len(message.notices) for message in told] == [1, 0]
    assert "The runs wait for room, for 600 s" in told[0].notices[0]
    assert [list(message.running) for message in told] == [[0], [0]]
    assert not any(isinstance(message, Over) for message in sent)


def test_a_job_is_blocked_if_the_disk_stays_full(begun, monkeypatch) -> None:
    monkeypatch.setattr(_worker, "ROOM_S", 0.05)
    (over,) = [m for m in begun([refused(errno.ENOSPC)] * 99) if isinstance(m, Over)]
    assert (over.blocked, over.error) == (True, "cannot write the checkpoint c.ckpt: why")


def test_a_job_does_not_wait_for_a_folder_that_cannot_be_written(begun) -> None:
    sent = begun([refused(errno.EACCES)])
    assert [m.blocked for m in sent if isinstance(m, Over)] == [True]
    assert not any(isinstance(m, JobReport) for m in sent)
