"""Tables over a sweep's runs: the quantiles of page and terminal are those of pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thetahat as th
from thetahat.analysis import table_bands
from thetahat.core import ConfigError, Status
from thetahat.core.packed_table import pack_table
from thetahat.store import (
    NewRun,
    NewSweep,
    Store,
    SweepRow,
    create_sweep,
    describe_run,
    open_store,
)

TEXT = (
    "program: a.py\nmethod: grid\nmetric: {name: loss, goal: minimize}\n"
    "parameters: {lr: {values: [0.1, 0.2]}, seed: {values: [0, 1, 2, 3, 4, 5, 6]}}\n"
)
Q = (0.05, 0.5, 0.95)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepRow, pd.DataFrame]:
    """Two settings of seven seeds; a run failed, one has no table, numbers and rows are missing."""
    path, rng = tmp_path_factory.mktemp("tables"), np.random.default_rng(0)
    frames = []
    with open_store(path) as store:
        row = create_sweep(store, NewSweep(name="<b>x</b>", text=TEXT))
        for lr in (0.1, 0.2):
            for seed in range(7):
                with store.batch() as writer:
                    run, _ = writer.create_run(
                        NewRun(config={"lr": lr, "seed": seed}, sweep_id=row.id)
                    )
                    k = np.repeat(np.linspace(0, 1, 11), 2)
                    frame = pd.DataFrame({"k": k, "z": np.tile([0, 1], 11)})
                    frame["c"] = lr * k + rng.standard_normal(22).astype(np.float32)
                    frame["gaps"] = np.where(rng.random(22) < 0.3, np.nan, rng.random(22))
                    frame["who"] = "<i>a</i>"
                    fails = (lr, seed) == (0.1, 3)
                    if (lr, seed) != (0.2, 1):
                        writer.keep_table(run, "policy", pack_table("policy", frame))
                        ragged = frame.iloc[: 10 + seed]
                        writer.keep_table(run, "ragged", pack_table("ragged", ragged))
                        if not fails:
                            frames.append(frame.assign(lr=lr, n=np.arange(22) < 10 + seed))
                    ended = Status.FAILED if fails else Status.FINISHED
                    writer.finish_run(run, status=ended, metrics={"loss": lr + seed})
    return path, row, pd.concat(frames, ignore_index=True)


def of_pandas(frame: pd.DataFrame, by: list[str], column: str) -> pd.DataFrame:
    return frame.groupby(by)[column].quantile(Q).unstack()


@pytest.fixture
def store(sweep: Any) -> Any:
    with open_store(sweep[0]) as opened:
        yield opened


@pytest.mark.parametrize("name", ["policy", "ragged"])
@pytest.mark.parametrize("by", [["k", "z"], ["k"], ["z", "who"]])
def test_quantiles_over_seeds_are_those_of_pandas(
    sweep: Any, store: Store, name: str, by: list[str]
) -> None:
    whole = sweep[2] if name == "policy" else sweep[2][sweep[2].n]
    for bands in table_bands(store, sweep[1], name, by, Q):
        mine = whole[whole.lr == bands.setting.config["lr"]]
        for column in ("c", "gaps"):
            expected = of_pandas(mine, by, column)
            np.testing.assert_allclose(bands.columns[column].T, expected, rtol=0, atol=1e-12)
            assert bands.counts[column].tolist() == mine.groupby(by)[column].count().tolist()
        keys = list(zip(*bands.by.values(), strict=True))
        assert keys == [k if isinstance(k, tuple) else (k,) for k in expected.index]


def test_rows_are_told_apart_by_many_columns_of_many_values(tmp_path: Path) -> None:
    n, by = 2**16, list("abcde")
    rows = {name: np.append(np.arange(n), [5, 7] if name == "a" else [0, 0]) for name in by}
    with open_store(tmp_path) as store:
        row = create_sweep(store, NewSweep(name="x", text=TEXT))
        for seed, cut in enumerate((n + 2, 1)):
            table = {name: values[:cut] for name, values in rows.items()}
            with store.batch() as writer:
                run, _ = writer.create_run(NewRun(config={"seed": seed}, sweep_id=row.id))
                table["y"] = np.arange(cut, dtype=float)
                writer.keep_table(run, "t", pack_table("t", table))
                writer.finish_run(run, status=Status.FINISHED)
        (bands,) = table_bands(store, row, "t", by, (0.5,))
    assert bands.counts["y"].tolist() == [2] + [1] * (n + 1)


def test_failed_runs_and_runs_without_the_table_are_counted(sweep: Any, store: Store) -> None:
    first, second = table_bands(store, sweep[1], "policy", ["k", "z"])
    assert (first.runs, first.without, second.runs, second.without) == (6, 0, 6, 1)
    assert first.rows()[0]["failed"] == 1 and "failed" not in second.rows()[0]
    assert second.rows()[0]["unfinished"] == 1


def test_the_frame_of_a_sweep_has_a_line_for_each_run_and_row(sweep: Any) -> None:
    frame = th.open_sweep("last", sweep[0]).table("policy")
    assert list(frame.columns) == ["name", "status", "lr", "seed", "k", "z", "c", "gaps", "who"]
    well = frame[frame.status == "finished"]
    pd.testing.assert_series_equal(
        well.c.reset_index(drop=True), sweep[2].c.astype(float), check_names=False
    )
    assert frame.counts["failed"] == 1 and frame.counts["with the table"] == 13
    assert "13 of 14 runs have this table; 1 failed" in repr(frame)
    found = frame.quantiles(by=["k", "z"], q=Q)
    expected = of_pandas(sweep[2], ["lr", "k", "z"], "c")
    np.testing.assert_allclose(found[["c q5", "c q50", "c q95"]], expected, rtol=0, atol=1e-12)
    assert found.groupby("lr").failed.first().tolist() == [1, 0]
    one = frame[frame.lr == 0.2].quantiles(by=["k", "z"])
    assert len(one) == 22 and set(one.lr) == {0.2}
    pooled = frame.quantiles(by="k", over="lr")
    np.testing.assert_allclose(
        pooled[["c q5", "c q50", "c q95"]], of_pandas(sweep[2], ["k"], "c"), rtol=0, atol=1e-12
    )


def test_what_a_program_adds_to_its_config_splits_no_setting(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        row = create_sweep(store, NewSweep(name="x", text=TEXT))
        for lr in (0.1, 0.2):
            for seed in range(3):
                config = {"lr": lr, "seed": seed}
                with store.batch() as writer:
                    run, _ = writer.create_run(NewRun(config=config, sweep_id=row.id))
                    describe_run(writer, run, config={"path": f"out/{lr}-{seed}"})
                    table = {"k": [0, 1], "c": [lr + seed, seed]}
                    writer.keep_table(run, "policy", pack_table("policy", table))
                    writer.finish_run(run, status=Status.FINISHED, metrics={"loss": lr})
        (first, second) = table_bands(store, row, "policy", ["k"], (0.5,))
    frame = th.open_sweep("last", tmp_path).table("policy")
    assert "path" in frame.columns
    found = frame.quantiles(by="k", q=0.5)
    rows = [[lr, k, 3] for lr in (0.1, 0.2) for k in (0, 1)]
    assert found[["lr", "k", "n"]].values.tolist() == rows
    assert found["c q50"].tolist() == [*first.columns["c"][0], *second.columns["c"][0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda frame: frame.quantiles(by="kk"), "has no column 'kk'; did you mean 'k'"),
        (lambda frame: frame.quantiles(by="k", q=(2.0,)), "give probabilities from 0 to 1"),
        (lambda frame: frame.quantiles(by="k", over="l"), "no parameter 'l' varies"),
        (lambda frame: frame.plot("k", "who"), "is text, which has no quantiles"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_fix(sweep: Any, call: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call(th.open_sweep("last", sweep[0]).table("policy"))


def test_a_report_has_the_bands_of_the_best_setting_and_hides_small_cells(
    sweep: Any, store: Store
) -> None:
    from thetahat.report import make_report, render

    latex = render(make_report(store, sweep[1].id), "latex")
    assert latex.count(r"\begin{tabular}") == 3 and "Table ragged" in latex
    [grid] = [g for g in make_report(store, sweep[1].id).grids if g.title == "Table policy"]
    assert grid.full is not None and grid.more.startswith("Quantiles over 6 runs of the best")
    best = sweep[2][sweep[2].lr == 0.1]
    expected = of_pandas(best, ["k"], "c")
    shown = [[row[f"c {q}"] for q in ("q5", "q50", "q95")] for row in grid.full()]
    np.testing.assert_allclose(shown, expected, rtol=0, atol=1e-12)
    page = render(make_report(store, sweep[1].id), "html")
    assert "Table policy" in page and "<i>a</i>" not in page
    hidden = make_report(store, sweep[1].id, min_cell=7)
    assert not [g for g in hidden.grids if g.title.startswith("Table")]


def test_runs_on_grids_of_their_own_are_said_to_show_no_spread(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        row = create_sweep(store, NewSweep(name="x", text=TEXT))
        for seed in range(3):
            with store.batch() as writer:
                run, _ = writer.create_run(NewRun(config={"seed": seed}, sweep_id=row.id))
                table = pack_table("p", {"k": np.arange(4) + seed / 7, "c": np.ones(4)})
                writer.keep_table(run, "p", table)
                writer.finish_run(run, status=Status.FINISHED, metrics={"loss": 1.0})
    with pytest.warns(th.Notice, match="no two runs share a row of the table 'p'"):
        th.open_sweep("last", tmp_path).table("p").quantiles(by="k")


def test_the_command_prints_the_bands_of_the_frame(
    sweep: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from io import StringIO

    from thetahat.cli import run

    flags = ["table", "last", "policy", "--store", str(sweep[0])]
    assert run([*flags, "--by", "k,z", "--quantiles", ".05,.5,.95", "--format", "csv"]) == 0
    shown = capsys.readouterr()
    found = pd.read_csv(StringIO(shown.out))
    expected = of_pandas(sweep[2], ["lr", "k", "z"], "c")
    np.testing.assert_allclose(found[["c q5", "c q50", "c q95"]], expected, rtol=0, atol=1e-12)
    assert "quantiles over 12 runs; 1 failed; 1 without the table" in shown.err
    path = tmp_path / "policy.parquet"
    assert run([*flags, "--format", "parquet", "-o", str(path)]) == 0
    whole = pd.read_parquet(path)
    frame = pd.DataFrame(th.open_sweep("last", sweep[0]).table("policy"))
    np.testing.assert_array_equal(whole.c, frame.c)
    assert whole.name.tolist() == frame.name.tolist() and whole.who.tolist() == frame.who.tolist()
    assert run([*flags, "--by", "k", "--format", "latex"]) == 0
    assert capsys.readouterr().out.startswith("\\begin{tabular}")


@pytest.mark.parametrize(
    ("ending", "begins"),
    [
        (".csv", b"name,status,"),
        (".json", b"[\n"),
        (".tex", b"\\begin{tabular}"),
        (".parquet", b"PAR1"),
        (".txt", b"name "),
    ],
)
def test_the_format_of_a_table_follows_the_ending_of_its_file(
    sweep: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, ending: str, begins: bytes
) -> None:
    from thetahat.cli import run

    flags = ["table", "last", "policy", "--store", str(sweep[0]), "-o"]
    assert run([*flags, str(tmp_path / f"a{ending}")]) == 0
    assert (tmp_path / f"a{ending}").read_bytes().startswith(begins)
    assert run([*flags, str(tmp_path / "none" / f"a{ending}")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"thetahat: {tmp_path / 'none' / f'a{ending}'} cannot be written (No such file or"
        " directory); give another with -o"
    )
