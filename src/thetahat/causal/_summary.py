"""What an estimated effect prints: as text, as a table of a paper, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thetahat import figures
from thetahat.causal._crossfit import CrossFit
from thetahat.causal._effect import CausalEffect
from thetahat.causal._scores import MODELS
from thetahat.core.card import card, grid as html_grid
from thetahat.format import Column, table
from thetahat.report import (
    Document,
    Grid,
    Picture,
    format_of,
    is_report,
    refuse_foreign,
    render,
    write_whole,
)

RULE = (
    "theta is the median of the repetitions; se^2 = median of se_r^2 + (theta_r - theta)^2"
    " (Chernozhukov et al. 2018, definition 3.3)"
)
ESTIMATE = [
    Column("learner", "first stages"),
    Column("theta", digits=4),
    Column("se", digits=4),
    Column("low", digits=4),
    Column("high", digits=4),
    Column("p", digits=2),
]


def text(found: CausalEffect) -> str:
    """Everything in lines."""
    parts = [
        head(found),
        table(estimate_rows(found), _estimate_columns(found)),
        spread(found) + "\n" + RULE,
        table(repetition_rows(found), [Column("repetition"), *ESTIMATE[1:3]]),
        "First stages, out of fold (R2: higher is better; log loss: lower):\n"
        + table(stage_rows(found)),
        *overlap_lines(found),
        *_sensitivity_lines(found),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def head(found: CausalEffect) -> str:
    """The model and the data in a sentence each."""
    names, model = found.columns.names, MODELS[found.model]
    through = f", instrument {names['z']}" if found.columns.z is not None else ""
    n, d = found.columns.x.shape
    first = next(iter(found.nuisances.values()))
    n_folds, n_repetitions = len(first.samples[0]), len(found.thetas)
    groups = ""
    if found.codes is not None:
        groups = f", {found.codes.max() + 1:,} groups (folds and standard errors)"
    weighted = ", weighted" if found.columns.weights is not None else ""
    if left := found.columns.n - n:
        weighted += f" ({left:,} more of weight 0)"
    return (
        f"Double machine learning: {model.title}, {found.effect}\n"
        f"{names['y']} on {names['d']}{through}: {n:,} rows, {d} control{'s' * (d > 1)}{groups}"
        f"{weighted}; {n_folds} folds, {n_repetitions} repetition{'s' * (n_repetitions > 1)}, seed"
        f" {found.seed}"
    )


def estimate_rows(found: CausalEffect) -> list[dict[str, Any]]:
    """The estimate, and those with other first stages."""
    return [_estimate_row(one) for one in (found, *found.peers.values())]


def _estimate_row(found: CausalEffect) -> dict[str, Any]:
    learners = dict.fromkeys(stage.learner for stage in found.nuisances.values())
    n = len(found.thetas)
    low, high = found.ci
    return {
        "learner": ", ".join(learners),
        "repetitions": n,
        "theta": found.theta,
        "se": found.se,
        "low": low,
        "high": high,
        "p": found.p_value,
    }


def _estimate_columns(found: CausalEffect) -> list[Column]:
    low, high = f"{(1 - found.level) / 2:.1%}", f"{(1 + found.level) / 2:.1%}"
    return [
        ESTIMATE[0],
        Column("repetitions"),
        *ESTIMATE[1:3],
        Column("low", low, digits=4),
        Column("high", high, digits=4),
        ESTIMATE[5],
    ]


def spread(found: CausalEffect) -> str:
    """Least and greatest theta of the repetitions."""
    low, high = int(found.thetas.argmin()), int(found.thetas.argmax())
    if low == high:
        return "one repetition: theta depends on how the folds fall; give more repetitions"
    return (
        f"theta of the repetitions: least {found.thetas[low]:.4g} (repetition {low}), greatest"
        f" {found.thetas[high]:.4g} (repetition {high})"
    )


def repetition_rows(found: CausalEffect) -> list[dict[str, Any]]:
    """Theta and its standard error, by repetition."""
    pairs = zip(found.thetas, found.ses, strict=True)
    return [{"repetition": r, "theta": t, "se": s} for r, (t, s) in enumerate(pairs)]


def stage_rows(found: CausalEffect) -> list[dict[str, Any]]:
    """How well each nuisance is predicted, beside other learners."""
    rows = []
    for name, stage in found.nuisances.items():
        scores = stage.scores
        row: dict[str, Any] = {
            "nuisance": name,
            "predicts": predicts(found, name),
            "by": stage.learner,
            "measure": stage.measure,
            "mean": stage.score,
            "least": float(scores.min()),
            "greatest": float(scores.max()),
        }
        for peer, other in found.peers.items():
            own = other.nuisances[name]
            row[peer] = own.score if own.measure == stage.measure else None
        rows.append(row)
    return rows


def predicts(found: CausalEffect, name: str) -> str:
    """The target of a nuisance, and the rows it is of.

    ``E[y | x, d = 0]`` in names of columns.
    """
    what, among = MODELS[found.model].nuisances[name]
    names = found.columns.names
    given = "" if among is None else f", {names[among[0]]}={among[1]}"
    return f"{names[what]} | x{given}"


def _chances(found: CausalEffect) -> CrossFit | None:
    """The nuisance whose overlap matters: the probability of treatment, or of the instrument."""
    stage = found.nuisances[MODELS[found.model].chance or "m"]
    return stage if stage.binary else None


def overlap_lines(found: CausalEffect) -> Iterator[str]:
    """The overlap and the trimming, where a probability is predicted."""
    stage = _chances(found)
    if stage is None:
        return
    what = found.columns.names["z" if found.model == "iivm" else "d"]
    yield f"Overlap: predicted probability of {what} = 1, by {what}\n{stage.overlap!r}"
    cut = found.trimmed
    if cut is None:
        yield "Trimming: none; this model does not divide by probabilities"
        return
    below, above = (f"{v.min()} to {v.max()}" for v in (cut.below, cut.above))
    yield (
        f"Trimming to {cut.bound:g} and {1 - cut.bound:g}: {below} rows of a repetition from below,"
        f" {above} from above"
    )


def _sensitivity_lines(found: CausalEffect) -> Iterator[str]:
    if found.bias is not None:
        lines = f"Sensitivity (Chernozhukov et al. 2022):\n{found.sensitivity()}"
        yield (
            lines
            + (
                "\nnu^2 is the plain mean square of the Riesz representer: its debiased estimate is"
                " not positive, since probabilities are near to 0 or 1"
            )
            * found.bias.plain
        )


# -- a page and a table for a paper ---------------------------------------------------------------


def document(found: CausalEffect) -> Document:
    """The report."""
    names = found.columns.names
    first, *others = head(found).split("\n")
    notes = [
        ("Rule", RULE),
        ("Spread", spread(found)),
        *[("Overlap and trimming", line.replace("\n", "; ")) for line in _cut(found)],
        *[("Sensitivity", line.split("\n", 1)[1].replace("\n", "; "))
          for line in _sensitivity_lines(found) if "\n" in line],
        ("Others", "lasso and forest stand beside, with the folds of the first repetition")
        if found.peers
        else ("Folds", "every row is predicted by fits that did not see it"),
    ]  # fmt: skip
    return Document(
        kind="effect",
        ident=f"{names['y']}-{names['d']}-{found.model}",
        title=f"Effect of {names['d']} on {names['y']}",
        subtitle=first,
        summary=[
            f"{found.effect} {found.theta:.4g}, standard error {found.se:.4g},"
            f" {found.level:.0%} interval {found.ci[0]:.4g} to {found.ci[1]:.4g}.",
            spread(found) + ".",
        ],
        warnings=_warnings(found),
        facts=[("Data", others[0]), ("Controls", ", ".join(found.columns.controls))],
        grid=Grid("Estimates", _estimate_columns(found), estimate_rows(found)),
        grids=[
            Grid(
                "Repetitions",
                [Column("repetition"), *ESTIMATE[1:3]],
                repetition_rows(found),
            ),
            Grid(
                "First stages, out of fold",
                [Column(key) for key in stage_rows(found)[0]],
                stage_rows(found),
            ),
        ],
        pictures=_pictures(found),
        notes=notes,
        origin="; the same data, seed and versions give the same numbers",
    )


def _cut(found: CausalEffect) -> list[str]:
    return [line for line in overlap_lines(found) if line.startswith("Trimming")]


def _warnings(found: CausalEffect) -> list[str]:
    cut = found.trimmed
    if cut is None:
        return []
    share = float((cut.below + cut.above).mean()) / len(found.columns.y)
    if share <= 0.01:
        return []
    return [
        f"{share:.1%} of the rows have a probability that was trimmed: the effect rests on few"
        " comparable rows"
    ]


def _pictures(found: CausalEffect) -> list[Picture]:
    pictures = [
        Picture(
            "repetitions",
            "Theta by repetition",
            f"Points: theta of each repetition, with its {found.level:.0%} interval; band: the"
            " interval of their median.",
            partial(
                figures.draw_estimates,
                found.thetas.tolist(),
                found.ses.tolist(),
                (found.theta, *found.ci),
                found.level,
            ),
        )
    ]
    stage = _chances(found)
    if stage is not None:
        seen = stage.overlap
        what = found.columns.names["z" if found.model == "iivm" else "d"]
        pictures.append(
            Picture(
                "overlap",
                "Overlap",
                f"Rows by the predicted probability of {what} = 1, mean of the repetitions.",
                partial(figures.draw_overlap, seen.edges.tolist(), seen.counts.tolist(), what),
            )
        )
    return pictures


def save(found: CausalEffect, path: Any) -> None:
    """Write the report to a file whose ending says its format."""
    where = Path(path)
    kind = format_of(where)
    made = render(document(found), kind)
    refuse_foreign(where, str(where), is_report(made, kind))
    write_whole(where, made.encode("utf-8"))


def notebook_card(found: CausalEffect) -> str:
    """A card for a notebook."""
    rows = estimate_rows(found)
    heads = [c.head for c in _estimate_columns(found)]
    cells = [[_value(row, c.key) for c in _estimate_columns(found)] for row in rows]
    parts = [html_grid(heads, cells, spread(found))]
    return card(head(found).split("\n")[0], head(found).split("\n")[1], parts=parts)


def _value(row: Mapping[str, Any], key: str) -> Any:
    value = row[key]
    return float(value) if isinstance(value, (float, np.floating)) else value
