"""What makes runs of a sweep hard to compare is said where their numbers stand."""

from __future__ import annotations

import pytest

from thetahat.store import NewSweep, create_sweep, find_sweep, open_store, retry_failed

TEXT = "method: grid\nmetric: {name: val_risk}\nparameters: {lr: {values: [1, 2, 3]}}\n"
CHANGED = "changed between runs"


@pytest.fixture
def sweep(folder):
    """Make a sweep of runs, each with its status, reason, epochs, hash of the program and seed."""

    def made(*ends):
        with open_store(folder / ".thetahat") as store:
            found = create_sweep(store, NewSweep(TEXT, "doubtful"))
            for k, (status, reason, epochs, code) in enumerate(ends):
                facts = {"provenance": {"code": {"train.py": code}}, "max_epochs": 60}
                run = store.create_run({"lr": k}, sweep_id=found.id, **facts)
                more = {"metrics": {"val_risk": 1.0 + k}, "epochs": epochs, "reason": reason}
                store.finish_run(run.id, status=status, **more)
            return found.id

    return made


@pytest.mark.parametrize("codes", [("a", "a"), ("a", "b")])
def test_a_program_that_changed_is_said_by_report_and_runs(codes, sweep, thetahat) -> None:
    sweep(*(("finished", "", 60, code) for code in codes))
    changed = len(set(codes)) > 1
    said = "train.py changed between runs: not all are of one program\n"
    assert (thetahat("runs", "last")[2] == said) == changed
    assert thetahat("runs", "last", "--format", "csv")[2] == ""
    report = thetahat("report", "last", "--format", "md")[1]
    assert ("Different programs: train.py changed between runs (2 versions)" in report) == changed


def test_a_report_counts_runs_that_were_tried_again(sweep, folder, thetahat) -> None:
    made = sweep(("finished", "", 60, "a"), ("failed", "a bug", 0, "a"))
    with open_store(folder / ".thetahat") as store:
        assert retry_failed(store, made) == 1
        again = store.runs(sweep_id=made)[1]
        store.finish_run(again.id, status="finished", metrics={"val_risk": 3.0})
    report = thetahat("report", "last", "--format", "md")[1]
    assert "2: 2 finished; 1 tried again after a failure" in report


def test_a_best_run_that_was_stopped_early_is_marked(sweep, thetahat) -> None:
    early = "hyperband: its val_risk is not among the best 33% of its band"
    patience = "val_risk has not improved for 5 epochs"
    sweep(("stopped", early, 15, "a"), ("stopped", patience, 30, "a"), ("finished", "", 60, "a"))
    report = thetahat("report", "last", "--format", "md")[1]
    assert "The lowest val\\_risk is 1 (stopped early by the search, at epoch 15 of 60)" in report
    rows = [line for line in report.splitlines() if line.startswith("|")][2:5]
    assert ["<sup>se</sup>" in row for row in rows] == [True, False, False]
    assert [row.split("|")[3].strip() for row in rows] == ["15", "30", "60"]


def test_a_shared_order_of_batches_is_said_of_bands_over_seeds_alone(folder, thetahat) -> None:
    with open_store(folder / ".thetahat") as store:
        found = create_sweep(store, NewSweep(TEXT, "folds"))
        for k in range(4):
            run = store.create_run({"fold": k // 2, "seed": k % 2}, sweep_id=found.id)
            detail = {"batch_order": "shared"}
            store.finish_run(
                run.id, status="finished", metrics={"val_risk": 1.0 + k}, detail=detail
            )
    said = "seeds share the order of batches"
    assert said in thetahat("runs", "last", "--over", "seed")[2]
    assert said not in thetahat("runs", "last", "--over", "fold")[2]
    assert said in thetahat("runs", "last", "--group-by", "fold")[2]
    assert said not in thetahat("runs", "last", "--group-by", "seed")[2]


@pytest.mark.parametrize(
    ("method", "kept"),
    [("grid", False), ("bayes", True)],
)
def test_another_metric_clears_contamination_unless_the_search_has_used_it(
    method, kept, folder, thetahat
) -> None:
    text = f"method: {method}\nprogram: p.py\nmetric: {{name: test_loss, goal: minimize}}\n"
    text += "parameters: {lr: {values: [1, 2, 3]}}\n"
    (folder / "p.py").write_text("")
    (folder / "a.yaml").write_text(text)
    (folder / "b.yaml").write_text(text.replace("test_loss", "val_loss"))
    assert thetahat("sweep", "a.yaml")[0] == 0
    with open_store(folder / ".thetahat") as store:
        sweep = find_sweep(store, "last")
        run = store.create_run({"lr": 1}, sweep_id=sweep.id, contaminated=True)
        store.finish_run(run.id, status="finished", metrics={"test_loss": 1.0, "val_loss": 1.0})
    for file, marked in (("b.yaml", kept), ("a.yaml", True)):
        code, _, err = thetahat("sweep", "last", "--extend", file)
        assert code == 0, err
        with open_store(folder / ".thetahat") as store:
            assert find_sweep(store, "last").contaminated == marked
            assert store.run(run.id).contaminated == marked
