"""The top level of a sweep file: every key, its kind, and the keys it needs beside it."""

from __future__ import annotations

import re

from thetahat.core.errors import did_you_mean
from thetahat.core.sweep_file import TEXTS
from thetahat.core.yaml_tree import YamlNode, describe, listed, written
from thetahat.sweep.spec._diagnostics import Findings
from thetahat.sweep.spec._parameters import check_parameters

METHODS = ("grid", "random", "bayes", "custom")
TOP = (
    *("method", "parameters", "metric", "early_terminate", "run_cap", "command", *TEXTS),
    *("metrics", "scheduler", "controller"),
)
METRIC = ("name", "goal", "target", "impute", "impute_while_running")
IMPUTES = ("latest", "best", "worst")
_HYPERBAND = ("type", "min_iter", "max_iter", "s", "eta", "strict")
_SWEEP_FLAGS = (
    *("seed", "count", "replicates", "enqueue", "shuffle", "sampler", "retries"),
    *("timeout", "asha", "cohort", "mode", "folds", "prior"),
)
_FLAGS = {
    **{name: f"thetahat sweep FILE --{name}" for name in _SWEEP_FLAGS},
    **{name: f"thetahat agent ID --{name}" for name in ("workers", "devices")},
    "constraints": "thetahat sweep FILE --constraint",
}
"""Names that users look for among the keys, and that are flags here."""
_ACCOUNT = {
    "entity": "names an account of W&B; there is none here",
    "job": "names a job of W&B Launch; runs are started by program or command here",
    "image_uri": "names a container for W&B Launch; runs are started by program or command here",
}
"""Keys that mean nothing without an account."""

_LARGER_WORDS = {
    *("acc", "accuracy", "auc", "auroc", "auprc", "ap", "map", "f1", "r2", "precision", "recall"),
    *("score", "reward", "rewards", "return", "returns", "bleu", "rouge", "iou", "dice", "sharpe"),
}
_SMALLER_WORDS = {"loss", "risk", "error", "err", "brier", "regret"}


def check_top(root: YamlNode, findings: Findings) -> None:
    """Check a whole file except its ``command``."""
    if root.kind != "mapping":
        message = f"the file is {describe(root)}; it must hold lines such as method: grid"
        findings.both(root, message)
        return
    _check_keys(root, TOP, findings, "a sweep file")
    method = _check_method(root, findings)
    for name in TEXTS:
        if name in root.inside and _check_text(root.inside[name], findings) is not None:
            _check_word(root.inside[name], findings)
    for name, check in _CHECKS.items():
        if name in root.inside:
            check(root.inside[name], findings)
    _check_together(root, method, findings)
    _check_scheduler(root, method, findings)
    if "parameters" in root.inside:
        check_parameters(root.inside["parameters"], method, findings)
    elif not _searches_itself(root):
        such = "parameters: {lr: {min: 0.001, max: 0.1}}"
        message = f"the file names no parameters; add them, such as {such}"
        findings.both(root, message, "parameters")
    for name, meaning in _ACCOUNT.items():
        if name in root.inside:
            findings.note(root.inside[name], f"{name} {meaning}; it is ignored")


def is_test_metric(name: str) -> bool:
    """Check by its name whether a metric is measured on the test set.

    >>> [is_test_metric(name) for name in ("test_loss", "loss/test", "testLoss", "latest_loss")]
    [True, True, True, False]
    """
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return any(part.lower() in ("test", "tests", "testing", "testset") for part in parts)


def reads_as_larger(name: str) -> bool:
    """Check by its name whether a metric is better the larger it is.

    >>> [reads_as_larger(name) for name in ("val_accuracy", "eval/F1", "meanReward", "val_loss")]
    [True, True, True, False]
    """
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+\d*", name)}
    return bool(parts & _LARGER_WORDS) and not parts & _SMALLER_WORDS


# -- one value ------------------------------------------------------------------------------------


def _check_keys(node: YamlNode, known: tuple[str, ...], findings: Findings, what: str) -> None:
    for name, child in node.inside.items():
        if name not in known:
            flag = "" if node.key else _FLAGS.get(name, "")
            hint = f"; it is a flag: {flag}" if flag else did_you_mean(name, known)
            findings.both(child, f"{what} has no key {name!r}{hint}")


def _check_text(node: YamlNode, findings: Findings) -> str | None:
    """Return a value that must be text."""
    if node.letters is None:
        fix = f", and must be text; put it in quotes: {node.name}: '{node.text}'"
        if node.kind in ("mapping", "list", "null"):
            fix = "; give it a text, or remove the line"
        findings.both(node, f"{node.name} is {describe(node)}{fix}")
    return node.letters


def _check_choice(node: YamlNode, known: tuple[str, ...], findings: Findings) -> str | None:
    """Return a value that must be one of some words."""
    if node.kind == "text" and node.value in known:
        return node.value
    hint = did_you_mean(node.value, known) if node.kind == "text" else ""
    hint = hint if hint.startswith("; did") else f"; write {node.name}: {known[0]}"
    findings.both(node, f"{node.name} is {describe(node)}, and must be {listed(known)}{hint}")
    return None


def _check_method(root: YamlNode, findings: Findings) -> str | None:
    node = root.inside.get("method")
    if node is None:
        findings.both(
            root, "the file names no method; add method: grid, random, bayes or custom", "method"
        )
        return None
    if node.kind == "text" and node.value in METHODS:
        return node.value
    hint = did_you_mean(node.value, METHODS) if node.kind == "text" else ""
    hint = hint if hint.startswith("; did") else ""
    findings.both(node, f"method is {describe(node)}, and must be {listed(METHODS)}{hint}")
    return None


def _check_word(node: YamlNode, findings: Findings) -> None:
    if node.key == "kind" and node.value != "sweep":
        findings.both(node, f"kind is {node.value!r}, and can only be sweep; remove it")
    elif node.key == "program" and node.value == "":
        findings.ours(node, "program is empty; name the script, such as program: train.py")


def _check_run_cap(node: YamlNode, findings: Findings) -> None:
    if not node.is_whole or node.value <= 0:
        findings.both(node, f"run_cap is {describe(node)}; give a whole number of at least 1")


def _check_controller(node: YamlNode, findings: Findings) -> None:
    if node.kind != "mapping":
        fix = "remove it, since every sweep is local here"
        findings.both(node, f"controller is {describe(node)}; {fix}")
    elif "type" not in node.inside:
        findings.both(node, "controller needs type: local or cloud; or remove it")
    elif _check_choice(node.inside["type"], ("local", "cloud"), findings) == "cloud":
        message = "here every sweep is local, with no account; it is ignored"
        findings.note(node.inside["type"], message)


# -- metric ---------------------------------------------------------------------------------------


def _check_metric(node: YamlNode, findings: Findings) -> None:
    if node.kind != "mapping":
        fix = f"; write metric: {{name: {node.value}}}" if node.kind == "text" else ""
        message = f"metric is {describe(node)}, and must be a mapping with a name{fix}"
        findings.both(node, message)
        return
    _check_keys(node, METRIC, findings, "metric")
    name = node.inside.get("name")
    if name is None:
        findings.both(node, "metric needs a name: what the program logs, such as name: val_risk")
    elif (letters := _check_text(name, findings)) is not None:
        _note_name(node, name, letters, findings)
    for key, known in (("goal", ("minimize", "maximize")), ("impute", IMPUTES)):
        if key in node.inside:
            _check_choice(node.inside[key], known, findings)
    running = node.inside.get("impute_while_running")
    if running is not None and running.value is False:
        fix = "write impute_while_running: 'false'"
        findings.theirs(running, f"W&B refuses false without quotes; {fix}")
    elif running is not None:
        _check_choice(running, (*IMPUTES, "false"), findings)
    target = node.inside.get("target")
    if target is not None and not target.is_number:
        message = f"target is {describe(target)}; give a number, such as target: 0.01"
        findings.both(target, message)
    elif target is not None and not target.is_finite:
        findings.ours(target, f"target is {target.value}; give a finite number, or remove it")


def _note_name(metric: YamlNode, name: YamlNode, letters: str, findings: Findings) -> None:
    """Note what the metric's name may hide: a test set, a direction that nothing says."""
    if not letters.strip():
        findings.ours(name, "name is empty; say what the program logs, such as val_risk")
    if is_test_metric(letters):
        findings.note(
            name,
            f"contaminated: {name.value} tunes on the test set, so it no longer measures"
            " anything unseen; the sweep runs and is marked everywhere; for an honest choice"
            " name a validation metric, such as val_risk",
        )
    if "goal" not in metric.inside and reads_as_larger(letters):
        findings.note(
            name,
            f"the file has no goal, so the sweep minimizes {name.value}; write goal: maximize,"
            " or goal: minimize if less is better",
        )


def _check_metrics(node: YamlNode, findings: Findings) -> None:
    if node.kind != "list" or len(node.inside) < 2:
        findings.both(node, "metrics lists two objectives or more; name one with metric")
    if node.kind == "list":
        for child in node.inside.values():
            _check_metric(child, findings)


# -- early termination ----------------------------------------------------------------------------


def _check_early(node: YamlNode, findings: Findings) -> None:
    if node.kind != "mapping":
        fix = "must be a mapping; write early_terminate: {type: hyperband, min_iter: 3}"
        findings.both(node, f"early_terminate is {describe(node)}, and {fix}")
        return
    _check_keys(node, _HYPERBAND, findings, "early_terminate")
    if "type" in node.inside:
        _check_choice(node.inside["type"], ("hyperband",), findings)
    else:
        findings.both(node, "early_terminate needs its type; add type: hyperband")
    if "min_iter" not in node.inside and not {"max_iter", "s"} <= set(node.inside):
        fix = "add min_iter: 3, or max_iter: 27 with s: 2"
        fix = "add s: 2" if "max_iter" in node.inside else fix
        fix = "add max_iter: 27" if "s" in node.inside else fix
        findings.both(node, f"hyperband needs min_iter, or max_iter with s; {fix}")
    keys = ("min_iter", "max_iter", "s", "eta")
    numbers = [node.inside[key] for key in keys if key in node.inside]
    for number in numbers:
        _check_hyperband_number(number, findings)
    strict = node.inside.get("strict")
    if strict is not None and strict.kind != "bool":
        findings.both(strict, f"strict is {describe(strict)}; give true or false")
    if "max_iter" in node.inside and all(map(findings.sound, numbers)):
        _check_bands(node, findings)


def _check_hyperband_number(node: YamlNode, findings: Findings) -> None:
    whole = node.name in ("min_iter", "max_iter")
    rule = "a whole number of at least 1" if node.name != "eta" else "a number above 1"
    least = {"min_iter": 1, "eta": 1}.get(node.name)
    small = node.is_number and least is not None and (node.value < 1 if whole else node.value <= 1)
    if small or not (node.is_whole if whole else node.is_number):
        such = "" if whole else f", such as {node.name}: {'2' if node.name == 's' else '3'}"
        findings.both(node, f"{node.name} is {describe(node)}; give {rule}{such}")
    elif not node.is_finite:
        findings.ours(node, f"{node.name} is {node.value}; give a finite number")


def _check_bands(node: YamlNode, findings: Findings) -> None:
    """Check what W&B's schema accepts, and fails on when the sweep runs."""
    max_iter, s, eta = (node.inside.get(key) for key in ("max_iter", "s", "eta"))
    assert max_iter is not None
    factor = 3 if eta is None else eta.value
    if s is None:
        if "min_iter" in node.inside:  # otherwise this is an error already
            findings.ours(max_iter, "max_iter needs s beside it; add s: 2, or remove max_iter")
    elif not s.is_whole or s.value < 1:
        findings.ours(s, f"s is {written(s.value)}; give a whole number of at least 1")
    elif max_iter.value / factor < 1:
        findings.ours(
            max_iter,
            f"max_iter {written(max_iter.value)} is below eta ({written(factor)}), so nothing would"
            " ever be stopped; give a larger max_iter, or min_iter",
        )
    elif "min_iter" in node.inside:
        message = "max_iter and s stand beside it: min_iter is not used"
        findings.note(node.inside["min_iter"], message)


# -- keys that need others ------------------------------------------------------------------------


def _check_together(root: YamlNode, method: str | None, findings: Findings) -> None:
    metrics, metric = root.inside.get("metrics"), root.inside.get("metric")
    if metrics is not None and metric is not None:
        findings.both(metrics, "metric and metrics cannot stand together; keep metric")
    elif metrics is not None and method != "custom":
        message = "several objectives need method: custom; write it, or name one metric"
        findings.both(metrics, message)
    elif metrics is not None:
        _check_names(metrics, findings)
    add = "add metric: {name: val_risk, goal: minimize}"
    if metric is None and (method == "bayes" or (method == "custom" and metrics is None)):
        findings.ours(root.inside["method"], f"{method} needs a metric to improve; {add}")
    if metric is None and "early_terminate" in root.inside:
        message = f"early_terminate needs a metric to compare runs by; {add}"
        findings.ours(root.inside["early_terminate"], message)


def _check_names(metrics: YamlNode, findings: Findings) -> None:
    """Refuse a metric that stands among several twice: the search has two numbers of one name."""
    seen: set[str] = set()
    for one in metrics.inside.values() if metrics.kind == "list" else ():
        name = one.inside.get("name")
        if name is not None and name.letters in seen:
            message = f"{name.letters} stands among the metrics again; name each once"
            findings.ours(name, message)
        elif name is not None and name.letters is not None:
            seen.add(name.letters)


_ENGINES = {"wandb": METHODS[:3], "optuna": ("custom",), "ax": ("custom",)}
_SCHEDULER = ("engine", "source", "optimizer", "search_space")


def _check_scheduler(root: YamlNode, method: str | None, findings: Findings) -> None:
    """Check the section ``scheduler``, and what goes with it."""
    node = root.inside.get("scheduler")
    if node is None:
        return
    if node.kind != "mapping":
        message = f"scheduler is {describe(node)}, and must be a mapping with an engine"
        findings.both(node, message)
        return
    _check_keys(node, _SCHEDULER, findings, "scheduler")
    for name in _SCHEDULER[1:]:
        if name in node.inside:
            _check_text(node.inside[name], findings)
            if node.inside[name].value == "":
                findings.ours(node.inside[name], f"{name} is empty; name one, or remove the line")
            if name != "source" and "source" not in node.inside:
                message = f"{name} needs source, the file it stands in"
                findings.both(node.inside[name], message)
    engine = node.inside.get("engine")
    if engine is None:
        findings.both(node, "scheduler needs an engine: wandb, optuna or ax")
    elif _check_choice(engine, tuple(_ENGINES), findings) and method not in _ENGINES[engine.value]:
        known = ", ".join(_ENGINES[engine.value])
        findings.both(engine, f"the engine {engine.value} goes with method: {known}")
    elif findings.sound(engine):
        _note_unused(root, node, engine.value, findings)
    if "early_terminate" in root.inside:
        findings.both(node, "scheduler and early_terminate cannot stand together")
    controller = root.inside.get("controller")
    kind = None if controller is None else controller.inside.get("type")
    if kind is not None and kind.value == "local":
        findings.both(node, "scheduler and controller: {type: local} cannot stand together")


def _note_unused(root: YamlNode, node: YamlNode, engine: str, findings: Findings) -> None:
    """Note what an engine does not use, and refuse a file that it could not search."""
    space = node.inside.get("search_space")
    if engine == "wandb":
        for name in _SCHEDULER[1:]:
            if name in node.inside:
                message = f"the engine wandb is the search of method, and uses no {name}; remove it"
                findings.note(node.inside[name], message)
        if "parameters" not in root.inside and space is not None:
            message = "the engine wandb searches parameters, and the file has none; add them"
            findings.ours(node, message)
    elif engine == "ax" and space is not None:
        message = "the engine ax searches parameters, not a function; remove search_space"
        findings.ours(space, message)
    elif space is not None and "parameters" in root.inside:
        message = f"{space.value} proposes the parameters, so this section is not used; remove it"
        findings.note(root.inside["parameters"], message)


def _searches_itself(root: YamlNode) -> bool:
    node = root.inside.get("scheduler")
    return node is not None and node.kind == "mapping" and bool(node.value.get("search_space"))


_CHECKS = {
    "run_cap": _check_run_cap,
    "controller": _check_controller,
    "metric": _check_metric,
    "metrics": _check_metrics,
    "early_terminate": _check_early,
}
