"""The report as a file: the same bytes every time, nothing fetched, nothing run, all escaped."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import stores
from hostile import HOSTILE, hostile_sweep

from thetahat.core import ConfigError
from thetahat.report import make_report, render, save_figures, write_whole
from thetahat.store import NewSweep, Store, create_sweep

WRITE = """
import dataclasses, hashlib, os, sys
from pathlib import Path
if os.environ["CORES"] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
NAMES = {"progress", "curves", "seeds", "slice-width", "importance", "slice-optimizer"}
forks = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=lambda: forks.append(1))
from thetahat.report import make_report, render, save_figures
from thetahat.store import open_store
with open_store(sys.argv[1], create=False) as store:
    for name in sys.argv[3:]:
        document = make_report(store, name)
        for format in ("html", "latex", "md", "csv"):
            print(name, format, hashlib.sha256(render(document, format).encode()).hexdigest())
        # A figure of each kind once, with a slice of numbers and one of words.
        left = [picture for picture in document.pictures if picture.name in NAMES]
        NAMES -= {picture.name for picture in left}
        document = dataclasses.replace(document, pictures=left)
        folder = Path(sys.argv[2]) / name.replace(" ", "-")
        for path in save_figures(document, folder):
            print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
print(len(forks), file=sys.stderr)
"""
PINS = hasattr(os, "sched_setaffinity")


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def allowed(text: str) -> None:
    """Fail where a page could fetch or run something."""
    page = Tags(text)
    kinds = {tag for tag, _ in page.found}
    assert not kinds & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "a",
        "style2",
    }
    assert sum(tag == "style" for tag, _ in page.found) == 1
    assert "@import" not in text and "url(http" not in text
    for tag, attributes in page.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "action", "data", "background"), (tag, name)
            if name.endswith("href"):
                assert (value or "").startswith(("#", "data:image/png;base64,")), (tag, value)
            for target in re.findall(r"url\(([^)]*)\)", value or ""):
                assert target.startswith("#"), (tag, name, value)


def test_two_processes_write_the_same_bytes(reported: Path, tmp_path: Path) -> None:
    said, forks = [], []
    for k, extra in enumerate(
        (
            {"PYTHONHASHSEED": "1", "TZ": "UTC", "CORES": "all"},
            # On one core all figures are drawn by one process.
            {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "CORES": "one" if PINS else "all"},
        )
    ):
        words = [sys.executable, "-c", WRITE, str(reported), str(tmp_path / str(k))]
        done = subprocess.run(
            [*words, "twenty seeds a width", "wages, two layers"],
            env={**os.environ, **extra, "SOURCE_DATE_EPOCH": str(10**9 * (k + 1))},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout)
        forks.append(int(done.stderr.splitlines()[-1]))
    assert said[0] == said[1]
    several = PINS and sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
    assert (forks[0] > 0, forks[1]) == (several, 0)
    assert said[0].count("html") == 2 and said[0].count(".pdf") == said[0].count(".png") == 6


def test_a_style_of_the_user_changes_nothing(store: Store) -> None:
    import matplotlib

    plain = render(make_report(store, "twenty seeds a width"), "html")
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.hashsalt": "x"}):
        assert render(make_report(store, "twenty seeds a width"), "html") == plain
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    "name", ["wages, two layers", "twenty seeds a width", "tuned on the test set"]
)
def test_a_page_fetches_and_runs_nothing(store: Store, name: str) -> None:
    text = render(make_report(store, name), "html")
    allowed(text)
    assert "http" not in re.sub(r"http-equiv", "", text)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) == text.count("<svg") > 3
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', text))
    assert used and used <= set(ids)


def test_hostile_words_stay_words_in_html(empty: Store) -> None:
    document = make_report(empty, hostile_sweep(empty))
    text = render(document, "html")
    allowed(text)
    assert "<script>document" not in text and "<img" not in text and "\x1b" not in text
    assert HOSTILE in "".join(Tags(text).words)
    run = next(iter(empty.runs()))
    allowed(render(make_report(empty, run.id), "html"))


def test_hostile_words_stay_words_in_latex(empty: Store) -> None:
    text = render(make_report(empty, hostile_sweep(empty)), "latex")
    body = text.partition(r"\caption")[2]
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"50\% \& \#1 \_\{x\}\textasciicircum{}\textasciitilde{}" in text
    # What is left of the specials once escaped ones are taken out belongs to the table itself.
    bare = re.sub(r"\\[&%$#_{}]", "", body)
    assert not re.search(r"(?<!\\)[%#]", bare)
    assert set(re.findall(r"\$([^$]*)\$", bare)) <= set(
        re.findall(r"\$(-?[\d.]+(?: \\times 10\^\{-?\d+\})?)\$", bare)
    )
    assert bare.count("{") == bare.count("}")
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1 and len(lines) == 7


def test_hostile_words_stay_words_in_markdown_and_csv(empty: Store) -> None:
    document = make_report(empty, hostile_sweep(empty))
    text = render(document, "md")
    # The raised letters are the report's own.
    bare = re.sub(r"</?sup>", "", text)
    assert not re.search(r"(?<!\\)<", bare)
    assert "(javascript" not in re.sub(r"\\\]\(javascript", "", text)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    main = tables[: 2 + len(document.grid.rows)]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in main}) == 1
    rows = list(csv.reader(io.StringIO(render(document, "csv"))))
    assert len(rows) == 7 and len({len(row) for row in rows}) == 1


def test_figures_are_written_as_pdf_png_and_svg(store: Store, tmp_path: Path) -> None:
    written = save_figures(make_report(store, "twenty seeds a width"), tmp_path / "new" / "figures")
    names = {path.name for path in written}
    assert names == {
        f"{stem}.{kind}"
        for stem in ("progress", "curves", "seeds", "slice-width")
        for kind in ("pdf", "png", "svg")
    }
    heads = {"pdf": b"%PDF-1.", "png": b"\x89PNG", "svg": b"<?xml"}
    for path in written:
        data = path.read_bytes()
        assert data.startswith(heads[path.suffix[1:]])
        assert b"CreationDate" not in data and b"<dc:date>" not in data
    assert not list(tmp_path.rglob("*.part"))


def test_hostile_parameters_make_plain_file_names(empty: Store, tmp_path: Path) -> None:
    sweep = create_sweep(empty, NewSweep("method: random\n", "x"))
    for k in range(4):
        config = {"../../up": k, "..:up": -k, "a/b\\c": k % 2}
        stores.add_run(empty, sweep, config, {}, metrics={"val_risk": 1.0 + k})
    where = tmp_path / "figures"
    written = save_figures(make_report(empty, sweep.id), where)
    assert {path.parent for path in written} == {where}
    assert sorted(p.stem for p in written if p.suffix == ".svg" and "slice" in p.stem) == [
        "slice-a-b-c",
        "slice-up",
        "slice-up-2",
    ]


def test_a_file_that_cannot_be_written_is_said_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_whole(path, b"one")
    with pytest.raises(
        ConfigError, match=r"cannot write .*: No such file or directory; give another"
    ):
        write_whole(tmp_path / "no" / "report.html", b"two")
    with pytest.raises(ConfigError, match="cannot write"):
        write_whole(tmp_path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert hashlib.sha256(b"one").hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
