"""A sweep file, read and checked; ``thetahat.sweep.agent`` runs it."""

from thetahat.sweep.spec import (
    Problem as Problem,
    Reading as Reading,
    SweepOptions as SweepOptions,
    SweepProgram as SweepProgram,
    SweepSpec as SweepSpec,
    check_against as check_against,
    check_metric as check_metric,
    contamination as contamination,
    experiment_of as experiment_of,
    load_experiment as load_experiment,
    notes_against as notes_against,
    notes_of_bands as notes_of_bands,
    notes_of_trials as notes_of_trials,
    parse_sweep as parse_sweep,
    read_points as read_points,
    read_sweep as read_sweep,
)
from thetahat.sweep.workers._early_start import Work as Work, start_early as start_early

__all__ = [
    "Problem",
    "Reading",
    "SweepOptions",
    "SweepProgram",
    "SweepSpec",
    "Work",
    "check_against",
    "check_metric",
    "contamination",
    "experiment_of",
    "load_experiment",
    "notes_against",
    "notes_of_bands",
    "notes_of_trials",
    "parse_sweep",
    "read_points",
    "read_sweep",
    "start_early",
]
