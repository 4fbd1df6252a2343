"""Build the documentation: ``python docs/build.py [FOLDER]`` writes a static site into ``site/``.

The pages are the Markdown files of this folder, so they read as well where they lie; links between
them, to decisions and to examples become links of the site. The reference is made from docstrings.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = (
    "index",
    "tutorial-table",
    "tutorial-arrays",
    "tutorial-equation",
    "tutorial-sweep",
    "coming-from",
    "concepts",
    "data",
    "classification",
    "models",
    "your-own-model",
    "pytorch",
    "pytorch-native",
    "small-tables",
    "scikit-learn",
    "double-ml",
    "risk",
    "optimizers",
    "stopping",
    "save-load-predict",
    "warm-start",
    "events",
    "trackers",
    "cohorts",
    "sweeps",
    "sweep-language",
    "store",
    "page",
    "report",
    "notebook",
    "from-python",
    "tables",
    "cli",
    "reproducibility",
    "errors",
    "architecture",
)
"""The pages in the order of the menu; the reference, the examples and the decisions follow."""


@dataclass(frozen=True)
class Page:
    """One page of the site: its path there, its title, its body as HTML."""

    path: str
    title: str
    body: str


def build(into: Path) -> list[Page]:
    """Write the whole site into a folder, which is emptied first."""
    pages = [*markdown_pages(), reference_page(), *example_pages()]
    if into.exists():
        shutil.rmtree(into)
    menu = [page for page in pages if "/" not in page.path]
    for page in pages:
        target = into / page.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(framed(page, menu), encoding="utf-8")
    css = (DOCS / "style.css").read_text(encoding="utf-8")
    (into / "style.css").write_text(css + colours(), encoding="utf-8")
    shutil.copytree(DOCS / "images", into / "images")
    return pages


def markdown_pages() -> list[Page]:
    """The pages written by hand, and the decisions."""
    sources = [DOCS / f"{name}.md" for name in PAGES] + sorted((DOCS / "decisions").glob("*.md"))
    pages = []
    for source in sources:
        text = source.read_text(encoding="utf-8")
        path = source.relative_to(DOCS).with_suffix(".html").as_posix()
        pages.append(Page(path, title_of(text), rendered(text)))
    return pages


def example_pages() -> list[Page]:
    """Every example, as it is."""
    pages = []
    for source in sorted((ROOT / "examples").glob("*.py")):
        text = source.read_text(encoding="utf-8")
        title = text.removeprefix('"""').partition("\n")[0].rstrip(".").strip()
        body = f"<h1>{html.escape(title)}</h1>\n{coloured(text, 'python')}"
        pages.append(Page(f"examples/{source.stem}.html", title, body))
    return pages


def reference_page() -> Page:
    """The reference, from docstrings."""
    sys.path.insert(0, str(DOCS))
    from reference import reference_markdown

    text = reference_markdown()
    return Page("reference.html", title_of(text), rendered(text))


def title_of(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"a page without a heading: {text[:60]!r}")
    return found.group(1).strip().replace("`", "")


def rendered(text: str) -> str:
    """Markdown as HTML, with anchors at headings and links that work within the site."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(text)
    anchors: Counter[str] = Counter()
    for i, token in enumerate(tokens):
        if token.type == "heading_open":
            name = anchor(tokens[i + 1].content)
            token.attrSet("id", f"{name}-{anchors[name]}" if anchors[name] else name)
            anchors[name] += 1
        if token.type == "fence":
            language = token.info.split()[0] if token.info.split() else "text"
            token.type, token.content = "html_block", coloured(token.content, language)
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", linked(str(child.attrGet("href"))))
    return parser.renderer.render(tokens, parser.options, {})


def anchor(heading: str) -> str:
    """A heading's name in links, as GitHub makes it."""
    plain = re.sub(r"[`*\[\]]|\(.*?\)(?=$| )", "", heading.lower())
    return re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")


def linked(href: str) -> str:
    """A link of the Markdown files as a link of the site."""
    if re.match(r"[a-z]+:", href) or href.startswith("#"):
        return href
    path, mark, part = href.partition("#")
    path = path.removeprefix("../") if path.startswith("../examples/") else path
    path = re.sub(r"^(examples/.*)\.py$", r"\1.html", path)
    return re.sub(r"\.md$", ".html", path) + mark + part


def coloured(text: str, language: str) -> str:
    """A block of code as HTML."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return highlight(text, lexer, HtmlFormatter(nowrap=False))


def colours() -> str:
    """The colours of code, by day and by night."""
    day = HtmlFormatter(style="default").get_style_defs(".highlight")
    night = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"\n{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n"


def framed(page: Page, menu: list[Page]) -> str:
    """A page with its menu."""
    up = "../" * page.path.count("/")
    items = "\n".join(
        f'<li><a href="{up}{other.path}"'
        + (' aria-current="page"' if other.path == page.path else "")
        + f">{html.escape(other.title)}</a></li>"
        for other in menu
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(page.title)} · thetahat</title>\n"
        f'<link rel="stylesheet" href="{up}style.css">\n</head>\n<body>\n'
        f"<nav>\n<ul>\n{items}\n</ul>\n</nav>\n<main>\n{page.body}\n</main>\n</body>\n</html>\n"
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    written = build(folder)
    sys.stdout.write(f"{len(written)} pages in {folder}\n")
