"""Small-cell suppression: what rests on too few runs is gone, from words, tables, figures and files."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
import stores

from thetahat.analysis import CellRule
from thetahat.core import ConfigError
from thetahat.core.run import Status
from thetahat.report import Document, make_report, render, save_figures
from thetahat.store import NewSweep, Store, create_sweep

FORMATS = ("html", "latex", "md", "csv")
TEXT = "method: grid\nmetric: {name: val_risk}\n"


def sweep_of(store: Store, sizes: dict[str, int], failed: int = 0) -> str:
    """A sweep of settings with so many seeds each; values tell setting and seed apart."""
    sweep = create_sweep(store, NewSweep(TEXT, "cells"))
    for k, (kind, n) in enumerate(sizes.items()):
        for seed in range(n):
            value = 0.1111 * (k + 1) + 0.0001 * seed
            curve = {"epoch": [1, 2], "train_risk": [1.0, value], "val_risk": [1.0, value]}
            stores.add_run(
                store, sweep, {"kind": kind, "seed": seed}, curve, metrics={"val_risk": value}
            )
    for seed in range(failed):
        why = f"ValueError: person {seed} has no wage"
        config = {"kind": next(iter(sizes)), "seed": 100 + seed}
        stores.add_run(store, sweep, config, {}, Status.FAILED, reason=why, metrics={})
    return sweep.id


def shown(document: Document) -> dict[str, str]:
    """The first number of each setting."""
    rows = csv.DictReader(io.StringIO(render(document, "csv")))
    return {row["kind"]: row["val_risk median"] for row in rows}


def test_settings_with_too_few_runs_are_suppressed(empty: Store) -> None:
    sweep = sweep_of(empty, {"few": 2, "many": 9, "none": 3, "some": 6})
    document = make_report(empty, sweep, min_cell=5)
    found = shown(document)
    assert {kind for kind, value in found.items() if value == "suppressed (<5)"} == {"few", "none"}
    assert float(found["many"]) == pytest.approx(0.2226)
    assert float(found["some"]) == pytest.approx(0.44465)
    for format in FORMATS:
        text = render(document, format)
        assert "suppressed" in text
        # Medians and quantiles of the hidden settings, however they are rounded.
        assert "0.1111" not in text and "0.33" not in text, format
    assert "(2 of 4 settings are hidden)" in document.warnings[-1]


def test_one_hidden_cell_takes_its_nearest_with_it(empty: Store) -> None:
    sweep = sweep_of(empty, {"a": 9, "b": 3, "c": 6})
    found = shown(make_report(empty, sweep, min_cell=5))
    assert {kind for kind, value in found.items() if "suppressed" in value} == {"b", "c"}


def test_hidden_settings_stand_last_and_in_no_telling_order(empty: Store) -> None:
    sweep = sweep_of(empty, {"z": 2, "many": 9, "a": 3})
    assert list(shown(make_report(empty, sweep, min_cell=5))) == ["many", "a", "z"]


def test_figures_of_single_runs_are_gone(empty: Store, tmp_path: Path) -> None:
    sweep = sweep_of(empty, {"few": 2, "many": 9, "less": 3})
    document = make_report(empty, sweep, min_cell=5)
    drawn = {picture.name for picture in document.pictures if picture.draw is not None}
    assert drawn == {"curves"}
    text = render(document, "html")
    assert "Left out, as it would show single runs (--min-cell 5): Progress; Seeds" in text
    assert text.count("<figure>") == 1 and "10 to 90 % of 9 runs" in text
    assert {path.stem for path in save_figures(document, tmp_path)} == {"curves"}
    assert all(run.name not in text for run in empty.runs())


def test_a_search_without_seeds_shows_no_setting_at_all(store: Store) -> None:
    document = make_report(store, "wages, two layers", min_cell=3)
    assert document.summary[1] == "There is no best setting: no run may be shown for val_risk."
    assert all(
        row["val_risk.median"] == "suppressed (<3)"
        for row in document.grid.rows
        if "val_risk.median" in row
    )
    assert dict(document.notes)["Seeds"] == "fewer than 3 seeds each"
    drawn = {picture.name for picture in document.pictures if picture.draw is not None}
    assert drawn == {"importance"}  # over all runs


def test_few_failures_are_not_counted_nor_quoted(empty: Store) -> None:
    sweep = sweep_of(empty, {"a": 9, "b": 8}, failed=2)
    open_said = render(make_report(empty, sweep), "md")
    assert "person 0" in open_said and "17 finished and 2 failed" in open_said
    document = make_report(empty, sweep, min_cell=5)
    for format in FORMATS:
        text = render(document, format)
        assert "person" not in text, format
        words = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
        assert "2 failed" not in words and not re.search(r"\b17\b", words), format
    assert "how many ended how is suppressed" in document.summary[0]
    assert dict(document.notes)["Failures"] == "<5 failed"


def test_runs_that_rest_on_few_observations_are_left_out(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep(TEXT, "observed"))
    for seed in range(12):
        config = {"N": 500 if seed < 8 else 3, "seed": seed}
        stores.add_run(empty, sweep, config, {}, metrics={"val_risk": 1.0 + seed})
    document = make_report(empty, sweep.id, min_cell=5)
    assert "4 runs left out" in document.warnings[-1]
    assert document.summary[0].startswith("8 runs of a grid search")
    assert "12" not in render(document, "csv")


def test_a_run_is_one_and_never_shown(empty: Store) -> None:
    sweep = sweep_of(empty, {"a": 2})
    run = empty.runs()[0]
    message = f"--min-cell=2: a report of one run shows one run; give the id of its sweep, {sweep}"
    with pytest.raises(ConfigError, match=message):
        make_report(empty, run.id, min_cell=2)


@pytest.mark.parametrize("least", [0, -3])
def test_a_rule_that_is_none_is_refused(least: int) -> None:
    with pytest.raises(ConfigError, match=f"--min-cell={least}: give a whole number of at least 1"):
        CellRule(least)


def test_without_the_flag_nothing_is_hidden(empty: Store) -> None:
    document = make_report(empty, sweep_of(empty, {"a": 1, "b": 2}))
    assert all("suppressed" not in render(document, format) for format in FORMATS)
