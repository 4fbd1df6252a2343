"""Settings of a sweep, wherever they are shown, recomputed by pandas and NumPy from its runs."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sweeps
import thetahat as th

COUNTS = ("runs", "n", "failed", "unfinished")
NUMBERS = {"median": "median", "q10": "q10", "q90": "q90"}


@dataclass(frozen=True)
class Made:
    """A sweep in a store, its runs as the command prints them, and what pandas makes of them."""

    where: Path
    id: str
    metric: str
    goal: str
    runs: pd.DataFrame
    settings: pd.DataFrame

    @property
    def sign(self) -> int:
        return 1 if self.goal == "minimize" else -1


@pytest.fixture(params=[("minimize", "val_risk"), ("maximize", "accuracy")], ids=["min", "max"])
def made(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    thetahat: Callable[..., tuple[int, str, str]],
) -> Made:
    goal, metric = request.param
    where = tmp_path_factory.mktemp("swept")
    sweep = sweeps.make(where, goal, metric)
    runs = sweeps.raw_runs(thetahat, where, sweep)
    sign = 1 if goal == "minimize" else -1
    settings = sweeps.by_setting(runs, ["seed"], metric, sign, sweeps.REPLICATES)
    return Made(where, sweep, metric, goal, runs, settings)


def test_the_sweep_has_all_that_can_become_of_a_run(made: Made) -> None:
    statuses = {*made.runs["status"]}
    assert statuses >= {"finished", "stopped", "failed", "diverged", "cancelled", "interrupted"}
    assert statuses >= {"running", "unmoved"}
    table = made.settings
    assert [*table["place"]] == [0] * 4 + [1] * 4 + [2], "settings of each kind"
    assert table["median"].duplicated(keep=False).sum() == 2, "a tie"
    best, unsettled = table["key"].iloc[0], table["key"][table["place"] == 1]
    assert unsettled.min() < best, "a better number of too few runs"


@pytest.mark.parametrize("over", ["seed", "width,seed", "lr", "width"])
def test_groups_in_json_are_those_of_pandas(
    made: Made, over: str, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    out = thetahat("runs", made.id, f"--over={over}", "--format=json", f"--store={made.where}")[1]
    planned = sweeps.REPLICATES if "seed" in over else 1
    right = sweeps.by_setting(made.runs, over.split(","), made.metric, made.sign, planned)
    found = json.loads(out)
    assert len(found) == len(right)
    names = [n for n in ("lr", "width", "seed") if n in right]
    assert [g["config"] for g in found] == right[names].to_dict("records")
    for group, row in zip(found, right.to_dict("records"), strict=True):
        same_numbers(group, row, made.metric, NUMBERS)
    # The other metric rests on the same runs: those that ended well with what is tuned.
    table = made.runs.assign(end=sweeps.ends(made.runs, made.metric))
    for group, row in zip(found, right.to_dict("records"), strict=True):
        kept = table[table["id"].isin(row["ids"]) & (table["end"] == "well")]
        if len(kept):
            other = np.quantile(kept["metric test_risk"].astype(float), [0.1, 0.5, 0.9])
            numbers = group["metrics"]["test_risk"]
            assert [numbers[q] for q in ("q10", "median", "q90")] == pytest.approx([*other])


def same_numbers(
    group: dict[str, Any], row: dict[Any, Any], metric: str, names: dict[str, str]
) -> None:
    """A group in JSON is a row of pandas."""
    assert [group[key] for key in ("runs", "failed", "unfinished")] == [
        row[key] for key in ("runs", "failed", "unfinished")
    ]
    numbers = group["metrics"].get(metric)
    assert (numbers is None) == (row["n"] == 0)
    if numbers is not None:
        assert numbers["n"] == row["n"]
        for ours, theirs in names.items():
            assert numbers[ours] == pytest.approx(row[theirs], rel=1e-12), ours


def cells(text: str, separator: str) -> pd.DataFrame:
    """A printed table as strings, without its marks."""
    rows = []
    for line in text.splitlines():
        line = re.sub(r"\\tnote\{\w+\}|<sup>\w+</sup>|\\\\$", "", line.strip())
        line = line.replace("$-", "-").replace("$", "").replace("\\_", "_")
        split = re.split(separator, line.strip().strip("|").strip())
        if len(split) > 4 and not set(line) <= set("-─ |:"):
            rows.append([cell.strip() for cell in split])
    return pd.DataFrame(rows[1:], columns=pd.Index(rows[0]))


def same_cells(found: pd.DataFrame, made: Made, digits: float) -> None:
    """A printed table has the settings of pandas in their order, its numbers rounded."""
    right = made.settings
    assert len(found) == len(right)
    for name in ("lr", "width", *COUNTS):
        assert [float(v) for v in found[name]] == [*right[name].astype(float)], name
    for name in NUMBERS:
        column = found[f"{made.metric} {name}"]
        for cell, value in zip(column, right[name], strict=True):
            if math.isnan(value):
                assert cell in ("", "–", "--", "nan")
            else:
                assert float(cell) == pytest.approx(value, rel=digits), name


READERS = {
    "csv": lambda text: pd.read_csv(io.StringIO(text), dtype=str).fillna(""),
    "latex": lambda text: cells(text.split("\\midrule")[0].split("}\n\\toprule")[-1]
                                + text.split("\\midrule")[1].split("\\bottomrule")[0], " & "),
    "table": lambda text: cells(text, r"\s{2,}"),
    "md": lambda text: cells(text.split("## Results by setting")[1].split("\n\n")[1], r" \| "),
}  # fmt: skip


@pytest.mark.parametrize("format", ["csv", "latex", "table"])
def test_groups_that_are_printed_are_those_of_pandas(
    made: Made,
    format: str,
    thetahat: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    words = ["runs", made.id, "--over=seed", f"--format={format}", f"--store={made.where}"]
    out = thetahat(*words)[1]
    same_cells(READERS[format](out), made, 1e-12 if format == "csv" else 1e-3)


@pytest.mark.parametrize("format", ["csv", "latex", "md"])
def test_reports_have_the_settings_of_pandas(
    made: Made, format: str, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    out = thetahat("report", made.id, f"--format={format}", f"--store={made.where}")[1]
    same_cells(READERS[format](out), made, 1e-12 if format == "csv" else 1e-3)


def test_the_report_in_html_has_the_settings_of_pandas(
    made: Made, tmp_path: Path, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    file = tmp_path / "r.html"
    assert thetahat("report", made.id, f"-o={file}", f"--store={made.where}")[0] == 0
    text = re.sub(r"<sup[^>]*>.*?</sup>", "", file.read_text(encoding="utf-8"))
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        lines = re.split(r"<tr[^>]*>", table)[1:]
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]
        if f"{made.metric} median" in rows[0]:
            found = pd.DataFrame(rows[1:], columns=pd.Index(rows[0]))
            same_cells(found, made, 1e-3)
            return
    pytest.fail("the report has no table of settings")


def test_the_headline_of_a_report_is_the_best_setting_and_says_what_it_passes_over(
    made: Made, thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    out = thetahat("report", made.id, "--format=md", f"--store={made.where}")[1]
    best = made.settings.iloc[0]
    which = "lowest" if made.goal == "minimize" else "highest"
    line = next(li for li in out.splitlines() if li.startswith(f"The {which} median"))
    assert f"at lr={best['lr']:g}, width={best['width']}" in line
    assert ", of the settings of which at least half of the runs ended well" in line
    assert f"over {best['n']} runs" in line.replace(" of its", "")
    numbers = [float(v) for v in re.findall(r"(?:is|les:|to) (-?\d+\.\d+)", line)]
    near = "q10" if best["n"] >= 5 else "least", "q90" if best["n"] >= 5 else "greatest"
    assert numbers == pytest.approx([best["median"], *(best[k] for k in near)], rel=1e-3)


def test_the_page_has_the_settings_of_pandas(made: Made, page: Callable[..., Any]) -> None:
    asked = {"metric": made.metric, "goal": made.goal}
    found = page(made.where, f"/api/sweeps/{made.id}/settings", **asked)
    right = made.settings
    assert len(found["settings"]) == len(right)
    for one, row in zip(found["settings"], right.to_dict("records"), strict=True):
        assert [one[key] for key in COUNTS] == [row[key] for key in COUNTS]
        assert one["settled"] == row["enough"]
        if row["n"]:
            few = row["n"] < 5
            ends = ("least", "greatest") if few else ("q10", "q90")
            assert one["says"] == ("least to greatest" if few else "10 to 90 %")
            numbers = [row["median"], row[ends[0]], row[ends[1]]]
            assert [one["median"], one["low"], one["high"]] == pytest.approx(numbers, rel=1e-12)
        else:
            assert one["median"] is None
    place = {run: i for i, row in right.iterrows() for run in row["ids"]}
    assert found["place"] == place
    assert {*found["lead"]["ids"]} == {*right.iloc[0]["ids"]}
    assert found["lead"]["median"] == pytest.approx(right.iloc[0]["median"], rel=1e-12)
    whole = page(made.where, f"/api/sweeps/{made.id}")
    assert whole["settings"] == found
    assert whole["counts"] == made.runs["status"].value_counts().to_dict()


def test_the_running_best_is_numpys(made: Made, page: Callable[..., Any]) -> None:
    asked = {"metric": made.metric, "goal": made.goal}
    found = page(made.where, f"/api/sweeps/{made.id}/settings", **asked)["running"]
    there = made.settings[made.settings["enough"]].sort_values("last")
    best = np.minimum.accumulate(there["key"].to_numpy())
    falls = np.r_[True, np.diff(best) < 0]
    # A store of one sweep: the number of a run is its place in the order, from 1.
    right = [*zip(there["last"][falls] + 1, made.sign * best[falls], strict=True)]
    assert len(right) > 1
    assert [tuple(step) for step in found["run"]] == [(k, pytest.approx(v)) for k, v in right]
    times = [time for time, _ in found["time"]]
    assert times == sorted(times)
    values = made.sign * np.array([value for _, value in found["time"]])
    assert (np.diff(values) < 0).all() and values[-1] == pytest.approx(best[-1])


@pytest.mark.parametrize("over", ["seed", "lr"])
def test_groups_of_the_page_are_those_of_pandas(
    made: Made, over: str, page: Callable[..., Any]
) -> None:
    asked = {"metric": made.metric, "goal": made.goal, "over": over}
    found = page(made.where, f"/api/sweeps/{made.id}/groups", **asked)["groups"]
    planned = sweeps.REPLICATES if over == "seed" else 1
    right = sweeps.by_setting(made.runs, [over], made.metric, made.sign, planned)
    assert len(found) == len(right)
    names = NUMBERS | {"q0": "least", "q100": "greatest"}
    for group, row in zip(found, right.to_dict("records"), strict=True):
        assert group["config"] == {key: row[key] for key in ("lr", "width", "seed") if key in row}
        assert {*group["ids"]} == {*row["ids"]}
        same_numbers(group, row, made.metric, names)


def test_the_notebook_has_the_settings_of_pandas(made: Made) -> None:
    with th.open_store(made.where) as store:
        opened = th.open_sweep(made.id, store)
        table, best = opened.table("setting"), opened.best
    right = made.settings
    for name in ("lr", "width", *COUNTS):
        assert [*table[name]] == [*right[name]], name
    for name in NUMBERS:
        column = next(c for c in table if str(c).replace("_", " ").endswith(f" {name}"))
        np.testing.assert_allclose(table[column].astype(float), right[name], rtol=1e-12)
    assert best.median == pytest.approx(right.iloc[0]["median"], rel=1e-12)
    assert dict(best.config) == {key: right.iloc[0][key] for key in ("lr", "width")}


def test_bands_are_quantiles_of_the_records_where_enough_runs_are_left(
    made: Made, page: Callable[..., Any], thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    bands = 0
    for row in made.settings.to_dict("records"):
        names = ",".join(row["ids"])
        (found,) = page(made.where, "/api/compare", runs=names, bands=1)["settings"]
        members = made.runs[made.runs["id"].isin(row["ids"])]
        end = sweeps.ends(members, made.metric)
        # Beside the sweep there is no metric to be lost: a run that ended well has.
        failed = members["status"].isin(sweeps.FAILED).sum()
        assert (found["runs"], found["failed"]) == (row["runs"], failed)
        assert found["unfinished"] == (end == "unfinished").sum()
        kept = members[members["status"].isin([*sweeps.WELL, "queued", "running"])]
        records = [records_of(thetahat, made, run) for run in kept["id"]]
        curves = pd.DataFrame(dict(enumerate(records))).sort_index()
        if not len(kept):
            assert found["bands"] == {}
            continue
        left = curves.notna().sum(axis=1)
        curves = curves[left >= max(3, math.ceil(len(members) / 2))]
        band = found["bands"][made.metric]
        assert band["x"] == [*curves.index]
        assert band["n"] == [*curves.notna().sum(axis=1)]
        assert band["began"] == len(members)
        bands += len(curves) > 0
        for name, q in (("low", 0.1), ("middle", 0.5), ("high", 0.9)):
            right = np.nanquantile(curves.to_numpy(float), q, axis=1) if len(curves) else []
            np.testing.assert_allclose(band[name], right, rtol=1e-12)
    assert bands >= 3


def records_of(
    thetahat: Callable[..., tuple[int, str, str]], made: Made, run: str
) -> pd.Series[float]:
    """The metric of a run by epoch, as the command prints it."""
    out = thetahat("show", run, "--history", "--format=json", f"--store={made.where}")[1]
    table = pd.DataFrame(json.loads(out))
    return table.set_index("epoch")[made.metric].astype(float)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_best_of_single_runs_is_that_of_pandas_everywhere(
    goal: str,
    tmp_path: Path,
    thetahat: Callable[..., tuple[int, str, str]],
    page: Callable[..., Any],
) -> None:
    sweep, sign = sweeps.single(tmp_path, goal), 1 if goal == "minimize" else -1
    store = f"--store={tmp_path}"
    runs = sweeps.raw_runs(thetahat, tmp_path, sweep)
    assert runs["status"].nunique() >= 8
    table = runs.assign(end=sweeps.ends(runs, "score"))
    assert table["end"].value_counts().to_dict().keys() == {"well", "failed", "unfinished"}
    key = sign * table["metric score"].astype(float)
    well = table[table["end"] == "well"].assign(key=key).sort_values("key", kind="stable")
    best = well.iloc[0]
    assert key.min() < best["key"], "a better number that does not count"

    found = page(tmp_path, f"/api/sweeps/{sweep}/settings", metric="score", goal=goal)
    assert found["lead"]["ids"] == [best["id"]]
    assert found["lead"]["median"] == pytest.approx(best["metric score"], rel=1e-12)
    order = well.sort_index()
    running = np.minimum.accumulate(order["key"].to_numpy())
    falls = np.r_[True, np.diff(running) < 0]
    steps = [*zip(order.index[falls] + 1, sign * running[falls], strict=True)]
    assert [tuple(step) for step in found["running"]["run"]] == steps

    with th.open_store(tmp_path) as opened:
        mine = th.open_sweep(sweep, opened)
        assert [run.id for run in mine.best.runs] == [best["id"]]
        assert mine.best.config["optim.lr"] == best["optim.lr"]
        (axes,) = mine.plot.history().axes
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    assert any(
        values.size and values[-1] == pytest.approx(best["metric score"]) for values in drawn
    )

    listed = pd.read_csv(io.StringIO(thetahat("report", sweep, "--format=csv", store)[1]))
    np.testing.assert_allclose(listed["score"].dropna(), well["metric score"], rtol=1e-12)
    assert [*listed["optim.lr"][: len(well)]] == [*well["optim.lr"]]
    counts = listed[["runs", "n", "failed", "unfinished"]].sum().to_dict()
    ended = table["end"].value_counts()
    assert counts == {"runs": len(runs), "n": ended["well"]} | {
        name: ended[name] for name in ("failed", "unfinished")
    }
    said = thetahat("report", sweep, "--format=md", store)[1]
    which = "lowest" if goal == "minimize" else "highest"
    number = re.search(rf"The {which} score is (-?[\d.]+)", said)
    assert number and float(number[1]) == pytest.approx(best["metric score"], rel=1e-3)
    assert f"the best of {len(well)}" in said
    assert "of which at least half" not in said, "no setting is passed over"


@pytest.mark.parametrize("quantiles", [(0.25, 0.75), (0.025, 0.5, 0.975), (0.0, 1.0)])
def test_other_quantiles_are_numpys(
    made: Made, quantiles: tuple[float, ...], thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    words = [f"--quantiles={','.join(map(str, quantiles))}", f"--store={made.where}"]
    out = thetahat("runs", made.id, "--over=seed", "--format=json", *words)[1]
    end = sweeps.ends(made.runs, made.metric)
    for group, row in zip(json.loads(out), made.settings.to_dict("records"), strict=True):
        kept = made.runs[made.runs["id"].isin(row["ids"]) & (end == "well")]
        for q in quantiles if len(kept) else ():
            right = np.quantile(kept[f"metric {made.metric}"].astype(float), q)
            found = group["metrics"][made.metric][f"q{100 * q:g}"]
            assert found == pytest.approx(right, rel=1e-12)


def test_figures_of_the_notebook_draw_the_numbers_of_pandas(
    made: Made, page: Callable[..., Any], thetahat: Callable[..., tuple[int, str, str]]
) -> None:
    with th.open_store(made.where) as store:
        plot = th.open_sweep(made.id, store).plot
        (history,), (seeds,), (curves,) = (
            figure.axes for figure in (plot.history(), plot.seeds(), plot.curves())
        )
        names = {run.name: run.id for run in th.open_sweep(made.id, store).runs}
    end = sweeps.ends(made.runs, made.metric)
    well = made.runs[end == "well"]
    values = well[f"metric {made.metric}"].to_numpy(float)
    # The metric over runs: a dot each, and the best median of settings whose runs are all there.
    dots = np.asarray(history.collections[0].get_offsets())
    over = made.runs.index[~made.runs["status"].isin(["queued", "running"])]
    place = over.get_indexer(well.index) + 1  # Runs that are not over have no place.
    assert dots == pytest.approx(np.column_stack([place, values]))
    asked = {"metric": made.metric, "goal": made.goal}
    steps = page(made.where, f"/api/sweeps/{made.id}/settings", **asked)["running"]["run"]
    line = next(li for li in history.lines if "best" in str(li.get_label()))
    drawn = np.asarray(line.get_ydata(), float)
    assert [*drawn[np.r_[True, np.diff(drawn) != 0]]] == pytest.approx([v for _, v in steps])
    # Seeds: a setting a row, its runs as dots, its median and its band.
    there = made.settings[made.settings["n"] > 0].to_dict("records")
    rows = {round(float(np.mean(d.get_offsets()[:, 1]))): d for d in seeds.collections}
    labels = [text.get_text() for text in seeds.get_yticklabels()]
    for k, row in enumerate(reversed(there)):
        assert labels[k] == f"lr={row['lr']:g}, width={row['width']}"
        members = well[well["id"].isin(row["ids"])][f"metric {made.metric}"]
        assert sorted(rows[k].get_offsets()[:, 0]) == pytest.approx(sorted(members))
        lines = [
            li.get_xdata() for li in seeds.lines if len(li.get_ydata()) and li.get_ydata()[0] == k
        ]
        few = row["n"] < 5
        ends = [row["least" if few else "q10"], row["greatest" if few else "q90"]]
        assert [*lines[0]] == pytest.approx(ends) and [*lines[1]] == pytest.approx([row["median"]])
    # Curves: a run of each of the best settings, the one nearest to the median, ringed at its best.
    first = next(li for li in curves.lines if len(li.get_xdata()) > 1)
    best = made.settings.iloc[0]
    members = well[well["id"].isin(best["ids"])]
    far = (members[f"metric {made.metric}"].astype(float) - best["median"]).abs()
    run = names[str(first.get_label())]
    assert run in [*members["id"][far == far.min()]]
    records = records_of(thetahat, made, run)
    assert [*first.get_ydata()] == pytest.approx([*records])
    if made.metric != "val_risk":
        return  # Only a validation risk has a best epoch.
    ring = next(li for li in curves.lines if len(li.get_xdata()) == 1)
    at = (made.sign * records).idxmin()
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (at, pytest.approx(records[at]))
