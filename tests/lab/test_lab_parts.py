"""What experiments share: samples, grids, columns, decompositions, panels, and the catalogue."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import thetahat as th
from thetahat.figures import Heat, Line, Panel, draw_panels, image

FOLDER = Path(th.lab.__file__).parent / "experiments"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__"]


def test_noise_does_not_move_the_points():
    quiet, noisy = (th.lab.sample(lambda x: x[0], 50, d=2, sigma=s, seed=3) for s in (0.0, 1.0))
    assert np.array_equal(quiet.x, noisy.x)
    assert np.array_equal(quiet.y, quiet.x[:, 0])
    assert np.abs(np.asarray(quiet.x)).max() <= 1
    assert 0.7 < np.std(np.asarray(noisy.y - quiet.y)) < 1.3


def test_a_fit_that_ended_early_has_nan_after_its_end():
    def line(lr: float = 0.1) -> th.Task:
        draw = th.dgp.linear(20, 2, 0.1, seed=0)
        return th.Task(
            th.models.Linear(2), th.Data(draw.obs), optimizer=th.optim.named("sgd", lr), epochs=60
        )

    good, bad = fits = th.fit_many(line, [{"lr": 0.1}, {"lr": 50.0}])
    assert bad.epochs < good.epochs == 60
    found = th.lab.columns(fits, "train_risk")
    assert found.shape == (2, 60)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1, bad.epochs :]).all()
    with pytest.raises(th.InputError, match="no results"):
        th.lab.columns([], "train_risk")


def test_an_infinite_value_moves_no_quantile_but_the_last():
    low, middle, high = th.lab.quantile_band([1.0, 2.0, 3.0, np.nan, 4.0])
    assert (low, middle, high) == (1.0, 3.0, np.inf)


def test_decomposition_of_fits_that_scatter_around_a_biased_best():
    rng = np.random.default_rng(0)
    truth, best = np.zeros(40), np.full(40, 0.5)
    fitted = best + 0.2 * rng.normal(size=(4000, 40))
    parts = th.lab.decompose(fitted, best, truth)
    assert parts.approximation == pytest.approx(0.25)
    assert parts.estimation == pytest.approx(0.04, abs=4 * parts.estimation_se)
    assert parts.variance == pytest.approx(0.04, abs=4 * parts.variance_se)
    assert 0 < parts.estimation_se < 0.01
    with pytest.raises(th.InputError, match=r"give \(R, N\)"):
        th.lab.decompose(fitted, best[:3], truth)


def test_panels_are_drawn_with_gaps_bands_and_colours():
    x = [1.0, 2.0, 3.0]
    panels = [
        Panel("Lines", [Line("a", x, [1.0, float("nan"), 100.0], [0.5] * 3, [200.0] * 3),
                        Line("b", x, [2.0] * 3, look="dashed")], log_x=True, mark=(2.0, "here")),
        Heat("Heat", [[1.0, 2.0], [3.0, 4.0]], [0, 1], [0, 1]),
        Panel("Nothing", [Line("a", x, [float("nan")] * 3)]),
    ]  # fmt: skip
    figure = draw_panels(panels)
    assert len(figure.axes) == 4  # one is the bar of colours
    assert figure.axes[0].get_yscale() == "log"
    assert image(figure, "svg") == image(draw_panels(panels), "svg")
    with pytest.raises(ValueError, match="no look 'wavy'"):
        draw_panels([Panel("", [Line("a", x, x, look="wavy")])])


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_short_and_asks_one_question(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert first.endswith("?")
    assert first == th.lab.list_questions()[name]
    settings = th.lab.read_experiment(name).settings
    assert all(isinstance(value, (int, float)) for value in settings.values())


def test_every_experiment_has_its_page_and_figure():
    docs = Path(__file__).parents[2] / "docs"
    page, gallery = (
        (docs / f"{name}.md").read_text(encoding="utf-8") for name in ("lab", "gallery")
    )
    for name in NAMES:
        assert (docs / "images" / f"lab-{name}.png").exists(), name
        assert f"thetahat lab run {name}\n" in page, name
        assert f"images/lab-{name}.png" in gallery, name


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(th.InputError, match="no experiment 'xors'; did you mean 'xor'"):
        th.lab.read_experiment("xors")
    with pytest.raises(th.InputError, match="has no parameter 'start'; did you mean 'starts'"):
        th.lab.read_experiment("xor").run(start=3)
    with pytest.raises(th.InputError, match=r"xor: starts=2.5; give a whole number"):
        th.lab.read_experiment("xor").run(starts=2.5)
