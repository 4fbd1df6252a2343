"""The ``command`` of a sweep file, its macros, and the command line of one run.

A macro counts only as a whole item of the list; ``${envvar:NAME}`` counts also inside one. Values
are written as Python's ``str`` writes them. An unknown macro is removed.
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

from thetahat.core.errors import InputError, StoreError, did_you_mean
from thetahat.core.yaml_tree import YamlNode, describe, short
from thetahat.sweep.spec._diagnostics import Findings

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
ARGUMENTS = (
    *("args", "args_no_hyphens", "args_no_boolean_flags", "args_no_equals"),
    *("args_json", "args_json_file", "args_append_hydra", "args_override_hydra"),
)
"""The macros that pass the parameters."""
MACROS = ("env", "interpreter", "program", *ARGUMENTS)
WINDOWS = sys.platform == "win32"
ARGS_FILE = "config.json"
"""The file of ``${args_json_file}``, in the run's folder."""
_MACRO = re.compile(r"\$\{([^{}]*)\}")
_ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
_ENV = "/usr/bin/env"
_ACTIVE = {"VIRTUAL_ENV", "CONDA_PREFIX"}


# -- the section of the file ----------------------------------------------------------------------


def check_command(node: YamlNode, findings: Findings, *, program: bool) -> tuple[str, ...] | None:
    """Return the items of a command, as text; None where it is not a list of words.

    Args:    program: whether the file names a program.
    """
    if node.kind != "list":
        fix = ": one word of the command a line, each after a dash"
        if node.kind == "text" and node.value.split():
            fix = f"; write command: [{', '.join(map(_quoted, node.value.split()))}]"
        findings.both(node, f"command is {describe(node)}, and must be a list{fix}")
        return None
    if not node.inside:
        default = " ".join(DEFAULT)
        message = (
            f"command is an empty list; remove it (the default is {default}), or give its words"
        )
        findings.ours(node, message)
        return None
    items = [_item(child, findings) for child in node.inside.values()]
    if not items[0].strip():
        findings.ours(node, "the first word of command is empty; name a program, such as python")
    for child, text in zip(node.inside.values(), items, strict=True):
        if re.search(r"^(- )?-.*\s--?\w", text):
            words = ", ".join(map(_quoted, text.removeprefix("- ").split()))
            message = f"{short(text)} reaches the program as one word; write its words as {words}"
            findings.note(child, message)
    for child, text in zip(node.inside.values(), items, strict=True):
        for match in _MACRO.finditer(text):
            _check_macro(child, text, match, findings, program)
    if not any(f"${{{name}}}" in items for name in ARGUMENTS):
        findings.note(
            node,
            "command has no macro such as ${args}: the program sees the parameters only if it reads"
            " wandb.config, or th.start",
        )
    return tuple(items)


def _quoted(word: str) -> str:
    # In a flow list YAML would take the braces of ${args} for a mapping.
    return f'"{word}"' if re.search(r"[][{},:#&*!|>'\"%@`]", word) else word


def _item(node: YamlNode, findings: Findings) -> str:
    """Write one word of a command as W&B's agent passes it on, by Python's ``str``."""
    if node.kind in ("mapping", "list"):
        findings.ours(node, f"a word of command is {describe(node)}; put it in quotes")
        return ""
    if node.letters is None and str(node.value) != node.text:
        message = f"{node.text} reaches the program as {node.value}; put it in quotes"
        findings.note(node, f"{message}: '{node.text}'")
    return str(node.value) if node.letters is None else node.letters


def _check_macro(
    node: YamlNode, text: str, match: re.Match[str], findings: Findings, program: bool
) -> None:
    macro, name = match[0], match[1]
    variable = name.removeprefix("envvar:")
    if name.startswith("envvar"):
        if not re.fullmatch(r"envvar:[A-Z0-9_]+", name):
            message = f"{macro} names no variable in capitals, and no other is replaced; rename it"
            findings.ours(node, message)
        elif variable not in os.environ:
            message = f"the variable {variable} is not set here; set it where the agent runs"
            findings.note(node, f"{message}, or the word holds {variable!r} itself")
    elif name not in MACROS:
        hint = re.sub(r"'(\w+)'", r"${\1}", did_you_mean(name, MACROS))
        if name.isupper() or name in os.environ:
            hint = f"; for a variable of the environment write ${{envvar:{name}}}"
        findings.ours(node, f"there is no macro {macro}{hint}")
    elif macro != text:
        findings.note(
            node,
            f"{macro} is replaced only where it is the whole word, so {short(text)} stays as it"
            " is (only ${envvar:NAME} is replaced inside words)",
        )
    elif name == "program" and not program:
        fix = "add program: train.py"
        findings.ours(node, f"${{program}} stands in command, but the file names none; {fix}")


# -- the command line of a run --------------------------------------------------------------------


def argv_of(
    command: Sequence[str] | None,
    program: str | None,
    config: Mapping[str, Any],
    *,
    interpreter: str = sys.executable,
    env: Mapping[str, str],
    folder: Path,
) -> list[str]:
    """Make the words of a run's command line.

    Args:
        command: the sweep file's ``command``; None for the default.
        interpreter: ``${interpreter}`` where the PATH has no ``python``.
        env: the environment for ``${envvar:NAME}`` and the PATH.
        folder: the run's folder, for ``${args_json_file}``, if the command has it.
    Raises:  InputError: ``${program}`` without a program, or a command without words.

    >>> argv_of(["./go", "${args}"], None, {"lr": 0.1, "d": None}, env={}, folder=Path("."))
    ['./go', '--lr=0.1', '--d=None']
    """
    # A variable that is not set leaves its own name, as it does in W&B's agent.
    words = [
        _ENVVAR.sub(lambda match: env.get(match[1], match[1]), str(item))
        for item in (command or DEFAULT)
    ]
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
    }
    argv: list[str] = []
    for word in words:
        name = word[2:-1]
        if not (word.startswith("${") and word.endswith("}")):
            argv.append(word)
        elif name in _FORMS:
            argv += _FORMS[name](config)
        elif name in macros:
            argv += macros[name]()
    if not argv:
        raise InputError(
            f"the command {list(command or ())} is empty; leave it out, or name a program"
        )
    return argv


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "args": lambda config: [f"--{k}={v}" for k, v in config.items()],
    "args_no_hyphens": lambda config: [f"{k}={v}" for k, v in config.items()],
    "args_no_equals": lambda config: [w for k, v in config.items() for w in (f"--{k}", str(v))],
    "args_no_boolean_flags": lambda config: [
        f"--{k}" if v is True else f"--{k}={v}" for k, v in config.items() if v is not False
    ],
    "args_append_hydra": lambda config: [f"+{k}={v}" for k, v in config.items()],
    "args_override_hydra": lambda config: [f"++{k}={v}" for k, v in config.items()],
}


def _python(interpreter: str, env: Mapping[str, str]) -> str:
    # W&B writes `python`, which follows the active environment. Debian and macOS have only
    # `python3`, and an agent started by its full path from an inactive environment has another
    # environment's python on its PATH: then the agent's own interpreter has the user's packages.
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
            f" ({error.strerror or error}); give another store with store= (--store)"
        ) from error


# -- checks before anything runs ------------------------------------------------------------------


def check_runnable(
    argv: Sequence[str], program: str | None, *, env: Mapping[str, str], cwd: Path
) -> None:
    """Check that a command can run.

    Args:
        argv: from ``argv_of``; ``program``: the sweep file's, if it names one.
        env, cwd: as the command will see them.
    Raises:  InputError: program missing, command not found, or not executable.
    """
    words = list(argv)
    if program is not None and program in words:
        place = words.index(program)
        module = place > 0 and words[place - 1] == "-m"
        if not module and (Path(program).suffix or os.sep in program or place <= 1):
            _check_program(program, cwd, first=place == 0)
    _check_executable(words[0], env, cwd)
    if words[0] == _ENV:
        # The options of env itself come first; variables (NAME=value) precede the program.
        rest = [word for word in words[1:] if not re.match(r"[A-Za-z_]\w*=", word)]
        _check_executable("" if not rest or rest[0].startswith("-") else rest[0], env, cwd)


def _check_program(program: str, cwd: Path, *, first: bool) -> None:
    path = cwd / program
    # Python runs a folder with a __main__.py.
    if path.is_file() or (path / "__main__.py").is_file():
        return
    if first and not Path(program).suffix and os.sep not in program:
        return  # a command on the PATH
    if path.is_dir():
        raise InputError(f"program: {program} is a folder; name the file in it that is to be run")
    folder = path.parent if path.parent.is_dir() else cwd
    files = [p for p in folder.iterdir() if p.is_file() and p.suffix == path.suffix]
    names = [p.relative_to(cwd).as_posix() if p.is_relative_to(cwd) else str(p) for p in files]
    near = get_close_matches(program, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"paths are seen from {cwd}"
    raise InputError(f"program: there is no file {program!r}; {hint}")


def _check_executable(word: str, env: Mapping[str, str], cwd: Path) -> None:
    path = cwd / word
    if not word:
        return
    if not os.path.dirname(word):
        if shutil.which(word, path=env.get("PATH", "")) is None:
            raise InputError(
                f"command: there is no program {word!r} on the PATH; install it, or give its full"
                " path"
            )
    elif not path.exists():
        raise InputError(f"command: there is no file {word!r}; paths are seen from {cwd}")
    elif path.is_dir():
        raise InputError(f"command: {word!r} is a folder, not a program")
    elif shutil.which(str(path)) is None:
        raise InputError(
            f"command: {word!r} is not executable; make it so with 'chmod +x {word}', or put"
            " ${interpreter} (or another program that can run it) before it"
        )
