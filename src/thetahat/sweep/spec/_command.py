"""The ``command`` of a sweep file and its macros."""

from __future__ import annotations

import os
import re

from thetahat.core.errors import did_you_mean
from thetahat.core.yaml_tree import YamlNode, as_written, is_text
from thetahat.sweep.spec._command_line import DEFAULT
from thetahat.sweep.spec._diagnostics import Findings
from thetahat.sweep.spec._keys import came, short

ARGUMENTS = (
    *("args", "args_no_hyphens", "args_no_boolean_flags", "args_no_equals"),
    *("args_json", "args_json_file", "args_append_hydra", "args_override_hydra"),
)
"""The macros that hand the parameters over."""
MACROS = ("env", "interpreter", "program", *ARGUMENTS)
_MACRO = re.compile(r"\$\{([^{}]*)\}")
_ENVVAR = re.compile(r"envvar:([A-Z0-9_]+)")


def check_command(at: YamlNode, findings: Findings, *, program: bool) -> tuple[str, ...] | None:
    """The items of a command, as text; None where it is none."""
    if at.kind != "list":
        findings.both(at, f"command is {came(at)}, and must be a list{_as_list(at)}")
        return None
    if not at.inside:
        findings.ours(
            at,
            "command is an empty list; remove it (the default is"
            f" {' '.join(DEFAULT)}), or give its words",
        )
        return None
    items = [_item(child, findings) for child in at.inside.values()]
    for child, text in zip(at.inside.values(), items, strict=True):
        _check_macros(child, text, findings, program=program)
    if not any(f"${{{name}}}" in items for name in ARGUMENTS):
        findings.note(
            at,
            "no macro such as ${args} stands in command, so the program never sees the parameters",
        )
    return tuple(items)


def _as_list(at: YamlNode) -> str:
    if at.kind == "text" and at.value.split():
        return f"; write command: [{', '.join(_quoted(word) for word in at.value.split())}]"
    return ": one word of the command a line, each after a dash"


def _quoted(word: str) -> str:
    # In a flow list YAML would take the braces of ${args} for a mapping.
    return f'"{word}"' if re.search(r"[][{},:#&*!|>'\"%@`]", word) else word


def _item(at: YamlNode, findings: Findings) -> str:
    """One word of a command: as W&B's agent hands it on, by Python's ``str``."""
    if at.kind in ("mapping", "list"):
        findings.ours(at, f"a word of command is {came(at)}; put it in quotes")
        return ""
    if is_text(at):
        return as_written(at)
    if str(at.value) != at.text:
        findings.note(
            at, f"{at.text} reaches the program as {at.value}; put it in quotes: '{at.text}'"
        )
    return str(at.value)


def _check_macros(at: YamlNode, text: str, findings: Findings, *, program: bool) -> None:
    for match in _MACRO.finditer(text):
        name, macro = match[1], match[0]
        variable = _ENVVAR.fullmatch(name)
        if variable:
            _check_variable(at, variable[1], findings)
        elif name.startswith("envvar"):
            findings.ours(
                at, f"{macro} names no variable in capitals, and no other is replaced; rename it"
            )
        elif name not in MACROS:
            findings.ours(at, f"there is no macro {macro}{_near(name)}")
        elif macro != text:
            findings.note(
                at,
                f"{macro} is replaced only where it is the whole word, so {short(text)} stays as it"
                " is (only ${envvar:NAME} is replaced inside words)",
            )
        elif name == "program" and not program:
            findings.ours(
                at, "${program} stands in command, but the file names none; add program: train.py"
            )


def _near(name: str) -> str:
    if name.isupper() or name in os.environ:
        return f"; for a variable of the environment write ${{envvar:{name}}}"
    hint = did_you_mean(name, MACROS)
    for known in MACROS:
        hint = hint.replace(f"did you mean {known!r}", f"did you mean ${{{known}}}")
    return hint


def _check_variable(at: YamlNode, name: str, findings: Findings) -> None:
    if name not in os.environ:
        findings.note(
            at,
            f"the variable {name} is not set here; set it where the agent runs, or the word"
            f" holds {name!r} itself",
        )
