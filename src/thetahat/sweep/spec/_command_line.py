"""The command line of one run, from a sweep file's ``command`` and its macros.

A macro counts only where it is the whole item of the list; ``${envvar:NAME}`` also inside one.
Values are written as Python's ``str`` writes them. A macro that is unknown stands for nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from thetahat.core.errors import InputError, StoreError

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
WINDOWS = sys.platform == "win32"
ARGS_FILE = "config.json"
"""Where ``${args_json_file}`` is written, in the run's folder."""

_ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
_ENV = "/usr/bin/env"
_ACTIVE = {"VIRTUAL_ENV", "CONDA_PREFIX"}


def argv_of(
    command: Sequence[str] | None,
    program: str | None,
    config: Mapping[str, Any],
    *,
    interpreter: str = sys.executable,
    env: Mapping[str, str],
    folder: Path,
) -> list[str]:
    """The words of a run's command line.

    Args:
        command: the sweep file's ``command``; None for the default.
        interpreter: what ``${interpreter}`` is where there is no ``python`` on the PATH.
        env: the environment that ``${envvar:NAME}`` and the PATH are taken from.
        folder: the run's folder; ``${args_json_file}`` is written there, if the command has it.
    Raises:  InputError: ``${program}`` without a program, or a command of no words.

    >>> argv_of(["./go", "${args}"], None, {"lr": 0.1, "d": None}, env={}, folder=Path("."))
    ['./go', '--lr=0.1', '--d=None']
    """
    words = [_with_variables(str(item), env) for item in (command or DEFAULT)]
    if "${program}" in words and not program:
        raise InputError(
            "the command has ${program}, but the sweep file names none; add a line such as"
            " 'program: train.py', or write the program into the command"
        )
    if "${args_json_file}" in words:
        _write(folder / ARGS_FILE, config)
    macros: dict[str, Callable[[], list[str]]] = {
        "env": lambda: [] if WINDOWS else [_ENV],
        "interpreter": lambda: [_python(interpreter, env)],
        "program": lambda: [str(program)],
        "args_json": lambda: [_json(config)],
        "args_json_file": lambda: [str((folder / ARGS_FILE).absolute())],
        **{name: lambda form=form: form(config) for name, form in _FORMS.items()},
    }
    argv = [part for word in words for part in _replaced(word, macros)]
    if not argv:
        raise InputError(
            f"the command {list(command or ())} is empty; leave it out, or name a program"
        )
    return argv


def check_command(
    argv: Sequence[str], program: str | None, *, env: Mapping[str, str], cwd: Path
) -> None:
    """Say what is wrong with a command before anything runs.

    Args:
        argv: what ``argv_of`` gave; ``program``: the sweep file's, if it names one.
        env, cwd: as the command will see them.
    Raises:  InputError: program missing, command not found, or not executable.
    """
    words = list(argv)
    if program is not None and program in words:
        at = words.index(program)
        module = at > 0 and words[at - 1] == "-m"
        if not module and (Path(program).suffix or os.sep in program or at <= 1):
            _check_program(program, cwd, first=at == 0)
    _check_executable(words[0], env, cwd)
    if words[0] == _ENV:
        _check_executable(_after_env(words), env, cwd)


_Form = Callable[[Mapping[str, Any]], list[str]]
_FORMS: Mapping[str, _Form] = {
    "args": lambda config: [f"--{k}={v}" for k, v in config.items()],
    "args_no_hyphens": lambda config: [f"{k}={v}" for k, v in config.items()],
    "args_no_equals": lambda config: [w for k, v in config.items() for w in (f"--{k}", str(v))],
    "args_no_boolean_flags": lambda config: [
        f"--{k}" if v is True else f"--{k}={v}" for k, v in config.items() if v is not False
    ],
    "args_append_hydra": lambda config: [f"+{k}={v}" for k, v in config.items()],
    "args_override_hydra": lambda config: [f"++{k}={v}" for k, v in config.items()],
}


def _with_variables(item: str, env: Mapping[str, str]) -> str:
    # A variable that is not set leaves its own name, as it does in W&B's agent.
    return _ENVVAR.sub(lambda match: env.get(match[1], match[1]), item)


def _replaced(word: str, macros: Mapping[str, Callable[[], list[str]]]) -> list[str]:
    if not (word.startswith("${") and word.endswith("}")):
        return [word]
    macro = macros.get(word[2:-1])
    return [] if macro is None else macro()


def _python(interpreter: str, env: Mapping[str, str]) -> str:
    # W&B says plainly `python`, which follows the active environment. Debian and macOS have only
    # `python3`, and an agent started by its full path from an environment that is not active has
    # another environment's python on its PATH: then the interpreter that runs the agent is the one
    # that has the user's packages.
    inactive = sys.prefix != sys.base_prefix and not (_ACTIVE & set(env))
    found = shutil.which("python", path=env.get("PATH", ""))
    return "python" if found and not inactive else interpreter


def _json(config: Mapping[str, Any]) -> str:
    # Dates, which YAML reads from words such as 2026-01-31, are written as their text.
    return json.dumps(dict(config), default=str)


def _write(path: Path, config: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_json(config), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{path}, the file of ${{args_json_file}}, cannot be written"
            f" ({error.strerror or error}); give another store with --store"
        ) from error


def _check_program(program: str, cwd: Path, *, first: bool) -> None:
    path = cwd / program
    if path.is_file():
        return
    if first and not Path(program).suffix and os.sep not in program:
        return  # a command on the PATH, which is checked as one
    if path.is_dir():
        # Python runs a folder that has a __main__.py.
        if (path / "__main__.py").is_file():
            return
        raise InputError(f"program: {program} is a folder; name the file in it that is to be run")
    near = get_close_matches(program, _files_near(path, cwd), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"paths are seen from {cwd}"
    raise InputError(f"program: there is no file {program!r}; {hint}")


def _files_near(path: Path, cwd: Path) -> list[str]:
    folder = path.parent if path.parent.is_dir() else cwd
    files = [p for p in folder.iterdir() if p.is_file() and p.suffix == path.suffix]
    return [p.relative_to(cwd).as_posix() if p.is_relative_to(cwd) else str(p) for p in files]


def _check_executable(word: str, env: Mapping[str, str], cwd: Path) -> None:
    if not word:
        return
    if os.path.dirname(word):
        path = cwd / word
        if shutil.which(str(path)) is not None:
            return
        if not path.exists():
            raise InputError(f"command: there is no file {word!r}; paths are seen from {cwd}")
        if path.is_dir():
            raise InputError(f"command: {word!r} is a folder, not a program")
        raise InputError(
            f"command: {word!r} is not executable; make it so with 'chmod +x {word}', or put"
            " ${interpreter} (or another program that can run it) before it"
        )
    if shutil.which(word, path=env.get("PATH", "")) is None:
        raise InputError(
            f"command: there is no program {word!r} on the PATH; install it, or give its full path"
        )


def _after_env(words: Sequence[str]) -> str:
    """The program that ``/usr/bin/env`` will run; nothing where its own options come first."""
    rest = [word for word in words[1:] if not re.fullmatch(r"[A-Za-z_]\w*=.*", word, re.DOTALL)]
    return "" if not rest or rest[0].startswith("-") else rest[0]
