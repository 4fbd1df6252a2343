"""What is odd, hostile or empty, in headless Chromium: no broken page, no blank plot."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import stores
from chromium import count, eventually, serving, settle
from stores import HOSTILE, add_run

from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, open_store

pytestmark = pytest.mark.browser


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
            tab = look(url)
            for path in paths:
                page = tab.open(path)
                eventually(page, lambda page=page: HOSTILE in page.inner_text("main"))
                settle(page)
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
                    for x in range(60, int(box["width"]) - 30, 40):
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
            tab = look(url)
            for name, sweep in made.items():
                page = tab.open(f"/sweep/{sweep.id}")
                settle(page)
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
            page = tab.open(f"/compare?runs={ids}&same=1&bands=1")
            assert (
                "None of these runs logged" in page.inner_text("main")
                or page.locator(".chart").count()
            )


def test_a_run_that_failed_at_its_start_makes_no_parameter_of_defaults(look, tmp_path) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "s"))
        for k in range(12):
            config = {"lr": 0.001 * (k + 1), "N": 500, "M": 2}
            add_run(store, sweep, config, {}, metrics={"val_risk": 1.0 + k})
        add_run(store, sweep, {"lr": 0.5}, {}, Status.FAILED, reason="no module")
        with serving(tmp_path) as url:
            page = look(url).open(f"/sweep/{sweep.id}")
            assert page.get_by_label("parameter of the slice").inner_text().split() == ["lr"]
            warnings = page.locator("p.warning").first.locator("xpath=..").inner_text()
            assert warnings.strip() == "1 run failed: no module"
            heads = page.locator("section[aria-label=Runs] .tabulator-col-title").all_inner_texts()
            assert "lr" in heads
            assert not {"N", "M"} & set(heads)
            page.click("summary:text-is('Columns')")
            assert page.is_visible("text=As usual")
            page.keyboard.press("Escape")
            assert not page.is_visible("text=As usual")


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
        tab.page.goto(f"{tab.root}/?token={token}")
        tab.page.wait_for_selector("text=wages, two layers")
        assert "token" not in tab.page.url
        assert tab.page.evaluate("document.cookie") == ""
        assert tab.open("/compare").is_visible("text=Compare runs")
        # The browser's console says that it was refused, a little later, and says it of the icon.
        tab.wrong[:] = [line for line in tab.wrong if "status of 401" not in line]
