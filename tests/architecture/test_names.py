"""The public surface: what ``thetahat`` exports, what type checkers see, and what a name means."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
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


def test_a_class_name_means_one_thing() -> None:
    sources = Path(th.__file__).parent
    classes, places = set(), defaultdict(set)
    for path in sorted(sources.rglob("*.py")):
        if path.relative_to(sources).parts[0] == "wandb":
            continue  # its names are those of W&B's client
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        classes |= own
        for name in (*own, *_assigned(tree)):
            places[name].add(str(path.relative_to(sources)))
    twice = {name: sorted(places[name]) for name in sorted(classes) if len(places[name]) > 1}
    assert twice == {}


def _assigned(tree: ast.Module) -> Iterator[str]:
    """Names that a module assigns at its top: aliases of types are among them."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
