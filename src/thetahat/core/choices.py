"""Names of losses and samplers: help, messages and docs are made from these lists, or checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LOSSES = {
    "squared": "default of a number",
    "absolute": "",
    "huber": "",
    "pinball": "",
    "logistic": "default of two classes",
    "cross_entropy": "of more",
}
"""Losses in the order of the help, each with a note or ""; their functions are in ``risk``."""
SAMPLERS = ("grid", "tpe", "gp", "cmaes", "qmc", "random")
"""Samplers in the order of the help; their functions are in ``search``."""
OTHER_SAMPLERS = tuple(name for name in SAMPLERS if name != "grid")
"""Samplers that ``--sampler`` can choose; ``method: grid`` chooses the grid."""
STUDY_SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "cmaes", "qmc", "random")
"""Samplers of Optuna that ``--sampler`` can choose for ``method: custom``."""


def listed_names(names: Mapping[str, str]) -> str:
    """List names with their notes.

    >>> listed_names({"squared": "the default", "huber": ""})
    'squared (the default), huber'
    """
    return ", ".join(f"{name} ({note})" if note else name for name, note in names.items())


def one_of(names: Sequence[str]) -> str:
    """Write a choice between names.

    >>> one_of(("tpe", "gp", "qmc"))
    'tpe, gp or qmc'
    """
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


DEVICE = r"\d{1,4}|(GPU|MIG)-[\w/-]+"
"""Pattern of a GPU's number, or its name of CUDA."""

SPREADS = ("auto", "workers", "cohorts")
"""How an agent uses several devices: by the faster of the others; by a worker for each; by cohorts
on all of them."""
