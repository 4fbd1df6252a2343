"""The flags of an experiment: typed by jsonargparse from the signature."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
import typing
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from thetahat.core.annotations import EXAMPLES, NAMES, arms, choices_of
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.files import refuse_special
from thetahat.core.nested import nest
from thetahat.core.signature import Parameter, Signature
from thetahat.core.yaml_words import flow

_REFUSALS = (ArgumentError, TypeError, ValueError, KeyError)
"""What jsonargparse raises for a value of the wrong type."""
_TRUTH = ("true", "false", "yes", "no", "0", "1")


@dataclass(frozen=True)
class Flags:
    """A command line that has been read."""

    config: Mapping[str, Any]
    """Every parameter of the experiment."""
    given: frozenset[str]
    """The parameters that a flag or a config file gave."""
    options: Mapping[str, str | bool] = field(default_factory=dict)
    """Our own options."""


@dataclass(frozen=True)
class Option:
    """One of our own options; ``metavar`` is empty for those without a value."""

    name: str
    metavar: str
    help: str


OPTIONS = (
    Option("config", "FILE", "read parameters from a YAML file; flags override it"),
    Option("print_config", "", "print the parameters as such a file, and stop"),
    Option("store", "URL", "where the run is kept (default: THETAHAT_STORE, else .thetahat here)"),
    Option("no_store", "", "keep nothing"),
    Option("no_checkpoint", "", "keep the run, but no checkpoint to resume it from"),
    Option("name", "NAME", "a name for the run"),
    Option("quiet", "", "print nothing unless something is wrong"),
    Option("help", "", "show this"),
)


def read_flags(signature: Signature, words: Sequence[str]) -> Flags:
    """Read a command line.

    Raises:  ConfigError: an unknown flag (the nearest is offered), a value of the wrong type, a
             config file that cannot be read, a missing parameter.
    """
    ours = {o.name: o for o in OPTIONS if o.name not in signature.parameters}
    pairs = _pairs(signature, ours, ["--help" if w == "-h" else w for w in words])
    options: dict[str, str | bool] = {}
    files: list[str] = []
    flags: list[tuple[str, str]] = []
    for name, value in pairs:
        if name not in ours:
            flags.append((name, value))
        elif name == "config":
            files.append(value)
        else:
            options[name] = value if ours[name].metavar else True
    if "help" in options:
        return Flags({}, frozenset(), options)
    sources = {name: f" in {path}" for path in files for name in _file_keys(signature, path)}
    sources.update({_root(name): "" for name, _ in flags})
    typed = _typed(signature, files, flags, sources)
    given = {name: typed[name] for name in signature.parameters if name in sources}
    for name, value in given.items():
        if isinstance(value, float) and value != value:
            raise ConfigError(_not_a_number(signature.parameters[name]))
    if "print_config" in options:
        needed = {n: p.default for n, p in signature.parameters.items() if not p.required}
        return Flags({**needed, **given}, frozenset(given), options)
    return Flags(signature.config(given), frozenset(given), options)


def retyped(signature: Signature, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Give a config that went through JSON the types of the signature again.

    Raises:  ConfigError: a parameter that the signature no longer has, or of another type.
    """
    stored = nest(stored, signature.parameters)
    for name in stored:
        if name not in signature.parameters:
            hint = did_you_mean(name, signature.parameters)
            raise ConfigError(f"{signature.name}() no longer has the parameter {name!r}{hint}")
    changed = {
        name: value
        for name, value in stored.items()
        if signature.parameters[name].required
        or stored_value(signature.parameters[name].default) != value
    }
    found = {n: stored[n] if n in changed else signature.parameters[n].default for n in stored}
    if changed:
        parser = _parser(signature)
        for name, value in changed.items():
            try:
                read = parser.parse_object({name: value}, defaults=False)
                found[name] = getattr(parser.instantiate(read), name)
            except _REFUSALS as error:
                parameter = signature.parameters[name]
                raise ConfigError(_wrong(parameter, value, f" of {signature.name}()")) from error
    return signature.config(found)


def stored_value(value: Any) -> Any:
    """Convert a parameter's value to what a flag would give, in the types of JSON if possible."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: stored_value(getattr(value, f.name)) for f in fields}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (list, tuple)):
        return [stored_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): stored_value(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, "__qualname__", str(value))


def dump_config(signature: Signature, config: Mapping[str, Any]) -> str:
    """Write a config as the YAML that ``--config`` reads."""
    import io

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    text = io.StringIO()
    yaml.dump({name: stored_value(value) for name, value in config.items()}, text)
    missing = [name for name in signature.parameters if name not in config]
    return text.getvalue() + "".join(f"# {name}: (needed)\n" for name in missing)


# -- words to pairs -------------------------------------------------------------------------------


def _pairs(
    signature: Signature, ours: Mapping[str, Option], words: Sequence[str]
) -> list[tuple[str, str]]:
    """Split words into (name, value) of each flag; dashes in names become underscores."""
    pairs: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise ConfigError(
                f"{signature.name}() got the word {word!r}; parameters are given as --name=value"
            )
        flag, equals, value = word[2:].partition("=")
        name = _known_name(signature, ours, flag)
        if name not in ours and name.startswith("no_") and _root(name) not in signature.parameters:
            pairs.append((name[3:], "false"))
            continue
        option = ours.get(name)
        alone = option is not None and not option.metavar
        truth = option is None and _kind_at(signature, name) is bool
        follows = rest and not rest[0].startswith("--")
        if not equals and follows and not alone and (not truth or rest[0].lower() in _TRUTH):
            value = rest.pop(0)
        elif not equals and (alone or truth):
            value = "true"
        elif not equals:
            such = (
                f"--{name}={option.metavar}"
                if option
                else example(signature.parameters[_root(name)])
            )
            raise ConfigError(f"--{flag} needs a value, such as {such}")
        pairs.append((name, value))
    return pairs


def _known_name(signature: Signature, ours: Mapping[str, Option], flag: str) -> str:
    name = flag.replace("-", "_")
    if name in ours or _root(name) in signature.parameters:
        return name
    positive = signature.parameters.get(name.removeprefix("no_"))
    if name.startswith("no_") and positive is not None and positive.bare_type is bool:
        return name
    hint = did_you_mean(flag, signature.parameters)
    if hint.startswith("; known"):
        near = did_you_mean(flag, ours)
        hint = near if near.startswith("; did") else hint
    raise ConfigError(f"{signature.name}() has no parameter {flag!r}{hint}")


def _root(name: str) -> str:
    """Give the parameter that a flag such as ``--net.width`` or ``--names+`` belongs to."""
    return name.removesuffix("+").partition(".")[0]


# -- types ----------------------------------------------------------------------------------------


def type_name(parameter: Parameter) -> str:
    """Name a type as help shows it."""
    kind = parameter.bare_type
    if choices := choices_of(kind):
        return "|".join(map(str, choices))
    if parameter.is_seed:
        return "seed"
    name = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
    return re.sub(r"(typing|collections\.abc)\.", "", name)


def example(parameter: Parameter) -> str:
    """Give a valid flag of a parameter."""
    value = None if parameter.required else stored_value(parameter.default)
    kind = parameter.bare_type
    if value is None:
        known = EXAMPLES.get(kind, "...") if isinstance(kind, type) else "..."
        value = next(iter(choices_of(kind)), known)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"--{parameter.name}={text}"


def _wrong(parameter: Parameter, value: Any, where: str = "") -> str:
    kind = parameter.bare_type
    shown = f"{'' if where else '--'}{parameter.name}={value}{where}"
    if parameter.annotation is float and str(value).lower().strip("+-.") == "nan":
        return _not_a_number(parameter)
    choices = [str(choice) for choice in choices_of(kind)]
    if choices:
        hint = did_you_mean(str(value), choices)
        hint = hint if hint.startswith("; did") else ""
        return f"{shown}: {parameter.name} wants one of {', '.join(choices)}{hint}"
    wanted = NAMES.get(kind) if isinstance(kind, type) else None
    wanted = wanted or type_name(parameter)
    return f"{shown}: {parameter.name} wants {wanted}, such as {example(parameter)}"


def _not_a_number(parameter: Parameter) -> str:
    return f"{parameter.name}=nan: give a number, such as {example(parameter)}"


def _parser(signature: Signature) -> Any:
    """Make jsonargparse's parser of the parameters that it can read."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, default_env=False, add_help=False)
    for parameter in signature.parameters.values():
        default = None if parameter.required else parameter.default
        try:
            parser.add_argument(f"--{parameter.name}", type=parameter.bare_type, default=default)
        except ValueError:
            # A type that no flag can write (a function without annotation): its default stays.
            continue
    return parser


def _typed(
    signature: Signature,
    files: Sequence[str],
    flags: Sequence[tuple[str, str]],
    sources: Mapping[str, str],
) -> Mapping[str, Any]:
    parser = _parser(signature)
    parser.add_argument("--config-file", action="config")
    words = [f"--config-file={path}" for path in files]
    words += [f"--{name}={_readable(signature, name, value)}" for name, value in flags]
    try:
        found = parser.instantiate(parser.parse_args(words))
    except _REFUSALS as error:
        raise ConfigError(_refused(signature, str(error), dict(flags), files, sources)) from error
    return vars(found)


def _readable(signature: Signature, name: str, value: str) -> str:
    """Rewrite as YAML what people and Python's ``str`` write: inf, None, 1 for true.

    A sweep's ``${args}`` passes values by ``str``; they are read here as what they were.
    """
    kind = _kind_at(signature, name)
    kinds = arms(kind)
    if type(None) in kinds and value == "None":
        return "null"
    if float in kinds and value.lower() in ("inf", "+inf", "-inf"):
        return value.lower().replace("inf", ".inf")
    if kind is bool:
        return {"1": "true", "yes": "true", "0": "false", "no": "false"}.get(value.lower(), value)
    if value[:1] in ("[", "(", "{") and str not in kinds:
        return _from_python(value)
    listed = any(typing.get_origin(arm) in (list, tuple) for arm in kinds)
    if value and listed and str not in kinds and value != "null":
        return f"[{value}]"
    return value


def _kind_at(signature: Signature, name: str) -> Any:
    """Find the type of a flag's value, also of a part: ``--net.width``."""
    root, *parts = name.removesuffix("+").split(".")
    kind = signature.parameters[root].bare_type
    for part in parts:
        holders = [arm for arm in arms(kind) if dataclasses.is_dataclass(arm)]
        known = typing.get_type_hints(holders[0]) if holders else {}
        kind = known.get(part, Any)
    return kind


def _from_python(value: str) -> str:
    """Rewrite as YAML a list or mapping that Python wrote; return other text unchanged."""
    try:
        return flow(ast.literal_eval(_Infinite().visit(ast.parse(value, mode="eval"))))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return value


class _Infinite(ast.NodeTransformer):
    """Reads the words inf and nan, which Python writes and does not read."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def _refused(
    signature: Signature,
    refusal: str,
    flags: Mapping[str, str],
    files: Sequence[str],
    sources: Mapping[str, str],
) -> str:
    """Write the message for a value that jsonargparse refused."""
    key = re.search(r'[Pp]arser key "([^"]+)"', refusal)
    name = _root(key.group(1)) if key else ""
    if name in signature.parameters:
        full = key.group(1) if key else name
        value = flags.get(full, flags.get(name))
        if value is None:
            got = re.search(r"Got value: (.*)", refusal)
            value = got.group(1) if got else "?"
        return _wrong(signature.parameters[name], value, sources.get(name, ""))
    first = " ".join(refusal.split())
    return f"{first}{' (' + ', '.join(files) + ')' if files else ''}"


def _file_keys(signature: Signature, path: str) -> list[str]:
    """List the parameters that a config file gives."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        refuse_special(path)
        text = Path(path).read_text(encoding="utf-8")
        content = YAML(typ="safe", pure=True).load(text)
    except OSError as error:
        raise ConfigError(f"--config={path} cannot be read: {error.strerror}") from error
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1}: {error.problem})" if mark else ""  # pyright: ignore[reportAttributeAccessIssue]
        raise ConfigError(f"--config={path} is not valid YAML{line}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"--config={path} must hold lines such as lr: 0.01; it holds {content!r}")
    for name in content:
        if name not in signature.parameters:
            hint = did_you_mean(str(name), signature.parameters)
            raise ConfigError(f"{path}: {signature.name}() has no parameter {name!r}{hint}")
    return [str(name) for name in content]
