"""A sweep file, read and checked: its spec, or every mistake at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import refuse_special
from thetahat.core.sweep_file import plain_file
from thetahat.core.yaml_tree import Unreadable, YamlNode, decoded, read_tree, short
from thetahat.search import Hyperband, Objective, Space, make_space
from thetahat.sweep.spec._command import DEFAULT, check_command
from thetahat.sweep.spec._diagnostics import Findings, Problem, by_line
from thetahat.sweep.spec._schema import check_top, is_test_metric

if TYPE_CHECKING:
    from thetahat.store import SweepRow

CUSTOM = "custom"
"""The method of a scheduler's own search."""
IN_PYTHON = "the spec"
"""In place of a file's name, for a spec that was given from Python."""


@dataclass(frozen=True)
class FilePosition:
    """The line of a key, and its word as written ("" for lists and mappings)."""

    line: int
    text: str = ""


@dataclass(frozen=True)
class Scheduler:
    """The ``scheduler`` section of a file."""

    engine: str = "optuna"
    source: str | None = None
    optimizer: str | None = None
    search_space: str | None = None


@dataclass(frozen=True)
class SweepSpec:
    """A sweep file without mistakes.

    ``parameters`` is the section of the file as plain data, numbers read as numbers; ``text`` is
    the whole file, unchanged.
    """

    method: str
    parameters: Mapping[str, Any]
    metric: Objective | None = None
    """What is improved; the first of several."""
    metrics: tuple[Objective, ...] = ()
    """Two objectives or more, where the file has ``metrics``."""
    scheduler: Scheduler | None = None
    hyperband: Hyperband | None = None
    run_cap: int | None = None
    program: str | None = None
    command: tuple[str, ...] | None = None
    name: str | None = None
    description: str | None = None
    project: str | None = None
    function: str | None = None
    """The experiment by name, ``name`` or ``package.module:name``, for a sweep made from Python; by
    default the one that the program passes to ``th.main``."""
    text: str = ""
    file: str = "sweep.yaml"
    plain: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The whole file as plain data, which a store keeps."""
    places: Mapping[str, FilePosition] = field(default_factory=dict, repr=False, compare=False)
    """Lines and words by key, such as ``parameters.lr.min``."""

    @cached_property
    def space(self) -> Space:
        """The search space of the file's parameters; empty where a function proposes them."""
        return Space(()) if self.proposes else make_space(self.parameters)

    @property
    def proposes(self) -> bool:
        """Whether a function of the user's proposes the parameters."""
        return self.scheduler is not None and self.scheduler.search_space is not None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All that is improved: the metrics, or the metric."""
        return self.metrics or (() if self.metric is None else (self.metric,))

    @property
    def whole(self) -> bool:
        """Whether all parameters are sound, so that the spec has a ``space``."""
        return all(self.parameters.values())

    @property
    def points(self) -> int | None:
        """The number of points of a grid; None where the search is endless."""
        return self.space.size if self.method == "grid" else None

    def place(self, key: str) -> FilePosition:
        """Return the position of a key, or of the nearest key above it in the file."""
        while key and key not in self.places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.places.get(key, FilePosition(1))


@dataclass(frozen=True)
class Reading:
    """The result of reading a file. ``spec`` is None where the file cannot run.

    Under ``strict`` a file can be valid for W&B and still have no spec; a note says why.
    """

    file: str
    spec: SweepSpec | None
    errors: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    method: str | None = None
    sound: SweepSpec | None = None
    """The sound part of a file with mistakes, to check its program too; never run it. A parameter
    with a mistake is empty in it, and then it is not ``whole``."""

    @property
    def valid(self) -> bool:
        """Whether the file has no mistakes."""
        return not self.errors

    def require(self) -> SweepSpec:
        """Return the spec.

        Raises:  ConfigError: all mistakes, a line each.
        """
        if self.errors:
            raise ConfigError("\n".join(problem.in_file(self.file) for problem in self.errors))
        if self.spec is None:
            raise ConfigError(
                f"{self.file} is valid for W&B, but cannot be run here; see its notes"
            )
        return self.spec


def read_sweep(path: str | Path, *, strict: bool = False) -> Reading:
    """Read and check a sweep file.

    Args:    path: the file.   strict: give W&B's own verdict in place of ours.
    Raises:  ConfigError: the file is missing, or cannot be opened.
    """
    path = Path(path)
    try:
        refuse_special(path)
        if path.suffix == ".py" and path.is_file():
            raise ConfigError(
                f"{path} is a program, not a sweep file; to sweep it, write a file sweep.yaml with"
                f" program: {path}, method: random, metric: {{name: val_risk, goal: minimize}} and"
                " parameters: {lr: {min: 0.001, max: 0.1}}, and give that"
            )
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(_not_there(path, error)) from error
    try:
        text = decoded(content)
    except Unreadable as problem:
        return _unreadable(str(path), problem)
    return parse_sweep(text, str(path), strict=strict)


def parse_sweep(text: str, file: str = "sweep.yaml", *, strict: bool = False) -> Reading:
    """Check the text of a sweep file.

    >>> reading = parse_sweep("method: grid\\nparameters:\\n  lr: {values: [1e-3, 0.01]}\\n")
    >>> reading.spec.points, reading.spec.parameters["lr"]
    (2, {'values': [0.001, 0.01]})
    >>> print(parse_sweep("method: gird\\n").errors[0].message)
    method is the text 'gird', and must be grid, random, bayes or custom; did you mean 'grid'?
    """
    if not isinstance(text, str):
        raise ConfigError(
            f"parse_sweep takes the text of a sweep file; got a {type(text).__name__}: give its"
            " YAML or JSON, such as json.dumps(...)"
        )
    try:
        root, repeated = read_tree(text, strict=strict)
    except Unreadable as problem:
        return _unreadable(file, problem)
    findings = Findings(strict)
    for node, first, same in repeated:
        name = node.key.removeprefix("parameters.")  # it may have dots
        if same:
            findings.note(node, f"{name} stands here again, as in line {first}: remove one")
            continue
        message = f"{name} stands here again (first in line {first}); keep one of them"
        findings.ours(node, message)
    check_top(root, findings)
    program = root.inside.get("program")
    command = root.inside.get("command")
    words = None
    if command is not None:
        words = check_command(command, findings, program=program is not None)
    elif program is None and root.kind == "mapping":
        findings.note(
            root, "the file names neither program nor command, so it can be listed, not run", ""
        )
    spec = None
    if not findings.wrong and not findings.errors:
        spec = spec_from_plain(plain_file(root), text=text, file=file)
        spec = replace(spec, places=_places(root))
    method = root.inside.get("method")
    return Reading(
        file,
        spec,
        by_line(findings.errors),
        by_line(findings.notes),
        method.value if method is not None and method.kind == "text" else None,
        spec or _sound(root, words, findings, file),
    )


def nothing_varies(spec: SweepSpec) -> Problem | None:
    """Return the mistake of a search, other than a grid, that has one config only."""
    if spec.method == "grid" or spec.proposes or spec.space.varies:
        return None
    message = f"nothing varies, so all runs have the same config; {_to_vary(spec)}"
    return Problem(spec.place("parameters").line, "parameters", message)


def contamination(spec: SweepSpec) -> bool:
    """Check whether a sweep tunes on the test set: a ``test`` in the name of a metric of it."""
    return any(is_test_metric(one.name) for one in spec.objectives)


def _unreadable(file: str, problem: Unreadable) -> Reading:
    return Reading(file, None, (Problem(problem.line, "", str(problem)),), ())


def _not_there(path: Path, error: OSError) -> str:
    if os.path.isdir(path):
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".yaml", ".yml"))
        such = f", such as {path / inside[0]}" if inside else ""
        return f"{path} is a folder; give the sweep file in it{such}"
    if error.errno == errno.ENOENT:
        near = ""
        if path.parent.is_dir():
            files = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
            near = did_you_mean(path.name, sorted(files)) if files else ""
        return f"there is no file {path}{near or '; give the path of a sweep file'}"
    return f"{path} cannot be read: {error.strerror or error}"


def spec_from_plain(
    plain: Mapping[str, Any], *, text: str = "", file: str = "sweep.yaml"
) -> SweepSpec:
    """Make the spec of a file without mistakes from its plain data.

    Raises:  ConfigError: the data have no method or no parameters.
    """
    method, parameters = plain.get("method"), plain.get("parameters")
    scheduler = _scheduler(plain.get("scheduler"), method)
    if scheduler is not None and scheduler.search_space is not None:
        parameters = {}
    if not isinstance(method, str) or not isinstance(parameters, Mapping):
        raise ConfigError(f"{file} names no method or no parameters; create the sweep again")
    cap, command = plain.get("run_cap"), plain.get("command")
    metrics = tuple(Objective(**one) for one in plain.get("metrics") or ())
    first = metrics[0] if metrics else None
    if command is not None and tuple(command) == DEFAULT and plain.get("program"):
        command = None  # written out, it means the same
    return SweepSpec(
        method=method,
        parameters=parameters,
        metric=Objective(**plain["metric"]) if plain.get("metric") is not None else first,
        metrics=metrics,
        scheduler=scheduler,
        hyperband=_hyperband(plain.get("early_terminate")),
        run_cap=None if cap is None else int(cap),
        program=plain.get("program"),
        command=None if command is None else tuple(command),
        name=plain.get("name"),
        description=plain.get("description"),
        project=plain.get("project"),
        function=plain.get("function"),
        plain=plain,
        text=text,
        file=file,
    )


def spec_of(sweep: SweepRow) -> SweepSpec:
    """Return the file of a sweep, as it was read when the sweep was created."""
    return spec_from_plain(sweep.spec, text=sweep.text, file=sweep.file or IN_PYTHON)


def _sound(
    root: YamlNode, words: tuple[str, ...] | None, findings: Findings, file: str
) -> SweepSpec | None:
    """Return the sound part of a file with mistakes."""
    section = root.inside.get("parameters")
    if section is None or section.kind != "mapping" or not section.inside:
        return None
    program = root.inside.get("program")
    runs = program is not None and program.kind == "text" and bool(program.value.strip())
    if "command" in root.inside and (words is None or not findings.sound(root.inside["command"])):
        runs, words = False, None
    return SweepSpec(
        method="",
        parameters={
            name: node.value if findings.sound(node) else {}
            for name, node in section.inside.items()
        },
        program=program.value if program is not None and runs else None,
        command=words,
        file=file,
        places=_places(root),
    )


def _places(root: YamlNode) -> dict[str, FilePosition]:
    return {node.key: FilePosition(node.line, node.text) for node in root.walk()}


def _scheduler(section: Mapping[str, Any] | None, method: Any) -> Scheduler | None:
    """Return the scheduler of a file; None for W&B's own engine, which is the method's search."""
    if section is None or method != CUSTOM:
        return None
    return Scheduler(**section)


def _hyperband(section: Mapping[str, Any] | None) -> Hyperband | None:
    if section is None:
        return None
    known = {name: value for name, value in section.items() if name != "type"}
    for name in ("min_iter", "max_iter", "s"):
        if name in known:
            known[name] = int(known[name])
    if "max_iter" in known:
        known.pop("min_iter", None)  # as W&B does
    return Hyperband(**known)


def _to_vary(spec: SweepSpec) -> str:
    """Say how to make a parameter vary: often its values are there, as one list."""
    for dimension in spec.space.dimensions:
        value = getattr(dimension.distribution, "value", None)
        if isinstance(value, list) and len(value) > 1:
            return f"did you mean {dimension.name}: {{values: {short(value)}}}?"
    return "give a parameter values: [...] or min and max, or write method: grid to run it once"
