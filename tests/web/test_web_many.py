"""Sweeps of thousands of runs, and what charts say of runs that failed, in headless Chromium."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import count, eventually, serving, settle, until
from stores import add_run

from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, open_store

pytestmark = pytest.mark.browser

RUNS = 2500
PARALLEL = "section[aria-label='Parallel coordinates'] .chart"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page of a store of 2,500 runs, and the sweep's path."""
    where = tmp_path_factory.mktemp("large")
    with open_store(where) as store:
        sweep = stores.large_sweep(store, RUNS)
    with serving(where) as url:
        yield url, f"/sweep/{sweep.id}"


def test_every_line_is_drawn_and_the_table_waits_until_it_comes_near(look, large) -> None:
    url, path = large
    tab = look(url)
    page = tab.open(path)
    until(page, f"document.querySelector(\"{PARALLEL}\").dataset.lines === '{RUNS}'")
    assert count(page) == RUNS
    assert page.locator(".tabulator-row").count() == 0
    tall = page.locator("section[aria-label=Runs]").bounding_box()["height"]
    page.locator("section[aria-label=Runs]").scroll_into_view_if_needed()
    page.wait_for_selector(".tabulator-row")
    assert page.locator(".tabulator-row").count() < 80, "rows out of sight are no elements"
    assert abs(page.locator("section[aria-label=Runs]").bounding_box()["height"] - tall) < 30
    page.get_by_label("Filter runs").fill("width=64")
    until(page, f"Number(document.querySelector('main').dataset.rows) < {RUNS / 2}")
    kept = count(page)
    until(page, f"document.querySelector(\"{PARALLEL}\").dataset.lines === '{kept}'")
    for panel in ("Slice", "Contour"):
        page.locator(f"section[aria-label={panel}]").scroll_into_view_if_needed()
        settle(page)
    eventually(page, lambda: tab.blank() == [])
    tab.shot("sweep-large")


def test_a_table_that_was_never_seen_is_exported_whole(look, large, tmp_path: Path) -> None:
    url, path = large
    page = look(url).open(path)
    settle(page)
    with page.expect_download() as caught:
        # Not through the mouse, which would scroll there first.
        page.evaluate(
            "[...document.querySelectorAll('button')].find((b) => b.textContent === 'CSV').click()"
        )
    caught.value.save_as(tmp_path / "all.csv")
    with open(tmp_path / "all.csv", encoding="utf-8", newline="") as file:
        risks = [float(row["val_risk"]) for row in csv.DictReader(file)]
    assert len(risks) == RUNS
    assert risks == sorted(risks)


def test_another_metric_or_group_before_the_table_was_seen(look, large) -> None:
    url, path = large
    page = look(url).open(path)
    page.evaluate(
        "(() => { const box = document.querySelector('select[aria-label=\"which is better\"]');"
        " box.value = 'maximize'; box.dispatchEvent(new Event('change')); })()"
    )
    settle(page)
    page.locator("section[aria-label=Runs]").scroll_into_view_if_needed()
    page.wait_for_selector(".tabulator-row")
    page.select_option("select[aria-label='group by']", "optimizer")
    page.wait_for_selector(".tabulator-group")
    assert page.locator(".chart").count() == 4


def test_a_line_tells_of_its_run_and_opens_it(look, large) -> None:
    url, path = large
    page = look(url).open(path)
    page.locator(PARALLEL).scroll_into_view_if_needed()
    until(page, f"document.querySelector(\"{PARALLEL}\").dataset.lines === '{RUNS}'")
    box = page.locator(PARALLEL).bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.57, box["y"] + box["height"] * 0.5)
    page.wait_for_selector(".floating:visible dl")
    name = page.inner_text(".floating b")
    assert "val_risk" in page.inner_text(".floating")
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.wait_for_selector(".floating", state="hidden")
    page.mouse.move(box["x"] + box["width"] * 0.57, box["y"] + box["height"] * 0.5)
    page.mouse.click(box["x"] + box["width"] * 0.57, box["y"] + box["height"] * 0.5)
    page.wait_for_url("**/run/*")
    page.wait_for_selector(f"h1:text-is('{name}')")


def test_runs_that_broke_stand_in_the_chart_and_their_reasons_together(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "breaks"))
        for k in range(20):
            add_run(store, sweep, {"lr": 0.01 * k}, {}, metrics={"val_risk": 1.0 + k})
        with serving(tmp_path) as url:
            page = look(url).open(f"/sweep/{sweep.id}")
            page.wait_for_selector(".chart canvas")  # it is loaded and drawn after the page
            red = """() => { const c = document.querySelector('canvas').getContext('2d');
              const { data } = c.getImageData(0, 0, c.canvas.width, 40); let n = 0;
              for (let i = 0; i < data.length; i += 4) n += data[i] > 150 && data[i + 2] < 40 && data[i + 3] > 200;
              return n; }"""
            assert page.evaluate(red) == 0
            for k in range(5):
                why = f"train_risk = {10.0**k} in epoch {k + 1}"
                gone = {"val_risk": math.nan}
                add_run(
                    store, sweep, {"lr": 1.0 + k}, {}, Status.DIVERGED, reason=why, metrics=gone
                )
            page.wait_for_selector("text=5 runs diverged, such as:")
            until(page, f"({red})() > 60")
            page = look(url).open("/")
            assert page.locator("section[aria-label^='What failed'] tbody tr").count() == 1


def test_a_rate_that_never_changes_is_no_curve(look, tmp_path) -> None:
    steps = list(range(1, 9))
    falls = [1 / k for k in steps]
    with open_store(tmp_path) as store:
        ids = []
        for rate in (0.1, 0.2):
            run = store.create_run({"lr": rate}).id
            columns = {"epoch": steps, "val_risk": falls, "learning_rate": [rate] * 8}
            store.log_block(run, columns)
            store.finish_run(run, status="finished", metrics={"val_risk": 0.125})
            ids.append(run)
        lost = store.create_run({"lr": 9.0}).id
        store.log_block(lost, {"epoch": [1], "val_risk": [math.nan], "seconds": [0.5]})
        store.finish_run(lost, status="diverged", reason="val_risk = nan")
    with serving(tmp_path) as url:
        page = look(url).open(f"/run/{ids[0]}")
        assert page.locator(".chart").count() == 1
        assert "Constant: learning_rate 0.1." in page.inner_text("main")
        page = look(url).open(f"/compare?runs={','.join(ids)}")
        assert page.locator(".chart").count() == 1
        page = look(url).open(f"/run/{lost}")
        assert "No finite number was logged of val_risk." in page.inner_text("main")


def test_what_chance_reaches_is_never_said_to_be_more_than_all(look, served, paths) -> None:
    effect = {"n": 20, "correlation": 0.1, "low": -0.3, "high": 0.5}
    effects = [
        {"name": "lr", "importance": 0.6, "floor": 1.7, **effect},
        {"name": "width", "importance": 0.4, "floor": 0.2, **effect},
    ]
    answer = {"n": 20, "rest_on": 20, "settings": 20, "left_out": {}, "effects": effects}
    tab = look(served)
    tab.page.route("**/importance?*", lambda route: route.fulfill(json=answer))
    page = tab.open(paths["sweep"])
    rows = page.locator("section[aria-label='What matters'] tbody tr")
    rows.nth(1).wait_for()
    titles = [row.locator(".meter").first.get_attribute("title") for row in rows.all()]
    assert titles == [
        "share 0.6; by chance any: more than all together",
        "share 0.4; by chance up to 0.2",
    ]
    assert "weak" in (rows.nth(0).get_attribute("class") or "")
    assert "weak" not in (rows.nth(1).get_attribute("class") or "")


@pytest.mark.parametrize(
    ("settings", "share", "says"),
    [
        (20, 0.0, "No parameter clears its chance mark."),
        (20, None, "The metric is the same everywhere: nothing can be said of importance."),
        (9, None, "Fewer than 10 settings: nothing can be said of importance."),
    ],
)
def test_the_page_says_why_importance_says_nothing(
    look, served, paths, settings: int, share: float | None, says: str
) -> None:
    effect = {"name": "lr", "n": settings, "settings": settings, "importance": share}
    effect |= {"floor": None, "correlation": 0.1, "low": None, "high": None}
    answer = {"n": 200, "rest_on": 200, "settings": settings, "left_out": {}, "effects": [effect]}
    tab = look(served)
    tab.page.route("**/importance?*", lambda route: route.fulfill(json=answer))
    panel = tab.open(paths["sweep"]).locator("section[aria-label='What matters']")
    panel.get_by_text(f"{settings} settings of 200 runs. ").wait_for()
    assert says in panel.inner_text()
    assert "interval" not in (panel.locator(".signed").get_attribute("title") or "")
