"""From a sweep file to runs: the file's language, and how its runs are started."""

from thetahat.sweep._against import check_against as check_against, notes_against as notes_against
from thetahat.sweep._agent import Tally as Tally
from thetahat.sweep._crew import Crew as Crew
from thetahat.sweep._launch import (
    Work as Work,
    early_crew as early_crew,
    extend_sweep as extend_sweep,
    find_out as find_out,
    new_sweep as new_sweep,
    spec_of as spec_of,
    work_on as work_on,
)
from thetahat.sweep._plan import Plan as Plan, read_points as read_points
from thetahat.sweep._problems import Problem as Problem
from thetahat.sweep._program import (
    Program as Program,
    experiment_of as experiment_of,
    load_experiment as load_experiment,
)
from thetahat.sweep._recorder import Closed as Closed
from thetahat.sweep._spec import (
    Reading as Reading,
    SweepSpec as SweepSpec,
    contamination as contamination,
    parse_sweep as parse_sweep,
    read_sweep as read_sweep,
)
