"""Training: one driver, compiled chunks, cohorts, checkpoints."""

from thetahat.data import cache_folder as cache_folder
from thetahat.train._bag import (
    MEMBER as MEMBER,
    MOST_MEMBERS as MOST_MEMBERS,
    Bag as Bag,
    announce as announce,
    bag as bag,
    fit_bagged as fit_bagged,
    of_members as of_members,
)
from thetahat.train._checkpoint import (
    Checkpoint as Checkpoint,
    read_checkpoint as read_checkpoint,
    read_header as read_header,
    write_checkpoint as write_checkpoint,
)
from thetahat.train._cohort import Training as Training
from thetahat.train._driver import Interrupt as Interrupt
from thetahat.train._fit import fit as fit, fit_many as fit_many
from thetahat.train._grouping import (
    NeedsStatic as NeedsStatic,
    Outline as Outline,
    Shop as Shop,
    outline_of as outline_of,
    try_out as try_out,
)
from thetahat.train._identity import member_identity as member_identity
from thetahat.train._inputs import encoded as encoded
from thetahat.train._memory import (
    TooLarge as TooLarge,
    free_memory as free_memory,
    total_memory as total_memory,
)
from thetahat.train._obeyed import check_obeyed as check_obeyed
from thetahat.train._options import Options as Options, Progress as Progress
from thetahat.train._program import (
    DIVERGED as DIVERGED,
    FIRST_RULE as FIRST_RULE,
    MODES as MODES,
    RUNNING as RUNNING,
    STOPPED as STOPPED,
    UNMOVED as UNMOVED,
    CohortStatus as CohortStatus,
    Estimate as Estimate,
    Hyper as Hyper,
    Program as Program,
)
from thetahat.train._result import History as History, Result as Result
from thetahat.train._results import Results as Results, load as load
from thetahat.train._saved import (
    Fitted as Fitted,
    columns_of as columns_of,
    predictor_of as predictor_of,
)
from thetahat.train._stopping import (
    Divergence as Divergence,
    Patience as Patience,
    Record as Record,
    Rule as Rule,
    Threshold as Threshold,
    WallTime as WallTime,
    sort_rules as sort_rules,
)
from thetahat.train._tensor_file import check_place as check_place
from thetahat.train.jax import precision as precision, rotated as rotated

__all__ = [
    "DIVERGED",
    "FIRST_RULE",
    "MEMBER",
    "MODES",
    "MOST_MEMBERS",
    "RUNNING",
    "STOPPED",
    "UNMOVED",
    "Bag",
    "Checkpoint",
    "CohortStatus",
    "Divergence",
    "Estimate",
    "Fitted",
    "History",
    "Hyper",
    "Interrupt",
    "NeedsStatic",
    "Options",
    "Outline",
    "Patience",
    "Program",
    "Progress",
    "Record",
    "Result",
    "Results",
    "Rule",
    "Shop",
    "Threshold",
    "TooLarge",
    "Training",
    "WallTime",
    "announce",
    "bag",
    "cache_folder",
    "check_obeyed",
    "check_place",
    "columns_of",
    "encoded",
    "fit",
    "fit_bagged",
    "fit_many",
    "free_memory",
    "load",
    "member_identity",
    "of_members",
    "outline_of",
    "precision",
    "predictor_of",
    "read_checkpoint",
    "read_header",
    "rotated",
    "sort_rules",
    "total_memory",
    "try_out",
    "write_checkpoint",
]
