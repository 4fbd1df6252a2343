"""``wandb.plot``: charts of tables. The table is kept, with the title and the axes of the chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thetahat.wandb._media import Media, Table, keep_table
from thetahat.wandb._run import Run


class CustomChart(Media):
    """A chart of a table."""

    kind = "chart"

    def __init__(self, chart: str, table: Table, title: str, fields: Mapping[str, Any]) -> None:
        self.chart, self.table, self.title, self.fields = chart, table, title, dict(fields)

    def keep(self, run: Run, name: str) -> dict[str, Any]:
        """Keep its table."""
        columns = {c: self.table.get_column(c) for c in self.table.columns}
        about = {"chart": self.chart, "title": self.title, "fields": self.fields}
        return keep_table(run, f"{name}_table", columns, self.kind, about)


def line(
    table: Table,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str = "",
    split_table: bool = False,
) -> CustomChart:
    """Return a line of two columns."""
    fields = {"x": x, "y": y, **({"stroke": stroke} if stroke else {})}
    return CustomChart("line", table, title, fields)


def scatter(
    table: Table, x: str, y: str, title: str = "", split_table: bool = False
) -> CustomChart:
    """Return points of two columns."""
    return CustomChart("scatter", table, title, {"x": x, "y": y})


def bar(
    table: Table, label: str, value: str, title: str = "", split_table: bool = False
) -> CustomChart:
    """Return a bar for each row."""
    return CustomChart("bar", table, title, {"label": label, "value": value})


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return counts of a column."""
    return CustomChart("histogram", table, title, {"value": value})


def line_series(
    xs: Sequence[Any],
    ys: Sequence[Sequence[Any]],
    keys: Sequence[Any] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines over one x, or each over its own."""
    own = [xs] * len(ys) if not xs or not hasattr(xs[0], "__len__") else xs
    names = list(keys or (f"line_{k}" for k in range(len(ys))))
    rows = [
        [x, name, y]
        for mine, values, name in zip(own, ys, names, strict=True)
        for x, y in zip(mine, values, strict=True)
    ]
    table = Table(columns=[xname, "lineKey", "lineVal"], data=rows)
    fields = {"x": xname, "y": "lineVal", "stroke": "lineKey"}
    return CustomChart("line", table, title, fields)


def confusion_matrix(
    probs: Any = None,
    y_true: Sequence[Any] | None = None,
    preds: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix",
    split_table: bool = False,
) -> CustomChart:
    """Return how often each class was predicted as each."""
    truth = [int(one) for one in y_true or ()]
    if preds is None:
        preds = [max(range(len(row)), key=row.__getitem__) for row in probs]
    guessed = [int(one) for one in preds]
    n = 1 + max([*truth, *guessed], default=-1)
    names = list(class_names or (f"Class_{k + 1}" for k in range(n)))
    rows = [
        [names[a], names[b], sum(t == a and g == b for t, g in zip(truth, guessed, strict=True))]
        for a in range(len(names))
        for b in range(len(names))
    ]
    table = Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"}
    return CustomChart("confusion_matrix", table, title, fields)


def roc_curve(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the true-positive rate against the false-positive rate, for each class."""
    from sklearn.metrics import roc_curve as points  # pyright: ignore[reportMissingImports]

    return _of_classes(
        *(points, "roc", y_true, y_probas, labels, classes_to_plot, title),
        names=("fpr", "tpr"),
    )


def pr_curve(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return precision at ``interp_size`` equal steps of recall, for each class.

    The precision of a recall is the highest at any threshold that reaches it.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_curve  # pyright: ignore[reportMissingImports]

    def points(truth: Any, score: Any) -> Any:
        precision, recall, cut = precision_recall_curve(truth, score)  # recall falls
        highest = np.maximum.accumulate(precision)[::-1]
        steps = np.linspace(0, 1, interp_size)[::-1]
        return steps, highest[np.searchsorted(recall[::-1], steps)], cut

    return _of_classes(
        *(points, "pr", y_true, y_probas, labels, classes_to_plot, title),
        names=("recall", "precision"),
    )


def _of_classes(
    points: Any,
    chart: str,
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None,
    wanted: Sequence[Any] | None,
    title: str,
    names: tuple[str, str],
) -> CustomChart:
    import numpy as np

    truth, score = np.asarray(y_true), np.asarray(y_probas)
    rows = []
    for k, one in enumerate(np.unique(truth)):
        if wanted is not None and one not in wanted:
            continue
        named = labels is not None and np.issubdtype(truth.dtype, np.integer)
        name = str(labels[int(one)] if labels is not None and named else one)
        x, y, _ = points(truth == one, score[:, k])
        rows += [[name, float(a), float(b)] for a, b in zip(x, y, strict=True)]
    table = Table(columns=["class", *names], data=rows)
    return CustomChart(chart, table, title, {"x": names[0], "y": names[1], "class": "class"})


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, Any],
    string_fields: Mapping[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a chart of a specification of the user's own: its table is kept."""
    title = str((string_fields or {}).get("title", ""))
    return CustomChart(vega_spec_name, data_table, title, {**fields, **(string_fields or {})})


def visualize(id: str, value: Table) -> CustomChart:
    """Return a chart of a table."""
    return CustomChart(id, value, "", {})
