"""Every view and every control, in headless Chromium."""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import ARGS, Watched, chromium, serving
from stores import HOSTILE, add_run

from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, find_sweep, open_store

pytestmark = pytest.mark.browser

VIEWS = ("home", "sweep", "seeds", "tested", "run", "diverged", "compare", "bands")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    where = chromium()
    if where is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium; as root on Debian: apt-get install -y chromium")
    assert where is not None, "CI needs Chromium: apt-get install -y chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        made = started.chromium.launch(executable_path=where, args=ARGS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def served(used: Path) -> Iterator[str]:
    """The page of the used store."""
    with serving(used) as url:
        yield url


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Watched]]:
    """A new tab; at the end nothing must have gone wrong in it."""
    opened: list[Any] = []
    watched: list[Watched] = []

    def make(url: str, *, theme: str = "light", width: int = 1280) -> Watched:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=theme, accept_downloads=True)
        opened.append(context)
        watched.append(Watched(context.new_page(), url))
        return watched[-1]

    yield make
    for context in opened:
        context.close()
    assert [line for one in watched for line in one.wrong] == []


@pytest.fixture(scope="module")
def paths(used: Path) -> dict[str, str]:
    """An address for each view."""
    with open_store(used, create=False) as store:
        wages = find_sweep(store, "wages, two layers")
        seeds = find_sweep(store, "twenty seeds a width")
        tested = find_sweep(store, "tuned on the test set")
        finished = [r.id for r in store.runs(sweep_id=wages.id, status="finished", limit=5)]
        diverged = store.runs(sweep_id=wages.id, status="diverged", limit=1)[0].id
        many = ",".join(run.id for run in store.runs(sweep_id=seeds.id))
    return {
        "home": "/",
        "sweep": f"/sweep/{wages.id}",
        "seeds": f"/sweep/{seeds.id}?over=seed",
        "tested": f"/sweep/{tested.id}",
        "run": f"/run/{finished[0]}",
        "diverged": f"/run/{diverged}",
        "compare": f"/compare?runs={','.join(finished)}",
        "bands": f"/compare?runs={many}&bands=1",
    }


def count(page: Any) -> int:
    """Rows that the table of a sweep holds."""
    return int(page.locator("main").get_attribute("data-rows"))


def until(page: Any, test: str) -> None:
    """Wait until an expression in the page holds."""
    # Not wait_for_function: it evaluates text, which the page's policy forbids.
    for _ in range(100):
        if page.evaluate(test):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {test}")


# -- how it looks --------------------------------------------------------------------------------


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view(look, served, paths, view, theme, width) -> None:
    tab = look(served, theme=theme, width=width)
    page = tab.open(paths[view])
    # Charts out of sight are drawn when there is time.
    page.wait_for_timeout(1500)
    tab.shot(f"{view}-{theme}-{width}")
    assert tab.wide() <= 0
    assert tab.blank() == []
    assert tab.axe() == []
    assert page.locator("#banner").is_hidden()
    assert page.locator("h1").count() == 1


def test_the_theme_is_chosen_and_kept(look, served) -> None:
    page = look(served, theme="dark").open("/")
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "dark"
    page.click("#theme")
    assert page.evaluate(theme) == "light"
    page.reload()
    assert page.evaluate(theme) == "light"
    page.click("#theme")
    page.click("#theme")
    assert page.locator("#theme").inner_text() == "◑ auto"


def test_the_keyboard_is_enough(look, served, paths) -> None:
    page = look(served).open(paths["sweep"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.focus("text=log >> nth=0")
    page.locator("button", has_text=re.compile("^log$")).focus()
    page.keyboard.press("Enter")
    assert "log=0" in page.url
    page.locator("summary", has_text="Columns").focus()
    page.keyboard.press("Enter")
    assert page.get_by_label("Find a column").is_visible()


# -- home ----------------------------------------------------------------------------------------


def test_home_finds_and_the_address_keeps_it(look, served) -> None:
    tab = look(served)
    page = tab.open("/")
    assert page.locator("section[aria-label=Sweeps] tbody tr").count() == 3
    page.get_by_label("Find a sweep or a run").fill("twenty")
    assert page.locator("section[aria-label=Sweeps] tbody tr").count() == 1
    assert page.url.endswith("?find=twenty")
    page.reload()
    page.wait_for_selector("text=twenty seeds a width")
    assert page.locator("section[aria-label=Sweeps] tbody tr").count() == 1
    tab.open("/")
    page.click("button[data-project=lectures]")
    assert page.locator("section[aria-label=Sweeps] tbody tr").count() == 1
    assert page.locator("section[aria-label=Sweeps] .flag.bad").inner_text() == "contaminated"
    assert "no column 'tenure'" in tab.open("/").inner_text("section[aria-label^='What failed']")


# -- a sweep -------------------------------------------------------------------------------------


def test_words_filter_the_table_and_the_address_keeps_them(look, served, paths) -> None:
    page = look(served).open(paths["sweep"])
    assert count(page) == 220
    box = page.get_by_label("Filter runs")
    box.fill("optimizer=adam lr>=0.01 status=finished")
    until(page, "Number(document.querySelector('main').dataset.rows) < 60")
    kept = count(page)
    assert f"{kept} of 220 runs" in page.inner_text("section[aria-label=Runs]")
    assert set(
        page.locator(".tabulator-cell[tabulator-field='c.optimizer']").all_inner_texts()
    ) == {"adam"}
    page.reload()
    until(page, f"document.querySelector('main').dataset.rows === '{kept}'")
    box.fill("nothing>3")
    page.wait_for_selector("text=no run has a column “nothing”")
    box.fill("zzz")
    until(page, "document.querySelector('main').dataset.rows === '0'")
    assert page.is_visible("text=No run passes the filter.")


def drag_along(page: Any, axis: int, axes: int, top: float, bottom: float) -> None:
    """Draw a brush on an axis of the parallel coordinates, in parts of its height."""
    box = page.locator("section[aria-label='Parallel coordinates'] .chart").bounding_box()
    left, right, up, down = 46, 64, 34, 16
    x = box["x"] + left + (box["width"] - left - right) * axis / (axes - 1)
    tall = box["height"] - up - down
    page.mouse.move(x, box["y"] + up + tall * top)
    page.mouse.down()
    page.mouse.move(x, box["y"] + up + tall * (top + bottom) / 2, steps=4)
    page.mouse.move(x, box["y"] + up + tall * bottom, steps=4)
    page.mouse.up()


def test_brushing_filters_the_table(look, served, paths) -> None:
    tab = look(served)
    page = tab.open(paths["sweep"])
    page.locator("section[aria-label='Parallel coordinates']").scroll_into_view_if_needed()
    drag_along(page, 0, 7, 0.05, 0.35)
    until(page, "Number(document.querySelector('main').dataset.rows) < 200")
    kept = count(page)
    assert 20 < kept < 120
    assert "brush=c.lr:" in page.url
    rates = page.locator(".tabulator-cell[tabulator-field='c.lr']").all_inner_texts()
    assert min(float(rate) for rate in rates) > 0.005
    page.wait_for_timeout(300)
    tab.shot("sweep-brushed")
    page.reload()
    until(page, f"document.querySelector('main').dataset.rows === '{kept}'")
    drag_along(page, 1, 7, 0.0, 0.3)
    until(page, f"Number(document.querySelector('main').dataset.rows) < {kept}")
    assert page.locator(".chip").count() == 2
    assert page.locator(".chip").nth(1).inner_text().startswith("width = ")
    page.locator(".chip").first.click()
    until(page, f"Number(document.querySelector('main').dataset.rows) !== {kept}")
    page.click("text=Clear")
    until(page, "document.querySelector('main').dataset.rows === '220'")
    assert "brush" not in page.url


def first_cells(page: Any, field: str) -> list[str]:
    return page.locator(
        f".tabulator-row .tabulator-cell[tabulator-field='{field}']"
    ).all_inner_texts()


def test_sorting_grouping_and_columns(look, served, paths) -> None:
    tab = look(served)
    page = tab.open(paths["sweep"])
    best = [float(v) for v in first_cells(page, "m.val_risk")]
    assert best == sorted(best)
    page.click(".tabulator-col[tabulator-field='c.lr'] .tabulator-col-title")
    page.wait_for_timeout(200)
    assert "sort=c.lr" in page.url
    rates = [float(v) for v in first_cells(page, "c.lr")]
    assert rates == sorted(rates)
    page.click(".tabulator-col[tabulator-field='c.lr'] .tabulator-col-title")
    page.wait_for_timeout(200)
    assert "sort=-c.lr" in page.url
    page.select_option("select[aria-label='group by']", "optimizer")
    page.wait_for_selector(".tabulator-group")
    assert "optimizer = " in page.locator(".tabulator-group").first.inner_text()
    tab.shot("sweep-grouped")
    page.click("summary:has-text('Columns')")
    page.get_by_label("Find a column").fill("l2")
    page.locator(".menu .list label:visible").first.click()
    page.wait_for_timeout(300)
    assert page.locator(".tabulator-col[tabulator-field='c.l2']").count() == 0
    assert "cols=" in page.url
    page.reload()
    page.wait_for_selector(".tabulator-group")
    assert page.locator(".tabulator-col[tabulator-field='c.l2']").count() == 0
    page.click("summary:has-text('Columns')")
    page.click("text=As usual")
    page.wait_for_selector(".tabulator-col[tabulator-field='c.l2']")


def test_choose_and_compare_and_export(look, served, paths, tmp_path) -> None:
    page = look(served).open(paths["sweep"])
    for row in range(3):
        page.locator(".tabulator-row input[type=checkbox]").nth(row).check()
    page.wait_for_selector("button:has-text('Compare 3')")
    with page.expect_download() as caught:
        page.click("button:has-text('CSV')")
    caught.value.save_as(tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["name"] for row in table] == first_cells(page, "name")[:3]
    assert float(table[0]["val_risk"]) < float(table[2]["val_risk"])
    with page.expect_download() as caught:
        page.click("button:has-text('LaTeX')")
    caught.value.save_as(tmp_path / "t.tex")
    assert "\\bottomrule" in (tmp_path / "t.tex").read_text(encoding="utf-8")
    page.click("button:has-text('Compare 3')")
    page.wait_for_url("**/compare?runs=*")
    page.wait_for_selector("text=Compare 3 runs")


def test_charts_of_a_sweep_answer_their_controls(look, served, paths) -> None:
    tab = look(served)
    page = tab.open(paths["sweep"])
    page.wait_for_timeout(1500)
    picture = "document.querySelector('section[aria-label=\"{}\"] canvas').toDataURL().length + document.querySelector('section[aria-label=\"{}\"] canvas').toDataURL()"

    def drawn(panel: str) -> str:
        page.locator(f"section[aria-label='{panel}']").scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        return page.evaluate(picture.replace("{}", panel))

    before = drawn("Metric over time")
    page.select_option("select[aria-label='along'] >> nth=0", "time")
    assert drawn("Metric over time") != before
    assert "x=time" in page.url
    before = drawn("Slice")
    page.select_option("select[aria-label='parameter of the slice']", "width")
    assert drawn("Slice") != before
    before = drawn("Contour")
    page.select_option("select[aria-label='up']", "l2")
    assert drawn("Contour") != before
    page.select_option("select[aria-label='metric']", "test_risk")
    page.wait_for_selector("dt:has-text('best test_risk')")
    page.select_option("select[aria-label='which is better']", "maximize")
    page.wait_for_timeout(500)
    worst = [float(v.split()[-1]) for v in first_cells(page, "m.test_risk")]
    assert worst == sorted(worst, reverse=True)
    page.wait_for_timeout(1500)
    assert tab.blank() == []
    for part in ("metric=test_risk", "goal=maximize", "slice=width", "cy=l2"):
        assert part in page.url


def test_a_dot_opens_its_run(look, served, paths) -> None:
    page = look(served).open(paths["seeds"])
    box = page.locator("section[aria-label='Metric over time'] .chart").bounding_box()
    for x in range(40, int(box["width"]) - 20, 9):
        for y in range(30, int(box["height"]) - 40, 9):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if page.locator(".tip:visible dl").count():
                assert "val_risk" in page.locator(".tip").first.inner_text()
                page.mouse.click(box["x"] + x, box["y"] + y)
                page.wait_for_url("**/run/*")
                return
    raise AssertionError("no dot answered")


def test_over_seeds(look, served, paths) -> None:
    page = look(served).open(paths["seeds"])
    rows = page.locator("section[aria-label='Over seeds'] tbody tr")
    page.wait_for_selector("section[aria-label='Over seeds'] tbody tr")
    assert rows.count() == 3
    cells = [row.split("\t") for row in rows.all_inner_texts()]
    assert {c[0]: c[2] for c in cells} == {"16": "", "64": "", "256": "1"}
    medians = [float(c[5]) for c in cells]
    assert medians == sorted(medians)
    rows.first.get_by_text("curves").click()
    page.wait_for_url("**/compare?runs=*bands=1*")
    page.wait_for_selector("text=Compare 20 runs")


def test_what_is_contaminated_or_failed_is_marked_where_the_number_stands(
    look, served, paths
) -> None:
    tab = look(served)
    page = tab.open(paths["tested"])
    assert "contaminated" in page.locator(".tile").first.inner_text()
    assert "no estimate of the risk" in page.inner_text(".warning.bad")
    assert "contaminated" in first_cells(page, "m.test_loss")[0]
    page = tab.open(paths["sweep"] + "?where=status%3Ddiverged")
    assert all("diverged" in cell for cell in first_cells(page, "m.val_risk"))
    page = tab.open(paths["sweep"] + "?where=status%3Drunning")
    assert "so far" in first_cells(page, "m.val_risk")[0]
    page = tab.open(paths["diverged"])
    assert "diverged" in page.locator(".tile").first.inner_text()
    assert "train_risk = nan at epoch 14" in page.inner_text("main")


# -- a run ---------------------------------------------------------------------------------------


def test_a_run_and_its_controls(look, served, paths) -> None:
    tab = look(served)
    page = tab.open(paths["run"])
    assert page.locator(".chart").count() == 1
    before = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.get_by_label("Smoothing").fill("0.9")
    page.wait_for_timeout(150)
    smooth = page.evaluate("document.querySelector('canvas').toDataURL()")
    assert smooth != before
    assert "smooth=0.9" in page.url
    page.click("button:has-text('log scale')")
    page.wait_for_timeout(150)
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != smooth
    text = page.inner_text("main")
    for part in (
        "python wages.py --lr=",
        "threefry2x32",
        "0123456789ab",
        "all epochs done",
        "4,417",
    ):
        assert part in text


def test_compare_controls(look, served, paths) -> None:
    page = look(served).open(paths["compare"])
    assert page.locator("th[scope=row]:has-text('epochs')").count() == 1
    page.click("text=also what is the same")
    assert page.locator("th[scope=row]:text-is('epochs')").count() == 2
    before = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.click("text=bands over seeds")
    page.wait_for_timeout(200)
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
    assert "same=1" in page.url
    assert "bands=1" in page.url
    page.goto(page.url.split("?")[0])
    page.wait_for_selector("text=Select runs in the table")


# -- a store that lives --------------------------------------------------------------------------


def test_pause_resume_and_cancel(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 12, 10)
        with serving(tmp_path) as url:
            page = look(url).open(f"/sweep/{sweep.id}")
            page.click("button:text-is('Pause')")
            page.wait_for_selector(".head .st.paused")
            assert find_sweep(store, sweep.id).state == "paused"
            page.click("button:text-is('Resume')")
            page.wait_for_selector(".head .st.running")
            page.click("button:text-is('Cancel')")
            page.click("dialog >> button:text-is('Back')")
            assert find_sweep(store, sweep.id).state == "running"
            page.click("button:text-is('Cancel')")
            page.click("dialog >> text=Cancel the sweep")
            page.wait_for_selector(".head .st.cancelled")
            assert find_sweep(store, sweep.id).state == "cancelled"
            assert page.locator(".head button:visible").count() == 0


def test_what_is_logged_appears(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "lives"))
        with serving(tmp_path) as url:
            home, page = look(url).open("/"), look(url).open(f"/sweep/{sweep.id}")
            page.wait_for_selector("text=No run has begun yet")
            for k in range(12):
                config = {"lr": 0.001 * (k + 1), "width": 16 * (k % 3 + 1)}
                add_run(store, sweep, config, {}, metrics={"val_risk": 1.0 + k})
            until(page, "document.querySelector('main').dataset.rows === '12'")
            page.wait_for_selector("section[aria-label='What matters'] .meter")
            run = store.create_run({"lr": 0.5}, sweep_id=sweep.id).id
            until(page, "document.querySelector('main').dataset.rows === '13'")
            other = look(url).open(f"/run/{run}")
            other.wait_for_selector("text=Nothing has been logged yet")
            store.log_block(run, {"epoch": [1, 2, 3], "val_risk": [3.0, 2.0, 1.5]})
            other.wait_for_selector(".chart canvas")
            page.get_by_label("Filter runs").fill("status=running")
            page.wait_for_selector("text=so far")
            store.finish_run(run, status="finished", metrics={"val_risk": 0.25})
            other.wait_for_selector(".head .st.finished")
            until(page, "document.querySelector('main').dataset.rows === '0'")
            until(page, "document.querySelector('.tile dd').textContent.startsWith('0.25')")
            home.wait_for_selector("text=13")


def test_an_agent_that_writes_a_thousand_records_a_second(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 20, 10)
        run = store.create_run({"lr": 0.5}, sweep_id=sweep.id).id
        over = threading.Event()

        def write() -> None:
            step = 0
            while not over.is_set():
                steps = list(range(step, step + 100))
                store.log_block(run, {"step": steps, "loss": [math.exp(-s / 900) for s in steps]})
                step += 100
                time.sleep(0.1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            with serving(tmp_path) as url:
                sweep_page = look(url).open(f"/sweep/{sweep.id}")
                page = look(url).open(f"/run/{run}")
                page.wait_for_selector(".chart canvas")
                said = (
                    "Number(document.querySelectorAll('.tile')[1].textContent.replace(/\\D/g, ''))"
                )
                first = page.evaluate(said)
                until(page, f"{said} > {first} + 2000")
                assert sweep_page.evaluate("1 + 1") == 2
        finally:
            over.set()
            writer.join()


def test_a_store_deleted_while_the_page_is_open(look, tmp_path) -> None:
    where = tmp_path / "store"
    with open_store(where) as store:
        sweep = stores.tuning_sweep(store, 12, 10)
    with serving(where) as url:
        tab, home = look(url), look(url)
        page = tab.open(f"/sweep/{sweep.id}")
        shutil.rmtree(where)
        page.wait_for_selector("#banner:visible")
        assert "there is no store at" in page.inner_text("#banner")
        assert page.locator(".chart canvas").count() > 0, "what was read stays to be looked at"
        assert "there is no store at" in home.open("/").inner_text("main")
        tab.shot("store-deleted")
        page.close()
        with open_store(where) as store:
            stores.seeds_sweep(store, 2)
        home.page.wait_for_selector("text=twenty seeds a width")


# -- what is odd ---------------------------------------------------------------------------------


def test_hostile_names_are_text(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        quoted = HOSTILE.replace("'", "''")
        text = stores.TUNING.replace("name: val_risk", f"name: '{quoted}'")
        sweep = create_sweep(store, NewSweep(text, HOSTILE, HOSTILE))
        for k in range(30):
            config = {HOSTILE: HOSTILE + str(k % 3), "__proto__": k, "constructor": k * 0.1}
            columns = {"epoch": [1, 2], "val_risk": [1.0, 2.0], HOSTILE: [1.0, 0.5 + k]}
            numbers = {HOSTILE: 1.0 + k % 7}
            status = Status.FAILED if k == 29 else Status.FINISHED
            more = {"name": f"{HOSTILE}{k}", "reason": HOSTILE, "agent": HOSTILE, "source": HOSTILE}
            add_run(
                store,
                sweep,
                config,
                {**columns, "train_risk": [1.0, 1.0]},
                status,
                metrics=numbers,
                **more,
            )
        runs = store.runs(sweep_id=sweep.id)
        with store.batch() as writer:
            writer.note(runs[0].id, HOSTILE)
        stores.add_agent(store, sweep, HOSTILE, "2026-01-01T00:00:00.000+00:00")
        paths = [
            "/",
            f"/sweep/{sweep.id}?over=constructor",
            f"/run/{runs[0].id}",
            f"/run/{runs[29].id}",
        ]
        paths += [f"/compare?runs={runs[0].id},{runs[1].id}&same=1&bands=1"]
        with serving(tmp_path) as url:
            for path in paths:
                tab = look(url)
                page = tab.open(path)
                page.wait_for_timeout(300)
                assert HOSTILE in page.inner_text("main")
                assert page.title() != "owned"
                assert page.locator("main img, main script").count() == 0
                assert page.evaluate("Object.keys(Object.prototype)") == []
                if path.startswith("/sweep"):
                    page.select_option("select[aria-label='group by']", HOSTILE)
                    page.wait_for_selector(".tabulator-group")
                    page.click("summary:has-text('Columns')")
                    box = page.locator(
                        "section[aria-label='Metric over time'] .chart"
                    ).bounding_box()
                    for x in range(60, int(box["width"]) - 30, 12):
                        page.mouse.move(box["x"] + x, box["y"] + box["height"] * 0.4)
                    assert page.locator("img[src=x], main script").count() == 0


def odd_stores(store: Any) -> dict[str, Any]:
    """Sweeps of unlikely runs."""
    made = {"empty": create_sweep(store, NewSweep(stores.TUNING, "empty"))}
    made["one"] = create_sweep(store, NewSweep(stores.TUNING, "one"))
    add_run(store, made["one"], {"lr": 0.1}, {}, metrics={"val_risk": 1.0})
    made["queued"] = create_sweep(store, NewSweep(stores.TUNING, "queued"))
    add_run(store, made["queued"], {}, {}, Status.QUEUED)
    made["nan"] = create_sweep(store, NewSweep(stores.TUNING, "nan"))
    for k in range(12):
        config = {
            "lr": math.inf if k % 2 else 0.1,
            "l2": math.nan,
            "w": None,
            "mixed": [1, "a", True][k % 3],
        }
        columns = {"epoch": [1, 2], "train_risk": [math.nan] * 2, "val_risk": [math.inf] * 2}
        add_run(
            store, made["nan"], config, columns, Status.DIVERGED, metrics={"val_risk": math.nan}
        )
    made["wide"] = create_sweep(store, NewSweep(stores.TUNING, "wide"))
    for k in range(40):
        add_run(
            store,
            made["wide"],
            {f"p{i}": (i * k) % 37 for i in range(500)},
            {},
            metrics={"val_risk": 1.0 + k},
        )
    made["big"] = create_sweep(store, NewSweep(stores.TUNING, "big"))
    for k in range(3):
        add_run(
            store,
            made["big"],
            {"blob": "x" * (1 << 20), "lr": k},
            {},
            metrics={"val_risk": 1.0 + k},
        )
    made["same"] = create_sweep(store, NewSweep(stores.TUNING, "same"))
    for _ in range(12):
        add_run(store, made["same"], {"lr": 0.1, "width": 8}, {}, metrics={"val_risk": 0.0})
    return made


def test_odd_sweeps_and_runs(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        made = odd_stores(store)
        last = {name: store.runs(sweep_id=sweep.id) for name, sweep in made.items()}
        with serving(tmp_path) as url:
            for name, sweep in made.items():
                tab = look(url)
                page = tab.open(f"/sweep/{sweep.id}")
                page.wait_for_timeout(400)
                tab.shot(f"odd-{name}")
                assert name in page.inner_text("h1")
                assert tab.wide() <= 0, name
                assert page.locator("#banner").is_hidden(), name
                if last[name]:
                    assert count(page) == len(last[name])
                    page = tab.open(f"/run/{last[name][-1].id}")
                    assert page.inner_text("h1") == last[name][-1].name
                    assert tab.wide() <= 0, name
            ids = ",".join(runs[-1].id for runs in last.values() if runs)
            page = look(url).open(f"/compare?runs={ids}&same=1&bands=1")
            assert (
                "None of these runs logged" in page.inner_text("main")
                or page.locator(".chart").count()
            )


def test_no_store_then_one(look, tmp_path) -> None:
    with serving(tmp_path / "none") as url:
        page = look(url).open("/")
        assert "there is no store at" in page.inner_text("main")
        open_store(tmp_path / "none").close()
        page.wait_for_selector("text=No runs yet")
        with open_store(tmp_path / "none") as store:
            store.create_run({}, experiment="first")
        page.wait_for_selector("section[aria-label='Runs of no sweep'] tbody tr")


def test_elsewhere_a_token_lets_in_once_and_a_cookie_stays(look, used) -> None:
    with serving(used, "--host", "0.0.0.0") as url:
        token = url.partition("?token=")[2]
        port = re.search(r":(\d+)/", url).group(1)
        tab = look(f"http://127.0.0.1:{port}")
        answer = tab.page.goto(f"{tab.root}/")
        assert answer.status == 401
        tab.page.wait_for_timeout(300)
        tab.wrong.clear()
        tab.page.goto(f"{tab.root}/?token={token}")
        tab.page.wait_for_selector("text=wages, two layers")
        assert "token" not in tab.page.url
        assert tab.page.evaluate("document.cookie") == ""
        assert tab.open("/compare").is_visible("text=Compare runs")
