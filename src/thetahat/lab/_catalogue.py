"""The lab's experiments: each is one module with a question, numbers, an answer and a figure."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thetahat.core.errors import ConfigError, did_you_mean
from thetahat.core.signature import read_signature

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Found = Mapping[str, Any]

FOLDER = Path(__file__).parent / "experiments"


@dataclass(frozen=True)
class LabExperiment:
    """An experiment of the lab, ``thetahat lab run NAME``.

    Args:    name: of its module.   question: the first line of its docstring.
             measure: a typed function of settings with defaults, which returns numbers and arrays
             by name.   answer: one sentence about these numbers.   draw: their figure.
    """

    name: str
    question: str
    measure: Callable[..., Found]
    answer: Callable[[Found], str]
    draw: Callable[[Found], Figure]

    @property
    def settings(self) -> dict[str, Any]:
        """Parameters of ``measure`` by name, with their defaults."""
        return read_signature(self.measure).config({})

    def run(self, **settings: Any) -> Found:
        """Measure, with some settings other than the defaults.

        Raises:  ConfigError: an unknown setting, or a value of another type.
        """
        signature = read_signature(self.measure)
        full = signature.config(settings)
        for name in settings:
            kind = signature.parameters[name].bare_type
            if kind is int and (isinstance(full[name], bool) or not isinstance(full[name], int)):
                raise ConfigError(f"{self.name}: {name}={full[name]!r}; give a whole number")
        return self.measure(**full)


def list_questions() -> dict[str, str]:
    """Return the question of each experiment by its name. No experiment is loaded."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
    return {path.stem: _question(path) for path in files}


def read_experiment(name: str) -> LabExperiment:
    """Load an experiment.

    Raises:  ConfigError: no such experiment.
    """
    questions = list_questions()
    if name not in questions:
        raise ConfigError(f"the lab has no experiment {name!r}{did_you_mean(name, questions)}")
    module = importlib.import_module(f"thetahat.lab.experiments.{name}")
    return LabExperiment(name, questions[name], module.measure, module.answer, module.draw)


def _question(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0]
