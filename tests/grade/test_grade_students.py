"""Programs of imaginary students: each error is found with its line, and correct programs have none.

``python -m benchmarks.grade`` grades all 380; here is a sample, in one process.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from students import correct, wrong

import thetahat as th

# Programs are graded in this process, so that imports and compiled operations are paid for once.
from thetahat.grade._examine import examine

TORCH = [(error, 2 * (error % 3)) for error in th.grade.ERRORS]
JAX = [(7, 1), (9, 5), (12, 3)]


def graded(text: str, folder: Path) -> th.grade.Grade:
    """The grade of a program."""
    file = folder / "student.py"
    file.write_text(text, encoding="utf-8")
    return examine(str(file))


@pytest.mark.parametrize(("error", "number"), TORCH + JAX)
def test_an_error_is_found_with_its_line(error: int, number: int, tmp_path: Path) -> None:
    student = wrong(error, number)
    grade = graded(student.text, tmp_path)
    assert [one.error for one in grade.findings] == [error], grade
    assert grade.findings[0].line in student.lines, (grade.findings, student.lines)
    assert grade.texts[grade.findings[0].line].strip()


@pytest.mark.parametrize("number", [0, 2, 4, 6, 64, 5])
def test_a_correct_program_has_no_error(number: int, tmp_path: Path) -> None:
    grade = graded(correct(number).text, tmp_path)
    assert grade.findings == grade.notes == ()
    assert dict(grade.unchecked) == {}


def test_programs_of_a_number_are_always_the_same_and_others_differ() -> None:
    assert correct(0).text == correct(0).text
    assert len({correct(number).text for number in range(100)}) == 100
    assert len({wrong(error, n).text for error in th.grade.ERRORS for n in range(20)}) == 280


@pytest.mark.parametrize("number", [118, 134])
def test_a_state_kept_by_the_test_loss_is_found_if_both_losses_are_lowest_together(
    number: int, tmp_path: Path
) -> None:
    student = wrong(6, number)
    grade = graded(student.text, tmp_path)
    assert [one.error for one in grade.findings] == [6]
    assert grade.findings[0].line in student.lines
    assert "current = " in student.text.splitlines()[student.lines[0] - 1]


PROGRAM = correct(2).text


def test_a_number_that_no_error_explains_is_a_note(tmp_path: Path) -> None:
    program = PROGRAM.replace('"train_loss": ', '"train_loss": 3.7 + ')
    assert program != PROGRAM
    grade = graded(program, tmp_path)
    assert grade.findings == ()
    (note,) = grade.notes
    assert "train_loss" in note and "none of the 14 errors explains it" in note


def test_a_program_without_choose_is_not_checked_for_error_6(tmp_path: Path) -> None:
    text = next(t for n in range(0, 40, 2) if "def choose(" in (t := correct(n).text))
    grade = graded(text[: text.index("def choose(")], tmp_path)
    assert grade.findings == ()
    assert dict(grade.unchecked) == {6: "it has no function choose, and no sweep with a metric"}


def test_a_random_program_ignores_its_seed(tmp_path: Path) -> None:
    text = next(
        t for n in range(0, 60, 2) if "rng = np.random.default_rng(" in (t := correct(n).text)
    )
    lines = [
        line.split("rng = ")[0] + "rng = np.random.default_rng()" if "rng = np" in line else line
        for line in text.splitlines()
    ]
    grade = graded("\n".join(lines), tmp_path)
    assert 13 in {one.error for one in grade.findings}


PAGE = (Path(__file__).parents[2] / "docs" / "grade.md").read_text(encoding="utf-8")
HOMEWORK = PAGE.split("```python homework.py\n")[1].split("```")[0]


def test_the_program_of_the_page_is_correct_also_with_a_penalty(tmp_path: Path) -> None:
    loss = 'loss = ((net(x[rows]) - y[rows]) ** 2).sum() / config["batch_size"]'
    penalised = HOMEWORK.replace(
        loss, f"{loss} + 1e-3 * sum((p**2).sum() for p in net.parameters())"
    )
    assert penalised != HOMEWORK
    for text in (HOMEWORK, penalised):
        grade = graded(text, tmp_path)
        assert grade.findings == grade.notes == ()
        assert dict(grade.unchecked) == {}


def test_the_error_of_the_page_has_the_line_that_the_page_prints(tmp_path: Path) -> None:
    wrong_line = "best, lowest, waited = net.state_dict(), val, 0"
    grade = graded(
        HOMEWORK.replace("best, lowest, waited = copied(), val, 0", wrong_line), tmp_path
    )
    (finding,) = grade.findings
    assert f"  line {finding.line}: error 1, {th.grade.ERRORS[1].what}\n    {wrong_line}\n" in PAGE
    assert f"    fix:  {th.grade.ERRORS[1].fix}\n" in PAGE
