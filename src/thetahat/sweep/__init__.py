"""A sweep file, read and checked. How its runs are run is ``thetahat.sweep.agent``."""

from thetahat.sweep.agent._early_start import Work as Work, start_early as start_early
from thetahat.sweep.spec._diagnostics import Problem as Problem
from thetahat.sweep.spec._metric_check import (
    check_metric as check_metric,
    notes_of_bands as notes_of_bands,
)
from thetahat.sweep.spec._options import SweepOptions as SweepOptions, read_points as read_points
from thetahat.sweep.spec._program import (
    SweepProgram as SweepProgram,
    experiment_of as experiment_of,
    load_experiment as load_experiment,
)
from thetahat.sweep.spec._signature_check import (
    check_against as check_against,
    notes_against as notes_against,
)
from thetahat.sweep.spec._spec import (
    Reading as Reading,
    SweepSpec as SweepSpec,
    contamination as contamination,
    parse_sweep as parse_sweep,
    read_sweep as read_sweep,
)
from thetahat.sweep.spec._value_check import notes_of_trials as notes_of_trials
