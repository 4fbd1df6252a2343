"""From a sweep file that has been read to runs: a front door of its own, since it opens the store.

A worker, and ``thetahat check``, use that of ``thetahat.sweep``, and start without a database.
"""

from thetahat.core.run import Ended as Ended, Logged as Logged, Started as Started
from thetahat.sweep._events import (
    AgentEvent as AgentEvent,
    Alive as Alive,
    Crashed as Crashed,
    Described as Described,
    Noted as Noted,
    Remarked as Remarked,
    RunEvent as RunEvent,
)
from thetahat.sweep.agent._agent import (
    FirstRunsFailed as FirstRunsFailed,
    Runner as Runner,
    Tally as Tally,
)
from thetahat.sweep.agent._create import (
    Found as Found,
    extend_by as extend_by,
    extend_sweep as extend_sweep,
    find_out as find_out,
    new_sweep as new_sweep,
)
from thetahat.sweep.agent._launch import (
    early_pool as early_pool,
    is_done as is_done,
    pool_here as pool_here,
    program_file as program_file,
    work_on as work_on,
)
from thetahat.sweep.agent._load_models import load_models as load_models
from thetahat.sweep.agent._one_machine import how_to_share as how_to_share
from thetahat.sweep.agent._prior import Prior as Prior, read_prior as read_prior
from thetahat.sweep.processes._function_calls import (
    Call as Call,
    FunctionCalls as FunctionCalls,
    RunStopped as RunStopped,
)
from thetahat.sweep.spec._spec import spec_of as spec_of
from thetahat.sweep.workers._connection import WorkerProcess as WorkerProcess
from thetahat.sweep.workers._pool import Pool as Pool

__all__ = [
    "AgentEvent",
    "Alive",
    "Call",
    "Crashed",
    "Described",
    "Ended",
    "FirstRunsFailed",
    "Found",
    "FunctionCalls",
    "Logged",
    "Noted",
    "Pool",
    "Prior",
    "Remarked",
    "RunEvent",
    "RunStopped",
    "Runner",
    "Started",
    "Tally",
    "WorkerProcess",
    "early_pool",
    "extend_by",
    "extend_sweep",
    "find_out",
    "how_to_share",
    "is_done",
    "load_models",
    "new_sweep",
    "pool_here",
    "program_file",
    "read_prior",
    "spec_of",
    "work_on",
]
