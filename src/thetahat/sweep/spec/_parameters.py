"""The ``parameters`` section of a file: its faults as findings, and notes on what may surprise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from thetahat.core.yaml_tree import YamlNode, short, written
from thetahat.search import EXPONENTS, kind_of, section_faults
from thetahat.sweep.spec._diagnostics import Findings


def check_parameters(section: YamlNode, method: str | None, findings: Findings) -> None:
    """Check a ``parameters`` section, and those inside it."""
    for fault in section_faults(section, grid=method == "grid"):
        (findings.both if fault.shared else findings.ours)(fault.node, fault.message)
    for node, top in _parameters(section):
        if node.name_kind != "text" and node.key not in findings.wrong:
            findings.note(
                node,
                f"W&B's reader takes the name {node.name} for {_misread(node)}; put it in quotes:"
                f" '{node.name}'",
            )
        if (kind := kind_of(node)) in EXPONENTS:
            _note_exponents(node, kind or "", findings, top)
        if findings.sound(node):
            _note_inference(node, kind, findings)
            if method == "grid":
                _note_duplicates(node, findings)
    errors = {(error.line, error.key) for error in findings.errors}
    for node in section.walk():
        if node.trap and (node.line, node.key) not in errors:
            findings.note(node, node.trap)


def _parameters(section: YamlNode, top: bool = True) -> Iterator[tuple[YamlNode, bool]]:
    """List the parameters, each with whether it stands at the top."""
    for node in section.inside.values() if section.kind == "mapping" else ():
        yield node, top
        if "parameters" in node.inside:
            yield from _parameters(node.inside["parameters"], top=False)


def _misread(node: YamlNode) -> str:
    if node.name_kind == "bool":
        return "true" if node.name.lower() in ("yes", "on", "true") else "false"
    return "null" if node.name_kind == "null" else f"a {node.name_kind}"


def _note_exponents(node: YamlNode, kind: str, findings: Findings, top: bool) -> None:
    """Note the values that exponents of e stand for; W&B refuses these distributions by now."""
    distribution = node.inside["distribution"]
    fix = f"write distribution: {kind}_values"
    if not findings.sound(node):
        if findings.strict and top:
            findings.theirs(distribution, f"W&B no longer takes {kind}; {fix}")
        return
    low, high = node.inside["min"].value, node.inside["max"].value
    sign = -1 if kind.startswith("inv_") else 1
    first, last = sorted(math.exp(sign * bound) for bound in (low, high))
    bounds = (
        f"the values {written(low)} to {written(high)}" if low > 0 else "bounds that are values"
    )
    message = (
        f"the bounds of {kind} are exponents of e: this draws from {first:.5g} to {last:.5g}; for"
        f" {bounds} {fix}"
    )
    if low > 0 and (high <= 1 or high > 40):
        message += ", which these bounds look like"
    # W&B checks the distributions at the top only, not of nested parameters.
    if top:
        findings.theirs(distribution, f"{message} (W&B no longer takes {kind})")
    else:
        findings.note(distribution, message)


def _note_inference(node: YamlNode, kind: str | None, findings: Findings) -> None:
    """Note what follows from the bounds where the file names no distribution."""
    if "distribution" in node.inside or "min" not in node.inside:
        return
    low, high = node.inside["min"], node.inside["max"]
    if kind == "int_uniform" and (low.value, high.value) == (0, 1):
        findings.note(
            node,
            "whole bounds draw whole numbers: 0 and 1 only; for all numbers between write min: 0.0,"
            " max: 1.0",
        )
    if kind == "uniform" and low.kind != high.kind:
        whole = low if low.kind == "int" else high
        findings.note(
            whole,
            f"one bound is whole and one is not, so this is uniform; wandb's client refuses the"
            f" mixture: write {whole.name}: {float(whole.value)!r}",
        )


def _note_duplicates(node: YamlNode, findings: Findings) -> None:
    """Note repeated values of a grid, where 3.0 equals 3."""
    seen: dict[str, int] = {}
    values = node.inside.get("values")
    for i, child in values.inside.items() if values is not None else ():
        first = seen.setdefault(_alike(child.value), i)
        if first != i:
            message = f"{short(child.value)} stands here again (as values[{first}]); it runs once"
            findings.note(child, message)


def _alike(value: Any) -> str:
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value)
