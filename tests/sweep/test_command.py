"""The command line of a run: every macro, and what is wrong before anything runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from thetahat.core.errors import InputError

# Another system is simulated by the module's own flag.
from thetahat.sweep.spec import _command, argv_of, check_runnable

CONFIG: dict[str, Any] = {
    "lr": 0.01,
    "d": None,
    "tags": ["a", "b"],
    "model": {"layers": 2},
    "on": True,
    "off": False,
    "tiny": 1e-05,
}


def words(*command: str, program: str | None = "train.py", **options: Any) -> list[str]:
    given: dict[str, Any] = {"env": {"PATH": ""}, "folder": Path("nowhere"), **options}
    return argv_of(command or None, program, CONFIG, **given)


ARGS = [
    "--lr=0.01",
    "--d=None",
    "--tags=['a', 'b']",
    "--model={'layers': 2}",
    "--on=True",
    "--off=False",
    "--tiny=1e-05",
]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("${args}", ARGS),
        ("${args_no_hyphens}", [word[2:] for word in ARGS]),
        ("${args_append_hydra}", ["+" + word[2:] for word in ARGS]),
        ("${args_override_hydra}", ["++" + word[2:] for word in ARGS]),
        ("${args_no_boolean_flags}", [*ARGS[:4], "--on", "--tiny=1e-05"]),
        ("${args_no_equals}", [part for word in ARGS for part in word.split("=", 1)]),
        ("${program}", ["train.py"]),
        ("${args_json}", [json.dumps(CONFIG)]),
        ("${unknown}", []),
        ("${args", ["${args"]),
        ("x${args}", ["x${args}"]),
        ("--config=${args_json}", ["--config=${args_json}"]),
    ],
)
def test_macros(macro: str, expected: list[str]) -> None:
    assert words("run", macro) == ["run", *expected]


def test_the_default_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"PATH": str(tmp_path)}
    assert words(interpreter="/mine/python", env=env) == [
        "/usr/bin/env",
        "/mine/python",
        "train.py",
        *ARGS,
    ]
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    active = {**env, "VIRTUAL_ENV": "/mine"}
    assert words(interpreter="/mine/python", env=active)[:2] == ["/usr/bin/env", "python"]
    # Another environment's python is not the one that has the agent's packages.
    monkeypatch.setattr(sys, "prefix", "/mine")
    assert words(interpreter="/mine/python", env=env)[:2] == ["/usr/bin/env", "/mine/python"]
    monkeypatch.setattr(_command, "WINDOWS", True)
    assert words("${env}", "${program}") == ["train.py"]
    assert argv_of([], "p.py", {}, env={}, folder=tmp_path)[1:] == ["p.py"]


def test_the_agents_own_interpreter_by_default(tmp_path: Path) -> None:
    assert argv_of(["${interpreter}"], None, {}, env={}, folder=tmp_path) == [sys.executable]


def test_environment_variables_also_inside_an_item() -> None:
    env = {"PATH": "", "HOME_DIR": "/h", "WHOLE": "${program}"}
    assert words("a", "${envvar:HOME_DIR}/x-${envvar:HOME_DIR}", env=env) == ["a", "/h/x-/h"]
    assert words("a", "${envvar:NOT_SET}", "${envvar:lower}", env=env) == ["a", "NOT_SET"]
    assert words("a", "${envvar:WHOLE}", env=env) == ["a", "train.py"]


def test_the_json_file_is_written_only_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    words("run", "${args_json}", folder=folder)
    assert not folder.exists()
    path = words("run", "${args_json_file}", folder=folder)[1]
    assert path == str(folder / "config.json")
    assert json.loads(Path(path).read_text()) == CONFIG


def test_a_json_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        words("run", "${args_json_file}", folder=tmp_path / "file")
    assert str(caught.value).startswith(
        f"{tmp_path}/file/config.json, the file of ${{args_json_file}}, cannot be written ("
    )
    assert str(caught.value).endswith("); give another store with store= (--store)")


def test_a_command_of_numbers_and_of_nothing() -> None:
    assert argv_of(["run", 3], None, {}, env={}, folder=Path()) == ["run", "3"]  # type: ignore[list-item]
    with pytest.raises(InputError) as caught:
        argv_of(["${unknown}"], None, {}, env={}, folder=Path())
    assert str(caught.value) == (
        "the command ['${unknown}'] is empty; leave it out, or name a program"
    )
    with pytest.raises(InputError) as caught:
        words(program=None)
    assert str(caught.value) == (
        "the command has ${program}, but the sweep file names none; add a line such as"
        " 'program: train.py', or write the program into the command"
    )


def refused(argv: list[str], program: str | None, cwd: Path, path: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        check_runnable(argv, program, env={"PATH": path or os.environ["PATH"]}, cwd=cwd)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_program_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    (tmp_path / "folder").mkdir()
    argv = ["/usr/bin/env", sys.executable]
    assert refused([*argv, "trian.py"], "trian.py", tmp_path) == (
        "program: there is no file 'trian.py'; did you mean 'train.py'?"
    )
    assert refused([*argv, "main.R"], "main.R", tmp_path) == (
        f"program: there is no file 'main.R'; paths are seen from {tmp_path}"
    )
    assert refused([*argv, "folder/"], "folder/", tmp_path) == (
        "program: folder/ is a folder; name the file in it that is to be run"
    )
    (tmp_path / "folder" / "__main__.py").write_text("")
    check_runnable([*argv, "folder/"], "folder/", env=os.environ, cwd=tmp_path)
    check_runnable([*argv, "train.py", "--lr=1"], "train.py", env=os.environ, cwd=tmp_path)
    check_runnable([*argv, "-m", "pkg.train"], "pkg.train", env=os.environ, cwd=tmp_path)


def test_a_command_that_is_not_found_or_not_executable(tmp_path: Path) -> None:
    script = tmp_path / "go.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o644)
    (tmp_path / "folder").mkdir()
    assert refused(["no-such-program"], None, tmp_path) == (
        "command: there is no program 'no-such-program' on the PATH; install it, or give its full"
        " path"
    )
    assert refused(["/usr/bin/env", "LANG=C", "nonesuch"], None, tmp_path) == (
        "command: there is no program 'nonesuch' on the PATH; install it, or give its full path"
    )
    assert refused(["./gone.sh"], None, tmp_path) == (
        f"command: there is no file './gone.sh'; paths are seen from {tmp_path}"
    )
    assert refused(["./folder"], None, tmp_path) == (
        "command: './folder' is a folder, not a program"
    )
    assert refused(["./go.sh", "--lr=1"], "./go.sh", tmp_path) == (
        "command: './go.sh' is not executable; make it so with 'chmod +x ./go.sh', or put"
        " ${interpreter} (or another program that can run it) before it"
    )
    script.chmod(0o755)
    check_runnable(["./go.sh"], "./go.sh", env=os.environ, cwd=tmp_path)
    check_runnable(["/usr/bin/env", "-i", "sh"], None, env=os.environ, cwd=tmp_path)
    check_runnable(["sh", "x"], "sh", env=os.environ, cwd=tmp_path)
