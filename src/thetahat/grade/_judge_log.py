"""Errors that show in what a program logs: 2, 3, 7, 8, 9 and 12."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from thetahat.grade._contract import DETAILED, scalar
from thetahat.grade._evidence import Evidence
from thetahat.grade._finding import Finding
from thetahat.grade._losses import close, explain, mean_square, wrong_values
from thetahat.grade._steps import GradientStep
from thetahat.grade._syntax import break_line, key_line

_SAID = {
    2: "it is divided by a number of the training part",
    9: "it is the mean of the means of batches of different size",
    7: "it is a mean over all pairs of a prediction and an outcome",
    3: "its loader gave no rows after the first epoch",
}


def judge_log(evidence: Evidence) -> Iterator[Finding | str]:
    """Findings, and notes on numbers that no error explains."""
    yield from _part_losses(evidence)
    yield from _train_losses(evidence)
    yield from _rates(evidence)
    yield from _last_epoch(evidence)
    yield from _config(evidence)
    yield from _loader(evidence)
    yield from _gradients(evidence)


def _numbers(evidence: Evidence, name: str) -> list[float]:
    found = [scalar(record.numbers.get(name)) for record in evidence.base.tracker.records]
    return [math.nan if one is None else one for one in found]


def _has(evidence: Evidence, name: str) -> bool:
    return any(name in record.numbers for record in evidence.base.tracker.records)


def value_line(evidence: Evidence, key: str, *, returned: bool = False) -> int:
    """The line that first has the number of a key; else that of the key's value.

    Args:    returned: whether the number is of what ``train`` returns, and not of the first record.
    """
    short = evidence.again
    records = short.tracker.records
    numbers = short.result if returned else records[0].numbers if records else {}
    value = scalar(numbers.get(key))
    traced = evidence.trace.first(value) if value and math.isfinite(value) else 0
    return traced or key_line(evidence.program.tree, key) or 1


def _part_losses(evidence: Evidence) -> Iterator[Finding | str]:
    """val_loss and test_loss of the log, and those that came back."""
    base = evidence.base
    size, n_train = int(base.config["batch_size"]), len(evidence.truth_of("train"))
    for part in ("val", "test"):
        name, raw = f"{part}_loss", base.tracker.raw.get(part)
        if raw is None:
            continue
        known = [r for r in base.tracker.records if part in r.predicted and name in r.numbers]
        rows = [(scalar(r.numbers[name]), r.predicted[part]) for r in known]
        columns = [(f"epoch 1 logs {name}", rows)]
        if part == "test" and name in base.result and part in base.final:
            columns.append((f"train returns {name}", [(scalar(base.result[name]), base.final[part])]))
        for said, pairs in columns:
            logged = [math.nan if value is None else value for value, _ in pairs]
            right = [mean_square(p, raw[1]) for _, p in pairs]
            wrong = [wrong_values(p, raw[1], size, n_train) for _, p in pairs]
            error, place = explain(logged, right, wrong)
            if error == 0:
                continue
            said = said.replace("epoch 1", f"epoch {place + 1}")
            shows = f"{said} {logged[place]:.4g}; the mean over {len(raw[1])} rows is {right[place]:.4g}"
            if error is None:
                yield f"{shows}: none of the 14 errors explains it"
            else:
                line = value_line(evidence, name, returned=said.startswith("train"))
                yield Finding(error, line, f"{shows}: {_SAID[error]}")


def steps_by_epoch(evidence: Evidence) -> list[Sequence[GradientStep]]:
    """The gradients of each logged epoch; empty if none were seen."""
    base = evidence.base
    steps, ends = base.watch.steps, [record.steps for record in base.tracker.records]
    if not steps or not ends:
        return []
    if ends[0] == len(steps) and len(ends) > 1:  # logged after the fit
        if len(steps) % len(ends):
            return []
        ends = [len(steps) // len(ends) * (k + 1) for k in range(len(ends))]
    return [steps[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _train_losses(evidence: Evidence) -> Iterator[Finding | str]:
    """train_loss: of all rows after the epoch, or of the batches as they were trained on."""
    epochs = steps_by_epoch(evidence)
    if not _has(evidence, "train_loss"):
        return
    y = evidence.truth_of("train")
    logged, found = _numbers(evidence, "train_loss"), []
    for k, record in enumerate(evidence.base.tracker.records[:DETAILED]):
        predicted = record.predicted["train"]
        steps = epochs[k] if epochs else ()
        right = mean_square(predicted, y)
        if not math.isfinite(right) or right > 1e8 or not math.isfinite(logged[k]):
            continue
        found.append((k, _why_train(evidence, logged[k], predicted, y, steps)))
    wrong = [(k, error) for k, error in found if error != 0]
    if not wrong:
        return
    k = wrong[0][0]
    errors = {error for _, error in wrong if error is not None}
    shows = f"epoch {k + 1} logs train_loss {logged[k]:.4g}"
    if len(errors) != 1:
        right = mean_square(evidence.base.tracker.records[k].predicted["train"], y)
        yield f"{shows}; the mean over {len(y)} rows is {right:.4g}: none of the 14 errors explains it"
        return
    (error,) = errors
    if error == 8:  # the line that takes the last batch's number, not the one that made it
        line = key_line(evidence.program.tree, "train_loss") or 1
        yield Finding(8, line, f"{shows}: it is the loss of the last batch, before its update")
        return
    line = value_line(evidence, "train_loss")
    yield Finding(error, line, f"{shows}: {_SAID[error]}")


def _why_train(
    evidence: Evidence,
    logged: float,
    predicted: np.ndarray,
    y: np.ndarray,
    steps: Sequence[GradientStep],
) -> int | None:
    """The error of one logged train_loss; 0 if it is right."""
    rows = sum(step.rows for step in steps)
    if close(logged, mean_square(predicted, y)):
        return 0
    totals = [step.total for step in steps if step.rows]
    if rows and close(logged, sum(totals) / rows):
        return 0
    if not steps:
        return None if evidence.base.watch.steps else 0  # gradients that were not seen
    if len(steps) > 1 and close(logged, steps[-1].loss):
        return 8
    if rows and close(logged, float(np.mean([step.total / step.rows for step in steps]))):
        return 9
    if close(logged, float(np.mean([step.loss for step in steps]))):
        return 7 if any(step.square_line for step in steps) else 9
    weights = [step.rows for step in steps]
    if rows and close(logged, float(np.average([s.loss for s in steps], weights=weights))):
        return 7 if any(step.square_line for step in steps) else 0
    size, n = int(evidence.base.config["batch_size"]), len(y)
    wrong = wrong_values(predicted, y, size, n)
    return next((e for e in (7, 9) if any(close(logged, one) for one in wrong[e])), None)


def _rates(evidence: Evidence) -> Iterator[Finding]:
    """The rate of an epoch is lr * gamma ** (epoch - 1)."""
    rates = _numbers(evidence, "lr")
    lr, gamma = float(evidence.base.config["lr"]), float(evidence.base.config["gamma"])
    if len(rates) > 1 and all(close(rate, lr * gamma ** (k + 1)) for k, rate in enumerate(rates)):
        line = value_line(evidence, "lr")
        shows = f"epoch 1 logs lr {rates[0]:.4g}, the rate of epoch 2; its own is {lr:.4g}"
        yield Finding(8, line, shows)


def _last_epoch(evidence: Evidence) -> Iterator[Finding]:
    base = evidence.base
    steps, records = len(base.watch.steps), base.tracker.records
    if records and steps > records[-1].steps:
        shows = f"{steps - records[-1].steps} updates come after the last record: an epoch is not logged"
        yield Finding(8, break_line(evidence.program.tree) or records[-1].lines[0], shows)


def _config(evidence: Evidence) -> Iterator[Finding]:
    started, lines = evidence.base.tracker.started, evidence.base.tracker.started_lines
    config = evidence.base.config
    if started is None:
        yield Finding(8, _line_of_train(evidence), "tracker.init is not called: no config is logged")
        return
    line = lines[0] if lines else 1
    given = started["config"]
    try:
        known = dict(given or {})
    except (TypeError, ValueError):
        known = {}
    lost = [name for name, value in config.items() if name != "project" and known.get(name) != value]
    if lost:
        what = "no config" if not known else f"a config without {', '.join(lost)}"
        yield Finding(8, line, f"tracker.init gets {what}")
    if started["project"] != config["project"]:
        shows = f"project is {config['project']!r}, and tracker.init gets {started['project']!r}"
        yield Finding(13, line, shows)


def _line_of_train(evidence: Evidence) -> int:
    code = getattr(evidence.base.module.__dict__["train"], "__code__", None)
    return code.co_firstlineno if code is not None else 1


def is_still(evidence: Evidence) -> bool:
    """Whether no epoch after the first changes a prediction."""
    records = evidence.base.tracker.records
    first = records[0].predicted["train"]
    return len(records) > 1 and all(np.array_equal(r.predicted["train"], first) for r in records)


def _loader(evidence: Evidence) -> Iterator[Finding]:
    if not is_still(evidence):
        return
    records = evidence.base.tracker.records
    later = len(evidence.base.watch.steps) - records[0].steps
    if later and records[0].steps != len(evidence.base.watch.steps):
        return
    shows = f"epoch 1 takes {records[0].steps} gradients, the {len(records) - 1} after it none"
    yield Finding(3, loader_line(evidence), shows)


def loader_line(evidence: Evidence) -> int:
    """The line that makes an iterator which more than one epoch reads."""
    bindings = [one for one in evidence.trace.bindings if one.kind == "iterator" and one.name]
    logged = evidence.base.tracker.records[0].lines
    if bindings:
        return bindings[-1].line
    return logged[0] if logged else 1


def _gradients(evidence: Evidence) -> Iterator[Finding]:
    steps = evidence.base.watch.steps
    square = next((step.square_line for step in steps if step.square_line), 0)
    if square:
        yield Finding(7, square, "the loss is a mean over all pairs of a prediction and an outcome")
    shared = next((step.shared_line for step in steps if step.shared_line), 0)
    if shared:
        yield Finding(12, max(shared, 1), "one parameter acts after more than one layer")
    known = [step for step in steps if step.rows and not step.square_line]
    most = max((step.rows for step in known), default=0)
    full = [step.weight for step in known if step.rows == most]
    for step in known:
        heavier = step.weight / float(np.median(full))
        if step.rows < most and heavier > 1 + 0.5 * (most / step.rows - 1):
            shows = (
                f"each of the {step.rows} rows of the short batch weighs {heavier:.3g} times as much"
                f" as one of {most}"
            )
            yield Finding(9, step.line or 1, shows)
            return
