"""The page shows each metric in its own direction: accuracies high, risks low."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stores
from chromium import serving

from thetahat.store import NewSweep, create_sweep, open_store

ACCURACIES = (0.7, 0.9, 0.8)
DETAIL = {
    "best_by": "val_accuracy",
    "best_epoch": 2,
    "directions": {"val_risk": "min", "val_accuracy": "max"},
}


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A sweep by val_risk of three runs that have an accuracy, too."""
    text = "method: grid\nmetric: {name: val_risk}\nparameters: {lr: {values: [1, 2, 3]}}\n"
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(text, "judged"))
        for k, accuracy in enumerate(ACCURACIES):
            risks = [0.5, 0.1 + 0.1 * k]
            curve = {"epoch": [1, 2], "val_risk": risks, "val_accuracy": [0.5, accuracy]}
            metrics = {"val_risk": risks[-1], "val_accuracy": accuracy}
            stores.add_run(store, sweep, {"lr": k + 1}, curve, metrics=metrics, detail=DETAIL)
    return tmp_path


@pytest.fixture
def page_of(judged: Path) -> Iterator[str]:
    with serving(judged) as url:
        yield url


def ids_of(judged: Path) -> list[str]:
    with open_store(judged, create=False) as store:
        return [run.id for run in store.runs()]


def test_the_page_is_told_the_directions(judged, client_of) -> None:
    with open_store(judged, create=False) as store:
        sweep = store.runs()[0].sweep_id
    told = client_of(judged).get(f"/api/sweeps/{sweep}").json()["sweep"]["directions"]
    assert (told["val_risk"], told["val_accuracy"]) == ("min", "max")


def test_another_metric_is_shown_in_its_own_direction(judged, page_of, look) -> None:
    with open_store(judged, create=False) as store:
        sweep = store.runs()[0].sweep_id
    page = look(page_of).open(f"/sweep/{sweep}?metric=val_accuracy")
    assert page.input_value("select[aria-label='which is better']") == "maximize"
    cells = ".tabulator-row .tabulator-cell[tabulator-field='m.val_accuracy']"
    shown = [float(text.split()[0]) for text in page.locator(cells).all_inner_texts()]
    assert shown == sorted(ACCURACIES, reverse=True)
    page = look(page_of).open(f"/sweep/{sweep}")
    assert page.input_value("select[aria-label='which is better']") == "minimize"


def test_compared_runs_are_judged_by_the_sweep_and_a_run_says_what_chose_it(
    judged, page_of, look
) -> None:
    ids = ids_of(judged)
    page = look(page_of).open(f"/compare?runs={','.join(ids)}")
    page.wait_for_selector("td.num b")
    assert {float(text) for text in page.locator("td.num b").all_inner_texts()} == {0.1}
    page = look(page_of).open(f"/run/{ids[1]}")
    tile = page.locator(".tile", has_text="best val_accuracy").inner_text()
    assert "0.9" in tile and "at epoch 2" in tile
    assert page.locator(".tile", has_text="best val_risk").count() == 0
