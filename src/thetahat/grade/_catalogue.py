"""The 14 silent errors of training loops: what each is, and its fix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SilentError:
    """One error: what happens, and what to write instead."""

    what: str
    fix: str


ERRORS = {
    1: SilentError(
        "the best state is a reference that training goes on changing",
        "keep a copy, such as copy.deepcopy(model.state_dict())",
    ),
    2: SilentError(
        "a val or test loss is divided by a count of the training part",
        "divide by the number of observations that were summed",
    ),
    3: SilentError(
        "a loader is exhausted after one epoch, and later epochs change nothing",
        "make the batches anew in every epoch",
    ),
    4: SilentError(
        "lr does not reach the optimizer",
        "pass it by its name, lr=..., and check where a value by position goes",
    ),
    5: SilentError(
        "error_in_f is computed at the training points",
        "evaluate f and the fit at new points, such as those of the test part",
    ),
    6: SilentError(
        "the test loss decides which fit or which epoch is kept",
        "choose by val_loss; look at test_loss once, at the end",
    ),
    7: SilentError(
        "shapes (N, 1) and (N,) broadcast to (N, N)",
        "give both the same shape: pred.squeeze(-1), or y[:, None]",
    ),
    8: SilentError(
        "the log does not tell what was trained",
        "log every epoch with the rate that it used, the loss of all of its rows, and the config",
    ),
    9: SilentError(
        "rows of the short last batch weigh more than others",
        "sum over rows and divide by one number, or drop the short batch",
    ),
    10: SilentError(
        "if no val loss is a number, there is no best state",
        "start with best = a copy of the initial state, or raise an error that says so",
    ),
    11: SilentError(
        "the data change if the model changes: both are drawn from one stream",
        "draw the data from a key or generator of their own",
    ),
    12: SilentError(
        "layers share the parameter of one activation",
        "make an activation for each layer",
    ),
    13: SilentError(
        "a setting is ignored",
        "pass the value that the caller gave",
    ),
    14: SilentError(
        "provenance does not tell two different samples apart: a seed is not enough",
        "add versions of the libraries, or digests of the data",
    ),
}
"""By number."""
