"""What is kept of a store that does not change, and what a page says it will need."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import socket
import sqlite3
import threading
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stores
from stores import add_run

from thetahat.analysis import read_study
from thetahat.store import FIELDS, NewSweep, create_sweep, find_sweep, open_store

# What the server keeps, and how often it reads, is counted.
from thetahat.web import Source, _assets, _over_all, _server, _settings, _views
from thetahat.web._assets import PAGES, STATIC, modules, needed, page
from thetahat.web._source import MOST_CHARACTERS, RunCache


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """A store of one sweep with one run; its file and the sweep."""
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "kept"))
        add_run(store, sweep, {"lr": 0.1}, {}, metrics={"val_risk": 1.0})
        return store.path, sweep


@pytest.fixture
def kept(made) -> Any:
    with open_store(made[0], create=False) as store:
        held = RunCache(store)
        yield held
        held.close()


def test_a_text_is_made_once_until_the_store_changes(made, kept) -> None:
    path, sweep = made
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        return f"text {len(calls)}"

    assert [kept.get("a", make) for _ in range(3)] == ["text 1"] * 3
    assert kept.get("b", make) == "text 2", "each key has its own"
    with open_store(path.parent) as store:
        add_run(store, sweep, {"lr": 0.2}, {}, metrics={"val_risk": 2.0})
    assert kept.get("a", make) == "text 3"
    assert kept.get("b", make) == "text 4"


def test_what_is_written_while_a_text_is_made_makes_it_be_made_again(made, kept) -> None:
    path, sweep = made
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        if len(calls) == 1:
            with open_store(path.parent) as store:
                add_run(store, sweep, {"lr": 0.2}, {}, metrics={"val_risk": 2.0})
        return f"text {len(calls)}"

    assert [kept.get("a", make) for _ in range(3)] == ["text 1", "text 2", "text 2"]


def test_what_cannot_be_made_is_not_kept(kept) -> None:
    def fail() -> str:
        raise ValueError("no disk")

    with pytest.raises(ValueError, match="no disk"):
        kept.get("a", fail)
    assert kept.get("a", lambda: "made") == "made"


def test_those_who_ask_for_what_is_being_made_wait_for_it(kept) -> None:
    started, go = threading.Event(), threading.Event()
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        started.set()
        assert go.wait()
        return "once"

    found: list[str] = []
    asking = [threading.Thread(target=lambda: found.append(kept.get("a", make))) for _ in range(3)]
    asking[0].start()
    assert started.wait()
    for one in asking[1:]:
        one.start()
    go.set()
    for one in asking:
        one.join()
    assert (found, calls) == (["once"] * 3, [1])


def test_what_was_asked_for_longest_ago_is_forgotten_first(kept) -> None:
    half = MOST_CHARACTERS // 2
    calls: list[str] = []

    def text(key: str) -> str:
        def make() -> str:
            calls.append(key)
            return key * half

        return kept.get(key, make)[:1]

    assert [text(key) for key in "abac"] == ["a", "b", "a", "c"]
    assert calls == ["a", "b", "c"]
    text("a")
    assert calls == ["a", "b", "c"], "it was asked for after b"
    text("b")
    assert calls == ["a", "b", "c", "b"]


def test_nothing_is_kept_of_a_file_that_cannot_tell_whether_it_changed(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_bytes(b"this is no database, but it is long enough to be read")
    calls: list[int] = []
    for path in (tmp_path / "runs.db", tmp_path / "none.db"):
        held = RunCache(SimpleNamespace(path=path))  # no store opens it
        for _ in range(2):
            held.get("a", lambda: str(calls.append(1)))
        held.close()
    assert len(calls) == 4
    assert not (tmp_path / "none.db").exists(), "to ask must not make a store"


def test_after_its_end_it_keeps_nothing_and_holds_no_file(made) -> None:
    with open_store(made[0], create=False) as store:
        held = RunCache(store)
    calls: list[int] = []
    held.get("a", lambda: str(calls.append(1)))
    held.close()
    for _ in range(2):
        held.get("a", lambda: str(calls.append(1)))
    assert len(calls) == 3


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the sweeps whose runs are read from the store, as they are."""
    found: list[str] = []
    read = _over_all.run_columns
    monkeypatch.setattr(
        _over_all, "run_columns", lambda *a, **k: found.append(k["sweep_id"]) or read(*a, **k)
    )
    return found


def test_the_runs_of_a_sweep_are_read_once_and_anew_when_one_is_added(
    made, client_of, reads: list[str]
) -> None:
    path, sweep = made
    client = client_of(path.parent)
    first = client.get(f"/api/sweeps/{sweep.id}").json()
    assert client.get(f"/api/sweeps/{sweep.id}").json()["runs"] == first["runs"]
    assert reads == [sweep.id]
    with open_store(path.parent) as store:
        add_run(store, sweep, {"lr": 0.2}, {}, metrics={"val_risk": 2.0})
    then = client.get(f"/api/sweeps/{sweep.id}").json()
    assert (first["runs"]["n"], then["runs"]["n"]) == (1, 2)
    assert then["counts"] == {"finished": 2}
    assert reads == [sweep.id] * 2


def test_an_action_of_the_page_itself_is_seen_in_the_next_answer(made, client_of) -> None:
    path, sweep = made
    client = client_of(path.parent)
    url = f"/api/sweeps/{sweep.id}"
    assert client.get(url).json()["sweep"]["state"] == "running"
    asked = client.post(f"{url}/pause", headers={"origin": "http://127.0.0.1:8642"})
    assert asked.status_code == 200
    assert client.get(url).json()["sweep"]["state"] == "paused"


def test_the_page_of_a_sweep_reads_its_runs_ahead(made, client_of, reads: list[str]) -> None:
    path, sweep = made
    client = client_of(path.parent)
    assert client.get(f"/sweep/{sweep.id}").status_code == 200
    assert reads == [sweep.id]
    client.get(f"/api/sweeps/{sweep.id}")
    assert reads == [sweep.id]
    assert client.get("/sweep/no-such-sweep").status_code == 200


def test_a_store_that_takes_anothers_place_is_read(made, tmp_path: Path) -> None:
    path, sweep = made
    source = Source(path.parent)
    assert json.loads(_views.sweep_page(source, sweep))["runs"]["n"] == 1
    other = tmp_path / "other"
    with open_store(other) as store:
        mine = create_sweep(store, NewSweep(stores.TUNING, "other"))
        with_no_runs = store.path
    with sqlite3.connect(with_no_runs) as connection:
        connection.execute("UPDATE sweeps SET id = ? WHERE id = ?", (sweep.id, mine.id))
    connection.close()
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()
    shutil.move(with_no_runs, path)
    found = find_sweep(source.store(), sweep.id)
    assert json.loads(_views.sweep_page(source, found))["runs"]["n"] == 0
    source.close()


@pytest.mark.parametrize("kind", list(PAGES))
def test_a_page_names_every_module_it_reads_and_no_other(kind: str) -> None:
    seen = [PAGES[kind]]
    for name in seen:
        text = (STATIC / "js" / name).read_text(encoding="utf-8")
        seen += [n for n in re.findall(r'from "\./([\w.]+)"', text) if n not in seen]
    listed = modules(kind)
    assert len(set(listed)) == len(listed)
    assert {Path(path).name for path in listed if "vendor" not in path} == set(seen)
    assert any("echarts" in path for path in listed) == ("charts.js" in seen)
    for path in listed:
        assert (STATIC / path.removeprefix("/static/")).is_file()


def test_the_pages_are_those_of_the_script_that_shows_them() -> None:
    text = (STATIC / "js" / "main.js").read_text(encoding="utf-8")
    assert sorted(re.findall(r'import\("\./(\w+\.js)"\)', text)) == sorted(PAGES.values())


@pytest.mark.parametrize("name", ['a"><script>x</script>', "a b", "../..", "ärger", ""])
def test_only_a_plain_id_is_asked_for_ahead(name: str) -> None:
    assert not any("/api/" in link for link in needed("sweep", name))
    assert name == "" or name not in page("sweep", name)
    link = '<link rel="preload" as="fetch" crossorigin href="/api/sweeps/x-1_A">'
    assert needed("sweep", "x-1_A")[0] == link
    assert link in page("sweep", "x-1_A")
    assert not any("/api/" in link for link in needed("run", "x"))


def test_the_script_knows_every_field_of_a_run() -> None:
    text = (STATIC / "js" / "model.js").read_text(encoding="utf-8")
    told = re.search(r"const runOf = \(of, i\) => \(\{(.*?)\}\);", text, re.DOTALL)
    assert told is not None
    assert sorted(re.findall(r"of\.(\w+)\(i\)", told.group(1))) == sorted(FIELDS)


def test_importance_of_very_many_parameters_rests_on_runs_drawn_by_lot(
    made, client_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sweep = made
    rng = random.Random(3)
    with open_store(path.parent) as store:
        for _ in range(79):
            config = {f"p{k}": rng.random() for k in range(6)}
            add_run(store, sweep, config, {}, metrics={"val_risk": config["p2"]})
    url = f"/api/sweeps/{sweep.id}/importance?metric=val_risk"
    whole = client_of(path.parent).get(url).json()
    assert (whole["n"], whole["rest_on"]) == (80, 80)
    _settings.importance.forget()
    monkeypatch.setattr(_settings, "drawn", lambda runs, parameters: range(0, runs, 2))
    some = client_of(path.parent).get(url).json()
    assert (some["n"], some["rest_on"]) == (80, 40)
    assert {e["n"] for e in some["effects"] if e["name"] != "lr"} == {39}
    for answer in (whole, some):
        [tuned] = [e for e in answer["effects"] if e["name"] == "p2"]
        assert tuned["correlation"] == pytest.approx(1.0)


def test_all_runs_count_unless_their_cells_are_too_many() -> None:
    assert list(_settings.drawn(10_000, 50)) == list(range(10_000))
    few = list(_settings.drawn(10_000, 500))
    assert len(few) == 1000
    assert few == sorted(set(few)) == list(_settings.drawn(10_000, 500))
    assert len({i % 10 for i in few}) == 10, "no cycle of a grid is followed"
    assert len(_settings.drawn(2_000, 100_000)) == 1000
    assert len(_settings.drawn(10_000, 100)) == 5000


def test_a_file_is_kept_for_good_under_the_edition_that_the_page_names(made, client_of) -> None:
    client = client_of(made[0].parent)
    text = client.get("/").text
    [script] = re.findall(r'src="(/static/[^"]*/js/main\.js)"', text)
    tag = script.split("/")[2]
    assert set(re.findall(r'"/static/([^/"]+)/', text)) == {tag}
    answer = client.get(script)
    assert answer.headers["cache-control"] == "max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.text == (STATIC / "js" / "main.js").read_text(encoding="utf-8")
    for other in ("/static/js/main.js", "/static/v-0123456789ab/js/main.js"):
        old = client.get(other)
        assert (old.text, old.headers["cache-control"]) == (answer.text, "no-cache")
        again = client.get(other, headers={"if-none-match": old.headers["etag"]})
        assert (again.status_code, again.text) == (304, "")
    assert client.get(f"/static/{tag}/js/none.js").status_code == 404
    assert client.get(f"/static/{tag}/../../_app.py").status_code == 404
    posted = client.post(script, headers={"origin": "http://127.0.0.1:8642"})
    assert posted.status_code == 405


def test_an_edited_file_is_another_edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_assets, "STATIC", tmp_path)
    (tmp_path / "js").mkdir()
    (tmp_path / "a.js").write_text("one", encoding="utf-8")
    first = _assets.edition()
    os.utime(tmp_path / "a.js", ns=(1, 1))
    assert _assets.edition() == first, "its words count, not when they were written"
    (tmp_path / "a.js").write_text("two", encoding="utf-8")
    assert _assets.edition() != first


def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    with _server._listen("127.0.0.1", 0, "") as listening:
        # asyncio turns Nagle's algorithm off only where a socket says that it is TCP.
        assert listening.proto == socket.IPPROTO_TCP


def test_one_text_is_kept_however_long_it_is(kept) -> None:
    calls: list[int] = []

    def make() -> str:
        calls.append(1)
        return "x" * (MOST_CHARACTERS + 1)

    assert len(kept.get("a", make)) == len(kept.get("a", make)) == MOST_CHARACTERS + 1
    assert len(calls) == 1
    kept.get("b", lambda: "b")
    kept.get("a", make)
    assert len(calls) == 2, "beside another it is too long"


def test_importance_tells_long_words_apart_by_their_beginning(made, client_of) -> None:
    path, sweep = made
    with open_store(path.parent) as store:
        for k in range(30):
            config = {"layers": [k % 3, 8], "note": f"{k % 2}" + "x" * 9000, "bad": math.nan}
            config["width"] = k
            add_run(store, sweep, config, {}, metrics={"val_risk": float(k % 3)})
    answer = client_of(path.parent).get(f"/api/sweeps/{sweep.id}/importance?metric=val_risk")
    found = {e["name"]: e for e in answer.json()["effects"]}
    assert found["layers"]["importance"] > 0.5 > found["note"]["importance"]
    assert found["note"]["n"] == 30


def test_importance_is_computed_anew_when_a_run_is_tried_again(made, client_of) -> None:
    path, sweep = made
    with open_store(path.parent) as store:
        for k in range(20):
            add_run(store, sweep, {"lr": float(k)}, {}, metrics={"val_risk": float(k)})
    url = f"/api/sweeps/{sweep.id}/importance?metric=val_risk"
    client = client_of(path.parent)
    before = client.get(url).json()
    assert client.get(url).json() == before
    assert before["effects"][0]["correlation"] > 0.9
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "UPDATE runs SET attempt = 2, finished = '2031', metrics = json_object('val_risk',"
            " -json_extract(metrics, '$.val_risk'))"
        )
    connection.close()
    # As many runs stand each way as before.
    assert client.get(url).json()["effects"][0]["correlation"] < -0.9


@pytest.mark.parametrize(("settings", "said"), [(8, False), (24, True)])
def test_page_and_report_say_the_same_of_settings_with_replicates(
    tmp_path, client_of, settings: int, said: bool
) -> None:
    rng = random.Random(1)
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.SEEDS))
        for _ in range(settings):
            config = {"x": rng.random(), "z": rng.random()}
            for seed in range(10):
                value = config["x"] + 0.05 * rng.gauss(0, 1)
                metrics = {"val_risk": value} if rng.random() < 0.8 else {}
                add_run(store, sweep, {**config, "seed": seed}, {}, metrics=metrics)
        study = read_study(store, sweep)
        answer = client_of(tmp_path).get(f"/api/sweeps/{sweep.id}/importance?metric=val_risk")
    found = answer.json()
    assert found["effects"] == [asdict(effect) for effect in study.effects]
    assert found["settings"] == settings and found["n"] > 6 * settings
    x, z = sorted(found["effects"], key=lambda effect: effect["name"])
    assert (x["importance"] is not None) == (z["low"] is not None) == said
    if said:
        assert x["importance"] > x["floor"] and z["importance"] <= z["floor"]
        assert z["low"] < 0 < z["high"]
