"""Every view and every control, in headless Chromium."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest
from chromium import count, drawn, eventually, keep_picture, picture, settle, until

pytestmark = pytest.mark.browser


VIEWS = ("home", "sweep", "seeds", "tested", "run", "diverged", "compare", "bands")


# -- how it looks --------------------------------------------------------------------------------


# Each view in both themes and in both widths; every other view has them the other way round.
@pytest.mark.parametrize(
    ("view", "theme", "width"),
    [
        (view, theme, width)
        for k, view in enumerate(VIEWS)
        for theme, width in zip(("light", "dark"), (1280, 400)[:: (1, -1)[k % 2]], strict=True)
    ],
)
def test_every_view(look, served, paths, view, theme, width) -> None:
    tab = look(served, theme=theme, width=width)
    page = tab.open(paths[view])
    # Charts out of sight are drawn when there is time.
    eventually(page, lambda: tab.blank() == [])
    settle(page)
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
    assert page.is_visible("text=no run's name contains “zzz”")


def test_filters_may_have_spaces_lists_and_colons(small_page) -> None:
    page = small_page
    for words, same in (
        ("lr >= 0.01", "lr>=0.01"),
        ("optimizer:adam and lr > 0.01", "optimizer=adam lr>0.01"),
        ("optimizer in (adam, 'none')", "optimizer=adam"),
        ('status = finished optimizer in ["adam"]', "status=finished optimizer=adam"),
    ):
        rows = []
        for text in (same, words):
            page.get_by_label("Filter runs").fill(text)
            eventually(page, lambda: count(page) < 44)
            rows.append(count(page))
            page.get_by_label("Filter runs").fill("")
            eventually(page, lambda: count(page) == 44)
        assert rows[0] == rows[1] > 0, words


def test_a_filter_that_is_not_understood_is_named(small_page) -> None:
    page = small_page
    said = "section[aria-label=Runs] .flag.bad:text-matches('not understood|no run has a column')"
    for words in ("lr>>1", "lr>", "lr>0.1,width=8", "a=1 or lr>1", "> 3", "lr<x"):
        page.get_by_label("Filter runs").fill(words)
        page.wait_for_selector(said)
        page.get_by_label("Filter runs").fill("")
        page.wait_for_selector(said, state="detached")


def drag_along(page: Any, axis: int, axes: int, top: float, bottom: float) -> None:
    """Draw a brush on an axis of the parallel coordinates, in parts of its height."""
    box = page.locator("section[aria-label='Parallel coordinates'] .chart").bounding_box()
    left, right, up, down = 46, 64, 34, 16
    x = box["x"] + left + (box["width"] - left - right) * axis / (axes - 1)
    tall = box["height"] - up - down
    page.mouse.move(x, box["y"] + up + tall * top)
    page.mouse.down()
    # Each move draws all charts again.
    page.mouse.move(x, box["y"] + up + tall * (top + bottom) / 2)
    page.mouse.move(x, box["y"] + up + tall * bottom)
    page.mouse.up()


def test_brushing_filters_the_table(small_page) -> None:
    page = small_page
    page.locator("section[aria-label='Parallel coordinates']").scroll_into_view_if_needed()
    drawn(page)
    drag_along(page, 0, 7, 0.05, 0.35)
    until(page, "Number(document.querySelector('main').dataset.rows) < 40")
    kept = count(page)
    assert 4 < kept < 24
    assert "brush=c.lr:" in page.url
    rates = page.locator(".tabulator-cell[tabulator-field='c.lr']").all_inner_texts()
    assert min(float(rate) for rate in rates) > 0.005
    settle(page)
    keep_picture(page, "sweep-brushed")
    page.reload()
    until(page, f"document.querySelector('main').dataset.rows === '{kept}'")
    drawn(page)
    drag_along(page, 1, 7, 0.0, 0.3)
    until(page, f"Number(document.querySelector('main').dataset.rows) < {kept}")
    assert page.locator(".chip").count() == 2
    assert page.locator(".chip").nth(1).inner_text().startswith("width = ")
    page.locator(".chip").first.click()
    until(page, f"Number(document.querySelector('main').dataset.rows) !== {kept}")
    page.click("button:text-is('Clear')")
    until(page, "document.querySelector('main').dataset.rows === '44'")
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
    eventually(page, lambda: "sort=c.lr" in page.url)

    def rates() -> list[float]:
        return [float(v) for v in first_cells(page, "c.lr")]

    eventually(page, lambda: rates() == sorted(rates()))
    page.click(".tabulator-col[tabulator-field='c.lr'] .tabulator-col-title")
    eventually(page, lambda: "sort=-c.lr" in page.url)
    eventually(page, lambda: rates() == sorted(rates(), reverse=True))
    page.select_option("select[aria-label='group by']", "optimizer")
    page.wait_for_selector(".tabulator-group")
    assert "optimizer = " in page.locator(".tabulator-group").first.inner_text()
    tab.shot("sweep-grouped")
    page.click("summary:has-text('Columns')")
    page.get_by_label("Find a column").fill("l2")
    page.locator(".menu .list label:visible").first.click()
    eventually(page, lambda: page.locator(".tabulator-col[tabulator-field='c.l2']").count() == 0)
    eventually(page, lambda: "cols=" in page.url)
    page.reload()
    page.wait_for_selector(".tabulator-group")
    assert page.locator(".tabulator-col[tabulator-field='c.l2']").count() == 0
    page.click("summary:has-text('Columns')")
    page.click("text=As usual")
    page.wait_for_selector(".tabulator-col[tabulator-field='c.l2']")


def test_choose_and_compare_and_export(small_page, tmp_path) -> None:
    page = small_page
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
    eventually(page, lambda: tab.blank() == [])

    def drawn(panel: str) -> str:
        page.locator(f"section[aria-label='{panel}']").scroll_into_view_if_needed()
        return picture(page, f"section[aria-label='{panel}'] canvas")

    before = drawn("Metric over time")
    page.select_option("select[aria-label='along'] >> nth=0", "time")
    eventually(page, lambda: drawn("Metric over time") != before)
    assert "x=time" in page.url
    before = drawn("Slice")
    page.select_option("select[aria-label='parameter of the slice']", "width")
    eventually(page, lambda: drawn("Slice") != before)
    before = drawn("Contour")
    page.select_option("select[aria-label='up']", "l2")
    eventually(page, lambda: drawn("Contour") != before)
    page.select_option("select[aria-label='metric']", "test_risk")
    page.wait_for_selector("dt:has-text('best test_risk')")
    page.select_option("select[aria-label='which is better']", "maximize")

    def falls() -> bool:
        worst = [float(v.split()[-1]) for v in first_cells(page, "m.test_risk")]
        return worst == sorted(worst, reverse=True) != []

    eventually(page, falls)
    eventually(page, lambda: tab.blank() == [])
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
    # After the width: runs, n, failed, unfinished.
    counts = {c[0]: c[1:5] for c in cells}
    assert counts["16"] == counts["64"] == ["20", "20", "0", "0"]
    assert counts["256"] == ["20", "19", "1", "0"]
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
    before = picture(page)
    page.get_by_label("Smoothing").fill("0.9")
    eventually(page, lambda: picture(page) != before)
    smooth = picture(page)
    assert "smooth=0.9" in page.url
    page.click("button:has-text('log scale')")
    eventually(page, lambda: picture(page) != smooth)
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
    # One run of each setting makes no band.
    page.click("text=bands over seeds")
    page.wait_for_selector("text=No band for 5 settings: too few runs")
    assert "same=1" in page.url
    assert "bands=1" in page.url
    # The button says how the curves are drawn, also before anybody has chosen.
    button = page.get_by_role("button", name="log scale")
    chosen, before = button.get_attribute("aria-pressed"), picture(page)
    button.click()
    eventually(page, lambda: button.get_attribute("aria-pressed") != chosen)
    eventually(page, lambda: picture(page) != before)
    page.goto(page.url.split("?")[0])
    page.wait_for_selector("text=Select runs in the table")
