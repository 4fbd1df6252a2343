"""The path of one number in docs/architecture.md: its functions exist, and it stays short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import thetahat

SOURCE = Path(thetahat.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
CALLS_AT_MOST = 40


def calls() -> list[tuple[str, str]]:
    """(module, function) of every call that the page lists."""
    section = PAGE.read_text(encoding="utf-8").split("## The path of one number")[1]
    section = section.partition("\n## ")[0]
    found = re.findall(r"`([\w/]+\.py)`\s+\(((?:`\w+`(?:, )?)+)\)", section)
    return [(module, name) for module, names in found for name in re.findall(r"\w+", names)]


def test_path_of_one_number_is_short_and_its_length_is_told() -> None:
    assert len(calls()) <= CALLS_AT_MOST
    assert f"These are {len(calls())} calls" in PAGE.read_text(encoding="utf-8")


def test_path_of_one_number_names_what_exists() -> None:
    for module, name in calls():
        tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
        defined = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        assert name in defined, f"{module}: {name}"
