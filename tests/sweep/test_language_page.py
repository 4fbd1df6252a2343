"""The page about the language: every file on it is valid, and every word of the language is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from thetahat.search import DISTRIBUTIONS
from thetahat.sweep import parse_sweep
from thetahat.sweep.spec import MACROS, METRIC, TOP

PAGE = (Path(__file__).parents[2] / "docs" / "sweep-language.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", FILES)
def test_every_file_of_the_page_is_valid_here_and_for_w_and_b(text, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for strict in (False, True):
        reading = parse_sweep(text, strict=strict)
        assert reading.valid, reading.errors
        assert reading.spec is not None
        assert reading.notes == ()


def test_every_word_of_the_language_is_on_the_page():
    assert len(FILES) == 6
    words = set(re.findall(r"`([^`\n]+)`", PAGE))
    assert set(TOP) <= words
    assert set(DISTRIBUTIONS) <= words
    assert set(METRIC) - words <= {"goal"}
    assert {f"${{{name}}}" for name in MACROS} <= words
