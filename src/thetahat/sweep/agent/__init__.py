"""From a sweep file that has been read to runs: a door of its own, since it opens the store.

A worker, and ``thetahat check``, go through the other one, and start without a database.
"""

from thetahat.sweep._updates import Closed as Closed
from thetahat.sweep.agent._agent import Tally as Tally
from thetahat.sweep.agent._launch import (
    early_crew as early_crew,
    extend_sweep as extend_sweep,
    find_out as find_out,
    new_sweep as new_sweep,
    spec_of as spec_of,
    work_on as work_on,
)
from thetahat.sweep.workers._connection import WorkerProcess as WorkerProcess
from thetahat.sweep.workers._pool import Crew as Crew
