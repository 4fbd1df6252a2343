"""Steps and axes of a program: curves over the column that it defined, and steps called steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from chromium import serving

from thetahat.core import Status
from thetahat.store import NewRun, open_store


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two runs of 90 steps, with a validation loss by epoch."""
    path, runs = tmp_path_factory.mktemp("steps"), []
    with open_store(path) as store:
        for seed in range(2):
            labels = {"axes": {"val/*": "epoch"}}
            with store.batch() as writer:
                run, _ = writer.create_run(NewRun(config={"seed": seed}, labels=labels))
            steps = [*range(90)]
            store.log_block(run, {"step": steps, "loss": [1 / (1 + k) for k in steps]})
            store.log_block(run, {"step": [30, 60], "epoch": [1, 2], "val/loss": [0.5, 0.25]})
            with store.batch() as writer:
                writer.finish_run(run, status=Status.FINISHED)
            runs.append(run)
    return path, runs


def test_a_run_of_steps_says_so(stepped, client_of) -> None:
    path, (run, _) = stepped
    found = client_of(path).get(f"/api/runs/{run}").json()
    assert (found["epochs"], found["counted"]) == (90, "steps")


@pytest.mark.browser
def test_curves_are_drawn_over_the_axis_that_the_program_defined(stepped, look) -> None:
    path, (run, other) = stepped
    with serving(path) as url:
        tab = look(url)
        page = tab.open(f"/run/{run}")
        page.locator("[role=img][aria-label='val/loss, by epoch']").wait_for()
        labels = page.locator("section [role=img]").evaluate_all(
            "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        assert sorted(labels) == ["loss, by step", "val/loss, by epoch"]
        tiles = page.locator(".tile dt").all_inner_texts()
        assert "steps" in tiles and "epochs" not in tiles
        page = tab.open(f"/compare?runs={run},{other}")
        page.locator("tbody th", has_text="steps").wait_for()
        page = tab.open("/")
        page.locator("thead th", has_text="steps").wait_for()
