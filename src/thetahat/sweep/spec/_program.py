"""The program of a sweep: whether it is an experiment, and the experiment itself.

A program is parsed before it is loaded: only one that calls ``th.main`` is loaded, and never as
``__main__``, so that nothing runs.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import tokenize
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from thetahat.core.collect import collecting
from thetahat.core.errors import ConfigError, InputError, did_you_mean
from thetahat.core.signature import read_signature
from thetahat.core.yaml_tree import short
from thetahat.sweep.spec._command import argv_of, check_runnable
from thetahat.sweep.spec._diagnostics import Problem
from thetahat.sweep.spec._spec import SweepSpec


@dataclass(frozen=True)
class SweepProgram:
    """The program that a sweep runs; ``experiment`` is None for mistakes and other programs."""

    file: Path | None = None
    experiment: Callable[..., Any] | None = None
    errors: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def experiment_of(spec: SweepSpec) -> SweepProgram:
    """Return the program of a sweep, and the experiment that it passes to ``th.main``.

    Nothing is raised: mistakes are among the ``errors``.
    """
    if spec.program is None and spec.command is None:
        return SweepProgram()
    file = None if spec.program is None else find_program(spec)
    refused = _cannot_run(spec, file)
    if refused is not None:
        return SweepProgram(file, errors=(refused,))
    runs_it = file is not None and runs_program(spec)
    if file is None or not runs_it or file.suffix != ".py":
        message = "not an experiment of thetahat, so its parameters are not checked"
        note = _problem(spec, "program" if runs_it else "command", message)
        return SweepProgram(file, notes=(note, *_lists(spec)))
    try:
        if spec.function is not None:
            return SweepProgram(file, load_experiment(file, spec.function))
        if experiment_names(file) is None:
            message = (
                f"{file.name} never calls th.main, so it is not an experiment of thetahat, and its"
                " parameters are not checked"
            )
            return SweepProgram(file, notes=(_problem(spec, "program", message), *_lists(spec)))
        return SweepProgram(file, load_experiment(file))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a script may raise anything
        return SweepProgram(file, errors=(_problem(spec, "program", why_not_loaded(file, error)),))


def find_program(spec: SweepSpec, folder: Path | None = None) -> Path | None:
    """Find the file of ``program``: from a folder (by default this one), or by the sweep file."""
    program, here = Path(spec.program or ""), folder or Path()
    places = (here / program, here / Path(spec.file).parent / program)
    # Not Path.is_file: a name that no file can have is no error here.
    return next((place for place in places if os.path.isfile(place)), None)


def runs_program(spec: SweepSpec) -> bool:
    """Check whether the command names the program."""
    return spec.command is None or "${program}" in spec.command


def load_experiment(file: Path | str, name: str | None = None) -> Callable[..., Any]:
    """Load the experiment of a script, without running the script as a program.

    Args:    name: which experiment; by default the one that the script passes to ``th.main``;
             ``package.module:name`` imports the file as that module.
    Raises:  ConfigError: the script lacks this experiment; the message offers the nearest.
    """
    file = Path(file)
    dotted, _, inner = (name or "").rpartition(":")
    module, passed = _imported(file, dotted) if dotted else _module(file)
    name = inner or name
    named = {read_signature(experiment).name: experiment for experiment in passed}
    if name is None:
        if passed:
            return passed[0]
        name = next(iter(experiment_names(file) or ()), None)
        if name is None or not callable(getattr(module, name, None)):
            raise ConfigError(
                f"{file.name} passes no function to th.main that has a name at the top of the file;"
                " write a function, and th.main(its_name) at the end"
            )
        return getattr(module, name)
    named |= {k: v for k, v in vars(module).items() if callable(v) and not isinstance(v, type)}
    if name not in named:
        own = [k for k, v in named.items() if getattr(v, "__module__", None) == module.__name__]
        raise ConfigError(f"{file.name} has no experiment {name!r}{did_you_mean(name, own)}")
    return named[name]


def experiment_names(file: Path) -> list[str] | None:
    """List the names that a script passes to ``th.main``; None where it never calls it.

    Raises:  ConfigError: the file is not Python.
    """
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read(), str(file))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from error
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"{file.name}{line} is not Python: {what}") from error
    mains = _names_of_main(tree)
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, (ast.Name, ast.Attribute))
        and ast.unparse(node.func) in mains
    ]
    given = [[*call.args, *(word.value for word in call.keywords)] for call in calls]
    firsts = [values[0] for values in given if values]
    return [first.id for first in firsts if isinstance(first, ast.Name)] if calls else None


def _names_of_main(tree: ast.Module) -> set[str]:
    """List the names of ``th.main`` in a script, such as ``thetahat.main`` and ``main``."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("thetahat", "thetahat.cli"):
                    names.add(f"{alias.asname or alias.name}.main")
                if alias.name.startswith("thetahat.") and alias.asname is None:
                    names.add("thetahat.main")
        elif isinstance(node, ast.ImportFrom) and node.module in ("thetahat", "thetahat.cli"):
            names |= {alias.asname or "main" for alias in node.names if alias.name == "main"}
    return names


def _module(file: Path) -> tuple[ModuleType, list[Callable[..., Any]]]:
    """Load a script as a module; also return what it passed to ``th.main`` meanwhile."""
    name = f"thetahat_script_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file.name} is not a Python file; give the one of the experiment")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _find_in(file.absolute().parent)
    # The output of a command does not include the output of a script that is loaded.
    with collecting() as passed, contextlib.redirect_stdout(sys.stderr), _loading(file):
        spec.loader.exec_module(module)
    return module, passed


def _imported(file: Path, dotted: str) -> tuple[ModuleType, list[Callable[..., Any]]]:
    """Import a module of a package, from the folder that the package lies in."""
    _find_in(file.absolute().parents[dotted.count(".") + (file.name == "__init__.py")])
    with collecting() as passed, contextlib.redirect_stdout(sys.stderr), _loading(file):
        return importlib.import_module(dotted), passed


def _find_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


_LOADED: list[Path] = []
"""Files that are loaded for their experiment now."""


@contextlib.contextmanager
def _loading(file: Path) -> Iterator[None]:
    _LOADED.append(file)
    try:
        yield
    finally:
        _LOADED.pop()


def refuse_while_loaded(call: str) -> None:
    """Refuse a call that a script makes whenever it is loaded, as every worker does.

    Raises:  ConfigError: a file is loaded for its experiment.
    """
    if _LOADED:
        name = _LOADED[-1].name
        raise ConfigError(
            f"{name} calls {call} whenever it is loaded, and each worker loads it for its"
            f" experiment; in {name}, put the call under: if __name__ == '__main__':"
        )


def why_not_loaded(file: Path, error: BaseException) -> str:
    """Say what a script raised when it was loaded, and in which of its lines."""
    if isinstance(error, ConfigError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file.absolute()]
    said = str(error).strip().partition("\n")[0]
    return (
        f"{file.name} cannot be loaded: {type(error).__name__}{': ' if said else ''}{said}"
        f"{f' (line {lines[-1]})' if lines else ''}; run it alone to see more: python {file.name}"
        " --help"
    )


def _cannot_run(spec: SweepSpec, file: Path | None) -> Problem | None:
    """Say what prevents the command from running here."""
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
            # The line of the file names the key already.
            said = str(error).removeprefix("command: ").removeprefix("program: ")
            return _problem(spec, "command" if spec.command else "program", said)
    return None


def _lists(spec: SweepSpec) -> Iterator[Problem]:
    """Note lists that are one value: often they are meant as values."""
    for d in spec.space.dimensions if spec.whole else ():
        value = getattr(d.distribution, "value", None)
        if isinstance(value, list) and len(value) > 1:
            key = "parameters." + ".parameters.".join(d.path)
            message = f"every run gets the whole list; did you mean values: {short(value)}?"
            yield _problem(spec, f"{key}.value", message)


def _problem(spec: SweepSpec, key: str, message: str) -> Problem:
    return Problem(spec.place(key).line, key, message)
