"""Every snippet of the README and of docs/ runs, and prints what the page says."""

from __future__ import annotations

import pytest
from pages import PAGES, TRAIN_LONG, Block, blocks, differences, run_page, run_python

SHORT = [page for page in PAGES if page.stem not in TRAIN_LONG]


@pytest.mark.parametrize("page", SHORT, ids=lambda page: page.stem)
def test_every_snippet_of_a_page_runs(page, desk):
    assert not run_page(page)


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
