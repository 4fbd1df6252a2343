"""Settings on the page: the best setting leads, bands end in time, failures take no axis and no prize."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
import stores
from chromium import eventually, serving, settle, until

from thetahat import web
from thetahat.core.acceptance import ACCEPTED, FOUND
from thetahat.core.run import Status
from thetahat.store import NewSweep, create_sweep, describe_run, open_store, set_state

FILE = """\
program: wages.py
method: grid
metric: {name: val_risk, goal: minimize}
parameters:
  lr: {values: [0.01, 0.1, 1.0]}
"""
AXES = """async () => {
  const url = performance.getEntriesByType('resource').map((e) => e.name).find((n) => n.includes('echarts.esm'));
  const echarts = await import(url);
  return [...document.querySelectorAll('.chart')].map((box) => {
    return echarts.getInstanceByDom(box).getModel().getComponent('yAxis').axis.scale.getExtent();
  });
}"""
"""Where the axes of all charts begin and end."""
AXES_THAT_ARE = """async () => {
  const url = performance.getEntriesByType('resource').map((e) => e.name).find((n) => n.includes('echarts.esm'));
  const echarts = await import(url);
  const models = [...document.querySelectorAll('.chart')].map((box) => echarts.getInstanceByDom(box)?.getModel());
  const axes = models.map((model) => model?.getComponent('yAxis')).filter((one) => one && one.axis.type !== 'category');
  return axes.map((one) => one.axis.scale.getExtent());
}"""
"""Those of the charts that have one."""
MEDIANS = {0.01: 0.55, 0.1: 0.5, 1.0: 0.78}


@pytest.fixture(scope="module")
def lucky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rates with ten seeds; of the largest four diverge, and one has the best number of all."""
    where = tmp_path_factory.mktemp("lucky")
    rng = random.Random(5)
    with open_store(where) as store:
        plan = {"replicates": 10, "found": {"seed": "seed"}}
        sweep = create_sweep(store, NewSweep(FILE, "rates", plan=plan, points=30))
        for point, lr in enumerate(MEDIANS):
            for seed in range(10):
                _add(store, sweep, rng, lr, seed, point)
        set_state(store, sweep.id, "finished")
    return where


def _add(store: Any, sweep: Any, rng: random.Random, lr: float, seed: int, point: int) -> None:
    value = MEDIANS[lr] + 0.005 * (seed - 4.5)
    status = Status.FINISHED
    if lr == 1.0 and seed == 9:
        value = 0.3
    columns = stores.curve(rng, value, 0.1, 60 if seed < 7 else 20, 0.01)
    metrics = {"train_risk": value, "val_risk": value, "test_risk": 1.1 * value}
    if lr == 1.0 and seed < 4:
        status = Status.DIVERGED
        columns = {name: values[:20] for name, values in columns.items()}
        for name in ("train_risk", "val_risk"):
            columns[name] = [*columns[name][:10], *(10.0 ** (3 * k) for k in range(1, 11))]
        metrics = {"train_risk": 0.1, "val_risk": math.nan, "test_risk": 0.001}
    elif lr == 0.01 and seed == 5:
        status, metrics["val_risk"] = Status.CANCELLED, 0.0001
    more = {"point": point, "replicate": seed, "metrics": metrics}
    if seed % 2:
        more["detail"] = {"batch_order": "shared"}
    stores.add_run(store, sweep, {"lr": lr, "seed": seed}, columns, status, **more)


@pytest.fixture(scope="module")
def ids(lucky: Path) -> dict[tuple[float, int], str]:
    """Ids of the runs by rate and seed."""
    with open_store(lucky, create=False) as store:
        return {(run.config["lr"], run.config["seed"]): run.id for run in store.runs()}


@pytest.fixture(scope="module")
def sweep(lucky: Path) -> str:
    """The id of the sweep."""
    with open_store(lucky, create=False) as store:
        return store.runs()[0].sweep_id or ""


# -- what the server computes ---------------------------------------------------------------------


def test_the_page_counts_runs_as_the_package_does() -> None:
    text = (Path(web.__file__).parent / "static" / "js" / "model.js").read_text(encoding="utf-8")
    sets = {
        name: set(re.findall(r'"(\w+)"', words))
        for name, words in re.findall(r"export const (\w+) = new Set\(\[(.*?)\]\)", text)
    }
    assert sets["WELL"] == {str(s) for s in Status if s.well}
    assert sets["FAILED"] == {str(s) for s in Status if s.failed}
    assert sets["OPEN"] == {str(s) for s in Status if not s.over}
    assert sets["CUT"] == {str(s) for s in Status if s.over and s.unfinished}
    assert f"/{FOUND}([^;]+){ACCEPTED}$/" in text  # how the solutions of accepted runs are counted


def test_home_and_sweep_give_the_best_setting(lucky, sweep, client_of) -> None:
    client = client_of(lucky)
    (shown,) = client.get("/api/home").json()["sweeps"]
    best = shown["best"]
    assert (best["value"], best["n"], best["runs"], best["failed"]) == (
        pytest.approx(0.5),
        *(10, 10, 0),
    )
    assert best["low"] < best["median"] < best["high"]
    found = client.get(f"/api/sweeps/{sweep}").json()["settings"]
    assert (found["lead"]["config"], found["lead"]["tied"]) == ({"lr": 0.1}, 1)
    assert found["shared_order"] is True
    counts = [(s["n"], s["failed"], s["unfinished"]) for s in found["settings"]]
    assert counts == [(10, 0, 0), (9, 0, 1), (6, 4, 0)]
    assert [value for _, value in found["running"]["run"]] == [
        pytest.approx(found["settings"][1]["median"]),
        pytest.approx(0.5),
    ]
    other = client.get(f"/api/sweeps/{sweep}/settings?metric=test_risk&goal=maximize").json()
    assert other["lead"]["config"] == {"lr": 1.0}


def test_importance_leaves_out_what_did_not_end_well(lucky, sweep, client_of) -> None:
    path = f"/api/sweeps/{sweep}/importance?metric=val_risk&goal=minimize"
    found = client_of(lucky).get(path).json()
    assert (found["n"], found["left_out"]) == (25, {"diverged": 4, "cancelled": 1})


def test_groups_come_from_the_best_with_their_failures(lucky, sweep, client_of) -> None:
    path = f"/api/sweeps/{sweep}/groups?over=seed&metric=val_risk&goal=minimize"
    found = client_of(lucky).get(path).json()
    assert found["shared_order"] is True
    groups = [(g["config"]["lr"], g["runs"], g["failed"], g["unfinished"]) for g in found["groups"]]
    assert groups == [(0.1, 10, 0, 0), (0.01, 10, 0, 1), (1.0, 10, 4, 0)]
    numbers = found["groups"][2]["metrics"]["val_risk"]
    assert (numbers["n"], numbers["q0"]) == (6, 0.3)


def test_a_band_says_of_how_many_runs_and_ends_in_time(lucky, ids, client_of) -> None:
    client = client_of(lucky)
    many = ",".join(ids[0.1, seed] for seed in range(10))
    (group,) = client.get(f"/api/compare?runs={many}&bands=1").json()["settings"]
    band = group["bands"]["val_risk"]
    assert (band["changes"], band["began"], band["least"]) == ([[1, 10], [21, 7]], 10, 5)
    assert all(low < high for low, high in zip(band["low"], band["high"], strict=True))
    # Three of five end at epoch 20: what is left is too few for a band.
    few = ",".join(ids[0.1, seed] for seed in (0, 1, 7, 8, 9))
    (group,) = client.get(f"/api/compare?runs={few}&bands=1").json()["settings"]
    assert group["bands"]["val_risk"]["x"][-1] == 20
    lost = ",".join(ids[1.0, seed] for seed in range(10))
    (group,) = client.get(f"/api/compare?runs={lost}&bands=1").json()["settings"]
    assert (group["runs"], group["failed"]) == (10, 4)
    assert set(group["bands"]["val_risk"]["n"]) == {6}
    assert client.get(f"/api/compare?runs={lost}").json()["settings"][0]["bands"] == {}


@pytest.mark.parametrize("found", [{"seeds": ["draw"]}, {"seed": "draw"}])
def test_a_seed_of_another_name_and_what_a_program_adds_are_no_parameters(
    tmp_path, client_of, found
) -> None:
    file = FILE.replace("1.0]}", "1.0]}\n  z: {values: [0, 1, 2, 3]}\n  draw: {values: [0, 1]}")
    plan = {"found": found, **({"replicates": 2} if "seed" in found else {})}
    rng = random.Random(0)
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(file, "draws", plan=plan))
        ids = []
        for lr in MEDIANS:
            for z, draw in [(z, draw) for z in range(4) for draw in range(2)]:
                value = MEDIANS[lr] + 0.05 * rng.random()
                config = {"lr": lr, "z": z, "draw": draw}
                run = store.create_run(config, sweep_id=sweep.id)
                with store.batch() as writer:
                    describe_run(writer, run.id, config={"pid": len(ids)})
                store.finish_run(run.id, status="finished", metrics={"val_risk": value})
                ids.append(run.id)
    client = client_of(tmp_path)
    path = f"/api/sweeps/{sweep.id}/importance?metric=val_risk&goal=minimize"
    told = client.get(path).json()
    assert [effect["name"] for effect in told["effects"]] == ["lr", "z"]
    assert (told["n"], told["settings"]) == (24, 12)
    page = client.get(f"/api/sweeps/{sweep.id}").json()
    assert (page["sweep"]["seeds"], page["settings"]["replicated"]) == (["draw"], True)
    assert client.get(f"/api/runs/{ids[0]}").json()["seeds"] == 2


def test_runs_of_several_experiments_are_of_no_common_band(tmp_path, client_of) -> None:
    with open_store(tmp_path) as store:
        ids = [
            store.create_run({"lr": 0.1, "seed": seed}, experiment=name).id
            for name in ("first", "second")
            for seed in range(3)
        ]
    found = client_of(tmp_path).get(f"/api/compare?runs={','.join(ids)}&bands=1").json()
    told = [(one["experiment"], one["config"], one["runs"]) for one in found["settings"]]
    assert told == [("first", {"lr": 0.1}, 3), ("second", {"lr": 0.1}, 3)]


# -- what the page draws --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served_lucky(lucky: Path):
    with serving(lucky) as url:
        yield url


@pytest.mark.browser
def test_tile_top_row_and_home_show_the_best_setting(look, served_lucky, sweep) -> None:
    tab = look(served_lucky)
    page = tab.open("/")
    row = page.locator("table tbody tr", has_text="rates").first.inner_text()
    assert "0.5" in row and "median of 10" in row and "0.3" not in row
    page = tab.open(f"/sweep/{sweep}")
    tile = page.locator(".tile.lead").inner_text()
    assert "best median val_risk" in tile and "n=10 of 10" in tile and "lr=0.1" in tile
    until(page, "document.querySelector('.tabulator-row') !== null")
    top = page.locator(".tabulator-row").first
    assert top.locator('[tabulator-field="c.lr"]').inner_text() == "0.1000"
    assert "n=10" in top.locator('[tabulator-field="setting"]').inner_text()
    assert "4 of 30, 4 diverged; 1 not finished" in page.locator(".tiles").inner_text()
    until(page, "document.body.innerText.includes('Seeds share the order of batches')")
    assert tab.axe() == []


@pytest.mark.browser
@pytest.mark.parametrize("seeds", [1, 2])
def test_the_tile_says_how_many_share_the_first_place(look, tmp_path, seeds) -> None:
    with open_store(tmp_path / "s") as store:
        plan = {"replicates": seeds, "found": {"seed": "seed"}} if seeds > 1 else {}
        sweep = create_sweep(store, NewSweep(FILE, "rates", plan=plan, points=3 * seeds)).id
        for lr, value in {0.01: 0.5, 0.1: 0.25, 1.0: 0.25}.items():
            for seed in range(seeds):
                run = store.create_run({"lr": lr, "seed": seed}, sweep_id=sweep, point=1)
                store.finish_run(run.id, status="finished", metrics={"val_risk": value})
    with serving(tmp_path / "s") as url:
        tab = look(url)
        page = tab.open(f"/sweep/{sweep}")
        until(page, "document.querySelector('.tiles').innerText.includes('2 alike')")
        page = tab.open(f"/sweep/{sweep}?metric=val_risk&goal=maximize")
        until(page, "document.querySelector('.tiles').innerText.includes('0.5')")
        assert "alike" not in page.locator(".tiles").inner_text()


LABELS = """async () => {
  const url = performance.getEntriesByType('resource').map((e) => e.name).find((n) => n.includes('echarts.esm'));
  const echarts = await import(url);
  const found = [];
  for (const box of document.querySelectorAll('.chart')) {
    const chart = echarts.getInstanceByDom(box);
    const grid = chart.getModel().getComponent('grid').coordinateSystem.getRect();
    for (const one of chart.getZr().storage.getDisplayList()) {
      if (one.ignore || one.invisible || !/^n=/.test(one.style.text || '')) continue;
      const rect = one.getBoundingRect().clone();
      if (one.transform) rect.applyTransform(one.transform);
      found.push([one.style.text, rect.x - grid.x, grid.x + grid.width - rect.x - rect.width]);
    }
  }
  return found;
}"""
"""Labels of counts, and how far they lie inside the axes, left and right."""


@pytest.mark.browser
def test_the_counts_of_a_band_lie_inside_the_axes(look, served_lucky, ids) -> None:
    many = ",".join(ids[lr, seed] for lr in MEDIANS for seed in range(10))
    page = look(served_lucky).open(f"/compare?runs={many}&bands=1")
    until(page, "document.querySelector('.chart canvas') !== null")
    eventually(page, lambda: len({text for text, _, _ in page.evaluate(LABELS)}) >= 2)
    settle(page)
    found = page.evaluate(LABELS)
    assert [one for one in found if min(one[1:]) < 0] == []


@pytest.mark.browser
def test_another_metric_has_another_best_setting(look, served_lucky, sweep) -> None:
    page = look(served_lucky).open(f"/sweep/{sweep}?metric=test_risk&goal=maximize")
    assert "lr=1" in page.locator(".tile.lead").inner_text()
    assert "4 failed" in page.locator(".tile.lead").inner_text()


@pytest.mark.browser
def test_a_diverged_run_takes_neither_the_axis_nor_the_prize(look, served_lucky, ids) -> None:
    tab = look(served_lucky)
    asked = ",".join([ids[0.01, 0], ids[0.1, 0], ids[1.0, 0]])
    page = tab.open(f"/compare?runs={asked}")
    eventually(page, lambda: tab.blank() == [])
    bold = page.locator("table b")
    assert bold.count() == 1
    row = page.locator("tr", has=page.locator("b")).inner_text()
    assert row.split()[0] == "val_risk" and bold.inner_text() == "0.4775"
    assert "arrows show where another leaves it" in page.locator("main").inner_text()
    lows, highs = zip(*page.evaluate(AXES), strict=True)
    assert len(highs) == 2 and max(highs) < 4 and min(lows) >= 0
    page.click("text=log scale")
    settle(page)
    assert max(high for _, high in page.evaluate(AXES)) < 4


@pytest.mark.browser
def test_among_seeds_of_one_setting_none_is_the_best(look, served_lucky, ids) -> None:
    asked = ",".join(ids[1.0, seed] for seed in (5, 8, 9))
    page = look(served_lucky).open(f"/compare?runs={asked}")
    assert page.locator("table b").count() == 0
    page.click("text=bands over seeds")
    until(page, "document.body.innerText.includes('at least 3')")


@pytest.mark.browser
@pytest.mark.parametrize("log", [False, True])
def test_a_run_that_did_not_end_well_takes_no_axis_of_its_sweep(look, tmp_path, log) -> None:
    with open_store(tmp_path) as store:
        sweep = create_sweep(store, NewSweep(FILE, "rates", points=9))
        ends = [("finished", 1.0 + 0.1 * k) for k in range(6)]
        ends += [("failed", 1e30), ("diverged", 1e34), ("cancelled", 1e-9), ("interrupted", 1.7)]
        for number, (status, value) in enumerate(ends):
            run = store.create_run({"lr": 0.01 * (number + 1)}, sweep_id=sweep.id, point=number)
            store.finish_run(run.id, status=status, metrics={"val_risk": value})
    with serving(tmp_path) as url:
        page = look(url).open(f"/sweep/{sweep.id}?x=run&log={int(log)}")
        until(page, "document.querySelectorAll('.chart').length > 2")
        # A chart is in the page before it is drawn.
        eventually(page, lambda: len(page.evaluate(AXES_THAT_ARE)) >= 2)
        extents = page.evaluate(AXES_THAT_ARE)
        assert all(low >= 0 and high < 4 for low, high in extents), extents
        assert "beyond the axis" in page.locator("main").inner_text()
