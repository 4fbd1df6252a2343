"""Lasso and forest, beside which first stages are judged."""

from __future__ import annotations

import inspect
from typing import Any

from thetahat.core import MissingExtra
from thetahat.core.errors import check_choice

PEERS = ("lasso", "forest")
TREES, LEAF = 200, 5


def has_sklearn() -> bool:
    """Whether scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def peer(name: str, *, binary: bool) -> Any:
    """The estimator of a name, with its penalty chosen by cross-validation.

    Raises:  ConfigError: another name.   MissingExtra: no scikit-learn.
    """
    check_choice("compare", name, PEERS)
    if not has_sklearn():
        raise MissingExtra(f"compare={name!r}", "sklearn")
    from sklearn import ensemble, linear_model
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "forest":
        kinds = (ensemble.RandomForestRegressor, ensemble.RandomForestClassifier)
        return kinds[binary](TREES, min_samples_leaf=LEAF, random_state=0)
    if not binary:
        return make_pipeline(StandardScaler(), linear_model.LassoCV(cv=5, random_state=0))
    logit: Any = linear_model.LogisticRegressionCV  # its arguments changed in scikit-learn 1.8
    new = "use_legacy_attributes" in inspect.signature(logit).parameters
    own = {"l1_ratios": (1,), "use_legacy_attributes": False} if new else {"penalty": "l1"}
    made = logit(Cs=10, cv=5, solver="liblinear", scoring="neg_log_loss", random_state=0, **own)
    return make_pipeline(StandardScaler(), made)
