"""th.crossfit: rows are predicted by fits without them, by estimators and by nets."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

import thetahat as th

LOGIT = LogisticRegression(solver="newton-cholesky")


def sample(n: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * (1.0, 10.0, 0.1) + (0.0, 2000.0, 5.0)
    y = x[:, 0] + 0.1 * (x[:, 1] - 2000) + 0.1 * rng.normal(size=n)
    d = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    return x, y, d


def line(data: th.Data, loss: str = "squared") -> th.Task:
    """A linear model by Newton's method: least squares, or a logit, to rounding."""
    d = data.train.x.shape[1]
    return th.Task(th.models.Linear(d), data, loss=loss, optimizer="newton", epochs=8)


def fold_of(samples: list, n: int) -> np.ndarray:
    fold = np.zeros(n, int)
    for k, (_, test) in enumerate(samples):
        fold[test] = k
    return fold


def test_an_estimator_predicts_as_cross_val_predict_with_the_same_folds():
    x, y, d = sample()
    found = th.crossfit(Ridge(0.1), x, y, folds=4, repetitions=2, seed=3)
    for r in range(2):
        cv = PredefinedSplit(fold_of(found.samples[r], len(y)))
        assert np.allclose(found.predictions[:, r], cross_val_predict(Ridge(0.1), x, y, cv=cv))
        assert found.scores[r] == pytest.approx(r2_score(y, found.predictions[:, r]))
    logit = th.crossfit(LOGIT, x, d, folds=4, repetitions=1)
    cv = PredefinedSplit(fold_of(logit.samples[0], len(y)))
    theirs = cross_val_predict(LOGIT, x, d, cv=cv, method="predict_proba")[:, 1]
    assert np.allclose(logit.predictions[:, 0], theirs)
    assert logit.score == pytest.approx(log_loss(d, theirs))


def test_folds_are_those_of_folds_and_differ_between_repetitions():
    x, y, _ = sample()
    found = th.crossfit(DummyRegressor(), x, y, folds=3, repetitions=2, seed=5)
    for r in range(2):
        for (train, test), data in zip(
            found.samples[r], th.folds((x, y), k=3, seed=5 + r), strict=True
        ):
            assert np.array_equal(train, data.rows["train"]) and np.array_equal(
                test, data.rows["test"]
            )
    again = th.crossfit(DummyRegressor(), x, y, folds=found.samples)
    assert np.array_equal(again.predictions, found.predictions)


def test_an_experiment_equals_least_squares_of_every_fold_in_one_program():
    x, y, d = sample()  # 90 rows: 7 folds differ by one row
    found = th.crossfit(line, x, {"y": y, "d": d}, folds=7, repetitions=2, val=0)
    assert {len(train) for train, _ in found["y"].samples[0]} == {77, 78}
    assert found["y"].traces <= 1 and found["d"].traces <= 1
    for r, pairs in enumerate(found["y"].samples):
        for train, test in pairs:
            theirs = LinearRegression().fit(x[train], y[train]).predict(x[test])
            assert np.allclose(found["y"].predictions[test, r], theirs, atol=2e-3)
            logit = LogisticRegression(C=1e8, solver="newton-cholesky").fit(
                (x[train] - x[train].mean(0)) / x[train].std(0), d[train]
            )
            chance = logit.predict_proba((x[test] - x[train].mean(0)) / x[train].std(0))[:, 1]
            assert np.allclose(found["d"].predictions[test, r], chance, atol=2e-3)


def test_a_row_of_weight_two_counts_as_two_rows():
    x, y, _ = sample(60)
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 3, 60).astype(float)
    samples = th.crossfit(DummyRegressor(), x, y, folds=3, repetitions=1).samples
    for learner in (line, LinearRegression()):
        found = th.crossfit(learner, x, y, folds=samples, weights=weights, val=0)
        for train, test in samples[0]:
            twice = np.repeat(train, weights[train].astype(int))
            theirs = LinearRegression().fit(x[twice], y[twice]).predict(x[test])
            assert np.allclose(found.predictions[test, 0], theirs, atol=2e-3)
        assert found.score == pytest.approx(
            r2_score(y, found.predictions[:, 0], sample_weight=weights)
        )


@pytest.mark.parametrize("learner", [LOGIT, line])
def test_a_row_of_weight_zero_is_as_if_it_were_not_there(learner):
    x, _, d = sample(72)
    rng = np.random.default_rng(1)
    weights, groups = rng.uniform(1, 2, 72), np.repeat(np.arange(36), 2)
    gone = np.array([3, 4, 40, 71])
    weights[gone], d[gone], there = 0, 5, np.delete(np.arange(72), gone)
    how = {"folds": 3, "repetitions": 2, "val": 0}
    found = th.crossfit(learner, x, d, weights=weights, groups=groups, **how)
    alone = th.crossfit(
        learner, x[there], d[there], weights=weights[there], groups=groups[there], **how
    )
    assert found.binary and np.isnan(found.predictions[gone]).all()
    np.testing.assert_array_equal(found.predictions[there], alone.predictions)
    np.testing.assert_array_equal(found.scores, alone.scores)
    np.testing.assert_array_equal(found.overlap.counts, alone.overlap.counts)
    for (train, test), (some, others) in zip(found.samples[1], alone.samples[1], strict=True):
        assert np.array_equal(train, there[some]) and np.array_equal(test, there[others])
    again = th.crossfit(learner, x, d, weights=weights, **(how | {"folds": found.samples}))
    np.testing.assert_array_equal(again.predictions, found.predictions)
    with pytest.raises(th.InputError, match=r"groups has shape \(9,\); give one value per row"):
        th.crossfit(learner, x, d, weights=weights, groups=np.arange(9), **how)


def test_nets_of_a_fold_are_averaged_and_hold_out_other_rows():
    x, y, _ = sample()
    seen = []

    def heard(data: th.Data, seed: int = 0) -> th.Task:
        seen.append((len(data.train.x), len(data.val.x)))
        return line(data)

    found = th.crossfit(heard, x, y, folds=4, repetitions=1, nets=2, val=0.25)
    assert set(seen) == {(51, 17)}  # of 67 or 68 rows
    alone = th.crossfit(heard, x, y, folds=4, repetitions=1, nets=1, val=0.25)
    assert not np.array_equal(found.predictions, alone.predictions)
    assert np.allclose(found.predictions, alone.predictions, atol=0.5)
    assert found.learner == "2 x heard"


def test_seeds_of_nets_differ_between_folds_and_repeat_between_calls():
    x, y, _ = sample(60)
    net = functools.partial(th.causal.net, width=4, epochs=2, batch_size=64)
    first, again, other = (
        th.crossfit(net, x, y, folds=2, repetitions=2, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.predictions, again.predictions)
    assert not np.array_equal(first.predictions, other.predictions)
    assert again.traces == 0


def test_groups_stay_whole_in_folds_and_in_what_chooses_the_epoch():
    x, y, _ = sample()
    groups = np.repeat(np.arange(18), 5)
    seen = th.crossfit(DummyRegressor(), x, y, folds=3, repetitions=2, groups=groups)
    for pairs in seen.samples:
        for train, test in pairs:
            assert not set(groups[train]) & set(groups[test])
    found = th.crossfit(line, x, y, folds=3, repetitions=1, groups=groups, nets=2)
    assert np.isfinite(found.predictions).all() and found.score > 0.9


def test_overlap_counts_rows_near_zero_and_one():
    x, _, d = sample()
    found = th.crossfit(DummyClassifier(), x, d, folds=3, repetitions=2).overlap
    assert found.counts.sum() == pytest.approx(90) and found.outside[0.1] == 0
    sure = th.crossfit(
        LogisticRegression(C=1e6, solver="newton-cholesky"),
        x,
        (x[:, 0] > 0).astype(float),
        folds=3,
        repetitions=1,
    )
    assert sure.overlap.outside[0.1] > 0.5
    with pytest.raises(th.InputError, match="overlap is of predicted probabilities"):
        _ = th.crossfit(DummyRegressor(), x, x[:, 0], folds=2, repetitions=1).overlap


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learner": DummyRegressor}, "the learner is the class DummyRegressor; give an object"),
        ({"learner": 3}, "the learner is 3"),
        ({"X": np.array([["a"], ["b"]])}, "X holds values that are no numbers such as 'a'; encode"),
        ({"X": np.array([[1.0], [np.nan], [2.0]])}, "missing or infinite, the first in row 1"),
        ({"y": np.ones(3)}, r"y has shape \(3,\); give one number per row, \(90,\)"),
        ({"folds": 1}, "folds"),
        ({"repetitions": 0}, "repetitions"),
        ({"folds": [[(np.arange(90), np.arange(90))]]}, "trains on a test row"),
        ({"folds": [[(np.arange(45), np.arange(45, 90))]]}, "must be in one test part"),
        ({"weights": -np.ones(90)}, "weights must be at least 0"),
        ({"val": 1.0}, "val=1.0; give a share"),
        ({"nets": 0}, "nets"),
        ({"learner": {"q": DummyRegressor()}}, "the learners are those of q"),
        ({"learner": lambda data: 3}, "returned 3; return a th.Task"),
        ({"fold": 3}, "no argument 'fold'; did you mean 'folds'"),
    ],
)
def test_bad_input_gets_one_message(change, message):
    x, y, _ = sample()
    given = {"learner": DummyRegressor(), "X": x, "y": y, "folds": 2, "repetitions": 1, **change}
    with pytest.raises(th.InputError, match=message):
        th.crossfit(**given)


def test_a_fit_that_diverges_is_named():
    x, y, _ = sample()

    def wild(data: th.Data) -> th.Task:
        return th.Task(th.models.Linear(3), data, optimizer=th.optim.named("sgd", 1e30), epochs=5)

    with pytest.raises(th.ThetahatError, match="nuisance 'y': no net of a fold of repetition 0"):
        th.crossfit(wild, x, y, folds=2, repetitions=1)


def test_a_constant_target_in_a_fold_is_refused_for_nets():
    x, _, _ = sample(12)
    rare = np.zeros(12)
    rare[0] = 1
    with pytest.raises(th.InputError, match="constant in the training rows"):
        th.crossfit(line, x, rare, folds=3, repetitions=1)
