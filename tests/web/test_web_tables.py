"""Tables and files of runs on the page: the numbers of pandas, bounded, and nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stores
from chromium import eventually, serving

import thetahat as th
from thetahat.core import Status
from thetahat.core.packed_table import pack_table
from thetahat.store import NewRun, NewSweep, create_sweep, open_store, record_file

# What is computed ahead is not computed again.
from thetahat.web import _kept

NAME = "policy <b>x</b>"
ROWS = 1500


class Kept:
    """A run of a store, for ``record_file``."""

    def __init__(self, store: Any, run: str) -> None:
        self.id, self.folder, self.writing = run, store.folder, store.batch


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, pd.DataFrame]:
    """Two settings of six seeds, one of which failed; the last run has files."""
    path, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    k, frames, run = np.linspace(0, 1, ROWS), [], ""
    with open_store(path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "policies"))
        for lr in (0.1, 0.2):
            for seed in range(6):
                with store.batch() as writer:
                    new = NewRun(config={"lr": lr, "seed": seed}, sweep_id=sweep.id)
                    run, _ = writer.create_run(new)
                    c = rng.standard_normal(ROWS)
                    table = {"k": k, "c": np.where(k < 0.1, np.nan, c), "exact": k, "who": "<i>"}
                    writer.keep_table(run, NAME, pack_table(NAME, table))
                    failed = (lr, seed) == (0.1, 2)
                    if not failed:
                        frames.append(pd.DataFrame(table).assign(lr=lr))
                    status = Status.FAILED if failed else Status.FINISHED
                    writer.finish_run(run, status=status, metrics={"val_risk": lr + seed})
        kept = Kept(store, run)
        record_file(kept, "note.html", "<h1>hi</h1><script>parent.document.title = 'no'</script>")
        record_file(kept, "image.png", rng.random((8, 9)))
        record_file(kept, "drawing.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
        record_file(kept, "../../a<b>.bin", b"\0\1")
    return path, sweep.id, run, pd.concat(frames)


def test_bands_of_the_page_are_those_of_pandas_at_the_drawn_places(made, client_of) -> None:
    path, sweep, _, frame = made
    asked = {"name": NAME, "x": "k", "y": "c", "exact": "exact", "settings": "0,1", "band": "90"}
    found = client_of(path).get(f"/api/sweeps/{sweep}/table", params=asked).json()
    assert [one["config"] for one in found["shown"]] == [{"lr": 0.1}, {"lr": 0.2}]
    for one in found["shown"]:
        mine = frame[frame.lr == one["config"]["lr"]].groupby("k")
        expected = mine.c.quantile([0.05, 0.5, 0.95]).unstack()
        at = expected.loc[one["x"]]
        for name, q in (("low", 0.05), ("middle", 0.5), ("high", 0.95)):
            values = np.array(one[name], float)
            np.testing.assert_allclose(values, at[q], rtol=0, atol=1e-12)
        assert one["n"] == mine.c.count().loc[one["x"]].tolist()
        assert one["places"] == ROWS and len(one["x"]) <= 1001
        assert one["exact"] == one["x"]
        assert (one["x"][0], one["x"][-1]) == (0.0, 1.0)
    first = found["shown"][0]
    assert (first["runs"], first["of"], first["failed"], len(first["lines"])) == (5, 6, 1, 5)
    pooled = (
        client_of(path)
        .get(f"/api/sweeps/{sweep}/table", params={"name": NAME, "settings": "-1"})
        .json()["shown"]
    )
    assert [(one["runs"], one["of"]) for one in pooled] == [(11, 12)]


def test_the_bands_that_a_page_shows_first_are_computed_with_the_page(
    made, client_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sweep, *_ = made
    client = client_of(path)
    assert client.get(f"/sweep/{sweep}").status_code == 200
    monkeypatch.setattr(_kept, "_view", None)  # nothing is computed again
    # As tables.js asks.
    asked = {"name": NAME, "exact": "exact", "band": "90", "settings": "0,1"}
    found = client.get(f"/api/sweeps/{sweep}/table", params=asked).json()
    assert [one["config"] for one in found["shown"]] == [{"lr": 0.1}, {"lr": 0.2}]


def test_an_unknown_table_is_refused_in_a_sentence(made, client_of) -> None:
    answer = client_of(made[0]).get(f"/api/sweeps/{made[1]}/table", params={"name": "x" * 9999})
    assert (
        answer.status_code == 400 and "no run of this sweep has a table" in answer.json()["error"]
    )
    assert len(answer.json()["error"]) < 300


def test_a_runs_table_is_thinned_for_its_chart_and_listed_from_its_start(made, client_of) -> None:
    found = client_of(made[0]).get(f"/api/runs/{made[2]}/table", params={"name": NAME}).json()
    assert found["rows"] == ROWS and len(found["first"]["k"]) == 200
    assert len(found["columns"]["k"]) <= 1000 and found["columns"]["k"][-1] == 1.0
    assert found["numbers"] == ["k", "c", "exact"]
    assert found["first"]["c"][0] is None and found["first"]["who"][0] == "<i>"


def test_files_are_shown_in_a_sandbox_and_others_are_downloads(made, client_of) -> None:
    client, path = client_of(made[0]), f"/api/runs/{made[2]}"
    files = {one["name"]: one for one in client.get(f"{path}/kept").json()["files"]}
    for name, media in (("note.html", "text/html"), ("drawing.svg", "image/svg+xml")):
        answer = client.get(f"{path}/files/{files[name]['id']}")
        assert answer.headers["content-type"].startswith(media)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'") and "script" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = client.get(f"{path}/files/{files[name]['id']}?download=1")
        assert again.headers["content-disposition"].startswith("attachment")
        assert again.headers["content-type"] == "application/octet-stream"
    answer = client.get(f"{path}/files/{files['../../a<b>.bin']['id']}")
    assert answer.content == b"\0\1"
    assert answer.headers["content-disposition"] == 'attachment; filename="a_b_.bin"'
    assert client.get(f"{path}/files/999").status_code == 404
    other = th.open_store(made[0]).runs(limit=1)[0].id
    assert client.get(f"/api/runs/{other}/files/{files['note.html']['id']}").status_code == 404


DRAWN = """
window.drawn = [];
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const node of addedNodes) {
    if (node.nodeName !== "CANVAS") continue;
    const label = node.closest(".chart")?.getAttribute("aria-label");
    if (label && !window.drawn.includes(label)) window.drawn.push(label);
  }
}).observe(document, { subtree: true, childList: true });
"""


@pytest.mark.browser
def test_charts_that_come_into_sight_together_are_drawn_from_the_top(made, look) -> None:
    path, sweep, *_ = made
    with serving(path) as url:
        tab, held = look(url), []
        tab.page.set_viewport_size({"width": 1280, "height": 3000})
        tab.page.add_init_script(DRAWN)

        def hold(route: Any) -> None:
            held.append(route)

        tab.page.route("**/echarts.esm.min.js", hold)
        page = tab.open(f"/sweep/{sweep}", charts=False)
        page.locator("section[aria-label=Tables] h3", has_text="lr=0.2").wait_for()
        assert page.evaluate("window.drawn") == [] and held
        for route in held:
            route.continue_()
        shown = page.locator(".chart").evaluate_all(
            "(all) => all.map((one) => one.getAttribute('aria-label'))"
        )
        assert [label.split(":")[0] for label in shown[1:3]] == ["c by k", "c by k"]
        eventually(page, lambda: len(page.evaluate("window.drawn")) == len(shown))
        assert page.evaluate("window.drawn") == shown


@pytest.mark.browser
def test_the_page_draws_bands_beside_each_other_and_runs_no_script_of_a_file(made, look) -> None:
    path, sweep, run, _ = made
    with serving(path) as url:
        tab = look(url)
        page = tab.open(f"/sweep/{sweep}")
        panel = page.locator("section[aria-label=Tables]")
        panel.locator("h3", has_text="lr=0.2").wait_for()
        assert panel.get_by_role("tab").all_inner_texts() == [NAME]
        assert panel.locator("h3").all_inner_texts() == ["lr=0.1", "lr=0.2"]
        assert "5 of 6 runs; 1 failed" in panel.inner_text()
        panel.scroll_into_view_if_needed()
        panel.locator("canvas").nth(1).wait_for()
        exact = panel.locator("select[aria-label=reference]")
        assert exact.input_value() == "exact"
        exact.select_option("none")
        tab.page.wait_for_url("**exact=-**")
        eventually(page, lambda: exact.input_value() == "-")
        panel.locator("select[aria-label=beside]").select_option("")
        panel.locator("h3", has_text="lr=0.2").wait_for(state="detached")
        assert "ta=0" in page.url
        page = tab.open(f"/run/{run}")
        frame = page.frame_locator("section[aria-label=Files] iframe")
        page.locator("section[aria-label=Files]").scroll_into_view_if_needed()
        frame.locator("h1", has_text="hi").wait_for()
        assert page.title() != "no"
        assert page.locator("section[aria-label=Files] img").count() == 2
        image = page.locator("section[aria-label=Files] img[alt='image.png']")
        eventually(page, lambda: image.evaluate("(one) => one.offsetWidth") >= 100)
        blocked = [line for line in tab.wrong if "Blocked script execution" not in line]
        tab.wrong[:] = blocked  # Chromium says that it blocked the file's script
