"""A sweep's figures in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thetahat.analysis import Study
from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.report import _figures as pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from thetahat.core.places import Place


class Plots:
    """A sweep's figures. Each method returns a matplotlib figure, which a notebook shows."""

    def __init__(self, study: Study, path: Place) -> None:
        self._study = study
        self._path = path

    def history(self) -> Figure:
        """Draw the metric of every run in the order they were made, and the best so far."""
        return pictures.progress(self._study)

    def curves(self, n: int = pictures.MOST_CURVES) -> Figure:
        """Draw the training curves of the ``n`` best runs; with replicates, of the best settings,
        those nearest to what ranks them first."""
        from thetahat.store import open_store

        with open_store(self._path, create=False) as store:
            return pictures.curves(store, self._study.leading_runs[:n])

    def parallel(self) -> Figure:
        """Draw each run as a line across its parameters to its metric; the best tenth stand out."""
        return pictures.parallel(self._study)

    def importance(self) -> Figure:
        """Draw how much each parameter matters, beside the share that chance would reach."""
        return pictures.importance(self._study)

    def slice(self, parameter: str) -> Figure:
        """Draw the metric of every run against one parameter.

        Raises:  ConfigError: a parameter that does not vary; the nearest is offered.
        """
        return pictures.slice_of(self._study, self._known(parameter))

    def contour(self, x: str, y: str) -> Figure:
        """Draw the metric over two numeric parameters.

        Raises:  ConfigError: a parameter that does not vary; the nearest is offered.
        """
        return pictures.contour(self._study, self._known(x), self._known(y))

    def seeds(self) -> Figure:
        """Draw every seed's number by setting, with median (mean of folds) and quantiles."""
        return pictures.seeds(self._study)

    def _known(self, name: str) -> str:
        names = [*self._study.parameters, *self._study.seeds]
        if name not in names:
            raise ConfigError(
                f"no parameter {name!r} varies in this sweep{did_you_mean(name, names)}"
            )
        return name

    def __repr__(self) -> str:
        return "plots: history, curves, parallel, importance, slice(p), contour(p, q), seeds"
