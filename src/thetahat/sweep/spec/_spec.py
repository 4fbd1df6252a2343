"""A sweep file, read and checked: all that runs it, or every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.sweep_file import plain_file
from thetahat.core.yaml_tree import Unreadable, YamlNode, decoded, read_tree
from thetahat.search import Hyperband, Objective, make_space
from thetahat.sweep.spec._command import check_command
from thetahat.sweep.spec._diagnostics import Findings, Problem, by_line
from thetahat.sweep.spec._keys import short
from thetahat.sweep.spec._notes import is_test_metric
from thetahat.sweep.spec._schema import check_top

if TYPE_CHECKING:
    from thetahat.search import Space


@dataclass(frozen=True)
class FilePosition:
    """Where a key stands in the file, and its word as it is written ("" for lists and mappings)."""

    line: int
    text: str = ""


@dataclass(frozen=True)
class SweepSpec:
    """A sweep file without mistakes.

    ``parameters`` is the section of the file as plain data, numbers read as numbers; ``text`` is
    the whole file as it came.
    """

    method: str
    parameters: Mapping[str, Any]
    metric: Objective | None = None
    metrics: tuple[Objective, ...] = ()
    """Always empty: several objectives are refused."""
    hyperband: Hyperband | None = None
    run_cap: int | None = None
    program: str | None = None
    command: tuple[str, ...] | None = None
    name: str | None = None
    description: str | None = None
    project: str | None = None
    text: str = ""
    file: str = "sweep.yaml"
    plain: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The whole file as plain data: what a store keeps, and what ``made_spec`` makes this of."""
    places: Mapping[str, FilePosition] = field(default_factory=dict, repr=False, compare=False)
    """Lines and words by key, such as ``parameters.lr.min``."""

    @cached_property
    def space(self) -> Space:
        """The search space."""
        return make_space(self.parameters)

    @property
    def whole(self) -> bool:
        """Whether all of its parameters are sound, so that it has a ``space``."""
        return all(self.parameters.values())

    @property
    def points(self) -> int | None:
        """How many points a grid has; None where the search is endless."""
        return self.space.size if self.method == "grid" else None

    def place(self, key: str) -> FilePosition:
        """Where a key stands; that of the nearest key above it where it stands nowhere."""
        while key and key not in self.places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.places.get(key, FilePosition(1))


@dataclass(frozen=True)
class Reading:
    """What came out of reading a file. ``spec`` is None where it cannot be run.

    Under ``strict`` a file can be valid for W&B and yet have no spec; a note says why.
    """

    file: str
    spec: SweepSpec | None
    errors: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    method: str | None = None
    sound: SweepSpec | None = None
    """What can be read of a file with mistakes, to look at its program too; not to be run. A
    parameter that has a mistake is empty in it, and then it is not ``whole``."""

    @property
    def valid(self) -> bool:
        """Whether the file has no mistakes."""
        return not self.errors

    def require(self) -> SweepSpec:
        """The spec.

        Raises:  ConfigError: all mistakes, a line each.
        """
        if self.errors:
            raise ConfigError("\n".join(problem.said(self.file) for problem in self.errors))
        if self.spec is None:
            raise ConfigError(
                f"{self.file} is valid for W&B, but cannot be run here; see its notes"
            )
        return self.spec


def read_sweep(path: str | Path, *, strict: bool = False) -> Reading:
    """Read and check a sweep file.

    Args:    path: the file.   strict: give W&B's own verdict in place of ours.
    Raises:  ConfigError: there is no such file, or it cannot be opened.
    """
    path = Path(path)
    try:
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
    method is the text 'gird', and must be grid, random or bayes; did you mean 'grid'?
    """
    try:
        root, twice = read_tree(text, strict=strict)
    except Unreadable as problem:
        return _unreadable(file, problem)
    findings = Findings(strict)
    for at, first in twice:
        name = at.key.rpartition(".")[2]
        findings.ours(at, f"{name} stands here again (first in line {first}); keep one of them")
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
        spec = made_spec(plain_file(root), text=text, file=file)
        spec = _counted(replace(spec, places=_places(root)), findings)
    method = root.inside.get("method")
    return Reading(
        file,
        spec,
        by_line(findings.errors),
        by_line(findings.notes),
        method.value if method is not None and method.kind == "text" else None,
        spec or _sound(root, words, findings, file),
    )


def contamination(spec: SweepSpec) -> bool:
    """Whether a sweep tunes on the test set: a ``test`` in the name of its metric."""
    return spec.metric is not None and is_test_metric(spec.metric.name)


def _unreadable(file: str, problem: Unreadable) -> Reading:
    return Reading(file, None, (Problem(problem.line, "", str(problem)),), ())


def _not_there(path: Path, error: OSError) -> str:
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".yaml", ".yml"))
        such = f", such as {path / inside[0]}" if inside else ""
        return f"{path} is a folder; give the sweep file in it{such}"
    if not path.exists():
        near = ""
        if path.parent.is_dir():
            files = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
            near = did_you_mean(path.name, sorted(files)) if files else ""
        return f"there is no file {path}{near or '; give the path of a sweep file'}"
    return f"{path} cannot be read: {error.strerror or error}"


def made_spec(plain: Mapping[str, Any], *, text: str = "", file: str = "sweep.yaml") -> SweepSpec:
    """The spec of a file without mistakes, from its plain data.

    Raises:  ConfigError: the data are of no such file.
    """
    method, parameters = plain.get("method"), plain.get("parameters")
    if not isinstance(method, str) or not isinstance(parameters, Mapping):
        raise ConfigError(f"{file} names no method or no parameters; make the sweep again")
    cap, command = plain.get("run_cap"), plain.get("command")
    return SweepSpec(
        method=method,
        parameters=parameters,
        metric=_metric(plain.get("metric")),
        hyperband=_hyperband(plain.get("early_terminate")),
        run_cap=None if cap is None else int(cap),
        program=plain.get("program"),
        command=None if command is None else tuple(command),
        name=plain.get("name"),
        description=plain.get("description"),
        project=plain.get("project"),
        plain=plain,
        text=text,
        file=file,
    )


def _sound(
    root: YamlNode, words: tuple[str, ...] | None, findings: Findings, file: str
) -> SweepSpec | None:
    """What is sound of a file with mistakes."""
    section = root.inside.get("parameters")
    if section is None or section.kind != "mapping":
        return None
    wrong = findings.wrong
    program = root.inside.get("program")
    runs = program is not None and program.kind == "text" and bool(program.value.strip())
    if "command" in root.inside and (words is None or "command" in "".join(wrong)):
        runs, words = False, None
    return SweepSpec(
        method="",
        parameters={
            name: {} if any(f"{key}.".startswith(f"{at.key}.") for key in wrong) else at.value
            for name, at in section.inside.items()
        },
        program=program.value if program is not None and runs else None,
        command=words,
        file=file,
        places=_places(root),
    )


def _places(root: YamlNode) -> dict[str, FilePosition]:
    return {at.key: FilePosition(at.line, at.text) for at in root.walk()}


def _metric(section: Mapping[str, Any] | None) -> Objective | None:
    return None if section is None else Objective(**section)


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


def _counted(spec: SweepSpec, findings: Findings) -> SweepSpec | None:
    """The spec, once its space can be made."""
    try:
        _ = spec.points if spec.method == "grid" else spec.space
    except ConfigError as error:
        place = spec.place("parameters")
        at = YamlNode(None, "mapping", place.line, "parameters")
        findings.ours(at, str(error))
        return None
    if spec.method != "grid" and not spec.space.varies:
        place = spec.place("parameters")
        at = YamlNode(None, "mapping", place.line, "parameters")
        findings.note(at, f"nothing varies, so all runs have the same config; {_to_vary(spec)}")
    return spec


def _to_vary(spec: SweepSpec) -> str:
    """How to make a parameter vary: the values are often there, as one."""
    for dimension in spec.space.dimensions:
        value = getattr(dimension.distribution, "value", None)
        if isinstance(value, list) and len(value) > 1:
            return f"did you mean {dimension.name}: {{values: {short(value)}}}?"
    return "give a parameter values: [...] or min and max, or write method: grid to run it once"
