"""Search spaces, samplers and early stopping: pure functions of a space and its history."""

from thetahat.search._constraints import (
    Constraint as Constraint,
    accepts_all as accepts_all,
    constrained as constrained,
    feasible_points as feasible_points,
)
from thetahat.search._distributions import (
    Categorical as Categorical,
    Constant as Constant,
    Distribution as Distribution,
    Steps as Steps,
    holds as holds,
    same as same,
)
from thetahat.search._grid import (
    shuffled as shuffled,
)
from thetahat.search._hyperband import (
    Hyperband as Hyperband,
    asha as asha,
    stop as stop,
)
from thetahat.search._parameters import (
    DISTRIBUTIONS as DISTRIBUTIONS,
    EXPONENTS as EXPONENTS,
    Fault as Fault,
    kind_of as kind_of,
    read_distribution as read_distribution,
    section_faults as section_faults,
)
from thetahat.search._samplers import (
    BLIND as BLIND,
    SAMPLERS as SAMPLERS,
    sampler as sampler,
)
from thetahat.search._space import (
    Dimension as Dimension,
    Space as Space,
    make_space as make_space,
    space_faults as space_faults,
)
from thetahat.search._trials import (
    Objective as Objective,
    Proposals as Proposals,
    Sampler as Sampler,
    SearchHistory as SearchHistory,
    Trial as Trial,
    TrialValue as TrialValue,
    best_value as best_value,
    target_reached as target_reached,
    targets_reached as targets_reached,
    trial_values as trial_values,
)

__all__ = [
    "BLIND",
    "DISTRIBUTIONS",
    "EXPONENTS",
    "SAMPLERS",
    "Categorical",
    "Constant",
    "Constraint",
    "Dimension",
    "Distribution",
    "Fault",
    "Hyperband",
    "Objective",
    "Proposals",
    "Sampler",
    "SearchHistory",
    "Space",
    "Steps",
    "Trial",
    "TrialValue",
    "accepts_all",
    "asha",
    "best_value",
    "constrained",
    "feasible_points",
    "holds",
    "kind_of",
    "make_space",
    "read_distribution",
    "same",
    "sampler",
    "section_faults",
    "shuffled",
    "space_faults",
    "stop",
    "target_reached",
    "targets_reached",
    "trial_values",
]
