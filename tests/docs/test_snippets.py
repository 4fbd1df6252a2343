"""Every snippet of the README and of docs/ runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import Block, blocks, commands, differences, run_command, run_python

STANDARD_PROGRAMS = True

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_of_a_page_runs(page, desk):
    namespace = {"__name__": "page"}
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.file is not None:
            Path(block.file).write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            continue
        if block.language == "python":
            came = run_python(block, namespace, page)
            if block.expected is not None:
                assert not differences(block.expected, came), where
            continue
        for command, shown in commands(block):
            assert not differences(shown, run_command(command)), f"{where}: {command}"


def test_pages_that_teach_have_snippets():
    bare = [page.stem for page in PAGES if not any(b.language == "python" for b in blocks(page))]
    assert bare == ["architecture", "cli", "clusters", "gallery", "index", "scale"]


def test_what_a_snippet_prints_is_compared(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1.0)\n```\n```text output\n2.0\n```\n", encoding="utf-8")
    (block,) = blocks(page)
    assert block == Block("python", "print(1.0)\n", 1, "2.0\n")
    assert differences("2.0", run_python(block, {}, page)) == ["expected '2.0'\n     got '1.0'"]
    assert not differences("a 1.00 in 0.3 s", "a  1.01 in 12 s")
    assert differences("a 1.00", "b 1.00")
    assert differences("one line", "two\nlines")


def test_a_block_of_yaml_with_a_name_is_a_file(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```yaml a.yaml\nx: 1\n```\n```yaml\ny: 2\n```\n", encoding="utf-8")
    assert blocks(page) == [Block("yaml", "x: 1\n", 1, file="a.yaml")]
    assert not differences("sweep ab12cd34 (a): grid", "sweep q9w8e7r6 (a): grid")
    assert differences("sweep ab12cd34 (a): grid", "sweep ab12cd34 (b): grid")


def test_a_snippet_sees_what_came_before_and_says_its_line(tmp_path):
    page = tmp_path / "page.md"
    text = "one\n\n```python\nx = 3\n```\n\n```python\nassert x == 4\n```\n"
    page.write_text(text, encoding="utf-8")
    namespace = {}
    first, second = blocks(page)
    run_python(first, namespace, page)
    with pytest.raises(AssertionError) as caught:
        run_python(second, namespace, page)
    assert caught.traceback[-1].lineno + 1 == text.splitlines().index("assert x == 4") + 1
