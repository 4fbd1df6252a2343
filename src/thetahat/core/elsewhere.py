"""Names that other libraries have for parts of thetahat: what a message offers in their place."""

from __future__ import annotations

from collections.abc import Iterable

from thetahat.core.errors import did_you_mean

_ARGUMENTS = {
    "n_splits": ("k",),
    "random_state": ("seed",),
    "test_size": ("test",),
    "train_size": ("train",),
    "val_size": ("val",),
    "validation_split": ("val",),
    "n_estimators": ("members",),
    "learning_rate": ("lr",),
    "callbacks": ("on",),
    "max_epochs": ("epochs",),
    "y": ("target",),
    "ckpt_path": ("checkpoint",),
    "alpha": ("tau",),
}
_ARGUMENTS |= dict.fromkeys(("drop", "exclude", "skip"), ("ignore",))
_ARGUMENTS |= dict.fromkeys(("label", "labels", "outcome", "response"), ("target",))
_ARGUMENTS |= dict.fromkeys(("x", "predictors", "covariates"), ("features",))
_ARGUMENTS |= dict.fromkeys(("quantile", "q"), ("quantiles", "tau"))
_ARGUMENTS |= dict.fromkeys(("hidden_size", "hidden_units", "units"), ("width",))
_ARGUMENTS |= dict.fromkeys(("layers", "n_layers", "num_layers"), ("depth",))
_ARGUMENTS |= dict.fromkeys(("n_epochs", "num_epochs", "iterations"), ("epochs",))
"""An argument or option elsewhere, and what the same thing is called here."""
_SENTENCES = {
    "weights": "weights belong to the data: th.Observations(x, y, weight), or"
    " th.read_table(..., weights='column')",
    "shuffle": "rows are drawn at random by seed=; for rows in the order of time give order=",
}
_SENTENCES |= dict.fromkeys(("sample_weight", "weight"), _SENTENCES["weights"])
_RESULT = {
    "score": "result.evaluate('test') is the risk; for another score give it to the Task"
    " (metrics=['r2']) and read result.metrics['test_r2']",
    "coef_": "result.params are the parameters",
    "state_dict": "result.params are the parameters; result.save(path) writes a file",
    "predict_log_proba": "take np.log(result.predict_proba(x))",
    "fit": "th.fit(th.Task(..., start=result)) goes on from its parameters",
    "best": "it is the best state already, of epoch result.best_epoch",
    "summary": "print(result), result.to_frame() and result.plot() show it",
}
_RESULT |= dict.fromkeys(("weights", "parameters", "get_weights"), _RESULT["coef_"])
_RESULT |= {
    f"{part}_{what}": f"it is result.risk[{part!r}]"
    for part in ("train", "val", "test")
    for what in ("risk", "loss")
}
_RESULT |= dict.fromkeys(("risks", "loss", "losses"), "result.risk has those of train, val, test")
_RESULT |= dict.fromkeys(
    ("accuracy", "r2", "mse", "mae", "rmse", "auc"),
    "give the metric to the Task (metrics=['r2']) and read result.metrics['test_r2']",
)
_PACKAGE = {
    "read_csv": "th.read_table(path, target=...)",
    "KFold": "th.folds(data, k)",
    "cross_val_score": "th.folds(data, k), and th.fit on each fold",
    "train_test_split": "th.split(data)",
    "GridSearchCV": "th.run_sweep(experiment, spec)",
    "Trainer": "th.fit(task)",
    "predict": "result.predict(x)",
    "save": "result.save(path)",
    "init": "th.start(...)",
    "agent": "th.run_sweep(experiment, spec)",
    "Dataset": "th.Data(train, val, test)",
    "DataLoader": "th.Data(train, val, test), and Task(batch_size=...)",
    "Model": "th.models, or a module of your own",
    "EarlyStopping": "th.Patience(n)",
    "LogisticRegression": "th.models.Linear with loss='logistic'",
}


def argument_hint(unknown: str, known: Iterable[str], function: str) -> str:
    """Offer the argument that is meant, by its name in another library or by its letters.

    >>> argument_hint("n_splits", ["data", "k"], "folds")
    "; did you mean 'k'?"
    """
    known = list(known)
    same = [name for name in _ARGUMENTS.get(unknown, ()) if name in known]
    if same:
        return f"; did you mean {same[0]!r}?"
    if function in ("split", "folds") and unknown in _SENTENCES:
        return f"; {_SENTENCES[unknown]}"
    return did_you_mean(unknown, known)


def result_hint(unknown: str, known: Iterable[str]) -> str:
    """Say what a fit's result has in place of an attribute that it lacks."""
    said = _RESULT.get(unknown)
    return f"; {said}" if said else did_you_mean(unknown, known)


def package_hint(unknown: str, known: Iterable[str]) -> str:
    """Say what the package has in place of a name that it lacks."""
    said = _PACKAGE.get(unknown)
    return f"; use {said}" if said else did_you_mean(unknown, known)
