"""Counts that no memory and no index can hold are refused with one line; long fits are not."""

from __future__ import annotations

import pytest

import thetahat as th
from thetahat.cli import run

# The memory of the machine is made as small as the check counts.
from thetahat.cli.commands._fit import LEAST_BYTES
from thetahat.core.task import MOST_EPOCHS
from thetahat.store import open_store

TABLE = "x,y\n" + "".join(f"{k},{k * 2 % 7}\n" for k in range(40))


def test_epochs_are_as_many_as_an_index_counts(line, capsys) -> None:
    task = line(epochs=MOST_EPOCHS)
    assert task.epochs == 2_147_483_647
    for epochs in (MOST_EPOCHS + 1, 10**12, 10**30):
        with pytest.raises(th.InputError) as caught:
            line(epochs=epochs)
        assert str(caught.value) == (
            f"epochs={epochs} is above the limit of 2147483647 (2**31 - 1) recorded epochs;"
            " give fewer, and end the fit by its stopping rules"
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--seeds=1000000000000"],
            "--seeds=1000000000000: seeds go to 2**31 - 1, and there are 2147483648 from --seed=0"
            " on; give fewer",
        ),
        (
            ["--seeds=3", "--seed=2147483646"],
            "--seeds=3: seeds go to 2**31 - 1, and there are 2 from --seed=2147483646 on;"
            " give fewer",
        ),
        (
            ["--seeds=2000000"],
            "--seeds=2000000: the results of so many fits cannot be held in memory, which is 4.1"
            " GB; give fewer, 1,000,000 at the very most",
        ),
        (
            ["--seeds=1000000"],
            "--seeds=1000000: one command fits at most 100,000 seeds; give fewer, or run several"
            " commands, each with its own --seed",
        ),
        (
            ["--epochs=1000000000000"],
            "epochs=1000000000000 is above the limit of 2147483647 (2**31 - 1) recorded epochs;"
            " give fewer, and end the fit by its stopping rules",
        ),
    ],
)
def test_a_table(folder, monkeypatch, capsys, words, said) -> None:
    (folder / "t.csv").write_text(TABLE, encoding="utf-8")
    monkeypatch.setattr("thetahat.train.total_memory", lambda: 1_000_000 * LEAST_BYTES)
    assert run(["fit", "t.csv", "--target=y", *words]) == 2
    assert capsys.readouterr().err == f"thetahat: {said}\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("--replicates=1000001", "--replicates=1000001: give a whole number of at most 1000000"),
        ("--count=2147483648", "--count=2147483648: give a whole number of at most 2147483647"),
    ],
)
def test_a_sweep(folder, capsys, word, said) -> None:
    (folder / "s.yaml").write_text(
        "program: line.py\nmethod: random\nmetric: {name: loss}\n"
        "parameters: {lr: {min: 0.1, max: 0.2}}\n",
        encoding="utf-8",
    )
    (folder / "line.py").write_text("", encoding="utf-8")
    assert run(["sweep", "s.yaml", word]) == 2
    assert capsys.readouterr().err == f"thetahat: {said}\n"


def test_a_limit_that_no_store_reaches(kept, capsys) -> None:
    assert run(["runs", f"--limit={10**30}"]) == 0
    assert kept in capsys.readouterr().out


def test_a_long_fit_begins(line, folder) -> None:
    with open_store() as store:
        stopped = th.fit(
            line,
            epochs=MOST_EPOCHS,
            trackers=[th.store_tracker(store)],
            progress=_stop,
        )
    assert str(stopped.status) == "interrupted"


def _stop(_progress: object) -> None:
    import signal

    signal.raise_signal(signal.SIGINT)
