"""What a report says: the best, the failed, what is doubtful beside its number, and where from."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
from typing import Any

import pytest
import stores

from thetahat.analysis import Effect, flat_config, read_study
from thetahat.core import ConfigError, StoreError
from thetahat.core.run import Status
from thetahat.report import Document, make_report, render
from thetahat.store import NewSweep, Store, create_sweep, find_sweep

TUNING, SEEDS, TESTED = "wages, two layers", "twenty seeds a width", "tuned on the test set"


def main_cells(document: Document) -> list[dict[str, Any]]:
    """The rows of the main table as CSV has them."""
    return list(csv.DictReader(io.StringIO(render(document, "csv"))))


def test_the_best_setting_is_the_one_with_the_best_median(store: Store) -> None:
    study = read_study(store, find_sweep(store, SEEDS))
    assert study.best is not None
    by_width: dict[int, list[float]] = {}
    for run in store.runs(sweep_id=study.sweep.id):
        if run.status is Status.FINISHED:
            by_width.setdefault(run.config["width"], []).append(run.metrics["val_risk"])
    medians = {w: sorted(v)[len(v) // 2 - 1 : len(v) // 2 + 1] for w, v in by_width.items()}
    best = min(
        by_width, key=lambda w: sum(medians[w]) / 2 if len(by_width[w]) % 2 == 0 else medians[w][1]
    )
    assert study.best.config["width"] == best
    assert study.best.varying == {"width": best}
    assert "seed" not in study.best.config
    said = make_report(store, SEEDS).summary
    assert said[0] == "60 runs of a grid search over width: 59 finished and 1 diverged."
    assert f"at width={best}, over 20 runs (10 to 90 % quantiles: " in said[1]


def test_the_table_is_ordered_from_the_best_and_csv_has_all_of_it(store: Store) -> None:
    document = make_report(store, TUNING, top=5)
    assert len(document.grid.rows) == 5
    assert document.grid.more == "The 5 best of 80 settings."
    cells = main_cells(document)
    assert len(cells) == 80
    values = [float(row["val_risk"]) for row in cells if row["val_risk"]]
    assert values == sorted(values) and len(values) > 60
    best = min(
        run.metrics["val_risk"] for run in store.runs(sweep_id=document.ident, status="finished")
    )
    assert values[0] == best


def test_a_goal_to_maximise_turns_the_order(empty: Store) -> None:
    text = "method: grid\nmetric: {name: r2, goal: maximize}\nparameters: {lr: {values: [1, 2]}}\n"
    sweep = create_sweep(empty, NewSweep(text, "r2"))
    for lr, r2 in ((1, 0.2), (2, 0.9)):
        stores.add_run(empty, sweep, {"lr": lr}, {}, metrics={"r2": r2})
    document = make_report(empty, sweep.id)
    assert [row["config.lr"] for row in document.grid.rows] == [2, 1]
    assert "The highest r2 is 0.9 at lr=2." in document.summary[1]


def test_chance_above_everything_is_said_in_words(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(study: object) -> list[Effect]:
        return [
            Effect("lr", 80, 80, 0.75, 0.25, None, None, None),
            Effect("width", 80, 80, 0.25, 1.625, None, None, None),
        ]

    monkeypatch.setattr("thetahat.analysis._study.Study.effects", property(found))
    document = make_report(store, TUNING)
    grid = next(grid for grid in document.grids if grid.title == "Parameters")
    told = {row["parameter"]: (row.get("importance"), row.get("chance")) for row in grid.rows}
    assert told["lr"] == ("75%", "25%")
    assert told["width"] == ("25%", "any")
    assert grid.more.endswith(
        " over 80 settings with a number, each the median of its runs; an importance below what"
        " chance reaches means nothing, and one irrelevant parameter in twenty exceeds it."
        " Where that is 'any', chance reaches more than all importances together."
    )
    assert "162%" not in render(document, "md")


def test_a_sweep_in_which_nothing_clears_chance_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Effect(name, 80, 80, 0.0, None, 0.1, None, None) for name in ("lr", "width")]
    monkeypatch.setattr("thetahat.analysis._study.Study.effects", found)
    document = make_report(store, TUNING)
    grid = next(grid for grid in document.grids if grid.title == "Parameters")
    [lr] = [row for row in grid.rows if row["parameter"] == "lr"]
    assert (lr["importance"], lr["chance"], lr["correlation"]) == ("0%", "any", "+0.10")
    assert grid.more.endswith("No parameter does here.")


def test_failures_are_counted_with_their_reasons(store: Store) -> None:
    document = make_report(store, TUNING)
    failures = next(grid for grid in document.grids if grid.title == "What failed, and why")
    lost = [
        run for run in store.runs(sweep_id=document.ident) if run.status in ("failed", "diverged")
    ]
    assert sum(row["runs"] for row in failures.rows) == len(lost) > 2
    assert {
        "status": "diverged",
        "runs": 3,
        "reason": "train_risk = nan at epoch 14",
    } in failures.rows
    assert any("tenure" in row["reason"] for row in failures.rows)


@pytest.mark.parametrize("format", ["html", "latex", "md"])
def test_what_is_doubtful_is_marked_at_its_number(store: Store, format: str) -> None:
    raised = {"html": "<sup>{}</sup>", "latex": r"\tnote{{{}}}", "md": "<sup>{}</sup>"}[format]
    tested = render(make_report(store, TESTED), format)
    letters = "c,s" if format == "latex" else "cs"
    assert tested.count(raised.format(letters)) == 12
    assert "contaminated" in tested and "Not finished" in tested
    seeds = render(make_report(store, SEEDS), format)
    assert seeds.count(raised.format("f")) in (
        1,
        2,
    )  # the number, and in HTML and Markdown a legend
    running = make_report(store, TUNING)
    assert (
        "Not finished: the sweep is running; 1 run is not over. Numbers may move."
        in running.warnings
    )
    assert any(line.startswith("One seed a setting") for line in running.warnings)


def test_a_contaminated_sentence_says_so_beside_its_number(store: Store) -> None:
    said = make_report(store, TESTED).summary[1]
    assert re.match(r"The lowest test_loss is [\d.]+ \(contaminated\) at lr=", said)


def test_formats_carry_the_same_numbers(store: Store) -> None:
    document = make_report(store, SEEDS)
    medians = [float(row["val_risk median"]) for row in main_cells(document)]
    shown = [f"{value:.5f}" for value in medians]
    for format in ("html", "latex", "md"):
        text = render(document, format)
        assert all(number in text for number in shown), format


def test_notes_say_where_the_numbers_come_from(store: Store) -> None:
    notes = dict(make_report(store, SEEDS).notes)
    assert notes["n"].startswith("60 runs, 1 without a number; runs that failed or did not finish")
    assert notes["Seeds"] == "20 seeds each"
    assert notes["Failures"] == "1 diverged"
    assert notes["Versions"] == "python 3.11.9, thetahat 0.1.0, jax 0.10.2, numpy 2.4.6"
    assert notes["Splits"] == "training part; the same data in every run"
    assert notes["Looks at the test part"] == "not recorded"
    assert notes["Code"] == "git commit 0123456789ab"


def test_looks_at_the_test_part_are_summed(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: grid", "looks"))
    curve = {"epoch": [1], "train_risk": [1.0], "val_risk": [1.0]}
    for lr, looks in ((1, 1), (2, 3), (3, 0)):
        stores.add_run(empty, sweep, {"lr": lr}, curve, detail={"test_looks": looks})
    notes = dict(make_report(empty, sweep.id).notes)
    assert (
        notes["Looks at the test part"]
        == "4 in all, by 2 of 3 runs, after training, at the best epoch"
    )


def test_only_the_records_of_the_best_runs_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    history = Store.history

    def counting(self: Store, run_id: str) -> Any:
        read.append(run_id)
        return history(self, run_id)

    monkeypatch.setattr(Store, "history", counting)
    render(make_report(store, TUNING), "html")
    assert len(read) == 6


def test_an_empty_sweep_has_a_report(empty: Store) -> None:
    sweep = create_sweep(
        empty, NewSweep("method: grid\nparameters: {lr: {values: [1, 2]}}\n", "none yet")
    )
    for format in ("html", "latex", "md", "csv"):
        assert render(make_report(empty, sweep.id), format)
    document = make_report(empty, sweep.id)
    assert document.summary[0] == "0 runs of a grid search over lr: none yet."
    assert document.summary[1] == "There is no best setting: no run has a number for val_risk."
    assert document.pictures == []


def test_a_sweep_in_which_all_failed_has_a_report(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: grid", "bad luck"))
    for lr in (1, 2):
        why = "ValueError: no"
        stores.add_run(empty, sweep, {"lr": lr}, {}, Status.FAILED, reason=why, metrics={})
    document = make_report(empty, sweep.id)
    assert "2 of 2 runs failed or diverged (100%)." in document.warnings
    assert "What failed, and why" in render(document, "html")


def test_nan_metrics_and_a_single_run(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: grid\nmetric: {name: val_risk}\n", "one"))
    curve = {"epoch": [1, 2], "train_risk": [1.0, math.nan], "val_risk": [0.5, math.nan]}
    stores.add_run(empty, sweep, {"lr": 0.1}, curve, metrics={"val_risk": 0.5, "other": None})
    text = render(make_report(empty, sweep.id), "html")
    assert "The val_risk is 0.5. It is one run with one seed.<" in text
    assert ">nan<" not in text.lower()


def test_configs_nested_listed_and_missing(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: random\n", "odd"))
    configs: list[dict[str, Any]] = [
        {"net": {"widths": [64, 64]}, "on": True},
        {"net": {"widths": [32]}, "on": False},
        {"net": {"widths": [32], "extra": None}},
    ]
    for k, config in enumerate(configs):
        stores.add_run(empty, sweep, config, {}, metrics={"val_risk": 1.0 + k})
    document = make_report(empty, sweep.id)
    assert [row["config.net.widths"] for row in document.grid.rows] == [[64, 64], [32], [32]]
    latex = render(document, "latex")
    # A row that began with a bracket would be read as an argument of the line's end above it.
    assert "\n{}[64, 64] & yes" in latex
    assert flat_config(configs[0])["net.widths"] == [64, 64]


def test_a_metric_can_be_chosen_and_a_wrong_one_is_refused(store: Store) -> None:
    document = make_report(store, SEEDS, metric="train_risk")
    assert "train_risk" in document.summary[1]
    with pytest.raises(
        ConfigError, match="--metric val_rsk: no run has it; did you mean 'val_risk'"
    ):
        make_report(store, SEEDS, metric="val_rsk")


@pytest.mark.parametrize(
    ("metric", "goal", "asked", "best", "word"),
    [
        ("val_risk", "minimize", "val_accuracy", 2, "highest"),
        ("val_accuracy", "maximize", "val_risk", 1, "lowest"),
        ("val_accuracy", "maximize", "error", 1, "lowest"),
    ],
)
def test_another_metric_is_ranked_in_its_own_direction(
    empty: Store, metric: str, goal: str, asked: str, best: int, word: str
) -> None:
    text = f"method: grid\nmetric: {{name: {metric}, goal: {goal}}}\nparameters: {{lr: {{min: 1}}}}"
    sweep = create_sweep(empty, NewSweep(text, "two"))
    detail = {"directions": {"val_risk": "min", "val_accuracy": "max", "error": "min"}}
    for lr, accuracy in ((1, 0.2), (2, 0.9)):
        numbers = {"val_risk": 0.1 * lr, "val_accuracy": accuracy, "error": 0.3 * lr}
        stores.add_run(empty, sweep, {"lr": lr}, {}, metrics=numbers, detail=detail)
    document = make_report(empty, sweep.id, metric=asked)
    assert document.grid.rows[0]["config.lr"] == best
    assert document.summary[1].startswith(f"The {word} {asked} is ")


@pytest.mark.parametrize(
    ("file", "asked", "directions", "unsaid"),
    [
        ("{name: loss, goal: minimize}", "accuracy", {}, True),
        ("{name: loss, goal: minimize}", "score", {"accuracy": "max"}, True),
        ("{name: loss}", "reward", {}, True),
        ("{name: loss, goal: minimize}", "loss", {}, False),
        ("{name: loss, goal: minimize}", None, {}, False),
        ("{name: loss, goal: minimize}", "val_risk", {}, False),
        ("{name: loss, goal: minimize}", "accuracy", {"accuracy": "max"}, False),
    ],
)
def test_a_metric_whose_direction_nothing_says_is_not_called_the_best(
    empty: Store, file: str, asked: str | None, directions: dict[str, str], unsaid: bool
) -> None:
    text = f"method: grid\nmetric: {file}\nparameters: {{lr: {{values: [1, 2]}}}}"
    sweep = create_sweep(empty, NewSweep(text, "program"))
    for lr in (1, 2):
        names = ("loss", "accuracy", "score", "reward", "val_risk")
        metrics = dict.fromkeys(names, 0.1 * lr)
        detail = {"directions": directions}
        stores.add_run(empty, sweep, {"lr": lr}, {}, metrics=metrics, detail=detail)
    document = make_report(empty, sweep.id, metric=asked)
    warned = f"Nothing says in which direction {asked} is better"
    assert any(said.startswith(warned) for said in document.warnings) == unsaid
    fact = dict(document.facts)["Metric"]
    assert ("nothing says whether less or more is better" in fact) == unsaid
    assert ("; the sweep file names loss" in fact) == (asked not in (None, "loss"))


@pytest.mark.parametrize(
    ("goal", "values", "said"),
    [
        ("minimize", [[0.5], [0.2], [0.2]], "lowest val_risk is 0.2 at 2 settings alike"),
        ("maximize", [[0.5], [0.5], [0.2]], "highest val_risk is 0.5 at 2 settings alike"),
        ("minimize", [[0.5], [0.5], [0.5]], "lowest val_risk is 0.5 at 3 settings alike"),
        (
            "minimize",
            [[0.5, 0.5], [0.1, 0.3], [0.2, 0.2]],
            "lowest median val_risk is 0.2 at 2 settings alike",
        ),
        # One that is as good by a lucky run alone is not alike.
        ("minimize", [[0.9, 0.9], [0.2, 0.9], [0.3, 0.3]], "lowest median val_risk is 0.3 at lr=3"),
    ],
)
def test_settings_that_are_equally_good_are_counted(
    empty: Store, goal: str, values: list[list[float]], said: str
) -> None:
    text = f"method: grid\nmetric: {{name: val_risk, goal: {goal}}}\n"
    text += "parameters: {lr: {values: [1, 2, 3]}, seed: {values: [0, 1]}}"
    sweep = create_sweep(empty, NewSweep(text, "ties"))
    for lr, runs in enumerate(values, 1):
        for seed, value in enumerate(runs):
            stores.add_run(empty, sweep, {"lr": lr, "seed": seed}, {}, metrics={"val_risk": value})
    shown = [f" {statistics.median(runs):g} " in said for runs in values]
    told = make_report(empty, sweep.id).summary[1]
    assert told.startswith(f"The {said}"), told
    assert f"lr={shown.index(True) + 1}" in told


def test_a_run_whose_state_a_metric_chose_says_so(empty: Store) -> None:
    run = empty.create_run({"lr": 0.1})
    detail = {"best_by": "val_acc", "best_epoch": 7, "directions": {"val_acc": "max"}}
    metrics = {"val_risk": 0.5, "val_acc": 0.9}
    empty.finish_run(run.id, status="finished", epochs=9, metrics=metrics, detail=detail)
    said = make_report(empty, run.id).summary
    assert "Its highest val_acc is 0.9 at epoch 7: it chose the state." in said
    assert "There its validation risk is 0.5." in said


def test_a_run_has_a_report_of_its_own(store: Store) -> None:
    run = next(run for run in store.runs() if run.status is Status.STOPPED)
    document = make_report(store, run.id)
    assert document.kind == "run" and document.title == run.name
    assert document.summary[0].startswith(
        "One run of wages. It is stopped after 40 epochs: Hyperband"
    )
    assert dict(document.notes)["n"] == "1 run, 1 seed"
    text = render(document, "html")
    assert "<svg" in text and "Hyperband" in text
    diverged = next(run for run in store.runs() if run.status is Status.DIVERGED)
    said = make_report(store, diverged.name).warnings
    assert f"The run diverged: {diverged.reason}." in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "wages, two layer5",
            "has no sweep and no run 'wages, two layer5'; did you mean 'wages, two layers'",
        ),
        ("zzzzzzzz", r"has no sweep and no run 'zzzzzzzz'; the latest are "),
    ],
)
def test_an_unknown_name_is_refused(store: Store, name: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        make_report(store, name)


def test_an_empty_store_says_so(empty: Store) -> None:
    with pytest.raises(StoreError, match="has no sweep and no run 'last'; it is empty"):
        make_report(empty, "last")


def test_last_is_the_latest_sweep_and_beginnings_do(store: Store) -> None:
    assert make_report(store, "last").title == TUNING
    assert make_report(store, "twenty s").title == SEEDS


def test_a_format_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="no report format 'pdf'"):
        render(make_report(store, SEEDS), "pdf")


def test_of_two_runs_no_share_is_said_to_lie_anywhere(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: grid\nmetric: {name: val_risk}\n", "two"))
    for seed, value in enumerate((0.799, 1.974)):
        stores.add_run(empty, sweep, {"seed": seed}, {}, metrics={"val_risk": value})
    said = " ".join(make_report(empty, sweep.id).summary)
    assert "over 2 runs (least to greatest: 0.799 to 1.974)" in said
    for format in ("html", "latex", "md"):
        text = render(make_report(empty, sweep.id), format)
        assert "per cent of them" not in text and "lie between" not in text


def test_cancelled_runs_are_counted_and_marked(empty: Store) -> None:
    sweep = create_sweep(empty, NewSweep("method: grid\nmetric: {name: val_risk}\n", "cut"))
    for seed in range(4):
        status = Status.CANCELLED if seed == 3 else Status.FINISHED
        value = 0.001 if seed == 3 else 1.0 + seed
        stores.add_run(empty, sweep, {"seed": seed}, {}, status, metrics={"val_risk": value})
    document = make_report(empty, sweep.id)
    assert "The lowest" not in document.summary[1]
    assert "median val_risk is 2 (1 of them did not finish), over 3 runs" in document.summary[1]
    assert any(line.startswith("1 of 4 runs did not finish") for line in document.warnings)
    (row,) = document.grid.rows
    assert [row[name] for name in ("runs", "n", "failed", "unfinished")] == [4, 3, 0, 1]
    assert document.grid.marks == {(0, "val_risk.median"): "u"}
    assert dict(document.notes)["Unfinished"] == "1 cancelled"
    head = render(document, "csv").splitlines()[0].split(",")
    assert head[:4] == ["runs", "n", "failed", "unfinished"]
