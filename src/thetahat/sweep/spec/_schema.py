"""The top level of a sweep file: every key, its kind, and what it needs beside it."""

from __future__ import annotations

from thetahat.core.errors import did_you_mean
from thetahat.core.sweep_file import TEXTS
from thetahat.core.yaml_tree import At
from thetahat.sweep.spec._diagnostics import Findings
from thetahat.sweep.spec._keys import (
    GOALS,
    HYPERBAND,
    IMPUTES,
    METHODS,
    METRIC,
    TOP,
    came,
    is_finite,
    is_number,
    is_whole,
    one_of,
    text_needed,
    unknown_keys,
    written,
)
from thetahat.sweep.spec._notes import (
    is_test_metric,
    note_account,
    note_contamination,
    note_direction,
    note_traps,
)
from thetahat.sweep.spec._parameters import check_parameters

_SCHEDULERS = (
    "runs a searcher of your own on W&B's side (Optuna, Ax), which is not here; write method:"
    " bayes, and choose with thetahat sweep FILE --sampler tpe, gp, cmaes or qmc"
)


def check_top(root: At, findings: Findings) -> None:
    """Check a whole file except its ``command``."""
    if root.kind != "mapping":
        findings.both(root, f"the file is {came(root)}; it must hold lines such as method: grid")
        return
    unknown_keys(root, TOP, findings, "a sweep file")
    method = _check_method(root, findings)
    for name in TEXTS:
        if name in root.inside and text_needed(root.inside[name], findings) is not None:
            _check_text(root.inside[name], findings)
    for name, check in _CHECKS.items():
        if name in root.inside:
            check(root.inside[name], findings)
    _check_together(root, method, findings)
    _check_scheduler(root, method, findings)
    if "parameters" in root.inside:
        check_parameters(root.inside["parameters"], method, findings)
        note_traps(root.inside["parameters"], findings)
    elif not _searches_itself(root):
        findings.both(
            root,
            "the file names no parameters; add them, such as parameters: {lr: {min: 0.001, max:"
            " 0.1}}",
            "parameters",
        )
    note_account(root, findings)


def _check_method(root: At, findings: Findings) -> str | None:
    at = root.inside.get("method")
    if at is None:
        findings.both(root, "the file names no method; add method: grid, random or bayes", "method")
        return None
    if at.kind == "text" and at.value in METHODS:
        return at.value
    if at.kind == "text" and at.value == "custom":
        findings.ours(at, f"method: custom {_SCHEDULERS}")
        return "custom"
    hint = did_you_mean(at.value, METHODS) if at.kind == "text" else ""
    hint = hint if hint.startswith("; did") else ""
    findings.both(at, f"method is {came(at)}, and must be grid, random or bayes{hint}")
    return None


def _check_text(at: At, findings: Findings) -> None:
    if at.key == "kind" and at.value != "sweep":
        findings.both(at, f"kind is {at.value!r}, and can only be sweep; remove it")
    elif at.key == "program" and at.value == "":
        findings.ours(at, "program is empty; name the script, such as program: train.py")


def _check_run_cap(at: At, findings: Findings) -> None:
    if not is_whole(at) or at.value <= 0:
        findings.both(at, f"run_cap is {came(at)}; give a whole number of at least 1")


def _check_controller(at: At, findings: Findings) -> None:
    if at.kind != "mapping":
        findings.both(at, f"controller is {came(at)}; remove it, since every sweep is local here")
    elif "type" not in at.inside:
        findings.both(at, "controller needs type: local or cloud; or remove it")
    else:
        one_of(at.inside["type"], ("local", "cloud"), findings)


# -- metric ---------------------------------------------------------------------------------------


def _check_metric(at: At, findings: Findings) -> None:
    if at.kind != "mapping":
        fix = f"; write metric: {{name: {at.value}}}" if at.kind == "text" else ""
        findings.both(at, f"metric is {came(at)}, and must be a mapping with a name{fix}")
        return
    unknown_keys(at, METRIC, findings, "metric")
    name = at.inside.get("name")
    if name is None:
        findings.both(at, "metric needs a name: what the program logs, such as name: val_risk")
    elif (said := text_needed(name, findings)) is not None:
        if not said.strip():
            findings.ours(name, "name is empty; say what the program logs, such as val_risk")
        if is_test_metric(said):
            note_contamination(name, findings)
        if "goal" not in at.inside:
            note_direction(name, findings)
    for key, known in (("goal", GOALS), ("impute", IMPUTES)):
        if key in at.inside:
            one_of(at.inside[key], known, findings)
    if "impute_while_running" in at.inside:
        _check_while_running(at.inside["impute_while_running"], findings)
    target = at.inside.get("target")
    if target is not None and not is_number(target):
        findings.both(target, f"target is {came(target)}; give a number, such as target: 0.01")
    elif target is not None and not is_finite(target):
        findings.ours(target, f"target is {target.value}; give a finite number, or remove it")


def _check_while_running(at: At, findings: Findings) -> None:
    if at.value is False:
        findings.theirs(at, "W&B refuses false without quotes; write impute_while_running: 'false'")
    else:
        one_of(at, (*IMPUTES, "false"), findings)


def _check_metrics(at: At, findings: Findings) -> None:
    if at.kind != "list" or len(at.inside) < 2:
        findings.both(at, "metrics lists two objectives or more; name one with metric")
    if at.kind == "list":
        for child in at.inside.values():
            _check_metric(child, findings)


# -- early termination ----------------------------------------------------------------------------


def _check_early(at: At, findings: Findings) -> None:
    if at.kind != "mapping":
        findings.both(
            at,
            f"early_terminate is {came(at)}, and must be a mapping; write early_terminate:"
            " {type: hyperband, min_iter: 3}",
        )
        return
    unknown_keys(at, HYPERBAND, findings, "early_terminate")
    kind = at.inside.get("type")
    if kind is None:
        findings.both(at, "early_terminate needs its type; add type: hyperband")
    else:
        one_of(kind, ("hyperband",), findings)
    both = "max_iter" in at.inside and "s" in at.inside
    if not both and "min_iter" not in at.inside:
        lacking = "s: 2" if "max_iter" in at.inside else ""
        lacking = "max_iter: 27" if "s" in at.inside else lacking
        fix = f"add {lacking}" if lacking else "add min_iter: 3, or max_iter: 27 with s: 2"
        findings.both(at, f"hyperband needs min_iter, or max_iter with s; {fix}")
    sound = _check_numbers(at, findings)
    strict = at.inside.get("strict")
    if strict is not None and strict.kind != "bool":
        findings.both(strict, f"strict is {came(strict)}; give true or false")
    if sound and "max_iter" in at.inside:
        _check_bands(at, findings)


def _check_numbers(at: At, findings: Findings) -> bool:
    sound = True
    for key, least in (("min_iter", 1), ("max_iter", None)):
        child = at.inside.get(key)
        if child is None:
            continue
        if not is_whole(child) or (least is not None and child.value < least):
            findings.both(child, f"{key} is {came(child)}; give a whole number of at least 1")
            sound = False
    for key, above, such in (("s", None, "2"), ("eta", 1, "3")):
        child = at.inside.get(key)
        if child is None:
            continue
        if not is_number(child) or (above is not None and child.value <= above):
            rule = "a number above 1" if above else "a whole number of at least 1"
            findings.both(child, f"{key} is {came(child)}; give {rule}, such as {key}: {such}")
            sound = False
        elif not is_finite(child):
            findings.ours(child, f"{key} is {child.value}; give a finite number")
            sound = False
    return sound


def _check_bands(at: At, findings: Findings) -> None:
    """What W&B's schema lets through, and fails on when the sweep runs."""
    max_iter = at.inside["max_iter"]
    s, eta = at.inside.get("s"), at.inside.get("eta")
    if s is None:
        if "min_iter" in at.inside:  # else it has been said
            findings.ours(max_iter, "max_iter needs s beside it; add s: 2, or remove max_iter")
        return
    if not is_whole(s) or s.value < 1:
        findings.ours(s, f"s is {written(s.value)}; give a whole number of at least 1")
        return
    factor = 3 if eta is None else eta.value
    if max_iter.value / factor < 1:
        findings.ours(
            max_iter,
            f"max_iter {written(max_iter.value)} is below eta ({written(factor)}), so nothing would"
            " ever be stopped; give a larger max_iter, or min_iter",
        )
    elif "min_iter" in at.inside:
        findings.note(at.inside["min_iter"], "max_iter and s stand beside it: min_iter is not used")


# -- what needs what ------------------------------------------------------------------------------


def _check_together(root: At, method: str | None, findings: Findings) -> None:
    metrics, metric = root.inside.get("metrics"), root.inside.get("metric")
    if metrics is not None and metric is not None:
        findings.both(metrics, "metric and metrics cannot stand together; keep metric")
    elif metrics is not None and method != "custom":
        findings.both(metrics, "several objectives need W&B's method: custom; name one metric")
    elif metrics is not None:
        findings.ours(metrics, "several objectives cannot be searched here; name one metric")
    if metric is None and method == "bayes":
        findings.ours(
            root.inside["method"],
            "bayes needs a metric to improve; add metric: {name: val_risk, goal: minimize}",
        )
    if metric is None and "early_terminate" in root.inside:
        findings.ours(
            root.inside["early_terminate"],
            "early_terminate needs a metric to compare runs by; add metric: {name: val_risk, goal:"
            " minimize}",
        )


_ENGINES = {"wandb": METHODS, "optuna": ("custom",), "ax": ("custom",)}
_SCHEDULER = ("engine", "source", "optimizer", "search_space")


def _check_scheduler(root: At, method: str | None, findings: Findings) -> None:
    """W&B's rules of ``scheduler``; here it is refused in any case."""
    at = root.inside.get("scheduler")
    if at is None:
        return
    findings.ours(at, f"scheduler {_SCHEDULERS}; remove it")
    if at.kind != "mapping":
        findings.both(at, f"scheduler is {came(at)}, and must be a mapping with an engine")
        return
    unknown_keys(at, _SCHEDULER, findings, "scheduler")
    for name in _SCHEDULER[1:]:
        if name in at.inside:
            text_needed(at.inside[name], findings)
            if name != "source" and "source" not in at.inside:
                findings.both(at.inside[name], f"{name} needs source, the file it stands in")
    engine = at.inside.get("engine")
    if engine is None:
        findings.both(at, "scheduler needs an engine: wandb, optuna or ax")
    elif one_of(engine, tuple(_ENGINES), findings) and method not in _ENGINES[engine.value]:
        known = ", ".join(_ENGINES[engine.value])
        findings.both(engine, f"the engine {engine.value} goes with method: {known}")
    if "early_terminate" in root.inside:
        findings.both(at, "scheduler and early_terminate cannot stand together")
    controller = root.inside.get("controller")
    kind = None if controller is None else controller.inside.get("type")
    if kind is not None and kind.value == "local":
        findings.both(at, "scheduler and controller: {type: local} cannot stand together")


def _searches_itself(root: At) -> bool:
    scheduler = root.inside.get("scheduler")
    return (
        scheduler is not None
        and scheduler.kind == "mapping"
        and bool(scheduler.value.get("search_space"))
    )


_CHECKS = {
    "run_cap": _check_run_cap,
    "controller": _check_controller,
    "metric": _check_metric,
    "metrics": _check_metrics,
    "early_terminate": _check_early,
}
