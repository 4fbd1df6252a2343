"""The site builds, and every link in it, in the README and in the changelog leads somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_build"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(builder, tmp_path_factory):
    into = tmp_path_factory.mktemp("docs") / "site"
    builder.build(into)
    return into


class Seen(HTMLParser):
    """Links, pictures, anchors and open elements of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.anchors, self.open = [], set(), []

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        self.links += [said[name] for name in ("href", "src") if name in said]
        if "id" in said:
            assert said["id"] not in self.anchors, f"two anchors {said['id']!r}"
            self.anchors.add(said["id"])
        if tag not in ("meta", "link", "br", "hr", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def seen(page):
    found = Seen()
    found.feed(page.read_text(encoding="utf-8"))
    found.close()
    assert not found.open, f"{page.name} leaves {found.open} open"
    return found


def test_every_link_of_the_site_resolves(site):
    pages = {path: seen(path) for path in site.rglob("*.html")}
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


def test_every_page_is_in_the_menu_and_every_file_is_a_page(builder, site):
    written = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert written == set(builder.PAGES)
    menu = seen(site / "index.html").links
    assert {f"{name}.html" for name in builder.PAGES} <= set(menu)
    assert "reference.html" in menu


def test_the_reference_has_every_public_name(site):
    # The pages are compared with the list of public names.
    from thetahat._names import HOMES, ROOMS

    text = (site / "reference.html").read_text(encoding="utf-8")
    for name in HOMES:
        assert f"<code>th.{name}</code>" in text, name
    for room in ROOMS:
        assert f">th.{room}<" in text, room
    assert " at 0x" not in text, "an address of this process is in the reference"


def test_code_is_escaped_and_anchors_are_those_of_github(builder):
    assert "&lt;script&gt;" in builder.rendered("```python\n'<script>'\n```\n")
    assert builder.anchor("Penalties, ridge and weight decay") == "penalties-ridge-and-weight-decay"
    assert builder.anchor("`th.fit`") == "thfit"
    assert builder.linked("data.md#tables") == "data.html#tables"
    assert builder.linked("../examples/seeds.py") == "examples/seeds.html"
    assert builder.linked("https://example.org/a.md") == "https://example.org/a.md"


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
