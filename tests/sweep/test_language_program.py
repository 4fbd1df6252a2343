"""The program of a sweep: whether it can run, whether it is an experiment, and which."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from thetahat.core import ConfigError, read_signature
from thetahat.core.collect import collected, collecting
from thetahat.sweep import Problem, SweepProgram, experiment_of, load_experiment, parse_sweep
from thetahat.sweep.spec import experiment_names

EXPERIMENT = """\
import thetahat as th

def growth(lr: float = 0.1, width: int = 8) -> th.Task:
    raise AssertionError("an experiment is not called by a check")

if __name__ == "__main__":
    th.main(growth)
"""
REST = "method: grid\nparameters: {lr: {value: 0.1}}\n"
NOT_CHECKED = "and its parameters are not checked"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty; what is loaded there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("thetahat_script_")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def program(text: str, line: str = "program: train.py\n", file: str = "train.py") -> SweepProgram:
    Path(file).parent.mkdir(exist_ok=True, parents=True)
    Path(file).write_text(text, encoding="utf-8")
    return experiment_of(parse_sweep(line + REST, "sweep.yaml").require())


def test_experiment_of_finds_an_experiment_and_does_not_run_it(folder):
    found = program(EXPERIMENT)
    assert (found.errors, found.notes, found.file) == ((), (), Path("train.py"))
    assert found.experiment is not None
    assert list(read_signature(found.experiment).parameters) == ["lr", "width"]


@pytest.mark.parametrize(
    ("imported", "call"),
    [
        ("import thetahat", "thetahat.main(growth)"),
        ("import thetahat as abc", "abc.main(growth)"),
        ("from thetahat import main", "main(growth)"),
        ("from thetahat import main as go", "go(growth)"),
        ("import thetahat.cli", "thetahat.cli.main(growth)"),
        ("from thetahat.cli import main", "main(experiment=growth)"),
    ],
)
def test_experiment_of_finds_every_way_to_call_main(imported, call):
    text = f"{imported}\n\ndef growth(lr: float = 0.1):\n    pass\n\nif __name__ == '__main__':\n"
    found = program(f"{text}    {call}\n")
    assert found.experiment is not None
    assert found.experiment.__name__ == "growth"


def test_a_script_that_calls_main_while_it_is_loaded_has_an_experiment(capsys):
    text = EXPERIMENT.partition("if __name__")[0]
    found = program(f"{text}print('loading')\nth.main(lambda lr=0.1: None)\n")
    assert found.experiment is not None
    assert found.experiment.__name__ == "<lambda>"
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "loading\n")


def test_experiment_of_never_loads_another_program(folder):
    text = "from pathlib import Path\nPath('ran').touch()\n\ndef main(): ...\n\nmain()\n"
    found = program(text)
    assert not (folder / "ran").exists()
    message = (
        "train.py never calls th.main, so it is not an experiment of thetahat, and its parameters"
        " are not checked"
    )
    assert found == SweepProgram(Path("train.py"), notes=(Problem(1, "program", message),))


@pytest.mark.parametrize("text", ["import other\nother.main(3)\n", "class A:\n    main = 3\n"])
def test_experiment_names_ignores_other_functions_named_main(text):
    Path("a.py").write_text(text, encoding="utf-8")
    assert experiment_names(Path("a.py")) is None


def test_find_program_looks_beside_the_sweep_file_too(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "train.py").write_text(EXPERIMENT, encoding="utf-8")
    spec = parse_sweep(f"program: train.py\n{REST}", "deep/sweep.yaml").require()
    assert experiment_of(spec).file == Path("deep/train.py")
    (folder / "train.py").write_text(EXPERIMENT, encoding="utf-8")
    assert experiment_of(spec).file == Path("train.py")


MISTAKES = [
    ("def f(:\n", "train.py, line 1 is not Python: invalid syntax"),
    (
        f"{EXPERIMENT}raise ValueError('no\\ndata')\n",
        "train.py cannot be loaded: ValueError: no (line 8); run it alone to see more: python"
        " train.py --help",
    ),
    (
        f"import no_such_module\n{EXPERIMENT}",
        "train.py cannot be loaded: ModuleNotFoundError: No module named 'no_such_module' (line 1);"
        " run it alone to see more: python train.py --help",
    ),
    (
        f"import sys\nsys.exit()\n{EXPERIMENT}",
        "train.py cannot be loaded: SystemExit (line 2); run it alone to see more: python train.py"
        " --help",
    ),
    (
        "import thetahat as th\nif __name__ == '__main__':\n    th.main(lambda lr: None)\n",
        "train.py passes no function to th.main that has a name at the top of the file; write a"
        " function, and th.main(its_name) at the end",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_program_that_cannot_be_loaded(text, message):
    assert program(text).errors == (Problem(1, "program", message),)


def test_experiment_of_refuses_a_missing_program():
    spec = parse_sweep(f"name: a\nprogram: tarin.py\n{REST}").require()
    message = (
        "there is no file tarin.py, neither here nor beside the sweep file; go to its folder, or"
        " give its path"
    )
    assert experiment_of(spec).errors == (Problem(2, "program", message),)


@pytest.mark.skipif(sys.platform == "win32", reason="no x bit there")
def test_a_command_that_cannot_run(folder):
    (folder / "go.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    spec = parse_sweep(f'command: [./go.sh, "${{args}}"]\n{REST}').require()
    (problem,) = experiment_of(spec).errors
    assert (problem.line, problem.key) == (1, "command")
    assert "chmod +x" in problem.message
    (folder / "go.sh").chmod(0o755)
    found = experiment_of(spec)
    message = "not an experiment of thetahat, so its parameters are not checked"
    assert found == SweepProgram(notes=(Problem(1, "command", message),))
    spec = parse_sweep(f'command: [surely_no_such_program, "${{args}}"]\n{REST}').require()
    (problem,) = experiment_of(spec).errors
    assert "surely_no_such_program" in problem.message


def test_a_command_without_the_program_does_not_load_it(folder):
    (folder / "train.py").write_text("raise AssertionError\n", encoding="utf-8")
    command = f'command: [{sys.executable!r}, -c, "pass", "${{args}}"]\n'
    found = experiment_of(parse_sweep(f"program: train.py\n{command}{REST}").require())
    assert found.experiment is None
    assert found.errors == ()
    assert [note.key for note in found.notes] == ["command"]


def test_neither_program_nor_command():
    assert experiment_of(parse_sweep(REST).require()) == SweepProgram()


def test_an_experiment_by_its_name(folder):
    text = EXPERIMENT + "\ndef decline(lr: float = 0.1) -> th.Task:\n    ...\n"
    (folder / "train.py").write_text(text, encoding="utf-8")
    assert load_experiment(Path("train.py"), "decline").__name__ == "decline"
    assert load_experiment(Path("train.py")).__name__ == "growth"
    with pytest.raises(ConfigError) as caught:
        load_experiment(Path("train.py"), "growht")
    said = "train.py has no experiment 'growht'; did you mean 'growth'?"
    assert str(caught.value) == said
    (folder / "train.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(Path("train.txt"))
    assert str(caught.value) == "train.txt is not a Python file; give the one of the experiment"


def test_collecting_ends_with_its_block():
    def one() -> None: ...

    assert not collected(one)
    with collecting() as outer:
        with collecting() as inner:
            assert collected(one)
        assert (inner, outer) == ([one], [])
    with contextlib.suppress(KeyError), collecting():
        raise KeyError
    assert not collected(one)
