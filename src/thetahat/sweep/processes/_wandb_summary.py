"""The summary of a file of wandb: the last value of each name, in the last form that it had."""

from __future__ import annotations

from thetahat.core.last_values import LastValues
from thetahat.core.summary_forms import KEPT, Forms
from thetahat.sweep.processes._wandb_file import Row, WandbSummary


class FileSummary:
    """Counts the records of a file, in their order."""

    def __init__(self) -> None:
        self.values = LastValues()
        self.mappings: dict[str, None] = {}
        """Names of the summary's values that are mappings, in order."""
        self._forms = Forms()
        self._known: dict[str, None] = {}
        """All names of the summary."""

    @property
    def whole(self) -> dict[str, None]:
        """The mappings that ``define_metric`` did not ask for, and those of rows."""
        return self._forms.mappings

    def take(self, record: Row | WandbSummary) -> None:
        """Take a row of history, or changes of the summary."""
        names = [*record.values, *record.words]
        inner = {m: [n for n in names if n.startswith(f"{m}.")] for m in record.mappings}
        whole: list[str] = []
        removed: list[str] = []
        if isinstance(record, WandbSummary):
            self.mappings |= dict.fromkeys(record.mappings)
            # ``loss.min`` stands beside the numbers of ``loss``.
            asked = {m for m, each in inner.items() if not {n[len(m) + 1 :] for n in each} - KEPT}
            inner = {m: each for m, each in inner.items() if m not in asked}
            whole, removed = [m for m in record.whole if m in inner], [*record.removed]
        gone = [*removed, *self._forms.put(self._known, names if whole else (), whole)]
        below = {name for each in inner.values() for name in each}
        tops = {name: [] for name in names if name not in below}
        for name, each in {**tops, **inner}.items():
            if name not in whole:
                gone += self._forms.log(self._known, name, each)
        if isinstance(record, Row):
            self.values.log(record.values)
            self.values.put({}, record.words, gone)
        else:
            self.values.put(record.values, record.words, gone)
        for name in gone:
            self._known.pop(name, None)
        self._known |= dict.fromkeys(names)
