"""``runs``, ``show`` and ``doctor``: what stands on standard output, and what beside it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

import thetahat
from thetahat import start

# Help and the checks are read from their lists.
from thetahat.cli._parser import parser_of
from thetahat.cli.commands import _doctor
from thetahat.core import Ended, Logged, Started, Status, ThetahatError
from thetahat.store import open_store, store_tracker

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from thetahat.cli._parser import parser_of
parser, run = parser_of(sys.argv[1])
code = run(parser.read(sys.argv[2:]))
print(*(m for m in ("jax", "numpy", "torch", "flax") if m in sys.modules), file=sys.stderr)
sys.exit(code)
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    folder = tmp_path / "runs"
    with open_store(folder) as store:
        for k, (lr, status, reason) in enumerate(
            [
                (0.1, Status.FINISHED, ""),
                (0.01, Status.STOPPED, "val_risk has not improved for 50 epochs"),
                (10.0, Status.DIVERGED, "train_risk is not finite after epoch 2"),
            ]
        ):
            track = store_tracker(store, experiment="wages.mlp", command="python wages.py")
            track(Started(0, {"lr": lr, "width": 64}, 4, 4481, {"git": None}, None))
            risks = [4.0, 2.0, 1.0, float("nan") if k == 2 else 0.5 + k]
            track(Logged(0, {"epoch": [1, 2, 3, 4], "train_risk": risks, "val_risk": risks}))
            metrics = {"val_risk": risks[-1], "test_risk": 0.25, "train_risk": risks[-1]}
            track(Ended(0, status, reason, 4, metrics, {"compile": 1.0, "run": 2.0}))
    return str(folder)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*words: str, columns: int | None = None) -> tuple[int, str, str]:
        if columns is None:
            monkeypatch.delenv("COLUMNS", raising=False)
        else:
            monkeypatch.setenv("COLUMNS", str(columns))
        parser, run = parser_of(words[0])
        code = run(parser.read(words[1:]))
        done = capsys.readouterr()
        return code, done.out, done.err

    return call


def test_runs_as_a_table(run: Run, url: str) -> None:
    code, out, err = run("runs", "--store", url, columns=120)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == [
        *("name", "status", "lr", "val_risk", "test_risk", "train_risk"),
        *("epochs", "seconds", "reason"),
    ]
    assert lines[4].split()[:6] == ["bright-magnolia-1", "finished", "0.10", "0.5", "0.25", "0.5"]
    assert lines[2].split()[3:5] == ["not", "finite"]  # the newest first
    assert len(lines) == 5


def test_a_narrow_window_says_what_it_hides(run: Run, url: str) -> None:
    code, out, err = run("runs", "--store", url, columns=60)
    assert code == 0
    assert max(cell_len(line) for line in out.splitlines()) <= 60
    assert err == ("no room for train_risk, epochs, seconds, reason; --columns chooses\n")


def test_runs_as_json_is_the_listing(run: Run, url: str) -> None:
    code, out, err = run("runs", "--store", url, "--format", "json", columns=40)
    assert (code, err) == (0, "")
    found = json.loads(out, parse_constant=pytest.fail)
    assert [set(row) for row in found] == [
        {
            *("id", "name", "config", "metrics", "status", "reason", "epochs", "seconds"),
            *("agent", "contaminated", "attempt"),
        }
    ] * 3
    assert found[0]["metrics"] == {"val_risk": None, "test_risk": 0.25, "train_risk": None}
    assert (found[2]["config"], found[2]["seconds"]) == ({"lr": 0.1, "width": 64}, 3.0)


def test_runs_as_csv_and_latex(run: Run, url: str) -> None:
    _, out, _ = run("runs", "--store", url, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["config.lr"] for row in rows] == ["10.0", "0.01", "0.1"]
    assert rows[0]["metrics.val_risk"] == "nan"
    _, out, _ = run("runs", "--store", url, "--format", "latex", "--columns", "name,lr,val_risk")
    assert out.splitlines()[0] == r"\begin{tabular}{lrr}"
    assert r"mild-sun-2 & 0.01 & 1.5 \\" in out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--sort", "-val_risk"], [2, 1, 3]),
        (["--sort=val_risk"], [1, 2, 3]),
        (["--sort", "lr", "--limit", "2"], [2, 1]),
        (["--where", "status=finished"], [1]),
        (["--where", "config.lr>=0.1", "--where", "status!=diverged"], [1]),
        (["wages.mlp", "--sort", "-number"], [3, 2, 1]),
        (["--limit", "2"], [3, 2]),
        (["--sort", "number"], [1, 2, 3]),
    ],
)
def test_sort_filter_and_limit(run: Run, url: str, words: list[str], names: list[int]) -> None:
    code, out, _ = run("runs", "--store", url, "--format", "json", *words)
    assert code == 0
    assert [int(row["name"].rpartition("-")[2]) for row in json.loads(out)] == names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sort", "val_rsk"], "no run has a column 'val_rsk'; did you mean 'val_risk'?"),
        (["--where", "learning_rate<1"], "no run has a column 'learning_rate'; did you mean 'lr'?"),
        (["--columns", "name,wdth"], "no run has a column 'wdth'; did you mean 'width'?"),
    ],
)
def test_an_unknown_column(run: Run, url: str, words: list[str], message: str) -> None:
    with pytest.raises(ThetahatError) as caught:
        run("runs", "--store", url, *words)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_an_id_of_nothing(run: Run, url: str) -> None:
    with pytest.raises(ThetahatError) as caught:
        run("runs", "wage.mlp", "--store", url)
    assert str(caught.value) == (
        f"the store {Path(url) / 'store.db'} has no sweep, cohort, experiment, project or run 'wage.mlp';"
        " did you mean 'wages.mlp'?"
    )


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_limit_below_one_is_refused(run: Run, url: str, count: str) -> None:
    with pytest.raises(ThetahatError) as caught:
        run("runs", "--store", url, f"--limit={count}")
    said = f"thetahat runs --limit={count}: give a whole number of at least 1"
    assert str(caught.value) == said


def test_no_store_yet(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    place = tmp_path / ".thetahat" / "store.db"
    note = f"no store here yet ({place}); a run makes one, or give one with --store\n"
    assert run("runs") == (0, "", note)
    assert run("runs", "--format", "json") == (0, "[]\n", note)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ThetahatError) as caught:
        run("runs", "--store", "nowhere")
    assert str(caught.value) == (
        f"there is no store at {tmp_path / 'nowhere' / 'store.db'}; a run makes one, or give it"
        " with store= (--store)"
    )


def test_no_runs_yet(run: Run, tmp_path: Path) -> None:
    open_store(tmp_path).close()
    note = f"no runs to list in {tmp_path / 'store.db'}\n"
    assert run("runs", "--store", str(tmp_path)) == (0, "", note)
    assert run("runs", "--store", str(tmp_path), "--format", "json") == (0, "[]\n", "")


def test_contaminated_runs_are_marked(run: Run, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create_run({"lr": 1.0}, contaminated=True)
        store.create_run({"lr": 2.0})
    _, out, _ = run("runs", "--store", str(tmp_path))
    head, _, *lines = out.splitlines()
    assert "contaminated" in head
    assert [line.split()[-1] == "yes" for line in lines] == [False, True]
    _, out, _ = run("show", "bright", "--store", str(tmp_path))
    assert "! contaminated: tuned on the test set; its test risk estimates nothing\n" in out


def test_hostile_names_cannot_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    with start(
        {"a\x1b[2J": "\x1b]0;x\x07"}, name="\x1b[31mred\n[bold]", store=tmp_path / "runs"
    ) as r:
        r.log({"\x1b[0mloss": 1.0})
        r.log({"\x1b[0mloss": 2.0})
        r.finish("failed", "\x1b[2J")
    for words in (("runs",), ("show", r.id)):
        _, out, _ = run(*words, "--store", str(tmp_path / "runs"))
        assert "\x1b" not in out
        assert "[bold]" in out


def test_show_tells_a_run(run: Run, url: str) -> None:
    code, out, err = run("show", "mild", "--store", url, columns=80)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == [
        "mild-sun-2  stopped  wages.mlp",
        "val_risk has not improved for 50 epochs",
    ]
    assert "config      lr     0.01   width  64" in lines
    assert "metrics     val_risk    1.5    test_risk   0.25   train_risk  1.5" in lines
    assert "best        val_risk 1 at epoch 3" in lines
    assert "train_risk  4  █▅▁▃  1.5" in lines
    assert "epochs      4" in lines
    assert "seconds     3  (compile 1, run 2)" in lines
    assert "parameters  4,481" in lines
    assert "command     python wages.py" in lines
    assert max(map(len, lines)) <= 80


def test_show_a_diverged_run(run: Run, url: str) -> None:
    _, out, _ = run("show", "ample-dune-3", "--store", url, columns=80)
    assert "! not finite: val_risk, train_risk\n" in out
    assert "val_risk    4  █▆▅   not finite\n" not in out
    assert "not finite\n" in out
    assert "nan" not in out


def test_show_as_json_holds_everything(run: Run, url: str) -> None:
    _, out, _ = run("show", "last", "--store", url, "--format", "json")
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["name"] == "ample-dune-3"
    assert found["seconds_by_part"] == {"compile": 1.0, "run": 2.0}
    assert (found["best_val_risk"], found["best_epoch"]) == (1.0, 3)
    assert (found["provenance"]["git"], found["notices"]) == (None, [])
    assert found["provenance"]["versions"]["thetahat"]


def test_show_as_csv_is_fields_and_values(run: Run, url: str) -> None:
    _, out, _ = run("show", "last", "--store", url, "--format", "csv")
    fields = {row["field"]: row["value"] for row in csv.DictReader(io.StringIO(out))}
    assert (fields["config.lr"], fields["status"]) == ("10.0", "diverged")


def test_the_history_of_a_run(run: Run, url: str) -> None:
    _, out, _ = run("show", "last", "--store", url, "--history", "--format", "csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["epoch", "train_risk", "val_risk"]
    assert rows[1:] == [
        ["1", "4.0", "4.0"],
        ["2", "2.0", "2.0"],
        ["3", "1.0", "1.0"],
        ["4", "", ""],
    ]


def test_show_warns_of_a_run_without_heartbeat(run: Run, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.create_run(name="gone")
        store.create_run(name="here")
        with store._engine.begin() as raw:
            raw.exec_driver_sql(
                "UPDATE runs SET heartbeat = '2020-01-01T00:00:00.000+00:00' WHERE name = 'gone'"
            )
    _, out, _ = run("show", "gone", "--store", str(tmp_path))
    assert "! no heartbeat for " in out
    _, out, _ = run("show", "here", "--store", str(tmp_path))
    assert "no heartbeat" not in out


def test_an_interrupted_run_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        made = store.create_run(checkpoint=str(tmp_path / "c.ckpt"))
        store.finish_run(made.id, status="interrupted", reason="Ctrl-C")
    _, out, _ = run("show", "last", "--store", str(tmp_path))
    assert "! go on with: thetahat resume bright-magnolia-1\n" in out
    assert "(no longer there)" in " ".join(out.split())


def program(*words: str, **env: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(thetahat.__file__).parents[1]), **env}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def test_runs_and_show_load_neither_jax_nor_numpy(url: str) -> None:
    for words in (("runs",), ("show", "last")):
        out, err = program(*words, "--store", url).communicate(timeout=240)
        assert out.count("\n") >= 5
        assert err.splitlines()[-1] == ""


def test_a_pipe_that_is_closed_early_is_no_error(url: str) -> None:
    done = program("runs", "--store", url, "--format", "json")
    assert done.stdout is not None
    assert done.stderr is not None
    done.stdout.close()
    err = done.stderr.read()
    done.stderr.close()
    assert (done.wait(), err.strip()) == (0, "")


def test_an_ascii_terminal_gets_ascii(url: str) -> None:
    for words in (("runs",), ("show", "mild")):
        out, _ = program(*words, "--store", url, PYTHONIOENCODING="ascii").communicate(timeout=240)
        assert out.isascii()
        assert "\\u" not in out


def test_doctor_finds_all_well(run: Run, url: str) -> None:
    code, out, err = run("doctor", "--store", url, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["ok"] is True
    checks = {check["check" if "check" in check else "name"]: check for check in found["checks"]}
    assert {*checks} >= {
        *("python", "platform", "threads", "thetahat", "packages", "extra tables", "jax"),
        *("random", "cache", "store", "disk", "git"),
    }
    assert checks["jax"]["state"] == "ok"
    assert "3 runs" in checks["store"]["detail"]
    assert "integrity ok" in checks["store"]["detail"]
    assert "threefry2x32" in checks["random"]["detail"]


def test_doctor_on_a_terminal(run: Run, url: str) -> None:
    _, out, _ = run("doctor", "--store", url, columns=80)
    lines = out.splitlines()
    assert lines[0].startswith("✓ python ")
    assert lines[-1] == "fits have all they need"
    assert max(cell_len(line) for line in lines if "/" not in line) <= 80


def test_doctor_says_what_is_broken_and_how_to_fix_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs.db").write_text("this is no database at all")
    monkeypatch.setattr(_doctor, "CORE", ("numpy", "no-such-package"))
    monkeypatch.setattr(_doctor, "EXTRAS", {"tables": ("no-such-extra",)})
    code, out, _ = run("doctor", "--store", str(tmp_path / "runs.db"), "--format", "json")
    assert code == 1
    found = json.loads(out)
    checks = {check["name"]: check for check in found["checks"]}
    assert found["ok"] is False
    assert checks["packages"]["state"] == "broken"
    assert checks["packages"]["fix"] == "pip install no-such-package"
    assert checks["extra tables"]["state"] == "note"
    assert checks["extra tables"]["fix"] == "pip install 'thetahat[tables]'"
    assert checks["store"]["state"] == "broken"
    assert "file is not a database" in checks["store"]["detail"]
    _, out, _ = run("doctor", "--store", str(tmp_path / "runs.db"))
    assert out.endswith("2 broken; the fix is below each\n")


def test_doctor_on_a_place_where_no_store_can_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, _ = run("doctor", "--store", str(tmp_path / "file" / "runs"), "--format", "json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1
    assert checks["store"]["detail"] == (
        f"none can be made at {tmp_path / 'file' / 'runs' / 'store.db'}: {tmp_path / 'file'} is a"
        " file, not a folder"
    )


def test_doctor_warns_of_a_cache_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jax

    (tmp_path / "file").write_text("")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        monkeypatch.setenv("THETAHAT_CACHE", str(tmp_path / "file" / "cache"))
        check = _doctor.check_cache()
        monkeypatch.setenv("THETAHAT_CACHE", "off")
        off = _doctor.check_cache()
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert (check.state, check.fix) == ("warning", "set THETAHAT_CACHE to a folder of yours")
    assert check.detail == (
        f"{tmp_path / 'file' / 'cache'}: {tmp_path / 'file'} is a file, not a folder; every process"
        " compiles anew"
    )
    assert off.detail == "off (THETAHAT_CACHE=off): every process compiles anew"


def test_the_extras_are_those_of_the_project() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(lines: list[str]) -> set[str]:
        plain = {line.split(">")[0].split("[")[0] for line in lines}
        return plain - {"thetahat"}

    assert {name.lower() for name in names(project["dependencies"])} == {
        name.lower() for name in _doctor.CORE if name != "jaxlib"
    }
    for extra, packages in _doctor.EXTRAS.items():
        assert set(packages) == names(project["optional-dependencies"][extra])
