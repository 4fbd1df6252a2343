"""Names of columns hold for points in another container, for numbers as names and under masks."""

import warnings

import numpy as np
import pandas as pd
import pytest

import thetahat as th

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * DRAWS.normal(size=60)
FRAME = pd.DataFrame(X, columns=list("abc"))
MIXED = FRAME[["c", "a", "b"]]
POINTS = {
    "pair": (MIXED, Y),
    "list": [MIXED, Y],
    "mapping": {"x": MIXED, "y": Y},
    "observations": th.Observations(MIXED, Y),
}
DATA = {
    "pair": lambda: th.Data((FRAME, Y)),
    "observations": lambda: th.Data(th.Observations(FRAME, Y)),
    "split": lambda: th.split((FRAME, Y), train=1.0, val=0, test=0),
    "standardised": lambda: th.split((FRAME, Y), train=1.0, val=0, test=0, standardize=True),
}


@pytest.mark.parametrize("data", DATA)
def test_points_are_taken_by_name_in_any_container(data):
    checks = [th.accept.residual(points, quantile=0.5, below=100.0) for points in POINTS.values()]
    task = th.Task(
        th.models.Linear(3),
        DATA[data](),
        optimizer=th.optim.named("sgd", 0.3),
        epochs=60,
        dtype="float64",
        accept=checks,
    )
    values = th.fit(task).table("accept")["value"]
    assert np.ptp(values) <= 1e-9 * np.max(values)


def test_numbers_as_names_are_names_where_the_set_is_the_same():
    numbered = FRAME.set_axis([0, 1, 2], axis=1)
    task = th.Task(
        th.models.Linear(3),
        th.Data((numbered[[2, 0, 1]], Y)),
        optimizer=th.optim.named("sgd", 0.3),
        epochs=60,
    )
    result = th.fit(task)
    assert result.predict(numbered) == pytest.approx(result.predict(numbered[[2, 0, 1]]), rel=1e-6)
    assert np.abs(result.predict(numbered) - Y).mean() < 0.2


@pytest.mark.parametrize("standardize", [False, True])
def test_what_a_mask_hides_has_no_prediction(standardize):
    data = th.split((X, Y), standardize=standardize)
    result = th.fit(
        th.Task(th.models.Linear(3), data, optimizer=th.optim.named("sgd", 0.3), epochs=60)
    )
    masked = np.ma.masked_greater(X, 1.5)
    hidden = np.ma.getmaskarray(masked).any(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notice, where the data have a transform
        found = result.predict(masked)
    assert np.isnan(found[hidden]).all()
    assert found[~hidden] == pytest.approx(result.predict(X[~hidden]), rel=1e-6)
