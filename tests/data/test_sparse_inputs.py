"""Sparse matrices are refused by one message, wherever data are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.linear_model import LinearRegression

import thetahat as th

X = np.eye(12)[:, :3]
Y = np.arange(12.0)
SPARSE = {
    "csr_matrix": scipy.sparse.csr_matrix(X),
    "csc_matrix": scipy.sparse.csc_matrix(X),
    "coo_array": scipy.sparse.coo_array(X),
    "Tensor": torch.tensor(X).to_sparse(),
}
PLACES = {
    "Data": lambda x: th.Data((x, Y)),
    "val": lambda x: th.Data((X, Y), val=(x, Y)),
    "Observations": lambda x: th.Data(th.Observations(x, Y)),
    "a pair": lambda x: th.fit(th.Task(th.models.Linear(3), (x, Y), epochs=1)),
    "split": lambda x: th.split((x, Y)),
    "standardize": lambda x: th.split((x, Y), standardize=True),
    "folds": lambda x: th.folds((x, Y), k=3),
    "y": lambda x: th.Data((X, x)),
}


@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.parametrize("place", PLACES)
def test_sparse_data_are_refused(kind: str, place: str) -> None:
    with pytest.raises(
        th.InputError, match=rf"a {kind} of shape \(12, 3\) is sparse; give a dense"
    ):
        PLACES[place](SPARSE[kind])


@pytest.mark.parametrize("kind", list(SPARSE)[:3])
def test_sparse_inputs_of_a_prediction_and_of_crossfit_are_refused(kind: str) -> None:
    result: Any = th.fit(th.Task(th.models.Linear(3), th.Data((X, Y)), epochs=1))
    with pytest.raises(th.InputError, match="is sparse; give a dense array, .toarray()"):
        result.predict(SPARSE[kind])
    scaled = th.fit(th.Task(th.models.Linear(3), th.split((X, Y), standardize=True), epochs=1))
    with pytest.raises(th.InputError, match="is sparse"):
        scaled.predict(SPARSE[kind])
    with pytest.raises(th.InputError, match="is sparse"):
        th.crossfit(LinearRegression(), SPARSE[kind], Y, folds=2, repetitions=1)


def test_frames_of_sparse_columns_are_dense_numbers() -> None:
    frame = pd.DataFrame.sparse.from_spmatrix(SPARSE["csr_matrix"], columns=["a", "b", "c"])
    np.testing.assert_array_equal(th.Data((frame, Y)).train[0], X)
