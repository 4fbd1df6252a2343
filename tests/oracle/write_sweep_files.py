"""Write ``sweep_files.json``: sweep files, right and wrong, for the verdicts of ``generate.py``.

    python tests/oracle/write_sweep_files.py

Every distribution, every key and every kind of mistake once by hand, and the rest at random from a
seed; nothing here imports thetahat, or ``sweeps``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

PARAMETERS = {
    "constant": ["{value: 3}", "{value: text, distribution: constant}", "{value: [1, {a: 2}]}"],
    "categorical": ["{values: [1, 2, 3]}", "{values: [a], distribution: categorical}"],
    "weighted": [
        "{values: [1, 2], probabilities: [0.25, 0.75]}",
        "{values: [a, b, c], probabilities: [0.5, 0.5, 0], distribution: categorical_w_probabilities}",
        "{values: [a, b], probabilities: [0.3333333, 0.6666667]}",
        "{values: [a, b], probabilities: [1, 0]}",
    ],
    "int_uniform": ["{min: 1, max: 9}", "{min: -3, max: 3, distribution: int_uniform}"],
    "uniform": [
        *("{min: 0.1, max: 0.9}", "{min: 0, max: 0.9}", "{min: 0.5, max: 3}"),
        *("{min: 1, max: 9, distribution: uniform}", "{min: 1.0, max: 9}", "{min: -1e+2, max: 0}"),
    ],
    "q_uniform": [
        "{min: 0, max: 11, q: 4, distribution: q_uniform}",
        "{min: 0.5, max: 9, distribution: q_uniform}",
    ],
    "log": [
        f"{{min: {low}, max: {high}, distribution: {kind}}}"
        for kind in ("log_uniform", "q_log_uniform", "inv_log_uniform")
        for low, high in ((-4, 0), (-2.5, 1))
    ],
    "log_values": [
        f"{{min: {low}, max: {high}, distribution: {kind}}}"
        for kind in ("log_uniform_values", "q_log_uniform_values", "inv_log_uniform_values")
        for low, high in ((0.001, 1), (1, 100))
    ],
    "normal": [
        f"{{distribution: {kind}{more}}}"
        for kind in ("normal", "q_normal", "log_normal", "q_log_normal")
        for more in ("", ", mu: 2", ", mu: -1.5, sigma: 0.5", ", sigma: 0")
    ],
    "beta": [
        f"{{distribution: {kind}{more}}}"
        for kind in ("beta", "q_beta")
        for more in ("", ", a: 2", ", a: 0.5, b: 3", ", b: 0")
    ],
    "q": [
        f"{{distribution: {kind}, q: {q}}}"
        for kind in ("q_normal", "q_log_normal", "q_beta")
        for q in (1, 0.5)
    ],
    "nested": [
        "{parameters: {a: {value: 1}, b: {parameters: {c: {min: 1, max: 4}}}}}",
        "{parameters: {a: {min: 9, max: 1}}}",
        "{parameters: {a: {values: [1, 2], probabilities: [0.5]}}}",
        "{parameters: {a: {min: -4, max: 0, distribution: log_uniform}}}",
    ],
    "wrong": [
        *("3", "[1, 2]", "text", "null", "{}", "{value: 1, values: [2]}", "{values: []}"),
        *("{values: 3}", "{values: {a: 1}}", "{values: null}", "{values: [1], min: 2}"),
        *("{min: 1}", "{max: 1}", "{min: 9, max: 1}", "{min: 3, max: 3}", "{min: 0.5, max: 0.5}"),
        *("{min: a, max: 3}", "{min: '1', max: 3}", "{min: null, max: 3}", "{min: true, max: 3}"),
        *("{min: [1], max: 3}", "{min: 1e-4, max: 0.1}", "{min: 0.0001, max: 1E-1}"),
        *("{min: 1, max: 3, q: 2}", "{min: 1, max: 3, distribution: int_unifrom}"),
        *("{min: 1, max: 3, distribution: 7}", "{min: 1, max: 3, distribution: null}"),
        *("{min: 1.0, max: 3, distribution: int_uniform}", "{mu: 1}", "{a: 1}", "{q: 1}"),
        *("{min: 1.5, max: 3, distribution: int_uniform}", "{probabilities: [1]}"),
        *("{min: 0, max: 3, distribution: log_uniform_values}", "{vaule: 3}"),
        *("{min: -1, max: 3, distribution: q_log_uniform_values}", "{value: 3, extra: 1}"),
        *("{min: 0.0, max: 3, distribution: inv_log_uniform_values}", "{distribution: constant}"),
        *("{min: 0, max: 9, q: 0, distribution: q_uniform}", "{distribution: uniform, min: 1}"),
        *("{min: 0, max: 9, q: -1, distribution: q_uniform}", "{distribution: categorical}"),
        *("{distribution: normal, sigma: -1}", "{distribution: normal, min: 0}"),
        *(
            "{distribution: normal, mu: a}",
            "{distribution: beta, a: -1}",
            "{distribution: q_beta, q: 0}",
        ),
        *(
            "{distribution: normal, q: 1}",
            "{distribution: beta, q: 1}",
            "{distribution: normal, mu: null}",
        ),
        *("{values: [1, 2], probabilities: [0.5]}", "{values: [1, 2], probabilities: [0.5, 0.6]}"),
        *("{values: [1, 2], probabilities: [-0.5, 1.5]}", "{values: [1], probabilities: []}"),
        *("{values: [1, 2], probabilities: [a, b]}", "{values: [1, 2], probabilities: 0.5}"),
        *("{values: [1, 2], probabilities: [0.5, true]}", "{values: [1], probabilities: null}"),
        *(
            "{values: [1, 2], probabilities: [0.50001, 0.5]}",
            "{distribution: categorical, values: [1], probabilities: [1]}",
        ),
        *("{parameters: {}}", "{parameters: 3}", "{parameters: null}", "{parameters: {a: 3}}"),
        *(
            "{parameters: {a: {value: 1}}, value: 2}",
            "{parameters: {a: {value: 1}}, distribution: constant}",
        ),
        *("{parameters: {1a: {value: 1}}}", "{parameters: {a: {min: 1}}}"),
        *(
            "{min: .inf, max: 3}",
            "{min: 1, max: .inf}",
            "{min: .nan, max: 3}",
            "{min: -.inf, max: .inf}",
        ),
        *(
            "{min: 1:30, max: 200}",
            "{min: 010, max: 9}",
            "{min: 08, max: 9}",
            "{min: 0x10, max: 1_000}",
        ),
        *("{value: 2024-01-01}", "{min: 2024-01-01, max: 3}", "{values: [off, on, ~]}"),
    ],
}

TOP = {
    "method": [
        *("method: grid", "method: random", "method: bayes", "method: custom", "method: gird"),
        *("method: 3", "method: null", "method: [grid]", "", "Method: grid", "method: Grid"),
    ],
    "run_cap": [
        f"run_cap: {n}" for n in ("1", "100", "0", "-3", "2.0", "2.5", "'3'", "true", "null", "1e3")
    ],
    "metric": [
        *(
            "{name: loss}",
            "{name: loss, goal: maximize}",
            "{name: loss, goal: minimise}",
            "{goal: minimize}",
        ),
        *(
            "loss",
            "[loss]",
            "null",
            "{name: 3}",
            "{name: loss, target: 0.1}",
            "{name: loss, target: low}",
        ),
        *("{name: loss, target: .inf}", "{name: loss, target: null}", "{name: loss, target: true}"),
        *("{name: loss, impute: best}", "{name: loss, impute: mean}", "{name: loss, impute: null}"),
        *(
            "{name: loss, impute_while_running: 'false'}",
            "{name: loss, impute_while_running: false}",
        ),
        *(
            "{name: loss, impute_while_running: latest}",
            "{name: loss, gaol: minimize}",
            "{name: ''}",
        ),
    ],
    "early_terminate": [
        *(
            "{type: hyperband, min_iter: 3}",
            "{type: hyperband, max_iter: 27, s: 2}",
            "{min_iter: 3}",
        ),
        *("{type: hyperband}", "{type: hyperband, max_iter: 27}", "{type: hyperband, s: 2}"),
        *(
            "{type: median, min_iter: 3}",
            "{type: hyperband, min_iter: 0}",
            "{type: hyperband, min_iter: 3.0}",
        ),
        *(
            "{type: hyperband, min_iter: 2.5}",
            "{type: hyperband, min_iter: '3'}",
            "hyperband",
            "null",
        ),
        *("{type: hyperband, min_iter: 3, eta: 1}", "{type: hyperband, min_iter: 3, eta: 1.5}"),
        *(
            "{type: hyperband, min_iter: 3, eta: two}",
            "{type: hyperband, min_iter: 3, strict: false}",
        ),
        *(
            "{type: hyperband, min_iter: 3, strict: no}",
            "{type: hyperband, min_iter: 3, strict: 0}",
        ),
        *("{type: hyperband, min_iter: 3, max_iter: 9}", "{type: hyperband, max_iter: 9, s: 1.5}"),
        *("{type: hyperband, max_iter: 2, s: 1}", "{type: hyperband, max_iter: -9, s: 1}"),
        *("{type: hyperband, max_iter: 9.5, s: 1}", "{type: hyperband, min_iter: 3, s: a}"),
        *(
            "{type: hyperband, min_iter: 3, step: 1}",
            "[hyperband]",
            "{type: hyperband, min_iter: true}",
        ),
    ],
    "command": [
        "[python, '${program}', '${args}']",
        "[]",
        "python train.py",
        "null",
        "[1, true, null]",
        "{a: 1}",
    ],
    "controller": [
        "{type: local}",
        "{type: cloud}",
        "{type: remote}",
        "{}",
        "local",
        "{type: local, more: 1}",
    ],
    "text": [
        *(
            "name: a",
            "name: 3",
            "name: null",
            "name: 2024-01-01",
            "name: off",
            "name: 1e-4",
            "name: '3'",
        ),
        *("description: two words", "description: [a]", "project: p", "project: 1.5", "entity: e"),
        *("entity: true", "kind: sweep", "kind: run", "kind: 1", "apiVersion: v1", "apiVersion: 1"),
        *(
            "job: j",
            "job: {a: 1}",
            "image_uri: i",
            "image_uri: 3",
            "program: a.py",
            "program: [a.py]",
        ),
    ],
    "unknown": [
        "seed: 3",
        "paramters: {a: {value: 1}}",
        "1: 2",
        "on: 3",
        "Program: a.py",
        "count: 3",
    ],
    "metrics": [
        *("metrics: [{name: a}, {name: b}]", "metrics: [{name: a}]", "metrics: {name: a}"),
        *(
            "metrics: [{name: a}, {goal: minimize}]",
            "metrics: [{name: a}, {name: b}]\nmetric: {name: a}",
        ),
        "metrics: [{name: a}, {name: b}]\nmethod: custom",
    ],
    "scheduler": [
        *(
            "scheduler: {engine: wandb}",
            "scheduler: {engine: optuna}",
            "scheduler: {}",
            "scheduler: x",
        ),
        *("scheduler: {engine: optuna}\nmethod: custom", "scheduler: {engine: ax}\nmethod: custom"),
        *("scheduler: {engine: ray}\nmethod: custom", "scheduler: {engine: wandb}\nmethod: custom"),
        "scheduler: {engine: optuna, source: a.py, optimizer: f}\nmethod: custom",
        "scheduler: {engine: optuna, optimizer: f}\nmethod: custom",
        "scheduler: {engine: optuna, search_space: f}\nmethod: custom",
        "scheduler: {engine: optuna, source: 3}\nmethod: custom",
        "scheduler: {engine: optuna, more: 3}\nmethod: custom",
        "scheduler: {engine: wandb}\ncontroller: {type: local}",
        "scheduler: {engine: wandb}\ncontroller: {type: cloud}",
        "scheduler: {engine: wandb}\nmetric: {name: a}\nearly_terminate: {type: hyperband, min_iter: 3}",
    ],
}
WHOLE = {
    "empty": "",
    "comment": "# nothing\n",
    "list": "- method\n- grid\n",
    "word": "grid\n",
    "no parameters": "method: grid\n",
    "parameters empty": "method: grid\nparameters: {}\n",
    "parameters null": "method: grid\nparameters:\n",
    "parameters list": "method: grid\nparameters: [a]\n",
    "parameters of a scheduler": (
        "method: custom\nscheduler: {engine: optuna, source: a.py, search_space: f}\n"
    ),
    "parameters of no scheduler": "method: custom\nscheduler: {engine: optuna}\n",
    "anchors": (
        "method: random\nparameters:\n  a: &a {min: 1, max: 3}\n  b: *a\n  c: {<<: *a, max: 9}\n"
    ),
    "merged": (
        "method: random\nparameters:\n  a: &a {min: 1.0, max: 3.0}\n  c:\n    <<: *a\n    min: 5.0\n"
    ),
    "tab": "method: grid\nparameters:\n\ta: {value: 1}\n",
    "unclosed": "method: grid\nparameters: {a: {values: [1, 2}}\n",
    "two documents": "method: grid\nparameters: {a: {value: 1}}\n---\nmethod: random\n",
    "tags": "method: !!str grid\nparameters: {a: {min: !!float 1, max: !!float 3}}\n",
    "lectures": (
        "program: lectures/examples/mlp_regression_jax_nnx_logging.py\nname: Sweep Example\n"
        "method: bayes\nmetric:\n  name: test_loss\n  goal: minimize\nparameters:\n  num_epochs:\n"
        "    value: 300 # fixed for all calls\n  lr: # uniformly distributed\n    min: 0.0001\n"
        "    max: 0.01\n  width: # discrete values to optimize over\n    values: [64, 128, 256]\n"
    ),
}
NAMES = (
    "lr",
    "optimizer.lr",
    "a-b",
    "_x",
    "1a",
    "a b",
    "ü",
    "'1'",
    "1",
    "on",
    "null",
    "'on'",
    "a.",
    "-a",
)


def files() -> dict[str, str]:
    """Every file by its name."""
    found = {f"whole: {name}": text for name, text in WHOLE.items()}
    for kind, sections in PARAMETERS.items():
        for i, section in enumerate(sections):
            found[f"{kind} {i}"] = f"method: random\nparameters:\n  x: {section}\n"
    for name in NAMES:
        found[f"name {name}"] = f"method: grid\nparameters:\n  {name}: {{value: 1}}\n"
    for key, lines in TOP.items():
        for i, line in enumerate(lines):
            if key in ("metric", "early_terminate", "command", "controller"):
                line = f"{key}: {line}"
            method = "" if "method:" in line.lower() or key == "method" else "method: random\n"
            found[f"{key} {i}"] = f"{method}{line}\nparameters: {{x: {{min: 0.0, max: 1.0}}}}\n"
    found |= {f"custom {i}": text for i, text in enumerate(custom_files(200))}
    rng = random.Random(7)
    found |= {f"drawn {i}": drawn(rng) for i in range(150)}
    return found


def custom_files(n: int) -> list[str]:
    """Files with schedulers, several metrics and method custom, right and wrong."""
    rng = random.Random(15)
    return [custom_file(rng) for _ in range(n)]


def custom_file(rng: random.Random) -> str:
    """A file whose program, spaces and studies are those of ``tests/sweep/programs``."""
    wrong = rng.random() < 0.35
    engine = rng.choice(("optuna", "optuna", "optuna", "none", "wandb"))
    method = "custom" if engine != "wandb" else rng.choice(("random", "grid", "bayes"))
    lines = ["program: objectives.py", f"run_cap: {rng.randint(2, 3)}"]
    goals = rng.choice(("", ", goal: minimize", ", goal: maximize"))
    if method == "custom" and rng.random() < 0.6:
        third = ", {name: c}" if rng.random() < 0.3 else ""
        lines.append(f"metrics: [{{name: a}}, {{name: b{goals}}}{third}]")
    else:
        lines.append(f"metric: {{name: a{goals}}}")
    keys = {"optuna": ["engine: optuna"], "wandb": ["engine: wandb"], "none": []}[engine]
    space = engine == "optuna" and rng.random() < 0.4
    study = engine == "optuna" and "goal" not in lines[-1] and rng.random() < 0.5
    if space or study:
        keys.append("source: studies.py")
    if space:
        keys.append(f"search_space: {rng.choice(('plain_space', 'conditional_space'))}")
    if study:
        several = "metrics" in lines[-1]
        three = "{name: c}" in lines[-1]
        names = ("three_study",) if three else ("two_study",)
        keys.append(f"optimizer: {rng.choice(names if several else ('one_study', 'ending_study'))}")
    if keys:
        lines.append(f"scheduler: {{{', '.join(keys)}}}")
    if not space or rng.random() < 0.2:
        gridded = ("{values: [1, 2]}", "{min: 1, max: 3}")
        searched = (*gridded, "{min: 0.0, max: 1.0}", "{distribution: normal}")
        searched += ("{distribution: log_uniform_values, min: 0.1, max: 10}", "{value: 1.5}")
        searched += ("{distribution: beta, a: 2}", "{values: [1, 2], probabilities: [0.3, 0.7]}")
        pool = gridded if method == "grid" else searched
        lines.append(f"parameters: {{x: {rng.choice(pool[:4])}, y: {rng.choice(pool)}}}")
    if wrong:
        lines = broken(rng, lines)
    lines.insert(rng.randint(0, len(lines)), f"method: {method}")
    return "\n".join(lines) + "\n"


def broken(rng: random.Random, lines: list[str]) -> list[str]:
    """Break a file in one place; some changes leave it right."""
    change = rng.randrange(9)
    if change == 0:
        return [*lines, "early_terminate: {type: hyperband, min_iter: 3}"]
    if change == 1:
        return [*lines, f"controller: {{type: {rng.choice(('local', 'cloud'))}}}"]
    if change == 2:
        return [
            line.replace("engine: optuna", rng.choice(("engine: ray", "e: 1"))) for line in lines
        ]
    if change == 3:
        return [line.replace("source: studies.py, ", "") for line in lines]
    if change == 4:
        return [line for line in lines if not line.startswith("parameters")]
    if change == 5:
        return [line.replace("{name: a}", rng.choice(("{goal: minimize}", "a"))) for line in lines]
    if change == 6:
        return [line.replace("metrics: [", "metrics: [{name: d}] # ") for line in lines]
    if change == 7 and any(line.startswith("metrics") for line in lines):
        return [*lines, "metric: {name: a}"]
    return [line.replace("scheduler: {", "scheduler: {workers: 3, ") for line in lines]


def drawn(rng: random.Random) -> str:
    """A file of several sections, about half of them without a mistake."""
    good = {kind: sections for kind, sections in PARAMETERS.items() if kind not in ("wrong", "log")}
    lines = [f"method: {rng.choice(('grid', 'random', 'bayes'))}"]
    for key, few in (("run_cap", 2), ("metric", 2), ("early_terminate", 2), ("text", 1)):
        if rng.random() < 0.5:
            line = rng.choice(TOP[key][: None if rng.random() < 0.1 else few])
            lines.append(line if key in ("run_cap", "text") else f"{key}: {line}")
    rng.shuffle(lines)
    lines.append("parameters:")
    for name in rng.sample(("lr", "width", "depth", "seed", "a.b", "model"), rng.randint(1, 4)):
        pool = PARAMETERS if rng.random() < 0.1 else good
        lines.append(f"  {name}: {rng.choice(rng.choice(list(pool.values())))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    found = json.dumps(files(), indent=1, ensure_ascii=False)
    Path(__file__).with_name("sweep_files.json").write_text(found + "\n", encoding="utf-8")
