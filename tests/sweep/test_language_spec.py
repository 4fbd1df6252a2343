"""What a sweep file becomes: its spec, its points, and W&B's own verdict on hundreds of files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from thetahat.core.errors import ConfigError
from thetahat.search import DISTRIBUTIONS, EXPONENTS, Hyperband, Objective
from thetahat.sweep import (
    Problem,
    SweepSpec,
    contamination,
    nothing_varies,
    parse_sweep,
    read_sweep,
)

ORACLE = Path(__file__).parents[1] / "oracle"
FILES = json.loads((ORACLE / "sweep_files.json").read_text(encoding="utf-8"))
VERDICTS = json.loads((ORACLE / "verdicts.json").read_text(encoding="utf-8"))

LECTURES = """\
program: lectures/examples/mlp_regression_jax_nnx_logging.py
name: Sweep Example
method: bayes
metric:
  name: test_loss
  goal: minimize
parameters:
  num_epochs:
    value: 300 # fixed for all calls
  lr: # uniformly distributed
    min: 0.0001
    max: 0.01
  width: # discrete values to optimize over
    values: [64, 128, 256]
"""
CONTAMINATED = (
    "contaminated: test_loss tunes on the test set, so it no longer measures anything unseen; the"
    " sweep runs and is marked everywhere; for an honest choice name a validation metric, such as"
    " val_risk"
)


def spec_of(text: str, **options: bool) -> SweepSpec:
    reading = parse_sweep(text, **options)
    assert reading.valid, reading.errors
    return reading.require()


@pytest.mark.parametrize("more", ["", "  wandb_mode:\n    value: online # otherwise won't log\n"])
def test_the_lectures_file_as_printed(more):
    text = LECTURES.replace("  num_epochs", f"{more}  num_epochs")
    reading = parse_sweep(text, "mlp_sweep.yaml")
    spec = reading.require()
    assert [(note.line, note.message) for note in reading.notes] == [(5, CONTAMINATED)]
    assert (spec.method, spec.points, spec.run_cap, spec.command) == ("bayes", None, None, None)
    assert (spec.program, spec.name) == (
        "lectures/examples/mlp_regression_jax_nnx_logging.py",
        "Sweep Example",
    )
    assert spec.metric == Objective("test_loss", "minimize")
    assert (spec.text, spec.file) == (text, "mlp_sweep.yaml")
    assert spec.parameters["lr"] == {"min": 0.0001, "max": 0.01}
    assert contamination(spec)
    assert parse_sweep(text, strict=True).valid


def test_every_key_reaches_the_spec():
    spec = spec_of("""\
apiVersion: v1
kind: sweep
program: a.py
name: n
description: two words
project: p
method: grid
run_cap: 7.0
metric: {name: val_risk, goal: maximize, target: 3, impute: best, impute_while_running: latest}
early_terminate: {type: hyperband, max_iter: 27, s: 2, eta: 2, strict: false}
command: ["${env}", "${interpreter}", "${program}", train, 3, "${args}"]
parameters:
  a: {min: 1, max: 3}
  b: {values: [x, y]}
  model: {parameters: {c: {value: 1}}}
""")
    assert spec.metric == Objective("val_risk", "maximize", 3, "best", "latest")
    assert spec.hyperband == Hyperband(None, 27, 2, 2, False)
    assert (spec.run_cap, type(spec.run_cap)) == (7, int)
    assert spec.command == ("${env}", "${interpreter}", "${program}", "train", "3", "${args}")
    assert (spec.description, spec.project) == ("two words", "p")
    assert spec.points == 6
    assert spec.space.point(5) == {"a": 3, "b": "y", "model": {"c": 1}}
    assert (spec.place("parameters.b").line, spec.place("parameters.b.values[1]").text) == (14, "y")
    assert spec.place("parameters.b.nothing").line == 14
    assert spec.place("nothing").line == 1


def test_min_iter_beside_max_iter_is_not_used():
    text = "metric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 1, max_iter: 9, s: 1}"
    spec = spec_of(f"method: random\n{text}\nparameters: {{x: {{value: 1}}}}\n")
    assert spec.hyperband == Hyperband(max_iter=9, s=1)


def test_text_that_only_we_would_read_as_a_number_stays_text():
    text = "method: grid\nname: 1e-4\nmetric: {name: 1e3}\nparameters: {x: {value: 1e-4}}\n"
    spec = spec_of(text)
    assert (spec.name, spec.metric) == ("1e-4", Objective("1e3"))
    assert spec.parameters == {"x": {"value": 0.0001}}
    assert spec_of(text, strict=True).parameters == {"x": {"value": "1e-4"}}


def test_a_command_reaches_the_program_as_w_and_bs_agent_hands_it_on():
    spec = spec_of(
        'method: grid\nprogram: a\ncommand: [a, off, 010, 1e3, ~, "on", "${args}"]\n'
        "parameters: {x: {value: 1}}\n"
    )
    assert spec.command == ("a", "False", "8", "1e3", "None", "on", "${args}")


@pytest.mark.parametrize(
    ("name", "tainted"),
    [
        *[
            (name, True)
            for name in ("test_loss", "test/risk", "loss_test", "testLoss", "Test loss")
        ],
        *[(name, True) for name in ("TEST_ACC", "test1", "final.test.mse", "tests_failed")],
        *[(name, False) for name in ("val_risk", "latest", "contest", "greatest_loss", "attest")],
    ],
)
def test_contamination_is_read_from_the_metrics_name(name, tainted):
    text = f"method: bayes\nmetric: {{name: {name}}}\nparameters: {{x: {{min: 0.0, max: 1.0}}}}\n"
    assert contamination(spec_of(text)) is tainted
    without = spec_of("method: random\nparameters: {x: {min: 0.0, max: 1.0}}\n")
    assert not contamination(without)


def test_require_says_all_mistakes_a_line_each():
    with pytest.raises(ConfigError) as caught:
        parse_sweep("method: gird\nrun_cap: 0\nparameters: {x: {value: 1}}\n", "a.yaml").require()
    assert str(caught.value) == (
        "a.yaml:1: method: method is the text 'gird', and must be grid, random, bayes or custom;"
        " did you mean 'grid'?\na.yaml:2: run_cap: run_cap is 0; give a whole number of at least 1"
    )


def test_what_is_sound_of_a_file_with_mistakes():
    text = "method: gird\nprogram: a.py\nparameters:\n  x: {min: 3, max: 1}\n  y: {value: 1}\n"
    reading = parse_sweep(text)
    assert reading.spec is None
    assert reading.sound is not None
    assert reading.sound.parameters == {"x": {}, "y": {"value": 1}}
    assert reading.sound.program == "a.py"
    bad = parse_sweep("method: grid\nprogram: a.py\ncommand: a\nparameters: {x: {value: 1}}\n")
    assert bad.sound is not None
    assert bad.sound.program is None
    assert parse_sweep("method: grid\n").sound is None


# -- W&B's own verdict ----------------------------------------------------------------------------


def test_there_are_enough_files_of_every_kind():
    assert len(FILES) >= 200
    assert set(FILES) == set(VERDICTS)
    valid = [name for name, verdict in VERDICTS.items() if verdict["valid"]]
    assert min(len(valid), len(FILES) - len(valid)) > 150
    taken = "\n".join(FILES[name] for name in valid)
    for kind in DISTRIBUTIONS:
        assert kind in EXPONENTS or kind in taken, kind


@pytest.mark.parametrize("name", FILES)
def test_strict_gives_the_verdict_of_sweeps(name):
    reading = parse_sweep(FILES[name], strict=True)
    verdict = VERDICTS[name]
    assert reading.valid == verdict["valid"], (FILES[name], reading.errors, verdict)


def test_where_we_are_stricter_w_and_bs_verdict_says_so_in_a_note():
    text = "method: grid\nparameters:\n  x: {min: 0.0, max: 1.0}\n"
    assert not parse_sweep(text).valid
    reading = parse_sweep(text, "a.yaml", strict=True)
    assert reading.valid
    assert reading.spec is None
    assert reading.notes[-1].message == (
        "W&B accepts this, but it cannot run: a grid cannot run all values of uniform; give values:"
        " [...], whole numbers as min and max, or distribution: q_uniform with a step q; or write"
        " method: random"
    )
    with pytest.raises(ConfigError) as caught:
        reading.require()
    said = "a.yaml is valid for W&B, but cannot be run here; see its notes"
    assert str(caught.value) == said


def test_where_w_and_b_is_stricter_its_verdict_says_so():
    text = "method: random\nparameters:\n  x: {min: 1e-4, max: 0.1}\n"
    assert parse_sweep(text).valid
    (problem,) = parse_sweep(text, strict=True).errors
    said = "1e-4 is text to W&B's YAML; write 0.0001"
    assert problem.message == f"min is the text '1e-4', and must be a number; {said}"
    text = "method: random\nparameters:\n  x: {distribution: log_uniform, min: -3, max: 0}\n"
    assert parse_sweep(text).valid
    (problem,) = parse_sweep(text, strict=True).errors
    assert problem.message.endswith("(W&B no longer takes log_uniform)")


# -- round trips ----------------------------------------------------------------------------------

# The two versions of YAML break lines at other characters than \n differently.
# An exponent without a dot is text to PyYAML, which writes it without quotes; here it is a number.
EXPONENT = re.compile(r"[-+]?[0-9_.]+[eE][-+]?[0-9]+")
LETTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
TEXT = st.text(LETTERS, min_size=1, max_size=8).filter(lambda word: not EXPONENT.fullmatch(word))
NUMBERS = st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6))
VALUES = st.one_of(NUMBERS, st.booleans(), st.none(), TEXT)
NESTED = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(TEXT, inner, max_size=3),
    ),
    max_leaves=5,
)
RANGES = st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] < pair[1])
SECTIONS = st.one_of(
    st.fixed_dictionaries({"value": NESTED}),
    st.fixed_dictionaries({"values": st.lists(NESTED, min_size=1, max_size=4)}),
    RANGES.map(lambda pair: {"min": pair[0], "max": pair[1]}),
    RANGES.map(lambda pair: {"min": pair[0], "max": pair[1], "distribution": "q_uniform", "q": 2}),
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,7}", fullmatch=True)
PARAMETERS = st.dictionaries(NAMES, SECTIONS, min_size=1, max_size=4)


@settings(deadline=None)
@given(PARAMETERS, st.booleans())
def test_a_file_that_is_written_is_read_as_it_was(parameters, flow):
    nested = {**parameters, "inner": {"parameters": parameters}}
    text = yaml.safe_dump(
        {"method": "random", "parameters": nested}, default_flow_style=flow, allow_unicode=True
    )
    assert spec_of(text).parameters == nested
    assert spec_of(text, strict=True).parameters == nested


def test_a_file_is_read_from_the_disk(tmp_path: Path):
    file = tmp_path / "a.yaml"
    file.write_text(LECTURES, encoding="utf-8")
    assert read_sweep(file).require().file == str(file)
    assert read_sweep(str(file), strict=True).valid


@pytest.mark.parametrize(
    ("parameters", "fix"),
    [
        ("lr: {value: 0.1}", "give a parameter values: [...] or min and max, or write method: grid to run it once"),
        ("layers: {value: [5, 7, 10]}", "did you mean layers: {values: [5, 7, 10]}?"),
        ("net: {parameters: {w: {value: [1, 2]}}}", "did you mean net.w: {values: [1, 2]}?"),
        ("lr: {values: [1, 1.0]}", "give a parameter values: [...] or min and max, or write method: grid to run it once"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_in_which_nothing_varies_is_refused(method, parameters, fix) -> None:
    text = f"method: {method}\nprogram: a.py\nmetric: {{name: loss}}\nparameters:\n  {parameters}\n"
    said = f"nothing varies, so all runs have the same config; {fix}"
    assert nothing_varies(parse_sweep(text).require()) == Problem(4, "parameters", said)
    grid = parse_sweep(text.replace(method, "grid")).require()
    assert (grid.points, nothing_varies(grid)) == (1, None)
    assert nothing_varies(parse_sweep(f"{text}  other: {{min: 1, max: 2}}\n").require()) is None
