"""A sweep file: read, checked against its experiment, and its options."""

from thetahat.sweep.spec._coerce import (
    ValueReader as ValueReader,
    typed as typed,
)
from thetahat.sweep.spec._command import (
    MACROS as MACROS,
    argv_of as argv_of,
    check_runnable as check_runnable,
)
from thetahat.sweep.spec._diagnostics import (
    Problem as Problem,
)
from thetahat.sweep.spec._from_python import (
    PythonSweep as PythonSweep,
    sweep_from as sweep_from,
    sweep_text as sweep_text,
)
from thetahat.sweep.spec._options import (
    SweepOptions as SweepOptions,
    nested as nested,
    options_from_json as options_from_json,
    read_points as read_points,
)
from thetahat.sweep.spec._program import (
    SweepProgram as SweepProgram,
    experiment_names as experiment_names,
    experiment_of as experiment_of,
    load_experiment as load_experiment,
    refuse_while_loaded as refuse_while_loaded,
)
from thetahat.sweep.spec._scheduler import (
    SweepInfo as SweepInfo,
    sampler_of as sampler_of,
    scheduler_problems as scheduler_problems,
)
from thetahat.sweep.spec._schema import (
    METRIC as METRIC,
    TOP as TOP,
)
from thetahat.sweep.spec._signature_check import (
    Examined as Examined,
    check_against as check_against,
    notes_against as notes_against,
)
from thetahat.sweep.spec._source_files import (
    Code as Code,
)
from thetahat.sweep.spec._spec import (
    Reading as Reading,
    SweepSpec as SweepSpec,
    contamination as contamination,
    nothing_varies as nothing_varies,
    parse_sweep as parse_sweep,
    read_sweep as read_sweep,
)
from thetahat.sweep.spec._task_check import (
    check_metric as check_metric,
    notes_of_bands as notes_of_bands,
    notes_of_trials as notes_of_trials,
)

__all__ = [
    "MACROS",
    "METRIC",
    "TOP",
    "Code",
    "Examined",
    "Problem",
    "PythonSweep",
    "Reading",
    "SweepInfo",
    "SweepOptions",
    "SweepProgram",
    "SweepSpec",
    "ValueReader",
    "argv_of",
    "check_against",
    "check_metric",
    "check_runnable",
    "contamination",
    "experiment_names",
    "experiment_of",
    "load_experiment",
    "nested",
    "notes_against",
    "notes_of_bands",
    "notes_of_trials",
    "nothing_varies",
    "options_from_json",
    "parse_sweep",
    "read_points",
    "read_sweep",
    "refuse_while_loaded",
    "sampler_of",
    "scheduler_problems",
    "sweep_from",
    "sweep_text",
    "typed",
]
