"""Programs that import wandb, answered here: in this process, in a folder and a store of their own."""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from thetahat.core.places import wandb_path
from thetahat.store import Store, open_store

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, empty, where ``import wandb`` is answered by thetahat."""
    before = {k: sys.modules.pop(k) for k in list(sys.modules) if k.split(".")[0] == "wandb"}
    finders = list(sys.meta_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.syspath_prepend(wandb_path({})["PYTHONPATH"])
    yield tmp_path
    import wandb

    wandb.teardown()
    for name in [k for k in sys.modules if k.split(".")[0] == "wandb"]:
        del sys.modules[name]
    sys.modules.update(before)
    sys.meta_path[:] = finders


@pytest.fixture
def client(here: Path) -> Any:
    """The module ``wandb`` of a program."""
    import wandb

    return wandb


@pytest.fixture
def run_program(client: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a program of this folder as a script."""

    def run(name: str, *words: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
        with contextlib.suppress(SystemExit):  # click ends so
            runpy.run_path(str(PROGRAMS / f"{name}.py"), run_name="__main__")
        client.teardown()

    return run


@pytest.fixture
def store(here: Path) -> Iterator[Store]:
    """The store of the programs here."""
    with open_store(here / ".thetahat") as opened:
        yield opened
