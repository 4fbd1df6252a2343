"""Searches by Ax, where it is installed; else the message that names the extra."""

from __future__ import annotations

from importlib.util import find_spec

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


@pytest.mark.skipif(find_spec("ax") is not None, reason="Ax is installed")
def test_ax_without_its_library_names_the_extra() -> None:
    with pytest.raises(MissingExtra, match=r"engine: ax.*pip install 'thetahat\[ax\]'"):
        sampler_of(parse_sweep(FILE).require(), SweepOptions())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(find_spec("ax") is None, reason="Ax is an extra")
def test_ax_proposes_from_the_files_space_and_learns() -> None:
    spec = parse_sweep(FILE).require()
    search, trials = sampler_of(spec, SweepOptions(seed=1)), []
    for i in range(4):
        (config,) = search(spec.space, SearchHistory(trials), 0, 1).configs
        assert make_space(spec.parameters).holds(config)
        trials.append(Trial(str(i), config, "finished", numbers=[-config["x"]]))
    assert spec.objectives == (Objective("val-loss", "maximize"),)
    assert len({str(trial.config) for trial in trials}) == 4
