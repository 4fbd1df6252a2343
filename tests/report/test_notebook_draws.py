"""What a notebook shows: cards that are escaped and small, and figures that are drawn."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
import stores

import thetahat as th
from thetahat.core import ConfigError, MissingExtra, StoreError
from thetahat.core.card import card, grid, said
from thetahat.figures import (
    draw_band,
    draw_fit,
    draw_slice,
    for_page,
    image,
    inline_svg,
    spark,
)
from thetahat.store import NewSweep, Store, create_sweep, open_store

HOSTILE = stores.HOSTILE


def harmless(text: str) -> None:
    """Fail where a card could run or fetch anything, or is not small."""
    assert "<script" not in text and "<img" not in text and "http" not in text
    assert not re.search(r"\son\w+=", re.sub(r">[^<]*<", "><", text))
    assert "<style" not in text and len(text) < 20_000
    # A notebook's own colours, by day and by night.
    assert not re.search(r"[^-]color:\s*(black|white|#000|#fff)", text)


@pytest.fixture(scope="module")
def result() -> Any:
    x = np.linspace(-1, 1, 60)[:, None]
    data = th.Data((x[::2], np.sin(3 * x[::2, 0])), val=(x[1::2], np.sin(3 * x[1::2, 0])))
    task = th.Task(th.models.MLP(1, width=4, depth=1), data, epochs=12, stopping=th.Patience(5))
    return th.fit(task)


def test_a_task_draws_itself_and_its_words_stay() -> None:
    x = np.zeros((8, 2))
    task = th.Task(th.models.Linear(2), th.Data((x, x[:, 0]), val=(x[:3], x[:3, 0])), loss="huber")
    text = task._repr_html_()
    harmless(text)
    for word in ("train 8, val 3", "huber", "adam", "h(x) - y", "Linear", "float32"):
        assert word in text
    assert repr(task).startswith("Task(model=")


def test_a_result_draws_itself(result: Any) -> None:
    text = result._repr_html_()
    harmless(text)
    assert f"{result.risk['val']:.4g}" in text and "<polyline" in text and "<circle" in text
    assert f"{result.best_epoch} of {result.epochs}" in text
    assert repr(result).startswith("Result(")


def test_a_diverged_result_draws_itself(result: Any) -> None:
    nothing = {**result.history.columns, "val_risk": np.full(12, np.nan)}
    nothing["train_risk"] = np.full(12, np.nan)
    lost = dataclasses.replace(
        result,
        history=dataclasses.replace(result.history, columns=nothing),
        status=th.Status.DIVERGED,
        reason=HOSTILE,
        config={HOSTILE: HOSTILE},
        risk={"train": float("nan"), "val": float("nan")},
        best_epoch=0,
    )
    text = lost._repr_html_()
    harmless(text)
    assert "<polyline" not in text and "&lt;script&gt;" in text
    assert b"no finite number was recorded" in image(lost.plot(), "svg")


def test_a_plot_shows_curves_best_epoch_and_reason(result: Any) -> None:
    figure = result.plot()
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.lines}
    for name in ("train_risk", "val_risk"):
        np.testing.assert_array_equal(lines[name].get_ydata(), result.history[name])
    assert f"best: epoch {result.best_epoch}" in lines
    assert ax.get_title(loc="left") == f"{result.status}: {result.reason}"
    assert ax.get_xlabel() == "epoch"
    assert result.plot(log=True).axes[0].get_yscale() == "log"
    assert result.plot(log=False).axes[0].get_yscale() == "linear"
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG") and size == {"width": 442, "height": 288}


def test_the_scale_is_a_log_scale_where_it_helps() -> None:
    epochs = [1, 2, 3]
    wide = draw_fit({"epoch": epochs, "train_risk": [1.0, 0.1, 0.01]})
    assert wide.axes[0].get_yscale() == "log"
    narrow = draw_fit({"epoch": epochs, "train_risk": [1.0, 0.9, 0.8]})
    assert narrow.axes[0].get_yscale() == "linear"
    negative = draw_fit({"epoch": epochs, "train_risk": [1.0, -0.9, 0.001]}, log=True)
    assert negative.axes[0].get_yscale() == "linear"


def test_drawing_opens_nothing_in_pyplot(result: Any) -> None:
    code = (
        "import io, sys; from thetahat.figures import draw_curves, Curve;"
        "draw_curves([Curve('a', [1, 2], [1.0, 2.0])]).savefig(io.BytesIO());"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_matplotlib_a_plot_says_what_to_install(
    result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'thetahat\[report\]'"):
        result.plot()


def test_runs_and_stores_draw_themselves(store: Store, empty: Store) -> None:
    run = store.run("last")
    harmless(run._repr_html_())
    assert run.name in run._repr_html_() and run.id in run._repr_html_()
    text = store._repr_html_()
    harmless(text)
    assert text.count("<tr") == 11 and run.name in text
    harmless(empty._repr_html_())
    stores.add_run(
        empty, None, {HOSTILE: HOSTILE}, {}, reason=HOSTILE, metrics={HOSTILE: 1.0, "x": None}
    )
    harmless(empty._repr_html_())
    text = empty.run("last")._repr_html_()
    harmless(text)
    assert "not finite" in text
    tested = next(run for run in store.runs() if run.contaminated)
    assert "contaminated: tuned on the test set" in tested._repr_html_()


def test_a_sweep_is_opened_by_id_name_or_last(store: Store, reported: Path) -> None:
    sweep = th.open_sweep("twenty seeds a width", store)
    assert (sweep.name, sweep.metric, len(sweep.runs)) == ("twenty seeds a width", "val_risk", 60)
    assert th.open_sweep(sweep.id, reported).id == sweep.id
    assert th.open_sweep(store=str(reported)).name == "wages, two layers"
    assert sweep.best is sweep.settings[0] and sweep.best.median == np.median(sweep.best.values)
    assert set(sweep.best.config) == {"width"}
    median = f"{sweep.best.median:.6g}"
    assert repr(sweep.best) == (
        f"Setting(width={sweep.best.config['width']}; median {median}, {len(sweep.best.runs)} runs)"
    )
    said = repr(sweep)
    assert said.startswith(
        f"Sweep({sweep.id!r}, 'twenty seeds a width': 60 runs, 1 failed; val_risk: best "
    )
    with pytest.raises(StoreError, match="has no sweep 'nine'"):
        th.open_sweep("nine", store)
    with pytest.raises(ConfigError, match="no run has it; did you mean 'val_risk'"):
        th.open_sweep(sweep.id, store, metric="val_rsk")


def test_a_sweep_draws_itself(store: Store, empty: Store) -> None:
    text = th.open_sweep("last", store)._repr_html_()
    harmless(text)
    assert "the 8 best of 80 settings" in text and text.count("<tr") == 9 and "one seed" in text
    assert "contaminated: it chose by the test set" in (
        th.open_sweep("tuned on the test set", store)._repr_html_()
    )
    hostile = create_sweep(empty, NewSweep(f"method: '{HOSTILE[:20]}'", HOSTILE))
    harmless(th.open_sweep(hostile.id, empty)._repr_html_())
    stores.add_run(empty, hostile, {HOSTILE: 1}, {}, metrics={"val_risk": 1.0})
    stores.add_run(empty, hostile, {HOSTILE: 2}, {}, metrics={"val_risk": 2.0})
    harmless(th.open_sweep(hostile.id, empty)._repr_html_())
    assert th.open_sweep(hostile.id, empty).best is not None


def test_a_table_is_a_frame(store: Store) -> None:
    sweep = th.open_sweep("twenty seeds a width", store)
    frame = sweep.table()
    assert len(frame) == 60
    assert {"name", "status", "width", "seed", "val_risk", "epochs", "id"} <= set(frame.columns)
    settings = sweep.table("setting")
    assert list(settings["runs"]) == [20, 20, 20] and settings["failed"].sum() == 1
    best = frame[frame.width == settings.width[0]].val_risk.median()
    assert settings["val_risk median"][0] == pytest.approx(best)
    with pytest.raises(ConfigError, match="no run has a table 'runs'"):
        sweep.table("runs")


@pytest.mark.parametrize(
    ("draw", "axes"),
    [
        (lambda plot: plot.history(), ("run, in the order they were made", "val_risk")),
        (lambda plot: plot.curves(3), ("epoch", "val_risk")),
        (lambda plot: plot.parallel(), ("", "")),
        (lambda plot: plot.slice("lr"), ("lr", "val_risk")),
        (lambda plot: plot.slice("optimizer"), ("optimizer", "val_risk")),
        (lambda plot: plot.contour("lr", "l2"), ("lr", "l2")),
    ],
)
def test_every_plot_of_a_sweep_draws(store: Store, draw: Any, axes: tuple[str, str]) -> None:
    figure = draw(th.open_sweep("wages, two layers", store).plot)
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == axes
    assert ax.has_data()
    blank = image(_blank(figure), "png", dpi=50)
    assert len(image(figure, "png", dpi=50)) > 1.5 * len(blank)


def _blank(figure: Any) -> Any:
    """An empty figure of the same size."""
    return type(figure)(figsize=figure.get_size_inches())


def test_the_running_best_only_falls(store: Store) -> None:
    sweep = th.open_sweep("wages, two layers", store)
    (line,) = [
        one for one in sweep.plot.history().axes[0].lines if one.get_label() == "best so far"
    ]
    steps = np.asarray(line.get_ydata(), dtype=float)
    assert (np.diff(steps) <= 0).all() and steps[-1] == sweep.best.median


def test_importance_and_seeds_show_what_they_rest_on(store: Store) -> None:
    tuning = th.open_sweep("wages, two layers", store).plot
    ax = tuning.importance().axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "lr"
    assert re.fullmatch(r"importance for val_risk, over 7\d settings", ax.get_xlabel())
    seeds = th.open_sweep("twenty seeds a width", store).plot.seeds().axes[0]
    assert sorted(t.get_text() for t in seeds.get_yticklabels()) == [
        "width=16",
        "width=256",
        "width=64",
    ]


def test_contaminated_numbers_say_so_on_the_axis(store: Store) -> None:
    ax = th.open_sweep("tuned on the test set", store).plot.history().axes[0]
    assert ax.get_ylabel() == "test_loss (contaminated)"


def test_a_parameter_that_does_not_vary_is_refused(store: Store) -> None:
    plot = th.open_sweep("wages, two layers", store).plot
    for ask in (lambda: plot.slice("widht"), lambda: plot.contour("lr", "widht")):
        with pytest.raises(
            ConfigError, match="no parameter 'widht' varies in this sweep; did you mean 'width'"
        ):
            ask()


def test_an_empty_sweep_draws_words(empty: Store) -> None:
    sweep = th.open_sweep(create_sweep(empty, NewSweep("method: grid", "none")).id, empty)
    assert sweep.best is None and len(sweep.table()) == 0
    assert "no number yet" in repr(sweep)
    assert b"no run has a number yet" in image(sweep.plot.history(), "svg")
    assert b"too few to say" in image(sweep.plot.importance(), "svg")


def test_names_are_no_formulas_and_break_no_figure() -> None:
    for name in (r"$\frac{$", "日本語 🎈", HOSTILE, "a\nb", "x" * 500, r"\includegraphics{x}"):
        given = (name, [name, "b", name], [1.0, 2.0, 3.0])
        with for_page():
            svg = inline_svg(draw_slice(*given, metric=name), "f1")
        ElementTree.fromstring(svg)
        assert not re.search(r"<(script|img)", svg)
        assert image(draw_slice(*given, metric=name), "pdf").startswith(b"%PDF")


def test_many_points_become_a_picture_inside_the_figure() -> None:
    xs = [k / 5000 for k in range(5000)]
    with for_page():
        svg = inline_svg(draw_slice("lr", xs, [1 + x for x in xs], metric="val_risk"), "f1")
    assert svg.count("<circle") < 100 and len(svg) < 100_000
    [place] = re.findall(r'<image x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"', svg)
    data = re.search(r'href="data:image/png;base64,([^"]*)"', svg)
    assert data is not None
    drawn = matplotlib.image.imread(io.BytesIO(base64.b64decode(data.group(1))))[..., 3]
    # The points lie on a line from one corner of the axes to the other.
    x0, y0, wide, high = map(float, place)
    rows, columns = np.nonzero(drawn)
    at_x, at_y = _to_numbers(svg)
    seen = at_x(x0 + (columns + 0.5) * wide / drawn.shape[1])
    np.testing.assert_allclose(at_y(y0 + (rows + 0.5) * high / drawn.shape[0]), 1 + seen, atol=0.02)
    assert seen.min() < 0.01 and seen.max() > 0.99


@pytest.mark.parametrize("log", [False, True])
def test_a_figure_of_a_page_draws_its_numbers_where_its_ticks_say(log: bool) -> None:
    rng = np.random.default_rng(0)
    xs = (10 ** rng.uniform(-4, -1, 40) if log else rng.uniform(-3, 8, 40)).tolist()
    ys = rng.uniform(2, 3, 40).tolist()
    with for_page():
        svg = inline_svg(draw_slice("lr", xs, ys, metric="val_risk", log=log), "f1")
    dots = np.array(re.findall(r'<circle cx="([^"]*)" cy="([^"]*)" r="1', svg), float)
    at_x, at_y = _to_numbers(svg, log)
    np.testing.assert_allclose(at_x(dots[:, 0]), xs, rtol=2e-3, atol=0 if log else 0.01)
    np.testing.assert_allclose(at_y(dots[:, 1]), ys, rtol=2e-3)


def test_a_long_line_of_a_page_keeps_its_ends_and_its_peak() -> None:
    ys = [1 + 1 / (1 + k) for k in range(20_000)]
    ys[7_000] = 5.0
    nan = [float("nan")] * 3
    with for_page():
        fit = {"epoch": range(1, 20_001), "train_risk": ys, "val_risk": [*ys[:-3], *nan]}
        svg = inline_svg(draw_fit(fit, best_epoch=20), "f1")
        band = inline_svg(draw_band([1, 2], [1, 1], [2, 2], [3, 3], says_band="all"), "f1")
    [line] = re.findall(r'<path d="(M[^"Z]*)" fill="none" stroke-linejoin[^>]*c1', svg)
    places = np.array(re.findall(r"([\d.]+) ([\d.]+)", line), float)
    at_x, at_y = _to_numbers(svg)
    assert len(places) < 10_000
    np.testing.assert_allclose(at_x(places[[0, -1], 0]), [1, 20_000], atol=60)
    peak = places[:, 1].argmin()
    np.testing.assert_allclose(at_x(places[peak, 0]), 7_001, atol=60)
    np.testing.assert_allclose(at_y(places[[0, peak, -1], 1]), [2, 5, 1], atol=0.02)
    assert ">best: epoch 20<" in svg and ">median<" in band


def _to_numbers(svg: str, log: bool = False) -> tuple[Any, Any]:
    """Functions from places in a figure to numbers, read from the ticks' text."""

    def read(anchor: str, place: str) -> Any:
        text = rf'<text x="([^"]*)" y="([^"]*)" font-size="8" [^>]*anchor="{anchor}">(-?[\d.e-]+)<'
        ticks = np.array(re.findall(text, svg), float)
        ticks[:, 1] -= 0.35 * 8 if place == "y" else 0.0  # its middle is at the tick
        turn, back = (np.log, np.exp) if log and place == "x" else (np.array, np.array)
        line = np.polyfit(ticks[:, "xy".index(place)], turn(ticks[:, 2]), 1)
        return lambda at: back(np.polyval(line, at))

    return read("middle", "x"), read("end", "y")


def test_a_spark_breaks_where_nothing_is_finite() -> None:
    nan = float("nan")
    text = spark({"train_risk": [3.0, 2.0, nan, 1.0, 0.5], "val_risk": [nan] * 5}, best=1)
    assert text.count("<polyline") == 2 and "<circle" not in text
    assert spark({}) == "" and spark({"a": [1.0]}) == "" and spark({"a": [nan, nan]}) == ""
    assert spark({"a": [1.0, 1.0]}).count("<polyline") == 1


def test_cards_escape_cut_and_leave_out_what_is_empty() -> None:
    text = card(HOSTILE, HOSTILE, {HOSTILE: HOSTILE, "none": None}, warnings=[HOSTILE])
    harmless(text + grid([HOSTILE], [[HOSTILE]], HOSTILE))
    assert text.count("&lt;script&gt;") == 5 and "none" not in text
    assert len(said("x" * 1000)) == 160 and said(float("nan")) == "nan" and said(True) == "True"


def test_replicated_settings_say_n_and_failures(tmp_path) -> None:
    with open_store(tmp_path / "st") as store:
        file = "method: grid\nmetric: {name: val_risk}\nparameters:\n  lr: {values: [0.1, 1.0]}\n"
        sweep = create_sweep(store, NewSweep(file, "few"))
        for seed in range(3):
            for lr in (0.1, 1.0):
                run = store.create_run({"lr": lr, "seed": seed}, sweep_id=sweep.id)
                lost = lr == 0.1 and seed == 2
                status = "cancelled" if lost else "finished"
                value = 0.001 if lost else lr + 0.1 * seed
                store.finish_run(run.id, status=status, metrics={"val_risk": value})
    found = th.open_sweep("few", tmp_path / "st")
    assert found.best is not None
    assert repr(found.best) == "Setting(lr=0.1; median 0.15, 2 of 3 runs)"
    assert "median of 2" in repr(found)
    shown = found._repr_html_()
    for word in ("unfinished", "val_risk median", "least to greatest", "did not finish"):
        assert word in shown, word
    frame = found.table("setting")
    assert frame[["runs", "n", "failed", "unfinished"]].iloc[0].tolist() == [3, 2, 0, 1]
    assert frame["val_risk n"].tolist() == [2, 3]
