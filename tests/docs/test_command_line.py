"""cli.md documents every command, flag and option there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# The pages are compared with the lists of commands and flags.
from thetahat.cli._flags import OPTIONS
from thetahat.cli._parser import COMMANDS, parser_of

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
SHARED = {"--format", "--store", "--help", "--version"}
"""Said once, for all commands."""


def section(title: str) -> str:
    """The text below a heading, up to the next."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"cli.md has no section {title!r}"
    return found.group(1)


def flags_of(command: str) -> set[str]:
    """The long flags of a command's parser."""
    return set(FLAG.findall(parser_of(command)[0].format_help()))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_is_documented(command):
    known = flags_of(command)
    said = set(FLAG.findall(section(f"thetahat {command}")))
    assert known - SHARED <= said, f"not in cli.md: {sorted(known - SHARED - said)}"
    assert said <= known | SHARED, f"not in the parser: {sorted(said - known - SHARED)}"


def test_every_command_has_a_section_and_no_other_has():
    sections = re.findall(r"^## thetahat (\w+)$", TEXT, re.MULTILINE)
    assert sorted(sections) == sorted(COMMANDS)


def test_every_option_of_scripts_is_documented():
    options = {f"--{option.name}" for option in OPTIONS}
    rows = set(re.findall(r"^\| `(--[\w]+)", section("A script"), re.MULTILINE))
    assert rows == options


def test_flags_elsewhere_in_the_docs_exist():
    known = {f"--{option.name}" for option in OPTIONS} | SHARED
    known |= {flag for command in COMMANDS for flag in flags_of(command)}
    # Parameters of the experiments that the pages run.
    known |= {"--width", "--lr", "--batch_size", "--epochs", "--seed", "--learning_rate"}
    known |= {"--clip"}
    # The benchmarks'.
    known |= {"--write", "--repeats", "--postgres"}
    # Julia's, in a command of a sweep file.
    known |= {"--project"}
    # XLA's, in XLA_FLAGS.
    known |= {"--xla_force_host_platform_device_count"}
    # TensorBoard's and MLflow's.
    known |= {"--logdir", "--backend-store-uri"}
    root = Path(__file__).parents[2]
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        said = set(FLAG.findall(page.read_text(encoding="utf-8")))
        if page.name == "cli.md":
            said -= {"--name", "--flag", "--no_flag", "--batch-size"}
        assert said <= known, f"{page.name}: {sorted(said - known)}"
