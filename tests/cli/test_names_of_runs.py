"""Names that ``runs`` and ``show`` take, and columns that say something."""

from __future__ import annotations

import json
import time

import pytest

# The line of a terminal is drawn without a terminal.
from thetahat.cli.terminal._fit_progress import progress_bar
from thetahat.core.run import Status
from thetahat.store import NewRun, NewSweep, create_sweep, open_store
from thetahat.train import Progress

FILE = "program: t.py\nmethod: grid\nmetric: {name: val_risk}\nparameters: {lr: {values: [1, 2]}}\n"


@pytest.fixture
def searched(folder) -> tuple[str, list[str]]:
    """A sweep of two runs, and one run beside it; the sweep's id, and the names of its runs."""
    with open_store() as store:
        sweep = create_sweep(store, NewSweep(FILE, "search"))
        names = []
        for k, risk in enumerate((0.5, 0.25)):
            run = store.create_run({"lr": k + 1}, sweep_id=sweep.id, point=k)
            store.finish_run(run.id, status="finished", metrics={"val_risk": risk})
            names.append(run.name)
        store.create_run({"other": 1}, name="beside")
    return sweep.id, names


def test_show_of_a_sweep_tells_its_best_and_where_to_look(searched, thetahat) -> None:
    sweep, names = searched
    for name in (sweep, sweep[:5], "search"):
        code, out, _ = thetahat("show", name)
        assert code == 0
        assert f"val_risk 0.25, run {names[1]}" in out
        assert "2: 2 finished" in out
        assert f"thetahat runs {sweep}" in out
    told = json.loads(thetahat("show", sweep, "--format=json")[1])
    assert (told["best"], told["counts"]) == ({"value": 0.25, "run": names[1]}, {"finished": 2})


def test_show_of_a_sweep_with_seeds_tells_the_median_of_its_best_setting(folder, thetahat) -> None:
    text = FILE.replace("[1, 2]}", "[1, 2]}, seed: {values: [0, 1, 2]}")
    with open_store() as store:
        sweep = create_sweep(store, NewSweep(text, "seeds"))
        for lr, risks in ((1, (0.1, 0.9, 0.9)), (2, (0.5, 0.6, 0.7))):
            for seed, risk in enumerate(risks):
                run = store.create_run({"lr": lr, "seed": seed}, sweep_id=sweep.id)
                store.finish_run(run.id, status="finished", metrics={"val_risk": risk})
    out = thetahat("show", sweep.id)[1]
    assert "val_risk median 0.6 over 3 runs at lr=2" in out, "not the luckiest run, of lr=1"


def test_runs_takes_what_show_takes(searched, thetahat) -> None:
    sweep, names = searched

    def listed(*words: str) -> list[str]:
        return [run["name"] for run in json.loads(thetahat("runs", *words, "--format=json")[1])]

    assert listed("last") == listed(sweep) == listed(sweep[:5]) == names[::-1]
    assert listed(names[0]) == names[:1]
    assert listed("besi") == ["beside"]
    assert thetahat("show", "last")[1].startswith("beside")


def test_last_without_a_sweep_is_what_was_fitted_together(folder, thetahat) -> None:
    with open_store() as store, store.batch() as writer:
        for cohort in ("a", "b", "b"):
            writer.create_run(NewRun({"lr": 0.1}, cohort=cohort))
    found = json.loads(thetahat("runs", "last", "--format=json")[1])
    assert len(found) == 2


def test_table_leaves_out_empty_columns_and_tells_members_apart(folder, thetahat) -> None:
    with open_store() as store:
        with store.batch() as writer:
            made = [
                writer.create_run(NewRun({"lr": 0.1}, cohort="c", member=k))[0] for k in range(3)
            ]
        for run in made:
            metrics = {"val_risk": 0.5, "test_risk": float("nan")}
            store.finish_run(run, status=Status.FINISHED, metrics=metrics)
    head, _, *rows = thetahat("runs")[1].splitlines()
    assert "member" in head
    assert "test_risk" not in head
    assert [row.split()[2] for row in rows] == ["2", "1", "0"]
    with open_store() as store:
        store.create_run({"lr": 0.2})
    assert "test_risk" in thetahat("runs", "--columns=name,test_risk")[1], "asked for, it is there"


def test_show_lists_first_what_the_command_gives(folder, thetahat, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    config = {"lr": 0.5, "depth": 3, "width": 3, "act": "tanh", "l2": 0.0, "table": "d.csv"}
    config |= {"tau": 0.5, "k": 3}
    with open_store() as store:
        run = store.create_run(
            {**config, "none": None, "net": {"deep": 1}},
            command="thetahat fit d.csv --lr 0.5 --width=3 --net.deep 1",
        )
    out = thetahat("show", run.name)[1]
    given = next(line for line in out.splitlines() if line.startswith("config"))
    rest = next(line for line in out.splitlines() if line.startswith("rest"))
    assert [name for name in ("lr", "width", "table", "net.deep") if name not in given] == [], out
    assert rest.split(maxsplit=1)[1] == "depth=3, act=tanh, l2=0, tau=0.5, k=3"


def test_a_run_is_one_readable_line(folder) -> None:
    with open_store() as store:
        run = store.create_run({f"p{k}": k for k in range(30)}, name="calm", provenance={"a": 1})
        store.finish_run(run.id, status="finished", metrics={"val_risk": 0.123456})
        said = repr(store.run("calm"))
    assert said.startswith(f"RunRow('calm', finished, id='{run.id}'; val_risk=0.1235, p0=0")
    assert len(said) < 120
    assert "\n" not in said


def test_a_checkpoint_is_refused_as_a_model_with_the_way_to_its_run(folder, thetahat) -> None:
    (folder / "a.ckpt").write_bytes(b"anything")
    (folder / "t.csv").write_text("x\n1\n", encoding="utf-8")
    code, _, err = thetahat("predict", "a.ckpt", "t.csv", "-o", "out.csv")
    assert code == 2
    assert "a.ckpt is a checkpoint, not a model: give the name of its run" in " ".join(err.split())


def test_the_last_line_of_a_long_fit_is_its_last_epoch(capsys, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with progress_bar("fit") as show:
        assert show is not None
        for epoch in range(1, 16):
            clock[0] += 1.0
            show(Progress(epoch, 15, 1, 1, {"val_risk": [1.0 / epoch]}, clock[0]))  # pyright: ignore[reportArgumentType]
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("fit: epoch 10/15")
    assert said[-1].startswith("fit: epoch 15/15  val 0.06667")
