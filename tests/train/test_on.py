"""th.fit(on=f): a function of events follows a fit; it can neither change it nor lose anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import net

import thetahat as th


def test_on_gets_every_event_in_order():
    seen: list[Any] = []
    result = th.fit(net, on=seen.append)
    kinds = [type(event) for event in seen]
    assert kinds[0] is th.Started
    assert kinds[-1] is th.Ended
    assert set(kinds[1:-1]) == {th.Logged}
    risks = np.concatenate([event.columns["val_risk"] for event in seen[1:-1]])
    np.testing.assert_array_equal(risks, result.history["val_risk"])
    assert seen[-1].metrics["val_risk"] == result.risk["val"]


def test_on_gets_the_events_of_every_member():
    seen: list[Any] = []
    th.fit_many(net, [{"lr": 0.1}, {"lr": 0.2}, {"width": 5}], on=seen.append)
    ends = [event.member for event in seen if isinstance(event, th.Ended)]
    assert sorted(ends) == [0, 1, 2]


def test_on_cannot_change_training():
    def meddle(event: Any) -> str:
        for name in ("columns", "config", "metrics"):
            for value in getattr(event, name, {}).values():
                if isinstance(value, np.ndarray):
                    value[:] = 0
            getattr(event, name, {}).clear()
        return "stop"

    result, alone = th.fit(net, on=meddle), th.fit(net)
    np.testing.assert_array_equal(result.history["val_risk"], alone.history["val_risk"])
    assert result.config == alone.config
    assert result.metrics == alone.metrics


@pytest.mark.parametrize("kind", ["Started", "Logged", "Ended"])
def test_an_error_in_on_ends_the_fit_and_loses_nothing(kind, tmp_path):
    calls = 0

    def failing(event: Any) -> None:
        nonlocal calls
        calls += 1
        if type(event).__name__ == kind:
            raise ZeroDivisionError("mine")

    url, path = f"sqlite:///{tmp_path}/runs.db", tmp_path / "net.ckpt"
    with th.open_store(url) as store:
        tracker = th.store_tracker(store, experiment="net")
        with pytest.raises(ZeroDivisionError, match="mine"):
            th.fit(net, on=failing, trackers=[tracker], checkpoint=path)
        before = calls
        (run,) = store.runs()
        done = kind == "Ended"  # all that was trained stands
        assert run.status == ("finished" if done else "failed")
        assert done or "ZeroDivisionError: mine" in run.reason
    assert calls == before
    again, alone = th.fit(net, checkpoint=path, resume=True), th.fit(net)
    np.testing.assert_array_equal(again.history["val_risk"], alone.history["val_risk"])


def test_on_that_is_no_function_is_refused():
    with pytest.raises(th.InputError, match="on=3 is not a function"):
        th.fit(net, on=3)  # pyright: ignore[reportArgumentType]
