"""The closed forms behind importance, against enumeration, SciPy and NumPy.

They are private: no public name shows a law, or a fit, by itself.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

# The law of a statistic is compared with all permutations, which no page shows.
from thetahat.analysis._additive import Additive
from thetahat.analysis._permuted import Law, in_strata, law_of, powers_of, strata_of

STRATA = {
    "one": [0] * 7,
    "complete": [0, 0, 0, 1, 1, 1],
    "of several sizes": [0, 0, 0, 1, 1, 2, 2, 2, 2, 3],
    "of two": [0, 0, 1, 1, 2, 2, 3, 3],
}


def between(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What bins explain of rows of numbers."""
    member = codes[:, None] == np.unique(codes)
    return ((rows @ member) ** 2 / member.sum(0)).sum(-1)


def centred(numbers: np.ndarray, strata: np.ndarray) -> np.ndarray:
    means = np.bincount(strata, numbers) / np.bincount(strata)
    return numbers - means[strata]


def law_within(strata: np.ndarray, codes: np.ndarray, x: np.ndarray) -> Law:
    found = strata_of(strata.tolist(), codes.tolist())
    parts, sums = in_strata(found, x.tolist(), range(1 + max(codes)))
    assert [sums.get(code, 0.0) for code in range(1 + max(codes))] == pytest.approx(
        np.bincount(codes, x), abs=1e-9
    )
    return law_of(parts, Counter(codes.tolist()))


@pytest.mark.parametrize("kind", STRATA)
@pytest.mark.parametrize("seed", range(3))
def test_mean_and_variance_are_those_of_all_permutations(kind: str, seed: int) -> None:
    rng, strata = np.random.default_rng(seed), np.array(STRATA[kind])
    x = centred(rng.exponential(size=len(strata)), strata)
    codes = np.arange(len(strata)) % 3 if kind == "complete" else rng.integers(0, 3, len(strata))
    each = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    orders = itertools.product(*(itertools.permutations(rows.tolist()) for rows in each))
    drawn = between(codes, np.array([x[list(itertools.chain(*order))] for order in orders]))
    sizes = Counter(codes.tolist())
    if kind == "one":
        law = law_of([(sizes, powers_of(x.tolist(), len(x)))], sizes)
    else:
        law = law_within(strata, codes, x)
    assert law.mean == pytest.approx(drawn.mean())
    assert law.variance == pytest.approx(drawn.var(), abs=1e-12)
    assert law.most == pytest.approx(x @ x) and drawn.max() <= law.most + 1e-9


@pytest.mark.parametrize("b", [0.3, 2.0, 30.0, 5000.0])
@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 5.5, 40.0])
def test_what_chance_reaches_is_the_quantile_of_a_beta_law(a: float, b: float) -> None:
    mean, variance = stats.beta.stats(a, b)
    law = Law(7 * float(mean), 49 * float(variance), 7.0)
    assert law.reached() == pytest.approx(7 * stats.beta.ppf(0.95, a, b), rel=1e-7)


def test_what_never_varies_is_reached_and_not_exceeded() -> None:
    numbers = [3.0, -1.0, -2.0]
    sizes = Counter([0, 1, 2])
    law = law_of([(sizes, powers_of(numbers, 3))], sizes)
    assert law.reached() == law.mean == pytest.approx(14)


@pytest.mark.parametrize("bins", [2, 3, 6, 12])
@pytest.mark.parametrize("n", [24, 60, 300])
@pytest.mark.parametrize("grid", [False, True])
def test_permutations_exceed_the_mark_in_one_case_of_twenty(n: int, bins: int, grid: bool) -> None:
    rng = np.random.default_rng(n + bins)
    scores = np.cumsum(1 / np.arange(n, 0, -1))
    strata = np.arange(n) // bins if grid else np.zeros(n, int)
    exceed = []
    for _ in range(10):
        codes = np.arange(n) % bins if grid else rng.integers(0, bins, n)
        x = centred(rng.permutation(scores), strata)
        rows = np.tile(x, (1000, 1)).reshape(1000, -1, bins if grid else n)
        drawn = between(codes, rng.permuted(rows, axis=2).reshape(1000, n))
        law = law_within(strata, codes, x)
        exceed.append(np.mean(drawn > law.reached()))
    assert 0.03 <= np.mean(exceed) <= 0.07


@dataclass(frozen=True)
class Factor:
    codes: list[int]
    bins: int
    places: list[float] | None = None


def basis(factor: Factor) -> np.ndarray:
    """A column a value, or a piecewise linear function of the rank."""
    if factor.places is None:
        return np.array(factor.codes)[:, None] == np.arange(factor.bins)
    places = np.array(factor.places)
    lacks = np.isnan(places)
    knots = np.linspace(0, 1, min(8, max(2, len(places) // 10)) + 1)[:-1]
    hinges = np.maximum(np.where(lacks, 0.5, places)[:, None] - knots, 0)
    return np.hstack([hinges, lacks[:, None]])


@pytest.mark.parametrize("n", [25, 200])
@pytest.mark.parametrize("alike", [False, True])
def test_what_is_left_of_scores_is_that_of_least_squares(n: int, alike: bool) -> None:
    rng = np.random.default_rng(n)
    few, places = rng.integers(0, 4, n).tolist(), (rng.permutation(n) + 0.5) / n
    some = np.where(rng.random(n) < 0.3, math.nan, rng.permutation(n) / n)
    factors = [Factor(few, 4), Factor([0] * n, 1, places.tolist())]
    factors.append(Factor(few, 4) if alike else Factor([0] * n, 1, some.tolist()))
    scores = rng.exponential(size=n)
    scores -= scores.mean()
    fits = Additive(factors, scores.tolist())
    for chosen in ([1], [0, 1], [0, 1, 2], [2, 0]):
        design = np.hstack([np.ones((n, 1)), *(basis(factors[k]) for k in chosen)])
        right = scores - design @ np.linalg.lstsq(design, scores)[0]
        assert fits.left(chosen) == pytest.approx(right, abs=1e-8)
    assert fits.left([]) == scores.tolist()


def test_importance_does_not_load_numpy() -> None:
    code = (
        "import sys; from thetahat.analysis import effects;"
        "x = [float(k % 7) for k in range(40)]; y = [float(k) for k in range(40)];"
        "assert effects({'x': x, 'y': y}, x, 1)[0].importance > 0;"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
