"""Searches by Ax, and the message that names the extra where it is missing."""

from __future__ import annotations

import sys

import pytest

from thetahat.core.errors import MissingExtra
from thetahat.search import Objective, SearchHistory, Trial, make_space
from thetahat.sweep import SweepOptions, parse_sweep
from thetahat.sweep.spec import sampler_of

FILE = """\
method: custom
scheduler: {engine: ax}
metric: {name: val-loss, goal: maximize}
parameters:
  x: {min: 0.0, max: 2.0}
  act: {values: [tanh, [1, 2]]}
  w: {distribution: normal}
"""


def test_ax_without_its_library_names_the_extra(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "ax"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ax", None)
    monkeypatch.delitem(sys.modules, "thetahat.search._ax", raising=False)
    with pytest.raises(MissingExtra, match=r"engine: ax.*pip install 'thetahat\[ax\]'"):
        sampler_of(parse_sweep(FILE).require(), SweepOptions())


@pytest.mark.filterwarnings("ignore")
def test_ax_proposes_from_the_files_space_and_learns() -> None:
    spec = parse_sweep(FILE).require()
    search, trials = sampler_of(spec, SweepOptions(seed=1)), []
    for i in range(4):
        (config,) = search(spec.space, SearchHistory(trials), 0, 1).configs
        assert make_space(spec.parameters).holds(config)
        trials.append(Trial(str(i), config, "finished", numbers=[-config["x"]]))
    assert spec.objectives == (Objective("val-loss", "maximize"),)
    assert len({str(trial.config) for trial in trials}) == 4
