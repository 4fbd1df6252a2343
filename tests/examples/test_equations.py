"""Functional equations: solutions against closed forms, and wrong ones rejected."""

from __future__ import annotations

import numpy as np

import thetahat as th


def test_growth_accepts_every_solution_and_no_other_function(example) -> None:
    growth = example("growth_accepted")
    fits = th.fit_many(growth.growth, [{"seed": seed} for seed in range(20)])
    assert "20 of 20 accepted" in repr(fits)
    k, rate = growth.GRID, growth.ALPHA * growth.BETA
    for fit in fits:
        saved = k**growth.ALPHA / (1 + np.exp(-fit.predict(np.log(k)[:, None])))
        assert np.abs(saved - rate * k**growth.ALPHA).max() < 2.3e-4
    level = th.fit(growth.growth, share=False, seed=2)
    assert (level.status, level.risk["train"] < 1e-12) == (th.Status.REJECTED, True)
