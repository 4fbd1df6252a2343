"""The pages describe every loss and every sampler, where a reader looks for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from thetahat import risk

# Help is compared with the lists, and the parsers have it.
from thetahat.cli._parser import parser_of
from thetahat.search import SAMPLERS

# The powers of units are one more list of losses, and a fit of each would be dear.
from thetahat.train._risk_unit import risk_unit

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, title: str) -> str:
    """The text below a heading of a page, up to the next."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.mark.parametrize("name", risk.LOSSES)
def test_every_loss_is_in_the_table_of_formulas(name: str) -> None:
    assert f'\n| `"{name}"`' in section("risk.md", "Losses"), "docs/risk.md, Losses"


@pytest.mark.parametrize("name", risk.LOSSES)
def test_every_loss_with_needs_of_its_own_is_in_the_table_of_targets(name: str) -> None:
    needs = section("risk.md", "What a loss needs of its targets")
    own = risk.resolve_loss(name).needs is not risk.resolve_loss("squared").needs
    assert (f'\n| `"{name}"`' in needs) == own, "docs/risk.md, What a loss needs of its targets"


@pytest.mark.parametrize("name", risk.LOSSES)
def test_the_risk_of_every_loss_has_a_unit(name: str) -> None:
    assert risk_unit(name, "", None) is not None, "_POWERS or _NATS of train/_risk_unit.py"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_under_searching(name: str) -> None:
    said = f"`{name}`" in section("sweeps.md", "Searching")
    assert said or name == "grid", "docs/sweeps.md, Searching"


@pytest.mark.parametrize(
    ("command", "names"), [("fit", risk.LOSSES), ("sweep", [n for n in SAMPLERS if n != "grid"])]
)
def test_help_lists_every_choice(command: str, names: list[str]) -> None:
    said = re.sub(r"\s+", " ", parser_of(command)[0].format_help())
    for name in names:
        assert re.search(rf"\b{name}\b", said), name
