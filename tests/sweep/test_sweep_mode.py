"""How a sweep's runs train: one choice, mode, on the command line and in what is stored."""

from __future__ import annotations

import pytest

from thetahat.core import ConfigError
from thetahat.sweep import SweepOptions
from thetahat.sweep.spec import options_from_json


def test_exact_of_an_earlier_version_is_the_mode() -> None:
    stored = {**SweepOptions().as_json(), "exact": True}
    assert options_from_json(stored).mode == "exact"
    assert options_from_json({**stored, "exact": False}).mode == "auto"


def test_a_mode_is_kept() -> None:
    for mode in ("auto", "cohort", "exact", "worker", "process"):
        assert options_from_json(SweepOptions(mode=mode).as_json()).mode == mode
    with pytest.raises(ConfigError, match="--mode=exakt: unknown mode; did you mean 'exact'?"):
        SweepOptions(mode="exakt")
