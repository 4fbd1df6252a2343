"""A sweep from Python: an experiment and a spec, as a function and a dict or as two files.

Workers load a function by its name from the file that it is written in. A function of no file (a
notebook's cell, a lambda, a function inside another) cannot be loaded: it runs in this process.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import given_path
from thetahat.core.sweep_file import file_json, read_file_json
from thetahat.core.yaml_words import read_word
from thetahat.sweep.spec._spec import IN_PYTHON, SweepSpec, parse_sweep, read_sweep, spec_from_plain

Experiment = Callable[..., Any]
_BARE = re.compile(r"[A-Za-z_][\w.-]*")


@dataclass(frozen=True)
class PythonSweep:
    """A sweep that was given from Python."""

    spec: SweepSpec
    experiment: Experiment | None = None
    """The function, if one was given."""

    @property
    def here(self) -> bool:
        """Whether the experiment can run in this process only."""
        return self.experiment is not None and self.spec.program is None


def sweep_from(
    what: Experiment | str | os.PathLike[str], spec: Mapping[str, Any] | str | os.PathLike[str]
) -> PythonSweep:
    """Read what ``th.run_sweep`` was given.

    Args:    what: an experiment, or the path of a program.
             spec: a dict with the keys of a sweep file, or the path of one.
    Raises:  ConfigError: every mistake of the spec, a line each.
    """
    if isinstance(spec, Mapping):
        read = _spec_of(spec)
    elif isinstance(spec, (str, os.PathLike)):
        read = read_sweep(str(given_path("spec", spec, "sweep.yaml"))).require()
    else:
        raise ConfigError(
            f"the spec is {spec!r}; give a dict such as {{'method': 'random', 'parameters':"
            " {...}}, or the path of a sweep file"
        )
    if isinstance(what, (str, os.PathLike)):
        path = Path(what)
        if not path.is_file():
            raise ConfigError(f"there is no file {path}; give an experiment or a program's path")
        return PythonSweep(_with(read, program=_near(path), name=path.stem))
    if not callable(what):
        raise ConfigError(
            f"run_sweep() takes an experiment or the path of a program first; got {what!r}"
        )
    name = getattr(what, "__name__", type(what).__name__)
    found = source_of(what)
    if found is None:
        return PythonSweep(_with(read, function=name, name=name), what)
    file, function = found
    return PythonSweep(_with(read, program=_near(file), function=function, name=name), what)


def source_of(experiment: Experiment) -> tuple[Path, str] | None:
    """Return the file and the name by which a worker can load a function; None if there is none.

    The name is ``package.module:name`` for a module of a package, whose imports may be relative.
    """
    code = getattr(inspect.unwrap(experiment), "__code__", None)
    name = getattr(experiment, "__name__", "")
    module = sys.modules.get(getattr(experiment, "__module__", None) or "")
    if code is None or module is None or getattr(module, name, None) is not experiment:
        return None
    file = Path(getattr(module, "__file__", None) or code.co_filename)
    if module is sys.modules.get("__main__"):
        # In a notebook, __main__ is the file of its kernel.
        file = Path(code.co_filename)
    if file.suffix != ".py" or not file.is_file():
        return None
    package = getattr(module, "__package__", None) or ""
    loadable = package and not module.__name__.startswith("thetahat_script_")
    if loadable and module.__name__ != "__main__":
        return file.absolute(), f"{module.__name__}:{name}"
    return file.absolute(), name


def sweep_text(plain: Mapping[str, Any], indent: int = 0) -> str:
    """Write a spec as the text of a sweep file.

    >>> print(sweep_text({"method": "grid", "parameters": {"act": {"values": ["off", 1e-5]}}}))
    method: "grid"
    parameters:
      act:
        values: ["off", 1e-05]
    """
    lines = []
    for name, value in plain.items():
        bare = _BARE.fullmatch(name) and read_word(name, plain=True, strict=False)[1] == "text"
        key = " " * indent + (name if bare else json.dumps(name, ensure_ascii=False))
        if isinstance(value, Mapping) and value:
            lines += [f"{key}:", sweep_text(value, indent + 2)]
        else:
            lines.append(f"{key}: {_written(value)}")
    return "\n".join(lines)


def with_values(spec: SweepSpec, more: Mapping[str, Any]) -> SweepSpec:
    """Add values to a spec's parameters: to a list of values, or in place of a range.

    Args:    more: by parameter, with dots for nested ones: a list of values, or a section.
    Raises:  ConfigError: a parameter that the spec lacks, a section that is wrong.
    """
    if not more:
        raise ConfigError("extend({}): give new values, such as {'width': [128, 256]}")
    parameters = copy.deepcopy(dict(spec.plain["parameters"]))
    for name, given in more.items():
        inside, last = parameters, name
        if name not in inside:
            *above, last = name.split(".")
            for part in above:
                inside = (inside.get(part) or {}).get("parameters", {})
        if last not in inside:
            known = [d.name for d in spec.space.dimensions]
            raise ConfigError(f"the sweep has no parameter {name!r}{did_you_mean(name, known)}")
        section = given if isinstance(given, Mapping) else {"values": given}
        if not isinstance(section.get("values", []), (list, tuple, range)):
            section = {"values": [section["values"]]}
        old = inside[last]
        if "values" in section and ("values" in old or "value" in old):
            before = old.get("values", [old.get("value")])
            section = {"values": [*before, *(v for v in section["values"] if v not in before)]}
        inside[last] = dict(section)
    return _spec_of({**spec.plain, "parameters": parameters}, spec)


def _spec_of(given: Mapping[str, Any], before: SweepSpec | None = None) -> SweepSpec:
    """Check a dict as a sweep file is checked.

    Args:    before: the spec that it extends.
    """
    plain = {k: v for k, v in given.items() if before is None or k != "function"}
    reading = parse_sweep(sweep_text(_plain(plain, "")) + "\n", IN_PYTHON)
    if reading.errors:
        said = (f"{p.key}: {p.message}" if p.key else p.message for p in reading.errors)
        raise ConfigError("\n".join(f"the spec: {line}" for line in said))
    spec = reading.require()
    if before is None or before.function is None:
        return spec
    made = {**spec.plain, "function": before.function}
    return replace(spec_from_plain(made, text=spec.text, file=before.file), places=spec.places)


def _with(spec: SweepSpec, *, name: str, **keys: str) -> SweepSpec:
    """Return a spec that runs another program or function; its own ones are left out."""
    kept = {k: v for k, v in spec.plain.items() if k not in ("program", "command")}
    if "program" in keys and "function" not in keys and "command" in spec.plain:
        kept["command"] = spec.plain["command"]
    kept = {**kept, **keys, "name": spec.name or name}
    # As a store gives it back.
    made = spec_from_plain(read_file_json(file_json(kept)), text=spec.text, file=spec.file)
    return replace(made, places=spec.places)


def _near(path: Path) -> str:
    """A path from this folder, if it lies in it."""
    whole, here = path.absolute(), Path.cwd()
    return (whole.relative_to(here) if whole.is_relative_to(here) else whole).as_posix()


def _plain(value: Any, key: str) -> Any:
    """A spec in the types of a sweep file: enum members by name, NumPy's numbers as Python's."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{key}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(v, f"{key}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return _plain(value.tolist(), key)
    raise ConfigError(
        f"the spec: {key} is {value!r}, a {type(value).__name__}; give numbers, texts, true, false"
        " or none, and lists and dicts of them"
    )


def _written(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        inside = (f"{json.dumps(k, ensure_ascii=False)}: {_written(v)}" for k, v in value.items())
        return f"{{{', '.join(inside)}}}"
    return json.dumps(value, ensure_ascii=False)
