"""A program of a student: read, loaded and run with one config.

It is loaded anew for every run, so that one run cannot change the next.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thetahat.core.errors import InputError
from thetahat.grade._contract import RunLog, TrueFunction, predictions
from thetahat.grade._steps import StepLog

MAX_BYTES = 1_000_000
LIBRARIES = ("jax", "flax", "optax", "equinox", "torch")


@dataclass(frozen=True)
class Program:
    """The text of a program, its syntax tree, and the libraries that it imports."""

    file: str
    tree: ast.Module
    lines: tuple[str, ...]
    libraries: frozenset[str]

    def line(self, number: int) -> str:
        """A line of the text, without its indent."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


def read_program_file(path: str, shown: str = "") -> Program:
    """Read a program; messages and lines name it as ``shown``.

    Raises:  InputError: no such file, not text, not Python, or without the function ``train``.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        path = shown or path
        if len(content) > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES:,} bytes; give a training program")
        text = content.decode("utf-8")
        tree = ast.parse(text, path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8; give a program of Python") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{path} is not a program of Python: {said}{where}") from error
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    return Program(path, tree, tuple(text.splitlines()), frozenset(found & set(LIBRARIES)))


@dataclass
class Outcome:
    """One run: what was recorded, what came back or was raised."""

    config: Mapping[str, Any]
    tracker: RunLog
    watch: StepLog
    f: TrueFunction
    module: types.ModuleType
    result: Mapping[str, Any] = field(default_factory=dict)
    final: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Predictions of the ``predict`` that came back, by part."""
    error: BaseException | None = None
    error_line: int = 0


def run_program(
    program: Program,
    config: Mapping[str, Any],
    *,
    watched: bool = False,
    around: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Outcome:
    """Load a program and call its ``train``; errors of the program are kept in the outcome.

    Args:
        watched: whether gradients are looked at.
        around: a context in which the program is loaded and run.
    """
    watch = StepLog(program.file)
    module = types.ModuleType("graded_program")
    module.__file__ = program.file
    outcome = Outcome(config, RunLog(watch), watch, TrueFunction(program.file), module)
    sys.modules["graded_program"] = module  # dataclasses look their module up
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack.enter_context(_watching(program, watch))
        stack.enter_context(around())
        try:
            exec(compile(program.tree, program.file, "exec"), module.__dict__)
            train = module.__dict__.get("train")
            if not callable(train):
                raise InputError(
                    f"{program.file} has no function train(f, config, tracker); see docs/grade.md"
                )
            watch.open = watched
            result = train(outcome.f, dict(config), outcome.tracker)
            watch.open = False
            _take(outcome, result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - of the program, and kept with its line
            outcome.error, outcome.error_line = error, error_line(error, program.file)
        finally:
            watch.open = False
            sys.modules.pop("graded_program", None)
    return outcome


def _take(outcome: Outcome, result: Any) -> None:
    if not isinstance(result, Mapping):
        raise InputError(f"train must return a dict; got {type(result).__name__}")
    outcome.result = result
    predict = result.get("predict")
    if predict is None and "predict" in result:
        raise TypeError("the returned predict is None")
    if not callable(predict):
        raise InputError(
            "the dict that train returns needs predict, a function from x to predictions"
        )
    parts = outcome.tracker.parts
    outcome.final = {name: predictions(predict, x, len(y)) for name, (x, y) in parts.items()}


def error_line(error: BaseException, file: str) -> int:
    """The innermost line of the program that an error passed; 0 if there is none."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == file]
    return lines[-1] if lines else 0


@contextlib.contextmanager
def _watching(program: Program, watch: StepLog) -> Any:
    with contextlib.ExitStack() as stack:
        if program.libraries & {"jax", "flax", "optax", "equinox"}:
            from thetahat.grade._watch_jax import watching_jax

            for name in ("flax.nnx", "equinox"):
                if name.split(".")[0] in program.libraries:
                    with contextlib.suppress(ImportError):
                        __import__(name)
            stack.enter_context(watching_jax(watch))
        if "torch" in program.libraries:
            from thetahat.grade._watch_torch import watching_torch

            stack.enter_context(watching_torch(watch))
        yield
