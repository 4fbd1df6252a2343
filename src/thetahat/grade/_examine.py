"""Examine a program in this process: gather its runs, and judge them."""

from __future__ import annotations

from collections.abc import Iterator

from thetahat.core.errors import InputError
from thetahat.grade._evidence import Evidence, gather, part_risks
from thetahat.grade._finding import Finding, Grade
from thetahat.grade._judge_log import judge_log
from thetahat.grade._judge_runs import judge_runs
from thetahat.grade._judge_state import cannot_tell_apart, judge_state
from thetahat.grade._program import StudentProgram, read_program_file


def examine(path: str) -> Grade:
    """Grade a file in this process, without limits."""
    return examine_program(read_program_file(path))


def examine_program(program: StudentProgram) -> Grade:
    """Grade a program in this process, without limits.

    Raises:  InputError: it cannot be run, or does not do what a graded program must.
    """
    path = program.file
    evidence = gather(program)
    if not evidence.base.tracker.records:
        raise InputError(f"{path}: train never calls tracker.log; call it once for each epoch")
    found: dict[int, Finding] = {}
    notes: list[str] = []
    for one in _judged(evidence):
        if isinstance(one, str):
            notes.append(one)
        else:
            found.setdefault(one.error, one)
    findings = tuple(found[error] for error in sorted(found))
    unchecked = {e: why for e, why in _unchecked(evidence).items() if e not in found}
    texts = {one.line: program.line(one.line) for one in findings}
    return Grade(path, findings, tuple(dict.fromkeys(notes)), unchecked, texts)


def _judged(evidence: Evidence) -> Iterator[Finding | str]:
    yield from judge_log(evidence)
    yield from judge_state(evidence)
    yield from judge_runs(evidence)


def _unchecked(evidence: Evidence) -> dict[int, str]:
    """What this program gives no way to see."""
    base, why = evidence.base, dict[int, str]()
    steps = base.watch.steps
    risks = part_risks(base, "val")
    if risks and risks.index(min(risks)) == len(risks) - 1:
        why[1] = "its val loss never rises"
    names = {name for record in base.tracker.records for name in record.numbers}
    if not names & {"val_loss", "test_loss"}:
        why[2] = "it logs neither val_loss nor test_loss"
    if "error_in_f" not in base.result:
        why[5] = "train returns no error_in_f"
    sweeps = [v for v in base.module.__dict__.values() if isinstance(v, dict) and "metric" in v]
    if not callable(base.module.__dict__.get("choose")) and not sweeps:
        why[6] = "it has no function choose, and no sweep with a metric"
    elif cannot_tell_apart(evidence):
        why[6] = "its val and test losses are lowest after the same epoch"
    if not {"lr", "train_loss"} <= names:
        why[8] = "it does not log both lr and train_loss"
    if not steps:
        why[9] = "its gradients cannot be seen"
    elif not any(step.rows for step in steps):
        why[9] = "its last layer is not a product of matrices"
    if not any(step.has_layers for step in steps):
        why[12] = "its layers cannot be seen"
    if "test" not in base.tracker.raw:
        why[11] = "tracker.data gets no test part"
    return why
