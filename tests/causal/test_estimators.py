"""Estimators of thetahat.sklearn in th.crossfit and th.dml: all folds train together."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import cross_val_predict

import thetahat as th
from thetahat.sklearn import NeuralClassifier, NeuralRegressor

SMALL = {"n_seeds": 2, "width": 8, "depth": 2, "epochs": 48, "preprocessing": "standard"}


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 2)) * (1, 50) + (0, 2000)
    y = 3 * np.sin(x[:, 0]) + (x[:, 1] - 2000) / 50 + 0.3 * rng.normal(size=240)
    d = (rng.random(240) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    return x, y, d


def test_they_predict_as_well_as_fold_by_fold_and_compile_once(sample):
    x, y, d = sample
    number, chance = NeuralRegressor(**SMALL), NeuralClassifier(**SMALL)
    found = th.crossfit({"y": number, "d": chance}, x, {"y": y, "d": d}, folds=3, repetitions=2)
    assert max(found[k].traces for k in "yd") <= 1
    folds = found["y"].samples[0]
    alone = cross_val_predict(number, x, y, cv=folds)
    assert found["y"].scores[0] == pytest.approx(r2_score(y, alone), abs=0.05)
    assert np.corrcoef(alone, found["y"].predictions[:, 0])[0, 1] > 0.97
    truth = 1 / (1 + np.exp(-2 * x[:, 0]))
    assert found["d"].score < log_loss(d, truth) + 0.08
    assert found["y"].learner == "NeuralRegressor"


def test_dml_takes_them_by_nuisance(sample):
    x, y, d = sample
    learners = {"l": NeuralRegressor(**SMALL), "m": NeuralClassifier(**SMALL)}
    found = th.dml(y + 2 * d, d, x, learner=learners, folds=3, repetitions=2, compare=())
    assert abs(found.theta - 2) < 4 * found.se
    assert found.nuisances["m"].binary


def test_a_classifier_of_a_number_is_refused(sample):
    x, y, _ = sample
    with pytest.raises(th.InputError, match="NeuralClassifier .* 0 or 1"):
        th.crossfit(NeuralClassifier(**SMALL), x, y, folds=2, repetitions=1)
