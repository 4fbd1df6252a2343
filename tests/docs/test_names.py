"""Every public name is documented: a docstring that holds, and a mention in the pages."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import thetahat
from thetahat import cli, core

# The pages are compared with the lists of public names.
from thetahat._names import HOMES, ROOMS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md")))
NUMPYS_OWN = {"shape", "dtype", "ndim", "size"}
"""Attributes that mean what they mean in NumPy."""
NOT_IMPORTED = ("thetahat._public", "thetahat.search._ax")
"""For type checkers only; and Ax, whose libraries warn of each other."""


def modules() -> list[str]:
    """Every module of the package."""
    found = pkgutil.walk_packages(thetahat.__path__, "thetahat.")
    return ["thetahat", *(m.name for m in found if m.name not in NOT_IMPORTED)]


def public() -> list[tuple[str, object]]:
    """Every public class and function, by its name as a user writes it."""
    named = [(f"th.{name}", getattr(importlib.import_module(h), name)) for name, h in HOMES.items()]
    for room, home in ROOMS.items():
        module = importlib.import_module(home)
        for name, value in vars(module).items():
            ours = getattr(value, "__module__", "") or ""
            if not name.startswith("_") and ours.startswith("thetahat") and callable(value):
                named.append((f"th.{room}.{name}", value))
    kinds = (type, type(public))
    return [(name, value) for name, value in named if isinstance(value, kinds)]


@pytest.mark.parametrize("name", HOMES)
def test_every_public_name_is_mentioned_in_the_docs(name):
    assert re.search(rf"\bth\.{name}\b", TEXT), f"docs/ never says th.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_mentioned_in_the_docs(room):
    rooms = {"core", "dgp", "models", "risk", "optim"}
    if room in rooms:
        assert re.search(rf"\bth\.{room}\b", TEXT)


def test_every_error_is_in_the_tree_of_the_docs():
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    for name, value in vars(core).items():
        if isinstance(value, type) and issubclass(value, core.ThetahatError):
            assert re.search(rf"^    .*\b{name}\b", page, re.MULTILINE), name
            assert value.exit_code in (1, 2, 130)


def test_the_table_of_optimizers_is_complete_and_right():
    # The pages are compared with the lists of public names.
    from thetahat.optim._named import _NAMED

    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)?) +\| *([\d.]*) *\|", TEXT, re.MULTILINE)
    said = {name: rate for names, rate in rows for name in re.findall(r"`(\w+)`", names)}
    for name, known in _NAMED.items():
        assert name in said, f"optimizers.md has no row for {name}"
        assert (float(said[name]) if said[name] else None) == known.lr, name


def test_names_that_the_docs_say_exist():
    for path in sorted(set(re.findall(r"\bth((?:\.[A-Za-z_]\w*)+)", TEXT))):
        value = thetahat
        for part in path.strip(".").split("."):
            assert hasattr(value, part), f"docs/ say th{path}, which does not exist"
            value = getattr(value, part)


@pytest.mark.parametrize(("name", "value"), public(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_public_thing_has_a_docstring(name, value):
    doc = inspect.getdoc(value)
    assert doc, f"{name} has no docstring"
    assert not doc.startswith(f"{value.__name__}("), f"{name} has the docstring of a dataclass"
    assert len(doc.splitlines()) <= 40, f"{name}: a docstring of more than 40 lines"
    if not isinstance(value, type):
        return
    for which, held in vars(value).items():
        plain = held.fget if isinstance(held, property) else held
        if which.startswith("_") or which in NUMPYS_OWN:
            continue
        if inspect.isfunction(plain):
            assert plain.__doc__, f"{name}.{which} has no docstring"


@pytest.mark.parametrize("name", modules())
def test_every_doctest_passes(name, tmp_path, monkeypatch, fresh_programs):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    with np.printoptions():
        failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_main_is_documented_as_it_is():
    assert list(inspect.signature(cli.main).parameters) == ["experiment", "args", "on"]
