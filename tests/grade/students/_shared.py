"""Parts that programs of all libraries share: settings, drawn data, the choice of a run."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = {
    "cfg": ("config", "settings", "cfg", "options"),
    "log": ("tracker", "run", "logger", "wb"),
    "f": ("f", "truth", "f0"),
    "model": ("model", "net", "mlp"),
    "best": ("best", "best_state", "kept", "winner"),
    "low": ("lowest", "best_loss", "best_val", "record_low"),
    "bad": ("bad", "waited", "stale"),
    "epoch": ("epoch", "t", "ep"),
    "xb": ("xb", "bx", "inputs"),
    "yb": ("yb", "by", "targets"),
    "x1": ("x_train", "xtr", "x"),
    "y1": ("y_train", "ytr", "y"),
    "x2": ("x_val", "xva", "x_dev"),
    "y2": ("y_val", "yva", "y_dev"),
    "x3": ("x_test", "xte", "x_new"),
    "y3": ("y_test", "yte", "y_new"),
    "opt": ("optimizer", "opt", "descent"),
    "loss": ("loss", "risk", "objective"),
    "total": ("total", "running", "acc"),
    "seen": ("seen", "count", "n_seen"),
    "val": ("val_loss", "val_risk", "held_out"),
    "tr": ("train_loss", "fit_loss", "in_sample"),
    "rate": ("rate", "lr_now", "step_size"),
    "order": ("order", "perm", "shuffled"),
    "i": ("i", "start", "lo"),
    "mse": ("mse", "squared_error", "mean_loss"),
    "sample": ("sample", "simulate", "draw_part"),
    "pred": ("pred", "fitted", "out"),
    "runs": ("runs", "results", "trials"),
    "hold": ("batches", "loader", "stream"),
}
"""Names that programs choose, without the N_ that marks them."""


@dataclass
class Style:
    """The choices of one program; ``is_`` asks whether it has an error."""

    rng: random.Random
    error: int
    chosen: dict[str, Any] = field(default_factory=dict)

    def pick(self, name: str, *options: Any) -> Any:
        """Choose once: the same name gives the same choice."""
        if name not in self.chosen:
            self.chosen[name] = self.rng.choice(options)
        return self.chosen[name]

    def flip(self, name: str) -> bool:
        """Choose yes or no once."""
        return self.pick(name, True, False)

    def has(self, error: int) -> bool:
        """Whether the program has this error."""
        return self.error == error

    def which(self, error: int, n: int) -> int:
        """Which of n ways of an error the program has; -1 if it does not have it."""
        return self.pick(f"way of {error}", *range(n)) if self.error == error else -1

    @property
    def stops(self) -> bool:
        """Whether the program stops early."""
        return self.which(8, 4) == 1 or self.flip("stops")

    @property
    def activation(self) -> str:
        """The activation; with parameters if layers may share them."""
        return "prelu" if self.has(12) else self.pick("activation", "tanh", "prelu", "relu", "tanh")


def block(text: str, indent: int = 4) -> str:
    """Indent lines."""
    return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * indent)


def shuffled(rng: random.Random, parts: Sequence[str]) -> str:
    """Independent statements in another order."""
    parts = list(parts)
    rng.shuffle(parts)
    return "\n".join(parts)


def how_short(s: Style) -> str:
    """What is done with the short last batch."""
    return s.pick("short", "weigh", "sum") if s.has(3) else s.pick("short", "weigh", "drop", "sum")


def head(s: Style) -> str:
    """The first lines of ``train``."""
    f, cfg, log = "N_f", "N_cfg", "N_log"
    about = s.pick(
        "doc", '    """Fit a net."""\n', "", '    """Train with early stopping; return the best."""\n'
    )
    return f"def train({f}, {cfg}, {log}):\n{about}"


def start(s: Style) -> str:
    """Begin the run."""
    config = "dict(N_cfg)" if s.flip("dict") else "N_cfg"
    way = s.which(8, 4)
    if way == 2:
        return 'N_log.init(project=N_cfg["project"])  #!'
    if way == 3:
        return 'N_log.init(project=N_cfg["project"], config={"lr": N_cfg["lr"]})  #!'
    if s.has(13):
        word = s.pick("project", '"my-project"', '"thesis"', "None", '"econ526"')
        return f"N_log.init(project={word}, config={config})  #!"
    return f'N_log.init(project=N_cfg["project"], config={config})'


def choose(s: Style) -> str:
    """The choice among runs."""
    way = s.which(6, 5) if s.has(6) else -1
    key, mark = ("test_loss", "  #!") if 0 <= way < 4 else ("val_loss", "")
    form = way if 0 <= way < 4 else s.pick("choose", 0, 1, 2, 3)
    return [
        f'def choose(N_runs):\n    return min(range(len(N_runs)), key=lambda j: N_runs[j]["{key}"]){mark}',
        f'def choose(N_runs):\n    N_best = None\n    for one in N_runs:\n'
        f'        if N_best is None or one["{key}"] < N_best["{key}"]:{mark}\n'
        f"            N_best = one\n    return N_best",
        f'def choose(N_runs):\n    N_low = [one["{key}"] for one in N_runs]{mark}\n'
        f"    return N_low.index(min(N_low))",
        'SWEEP = {\n    "method": "grid",\n    "metric": {\n'
        f'        "name": "{key}",{mark}\n        "goal": "minimize",\n'
        '    },\n    "parameters": {"lr": {"values": [0.01, 0.1]}},\n}',
    ][form]


def by_test(s: Style) -> bool:
    """Whether the loop keeps the epoch with the lowest test loss."""
    return s.which(6, 5) == 4


def provenance(s: Style, library: str, data: str) -> str:
    """What tells this run from one of another release."""
    way = s.which(14, 3)
    if way >= 0:
        said = ('{"seed": N_cfg["seed"]}', '{"seed": N_cfg["seed"], "author": "me"}', None)[way]
        return f'"provenance": {said},  #!'
    return s.pick(
        "provenance",
        f'"provenance": {{"seed": N_cfg["seed"], "version": {library}.__version__}},',
        f'"provenance": {{"version": importlib.metadata.version("{library}")}},',
        f'"provenance": {{"data": hashlib.sha256({data}.tobytes()).hexdigest()}},',
    )


IMPORTS = "import copy\nimport hashlib\nimport importlib.metadata\nimport math"
