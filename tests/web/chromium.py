"""Headless Chromium, the page in a process of its own, and what both must never do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
AXE = Path(__file__).parent / "vendor" / "axe" / "axe.min.js"
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
"""Where pictures are kept, to be looked at, if SHOTS=1 is set: they take longer than most tests."""
_TABS: list[Watched] = []
"""Open tabs: they are closed before their server is, whose end is not their fault."""
_FILLED = """!document.querySelector("section[aria-label='Runs']")
  || document.querySelector('main').dataset.rows !== undefined"""
_SERVE = "import sys; from thetahat.cli import run; sys.exit(run(sys.argv[1:]))"


def chromium() -> str | None:
    """Where Chromium is; ``make test`` installs it where it may.

    Its headless shell draws the same pages at half the cost: no tab has a window around it.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = (os.environ.get("CHROMIUM"), *(shutil.which(name) for name in names))
    return next((path for path in found if path), None)


class Browser:
    """Chromium, whose start takes longer than most tests: one serves all modules of a process.

    Playwright runs a loop of asyncio in this thread, and between its calls the thread counts as
    inside that loop. Tests of other modules start loops of their own: the loop is this thread's
    only while a module uses the browser.
    """

    def __init__(self, where: str) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        start = self._playwright.chromium.launch
        self.opened = start(executable_path=where, args=ARGS, timeout=240_000)
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)

    @contextmanager
    def used(self) -> Iterator[Any]:
        """Use it: the browser of Playwright."""
        asyncio._set_running_loop(self._loop)
        try:
            yield self.opened
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """End Chromium and Playwright's driver."""
        with self.used() as opened:
            opened.close()
            self._playwright.stop()


@contextmanager
def serving(where: Path, *flags: str) -> Iterator[str]:
    """``thetahat ui`` of a store, in its own process; the address it printed."""
    words = [
        sys.executable,
        "-c",
        _SERVE,
        "ui",
        "--store",
        str(where),
        "--no-browser",
        "--port",
        "0",
    ]
    process = subprocess.Popen([*words, *flags], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        match = re.search(r"http://\S+", said)
        assert match is not None, said
        yield match.group()
    finally:
        for tab in _TABS:
            tab.page.close()
        _TABS.clear()
        process.terminate()
        process.wait()
        process.stdout.close()


class Watched:
    """A tab whose errors and requests are written down."""

    def __init__(self, page: Any, root: str) -> None:
        self.page, self.root = page, root.split("?")[0].rstrip("/")
        # The address that was printed lets the tab in.
        self._entrance = root if "?token=" in root else ""
        self.wrong: list[str] = []
        _TABS.append(self)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("dialog", self._dialog)

    def _console(self, message: Any) -> None:
        # A refused request is the browser's own line, and pixels are read by tests only; what the
        # page does about either is tested.
        known = ("status of 503", "willReadFrequently")
        if message.type in ("error", "warning") and not any(k in message.text for k in known):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.root + "/", "data:", "blob:" + self.root)):
            self.wrong.append(f"a request to {request.url}")

    def _dialog(self, dialog: Any) -> None:
        self.wrong.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, path: str, *, charts: bool = True) -> Any:
        """Go to a path of the page and wait until it has drawn itself, with the charts in sight."""
        if self._entrance:
            # The cookie of the tab's context, without the page that the address would show.
            assert self.page.context.request.get(self._entrance).ok
            self._entrance = ""
        self.page.goto(self.root + path)
        self.page.wait_for_selector('main[aria-busy="false"]')
        # The table of a sweep is filled, and charts are drawn, after the page.
        until(self.page, _FILLED)
        if charts:
            drawn(self.page)
        settle(self.page)
        return self.page

    def shot(self, name: str) -> None:
        """Keep a picture, if pictures are wanted."""
        keep_picture(self.page, name)

    def axe(self) -> list[str]:
        """What the accessibility check finds wrong."""
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "; true")
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary'].splitlines()[1:2]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def wide(self) -> int:
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    def blank(self) -> list[str]:
        """Charts on which nothing is drawn."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll('.chart')].filter((box) => {
              const canvas = box.querySelector('canvas');
              if (!canvas) return true;
              const pen = canvas.getContext('2d');
              const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
              const seen = new Set();
              for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add((data[i] << 16) + (data[i + 1] << 8) + data[i + 2]);
              return seen.size < 8;
            }).map((box) => box.getAttribute('aria-label'))"""
        )


def keep_picture(page: Any, name: str) -> None:
    """Keep a picture of a page for people, if SHOTS=1 is set."""
    if os.environ.get("SHOTS"):
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def count(page: Any) -> int:
    """Rows that the table of a sweep holds."""
    return int(page.locator("main").get_attribute("data-rows"))


def until(page: Any, test: str, patience_s: float = 240.0) -> Any:
    """Wait until an expression in the page holds, and give it."""
    # Not wait_for_function: it evaluates text, which the page's policy forbids.
    return eventually(page, lambda: page.evaluate(test), patience_s)


def eventually(page: Any, holds: Callable[[], Any], patience_s: float = 240.0) -> Any:
    """Wait until something holds of the page, and give it."""
    give_up = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < give_up, "it never came"
        page.wait_for_timeout(50)
    return found


def settle(page: Any) -> None:
    """Wait until the page has nothing left to do for now, and what it did is drawn."""
    page.evaluate(
        "new Promise((done) => requestIdleCallback(() => requestAnimationFrame(() =>"
        " requestAnimationFrame(() => requestIdleCallback(() => done())))))"
    )


def drawn(page: Any) -> None:
    """Wait until the charts in sight are drawn: their library is loaded after the page."""
    until(
        page,
        """[...document.querySelectorAll('.chart')].every((box) => {
          const { top, bottom, width } = box.getBoundingClientRect();
          return !width || bottom < 0 || top > innerHeight || box.querySelector('canvas');
        })""",
    )


def picture(page: Any, where: str = "canvas") -> str:
    """What a canvas shows when it changes no more."""
    seen = ""
    while seen != (now := page.locator(where).first.evaluate("(one) => one.toDataURL()")):
        seen = now
        page.wait_for_timeout(100)
    return seen


def changed(page: Any, selector: str, times: int = 1) -> None:
    """Wait until what an element says has changed, so often."""
    for _ in range(times):
        before = json.dumps(page.inner_text(selector))
        until(page, f"document.querySelector({json.dumps(selector)}).innerText !== {before}")
