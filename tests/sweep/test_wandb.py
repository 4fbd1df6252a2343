"""Unmodified wandb programs, offline: the real package writes, our own reader reads."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from thetahat.core.run import Status
from thetahat.store import open_store, pack

# Files of W&B are read record by record, without an agent.
from thetahat.sweep.processes._metrics import About, Metrics
from thetahat.sweep.processes._process import Order, ProgramProcess, environment
from thetahat.sweep.processes._wandb import WandbTail, mode_note, write_parameters
from thetahat.sweep.processes._wandb_file import (
    BLOCK,
    Exit,
    LogTail,
    Named,
    Row,
    WandbConfig,
    WandbSummary,
    read_record,
)
from thetahat.sweep.spec import argv_of

PROGRAMS = Path(__file__).parent / "programs"
BASE = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "THETAHAT_WANDB": "real",
}


def launch(
    folder: Path,
    program: str,
    config: dict[str, Any],
    command: Sequence[str] | None = None,
    cwd: Path = PROGRAMS,
) -> tuple[ProgramProcess, Metrics]:
    run = folder / "run"
    env = environment(
        config,
        base=BASE,
        folder=run,
        run_id="abc12345",
        sweep_id="s1",
        store=folder,
        name="calm-otter-7",
    )
    argv = argv_of(command, str(PROGRAMS / program), config, env=env, folder=run)
    metrics = Metrics(run, cwd, "abc12345")
    process = ProgramProcess(
        Order(argv, env, run, cwd), on_stdout=metrics.take_stdout, on_stderr=metrics.take_stderr
    )
    return process, metrics


# Real programs.


def test_an_unmodified_program(tmp_path: Path) -> None:
    process, metrics = launch(tmp_path, "wandb_train.py", {"lr": 1e-05, "model": {"layers": 2}})
    ended = process.wait()
    assert (ended.status, ended.reason, ended.notes) == (Status.FINISHED, "", ())
    rows = metrics.new()
    losses = [1e-05 / (k + 1) + 2 for k in range(4)]
    assert rows == [
        {"loss": pytest.approx(loss), "val.rmse": pytest.approx(loss / 2), "epoch": k, "step": k}
        for k, loss in enumerate(losses)
    ]
    assert metrics.summary() == {
        "loss": pytest.approx(losses[-1]),
        "val.rmse": pytest.approx(losses[-1] / 2),
        "epoch": 3,
        "best_loss": pytest.approx(losses[-1]),
        "momentum": 0.5,
    }
    assert metrics.notes() == []
    assert metrics.words() == {"words": "yes"}
    config = {"lr": 1e-05, "momentum": 0.5, "model": {"layers": 2}}
    assert metrics.about() == About(config, "calm-otter-7", {"project": "wages"})
    with open_store(tmp_path / "store") as store:
        run = store.create_run()
        with store.batch() as writer:
            writer.log_blocks((run.id, pack(c, "step")) for c in metrics.unstored())
        history = store.history(run.id)
        assert list(history["step"]) == [0, 1, 2, 3]
        assert list(history["loss"]) == pytest.approx(losses)
        assert metrics.unstored() == []


def test_metrics_come_while_the_program_runs(tmp_path: Path) -> None:
    command = ["${interpreter}", "${program}", "600"]
    process, metrics = launch(tmp_path, "wandb_train.py", {"lr": 1.0}, command)
    rows: list[dict[str, float]] = []
    while not rows:
        assert process.poll() is None
        rows += metrics.new()
        time.sleep(0.05)
    assert rows[0]["loss"] == 2.0
    process.stop(Status.STOPPED, "it loses")
    assert process.wait().status == Status.STOPPED
    rows += metrics.new()
    assert [row["step"] for row in rows] == [0]


def test_a_program_that_crashes(tmp_path: Path) -> None:
    process, metrics = launch(tmp_path, "wandb_crash.py", {})
    ended = process.wait()
    assert (ended.status, ended.reason) == (
        Status.FAILED,
        "exit code 1: RuntimeError: the matrix is singular (wandb_crash.py, line 7)",
    )
    assert metrics.new() == [{"loss": 2.0, "step": 0}]


@pytest.mark.slow
def test_lightning_cli(tmp_path: Path) -> None:
    command = ["${env}", "${interpreter}", "${program}", "fit", "${args}"]
    config = {"model.lr": 0.25, "trainer.max_epochs": 3}
    process, metrics = launch(tmp_path, "lightning_train.py", config, command, tmp_path)
    ended = process.wait()
    assert (ended.status, ended.reason) == (Status.FINISHED, "")
    rows = [row for row in metrics.new() if "val_loss" in row]
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    assert metrics.summary()["lr_seen"] == 0.25


# What wandb is told.


def test_parameters_as_wandb_reads_them(tmp_path: Path) -> None:
    config = {
        "lr": 1e-05,
        "big": 1e22,
        "n": 3,
        "on": True,
        "none": None,
        "word": "on",
        "number": "1e-4",
        "odd": 'a "quote": é 😀\n#',
        "list": [1, 0.5, "x", [2e-07]],
        "model": {"layers": 2, "act: x": "relu"},
        "inf": float("-inf"),
        "a.b": 1,
    }
    path = write_parameters(config, tmp_path)
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert read.pop("wandb_version") == 1
    assert read == {name: {"value": value} for name, value in config.items()}
    assert isinstance(read["lr"]["value"], float)
    nan = write_parameters({"x": float("nan")}, tmp_path).read_text()
    assert nan.endswith('"x":\n  value: .nan\n')


@pytest.mark.parametrize(
    ("code", "note"),
    [
        (
            'import wandb\nwandb.init(project="p", mode="disabled")',
            "train.py, line 2 sets wandb's mode to 'disabled': then it writes no metrics to read"
            " back. Leave the mode out (a sweep runs offline), or log with th.log or a JSON line",
        ),
        (
            "import os, wandb\nos.environ['WANDB_MODE'] = 'online'",
            "train.py, line 2 sets wandb's mode to 'online': then it needs an account and the"
            " internet. Leave the mode out; a sweep runs offline, without either",
        ),
        ("import wandb\nwandb.init(mode='offline')", None),
        ("open(x, mode='disabled')", None),
    ],
)
def test_a_program_with_a_mode_of_its_own_is_told(
    tmp_path: Path, code: str, note: str | None
) -> None:
    (tmp_path / "train.py").write_text(code)
    assert mode_note(tmp_path / "train.py") == note
    assert mode_note(tmp_path / "none.py") is None


# A log in pieces: written here, byte by byte, as wandb's writer lays it out.


def log_bytes(records: Sequence[bytes]) -> bytes:
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    for record in records:
        first, rest = True, record
        while first or rest:
            left = BLOCK - len(out) % BLOCK
            if left < 7:
                out += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = (2 if first else 3) if rest else (1 if first else 4)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
    return bytes(out)


SIZES = [0, 1, 10, BLOCK - 7 - 7 - 38 - 5, 3, 3 * BLOCK, 5, 100_000, 7]


def records_of(sizes: Sequence[int]) -> list[bytes]:
    return [bytes([k + 1]) * size for k, size in enumerate(sizes)]


def test_records_of_every_size_in_one_piece(tmp_path: Path) -> None:
    for extra in range(30):
        records = records_of([BLOCK - 40 + extra, *SIZES])
        (tmp_path / "log").write_bytes(log_bytes(records))
        tail = LogTail(tmp_path / "log")
        assert list(tail.new()) == records
        assert list(tail.new()) == []
        assert tail.problem == ""


def test_a_log_that_grows_in_pieces(tmp_path: Path) -> None:
    records = records_of(SIZES)
    whole = log_bytes(records)
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == []
    seen: list[bytes] = []
    with (tmp_path / "log").open("wb", buffering=0) as file:
        for at in range(0, len(whole), 997):
            file.write(whole[at : at + 997])
            seen += tail.new()
    assert seen == records
    assert tail.problem == ""


def test_a_torn_last_record_is_no_error(tmp_path: Path) -> None:
    records = records_of([5, 20])
    whole = log_bytes(records)
    for cut in range(len(whole) - 1, len(whole) - 27, -1):
        (tmp_path / "log").write_bytes(whole[:cut])
        tail = LogTail(tmp_path / "log")
        assert list(tail.new()) == records[:1]
        assert list(tail.new()) == []
        assert tail.problem == ""
        (tmp_path / "log").write_bytes(whole)
        assert list(tail.new()) == records[1:]


def test_damage_costs_one_block_and_is_said_once(tmp_path: Path) -> None:
    records = records_of([100, BLOCK, 50, BLOCK, 60])
    whole = bytearray(log_bytes(records))
    whole[7 + 7 + 50] ^= 0xFF
    (tmp_path / "log").write_bytes(whole)
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == records[2:]
    problem = "log is damaged at byte 7; the records up to the next block are left out"
    assert tail.problem == problem
    assert list(tail.new()) == []
    assert tail.problem == problem
    # A length that reaches beyond its block is damage too, not a record to wait for.
    whole = bytearray(log_bytes(records[:1]))
    whole[7 + 4 : 7 + 6] = b"\xff\xff"
    (tmp_path / "log").write_bytes(whole)
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == []
    assert list(tail.new()) == []
    assert tail.problem == problem


def test_the_last_bytes_may_be_seen_before_they_are_all_there(tmp_path: Path) -> None:
    whole = log_bytes(records_of([5, 20]))
    (tmp_path / "log").write_bytes(whole[:-10] + bytes(10))
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == records_of([5])
    assert tail.problem == ""
    (tmp_path / "log").write_bytes(whole)
    assert list(tail.new()) == records_of([5, 20])[1:]
    assert tail.problem == ""


def test_a_block_of_zeros_is_passed_over(tmp_path: Path) -> None:
    first, second = records_of([30, 40])
    head = log_bytes([first])
    body = log_bytes([first, b"x" * (BLOCK - len(head) - 7), second])[BLOCK:]
    (tmp_path / "log").write_bytes(head + bytes(BLOCK - len(head)))
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == [first]
    (tmp_path / "log").write_bytes(head + bytes(BLOCK - len(head)) + body)
    assert list(tail.new()) == [second]
    assert tail.problem == ""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"SQLite format", "run-x.wandb is not a file of wandb; its records are left out"),
        (
            struct.pack("<4sHB", b":W&B", 0xBEE1, 7) + b"more",
            "run-x.wandb is of version 7, which this thetahat cannot read; its records are left out",
        ),
        (b":W&", ""),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, problem: str) -> None:
    (tmp_path / "run-x.wandb").write_bytes(data)
    tail = LogTail(tmp_path / "run-x.wandb")
    assert list(tail.new()) == []
    assert list(tail.new()) == []
    assert tail.problem == problem


def test_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    tail = LogTail(tmp_path / "log")
    assert list(tail.new()) == []
    assert tail.problem == "log cannot be read (Is a directory)"


# Records, encoded here.


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | bytes | str | float]) -> bytes:
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def history(step: int, **values: Any) -> bytes:
    items = [(1, message((2, name), (16, json.dumps(v)))) for name, v in values.items()]
    return message((1, step + 1), (2, message(*items, (2, message((1, step))))))


def test_rows_of_history() -> None:
    row = Row(3, {"loss": 0.5}, {"on": True, "word": "x", "list": [1, "a"]})
    assert read_record(history(3, loss=0.5, on=True, word="x", none=None, list=[1, "a"])) == row
    nested = message((2, "val"), (2, "rmse"), (16, "0.25"))
    picture = message((1, "pic"), (16, '{"_type": "image-file", "size": 3}'))
    table = message((1, "t"), (16, '{"a": {"b": 1}, "c": "d"}'))
    own = message((2, "_runtime"), (16, "1.5"))
    step = message((2, "_step"), (16, "9"))
    items = [(1, item) for item in (nested, picture, table, own, step)]
    assert read_record(message((2, message(*items)))) == Row(
        9,
        {"val.rmse": 0.25, "t.a.b": 1.0},
        {"t.c": "d"},
        {"pic": {"_type": "image-file", "size": 3}},
    )
    bad = message((2, message((1, message((1, "x"), (16, "{no json"))))))
    assert read_record(bad) == Row(0, {})


def test_numbers_in_protobufs_own_types() -> None:
    items = [
        message((2, "a"), (6, 0.5)),
        message((2, "b"), (5, 7)),
        message((2, "c"), (5, 8)),
        message((2, "d"), (4, 1)),
        message((2, "e"), (7, "text")),
        message((2, "f"), (8, '{"g": 2}')),
    ]
    record = read_record(message((2, message(*((1, item) for item in items)))))
    assert record == Row(0, {"a": 0.5, "b": -4.0, "c": 4.0, "f.g": 2.0}, {"d": True, "e": "text"})


def test_summaries_exits_and_the_rest() -> None:
    update = (1, message((1, "best"), (16, "0.25")))
    remove = (2, message((2, "loss")))
    assert read_record(message((3, message(update, remove)))) == WandbSummary(
        {"best": 0.25}, ("loss",)
    )
    assert read_record(message((18, message((1, 3))))) == Exit(3)
    assert read_record(message((18, b""))) == Exit(0)
    assert read_record(message((1, 5), (7, b"stats"))) is None
    assert read_record(b"") is None


def nested(record: int, path: Sequence[str], value: Any) -> bytes:
    names = [(2, name) for name in path]
    return message((record, message((1, message(*names, (16, json.dumps(value)))))))


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, dict)
        found |= _flat(value, f"{above}{name}.") if inner else {f"{above}{name}": value}
    return found


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("image-file", {"width": 4, "size": 69, "sha256": "ab"}),
        ("table-file", {"ncols": 2, "nrows": 3, "path": "media/t.json"}),
        ("html-file", {"size": 12}),
        ("histogram", {"packedBins": {"min": 1.0, "size": 0.5, "count": 3}, "values": [1, 2]}),
        ("images/separated", {"count": 2, "width": 4, "captions": False}),
    ],
)
def test_the_sizes_of_media_are_no_metrics_however_they_are_written(
    flat: bool, kind: str, sizes: Mapping[str, Any]
) -> None:
    picture = {"_type": kind, **sizes}
    values = {"img": picture, "val": {"pic": picture, "rmse": 0.5, "note": "w"}, "loss": 1}
    items = []
    for name, value in values.items():
        if not isinstance(value, dict):
            items.append(message((2, name), (16, json.dumps(value))))
        elif not flat:
            items.append(message((1, name), (16, json.dumps(value))))
        else:
            for key, inner in value.items():
                deep = inner.items() if isinstance(inner, dict) else [("", inner)]
                for last, leaf in deep:
                    path = [(2, part) for part in (name, key, last) if part]
                    items.append(message(*path, (16, json.dumps(leaf))))
    wanted = ({"val.rmse": 0.5, "loss": 1.0}, {"val.note": "w"})
    media = dict.fromkeys(("img", "val.pic"), _flat(picture))
    assert read_record(message((2, message(*((1, i) for i in items))))) == Row(0, *wanted, media)
    summary = read_record(message((3, message(*((1, i) for i in items)))))
    assert summary == WandbSummary(wanted[0], (), wanted[1], media)


def test_what_a_run_is_called_and_its_config() -> None:
    update = [(1, message((1, "lr"), (16, "0.1"))), (1, message((1, "_wandb"), (16, "{}")))]
    run = [(4, message(*update)), (6, "g"), (7, "train"), (8, "calm"), (9, "a note")]
    record = read_record(message((17, message((1, "id"), (3, "p"), *run, (10, "a"), (10, "b")))))
    labels = {"group": "g", "job_type": "train", "notes": "a note", "tags": ["a", "b"]}
    place = {"id": "id", "project": "p"}
    assert record == Named("calm", labels, WandbConfig(((("lr",), 0.1),)), place)
    assert read_record(nested(5, ["net", "depth"], 3)) == WandbConfig(((("net", "depth"), 3),))
    removed = message((5, message((2, message((1, "lr"))))))
    assert read_record(removed) == WandbConfig((), (("lr",),))


def test_a_config_that_changes(tmp_path: Path) -> None:
    tail = WandbTail(tmp_path, tmp_path, "abc12345")
    first = [nested(5, ["net"], {"depth": 2, "act": "relu"}), nested(5, ["lr"], 0.1)]
    later = [nested(5, ["net", "depth"], 3), nested(5, ["a", "b"], [1, None])]
    drop = message((5, message((2, message((1, "lr"))), (2, message((2, "x"), (2, "y"))))))
    write = write_run(tmp_path, "offline-run-1", first)
    tail.new()
    assert tail.config == {"net": {"depth": 2, "act": "relu"}, "lr": 0.1}
    write([*first, *later, drop])
    tail.new()
    assert tail.config == {"net": {"depth": 3, "act": "relu"}, "a": {"b": [1, None]}}


@pytest.mark.parametrize("data", [b"\x12\x05a", b"\x80", b"\x80" * 11, b"\x13", b"\x10\x01"])
def test_bytes_that_are_no_record(data: bytes) -> None:
    with pytest.raises(ValueError, match="field|integer|number"):
        read_record(data)


# The tail of a folder.


def write_run(
    place: Path, name: str, records: Sequence[bytes], run_id: str = "abc12345"
) -> Callable[[Sequence[bytes]], int]:
    folder = place / "wandb" / f"{name}-{run_id}"
    folder.mkdir(parents=True)
    path = folder / f"run-{run_id}.wandb"
    path.write_bytes(log_bytes(records))
    return lambda more: path.write_bytes(log_bytes(more))


def test_earlier_attempts_and_other_runs_are_not_read(tmp_path: Path) -> None:
    here = tmp_path / "cwd"
    write_run(here, "offline-run-1", [history(0, loss=1.0)])
    tail = WandbTail(tmp_path, here, "abc12345")
    write_run(here, "offline-run-2", [history(0, loss=2.0)])
    write_run(here, "offline-run-3", [history(0, loss=3.0)], "other123")
    assert tail.new() == [{"loss": 2.0, "step": 0}]
    assert tail.new() == []


def test_several_wandb_runs_in_one_program_follow_each_other(tmp_path: Path) -> None:
    tail = WandbTail(tmp_path, tmp_path / "cwd", "abc12345")
    first = [history(0, loss=1.0), history(1, loss=2.0)]
    write_run(tmp_path, "offline-run-1", first)
    assert [row["step"] for row in tail.new()] == [0, 1]
    write_run(tmp_path, "offline-run-2", [history(0, loss=3.0), message((18, message((1, 1))))])
    assert tail.new() == [{"loss": 3.0, "step": 2}]
    assert tail.exit_code == 1


def test_a_folder_that_wandb_names_on_stderr(tmp_path: Path) -> None:
    tail = WandbTail(tmp_path / "run", tmp_path, "abc12345")
    write_run(tmp_path / "logs", "offline-run-1", [history(0, loss=1.0)])
    assert tail.new() == []
    tail.take_stderr("wandb: Run data is saved locally in ./logs/wandb/offline-run-1-abc12345\n")
    assert tail.new() == [{"loss": 1.0, "step": 0}]
    assert tail.new() == []


def test_one_place_under_two_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    tail = WandbTail(tmp_path / "link", tmp_path, "abc12345")
    write_run(tmp_path / "real", "offline-run-1", [history(0, loss=1.0)])
    place = tmp_path / "real" / "wandb" / "offline-run-1-abc12345"
    tail.take_stderr(f"wandb: Run data is saved locally in {place}\n")
    assert tail.new() == [{"loss": 1.0, "step": 0}]
    assert tail.new() == []


def test_notes_are_said_once(tmp_path: Path) -> None:
    tail = WandbTail(tmp_path, tmp_path, "abc12345")
    write_run(
        tmp_path, "run-1", [history(0, loss=1.0), b"\x12\x05a", b"\x80", history(1, loss=2.0)]
    )
    assert [row["loss"] for row in tail.new()] == [1.0, 2.0]
    assert tail.notes() == [
        "the program ran wandb online, by its own mode=; its metrics were read back",
        "run-abc12345.wandb has a record that cannot be read (a field that is longer than its"
        " message); such records are left out",
    ]
    tail.new()
    assert tail.notes() == []


def test_a_removed_summary(tmp_path: Path) -> None:
    tail = WandbTail(tmp_path, tmp_path, "abc12345")
    put = message((3, message((1, message((1, "best"), (16, "1"))))))
    drop = message((3, message((2, message((1, "best"))), (2, message((1, "never"))))))
    write = write_run(tmp_path, "offline-run-1", [put])
    tail.new()
    assert tail.summary == {"best": 1.0}
    write([put, drop])
    tail.new()
    assert tail.summary == {}


# All ways at once.


def test_a_metric_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, tmp_path, "abc12345")
    metrics.take_stdout('{"loss": 1.0, "epoch": 0}')
    assert metrics.new() == [{"loss": 1.0, "epoch": 0.0, "step": 0}]
    write_run(tmp_path, "offline-run-1", [history(0, loss=1.0, val=3.0, epoch=0)])
    metrics.take_stdout('{"val": 9.0, "epoch": 1}')
    metrics.take_stdout('{"loss": 0.5, "val": 9.0, "epoch": 1}')
    assert metrics.new() == [
        {"val": 3.0, "epoch": 0.0, "step": 0},
        {"loss": 0.5, "epoch": 1.0, "step": 1},
    ]
    assert metrics.summary() == {"loss": 0.5, "val": 3.0, "epoch": 1.0}


def test_the_axis_of_printed_rows(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, tmp_path, "abc12345")
    for line in (
        '{"a": 1}',
        '{"a": 2}',
        '{"a": 3, "step": 10, "epoch": 1}',
        '{"a": 4}',
        '{"a": 5, "epoch": 0.5}',
        '{"a": 6, "step": -1, "epoch": 20}',
        '{"a": 7, "step": NaN}',
        '{"b": 8, "step": 21}',
    ):
        metrics.take_stdout(line)
    assert [row["step"] for row in metrics.new()] == [0, 1, 10, 11, 12, 20, 21, 21]
    found = metrics.unstored()
    assert sum(len(columns["step"]) for columns in found) == 7
    assert metrics.unstored() == []
    assert found[-1]["step"][-1] == 21
    assert list(found[-1]) == ["step", "a", "b"]
