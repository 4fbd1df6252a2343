"""A search that follows its results, or an order: no interval anywhere, and a sentence says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import serving

import thetahat as th
from thetahat.analysis import read_study
from thetahat.report import make_report, render
from thetahat.store import open_store

FOLLOWS = "The search chose its points by earlier results"
IN_ORDER = "Hyperband compared the first points of this grid with fewer runs than the last"
SWEEPS: dict[str, tuple[dict[str, Any], str]] = {
    "bayes": ({"method": "bayes"}, FOLLOWS),
    "bayes, cmaes": ({"method": "bayes", "sampler": "cmaes"}, FOLLOWS),
    "bayes, hyperband": ({"method": "bayes", "stops": True}, FOLLOWS),
    "grid, hyperband": ({"method": "grid", "stops": True}, IN_ORDER),
    "random": ({"method": "random"}, ""),
    "random, hyperband": ({"method": "random", "stops": True}, ""),
    "grid": ({"method": "grid"}, ""),
    "shuffled grid, hyperband": ({"method": "grid", "stops": True, "shuffle": True}, ""),
    "bayes, qmc": ({"method": "bayes", "sampler": "qmc"}, ""),
}


@pytest.mark.parametrize("kind", SWEEPS)
def test_page_report_and_figure_give_an_interval_or_say_why_not(
    kind: str, tmp_path: Path, client_of: Callable[..., Any]
) -> None:
    how, why = SWEEPS[kind]
    with open_store(tmp_path) as store:
        sweep = stores.searched(store, **how)
        study, document = read_study(store, sweep), make_report(store, sweep.id)
        axes = th.open_sweep(sweep.id, store).plot.importance().axes[0]
    answer = client_of(tmp_path).get(f"/api/sweeps/{sweep.id}/importance?metric=val_risk").json()
    assert answer["effects"] == [asdict(effect) for effect in study.effects]
    assert all(effect["correlation"] is not None for effect in answer["effects"])
    assert all((effect["low"] is None) == bool(why) for effect in answer["effects"])
    assert answer["caution"].startswith(why) and bool(answer["caution"]) == bool(why)
    [grid] = [grid for grid in document.grids if grid.title == "Parameters"]
    assert all(("[" in str(row["correlation"])) == (not why) for row in grid.rows)
    for format in ("md", "html"):
        text = render(document, format).replace("\\", "")
        assert ("correlation [95 %]" in text) == (not why)
        for sentence in (FOLLOWS, IN_ORDER):
            assert (sentence in text) == (sentence == why)
    [*_, labels] = axes.get_legend_handles_labels()
    assert ("not drawn at random" in labels[0]) == bool(why)


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["bayes", "random"])
def test_the_panel_shows_the_interval_or_says_why_not(
    kind: str, tmp_path: Path, look: Callable[..., Any]
) -> None:
    how, why = SWEEPS[kind]
    with open_store(tmp_path) as store:
        sweep = stores.searched(store, **how)
    with serving(tmp_path) as url:
        panel = look(url).open(f"/sweep/{sweep.id}").locator("section[aria-label='What matters']")
        signed = panel.locator(".signed").first
        assert ("interval" in signed.get_attribute("title")) == (not why)
        assert (FOLLOWS in panel.inner_text()) == bool(why)
        assert ("lines are 95 % intervals" in panel.inner_text()) == (not why)
