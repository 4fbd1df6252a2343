"""Three hundred malformed inputs: each is refused with one message, and nothing hangs.

They are drawn from one seed: sweep files, tables, command lines, stores, checkpoints, and requests
to the page. All run in this process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from programs import LINE, load

import thetahat as th
from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, open_store
from thetahat.web import Source

# The application answers without a server and its port.
from thetahat.web._app import make_app

DRAW = random.Random(20261129)
LONG = "n" * 300
DIGITS = "9" * 5000
MOST_S = 100.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a program, a store of a run, a sweep, and an interrupted run's checkpoint."""
    here, before = tmp_path_factory.mktemp("place"), Path.cwd()
    os.chdir(here)
    line = load(here, LINE)
    try:
        th.main(line, ["--epochs=4", "--quiet", "--name=cut"])
        with open_store() as store:
            sweep = create_sweep(
                store, NewSweep("method: grid\nparameters: {a: {values: [1]}}", "s")
            )
            made = store.create_run({"a": 1}, name="done", sweep_id=sweep.id)
            store.finish_run(made.id, status=Status.FINISHED, metrics={"m": 1.0})
            cut = store.run("cut")
            store.finish_run(cut.id, status="interrupted", reason="for this test")
            (here / "checkpoint").write_text(str(cut.checkpoint), encoding="utf-8")
        yield here
    finally:
        os.chdir(before)
        sys.modules.pop("line_script", None)


@pytest.fixture
def refused(place: Path, thetahat, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command that must be refused with one message; the message."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("THETAHAT_STORE", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: str) -> str:
        began = time.monotonic()
        code, out, err = thetahat(*words)
        took = time.monotonic() - began
        assert code in (1, 2), (code, out, err)
        assert took < MOST_S
        said = out + err
        assert said.strip()
        assert "Traceback" not in said, said
        assert max(map(len, said.splitlines())) < 8000
        return said

    return call


def one_message(said: str) -> None:
    """Exactly one line says what is wrong; notes may stand beside it."""
    lines = [line for line in said.splitlines() if not line.startswith("note:")]
    assert sum(line.startswith("thetahat: ") for line in lines) == 1, said
    assert len(lines) == 1, said


# -- sweep files ----------------------------------------------------------------------------------

SOUND = {
    "program": "line.py",
    "method": "random",
    "metric": {"name": "val_risk", "goal": "minimize"},
    "parameters": {"lr": {"min": 0.01, "max": 0.1}, "epochs": {"values": [2, 3]}},
}
WRONG: dict[str, list[Any]] = {
    "program": ["none.py", ".", "a\x00b.py", LONG + ".py", 3, [], {"a": 1}, "", "/dev/null", "a/b/c"],
    "method": ["gird", "", 3, [], {}, None, True, "random ", LONG],
    "metric": [3, "val_risk", [], {"goal": "minimize"}, {"name": 3}, {"name": ""}, {"name": None},
               {"name": "val_risk", "goal": "max"}, {"name": "val_risk", "target": "x"},
               {"name": "val_risk", "goal": []}, {"name": "val_risk", "target": [1]}],
    "parameters": [3, "lr", [], {}, None, {"lr": 3}, {"lr": []}, {"lr": {}}, {"lr": None},
                   {3: {"values": [1]}}, {"": {"values": [1]}}, {"l r": {"values": [1]}}],
    "parameters.lr": [
        {"min": 2, "max": 1}, {"min": 1}, {"max": 1}, {"min": "a", "max": 1}, {"values": []},
        {"values": 3}, {"value": [1], "values": [1]}, {"min": 1, "max": float("inf")},
        {"min": float("nan"), "max": 1}, {"distribution": "unifrom", "min": 0, "max": 1},
        {"distribution": "log_uniform_values", "min": 0, "max": 1}, {"distribution": "normal", "q": "a"},
        {"distribution": "normal", "mu": 0, "sigma": -1}, {"mn": 1, "max": 2},
        {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, {"distribution": 3},
        {"values": [1, 2], "probabilities": [0.5]}, {"values": [1], "probabilities": ["a"]},
        {"values": [1, 2], "probabilities": [-1, 2]}, {"values": ["a text"]},
        {"parameters": 3}, {"parameters": {}}, {"distribution": "beta", "a": 0, "b": 1},
    ],
    "parameters.none": [{"values": [1]}, {"min": 0, "max": 1}],
    "early_terminate": [3, [], "hyperband", {}, {"type": "median"}, {"type": "hyperband"},
                        {"type": "hyperband", "min_iter": -1}, {"type": "hyperband", "min_iter": "a"},
                        {"type": "hyperband", "max_iter": 10}, {"type": "hyperband", "min_iter": 3, "eta": 1}],
    "run_cap": [0, -1, "a", 1.5, [], {}],
    "command": [[], "", 3, {}, [3], [[]], [None], ["${nothing}"], [""]],
    "paramters": [{}],
}  # fmt: skip


def sweep_files() -> Iterator[tuple[str, bytes]]:
    """Files with one fault in one place, and files that are no YAML."""
    found = []
    for path, values in WRONG.items():
        for value in values:
            file = json.loads(json.dumps(SOUND))
            at, *rest = path.split(".")
            (file[at] if rest else file)[rest[0] if rest else at] = value
            found.append((f"{path}={value!r}"[:40], json.dumps(file).encode()))
    text = "program: line.py\nmethod: grid\nparameters:\n  lr:\n    values: [0.1, 0.2]\n"
    for _ in range(12):  # cut inside a bracket, a key or an indentation
        cut = DRAW.randrange(text.index("[") + 1, text.index("]"))
        odd = DRAW.choice(["\t", "\x00", "{", "[", "*a", "&", "!!python/object:os.x ", "%", "@"])
        found.append(
            (f"odd {odd!r} at {cut}", (text[:cut] + odd).encode("utf-8", "surrogateescape"))
        )
    found += [
        ("empty", b""), ("comment", b"# nothing\n"), ("list", b"- a\n- b\n"), ("word", b"hello\n"),
        ("binary", bytes(DRAW.randrange(256) for _ in range(400))), ("utf-16", text.encode("utf-16")),
        ("latin", b"program: \xe9.py\nmethod: grid\n"), ("deep", b"a: " + b"[" * 5000),
        ("deep maps", b"{a: " * 3000), ("twice", text.encode() + b"method: random\n"),
        ("long number", f"{text}run_cap: {DIGITS}\n".encode()),
        ("hex", f"{text}run_cap: 0x{'f' * 5000}\n".encode()), ("nul", text.encode() + b"\x00"),
        ("aliases", b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((c + 1,) * 2 + (c,) * 9)
            for c in range(ord("a"), ord("j")))),
        ("tab", b"program: line.py\n\tmethod: grid\n"), ("two documents", text.encode() + b"---\na: 1\n"),
        ("own alias", b"method: &m [*m]\nparameters: *m\n"), ("undefined", b"method: *none\n"),
    ]  # fmt: skip
    yield from found


@pytest.mark.parametrize("file", [pytest.param(data, id=name) for name, data in sweep_files()])
def test_a_malformed_sweep_file_is_refused(place: Path, refused, file: bytes) -> None:
    (place / "bad.yaml").write_bytes(file)
    said = refused("check", "bad.yaml")
    *mistakes, verdict = [line for line in said.splitlines() if ": note: " not in line]
    assert mistakes, said
    assert all(line.startswith("bad.yaml:") for line in mistakes), said
    assert verdict.endswith("nothing has run"), said
    refused(DRAW.choice(["sweep", "agent"]), "bad.yaml")


# -- tables ---------------------------------------------------------------------------------------

HEAD = b"x,y\n"
ROWS = b"".join(b"%d,%d\n" % (k, k * k % 7) for k in range(40))
TABLES: dict[str, tuple[str, bytes | None]] = {
    "empty": ("csv", b""), "no rows": ("csv", HEAD), "one row": ("csv", HEAD + b"1,2\n"),
    "two rows": ("csv", HEAD + b"1,2\n2,3\n"), "no target": ("csv", b"x,z\n" + ROWS),
    "twice": ("csv", b"y,y\n" + ROWS), "ragged": ("csv", HEAD + ROWS + b"1,2,3\n"),
    "short row": ("csv", HEAD + ROWS + b"1\n"), "text": ("csv", HEAD + ROWS + b"a,2\n"),
    "text target": ("csv", HEAD + ROWS + b"1,b\n"), "nan target": ("csv", HEAD + ROWS + b"1,nan\n"),
    "missing": ("csv", HEAD + ROWS + b",2\n"), "infinite": ("csv", HEAD + ROWS + b"1,inf\n"),
    "infinite x": ("csv", HEAD + ROWS + b"-inf,1\n"), "beyond": ("csv", HEAD + ROWS + b"1e400,1\n"),
    "constant target": ("csv", HEAD + b"1,2\n2,2\n" * 20), "nul": ("csv", HEAD + b"1,\x002\n" * 20),
    "quote": ("csv", HEAD + ROWS + b'"1,2\n'), "utf-16": ("csv", (HEAD + ROWS).decode().encode("utf-16")),
    "binary": ("csv", bytes(DRAW.randrange(256) for _ in range(3000))), "only target": ("csv", b"y\n1\n2\n3\n" * 9),
    "no parquet": ("parquet", b"PAR1 not at all PAR1"), "empty parquet": ("parquet", b""),
    "cut parquet": ("parquet", b"PAR1" + bytes(200)), "suffix": ("docx", HEAD + ROWS),
    "no suffix": ("", HEAD + ROWS), "folder": ("csv", None), "headless": ("csv", ROWS),
    "only commas": ("csv", b",,,\n" * 30), "no line end": ("csv", b"x,y" + b"1" * 70000),
    "long ids": ("csv", HEAD + b"".join(b"%d,%d\n" % (10**17 + k, k % 5) for k in range(40))),
    "tiny": ("csv", HEAD + b"".join(b"%d,%de-300\n" % (k, k % 7) for k in range(40))),
    "one class": ("csv", HEAD + b"".join(b"%d,yes\n" % k for k in range(40))),
    "class gap": ("csv", HEAD + b"1,\n" + b"".join(b"%d,%s\n" % (k, b"no" if k % 3 else b"yes") for k in range(40))),
    "constant x": ("csv", HEAD + b"".join(b"3,%d\n" % (k % 7) for k in range(40))),
    "true and text": ("csv", HEAD + b"".join(b"%s,%d\n" % (b"true" if k % 2 else b"no", k) for k in range(40))),
    "dates": ("csv", b"x,y\n" + b"2020-01-01,1\n2021-01-01,2\n" * 20), "semicolons": ("csv", b"x;y\n" + b"1;2\n" * 30),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_malformed_table_is_refused(place: Path, refused, name: str) -> None:
    suffix, data = TABLES[name]
    file = place / f"{name.replace(' ', '-')}.{suffix}".rstrip(".")
    file.mkdir() if data is None else file.write_bytes(data)
    one_message(refused("fit", file.name, "--target=y", "--epochs=1", "--no-store"))


# -- command lines --------------------------------------------------------------------------------

ODD = [
    "",
    "x",
    "-1",
    "0.5.5",
    "nan",
    "1e999",
    "９x",
    DIGITS,
    "--",
    "\x00",
    "\ud800",
    "1,2",
    "[]",
    "'",
]
NUMBERS = [
    ("fit", "bare.csv", "--target=y", flag)
    for flag in ("--width", "--depth", "--epochs", "--batch-size", "--patience", "--train", "--val")
] + [
    ("fit", "bare.csv", "--target=y", flag) for flag in ("--seed", "--split-seed", "--seeds", "--tau")
] + [
    ("sweep", "good.yaml", flag)
    for flag in ("--count", "--replicates", "--seed", "--retries", "--timeout", "--cohort", "--workers")
] + [
    ("check", "good.yaml", "--list"), ("check", "good.yaml", "--seed"), ("runs", "--limit"),
    ("report", "s", "--top"), ("report", "s", "--min-cell"), ("ui", "--port"), ("agent", "s", "--count"),
]  # fmt: skip
LINES = [
    (*words, f"{flag}={DRAW.choice([o for o in ODD if o != '1e999'])}") for *words, flag in NUMBERS for _ in (1, 2)
] + [
    ("frobnicate",), ("fit",), ("fit", "none.csv", "--target=y"), ("fit", "bare.csv"), ("check",),
    ("check", "none.yaml"), ("check", "."), ("check", LONG), ("sweep", LONG), ("agent", LONG),
    ("agent", "no-sweep"), ("runs", "no-sweep"), ("runs", LONG), ("runs", "--where", "lr>>1"),
    ("runs", "--where", "lr>1 and a=2"), ("runs", "--where", ""), ("runs", "--sort", "nothing"),
    ("runs", "--columns", "nothing"), ("runs", "--group-by", "nothing"), ("runs", "--format", "xml"),
    ("runs", "--quantiles", "2"), ("runs", "--group-by", "a", "--over", "b"), ("show",), ("show", LONG),
    ("show", "\x00"), ("show", "none", "--history"), ("report",), ("report", "none"), ("resume", "none"),
    ("report", "s", "-o", "."), ("report", "s", "-o", f"{LONG}.html"), ("report", "s", "-o", "none/x.html"),
    ("report", "s", "-o", "x.docx"), ("report", "s", "--metric", "nothing-like-it", "-o", "line.py"),
    ("resume", "done"), ("resume", "cut", "--source", "none.py"), ("resume", "cut", "--source", "."),
    ("sweep", "good.yaml", "--enqueue", "none.csv"), ("sweep", "good.yaml", "--sampler", "x"),
    ("sweep", "good.yaml", "--devices", "a"), ("sweep", "s", "--extend", "none.yaml"), ("sweep", "s", "--count=3"),
    ("sweep", "none", "--pause"), ("sweep", "good.yaml", "--pause"), ("doctor", "--what"), ("runs", "--", "--x"),
    ("fit", "bare.csv", "--target=none"), ("fit", "bare.csv", "--target=y", "--features=none"),
    ("fit", "bare.csv", "--target=y", "--loss=none"), ("fit", "bare.csv", "--target=y", "--predict=x.docx"),
    ("fit", "bare.csv", "--target=y", "--predict=none/x.csv"), ("fit", "bare.csv", "--target=y", f"--predict={LONG}.csv"),
    ("fit", "bare.csv", "--target=y", "--predict=bare.csv"), ("fit", LONG, "--target=y"),
    ("fit", f"{LONG}.csv", "--target=y"), ("fit", "bare.csv", "--target=y", "--optimizer=none"),
    ("fit", "pipe.csv", "--target=y"), ("sweep", "good.yaml", "--enqueue", "pipe.csv"), ("check", "pipe.csv"),
    ("check", "/dev/zero"), ("sweep", "/dev/zero"), ("fit", "bare.csv", "--target=y", "--depth=100000"),
    ("ui", "--host", "no.such.host.invalid", "--no-browser"), ("ui", "--host", "", "--no-browser"), ("ui", "--store", "bare.csv", "--no-browser"),
    ("fit", "bare.csv", "--target=y", "--features=x", "--ignore=x"),
    ("predict", "bare.csv", "bare.csv", "-o", "o.csv"), ("predict", "none.theta", "bare.csv", "-o", "o.csv"),
]  # fmt: skip


@pytest.mark.parametrize(
    "words", LINES, ids=lambda words: " ".join(words)[:50].encode("unicode_escape").decode()
)
def test_a_malformed_command_line_is_refused(place: Path, refused, words: tuple[str, ...]) -> None:
    (place / "bare.csv").write_bytes(HEAD + ROWS)
    if not (place / "pipe.csv").exists():
        os.mkfifo(place / "pipe.csv")
    (place / "good.yaml").write_text(json.dumps(SOUND), encoding="utf-8")
    said = refused(*words)
    if words[0] != "check":
        one_message(said)


# -- stores ---------------------------------------------------------------------------------------


def garbage(kind: str, path: Path, sound: bytes) -> None:
    """Put something at ``path`` that is no sound store."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "other tables":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE meta (a INTEGER)")
        other.close()
    elif kind == "newer":
        path.write_bytes(sound)
        with sqlite3.connect(path) as other:
            other.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
        other.close()
    else:
        path.write_bytes({
            "text": b"hello\n" * 100, "cut": sound[:3000], "head only": sound[:100], "zeros": bytes(8192),
            "noise": bytes(DRAW.randrange(256) for _ in range(5000)),
            "inside": sound[:4096] + bytes(len(sound) - 4096),
        }[kind])  # fmt: skip


KINDS = (
    "folder",
    "link to itself",
    "other tables",
    "newer",
    "text",
    "cut",
    "head only",
    "zeros",
    "noise",
    "inside",
    "pipe",
)
ASKS = (("runs",), ("show", "last"), ("sweep", "good.yaml"))


@pytest.mark.parametrize(
    ("kind", "words"),
    # A folder without a store gets one.
    [pair for pair in itertools.product(KINDS, ASKS) if pair != ("folder", ASKS[2])],
    ids=lambda one: one if isinstance(one, str) else one[0],
)
def test_a_malformed_store_is_refused(place, refused, tmp_path, kind: str, words) -> None:
    (place / "good.yaml").write_text(json.dumps(SOUND), encoding="utf-8")
    if not (place / "sound.db").exists():
        with sqlite3.connect(place / ".thetahat" / "store.db") as known:
            known.execute("VACUUM INTO 'sound.db'")
        known.close()
    path = tmp_path / "bad.db"
    garbage(kind, path, (place / "sound.db").read_bytes())
    one_message(refused(*words, "--store", str(path)))


# -- checkpoints ----------------------------------------------------------------------------------


def damaged(k: int, sound: bytes) -> bytes:
    """Draw number k of what may have become of a checkpoint."""
    draw = random.Random(k)
    at = draw.randrange(len(sound))
    return [
        sound[:at], sound[:at] + bytes([sound[at] ^ (1 << draw.randrange(8))]) + sound[at + 1 :],
        sound[:at] + draw.randbytes(64) + sound[at + 64 :], draw.randbytes(at + 1),
        b"PK\x03\x04" + draw.randbytes(500), b"{" * 100_000, sound[:8] + b"\xff" * 16 + sound[24:], b"",
    ][k % 8]  # fmt: skip


@pytest.mark.parametrize("k", range(32))
def test_a_damaged_checkpoint_is_refused(place: Path, refused, k: int) -> None:
    path = Path((place / "checkpoint").read_text(encoding="utf-8"))
    whole = path.read_bytes()
    try:
        path.write_bytes(damaged(k, whole))
        said = refused("resume", "cut")
        one_message(said)
        assert str(path.name) in said
    finally:
        path.write_bytes(whole)


# -- requests to the page -------------------------------------------------------------------------

OWN = {"origin": "http://127.0.0.1:8642"}
BODIES = [
    b"", b"{", b"[]", b"3", b"null", b'"a"', b"{}", b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5000, b"NaN",
    b"\xff\xfe\x00", b'{"format": "csv"}', b'{"format": "xls", "columns": [], "ids": []}',
    b'{"format": "csv", "columns": "name", "ids": []}', b'{"format": "csv", "columns": [1], "ids": []}',
    b'{"format": "csv", "columns": [], "ids": {}}', b'{"format": ["csv"], "columns": [], "ids": []}',
    b'{"format": {"a": 1}}', b'{"format": null}',
]  # fmt: skip
ADDRESSES = [
    "/api/sweeps/none", "/api/sweeps/" + LONG, "/api/sweeps/%00", "/api/sweeps/SWEEP?after=x&since=y",
    f"/api/sweeps/SWEEP?since=a&after={DIGITS}", "/api/runs/none", "/api/runs/%ff%fe", "/api/runs/done/records?after=-1",
    "/api/runs/done/records?after=1.5", f"/api/runs/done/records?after={DIGITS}", "/api/compare?runs=none",
    "/api/compare?runs=" + ",".join(["none-such"] * 500), "/api/sweeps/SWEEP/groups?over=nothing", "/api/nothing", "/nothing",
    "/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/x", "/static/none.js", "/api/sweeps/SWEEP/none", "/run",
]  # fmt: skip


@pytest.fixture(scope="module")
def ask(place: Path) -> Iterator[Callable[..., httpx.Response]]:
    """Send a request to the page of the store."""
    source = Source(place / ".thetahat")
    app = make_app(source)

    def send(method: str, path: str, **more: Any) -> httpx.Response:
        async def sending() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            base = "http://127.0.0.1:8642"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=OWN, **more)

        began = time.monotonic()
        answer = asyncio.run(sending())
        assert time.monotonic() - began < MOST_S
        return answer

    yield send
    source.close()


def sweep_id(place: Path) -> str:
    with open_store(place / ".thetahat", create=False) as store:
        return next(run.sweep_id for run in store.runs() if run.sweep_id) or ""


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:30]))
def test_a_malformed_body_is_refused_in_one_line(place: Path, ask, body: bytes) -> None:
    answer = ask("POST", f"/api/sweeps/{sweep_id(place)}/export", content=body)
    assert answer.status_code == 400, answer.text
    assert "\n" not in answer.json()["error"].strip()


@pytest.mark.parametrize("path", ADDRESSES, ids=lambda path: path[:40])
def test_a_malformed_address_is_refused_in_one_line(place: Path, ask, path: str) -> None:
    answer = ask("GET", path.replace("SWEEP", sweep_id(place)))
    assert 400 <= answer.status_code < 500, answer.text
    there = answer.request.url.path
    said = answer.json()["error"] if there.startswith(("/api/", "/static/")) else answer.text
    assert "\n" not in said.strip()
    assert len(said) < 2000


def test_there_are_three_hundred_of_them() -> None:
    drawn = len(list(sweep_files())) + len(TABLES) + len(LINES) + len(KINDS) * len(ASKS) + 32
    assert drawn + len(BODIES) + len(ADDRESSES) >= 300
