"""The report in headless Chromium: wide and narrow, light and dark, on paper, and to everyone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import AXE, keep_picture

from thetahat.report import make_report, render
from thetahat.store import open_store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = ("wages, two layers", "twenty seeds a width", "tuned on the test set")


@pytest.fixture(scope="module")
def files(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    with open_store(reported, create=False) as store:
        for k, name in enumerate(NAMES):
            text = render(make_report(store, name), "html")
            (folder / f"report-{k}.html").write_text(text, encoding="utf-8")
    return sorted(folder.iterdir())


# Colours are a matter of the scheme and room one of the width: each of both is seen once.
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_it_reads_well_everywhere(browser: Any, files: list[Path], width: int, scheme: Any) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(240_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url),
    )
    for file in files:
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        figures = page.locator("figure svg")
        assert figures.count() >= 4
        boxes = [figures.nth(k).bounding_box() for k in range(figures.count())]
        assert all(box["width"] > 300 and box["height"] > 60 for box in boxes)
        text = page.locator("figure svg text").first
        assert text.evaluate("(one) => one.getBoundingClientRect().height") > 8
        colours = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure svg text')).fill]"
        )
        assert colours[0] == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)")
        assert colours[1] == ("rgb(26, 31, 38)" if scheme == "light" else "rgb(228, 232, 237)")
        page.evaluate(AXE.read_text(encoding="utf-8") + "; true")
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"]] == []
        keep_picture(page, f"{file.stem}-{width}-{scheme}")
    assert wrong == []
    context.close()


def test_it_prints_in_light_whatever_the_screen(browser: Any, files: list[Path]) -> None:
    context = browser.new_context(color_scheme="dark")
    context.set_default_timeout(240_000)
    page = context.new_page()
    page.goto(files[1].as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # The table must fit a page of A4 (about 680 pixels within its margins): paper does not scroll.
    page.set_viewport_size({"width": 680, "height": 900})
    assert page.locator("table").first.evaluate("(one) => one.scrollWidth") <= 680
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and len(pdf) > 20_000
    context.close()
