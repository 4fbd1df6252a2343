"""The program of a sweep: whether it is an experiment, and the experiment itself.

A program is looked at before it is loaded: only one that calls ``th.main`` is, and never as
``__main__``, so that nothing runs.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import sys
import tempfile
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from thetahat.core.collect import collecting
from thetahat.core.errors import ConfigError, InputError, did_you_mean
from thetahat.sweep.spec._command import argv_of, check_runnable
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._spec import SweepSpec

_MODULE = "thetahat_script"


@dataclass(frozen=True)
class SweepProgram:
    """What a sweep runs. ``experiment`` is None for a program that is none, and for a mistake."""

    file: Path | None = None
    experiment: Callable[..., Any] | None = None
    errors: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def experiment_of(spec: SweepSpec) -> SweepProgram:
    """The program of a sweep, and the experiment it hands to ``th.main``, if it does.

    Nothing is raised: what is wrong is among the ``errors``.
    """
    if spec.program is None and spec.command is None:
        return SweepProgram()
    file = None if spec.program is None else find_program(spec)
    runs_it = spec.command is None or "${program}" in spec.command
    said = _cannot_run(spec, file)
    if said is not None:
        return SweepProgram(file, errors=(said,))
    if file is None or not runs_it or file.suffix != ".py":
        key = "command" if file is None or not runs_it else "program"
        message = "no experiment of thetahat, so its parameters are not checked"
        return SweepProgram(file, notes=(_problem(spec, key, message),))
    try:
        names = handed_names(file)
    except ConfigError as error:
        return SweepProgram(file, errors=(_problem(spec, "program", str(error)),))
    if names is None:
        message = (
            f"{file.name} never calls th.main, so it is no experiment of thetahat, and its"
            " parameters are not checked"
        )
        return SweepProgram(file, notes=(_problem(spec, "program", message),))
    return _loaded(spec, file)


def find_program(spec: SweepSpec, folder: Path | None = None) -> Path | None:
    """The file of ``program``: from a folder (by default this one), else beside the sweep file."""
    program, here = Path(spec.program or ""), folder or Path()
    places = (here / program, here / Path(spec.file).parent / program)
    return next((place for place in places if place.is_file()), None)


def load_experiment(file: Path, name: str | None = None) -> Callable[..., Any]:
    """The experiment of a script, which is loaded but not run as a program.

    Args:    name: which experiment; by default the one that the script hands to ``th.main``.
    Raises:  ConfigError: the script has no such experiment; the nearest is offered.
    """
    from thetahat.core.signature import read_signature

    module, handed = _module(file)
    named = {read_signature(experiment).name: experiment for experiment in handed}
    if name is None:
        if handed:
            return handed[0]
        name = next(iter(handed_names(file) or ()), None)
        if name is None or not callable(getattr(module, name, None)):
            raise ConfigError(
                f"what {file.name} hands to th.main has no name at the top of the file; write a"
                " function, and th.main(its_name)"
            )
        return getattr(module, name)
    named |= {k: v for k, v in vars(module).items() if callable(v) and not isinstance(v, type)}
    if name not in named:
        own = [k for k, v in named.items() if getattr(v, "__module__", None) == module.__name__]
        raise ConfigError(f"{file.name} has no experiment {name!r}{did_you_mean(name, own)}")
    return named[name]


def handed_names(file: Path) -> list[str] | None:
    """The names that a script hands to ``th.main``; None where it never calls it.

    Raises:  ConfigError: it is no Python.
    """
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read(), str(file))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"{file.name}{line} is no Python: {what}") from error
    modules, functions = _names_of_main(tree)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and _is_main(n.func, modules)]
    calls += [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in functions
    ]
    if not calls:
        return None
    given = [
        call.args[0] if call.args else call.keywords[0].value for call in calls if _gives(call)
    ]
    return [value.id for value in given if isinstance(value, ast.Name)]


def _gives(call: ast.Call) -> bool:
    return bool(call.args or call.keywords)


def _names_of_main(tree: ast.Module) -> tuple[set[str], set[str]]:
    """What the script calls thetahat (or ``thetahat.cli``), and what it calls ``main``."""
    modules: set[str] = set()
    functions: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("thetahat", "thetahat.cli"):
                    modules.add(alias.asname or alias.name)
                if alias.name.startswith("thetahat."):
                    modules.add("thetahat" if alias.asname is None else "")
        elif isinstance(node, ast.ImportFrom) and node.module in ("thetahat", "thetahat.cli"):
            for alias in node.names:
                if alias.name == "main":
                    functions.add(alias.asname or "main")
    return modules - {""}, functions


def _is_main(func: ast.expr, modules: set[str]) -> bool:
    return (
        isinstance(func, ast.Attribute)
        and func.attr == "main"
        and ast.unparse(func.value) in modules
    )


def _module(file: Path) -> tuple[ModuleType, list[Callable[..., Any]]]:
    """The script as a module, and what it handed to ``th.main`` while it was loaded."""
    name = f"{_MODULE}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file.name} is no Python file; give the one of the experiment")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(file.absolute().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # What a script prints while it loads is no part of what a command prints.
    with collecting() as handed, contextlib.redirect_stdout(sys.stderr):
        spec.loader.exec_module(module)
    return module, handed


def _loaded(spec: SweepSpec, file: Path) -> SweepProgram:
    try:
        return SweepProgram(file, load_experiment(file))
    except ConfigError as error:
        return SweepProgram(file, errors=(_problem(spec, "program", str(error)),))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a script may raise anything; it is said
        return SweepProgram(file, errors=(_problem(spec, "program", why_not_loaded(file, error)),))


def why_not_loaded(file: Path, error: BaseException) -> str:
    """What a script raised when it was loaded, and in which of its lines."""
    if isinstance(error, ConfigError):
        return str(error)
    said = str(error).strip().partition("\n")[0]
    return (
        f"{file.name} cannot be loaded: {type(error).__name__}{': ' if said else ''}{said}"
        f"{_line_in(file, error)}; run it alone to see more: python {file.name} --help"
    )


def _line_in(file: Path, error: BaseException) -> str:
    lines = []
    frame = error.__traceback__
    while frame is not None:
        if Path(frame.tb_frame.f_code.co_filename) == file.absolute():
            lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return f" (line {lines[-1]})" if lines else ""


def _cannot_run(spec: SweepSpec, file: Path | None) -> Problem | None:
    """What keeps the command from being run here."""
    if spec.program is not None and file is None and runs_program(spec):
        message = (
            f"there is no file {spec.program}, neither here nor beside the sweep file; go to its"
            " folder, or give its path"
        )
        return _problem(spec, "program", message)
    program = str(file or spec.program or "") or None
    with tempfile.TemporaryDirectory() as folder:
        try:
            argv = argv_of(spec.command, program, {}, env=os.environ, folder=Path(folder))
            check_runnable(argv, program, env=os.environ, cwd=Path.cwd())
        except InputError as error:
            # Beside the line of the file its key is said once.
            said = str(error).removeprefix("command: ").removeprefix("program: ")
            return _problem(spec, "command" if spec.command else "program", said)
    return None


def runs_program(spec: SweepSpec) -> bool:
    """Whether the command names the program."""
    return spec.command is None or "${program}" in spec.command


def _problem(spec: SweepSpec, key: str, message: str) -> Problem:
    return Problem(spec.place(key).line, key, message)
