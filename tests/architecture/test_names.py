"""The public surface: what ``thetahat`` exports, and that type checkers see the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import thetahat as th

# The list of public names is what is tested.
from thetahat import _names


def test_every_public_name_loads() -> None:
    for name in th.__all__:
        assert getattr(th, name) is not None


def test_dir_shows_public_names_only() -> None:
    shown = [name for name in dir(th) if not name.startswith("__")]
    assert shown == sorted(th.__all__)


def test_type_checkers_see_what_runs() -> None:
    path = Path(th.__file__).with_name("_public.py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    seen = {
        (alias.asname, node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    wanted = {(n, m, n) for n, m in _names.HOMES.items()}
    wanted |= {(n, *m.rpartition(".")[::2]) for n, m in _names.ROOMS.items()}
    assert seen == wanted


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'thetahat' has no attribute 'fitt'"):
        th.fitt  # noqa: B018
