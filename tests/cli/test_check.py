"""``thetahat check``: what it prints, what it counts, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from programs import LINE

from children import environment

GRID = """\
method: grid
program: line.py
run_cap: 4
parameters:
  lr: {values: [0.1, 0.01, 1e-3]}
  epochs: {min: 2, max: 3}
"""
RANDOM = """\
method: random
parameters:
  lr: {distribution: log_uniform_values, min: 0.001, max: 1.0}
  net: {parameters: {width: {values: [8, 16]}}}
"""


def write(text: str, name: str = "sweep.yaml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def answer(thetahat, *words: str) -> tuple[int, dict]:
    code, out, err = thetahat("check", *words, "--format", "json")
    assert err == ""
    return code, json.loads(out)


def test_a_grid_is_counted(line, thetahat):
    write(GRID)
    code, out, err = thetahat("check", "sweep.yaml")
    fixed = "1e-3 is text to W&B's YAML, and a number here; write 0.001"
    assert (code, err) == (0, "")
    assert out == (
        f"sweep.yaml:5: note: parameters.lr.values[2]: {fixed}\n"
        "sweep.yaml: valid; a grid of 6 points, of which run_cap runs 4\n"
    )
    note = {"line": 5, "key": "parameters.lr.values[2]", "message": fixed}
    wanted = {
        "valid": True,
        "method": "grid",
        "points": 6,
        "settings": 6,
        "errors": [],
        "notes": [note],
    }
    assert answer(thetahat, "sweep.yaml") == (0, wanted)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (GRID.replace("run_cap: 4\n", ""), "valid; a grid of 6 points"),
        ("method: grid\nparameters: {x: {value: 1}}\n", "valid; a grid of 1 point"),
        (RANDOM, "valid; random, endless"),
        (f"run_cap: 1\n{RANDOM}", "valid; random, run_cap ends it after 1 run"),
        (f"run_cap: 2000\n{RANDOM}", "valid; random, run_cap ends it after 2,000 runs"),
    ],
)
def test_the_verdict(text, verdict, line, thetahat):
    write(text)
    code, out, _ = thetahat("check", "sweep.yaml")
    assert code == 0
    assert out.splitlines()[-1] == f"sweep.yaml: {verdict}"


def test_every_mistake_is_said_with_its_line(line, thetahat):
    write(
        "methd: grid\nprogram: line.py\nparameters:\n  learning_rate: {value: 1}\n"
        "  epochs: {min: 9, max: 2}\n  slope: {value: steep}\n"
    )
    code, out, err = thetahat("check", "sweep.yaml")
    assert (code, err) == (2, "")
    assert out == (
        "sweep.yaml:1: methd: a sweep file has no key 'methd'; did you mean 'method'?\n"
        "sweep.yaml:1: method: the file names no method; add method: grid, random, bayes or custom\n"
        "sweep.yaml:4: parameters.learning_rate: line() has no parameter 'learning_rate'; did you"
        " mean 'lr'?\n"
        "sweep.yaml:5: parameters.epochs.min: min 9 is above max 2; swap them: min: 2, max: 9\n"
        "sweep.yaml:6: parameters.slope.value: slope is 'steep', and must be a number (float);"
        " give one, such as 0.01\n"
        "sweep.yaml: 5 mistakes; nothing has run\n"
    )
    code, found = answer(thetahat, "sweep.yaml")
    assert (code, found["valid"], found["method"], found["points"]) == (2, False, None, None)
    assert [problem["line"] for problem in found["errors"]] == [1, 1, 4, 5, 6]
    assert set(found["errors"][0]) == {"line", "key", "message"}


def test_the_experiment_is_not_run_and_the_folder_stays_clean(line, folder, thetahat):
    write(GRID)
    before = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert thetahat("check", "sweep.yaml")[0] == 0
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert before == after == ["line.py", "sweep.yaml"]


def test_a_missing_program_is_a_mistake_but_not_to_w_and_b(folder, thetahat):
    write(GRID)
    said = "there is no file line.py, neither here nor beside the sweep file"
    code, found = answer(thetahat, "sweep.yaml")
    assert (code, found["valid"], found["points"]) == (2, False, 6)
    assert found["errors"][0]["message"].startswith(said)
    assert found["errors"][0]["line"] == 2
    code, found = answer(thetahat, "sweep.yaml", "--strict")
    assert (code, found["valid"], found["errors"]) == (0, True, [])
    assert any(note["message"].startswith(said) for note in found["notes"])


def test_strict_is_w_and_bs_verdict(line, thetahat):
    write("method: random\nparameters:\n  lr: {min: 1e-4, max: 0.1}\n")
    assert answer(thetahat, "sweep.yaml")[0] == 0
    code, found = answer(thetahat, "sweep.yaml", "--strict")
    assert (code, [problem["key"] for problem in found["errors"]]) == (2, ["parameters.lr.min"])
    write("method: grid\nparameters:\n  lr: {min: 0.1, max: 0.2}\n")
    assert answer(thetahat, "sweep.yaml")[0] == 2
    code, out, _ = thetahat("check", "sweep.yaml", "--strict")
    assert code == 0
    assert out.endswith("sweep.yaml: valid for W&B, but cannot be run here (see the notes)\n")


def test_the_first_configs_of_a_grid(line, thetahat):
    write(GRID)
    code, out, _ = thetahat("check", "sweep.yaml", "--list", "4", "--format", "json")
    assert code == 0
    assert json.loads(out) == [
        {"epochs": 2, "lr": 0.1},
        {"epochs": 2, "lr": 0.01},
        {"epochs": 2, "lr": 0.001},
        {"epochs": 3, "lr": 0.1},
    ]
    code, out, _ = thetahat("check", "sweep.yaml", "--list", "99", "--format", "json")
    assert len(json.loads(out)) == 6
    code, out, _ = thetahat("check", "sweep.yaml", "--list", "2")
    assert [line.split() for line in out.splitlines()[::2]] == [["epochs", "lr"], ["2", "0.10"]]


def test_the_first_configs_of_a_random_search_hang_on_the_seed(folder, thetahat):
    write(RANDOM)

    def first(*words: str) -> list[dict]:
        code, out, _ = thetahat("check", "sweep.yaml", "--list", *words, "--format", "json")
        assert code == 0
        return json.loads(out)

    three = first("3", "--seed", "5")
    assert three == first("3", "--seed", "5")
    assert three[:2] == first("2", "--seed", "5")
    assert three != first("3", "--seed", "6")
    assert first("3") == first("3", "--seed", "0")
    assert all(0.001 <= c["lr"] <= 1 and c["net"]["width"] in (8, 16) for c in three)
    _, out, _ = thetahat("check", "sweep.yaml", "--list", "1")
    assert out.split()[:2] == ["lr", "net.width"]


TWELVE = """\
methd: grid
program: line.py
run_cap: 0
parameters:
  learning_rate: {value: 1}
  epochs: {min: 9, max: 2}
  slope: {value: steep}
"""


@pytest.mark.parametrize(
    "text",
    [
        "method: gird\nparameters: {x: {value: 1}}\n",
        TWELVE,
        GRID.replace("line.py", "missing.py"),
        GRID.replace("program: line.py", "command: []"),
        GRID.replace("program: line.py", "command: [no-such-program]"),
        GRID.replace("lr:", "rate:"),
        "method: [\n",
    ],
)
@pytest.mark.parametrize("format", ["table", "json"])
def test_a_list_of_a_file_with_mistakes_has_the_verdict_of_a_plain_check(
    text, format, line, thetahat
):
    write(text)
    plain = thetahat("check", "sweep.yaml", "--format", format)
    assert plain[0] == 2
    assert thetahat("check", "sweep.yaml", "--list", "2", "--format", format) == plain


def test_a_list_says_the_notes_and_the_verdict_beside_it(line, thetahat):
    write(GRID)
    _, said, _ = thetahat("check", "sweep.yaml")
    code, out, err = thetahat("check", "sweep.yaml", "--list", "2", "--format", "json")
    assert (code, err, len(json.loads(out))) == (0, said, 2)


@pytest.mark.parametrize(
    ("width", "key", "message"),
    [
        ("{min: 5, max: 2}", ".min", "min 5 is above max 2; swap them: min: 2, max: 5"),
        ("{values: []}", ".values", "values is an empty list; give a list of at least one"),
        (
            "{distribution: log_uniform_values, min: 0, max: 9}",
            ".min",
            "min is 0, and the bounds of log_uniform_values are values above 0; give one, such as"
            " min: 0.0001",
        ),
        ("{min: 3, max: 3}", ".min", "min and max are both 3; for one value write value: 3"),
        ("{distribution: normal, sigma: -1}", ".sigma", "sigma is -1, and must be above 0"),
        ("{}", "", "epochs is an empty mapping; give it a value, values, or min and max"),
        (
            "{parameters: {a: {min: 2, max: 1}}}",
            ".parameters.a.min",
            "min 2 is above max 1; swap them: min: 1, max: 2",
        ),
    ],
)
def test_a_mistake_in_a_parameter_of_an_experiment_is_said_as_for_any_program(
    width, key, message, line, thetahat
):
    mistake = {"line": 4, "key": f"parameters.epochs{key}", "message": message}
    text = f"method: random\nprogram: PROGRAM\nparameters:\n  epochs: {width}\n"
    write("print()", "plain.py")
    for program in ("line.py", "plain.py"):
        write(text.replace("PROGRAM", program))
        code, found = answer(thetahat, "sweep.yaml")
        assert (code, found["errors"]) == (2, [mistake])


def test_a_file_that_is_no_yaml_is_one_mistake(folder, thetahat):
    Path("sweep.yaml").write_bytes(b"method: grid\nname: \xff\n")
    code, out, err = thetahat("check", "sweep.yaml")
    assert (code, err) == (2, "")
    assert out.startswith("sweep.yaml:2: byte 20 of the file (0xff) is not UTF-8; save the file")
    assert out.endswith("\nsweep.yaml: 1 mistake; nothing has run\n")
    code, found = answer(thetahat, "sweep.yaml")
    assert (code, found["errors"][0]["line"], found["errors"][0]["key"]) == (2, 2, "")


def test_colours_where_they_are_wanted(folder, thetahat, monkeypatch):
    write("method: gird\nparameters: {x: {value: 1}}\n")
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, out, _ = thetahat("check", "sweep.yaml")
    assert out.startswith("\x1b[1msweep.yaml:1:\x1b[0m \x1b[31mmethod:\x1b[0m method is the text")
    assert "\x1b[33mnote:\x1b[0m" in out
    assert out.endswith("sweep.yaml: \x1b[1m1 mistake; nothing has run\x1b[0m\n")


def test_an_annotation_that_cannot_be_read_is_a_mistake_of_the_program(folder, thetahat):
    write(
        "import thetahat as th\n\ndef a(x: 'Nope' = 1): ...\n\nif False:\n    th.main(a)\n",
        "line.py",
    )
    write(GRID)
    code, found = answer(thetahat, "sweep.yaml")
    assert code == 2
    assert found["errors"][0]["message"].startswith("an annotation of a() cannot be read")


def test_neither_jax_nor_numpy_nor_optuna_is_loaded(folder):
    write(RANDOM)
    code = (
        "import sys; from thetahat.cli import run\n"
        "for words in (['check', 'sweep.yaml'], ['check', 'sweep.yaml', '--list', '2']):\n"
        "    assert run(words) == 0\n"
        "print(*(m for m in ('jax', 'numpy', 'optuna', 'scipy') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


def test_the_experiment_of_a_real_script(folder, thetahat):
    write(LINE, "line.py")
    write("method: grid\nprogram: line.py\nparameters:\n  seed: {min: 1, max: 100}\n")
    assert answer(thetahat, "sweep.yaml") == (
        0,
        {
            "valid": True,
            "method": "grid",
            "points": 100,
            "settings": 100,
            "errors": [],
            "notes": [],
        },
    )


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("epochs: {values: [4, .inf]}", "epochs is inf, and must be a whole number (int)"),
        ("epochs: {value: -.inf}", "epochs is -inf, and must be a whole number (int)"),
        ("lr: {min: 0.1, max: .inf}", "max is inf; give a finite number"),
        ("lr: {distribution: uniform, min: -.inf, max: 1}", "min is -inf; give a finite number"),
        ("lr: {values: [0.1, .nan]}", "lr is nan, and must be a number (float)"),
        ("lr: {values: [0.1, .inf]}", None),  # of no bound, say: a float may mean that
    ],
)
def test_infinity_is_a_value_of_a_float_and_of_nothing_else(line, thetahat, section, fault):
    write(f"method: random\nprogram: line.py\nrun_cap: 2\nparameters:\n  {section}\n")
    code, found = answer(thetahat, "sweep.yaml")
    assert (code, found["valid"]) == (2 if fault else 0, fault is None)
    assert all(fault in problem["message"] for problem in found["errors"])


def test_a_program_in_place_of_a_sweep_file_is_said(line, thetahat):
    for words in (("sweep", "line.py"), ("check", "line.py")):
        code, out, err = thetahat(*words)
        assert (code, out) == (2, "")
        assert err.startswith(
            "thetahat: line.py is a program, not a sweep file; to sweep it, write"
        )


def test_sweep_lists_the_mistakes_that_check_lists(line, folder, thetahat):
    text = "program: line.py\nmetod: grid\nparameters:\n  learning: {value: 1}\n  lr: {min: 2, max: 1}\n"
    (folder / "bad.yaml").write_text(text)
    checked = thetahat("check", "bad.yaml")[1].splitlines()[:-1]
    code, _, err = thetahat("sweep", "bad.yaml", "--run")
    assert code == 2
    assert err.removeprefix("thetahat: ").splitlines() == checked
    assert any("has no parameter 'learning'" in said for said in checked)
