"""Do the estimators pass every check of scikit-learn with their defaults, and by how few programs?

``check_estimator`` on ``NeuralRegressor()`` and ``NeuralClassifier()``, with SCIPY_ARRAY_API=1 and
an empty cache of compiled programs. A trace is a program that a fit had to make.

    python -m benchmarks.sklearn.checks [--write]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import machine

NAMES = ("NeuralRegressor", "NeuralClassifier")
STATUSES = ("passed", "failed", "skipped", "xfail")


def checked(name: str) -> dict[str, Any]:
    """Run all checks on one estimator, in this process."""
    from sklearn.utils.estimator_checks import check_estimator

    import thetahat.sklearn

    warnings.simplefilter("ignore")
    kind, traces = getattr(thetahat.sklearn, name), []

    @functools.wraps(kind.fit)
    def fit(self: Any, *args: Any, fit: Any = kind.fit, **more: Any) -> Any:
        fit(self, *args, **more)
        traces.append(self.traces_)
        return self

    kind.fit = fit
    began = time.process_time()
    found = check_estimator(kind(), on_fail=None, on_skip=None)
    counts = Counter(one["status"] for one in found)
    wrong = [(one["check_name"], str(one["exception"])) for one in found if one["exception"]]
    print(wrong, file=sys.stderr)
    return {
        **{status: counts[status] for status in STATUSES},
        "fits": len(traces),
        "traces": sum(traces),
        "cpu_s": time.process_time() - began,
    }


def markdown(answer: dict[str, Any]) -> str:
    """Write the answer as a page."""
    lines = ["# check_estimator with the defaults", "", *machine.said(answer["facts"]), ""]
    lines += [
        "| estimator | passed | failed | skipped | expected to fail | fits | traces | CPU s |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name in NAMES:
        one = answer[name]
        cells = [*(one[status] for status in STATUSES), one["fits"], one["traces"]]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {one['cpu_s']:.0f} |")
    return "\n".join(lines) + "\n"


def _in_a_process(name: str) -> dict[str, Any]:
    """Run all checks on one estimator, in a process of its own without compiled programs."""
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.sklearn.checks", "--one", name],
            env={
                **machine.PINNED, **os.environ,
                "SCIPY_ARRAY_API": "1", "THETAHAT_CACHE": folder,
            },
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    found = json.loads(child.stdout.splitlines()[-1])
    print(f"{name}: {found}", flush=True)
    return found


def main() -> None:
    """Check, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="benchmarks/results/checks-<date>.*")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(checked(asked.one)))
        return
    with ThreadPoolExecutor(len(NAMES)) as both:
        answer: dict[str, Any] = dict(zip(NAMES, both.map(_in_a_process, NAMES), strict=True))
    answer["facts"] = machine.facts(("thetahat", "jax", "numpy", "scipy", "scikit-learn"))
    answer["facts"]["threads"]["cores_allowed"] = None
    page = markdown(answer)
    print(page)
    if asked.write:
        machine.write_results("checks", answer["facts"], page, answer)


if __name__ == "__main__":
    main()
