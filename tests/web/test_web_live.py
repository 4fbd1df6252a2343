"""A store that changes, grows or goes while its page is open, in headless Chromium."""

from __future__ import annotations

import math
import shutil
import threading
import time

import pytest
import stores
from chromium import changed, serving, until
from stores import add_run

from thetahat.store import NewSweep, create_sweep, find_sweep, open_store, set_state

pytestmark = pytest.mark.browser


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


def test_retry_asks_and_returns_failed_runs_to_the_queue(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 32, 14)  # one failed, and one diverged
        failed = [run.id for run in store.runs() if str(run.status) == "failed"]
        set_state(store, sweep.id, "finished")
        with serving(tmp_path) as url:
            page = look(url).open(f"/sweep/{sweep.id}")
            page.click("button:text-is('Retry failed')")
            page.wait_for_selector("dialog:has-text('Run 1 failed run again?')")
            assert sweep.id in page.inner_text("dialog")  # in the command that works on it
            page.click("dialog >> button:text-is('Back')")
            assert [str(store.run(run).status) for run in failed] == ["failed"]
            page.click("button:text-is('Retry failed')")
            page.click("dialog >> button:text-is('Run them again')")
            page.wait_for_selector(".head .st.running")
            page.wait_for_selector("button:text-is('Retry failed')", state="detached")
            assert [str(store.run(run).status) for run in failed] == ["queued"]
            assert [r.id for r in store.runs() if str(r.status) == "queued"] == failed


def test_a_press_and_a_focus_outlive_the_news_of_a_working_sweep(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 12, 10)
        over = threading.Event()

        def write() -> None:
            while not over.wait(0.05):
                add_run(store, sweep, {"lr": 0.01}, {}, metrics={"val_risk": 1.0})

        writer = threading.Thread(target=write)
        with serving(tmp_path) as url:
            page, home = look(url).open(f"/sweep/{sweep.id}"), look(url).open("/")
            box = page.locator("button:text-is('Cancel')").bounding_box()
            writer.start()
            try:
                page.focus("button:text-is('Pause')")
                home.focus("a:has-text('" + sweep.name + "')")
                for _ in range(2):
                    page.mouse.move(box["x"] + 5, box["y"] + 5)
                    page.mouse.down()
                    changed(page, ".tiles", times=2)
                    page.mouse.up()
                    page.click("dialog >> button:text-is('Back')")
                page.focus("button:text-is('Pause')")
                changed(page, ".tiles", times=2)
                changed(home, ".tiles", times=2)
                assert page.evaluate("document.activeElement.textContent") == "Pause"
                assert home.evaluate("document.activeElement.textContent") == sweep.name
            finally:
                over.set()
                writer.join()


def test_a_finished_sweep_has_no_buttons_to_press(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 3, 10)
        set_state(store, sweep.id, "finished")
        with serving(tmp_path) as url:
            page = look(url).open(f"/sweep/{sweep.id}")
            page.wait_for_selector(".head .st.finished")
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
                until(page, f"{said} > {first} + 1000")
                assert sweep_page.evaluate("1 + 1") == 2
                over.set()
                writer.join()
                # What comes live is thinned too: the memory of the tab does not grow for ever.
                more = list(range(10**6, 10**6 + 15_000))
                store.log_block(run, {"step": more, "loss": [1.0] * len(more)})
                page.wait_for_selector(r"text=/[1-7],\d+ of [1-9]\d+,\d+ records drawn/")
        finally:
            over.set()
            writer.join()


def test_a_panel_whose_numbers_are_refused_says_so_and_asks_again(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 12, 10)
        with serving(tmp_path) as url:
            tab = look(url)
            why = {"error": "the store is away", "store": False}
            refused = {name: f"**/{name}?*" for name in ("importance", "groups")}
            for path in refused.values():
                tab.page.route(path, lambda route: route.fulfill(status=503, json=why))
            page = tab.open(f"/sweep/{sweep.id}?over=width")
            panels = [
                page.locator(f"section[aria-label='{n}']") for n in ("What matters", "Over seeds")
            ]
            for panel in panels:
                panel.get_by_text("the store is away").wait_for()
            for path in refused.values():
                tab.page.unroute(path)
            set_state(store, sweep.id, "paused")
            for panel in panels:
                panel.locator("tbody tr").first.wait_for()
                assert "the store is away" not in panel.inner_text()


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
