"""``thetahat lab``: the list, a run with its figure, and what was kept of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import thetahat as th

pytestmark = pytest.mark.usefixtures("folder")


def test_the_list_has_every_experiment_and_its_question(thetahat) -> None:
    code, out, _ = thetahat("lab", "list", "--format=json")
    assert code == 0
    assert {row["name"]: row["question"] for row in json.loads(out)} == th.lab.list_questions()


def test_a_run_answers_and_keeps_its_figure(thetahat) -> None:
    code, out, _ = thetahat("lab", "show", "activations")
    assert code == 0
    assert "not run here yet; run it with: thetahat lab run activations" in out
    code, out, _ = thetahat("lab", "run", "activations", "draws=50", "--no-open")
    assert code == 0
    question, answer, place = out.splitlines()
    assert question.endswith("?")
    assert "sigmoid 0.25" in answer
    figure = Path(place.removeprefix("figure: "))
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert figure.parent == (Path.cwd() / ".thetahat" / "lab").resolve()
    code, out, _ = thetahat("lab", "show", "activations")
    assert code == 0
    assert f"last answer (draws=50): {answer}" in out
    code, out, _ = thetahat("lab", "show", "activations", "--format=json")
    assert {"setting": "draws", "default": 10000, "last": "50"} in json.loads(out)


def test_a_figure_goes_where_the_user_says(thetahat) -> None:
    code, _, _ = thetahat(
        "lab", "run", "activations", "draws=50", "-o", "mine/act.svg", "--no-open"
    )
    assert code == 0
    assert Path("mine/act.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
    assert not Path(".thetahat").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["draw"], "lab has no action 'draw'; known: list, run, show"),
        (["run"], "lab run needs a NAME; thetahat lab list has them"),
        (["run", "activation"], "the lab has no experiment 'activation'; did you mean 'activations'"),
        (["run", "activations", "draws"], "'draws' is not a setting; give NAME=VALUE"),
        (["run", "activations", "draw=5"], "no setting 'draw'; did you mean 'draws'"),
        (["run", "activations", "draws=many"], "activations: draws=many: give a whole number"),
        (["run", "activations", "-o", "a.bmp"], "-o a.bmp: give a file that ends in .pdf, .png, .svg"),
        (["show", "activations", "draws=5"], "lab show takes a NAME alone"),
        (["list", "activations"], "unexpected argument 'activations'"),
    ],
)  # fmt: skip
def test_wrong_words_get_one_message(thetahat, words, said) -> None:
    code, out, err = thetahat("lab", *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
