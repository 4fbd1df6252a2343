"""Write the reference numbers of this folder, with the package ``sweeps`` 0.3.0 (see README.md).

    python tests/oracle/generate.py

This program runs in an environment of its own; nothing here imports thetahat.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from sweeps.bayes_search import _construct_gp_data, bayes_baseline_validate_and_fill
from sweeps.config.cfg import schema_violations_from_proposed_config
from sweeps.grid_search import grid_search_next_runs
from sweeps.hyperband_stopping import hyperband_stop_runs
from sweeps.params import HyperParameter, HyperParameterSet
from sweeps.run import SweepRun

HERE = Path(__file__).parent
QUANTILES = (0.001, 0.05, 0.25, 0.37, 0.5, 0.66, 0.75, 0.9, 0.999)
NEST = HyperParameterSet.NESTING_DELIMITER
SPACES, HISTORIES, IMPUTED, KINDS = 260, 260, 200, 400

Json = dict[str, Any]


def a_number(rng: random.Random) -> float:
    return rng.choice((rng.randint(-5, 20), round(rng.uniform(-5, 20), 3)))


def a_range(rng: random.Random, *, positive: bool = False) -> Json:
    low, high = sorted((a_number(rng), a_number(rng)))
    if positive:
        low, high = abs(low) + rng.choice((0.001, 1)), abs(low) + abs(high) + 2
    return {"min": low, "max": high if high > low else low + 1}


def an_exponent_range(rng: random.Random) -> Json:
    low = rng.choice((-9, -3.5, 0, -1))
    return {"min": low, "max": low + rng.choice((1, 2.5, 6))}


def a_step(rng: random.Random) -> Json:
    return rng.choice(({}, {"q": 1}, {"q": 3}, {"q": 0.25}, {"q": 0.1}, {"q": 2.0}))


def some_values(rng: random.Random) -> list[Any]:
    pools: tuple[tuple[Any, ...], ...] = (
        (1, 2, 3, 4, 8),
        (0.1, 0.01, 1e-3, 3.0, 3),
        ("relu", "tanh", "gelu"),
        (True, False, None),
        (1, 1.0, "1", True),
        ([1, 2], [1.0, 2], "x"),
        ({"layers": 2, "act": "relu"}, {"layers": 3, "act": "tanh"}),
        (3000000.0, 5, "a b"),
    )
    pool = list(rng.choice(pools))
    rng.shuffle(pool)
    return pool[: rng.randint(1, len(pool))]


def a_grid_parameter(rng: random.Random) -> Json:
    kind = rng.choice(("values", "values", "int", "int_named", "q_uniform", "value"))
    if kind == "values":
        return {"values": some_values(rng)}
    if kind == "value":
        return {"value": rng.choice((1, 0.5, "s", None, [1, 2], {"a": 1}))}
    if kind == "q_uniform":
        low = rng.choice((0, 1, -2, 0.5, 0.0))
        wide = {"min": low, "max": low + rng.choice((1, 2, 4, 1.5))}
        step = rng.choice(({}, {"q": 1}, {"q": 0.25}, {"q": 0.5}, {"q": 2}, {"q": 0.3}))
        return {"distribution": "q_uniform", **wide, **step}
    low = rng.randint(-3, 5)
    named = {"distribution": "int_uniform"} if kind == "int_named" else {}
    return {**named, "min": low, "max": low + rng.randint(1, 5)}


def any_parameter(rng: random.Random) -> Json:
    kind = rng.choice(ANY)
    if kind == "weighted":
        values = some_values(rng)
        weights = [rng.randint(1, 9) for _ in values]
        return {"values": values, "probabilities": [w / sum(weights) for w in weights]}
    if kind == "grid":
        return a_grid_parameter(rng)
    if kind == "inferred":
        return a_range(rng)
    named = {"distribution": kind}
    step = a_step(rng) if kind.startswith("q_") else {}
    if kind.endswith("values"):
        return {**named, **a_range(rng, positive=True), **step}
    if kind.endswith("log_uniform"):
        return {**named, **an_exponent_range(rng), **step}
    if kind.endswith("uniform"):
        return {**named, **a_range(rng), **step}
    if kind.endswith("normal"):
        shape = {"mu": rng.choice((0, 1, -2.5)), "sigma": rng.choice((1, 0.1, 2.5))}
    else:
        shape = {"a": rng.choice((1, 2, 0.5)), "b": rng.choice((1, 5, 2.5))}
    return {**named, **{k: v for k, v in shape.items() if rng.random() < 0.7}, **step}


ANY = [
    "weighted",
    "grid",
    "grid",
    "inferred",
    "uniform",
    "q_uniform",
    "log_uniform",
    "q_log_uniform",
    "inv_log_uniform",
    "log_uniform_values",
    "q_log_uniform_values",
    "inv_log_uniform_values",
    "normal",
    "q_normal",
    "log_normal",
    "q_log_normal",
    "beta",
    "q_beta",
]


def a_section(rng: random.Random, make: Any, depth: int = 0) -> Json:
    names = ["lr", "width", "depth", "opt.lr", "B", "a", "a-b", "seed", "zeta", "_x", "model"]
    rng.shuffle(names)
    section = {}
    for name in names[: rng.randint(1, 4 if depth == 0 else 2)]:
        nested = depth < 2 and rng.random() < 0.15
        inner = {"parameters": a_section(rng, make, depth + 1)} if nested else make(rng)
        section[name] = inner
    return section


def plain(run: SweepRun) -> Json:
    """A run's config without the ``value`` that W&B puts between a name and its value."""
    return {name: each["value"] for name, each in run.config.items()}


def grid_of(section: Json, rng: random.Random) -> Json:
    config = {"method": "grid", "parameters": section}
    runs = grid_search_next_runs([], config, n=60)
    order = [plain(r) for r in runs if r is not None]
    whole = runs[-1] is None
    done = [r for r in runs if r is not None and rng.random() < 0.5]
    left = grid_search_next_runs(done, config, n=4)
    return {
        "order": order,
        "whole": whole,
        "done": [plain(r) for r in done],
        "left": [None if r is None else plain(r) for r in left],
    }


def quantiles_of(section: Json) -> list[Json]:
    rows = []
    for p in HyperParameterSet.from_config(section).searchable_params:
        values = [p.ppf(u) for u in QUANTILES]
        values = [v.item() if hasattr(v, "item") else v for v in values]
        row: Json = {"path": p.name.split(NEST), "type": p.type, "ppf": values}
        if p.type not in (HyperParameter.CATEGORICAL, HyperParameter.CATEGORICAL_PROB):
            row["cdf"] = [float(p.cdf(v)) if v > 0 or "log" not in p.type else None for v in values]
        rows.append(row)
    return rows


def spaces() -> list[Json]:
    rng = random.Random(20)
    found = []
    for i in range(SPACES):
        section = a_section(rng, a_grid_parameter if i % 2 else any_parameter)
        entry: Json = {"parameters": section, "quantiles": quantiles_of(section)}
        if i % 2:
            entry["grid"] = grid_of(section, rng)
        found.append(entry)
    return found


def a_history(rng: random.Random) -> list[Any]:
    odd = (float("nan"), float("inf"), -float("inf"))
    level = rng.uniform(0, 3)
    values = [round(level + rng.gauss(0, 1), 2) for _ in range(rng.choice((0, 1, 3, 9, 30)))]
    return [rng.choice(odd) if rng.random() < 0.05 else v for v in values]


def early_terminate(rng: random.Random) -> Json:
    section: Json = {"type": "hyperband"}
    if rng.random() < 0.5:
        section |= {"max_iter": rng.choice((9, 27, 30, 81)), "s": rng.randint(1, 4)}
    else:
        section |= {"min_iter": rng.randint(1, 5)}
    if rng.random() < 0.6:
        section["eta"] = rng.choice((2, 3, 4, 1.5, 2.7, 49))
    if rng.random() < 0.6:
        section["strict"] = rng.choice((True, False))
    if section.get("max_iter", 99) < section.get("eta", 3):
        section["eta"] = 2
    return section


def some_runs(rng: random.Random, count: int, states: tuple[str, ...]) -> list[Json]:
    return [
        {
            "name": f"r{i}",
            "state": rng.choice(states),
            "values": a_history(rng),
            "summary": rng.choice((None, None, round(rng.uniform(-1, 3), 2))),
        }
        for i in range(count)
    ]


def as_run(each: Json, config: Json | None = None) -> SweepRun:
    return SweepRun(
        name=each["name"],
        state=each["state"],
        history=[{"loss": v} for v in each["values"]],
        summary_metrics={} if each["summary"] is None else {"loss": each["summary"]},
        config=config or {},
    )


def stops() -> list[Json]:
    rng = random.Random(30)
    found = []
    while len(found) < HISTORIES:
        metric = {"name": "loss", "goal": rng.choice(("minimize", "maximize"))}
        section = early_terminate(rng)
        runs = some_runs(
            rng, rng.choice((1, 3, 8, 20, 49)), ("running", "running", "finished", "failed")
        )
        real = [as_run(r) for r in runs]
        try:
            stopped = hyperband_stop_runs(real, {"metric": metric, "early_terminate": section})
        except ValueError:
            continue
        bands = next((r.early_terminate_info["bands"] for r in real if r.early_terminate_info), [])
        found.append(
            {
                "metric": metric,
                "early_terminate": section,
                "runs": runs,
                "bands": [b for b in bands if b < 10**6],
                "stopped": [r.name for r in stopped],
            }
        )
    return found


def imputed() -> list[Json]:
    """The losses that W&B's bayes would learn from, and how many runs are in flight."""
    rng = random.Random(40)
    found = []
    for _ in range(IMPUTED):
        metric = {
            "name": "loss",
            "goal": rng.choice(("minimize", "maximize")),
            "impute": rng.choice(("worst", "best", "latest")),
            "impute_while_running": rng.choice(("false", "worst", "best", "latest")),
        }
        states = ("finished", "finished", "failed", "crashed", "running", "pending")
        runs = some_runs(rng, rng.randint(1, 8), states)
        config = {
            "method": "bayes",
            "metric": metric,
            "parameters": {"a": {"min": 0.0, "max": 1.0}},
        }
        filled = bayes_baseline_validate_and_fill(config)
        real = [as_run(r, {"a": {"value": 0.5}}) for r in runs]
        _, _, flying, losses, _ = _construct_gp_data(real, filled)
        losses = [float(v) for v in losses]
        found.append({"metric": metric, "runs": runs, "losses": losses, "flying": len(flying)})
    return found


def kinds() -> list[Json]:
    """What one parameter's keys mean: its type, or None where they are malformed."""
    rng = random.Random(50)
    odd = ("1e-4", None, True, [1], -1, 0, 2.0, float("inf"))
    found = []
    for _ in range(KINDS):
        given = any_parameter(rng)
        if rng.random() < 0.6:
            key = rng.choice(list(given))
            change = rng.choice(("drop", "odd", "name", "extra", "swap"))
            if change == "drop":
                del given[key]
            elif change == "odd":
                given[key] = rng.choice(odd)
            elif change == "name":
                given["distribution"] = rng.choice(
                    (*ANY[4:], "int_uniform", "categorical", "normla")
                )
            elif change == "extra":
                given[rng.choice(("q", "mu", "value", "sigma", "type"))] = 1
            elif "min" in given and "max" in given:
                given["min"], given["max"] = given["max"], given["min"]
        try:
            kind = HyperParameter("p", given).type
        except (ValueError, jsonschema.ValidationError):
            kind = None
        found.append({"given": given, "type": kind})
    return found


def verdicts() -> dict[str, Any]:
    """For every text of ``sweep_files.json``: whether the package's schema finds nothing wrong."""
    path = HERE / "sweep_files.json"
    texts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    named = texts.items() if isinstance(texts, dict) else enumerate(texts)
    return {str(name): verdict(text) for name, text in named}


def verdict(text: str) -> Json:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {"valid": False, "violations": [f"YAML: {type(error).__name__}"]}
    try:
        violations = schema_violations_from_proposed_config(config)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        violations = [f"{type(error).__name__}: {error}"]
    return {"valid": not violations, "violations": sorted(violations)}


def write(name: str, content: Any) -> None:
    text = json.dumps(content, separators=(",", ":")).encode()
    (HERE / name).write_bytes(gzip.compress(text, mtime=0))


def main() -> None:
    write("spaces.json.gz", spaces())
    write("histories.json.gz", {"stops": stops(), "imputed": imputed()})
    write("kinds.json.gz", kinds())
    found = json.dumps(verdicts(), indent=1, sort_keys=True, ensure_ascii=False)
    (HERE / "verdicts.json").write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
