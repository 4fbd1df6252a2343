"""Brushing the parallel coordinates with the keyboard alone, in headless Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from chromium import count, eventually, until

pytestmark = pytest.mark.browser

AXES = "section[aria-label='Parallel coordinates'] [role=slider]"
ROWS = "Number(document.querySelector('main').dataset.rows)"
FOLLOWED = (
    f"document.querySelector(\"section[aria-label='Runs'] [role=status]\").textContent"
    f".startsWith({ROWS} + ' of ')"
)
"""Whether the table has the runs that pass the filter."""


# What ECharts draws: the axes, and the ranges on them.
PICTURE = (
    "document.querySelector(\"section[aria-label='Parallel coordinates'] .chart div canvas\")"
    ".toDataURL()"
)


def focused(page: Any) -> dict[str, str]:
    """What a screen reader tells of the element that has the focus."""
    return page.evaluate(
        """() => { const e = document.activeElement;
          const told = Object.fromEntries([...e.attributes].filter((a) => a.name.startsWith('aria-')).map((a) => [a.name.slice(5), a.value]));
          return { ...told, says: document.getElementById(told.describedby)?.textContent || '' }; }"""
    )


def at_first_axis(page: Any) -> Any:
    page.locator("section[aria-label='Parallel coordinates']").scroll_into_view_if_needed()
    page.wait_for_selector(AXES, state="attached")
    page.locator("section[aria-label='Parallel coordinates'] button", has_text="Clear").focus()
    page.keyboard.press("Tab")
    return page


def test_keys_set_and_clear_a_range_that_filters_the_table(look, small_served, small) -> None:
    tab = look(small_served)
    page = at_first_axis(tab.open(small[1]))
    told = focused(page)
    assert (told["label"], told["valuetext"], told["orientation"]) == (
        "range of lr",
        "all",
        "vertical",
    )
    assert "upper end" in told["says"]
    assert page.locator(".note.keys").is_visible(), "the keys are said where they count"
    before = page.evaluate(PICTURE)
    for _ in range(3):
        page.keyboard.press("Shift+PageUp")
    told = focused(page)
    # The runs follow when no key is pressed: on a slow machine also between two presses.
    eventually(page, lambda: page.locator(".chip").all_inner_texts() == [f"lr {told['valuetext']}"])
    until(page, FOLLOWED)
    kept = count(page)
    assert 4 < kept < 40
    low, high = (float(word) for word in told["valuetext"].split(" to "))
    assert low < high == pytest.approx(float(told["valuemax"]), rel=0.01)
    rates = page.locator(".tabulator-cell[tabulator-field='c.lr']").all_inner_texts()
    assert min(float(rate) for rate in rates) >= low * 0.99
    assert "brush=c.lr:" in page.url
    # The range is seen on its axis.
    eventually(page, lambda: page.evaluate(PICTURE) != before)
    tab.shot("sweep-keys")
    assert tab.axe() == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    until(page, f"{ROWS} < {kept}")
    page.keyboard.press("Delete")
    until(page, f"{ROWS} === 44")
    assert focused(page)["valuetext"] == "all"
    assert "brush" not in page.url
    eventually(page, lambda: page.evaluate(PICTURE) == before)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") != "slider", "one stop"
    assert not page.locator(".note.keys").is_visible()


def test_arrows_go_along_the_axes_and_step_through_categories(small_page) -> None:
    page = at_first_axis(small_page)
    labels = page.locator(AXES).evaluate_all("(all) => all.map((e) => e.ariaLabel)")
    assert labels[-1] == "range of val_risk"
    page.keyboard.press("ArrowLeft")
    assert focused(page)["label"] == labels[0], "there is none before the first"
    page.keyboard.press("ArrowRight")
    told = focused(page)
    assert told["label"] == labels[1] == "range of width"
    page.keyboard.press("ArrowDown")
    until(page, f"{ROWS} < 44")
    widths = set(page.locator(".tabulator-cell[tabulator-field='c.width']").all_inner_texts())
    told = focused(page)
    assert int(told["valuenow"]) == int(told["valuemax"]) - 1
    assert widths <= set(told["valuetext"].split(", "))
    for _ in range(int(told["valuemax"]) + 1):  # two more than there are to take away
        page.keyboard.press("ArrowDown")
    assert len(focused(page)["valuetext"].split(", ")) == 1, "one category is left"
    page.keyboard.press("Escape")
    until(page, f"{ROWS} === 44")


def test_the_keys_go_on_from_what_a_mouse_or_an_address_brushed(look, small_served, small) -> None:
    page = look(small_served).open(small[1] + "?brush=c.lr:0.001..0.01")
    page.wait_for_selector(f"{AXES}[aria-valuetext='0.001 to 0.01']", state="attached")
    kept = count(page)
    page.locator(AXES).first.focus()
    page.keyboard.press("PageUp")
    until(page, f"{ROWS} > {kept}")
    low, high = (float(word) for word in focused(page)["valuetext"].split(" to "))
    assert low == 0.001, "the other end stays where it was"
    assert high > 0.01
    page.click("button:text-is('Clear')")
    until(page, f"{ROWS} === 44")
    assert page.locator(AXES).first.get_attribute("aria-valuetext") == "all"
