"""The site builds, and every link in it, in the README and in the changelog leads somewhere."""

from __future__ import annotations

import os
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site; it is strict, so that a link to nothing raises."""
    into = tmp_path_factory.mktemp("docs") / "site"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MkDocs itself
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(into)))
    return into


class Seen(HTMLParser):
    """Links, pictures and anchors of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], set()

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.links += [said[name] for name in ("href", "src") if name in said]
        if "id" in said:
            assert said["id"] not in self.anchors, f"two anchors {said['id']!r}"
            self.anchors.add(said["id"])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)


def seen(page):
    found = Seen()
    found.feed(page.read_text(encoding="utf-8"))
    found.close()
    return found


def test_every_link_of_the_site_resolves(site):
    pages = {path: seen(path) for path in site.rglob("*.html")}
    del pages[site / "404.html"]  # its links begin at the root of a server
    assert len(pages) > 20
    for path, found in pages.items():
        for link in found.links:
            if re.match(r"[a-z]+:", link):
                continue
            where, _, part = link.partition("#")
            target = (path.parent / where).resolve() if where else path
            assert target.is_file(), f"{path.name}: {link}"
            if part:
                assert part in pages[target].anchors, f"{path.name}: {link}"


def test_the_menu_leads_to_every_page(site):
    menu = set(seen(site / "index.html").links)
    made = {page.relative_to(site).as_posix() for page in site.rglob("*.html")} - {"404.html"}
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= made
    assert any(page.startswith("benchmarks/") for page in made)
    sections = {page for page in made if page in menu}
    assert {"index.html", "reference.html", "gallery.html"} <= made
    for page in sections:
        menu |= {(Path(page).parent / link).as_posix() for link in seen(site / page).links if link}
    flat = {os.path.normpath(link.partition("#")[0]) for link in menu}
    assert made <= flat


def test_no_page_needs_a_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<(script|img|link rel=.stylesheet.)[^>]*(src|href)=.https?:", text)


def test_the_reference_has_every_public_name(site):
    # The pages are compared with the list of public names.
    from thetahat._names import HOMES, ROOMS

    text = (site / "reference.html").read_text(encoding="utf-8")
    for name in HOMES:
        assert f"<code>th.{name}</code>" in text, name
    for room in ROOMS:
        assert f">th.{room}<" in text, room
    assert " at 0x" not in text, "an address of this process is in the reference"


def test_anchors_are_those_of_github(site):
    assert "penalties-ridge-and-weight-decay" in seen(site / "risk.html").anchors


@pytest.mark.parametrize(
    "page",
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "changelog.d/README.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    ],
    ids=lambda page: page.stem,
)
def test_every_relative_link_of_a_markdown_file_resolves(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link) or link.startswith("#") or link == "reference.html":
            continue
        assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


def test_changelog_fragments_are_what_their_readme_says():
    folder = ROOT / "changelog.d"
    kinds = re.findall(r"^\| `(\w+)`", (folder / "README.md").read_text(encoding="utf-8"), re.M)
    assert kinds == ["added", "changed", "fixed", "removed"]
    for fragment in folder.iterdir():
        if fragment.name == "README.md":
            continue
        name, kind, suffix = fragment.name.split(".")
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name), fragment.name
        assert kind in kinds, fragment.name
        assert suffix == "md"
        text = fragment.read_text(encoding="utf-8").strip()
        assert text, fragment.name
        assert not text.startswith("#"), fragment.name
