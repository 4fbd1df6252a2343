"""A sweep file is read once: what ran is what every reader says was searched."""

from __future__ import annotations

import json
import sqlite3

import pytest

from thetahat.analysis import read_file
from thetahat.store import find_sweep, open_store

TRAPS = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  lr: {value: 1e-1}
  width: {values: [010, 4]}
  flag: {values: [off, 'off']}
  clip: {values: [~, 0.5]}
"""
PROGRAM = "import json\nprint(json.dumps({'loss': 1.0}))\n"


def test_reports_and_pages_say_what_ran(at, thetahat, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, _ = thetahat("sweep", at.sweep(TRAPS, PROGRAM), "--run")
    assert code == 0
    ran = [(run.config["width"], run.config["flag"], run.config["clip"]) for run in at.runs()]
    assert {width for width, *_ in ran} == {8, 4}
    assert {flag for _, flag, _ in ran} == {False, "off"}
    said = {swept.name: swept.says for swept in read_file(at.row().spec).parameters}
    assert said == {"lr": "0.1", "width": "8, 4", "flag": "False, off", "clip": "none, 0.5"}
    for format in ("md", "latex", "csv"):
        code, out, _ = thetahat("report", at.row().id, "--format", format)
        assert code == 0 and "width" in out and "010" not in out, format
    thetahat("report", at.row().id, "-o", "report.html")
    page = (at.folder / "report.html").read_text()
    assert "<td>8, 4</td>" in page.replace(' class="l"', "")
    assert "False, off" in page


WORDS = """\
0b11 1e3 12:30:45 +6 .5 5. 0.1e+2 'yes' Yes NO y -0 0o10 1_0.5 !!str 5 é ~ 'null' 0x1F -010 .5e-3
"""


def test_every_word_of_a_file_ran_as_the_readers_say(at, thetahat) -> None:
    words = WORDS.replace("!!str 5", "!!str_5").split()
    values = ", ".join(words).replace("!!str_5", "!!str 5")
    text = TRAPS.replace("[010, 4]", f"[{values}]").replace("[off, 'off']", "[off]")
    text = text.replace("[~, 0.5]", "[1]")
    code, _, err = thetahat("sweep", at.sweep(text, PROGRAM), "--run")
    assert code == 0, err
    ran = [run.config["width"] for run in at.runs()]
    told = at.row().spec["parameters"]["width"]["values"]
    # A number that stands there again under another word runs once: +6 is none of the others.
    assert len(ran) == len({repr(one) for one in ran}) == len(words)
    assert [repr(one) for one in ran] == [repr(one) for one in told]
    assert ran[:4] == [3, 1000.0, 45045, 6] and ran[-4:] == ["null", 31, -8, 0.0005]
    numbers = {run.config["width"]: run.number for run in at.runs()}
    assert {True, False, None, "yes", "y", "5", "0o10"} <= set(numbers)


def test_agents_and_readers_follow_the_stored_spec_and_never_the_text(at, thetahat) -> None:
    _, out, _ = thetahat("sweep", at.sweep(TRAPS, PROGRAM), "--format", "json")
    raw = sqlite3.connect(at.folder / ".thetahat" / "store.db")
    raw.execute("UPDATE sweeps SET text = 'method: random\nparameters: {z: {min: 0, max: 1}}'")
    raw.commit()
    raw.close()
    code, out, _ = thetahat("agent", json.loads(out)["id"])
    assert (code, len(at.runs())) == (0, 8)
    assert {json.dumps(sorted(run.config)) for run in at.runs()} == {
        '["clip", "flag", "lr", "width"]'
    }
    assert "the best by loss" in out
    with open_store(at.folder / ".thetahat") as store:
        assert read_file(find_sweep(store, "last").spec).method == "grid"


def test_another_file_is_stored_as_read(at, thetahat) -> None:
    thetahat("sweep", at.sweep(TRAPS, PROGRAM))
    at.write("more.yaml", TRAPS.replace("[010, 4]", "[010, 4, 0x10]"))
    code, _, err = thetahat("sweep", "last", "--extend", "more.yaml")
    assert code == 0, err
    assert at.row().spec["parameters"]["width"] == {"values": [8, 4, 16]}
    assert at.row().points == 12


def test_an_experiment_is_examined_by_its_worker_with_the_spec_that_was_read(at, thetahat) -> None:
    program = """\
import thetahat as th

def ex(width: int = 4, flag: bool = True, seed: th.Seed = 0) -> th.Task:
    data = th.Data(th.dgp.linear(N=20, M=1, sigma=0.1, seed=0))
    return th.Task(th.models.MLP(1, width=width, depth=1, seed=seed), data, epochs=2, seed=seed)

if __name__ == "__main__":
    th.main(ex)
"""
    text = """\
program: train.py
method: grid
parameters:
  width: {values: [010, 4]}
  flag: {values: [off]}
"""
    code, _, err = thetahat("sweep", at.sweep(text, program), "--run", "--workers", "1")
    assert code == 0, err
    ran = [(run.config["width"], run.config["flag"]) for run in at.runs()]
    assert ran == [(8, False), (4, False)]
    assert at.row().plan["found"]["experiment"] == "ex"


ODD = """\
program: train.py
method: grid
parameters:
  clip: {values: [null, .inf]}
  cap: {value: .inf}
  sizes: {value: [1, 2]}
"""
TELLS = """\
from typing import Optional
import thetahat as th

def ex(clip: Optional[float] = 1.0, cap: th.Static[float] = 1.0, sizes: list[int] = [3],
       seed: th.Seed = 0) -> th.Task:
    assert clip is None or float(clip) == float("inf"), repr(clip)
    assert (cap, sizes) == (float("inf"), [1, 2]), (cap, sizes)
    data = th.Data(th.dgp.linear(N=20, M=1, sigma=0.1, seed=0))
    return th.Task(th.models.Linear(1), data, epochs=2, seed=seed)

if __name__ == "__main__":
    th.main(ex)
"""


@pytest.mark.parametrize("mode", ["worker", "process"])
def test_null_infinity_and_lists_reach_an_experiment_as_they_stand_in_the_file(
    mode, at, thetahat
) -> None:
    code, _, err = thetahat("sweep", at.sweep(ODD, TELLS), "--run", "--mode", mode)
    assert code == 0, err
    assert [run.config["clip"] for run in at.runs()] == [None, "inf"]
    assert {str(run.status) for run in at.runs()} == {"finished"}


NESTED = """\
program: train.py
method: grid
metric: {name: loss}
parameters:
  pair: {values: [[.inf, 1], ['inf', 2], [.nan, -.inf], [[.inf]]]}
  deep: {value: {cap: -.inf, word: '-inf', far: {low: [.nan, 'nan']}}}
"""


def test_infinity_inside_lists_and_mappings_reaches_programs_as_a_number(at, thetahat) -> None:
    program = """\
import json, os
text = open(os.environ["WANDB_SWEEP_PARAM_PATH"]).read()
print(json.dumps({"loss": 1, "said": text.split()[2:]}))
"""
    code, _, err = thetahat("sweep", at.sweep(NESTED, program), "--run")
    assert code == 0, err
    said = [" ".join(at.run(run).detail["logged"]["said"]) for run in at.runs()]
    deep = '"deep": value: {"cap": -.inf, "word": "-inf", "far": {"low": [.nan, "nan"]}}'
    pairs = ["[.inf, 1]", '["inf", 2]', "[.nan, -.inf]", "[[.inf]]"]
    assert said == [f'{deep} "pair": value: {pair}' for pair in pairs]


def test_infinity_inside_lists_reaches_an_experiment_as_a_number(at, thetahat) -> None:
    program = TELLS.replace("list[int] = [3]", "list[float] = [3.0]").replace(
        "[1, 2])", "[1, 2.5])"
    )
    program = program.replace('(float("inf"), [1, 2.5])', '(float("inf"), [float("inf"), 2.5])')
    text = ODD.replace("[1, 2]", "[.inf, 2.5]").replace("null, ", "")
    for mode in ("worker", "process"):
        code, _, err = thetahat("sweep", at.sweep(text, program), "--run", "--mode", mode)
        assert code == 0, err
    assert {str(run.status) for run in at.runs()} == {"finished"}


def test_infinity_reaches_a_wandb_program_as_a_number_and_a_word_as_a_word(at, thetahat) -> None:
    program = """\
import json, os
text = open(os.environ["WANDB_SWEEP_PARAM_PATH"]).read()
print(json.dumps({"loss": 1, "cap": ".inf" in text, "word": '"inf"' in text}))
"""
    text = ODD + "  word: {value: 'inf'}\n  both: {values: [.inf, 'inf']}\n"
    code, _, err = thetahat("sweep", at.sweep(text, program), "--run")
    assert code == 0, err
    assert len(at.runs()) == 4
    assert at.run(at.runs()[0]).detail["logged"] == {"cap": True, "word": True}
