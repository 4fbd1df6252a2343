"""Tokens in a file: their addresses and sessions outlive the server, and others cannot read them."""

from __future__ import annotations

import os
import stat

import pytest
from stores import tuning_sweep

from thetahat.core import ConfigError
from thetahat.store import open_store
from thetahat.web import access_for

GOOD = f"acts {'a' * 20}\nreads {'b' * 20}\n"
posix = pytest.mark.skipif(os.name == "nt", reason="modes of files say nothing on Windows")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens"


def write(file, text: str, mode: int = 0o600) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def test_the_next_server_has_the_tokens_of_the_last(file, tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        tuning_sweep(store, 2, 5)
    first, second = (access_for("127.0.0.1", readers=True, tokens=file) for _ in range(2))
    assert (first.token, first.reader) == (second.token, second.reader)
    assert len({first.token, first.reader, first.session, first.reader_session}) == 4
    before = client_of(tmp_path, first)
    assert before.get(f"/?token={first.reader}").status_code == 200
    after = client_of(tmp_path, second)
    after.cookies = before.cookies
    assert after.get("/api/home").status_code == 200
    assert after.post("/api/sweeps/x/cancel", headers={"origin": "http://127.0.0.1:8642"}).status_code == 403  # fmt: skip
    file.unlink()
    third = client_of(tmp_path, access_for("127.0.0.1", readers=True, tokens=file))
    third.cookies = before.cookies
    assert third.get("/api/home").status_code == 401


def test_without_readers_the_token_that_reads_opens_nothing(file, tmp_path, client_of) -> None:
    reader = access_for("127.0.0.1", readers=True, tokens=file).reader
    access = access_for("127.0.0.1", tokens=file)
    assert access.reader is None
    assert client_of(tmp_path, access).get(f"/?token={reader}").status_code == 401


def test_of_two_servers_that_begin_at_once_the_first_one_s_tokens_count(file, monkeypatch) -> None:
    write(file, GOOD)
    there = type(file).exists
    # The second server has looked before the first one wrote.
    monkeypatch.setattr(type(file), "exists", lambda path: path != file and there(path))
    assert access_for("127.0.0.1", tokens=file).token == "a" * 20
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@posix
def test_the_file_is_made_for_its_owner_alone(file) -> None:
    before = os.umask(0)
    try:
        access_for("127.0.0.1", tokens=file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@posix
@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_reach_is_refused(file, mode) -> None:
    write(file, GOOD, mode)
    with pytest.raises(ConfigError, match=f"mode {mode:o}.*chmod 600"):
        access_for("127.0.0.1", tokens=file)


def test_own_tokens_may_stand_there(file) -> None:
    write(file, GOOD.replace("\n", "\r\n"))
    assert access_for("127.0.0.1", tokens=file).token == "a" * 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acts short\nreads short2\n",
        GOOD.replace("b", "a"),
        GOOD.replace("a" * 20, "a" * 19 + "ä"),
        GOOD + "more\n",
        "acts " + "a" * 5000,
        f"reads {'b' * 20}\nacts {'a' * 20}\n",
    ],
)
def test_a_file_without_two_tokens_is_refused_and_left_as_it_is(file, text) -> None:
    write(file, text)
    with pytest.raises(ConfigError, match="is not as thetahat writes it: two lines.*remove it"):
        access_for("127.0.0.1", tokens=file)
    assert file.read_text(encoding="utf-8") == text


def test_a_folder_a_missing_folder_and_a_page_without_tokens_are_refused(file, tmp_path) -> None:
    with pytest.raises(ConfigError, match="is not a file; give a new one"):
        access_for("127.0.0.1", tokens=tmp_path)
    with pytest.raises(ConfigError, match="cannot be read or made"):
        access_for("127.0.0.1", tokens=file / "below" / "tokens")
    with pytest.raises(ConfigError, match="--tokens needs tokens; leave out --no-token"):
        access_for("127.0.0.1", token=False, tokens=file)
    assert not file.exists()
