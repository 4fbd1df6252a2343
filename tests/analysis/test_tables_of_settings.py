"""Tables of settings without a value, of columns named like a parameter, and of infinite numbers."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import thetahat as th
from thetahat.analysis import table_bands
from thetahat.cli import run
from thetahat.core import Status
from thetahat.core.packed_table import pack_table
from thetahat.store import NewRun, NewSweep, SweepRow, create_sweep, open_store

TEXT = (
    "program: a.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [0.1, 1]},"
    " wd: {values: [null, 0.5]}, seed: {values: [0, 1, 2]}, n: {values: [7, 8]}}\n"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepRow]:
    """Four settings of three seeds; a run of the last has failed."""
    path = tmp_path_factory.mktemp("settings")
    with open_store(path) as store:
        row = create_sweep(store, NewSweep(name="x", text=TEXT))
        for lr in (0.1, 1):
            for wd in (None, 0.5):
                for seed in range(3):
                    with store.batch() as writer:
                        config = {"lr": lr, "wd": wd, "seed": seed, "n": 7 if lr == 1 else 8}
                        one, _ = writer.create_run(NewRun(config=config, sweep_id=row.id))
                        e = [0.0, 10.0, math.inf][seed]
                        columns = {"n": [10, 20], "lr": [5.0, 6.0], "e": [e, -e]}
                        writer.keep_table(one, "pol", pack_table("pol", columns))
                        plain = {"k": [0, 1], "c": [lr + seed, 2.0 * seed]}
                        writer.keep_table(one, "plain", pack_table("plain", plain))
                        fails = (lr, wd, seed) == (1, 0.5, 0)
                        status = Status.FAILED if fails else Status.FINISHED
                        writer.finish_run(one, status=status, metrics={"loss": 1.0})
    return path, row


def test_a_setting_whose_parameter_is_none_has_its_quantiles(made: tuple[Path, SweepRow]) -> None:
    frame = th.open_sweep("last", made[0]).table("plain")
    assert frame.wd.dtype == float and len(frame[frame.wd == 0.5]) == 12
    found = frame.quantiles("k")
    assert len(found) == 8 and found.wd.isna().sum() == 4
    # A parameter keeps its name, here n, and the count is runs.n.
    assert found["runs.n"].tolist() == [3] * 4 + [2] * 2 + [3] * 2
    assert found.failed.tolist() == [0] * 4 + [1] * 2 + [0] * 2
    with open_store(made[0]) as store:
        rows = [row for one in table_bands(store, made[1], "plain", ["k"]) for row in one.rows()]
    keys = ["lr", "wd", "k"]
    mine = pd.DataFrame(rows).sort_values(keys, ignore_index=True)
    assert {*mine.columns} == {*found.columns}
    columns = [*keys, "c q5", "c q50", "c q95", "n", "runs.n"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(found[columns]).astype(float), mine[columns].astype(float)
    )
    names = [line.get_label() for line in frame.plot("k", "c").axes[0].get_lines()]
    assert sum("wd=none" in str(name) for name in names) == 2


def test_columns_named_like_a_parameter_or_a_count_keep_their_names(
    made: tuple[Path, SweepRow], capsys: pytest.CaptureFixture[str]
) -> None:
    frame = th.open_sweep("last", made[0]).table("pol")
    table = ["table", "last", "pol", "--store", str(made[0]), "--format", "csv"]
    for by, columns in (("n", "e"), ("lr", "e"), ("n", "lr,e")):
        found = frame.quantiles(by)
        assert run([*table, "--by", by, "--columns", columns]) == 0
        shown = pd.read_csv(StringIO(capsys.readouterr().out))
        assert {*shown.columns} <= {*found.columns}
        assert [*shown.columns[:3]] == ["config.lr", "wd", "config.n"]
        assert sorted({*shown["config.lr"]}) == [0.1, 1]
        assert sorted({*shown[by]}) == ([10, 20] if by == "n" else [5, 6])
        assert shown["runs.n" if by == "n" else "n"].tolist().count(3) == 6
    assert run(table) == 0
    whole = pd.read_csv(StringIO(capsys.readouterr().out))
    assert {*whole.columns} == {*frame.columns}


def test_quantiles_of_infinite_numbers_are_those_of_pandas(
    made: tuple[Path, SweepRow],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    frame = pd.DataFrame({"k": 0, "e": [0, 10, math.inf]})
    with open_store(made[0]) as store:
        first = table_bands(store, made[1], "pol", ["n"], (0.05, 0.5, 0.95))[0].columns["e"]
        ragged = table_bands(store, made[1], "pol", ["e"], (0.5,))[0].columns["lr"]
    np.testing.assert_array_equal(first[:, 0], frame.groupby("k").e.quantile([0.05, 0.5, 0.95]))
    np.testing.assert_array_equal(first[:, 1], [-math.inf, -10, -1])
    assert ragged.tolist() == [[6.0, 6.0, 5.5, 5.0, 5.0]]
    flags = ["table", "last", "pol", "--by", "n", "--store", str(made[0]), "--format"]
    assert run([*flags, "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(",1.0,10.0,inf,3,")
    assert run([*flags, "json"]) == 0
    rows = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (rows[0]["e q95"], rows[1]["e q5"], rows[0]["wd"]) == ("inf", "-inf", None)
    assert run([*flags, "table"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[-5:] == ["1", "10", "inf", "3", "–"]


def test_a_parameter_without_a_value_stays_a_number_in_parquet(
    made: tuple[Path, SweepRow], tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    assert run(["table", "last", "plain", "--store", str(made[0]), "-o", str(path)]) == 0
    found = pd.read_parquet(path)
    assert found.wd.dtype == float and found.wd.isna().sum() == 12
    assert found["seed"].dtype == np.int64


def test_a_long_table_of_a_run_is_shown_from_its_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with th.start({}, store=tmp_path) as one:
        one.log_table("long", {"k": np.arange(5000)})
    assert run(["table", one.name, "long", "--store", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2002
    assert "the first 2,000 of 5,000 rows" in shown.err
