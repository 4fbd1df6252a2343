"""Where to look next: search spaces, samplers and early stopping, as pure functions of history."""

from thetahat.search._bounds import (
    EXPONENTS as EXPONENTS,
    BoundFault as BoundFault,
    bound_faults as bound_faults,
    is_finite as is_finite,
    shape_faults as shape_faults,
)
from thetahat.search._distributions import (
    Categorical as Categorical,
    Constant as Constant,
    Distribution as Distribution,
)
from thetahat.search._hyperband import Hyperband as Hyperband, asha as asha, stop as stop
from thetahat.search._read import (
    DISTRIBUTIONS as DISTRIBUTIONS,
    read_distribution as read_distribution,
)
from thetahat.search._samplers import SAMPLERS as SAMPLERS, sampler as sampler
from thetahat.search._space import (
    Dimension as Dimension,
    Fault as Fault,
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
    best_value as best_value,
    target_reached as target_reached,
)
