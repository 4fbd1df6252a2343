"""Every snippet of the pages whose fits train for long runs, and prints what the page says."""

from __future__ import annotations

import pytest
from pages import PAGES, TRAIN_LONG, run_page

STANDARD_PROGRAMS = True

LONG = [page for page in PAGES if page.stem in TRAIN_LONG]


@pytest.mark.parametrize("page", LONG, ids=lambda page: page.stem)
def test_every_snippet_of_a_page_runs(page, desk):
    assert not run_page(page)


def test_every_page_that_is_named_is_there():
    assert {page.stem for page in LONG} == set(TRAIN_LONG)
