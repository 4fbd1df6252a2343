"""What stands on a screen of 80 columns: no word is cut in two, nothing is said twice."""

from __future__ import annotations

import pytest
from programs import LINE
from terminals import Terminal, thetahat_in

# Wrapping is tested for widths that a pipe has not.
from thetahat.cli.terminal._output import wrap
from thetahat.format import table
from thetahat.store import open_store


@pytest.mark.parametrize(
    ("message", "width", "lines"),
    [
        ("short enough", 20, ["short enough"]),
        ("one two three", 8, ["one two", "three"]),
        (
            "all is over; go on with: thetahat resume calm-otter-7; or not",
            34,
            ["all is over; go on with:", "thetahat resume calm-otter-7; or", "not"],
        ),
        ("a http://127.0.0.1:8642/?token=abcdef b", 20, None),
        ("first\nthe second of them", 12, ["first", "the second", "of them"]),
        ("no room for a, b; --columns chooses", 24, ["no room for a, b;", "--columns chooses"]),
    ],
)
def test_lines_end_between_words(message: str, width: int, lines: list[str] | None) -> None:
    found = wrap(message, width).split("\n")
    assert found == (lines or ["a", "http://127.0.0.1:8642/?token=abcdef", "b"])


def test_an_error_and_a_note_of_a_narrow_terminal(folder) -> None:
    with open_store() as store:
        for k in range(3):
            config = {f"a_long_parameter_{n}": k for n in range(9)}
            run = store.create_run(config)
            store.finish_run(run.id, status="finished", metrics={"val_risk": 1.0})
    with thetahat_in(
        folder, "runs", "nothing-of-this-name-is-in-the-store-that-is-here"
    ) as terminal:
        assert terminal.end() == 2
        said = terminal.lines()
    assert len(said) > 1
    store_file = str(folder / ".thetahat" / "store.db")
    assert any(store_file in line for line in said) or len(store_file) > 80
    with thetahat_in(folder, "runs") as terminal:
        assert terminal.end() == 0
        lines = terminal.lines()
    first = next(k for k, line in enumerate(lines) if line.startswith("no room for "))
    told = [word for line in lines[first:] for word in line.split()]
    assert "--columns" in told
    assert {"a_long_parameter_8,", "seconds;"} <= set(told)


def test_a_fit_that_diverged_says_why_once(folder) -> None:
    (folder / "line.py").write_text(LINE, encoding="utf-8")
    with Terminal(["line.py", "--lr=1000"], folder, 80) as terminal:
        assert terminal.end() == 1
        text = terminal.text()
    assert "nan" not in text
    assert "  risk  not finite\n" in text
    assert text.count("the state before it is kept") == 1
    assert "…" not in text


def test_show_has_the_whole_provenance(folder, thetahat) -> None:
    with open_store() as store:
        origin = {"init": "0123456789abcdef" * 4, "prng_impl": "threefry2x32"}
        run = store.create_run({}, provenance=origin)
    out = thetahat("show", run.name)[1]
    assert "init=0123456789ab, prng_impl=threefry2x32" in " ".join(out.split())
    assert origin["init"] in thetahat("show", run.name, "--format=json")[1]


def test_powers_of_ten_have_no_zeros_that_say_nothing() -> None:
    from thetahat.format import Column

    rows = [{"lr": 1e9}, {"lr": 0.1}]
    assert table(rows, [Column("lr", digits=6)]).split() == [
        "lr",
        "─" * 9,
        "1.000e+09",
        "1.000e-01",
    ]
    rows = [{"lr": 1.23456e9}, {"lr": 0.1}]
    assert table(rows, [Column("lr", digits=6)]).split()[2:] == ["1.23456e+09", "1.00000e-01"]
