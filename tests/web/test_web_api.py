"""The page's server: every route, stores that are odd, and runs that are hostile."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import stores
from stores import HOSTILE, add_run

from thetahat.core.run import Status
from thetahat.store import FIELDS, NewSweep, create_sweep, find_sweep, open_store, pack, set_state

SAME = {"origin": "http://127.0.0.1:8642"}


def strictly(text: str) -> Any:
    """JSON without NaN or infinity, as a browser reads it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def sweep_id(where: Path, name: str) -> str:
    with open_store(where, create=False) as store:
        return find_sweep(store, name).id


def rows(answer: dict[str, Any], key: str = "runs") -> list[dict[str, Any]]:
    table = answer[key]
    lists = table["columns"]
    assert set(lists) | set(table["same"]) == (set(FIELDS) if table["n"] else set())
    assert {len(values) for values in lists.values()} <= {table["n"]}
    return [
        table["same"] | {name: values[i] for name, values in lists.items()}
        for i in range(table["n"])
    ]


# -- what is there -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/sweep/any", "/run/any", "/compare?runs=a,b"])
def test_pages_are_one_file_without_a_script_in_it(used, client_of, path) -> None:
    answer = client_of(used).get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    for part in answer.text.split("<script")[1:]:
        assert part.partition(">")[2].startswith("</script>"), "no script stands in the page"
    assert "style=" not in answer.text
    assert " onclick" not in answer.text


def test_home(used, client_of) -> None:
    answer = strictly(client_of(used).get("/api/home").text)
    by_name = {sweep["name"]: sweep for sweep in answer["sweeps"]}
    assert list(by_name) == ["wages, two layers", "twenty seeds a width", "tuned on the test set"]
    wages = by_name["wages, two layers"]
    assert (wages["metric"], wages["goal"], wages["method"]) == ("val_risk", "minimize", "random")
    assert sum(wages["counts"].values()) == 220
    with open_store(used, create=False) as store:
        best = store.runs(sweep_id=wages["id"], status="finished", sort="val_risk", limit=1)[0]
    assert wages["best"] == {"value": best.metrics["val_risk"], "run": best.name}
    assert by_name["tuned on the test set"]["contaminated"] is True
    assert answer["loose_total"] == len(rows(answer, "loose")) == 8
    assert [agent["host"] for agent in answer["agents"]] == ["workstation"]
    assert answer["agents"][0]["alive"] is True
    why = {failure["reason"] for failure in answer["failures"]}
    assert "ValueError: the table wages.csv has no column 'tenure'" in why
    assert sum(answer["counts"].values()) == 300


def test_sweep(used, client_of) -> None:
    client = client_of(used)
    one = sweep_id(used, "wages, two layers")
    answer = strictly(client.get(f"/api/sweeps/{one}").text)
    assert answer["sweep"]["text"] == stores.TUNING
    parameters = {p["name"]: p for p in answer["sweep"]["parameters"]}
    assert parameters["lr"] == {"name": "lr", "log": True, "constant": False}
    assert parameters["epochs"]["constant"] is True
    found = rows(answer)
    assert len(found) == 220
    with open_store(used, create=False) as store:
        for run in store.runs(sweep_id=one):
            row = next(r for r in found if r["id"] == run.id)
            assert row["config"] == run.config
            assert row["metrics"] == run.metrics
            assert row["seconds"] == run.seconds
            assert row["status"] == run.status


def test_only_what_changed_is_sent_again(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 30, 20)
        store_runs = store.runs(sweep_id=sweep.id)
        client = client_of(tmp_path)
        first = client.get(f"/api/sweeps/{sweep.id}").json()
        after = rows(first)[-1]["number"]
        later = "2999-01-01T00:00:00.000+00:00"
        path = f"/api/sweeps/{sweep.id}?after={after}&since={later}"
        running = [run.id for run in store_runs if run.status is Status.RUNNING]
        assert [row["id"] for row in rows(client.get(path).json())] == running
        new = add_run(store, sweep, {"lr": 0.1}, {}, Status.QUEUED)
        assert {row["id"] for row in rows(client.get(path).json())} == {*running, new}
        store.finish_run(new, status="failed", reason="late")
        since = first["now"].replace("+", "%2B")
        path = f"/api/sweeps/{sweep.id}?after={after + 1}&since={since}"
        assert new in {row["id"] for row in rows(client.get(path).json())}


def test_importance_finds_what_matters_and_says_how_sure(used, client_of) -> None:
    one = sweep_id(used, "wages, two layers")
    path = f"/api/sweeps/{one}/importance?metric=val_risk"
    answer = strictly(client_of(used).get(path).text)
    effects = {effect["name"]: effect for effect in answer["effects"]}
    assert answer["effects"][0]["name"] == "lr"
    assert effects["lr"]["importance"] > effects["lr"]["floor"]
    assert effects["momentum"]["importance"] < 2 * effects["momentum"]["floor"]
    assert effects["momentum"]["low"] < 0 < effects["momentum"]["high"]
    assert effects["optimizer"]["correlation"] is None
    assert math.isclose(sum(e["importance"] for e in answer["effects"]), 1)
    assert answer["left_out"] == {"diverged": 9, "failed": 7, "unfinished": 1}
    assert answer["n"] == 220 - 17
    assert "epochs" not in effects, "what does not vary matters to nothing"


def test_a_seed_is_nothing_to_tune(used, client_of) -> None:
    one = sweep_id(used, "twenty seeds a width")
    answer = client_of(used).get(f"/api/sweeps/{one}/importance?metric=val_risk").json()
    assert [effect["name"] for effect in answer["effects"]] == ["width"]


def test_groups_over_seeds_count_failures(used, client_of) -> None:
    one = sweep_id(used, "twenty seeds a width")
    answer = strictly(client_of(used).get(f"/api/sweeps/{one}/groups?over=seed").text)
    by_width = {group["config"]["width"]: group for group in answer["groups"]}
    assert {w: (g["runs"], g["failed"]) for w, g in by_width.items()} == {
        16: (20, 0),
        64: (20, 0),
        256: (20, 1),
    }
    numbers = by_width[256]["metrics"]["val_risk"]
    assert numbers["n"] == 19
    assert numbers["q10"] <= numbers["q25"] <= numbers["median"] <= numbers["q75"] <= numbers["q90"]
    with open_store(used, create=False) as store:
        assert {store.run(i).config["width"] for i in by_width[256]["ids"]} == {256}


def test_an_unknown_parameter_is_told(used, client_of) -> None:
    one = sweep_id(used, "twenty seeds a width")
    answer = client_of(used).get(f"/api/sweeps/{one}/groups?over=sed")
    said = "no run has the parameter 'sed'; did you mean 'seed'?"
    assert (answer.status_code, answer.json()) == (400, {"error": said})


def test_run_and_its_records(used, client_of) -> None:
    client = client_of(used)
    with open_store(used, create=False) as store:
        run = store.run(store.runs(status="stopped")[0].id)
        history = store.history(run.id)
    answer = strictly(client.get(f"/api/runs/{run.name}").text)
    assert answer["id"] == run.id
    assert answer["reason"].startswith("Hyperband")
    assert answer["sweep"]["name"] == "wages, two layers"
    assert answer["seeds"] == 1
    command = answer["again"][0]["command"]
    assert command.startswith(f"python wages.py --lr={run.config['lr']} --width=")
    records = strictly(client.get(f"/api/runs/{run.id}/records").text)
    assert records["axis"] == "epoch"
    assert records["columns"]["epoch"] == history["epoch"].tolist()
    assert records["columns"]["val_risk"] == pytest.approx(history["val_risk"].tolist())
    more = client.get(f"/api/runs/{run.id}/records?after={records['last']}").json()
    assert more == {"last": records["last"], "axis": None, "columns": {}, "rows": 0}


def test_compare(used, client_of) -> None:
    with open_store(used, create=False) as store:
        two = [run.id for run in store.runs(status="finished", limit=2)]
    answer = strictly(client_of(used).get(f"/api/compare?runs={two[0]},{two[1]}").text)
    assert [run["id"] for run in answer["runs"]] == two
    assert all(run["records"]["columns"]["val_risk"] for run in answer["runs"])
    assert strictly(client_of(used).get("/api/compare").text)["runs"] == []
    assert client_of(used).get("/api/compare?runs=none").status_code == 404


@pytest.mark.parametrize("path", ["/api/sweeps/none", "/api/runs/none", "/api/nothing"])
def test_what_is_not_there_is_a_404_with_words(used, client_of, path) -> None:
    answer = client_of(used).get(path)
    assert answer.status_code == 404
    assert len(answer.json()["error"]) > 20


def test_export_is_the_table_of_the_page(used, client_of) -> None:
    client, one = client_of(used), sweep_id(used, "twenty seeds a width")
    with open_store(used, create=False) as store:
        two = store.runs(sweep_id=one, limit=2)
    asked = {
        "format": "csv",
        "columns": ["name", "c.width", "m.val_risk"],
        "ids": [r.id for r in two],
    }
    answer = client.post(f"/api/sweeps/{one}/export", json=asked, headers=SAME)
    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert lines[0] == "name,width,val_risk"
    assert lines[1].split(",")[:2] == [two[0].name, "16"]
    assert float(lines[1].split(",")[2]) == two[0].metrics["val_risk"]
    latex = client.post(
        f"/api/sweeps/{one}/export", json={**asked, "format": "latex"}, headers=SAME
    )
    assert "\\toprule" in latex.text
    assert "val\\_risk" in latex.text
    for wrong in ({**asked, "format": "exe"}, {**asked, "ids": "all"}, {**asked, "columns": [1]}):
        assert client.post(f"/api/sweeps/{one}/export", json=wrong, headers=SAME).status_code == 400
    assert client.post(f"/api/sweeps/{one}/export", content="{", headers=SAME).status_code == 400


def test_pause_resume_cancel(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 5, 10)
        waiting = add_run(store, sweep, {"lr": 0.1}, {}, Status.QUEUED)
        client = client_of(tmp_path)

        def act(action: str) -> tuple[int, Any]:
            answer = client.post(f"/api/sweeps/{sweep.id}/{action}", headers=SAME)
            return answer.status_code, answer.json()

        assert act("pause") == (200, {"state": "paused"})
        assert find_sweep(store, sweep.id).state == "paused"
        assert act("resume") == (200, {"state": "running"})
        assert act("explode")[0] == 400
        assert act("cancel") == (200, {"state": "cancelled"})
        assert store.run(waiting).status is Status.CANCELLED
        late = {"error": "the sweep wages, two layers is cancelled already"}
        assert act("resume") == (400, late)


@pytest.mark.parametrize("action", ["resume", "pause", "cancel"])
def test_a_finished_sweep_is_not_changed_by_the_page(tmp_path, client_of, action) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 5, 10)
        set_state(store, sweep.id, "finished")
        answer = client_of(tmp_path).post(f"/api/sweeps/{sweep.id}/{action}", headers=SAME)
        late = {"error": "the sweep wages, two layers is finished already"}
        assert (answer.status_code, answer.json()) == (400, late)
        assert find_sweep(store, sweep.id).state == "finished"


# -- odd stores ----------------------------------------------------------------------------------


def test_no_store_yet(tmp_path, client_of) -> None:
    client = client_of(tmp_path / "none")
    assert client.get("/").status_code == 200
    answer = client.get("/api/home")
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("there is no store at ")
    assert not (tmp_path / "none").exists(), "looking makes nothing"
    open_store(tmp_path / "none").close()
    assert client.get("/api/home").json()["sweeps"] == []


def test_a_store_deleted_or_replaced_while_the_page_is_open(tmp_path, client_of) -> None:
    where = tmp_path / "store"
    with open_store(where) as store:
        sweep = stores.tuning_sweep(store, 3, 5)
    client = client_of(where)
    paths = ["/api/home", f"/api/sweeps/{sweep.id}", "/api/runs/last", "/api/compare?runs=last"]
    paths += [f"/api/sweeps/{sweep.id}/importance", f"/api/sweeps/{sweep.id}/groups?over=lr"]
    assert {client.get(path).status_code for path in paths} == {200}
    shutil.rmtree(where)
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert answer.json()["error"].startswith("there is no store at ")
    assert client.post(f"/api/sweeps/{sweep.id}/pause", headers=SAME).status_code == 503
    with open_store(where) as store:
        stores.seeds_sweep(store, 2)
    names = [s["name"] for s in client.get("/api/home").json()["sweeps"]]
    assert names == ["twenty seeds a width"]


def test_a_damaged_store(tmp_path, client_of) -> None:
    (tmp_path / "store.db").write_bytes(b"this is no database at all" * 100)
    answer = client_of(tmp_path).get("/api/home")
    assert answer.status_code == 503
    assert "damaged, or not a database" in answer.json()["error"]


def test_a_store_that_another_program_has_locked(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = stores.tuning_sweep(store, 3, 5)
    client = client_of(tmp_path)
    assert client.get("/api/home").status_code == 200
    blocker = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        # Readers never wait for a writer.
        assert client.get(f"/api/sweeps/{sweep.id}").status_code == 200
        answer = client.post(f"/api/sweeps/{sweep.id}/pause", headers=SAME)
        assert answer.status_code == 503
        assert "locked by another program" in answer.json()["error"]
    finally:
        blocker.close()


def test_an_empty_sweep_and_one_run(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        empty = create_sweep(store, NewSweep(stores.TUNING))
        single = create_sweep(store, NewSweep(stores.TUNING))
        add_run(store, single, {"lr": 0.1}, {})
    client = client_of(tmp_path)
    for sweep, n in ((empty, 0), (single, 1)):
        answer = strictly(client.get(f"/api/sweeps/{sweep.id}").text)
        assert answer["runs"]["n"] == len(rows(answer)) == n
        importance = client.get(f"/api/sweeps/{sweep.id}/importance?metric=val_risk").json()
        assert importance["effects"] == []
        assert client.get(f"/api/sweeps/{sweep.id}/groups").status_code == 200


@pytest.mark.parametrize(
    "text", ["", "- a list", "metric: [", "metric: 3\nparameters: x", "{" * 9999]
)
def test_a_sweep_file_that_cannot_be_read(tmp_path, client_of, text) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(text))
        add_run(store, sweep, {"lr": 0.1}, {})
    client = client_of(tmp_path)
    assert strictly(client.get("/api/home").text)["sweeps"][0]["metric"] is None
    assert client.get(f"/api/sweeps/{sweep.id}").status_code == 200


def test_nan_and_infinity(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING))
        config = {"lr": math.inf, "l2": math.nan, "deep": {"er": [1.0, math.nan]}}
        columns = {"epoch": [1, 2, 3], "train_risk": [1.0, math.nan, math.inf]}
        columns["val_risk"] = [math.nan] * 3
        numbers = {"val_risk": math.nan, "train_risk": -math.inf}
        run = add_run(store, sweep, config, columns, Status.DIVERGED, metrics=numbers)
        add_run(store, sweep, config, columns, Status.RUNNING)
    client = client_of(tmp_path)
    assert strictly(client.get(f"/api/runs/{run}").text)["metrics"] == dict.fromkeys(numbers)
    records = strictly(client.get(f"/api/runs/{run}/records").text)
    assert records["columns"]["train_risk"] == [1, None, None]
    listed = rows(strictly(client.get(f"/api/sweeps/{sweep.id}").text))
    assert listed[0]["config"]["lr"] == "inf"
    for path in ("importance?metric=val_risk", "groups?over=lr"):
        strictly(client.get(f"/api/sweeps/{sweep.id}/{path}").text)
    strictly(client.get("/api/home").text)


def test_500_parameters_and_a_config_of_one_megabyte(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING))
        for k in range(12):
            wide = {f"p{i}": i * k for i in range(500)}
            last = add_run(store, sweep, wide, {}, metrics={"val_risk": float(k)})
        big = add_run(store, sweep, {"blob": "x" * (1 << 20), "lr": 0.5}, {})
    client = client_of(tmp_path)
    answer = client.get(f"/api/sweeps/{sweep.id}")
    listed = rows(strictly(answer.text))
    assert len(listed[0]["config"]) == 500
    row = next(r for r in listed if r["id"] == big)
    assert row["config"] == {"blob": "x" * 200 + "…", "lr": 0.5}
    assert len(answer.text) < 200_000
    effects = client.get(f"/api/sweeps/{sweep.id}/importance?metric=val_risk").json()["effects"]
    assert len(effects) == 499
    assert len(client.get(f"/api/runs/{big}").json()["config"]["blob"]) == 1 << 20
    assert client.get(f"/api/compare?runs={last},{big}").status_code == 200


def test_hostile_names_travel_as_text(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        text = stores.TUNING.replace("val_risk", "'" + HOSTILE.replace("'", "") + "'")
        sweep = create_sweep(store, NewSweep(text, HOSTILE, HOSTILE))
        run = add_run(store, sweep, {HOSTILE: HOSTILE}, {}, name=HOSTILE, reason=HOSTILE)
    client = client_of(tmp_path)
    for path in ("/api/home", f"/api/sweeps/{sweep.id}", f"/api/runs/{run}"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        strictly(answer.text)
    asked = {"format": "latex", "columns": ["name", f"c.{HOSTILE}"], "ids": [run]}
    assert (
        client.post(f"/api/sweeps/{sweep.id}/export", json=asked, headers=SAME).status_code == 200
    )
    command = client.get(f"/api/runs/{run}").json()["again"][0]["command"]
    assert (
        command == "python wages.py '--" + (HOSTILE + "=" + HOSTILE).replace("'", "'\"'\"'") + "'"
    )


def test_long_curves_are_thinned_and_keep_their_peaks(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        values = [1.0] * 50_000
        values[31_234], values[777] = 9.0, -9.0
        run = store.create_run({}).id
        store.log_block(run, {"step": list(range(50_000)), "loss": values})
    answer = client_of(tmp_path).get(f"/api/runs/{run}/records").json()
    assert answer["rows"] == 50_000
    assert len(answer["columns"]["loss"]) <= 4_000
    drawn = dict(zip(answer["columns"]["step"], answer["columns"]["loss"], strict=True))
    assert (drawn[31_234], drawn[777]) == (9, -9)
    assert {0, 49_999} <= set(drawn)


def test_rows_logged_twice_are_one_point(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        run = store.create_run({}).id
        with store.batch() as writer:
            writer.log_blocks([(run, pack({"epoch": [1, 2], "a": [1.0, 2.0]}))])
            writer.log_blocks([(run, pack({"epoch": [2, 3], "a": [5.0, 6.0], "b": [0.0, 1.0]}))])
    answer = client_of(tmp_path).get(f"/api/runs/{run}/records").json()
    assert answer["columns"] == {"epoch": [1, 2, 3], "a": [1, 5, 6], "b": [None, 0, 1]}


# -- logs ----------------------------------------------------------------------------------------


def run_with_logs(where: Path, said: str) -> str:
    with open_store(where) as store:
        return store.create_run({}, provenance={"logs": said, "argv": ["python", "a b.py"]}).id


def test_logs_may_lie_on_another_disk_and_have_no_colours(tmp_path, client_of) -> None:
    (tmp_path / "disk" / "r").mkdir(parents=True)
    text = "\x1b[31mloss\x1b[0m 0.5\x1b]0;title\x07\n"
    (tmp_path / "disk" / "r" / "stdout.log").write_text(text, encoding="utf-8")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "logs").symlink_to(tmp_path / "disk")
    with open_store(tmp_path / "s") as store:
        run = add_run(store, None, {}, {}, provenance={"logs": "logs/r"})
    assert client_of(tmp_path / "s").get(f"/api/runs/{run}").json()["logs"] == {
        "stdout.log": "loss 0.5\n"
    }


def test_the_tail_of_the_logs(tmp_path, client_of) -> None:
    run = run_with_logs(tmp_path, "logs/r.1")
    folder = tmp_path / "logs" / "r.1"
    folder.mkdir(parents=True)
    (folder / "stdout.log").write_bytes(b"early\n" * 20_000 + b"the \xff end\n")
    answer = client_of(tmp_path).get(f"/api/runs/{run}").json()
    assert answer["logs"]["stdout.log"].endswith("early\nthe \ufffd end\n")
    assert answer["logs"]["stdout.log"].startswith("… 54,474 bytes before this\nearly\n")
    assert answer["again"] == [{"what": "run it again", "command": "python 'a b.py'"}]


@pytest.mark.parametrize("said", ["..", "../out", "/etc", "in", "a\x00b", "", 3, None])
def test_no_path_leads_out_of_the_store(tmp_path, client_of, said) -> None:
    where, out = tmp_path / "store", tmp_path / "out"
    out.mkdir()
    for folder in (out, tmp_path):
        (folder / "stdout.log").write_text("secret", encoding="utf-8")
    run = run_with_logs(where, said)
    (where / "in").symlink_to(out)
    assert client_of(where).get(f"/api/runs/{run}").json()["logs"] == {}


@pytest.mark.parametrize(
    "path",
    ["/static/../_app.py", "/static/%2e%2e/_app.py", "/static/..%2f_app.py", "/static//etc/passwd"],
)
def test_static_paths_cannot_climb(used, client_of, path) -> None:
    answer = client_of(used).get(path)
    assert answer.status_code == 404
    assert "Starlette" not in answer.text


@pytest.mark.parametrize("query", ["after=-1", "after=1e3", "after=x", f"after={'9' * 30}"])
def test_numbers_in_addresses_are_checked(used, client_of, query) -> None:
    answer = client_of(used).get(f"/api/runs/last/records?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": "after must be a whole number"})


def test_what_is_the_same_of_all_runs_is_told_once(used, client_of) -> None:
    one = sweep_id(used, "wages, two layers")
    table = client_of(used).get(f"/api/sweeps/{one}").json()["runs"]
    assert table["same"]["sweep_id"] == one
    assert "sweep_id" not in table["columns"]
    assert "config" in table["columns"]


def test_importance_is_computed_again_only_when_a_run_has_ended(
    tmp_path, client_of, monkeypatch
) -> None:
    # How often numbers are computed is counted.
    from thetahat.web import _settings

    asked = []
    computed = _settings.effects
    monkeypatch.setattr(_settings, "effects", lambda *a, **k: asked.append(1) or computed(*a, **k))
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING))
        for k in range(12):
            add_run(store, sweep, {"lr": k}, {}, metrics={"val_risk": 1.0 + k})
        client, path = client_of(tmp_path), f"/api/sweeps/{sweep.id}/importance?metric=val_risk"
        first = client.get(path).json()
        assert client.get(path).json() == first
        assert len(asked) == 1
        add_run(store, sweep, {"lr": 12}, {}, metrics={"val_risk": 13.0})
        assert client.get(path).json()["n"] == 13
        assert len(asked) == 2


def test_seeds_that_a_sweep_tries_are_seeds_of_one_setting(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.SEEDS))
        ids = [
            add_run(store, sweep, {"width": 16, "seed": k}, {}, metrics={"val_risk": k}, point=k)
            for k in range(1, 6)
        ]
        other = add_run(store, sweep, {"width": 64, "seed": 1}, {}, metrics={}, point=9)
        plain = create_sweep(store, NewSweep(stores.TUNING))
        alone = add_run(store, plain, {"lr": 0.1}, {}, metrics={"val_risk": 1.0}, point=0)
    client = client_of(tmp_path)
    assert client.get(f"/api/runs/{ids[0]}").json()["seeds"] == 5
    assert client.get(f"/api/runs/{other}").json()["seeds"] == 1
    assert client.get(f"/api/runs/{alone}").json()["seeds"] == 1
    listed = {one["id"]: one["seeded"] for one in client.get("/api/home").json()["sweeps"]}
    assert listed == {sweep.id: True, plain.id: False}


def test_scales_are_those_of_the_sweep_file(tmp_path, client_of) -> None:
    text = "parameters: {a: {min: 0, max: 1}, b: {values: [1, 2]}, c: {distribution: log_uniform}}"
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(text))
    told = client_of(tmp_path).get(f"/api/sweeps/{sweep.id}").json()["sweep"]["parameters"]
    assert {p["name"]: p["log"] for p in told} == {"a": False, "b": None, "c": True}
