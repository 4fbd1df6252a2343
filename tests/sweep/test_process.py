"""One run as a process: programs of every style, and every way in which they end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from thetahat.core.errors import InputError, StoreError
from thetahat.core.run import Status

# A program is run, and its output read, without an agent.
from thetahat.sweep.processes import _process
from thetahat.sweep.processes._capture import BoundedLog, LineReader, Printed, read_row
from thetahat.sweep.processes._metrics import Metrics
from thetahat.sweep.processes._process import (
    THREADS,
    Ending,
    Order,
    ProgramProcess,
    ending,
    environment,
    exit_reason,
    last_words,
)
from thetahat.sweep.spec import argv_of, check_runnable

PROGRAMS = Path(__file__).parent / "programs"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
BASE = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


class Ran:
    """A program that was run to its end, as an agent runs it."""

    def __init__(
        self,
        folder: Path,
        program: str | None,
        config: dict[str, Any] | None = None,
        command: Sequence[str] | None = None,
        **order: Any,
    ) -> None:
        self.folder = folder / "run"
        given = {"folder": self.folder, "run_id": "abc12345", "sweep_id": "s1", "store": folder}
        env = environment(config or {}, base=BASE, **given)
        argv = argv_of(command, program, config or {}, env=env, folder=self.folder)
        check_runnable(argv, program, env=env, cwd=PROGRAMS)
        self.metrics = Metrics(self.folder, PROGRAMS, "abc12345")
        self.rows: list[dict[str, float]] = []
        self.process = ProgramProcess(
            Order(argv, env, self.folder, PROGRAMS, **order),
            on_stdout=self.metrics.take_stdout,
            on_stderr=self.metrics.take_stderr,
        )

    def end(self) -> Ending:
        ended = self.process.wait()
        self.rows += self.metrics.new()
        return ended

    def text(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode("utf-8", "replace")


def misbehaving(folder: Path, *words: str, **order: Any) -> Ran:
    return Ran(folder, None, None, ["${interpreter}", "misbehaves.py", *words], **order)


def until(holds: Callable[[], Any], patience_s: float = 240.0) -> None:
    give_up = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


# Programs of every style, unmodified.


def test_argparse_by_the_default_command(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "argparse_train.py", {"lr": 0.3, "epochs": 3})
    ended = ran.end()
    assert (ended.status, ended.reason, ended.code, ended.notes) == (Status.FINISHED, "", 0, ())
    assert ended.seconds > 0
    assert ran.rows == [
        {"val_loss": 0.3, "epoch": 0.0, "step": 0},
        {"val_loss": 0.15, "epoch": 1.0, "step": 1},
        {"val_loss": 0.3 / 3, "epoch": 2.0, "step": 2},
    ]
    assert ran.metrics.summary() == {"val_loss": 0.3 / 3, "epoch": 2.0}
    assert ran.metrics.new() == []
    assert "verbose=False" in ran.text("stdout.log")
    assert ran.text("stderr.log") == ""


def test_boolean_flags_of_argparse(tmp_path: Path) -> None:
    command = ["${env}", "${interpreter}", "${program}", "${args_no_boolean_flags}"]
    ran = Ran(tmp_path, "argparse_train.py", {"lr": 1.0, "verbose": True}, command)
    assert ran.end().status == Status.FINISHED
    assert "verbose=True" in ran.text("stdout.log")


def test_fire_with_flags_and_values_apart(tmp_path: Path) -> None:
    command = ["${env}", "${interpreter}", "${program}", "${args_no_equals}"]
    ran = Ran(tmp_path, "fire_train.py", {"lr": 0.5, "layers": [1, 2], "name": "n"}, command)
    assert ran.end().status == Status.FINISHED
    assert ran.metrics.summary() == {"loss": 1.5, "n": 2.0}


def test_hydra_with_overrides(tmp_path: Path) -> None:
    command = ["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"]
    command.append(f"hydra.run.dir={tmp_path / 'hydra'}")
    ran = Ran(tmp_path, "hydra_train.py", {"optimizer.lr": 0.5, "epochs": 2}, command)
    assert ran.end().status == Status.FINISHED
    assert ran.rows == [{"loss": 0.25, "epoch": 2.0, "step": 2}]
    forced = [*command[:3], "${args_override_hydra}", command[4]]
    ran = Ran(tmp_path, "hydra_train.py", {"optimizer.lr": 0.5, "epochs": 5}, forced)
    assert ran.end().status == Status.FINISHED
    assert ran.metrics.summary()["loss"] == 0.1
    ran = Ran(tmp_path, "hydra_train.py", {"fail": True}, command)
    ended = ran.end()
    assert (ended.status, ended.reason) == (
        Status.FAILED,
        "exit code 1: ValueError: no data for 1997 (hydra_train.py, line 34)",
    )
    ran = Ran(tmp_path, "hydra_train.py", {"optimizer.rate": 0.5}, command)
    assert ran.end().reason == (
        "exit code 1: Could not override 'optimizer.rate'; To append to your config use"
        " +optimizer.rate=0.5; Key 'rate' not in 'Optimizer'"
    )


def test_click_with_a_flag_and_the_config_as_json(tmp_path: Path) -> None:
    command = ["${interpreter}", "${program}", "${args_no_boolean_flags}", "--config"]
    config = {"lr": 0.125, "nesterov": True}
    ran = Ran(tmp_path, "click_train.py", config, [*command, "${args_json}"])
    assert ran.end().status == Status.FINISHED
    assert ran.metrics.summary() == {"loss": 0.125, "nesterov": 1.0, "from_json": 0.125}


@POSIX
def test_a_shell_script_that_is_the_command(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "./shell_train.sh", {"lr": 0.1}, ["${program}", "${args}"])
    assert ran.end().status == Status.FINISHED
    assert [row["loss"] for row in ran.rows] == [0.9, 0.8, 0.7]
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    assert ran.text("stderr.log") == f"threads: {threads}\n"


def test_rows_come_while_the_program_runs(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "reports")
    rows: list[dict[str, float]] = []
    until(lambda: rows.extend(ran.metrics.new()) or rows)
    assert rows == [{"loss": 1.5, "epoch": 7.0, "step": 7}]
    assert ran.process.poll() is None
    ran.process.stop(Status.STOPPED, "a loser of Hyperband")
    ended = ran.end()
    assert (ended.status, ended.reason) == (Status.STOPPED, "a loser of Hyperband")
    assert ended.code == -signal.SIGTERM


# Every way of ending.


@POSIX
def test_a_crash(tmp_path: Path) -> None:
    ended = misbehaving(tmp_path, "segfault").end()
    assert (ended.status, ended.reason, ended.code) == (Status.FAILED, "killed by SIGSEGV", -11)


def test_an_exit_code_with_the_last_line_of_stderr(tmp_path: Path) -> None:
    ended = misbehaving(tmp_path, "exit3").end()
    assert (ended.status, ended.reason) == (Status.FAILED, "exit code 3: No data for 1997")
    ended = misbehaving(tmp_path, "raises").end()
    why = "exit code 1: ValueError: bad lr (misbehaves.py, line 18)"
    assert (ended.status, ended.reason) == (Status.FAILED, why)


def test_a_program_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    ended = misbehaving(tmp_path, "hangs", timeout_s=0.5).end()
    assert (ended.status, ended.reason) == (Status.FAILED, "timed out after 0.5 s")
    assert 0.5 <= ended.seconds < 600


@POSIX
def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "stubborn", grace_s=0.3)
    until(lambda: ran.text("stdout.log") == "ready\n")
    ran.process.stop(Status.STOPPED, "enough")
    ran.process.stop(Status.FAILED, "what was asked first holds")
    ended = ran.end()
    assert (ended.status, ended.reason, ended.code) == (Status.STOPPED, "enough", -signal.SIGKILL)


@POSIX
def test_a_program_that_ends_when_asked(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "polite")
    until(lambda: ran.text("stdout.log") == "ready\n")
    ran.process.stop(Status.INTERRUPTED, "Ctrl-C")
    ended = ran.end()
    assert (ended.status, ended.reason, ended.code) == (Status.INTERRUPTED, "Ctrl-C", 0)
    ran.process.stop(Status.FAILED, "too late")
    assert ran.process.poll() is ended


@POSIX
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_children_end_with_their_program(tmp_path: Path, how: str) -> None:
    pid_file = tmp_path / "pid"
    ran = misbehaving(tmp_path, "forks", str(pid_file))
    until(lambda: ran.text("stdout.log") == "ready\n")
    child = int(pid_file.read_text())
    assert lives(child)
    if how == "kill":
        ran.process.kill(reason="Ctrl-C, twice")
    else:
        ran.process.stop(Status.INTERRUPTED, "Ctrl-C, twice")
    ended = ran.end()
    assert (ended.status, ended.reason) == (Status.INTERRUPTED, "Ctrl-C, twice")
    until(lambda: not lives(child))


@POSIX
def test_what_a_program_leaves_behind_is_ended_and_said(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    ended = misbehaving(tmp_path, "leaves", str(pid_file)).end()
    assert (ended.status, ended.reason) == (Status.FINISHED, "")
    assert ended.notes == (
        "the program ended, but a process that it had started still ran 2 s later, and was ended",
    )
    assert ended.seconds < 600
    until(lambda: not lives(int(pid_file.read_text())))


def test_no_keyboard(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "reads")
    assert ran.end().status == Status.FINISHED
    assert ran.text("stdout.log") == "''\n"


def test_several_at_once_and_nothing_waits(tmp_path: Path) -> None:
    all_ = [misbehaving(tmp_path / str(k), "hangs") for k in range(3)]
    until(lambda: all(ran.text("stdout.log") == "ready\n" for ran in all_))
    assert [ran.process.poll() for ran in all_] == [None, None, None]
    assert len({ran.process.pid for ran in all_}) == 3
    for ran in all_:
        ran.process.kill()
    assert {ran.end().status for ran in all_} == {Status.INTERRUPTED}


# Output.


def test_megabytes_are_kept_from_both_ends(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "megabytes", keep=200_000)
    assert ran.end().status == Status.FINISHED
    text = ran.text("stdout.log")
    assert text.startswith("first line\n000000 xxx")
    assert text.endswith('y{"loss": 9.0}\nlast line\n')
    whole = 11 + 3000 * 1001 + 14 + 2_000_000 + 14 + 10
    assert f"\n... {whole - 200_000} bytes left out ...\n" in text
    assert len(text) == 200_000 + len(f"\n... {whole - 200_000} bytes left out ...\n")
    assert sorted(p.name for p in ran.folder.glob("stdout*")) == ["stdout.log"]
    # Found although it lay in the part that was left out; the line that was too long was not.
    assert ran.rows == [{"loss": 0.5, "step": 0}]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "bytes")
    ended = ran.end()
    assert (ended.status, ended.reason) == (Status.FAILED, "exit code 1: caf\ufffd \ufffd")
    assert [row["loss"] for row in ran.rows] == [0.5, 0.25]
    assert (ran.folder / "stdout.log").read_bytes().startswith(b"\xff\xfe\n")


def test_kept_files_at_every_size(tmp_path: Path) -> None:
    whole = bytes(range(256)) * 4
    for size in (0, 1, 99, 100, 101, 150, 151, 200, 201, 333, 1024):
        for piece in (1, 7, 64, 1024):
            kept = BoundedLog(tmp_path / "log", limit=100)
            for at in range(0, size, piece):
                kept.write(whole[at : min(size, at + piece)])
            kept.close()
            seen = (tmp_path / "log").read_bytes()
            gone = max(0, size - 100)
            assert kept.left_out == gone
            said = f"\n... {gone} bytes left out ...\n".encode() if gone else b""
            tail = whole[max(50, size - 50) : size] if size > 50 else b""
            assert seen == whole[: min(50, size)] + said + tail, (size, piece)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_does_not_stop_the_program(tmp_path: Path) -> None:
    ran = misbehaving(tmp_path, "bytes")
    ran.end()
    env = environment({}, folder=ran.folder, run_id="r", sweep_id="s", store=tmp_path, base=BASE)
    order = Order([sys.executable, "misbehaves.py", "megabytes"], env, ran.folder, PROGRAMS)
    (ran.folder / "stdout.log").unlink()
    (ran.folder / "stdout.log").symlink_to("/dev/full")
    ended = ProgramProcess(order).wait()
    assert (ended.status, ended.code) == (Status.FINISHED, 0)
    assert ended.notes == ("stdout.log could not be written whole: No space left on device",)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('{"val_loss": 0.1, "epoch": 3}', {"val_loss": 0.1, "epoch": 3.0}),
        (' {"a": 1}\r\n', {"a": 1.0}),
        ('10%\r20%\r{"a": 1}', {"a": 1.0}),
        ('\x1b[32m{"a": 1}\x1b[0m', {"a": 1.0}),
        ('{"a": true, "b": "0.5", "c": null, "d": [1], "e": {"f": 2}, "g": -2}', {"g": -2.0}),
        ('{"epoch": 3}', None),
        ('{"a": true}', None),
        ("{'a': 1}", None),
        ("[1, 2]", None),
        ("0.5", None),
        ('loss {"a": 1}', None),
        ('{"a": 1', None),
        ("{}", None),
        ('{"a": ' + "9" * 5000 + "}", None),
        ('{"a": 1' + "0" * 400 + "}", None),
        ('{"a":' * 5000 + "1" + "}" * 5000, None),
    ],
)
def test_lines_of_json(line: str, row: dict[str, float] | None) -> None:
    found = read_row(line)
    assert (None if found is None else found.values) == row


def test_words_beside_the_numbers_of_a_line_are_kept() -> None:
    found = read_row('{"g": -2, "a": true, "b": "0.5", "c": null, "d": [1], "e": {"f": 2}}')
    assert found == Printed({"g": -2.0}, {"a": True, "b": "0.5", "d": [1], "e": {"f": 2}})


def test_numbers_that_are_not_finite() -> None:
    found = read_row('{"a": NaN, "b": Infinity}')
    assert found is not None
    row = found.values
    assert row["a"] != row["a"]
    assert row["b"] == float("inf")


def read_in_pieces(text: bytes, piece: int) -> tuple[list[str], list[int]]:
    """The lines, and the sizes of those of JSON that were too long."""
    lines: list[str] = []
    dropped: list[int] = []
    reader = LineReader(lines.append, dropped.append)
    for at in range(0, len(text), piece):
        reader.feed(text[at : at + piece])
    reader.end()
    return lines, dropped


@pytest.mark.parametrize("piece", [1, 3, 1000, 2**21])
def test_lines_in_any_pieces(piece: int) -> None:
    text = 'α\n{"a": 1}\n\n'.encode() + b"z" * (2**20 + 1) + b"\nshort\n" + b"end"
    lines, dropped = read_in_pieces(text, piece)
    assert lines == ["α", '{"a": 1}', "short", "end"]
    assert dropped == []


@pytest.mark.parametrize("piece", [1000, 65536, 2**22])
def test_lines_of_json_that_are_too_long_are_counted(piece: int) -> None:
    fits = b'{"a": "' + b"z" * (2**20 - 9) + b'"}'
    assert len(fits) == 2**20
    long = b' {"a": "' + b"z" * 2**20 + b'"}\r'
    text = b"\n".join([fits, long, b"[" + b"1," * 2**20 + b"1]", b'{"b": 2}', long[:-3], long])
    lines, dropped = read_in_pieces(text, piece)
    assert lines == [fits.decode(), '{"b": 2}']
    assert dropped == [len(long), len(long)]


# Reasons.


@pytest.mark.parametrize(
    ("code", "stderr", "reason"),
    [
        (3, "ValueError: x\n\n", "exit code 3: ValueError: x"),
        (1, "", "exit code 1"),
        (139, "", "exit code 139 (SIGSEGV)"),
        (137, "Killed\n", "exit code 137 (SIGKILL): Killed"),
        (255, "", "exit code 255"),
        (0xC0000005, "", "exit code 3221225477 (access violation)"),
        (-9, "", "killed by SIGKILL (by the system, if memory ran out)"),
        (-6, "what():  std::bad_alloc", "killed by SIGABRT: what():  std::bad_alloc"),
        (-99, "", "killed by signal 99"),
        (1, "x" * 400, "exit code 1: " + "x" * 296 + " ..."),
    ],
)
def test_reasons(code: int, stderr: str, reason: str) -> None:
    assert exit_reason(code, stderr) == reason


def test_the_words_that_say_most() -> None:
    trace = "Traceback (most recent call last):\n  File x\n"
    assert last_words(f"{trace}KeyError: 1\n\nDuring ...\n\n{trace}    f()\nOSError: disk\n") == (
        "OSError: disk"
    )
    assert last_words(f"{trace}KeyError: 1\nwandb: Find logs at: x\n") == "KeyError: 1"
    assert last_words("real line\nwandb: \nwandb: Find logs at: x\n") == "real line"
    assert last_words(f"[rank0]: {trace}[rank0]:   f()\n[rank0]: ValueError: y") == (
        "ValueError: y"
    )
    assert last_words("Fatal Python error: Segmentation fault\n\nThread 0x1\n  f\n") == (
        "Fatal Python error: Segmentation fault"
    )
    assert last_words("50%\r100%\rdone") == "done"
    assert last_words(f"{trace}RuntimeError: Error in call to 'Net':\n    TypeError('w')\nx") == (
        "RuntimeError: Error in call to 'Net': TypeError('w')"
    )


HYDRA = "\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "Could not override 'lrr'.\nTo append to your config use +lrr=1\nKey 'lrr' is not in"
            " struct\n    full_key: lrr\n    object_type=dict\n",
            "Could not override 'lrr'; To append to your config use +lrr=1; Key 'lrr' is not in"
            " struct",
        ),
        (
            "x.py:9: UserWarning: \nThe version_base parameter is not specified.\n"
            "  @hydra.main(config_name='c')\nIn 'c': Could not find 'db/none'\n\n"
            "Available options in 'db':\n\tmysql\nConfig search path:\n\tprovider=main, path=x\n",
            "In 'c': Could not find 'db/none'",
        ),
        (
            "Error merging override lr=a\nValue 'a' of type 'str' could not be converted to Float\n"
            "    full_key: lr\n    object_type=Config\n",
            "Error merging override lr=a; Value 'a' of type 'str' could not be converted to Float",
        ),
        (
            "mismatched input '=' expecting <EOF>\nSee https://hydra.cc/docs/1.2/x for details\n",
            "mismatched input '=' expecting <EOF>",
        ),
        ("", ""),
    ],
)
def test_the_words_of_hydra_are_its_message_not_the_details_below(stderr: str, words: str) -> None:
    assert last_words(f"{stderr}{HYDRA}") == words
    assert last_words("") == ""


def test_the_reason_of_a_log_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100_000 + b"\n\x1b[1mbad\x1b[0m thing\n")
    assert ending(2, tmp_path / "log") == "exit code 2: bad thing"
    assert ending(-11, tmp_path / "none") == "killed by SIGSEGV"


# What is wrong before anything ran, and the environment.


def start(folder: Path, argv: list[str], cwd: Path = PROGRAMS) -> str:
    with pytest.raises(InputError) as caught:
        ProgramProcess(Order(argv, dict(os.environ), folder, cwd))
    assert caught.value.exit_code == 2
    return str(caught.value)


@POSIX
def test_what_cannot_be_started(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x00\x01\x02")
    odd.chmod(0o755)
    assert start(tmp_path, [str(odd)]) == (
        f"command: {str(odd)!r} is not a program that this system can run (Exec format error); begin"
        " it with a line such as '#!/usr/bin/env bash', or put ${interpreter} before it"
    )
    assert start(tmp_path, ["no-such"]) == (
        "command: 'no-such' cannot be started (No such file or directory)"
    )
    assert start(tmp_path, ["sh"], tmp_path / "gone") == (
        f"command: the folder {tmp_path / 'gone'}, where it is to run, does not exist"
    )
    assert start(tmp_path, ["sh", "x" * 5_000_000]) == (
        "command: its words are too long for this system (Argument list too long); use"
        " ${args_json_file}"
    )
    assert start(tmp_path, ["sh", "a\0b"]) == (
        "command: 'sh' cannot be started (embedded null byte)"
    )
    (tmp_path / "file").write_text("")
    assert start(tmp_path / "file", ["sh"]) == (
        f"the run's folder {tmp_path / 'file'} cannot be written (File exists); give another store"
        " with store= (--store)"
    )


def test_the_environment(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    given: dict[str, Any] = {"folder": folder, "run_id": "r1", "sweep_id": "s1", "store": tmp_path}
    env = environment({"lr": 0.1}, base={}, **given)
    assert {name: env[name] for name in THREADS} == dict.fromkeys(THREADS, "1")
    assert env["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    assert env["WANDB_MODE"] == "offline"
    assert env["WANDB_DIR"] == str(folder)
    assert (env["WANDB_RUN_ID"], env["WANDB_SWEEP_ID"]) == ("r1", "s1")
    assert Path(env["WANDB_SWEEP_PARAM_PATH"]).is_file()
    assert (env["THETAHAT_RUN_ID"], env["THETAHAT_STORE"]) == ("r1", str(tmp_path))
    assert env["PYTHONUNBUFFERED"] == "1"
    own = {"OMP_NUM_THREADS": "8", "XLA_FLAGS": "", "WANDB_MODE": "online", "WANDB_SERVICE": "x"}
    env = environment({}, base=own, threads=4, **given)
    assert (env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"], env["XLA_FLAGS"]) == ("8", "4", "")
    assert env["WANDB_MODE"] == "offline"
    assert "WANDB_SERVICE" not in env
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        environment({}, **{**given, "folder": tmp_path / "file"})
    assert str(caught.value) == (
        f"the run's folder {tmp_path / 'file'} cannot be written (File exists); give another store"
        " with store= (--store)"
    )


@POSIX
def test_a_folder_that_goes_away_while_its_program_begins_leaves_none_running(
    tmp_path, monkeypatch
) -> None:
    begun = []

    def start(order: Order):
        begun.append(before(order))
        shutil.rmtree(order.folder)
        return begun[0]

    before = _process._start
    monkeypatch.setattr(_process, "_start", start)
    folder = tmp_path / "run"
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(StoreError, match=f"the run's folder {folder} cannot be written"):
        ProgramProcess(Order(words, dict(BASE), folder, PROGRAMS))
    assert begun[0].poll() == -signal.SIGKILL
