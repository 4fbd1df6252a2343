"""The page of very many runs: a sample in the charts, the table filtered and sorted by the server."""

from __future__ import annotations

import json
import math
import random
import statistics
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import count, until
from stores import add_run

from thetahat.core.errors import ConfigError
from thetahat.core.run import Status
from thetahat.store import NewSweep, SweepRow, create_sweep, open_store, runs_stand

# What the routes read is counted, and its parser given odd text.
from thetahat.web import _over_all
from thetahat.web._source import Source

RUNS = 400
ORIGIN = {"origin": "http://127.0.0.1:8642"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SweepRow, list[dict[str, Any]]]:
    """A sweep, and its runs as the test knows them."""
    where, rng = tmp_path_factory.mktemp("many"), random.Random(5)
    known = []
    with open_store(where) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "many"))
        for k in range(RUNS):
            config = {"lr": 10 ** rng.uniform(-4, -1), "width": rng.choice([16, 64]), "act": "relu"}
            if k % 3 == 0:
                config["net"] = {"depth": rng.choice([1, 2])}
            risk = rng.choice([0.25, rng.random(), math.nan])
            status = rng.choice([Status.FINISHED, Status.FINISHED, Status.FAILED])
            reason = f"broke at {k}" if status.failed else ""
            run = add_run(
                *(store, sweep, config, {}),
                metrics={"val_risk": risk},
                status=status,
                reason=reason,
            )
            known.append({"id": run, "config": config, "risk": risk, "status": str(status)})
    return where, sweep, known


def finite(known: list[dict[str, Any]]) -> list[float]:
    return [r["risk"] for r in known if r["status"] == "finished" and math.isfinite(r["risk"])]


def test_sample_is_stated_and_numbers_rest_on_all_runs(many, client_of) -> None:
    where, sweep, known = many
    answer = client_of(where).get(f"/api/sweeps/{sweep.id}?sample=50").json()
    told, runs = answer["sampled"], answer["runs"]
    assert told["of"] == RUNS
    assert 50 <= told["drawn"] == runs["n"] < 80
    assert sum(answer["counts"].values()) == RUNS
    failed = sum(r["status"] == "failed" for r in known)
    assert [(r["n"], r["differ"]) for r in told["reasons"]] == [(failed, True)]
    assert told["without"] == sum(
        r["status"] == "finished" and not math.isfinite(r["risk"]) for r in known
    )
    best, steps = math.inf, []
    for number, r in enumerate(known, 1):
        if r["status"] == "finished" and r["risk"] < best:
            best = r["risk"]
            steps.append([number, best])
    assert [n for n, _ in told["running"]["run"]] == [n for n, _ in steps]
    assert [v for _, v in told["running"]["run"]] == pytest.approx([v for _, v in steps])
    assert told["tied"] == finite(known).count(best)
    drawn = {*runs["columns"]["id"]}
    assert {known[number - 1]["id"] for number, _ in steps} <= drawn
    # By lot: its middle is that of all.
    values = [m["val_risk"] for m in runs["columns"]["metrics"] if m.get("val_risk") is not None]
    assert abs(statistics.median(values) - statistics.median(finite(known))) < 0.2


def test_how_runs_stand_is_read_again_only_after_a_change(tmp_path) -> None:
    asked = []

    def read(*given):
        asked.append(given)
        return runs_stand(*given)

    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(stores.TUNING, "one"))
        add_run(store, sweep, {"lr": 0.1}, {})
        source = Source(tmp_path)
        stands = [source.stand(sweep.id, read) for _ in range(3)]
        assert stands == [runs_stand(store, sweep.id)] * 3
        assert len(asked) == 1
        add_run(store, sweep, {"lr": 0.2}, {})
        assert source.stand(sweep.id, read) == runs_stand(store, sweep.id) != stands[0]
        source.close()


def test_page_of_many_runs_is_a_sample_by_itself(many, client_of, monkeypatch) -> None:
    where, sweep, _ = many
    path = f"/api/sweeps/{sweep.id}"
    assert "sampled" not in client_of(where).get(path).json()
    assert "sampled" not in client_of(where).get(f"{path}?sample={RUNS}").json()
    monkeypatch.setattr(_over_all, "WHOLE", RUNS - 1)
    assert client_of(where).get(path).json()["sampled"]["of"] == RUNS


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ("", lambda r: True),
        (
            "lr>0.01 status=finished",
            lambda r: r["config"]["lr"] > 0.01 and r["status"][:3] == "fin",
        ),
        ("width in (16, 32)", lambda r: r["config"]["width"] == 16),
        ("net.depth=2", lambda r: r["config"].get("net") == {"depth": 2}),
        ("val_risk<=0.25 width!=16", lambda r: r["risk"] <= 0.25 and r["config"]["width"] != 16),
        ("act~REL reason~broke", lambda r: r["status"] == "failed"),
    ],
)
def test_table_filters_and_sorts_on_the_server(many, client_of, where, passes) -> None:
    path, sweep, known = many
    client = client_of(path)
    for sort in ("m.val_risk", "-m.val_risk", "c.lr", "-c.net.depth", ""):
        asked = {"where": where, "sort": sort, "start": 0, "n": 500}
        answer = client.get(f"/api/sweeps/{sweep.id}/rows", params=asked).json()

        def value(r: dict[str, Any], sort: str = sort) -> float | None:
            net = r["config"].get("net") or {}
            column = sort.removeprefix("-")
            found = {"m.val_risk": r["risk"], "c.lr": r["config"]["lr"], "": 0}
            found = found.get(column, net.get("depth"))
            return None if found is None or math.isnan(found) else found

        kept = [r for r in known if passes(r)]
        have = [r for r in kept if value(r) is not None]
        sign = -1 if sort.startswith("-") else 1
        have.sort(key=lambda r: sign * (value(r) or 0))
        wanted = [r["id"] for r in [*have, *(r for r in kept if value(r) is None)]]
        assert (answer["n"], answer["ids"]) == (len(wanted), wanted), (where, sort)
        some = client.get(
            f"/api/sweeps/{sweep.id}/rows", params={**asked, "start": 30, "n": 7}
        ).json()
        assert some["ids"] == wanted[30:37]
        assert some["runs"]["n"] == len(some["ids"])


def test_brushes_words_and_refusals_of_the_table(many, client_of) -> None:
    path, sweep, known = many
    client = client_of(path)

    def rows(**asked: str) -> Any:
        return client.get(f"/api/sweeps/{sweep.id}/rows", params={"n": "500", **asked})

    brush = [
        {"column": "c.lr", "spans": [[0.001, 0.01], [0.05, 1]]},
        {"column": "c.width", "words": ["64"]},
    ]
    kept = {
        r["id"]
        for r in known
        if r["config"]["width"] == 64
        and (0.001 <= r["config"]["lr"] <= 0.01 or r["config"]["lr"] >= 0.05)
    }
    assert {*rows(brush=json.dumps(brush)).json()["ids"]} == kept
    assert rows(where="zzz").json() | {"runs": 0} == {"n": 0, "lost": ["zzz"], "ids": [], "runs": 0}
    first = rows(where=known[7]["id"]).json()
    assert first["ids"] == [known[7]["id"]]
    for asked, said in (
        ({"where": "nothing>3"}, "no run has a column"),
        ({"where": "lr>much"}, "write a number"),
        ({"where": "lr>1 or lr<2"}, "all conditions must hold"),
        ({"sort": "config"}, "the table has no column"),
        ({"brush": "[3]"}, "brush must be JSON"),
    ):
        refused = rows(**asked)
        assert refused.status_code == 400
        assert said in refused.json()["error"]


def test_export_of_a_query_is_the_whole_table(many, client_of) -> None:
    where, sweep, known = many
    asked = {"format": "csv", "columns": ["name", "c.lr"], "query": {"where": "lr>0.01"}}
    text = client_of(where).post(f"/api/sweeps/{sweep.id}/export", json=asked, headers=ORIGIN).text
    assert len(text.splitlines()) == 1 + sum(r["config"]["lr"] > 0.01 for r in known)


@pytest.mark.browser
def test_large_sweep_in_a_browser(look, many) -> None:
    from chromium import serving

    where, sweep, known = many
    with serving(where) as url:
        tab = look(url)
        page = tab.open(f"/sweep/{sweep.id}?sample=60")
        until(page, "document.querySelectorAll('.rows-space .row[data-id]').length > 5")
        assert count(page) == RUNS
        assert "of 400 runs: a sample drawn by lot" in page.inner_text(".of-sample")
        rows = page.locator(".rows-space .row")
        assert rows.count() < 60, "rows out of sight are no elements"
        table = page.locator(".rows")
        assert table.get_attribute("aria-rowcount") == str(RUNS + 1)
        best = min(finite(known))
        first = page.locator(".rows-space .row").first
        assert first.get_attribute("aria-rowindex") == "2"
        assert f"{best:.3g}"[:5] in first.inner_text()
        # By the keyboard: to the end, and a column sorted.
        table.focus()
        page.keyboard.press("End")
        until(page, f"!!document.querySelector('.row[aria-rowindex=\"{RUNS + 1}\"][data-id]')")
        page.locator("[data-sort='c.lr']").focus()
        page.keyboard.press("Enter")
        until(page, "!!document.querySelector('[aria-sort=ascending] [data-sort=\"c.lr\"]')")
        lowest = min(known, key=lambda r: r["config"]["lr"])["id"]
        until(page, f"!!document.querySelector('[aria-rowindex=\"2\"][data-id={lowest}]')")
        page.locator(".rows-space input").first.check()
        assert page.get_by_role("button", name="Compare 1").is_enabled()
        page.get_by_label("Filter runs").fill("width=64")
        wide = sum(r["config"]["width"] == 64 for r in known)
        until(page, f"document.querySelector('main').dataset.rows === '{wide}'")
        page.get_by_label("Filter runs").fill("nonsense>1")
        until(page, "document.querySelector('.flag.bad')?.textContent.includes('no run has')")
        page.get_by_label("Filter runs").fill("")
        until(page, f"document.querySelector('main').dataset.rows === '{RUNS}'")
        tab.shot("sweep-sample")
        assert tab.axe() == []


def test_filter_is_refused_in_words() -> None:
    # What the routes read is counted, and its parser given odd text.
    from thetahat.web._many import read_filter

    with pytest.raises(ConfigError, match="write a number"):
        read_filter("lr<abc")
