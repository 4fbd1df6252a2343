"""What is not answered is named, with the way to the real package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thetahat.store import Store, list_tables

REAL = "THETAHAT_WANDB=real runs the program with the installed package"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda w: w.sklearn, AttributeError, "wandb.sklearn is not answered"),
        (lambda w: w.init(fork_from="abc?_step=1"), Exception, "fork_from='abc"),
        (lambda w: w.JoinedTable(None, None, "x"), Exception, "JoinedTable is not answered"),
        (lambda w: w.init().log_everything, AttributeError, "run.log_everything is not answered"),
        (lambda w: w.plot.heat, AttributeError, "wandb.plot.heat is not answered"),
        (lambda w: w.Video([[1]]), Exception, "Video of an array is not answered"),
    ],
)
def test_what_is_not_answered_is_named(client, call, error, words: str) -> None:
    with pytest.raises(error) as raised:
        call(client)
    assert words in str(raised.value)
    assert REAL in str(raised.value)


def test_calls_before_init_are_refused(client) -> None:
    for call in (
        lambda: client.log({"loss": 1}),
        lambda: client.config.lr,
        lambda: client.summary.update({"a": 1}),
    ):
        with pytest.raises(client.Error, match=r"You must call wandb.init\(\) before wandb"):
            call()
    assert client.run is None


def test_an_unknown_project_names_those_of_the_store(client, store: Store) -> None:
    client.init(project="wages").finish()
    with pytest.raises(client.errors.CommError, match="no project 'wage'; its projects: wages"):
        client.Api().runs("me/wage")


def test_old_names_work(client, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(client.util.generate_id()) == 8
    run = client.init(settings=client.Settings(start_method="fork"), mode="online")
    assert (run.get_url(), run.get_sweep_url(), run.project_name()) == (None, None, "uncategorized")
    assert client.login() is True
    client.watch(None)
    client.termwarn("careful")
    run.save()
    client.join()
    err = capsys.readouterr().err
    assert "mode='online' sends nothing here" in err
    assert "watch(log='gradients'): thetahat keeps no histograms" in err
    assert "WARNING careful" in err


def test_a_step_that_goes_back_is_dropped_and_said_once(
    client, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with client.init() as run:
        run.log({"loss": 1.0}, step=5)
        run.log({"loss": 2.0}, step=3)
        run.log({"loss": 3.0}, step=2)
        run.log({"loss": 4.0, "step": 70})
    assert capsys.readouterr().err.count("is before the row at step 5") == 1
    history = store.history(run.id)
    assert (history["step"].tolist(), history["loss"].tolist()) == ([5], [4.0])
    assert client.Api().run(run.id).history()["step"].tolist() == [70]


def test_a_disabled_run_keeps_nothing(client, store: Store) -> None:
    run: Any = client.init(mode="disabled", config={"lr": 1})
    run.log({"loss": 1.0, "table": client.Table(columns=["a"], data=[[1]])})
    run.log_artifact(client.Artifact("a", type="b"))
    assert (run.summary["loss"], run.config["lr"]) == (1.0, 1)
    run.finish()
    assert store.runs() == []


def test_a_program_that_raises_leaves_a_failed_run(client, store: Store) -> None:
    def train() -> None:
        with client.init() as run:
            run.log({"loss": 1.0})
            raise ValueError("too large")

    with pytest.raises(ValueError, match="too large"):
        train()
    (row,) = store.runs()
    assert str(row.status) == "failed"
    assert row.reason.startswith("ValueError: too large")
    assert row.metrics == {"loss": 1.0}


def test_a_long_array_is_a_histogram_of_as_many_bins_as_in_wandb(client, store: Store) -> None:
    values = np.arange(100.0)
    with client.init() as run:
        run.log({"array": values})
        run.log({"histogram": client.Histogram(values)})
    rows = {table.name: table.rows for table in list_tables(store, run.id)}
    assert rows == {"array": 32, "histogram": 64}
