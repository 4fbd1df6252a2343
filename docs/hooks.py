"""Hooks of MkDocs: pages that are made (reference, examples, benchmarks), and links to them.

The Markdown files of this folder read as well where they lie: a link to ``../examples/seeds.py``
becomes a link to the example's page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LAB = "src/thetahat/lab/experiments"


def on_config(config: Any) -> Any:
    """Add the pages that are made to the menu."""
    names = {name: pages for part in config.nav for name, pages in part.items()}
    names["Gallery"] += [*_examples(), {"Programs of the lab": _experiments()}]
    names["Reference"] += ["reference.md", {"Benchmarks": [path for path, _ in _benchmarks()]}]
    names["Develop"].append({"Decisions": _decisions()})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Make the pages."""
    for path, text in made_pages():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite what GitHub and MkDocs write in two ways: links to programs, and kinds of blocks."""
    markdown = re.sub(r"\]\(\.\./examples/([\w/]+)\.py\)", r"](examples/\1.md)", markdown)
    inside = rf"\]\(\.\./{LAB}/(\w+)\.py\)"
    markdown = re.sub(inside, r"](lab/\1.md)", markdown)
    markdown = markdown.replace("](../benchmarks/results/", "](benchmarks/")
    markdown = markdown.replace("](reference.html)", "](reference.md)")
    return re.sub(r"^(\s*```)(\w+) [^\n`]+$", r"\1\2", markdown, flags=re.MULTILINE)


def made_pages() -> Iterator[tuple[str, str]]:
    """Each page that no file of this folder holds: its path and its Markdown."""
    sys.path.insert(0, str(DOCS))
    from reference import reference_markdown

    yield "reference.md", reference_markdown()
    sources = [(path, (ROOT / path).with_suffix(".py")) for path in _examples()]
    sources += [(path, ROOT / LAB / f"{Path(path).stem}.py") for path in _experiments()]
    for path, source in sources:
        text = source.read_text(encoding="utf-8")
        title = text.removeprefix('"""').partition("\n")[0].rstrip(".").strip()
        yield path, f"# {title}\n\n```python\n{text}```\n"
    yield from _benchmarks()


def _benchmarks() -> list[tuple[str, str]]:
    """The tables of measurements, each with its date."""
    return [
        (f"benchmarks/{source.name}", source.read_text(encoding="utf-8"))
        for source in sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    ]


def _programs(folder: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).glob("*.py") if p.stem != "__init__")


def _examples() -> list[str]:
    """The paths of the examples' pages, those of functional equations last."""
    folders = [ROOT / "examples", ROOT / "examples" / "equations"]
    found = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return [path.relative_to(ROOT).with_suffix(".md").as_posix() for path in found]


def _experiments() -> list[str]:
    return [f"lab/{path.stem}.md" for path in _programs(LAB)]


def _decisions() -> list[str]:
    return [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").glob("*.md"))]
