"""``last`` means the latest; and the page of a sweep that is already finished."""

from __future__ import annotations

import sys

import pytest
from programs import LOSS
from terminals import thetahat_in

from thetahat.store import find_sweep, open_store

REST = (
    "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [0.5, 0.1]}}"
)


def test_another_name_for_such_a_file(folder, thetahat) -> None:
    (folder / "train.py").write_text(LOSS, encoding="utf-8")
    (folder / "last.yaml").write_text(REST, encoding="utf-8")
    assert thetahat("sweep", "last.yaml", "--name=mine")[0] == 0
    with open_store() as store:
        assert find_sweep(store, "mine").name == "mine"


def test_a_run_called_last_is_not_the_latest(folder) -> None:
    with open_store() as store:
        first = store.create_run({}, name="last")
        second = store.create_run({})
        assert store.run("last").id == second.id
        assert store.run(first.id).name == "last"


@pytest.mark.parametrize("by_file", [True, False])
def test_the_page_of_a_finished_sweep_opens(folder, thetahat, by_file) -> None:
    (folder / "train.py").write_text(LOSS, encoding="utf-8")
    (folder / "s.yaml").write_text(REST, encoding="utf-8")
    assert thetahat("sweep", "s.yaml", "--run", "--quiet")[0] == 0
    (folder / "browser.py").write_text(
        "import sys; open('opened', 'w').write(sys.argv[1])", encoding="utf-8"
    )
    browser = f"{sys.executable} {folder}/browser.py %s"
    words = ["agent", "s.yaml" if by_file else "last", "--ui"]
    with thetahat_in(folder, *words, columns=120, BROWSER=browser) as terminal:
        terminal.wait_for(lambda: "until Ctrl-C" in terminal.text())
        lines = terminal.text()
        told = "of this file is finished: 2 runs" if by_file else ") finished: 2 runs"
        assert told in lines
        terminal.wait_for((folder / "opened").exists)
        terminal.interrupt()
        assert terminal.end() == 0
    assert (folder / "opened").read_text(encoding="utf-8").startswith("http://127.0.0.1:")
