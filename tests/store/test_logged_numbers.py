"""What ``th.log`` takes for a number, and what it refuses: nothing else becomes a number in silence."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import thetahat as th
from thetahat.store import Store, open_store, read_table


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("runs")) as opened:
        yield opened


NUMBERS = {
    "float": (0.5, 0.5),
    "bool": (True, 1.0),
    "Decimal": (Decimal("0.25"), 0.25),
    "Fraction": (Fraction(1, 4), 0.25),
    "NumPy": (np.float32(0.5), 0.5),
    "long double": (np.longdouble(0.5), 0.5),
    "one number": (np.array([[3]]), 3.0),
    "JAX": (jnp.asarray(2.0), 2.0),
    "bfloat16": (jnp.asarray(2.0, jnp.bfloat16), 2.0),
    "PyTorch": (torch.tensor(1.5, requires_grad=True), 1.5),
    "a Series of one": (pd.Series([4.0]), 4.0),
    "masked nowhere": (np.ma.array([2.0], mask=[False]), 2.0),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_any_library_are_logged(store: Store, kind: str) -> None:
    given, number = NUMBERS[kind]
    with th.start({}, store=store) as run:
        run.log({"loss": given})
    assert store.run(run.id).metrics == {"loss": number}


OTHERS = {
    "masked": np.ma.masked,
    "a masked element": np.ma.array([1.0, 2.0], mask=[False, True])[1],
    "one masked": np.ma.array([7.0], mask=[True]),
    "pd.NA": pd.NA,
    "NaT": pd.NaT,
    "a time": np.timedelta64(5, "ns"),
    "a date": np.datetime64("2020-01-01", "ns"),
    "a timedelta": datetime.timedelta(seconds=1),
    "complex": 1 + 2j,
    "a complex array": np.array(1 + 2j),
    "text": "0.5",
    "NumPy's text": np.str_("0.5"),
    "bytes": b"1",
    "None": None,
    "a list": [0.5],
    "a large integer": 10**400,
    "no numbers": np.array([]),
    "sparse": scipy.sparse.csr_matrix([[2.0]]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_a_number_is_refused(store: Store, kind: str) -> None:
    with th.start({}, store=store) as run, pytest.raises(th.InputError, match="run.log: '?loss"):
        run.log({"loss": OTHERS[kind]})
    assert store.run(run.id).metrics == {}


def test_masked_cells_of_a_table_are_missing(store: Store) -> None:
    with th.start({}, store=store) as run:
        cells = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
        words = np.ma.array(["a", "b", "c"], mask=[True, False, False])
        run.log_table("path", {"k": cells, "who": words})
    found = read_table(store, run.id, "path")
    np.testing.assert_array_equal(found["k"], [1.0, np.nan, 3.0])
    assert list(found["who"]) == [None, "b", "c"]
