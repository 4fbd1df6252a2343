"""Numbers about many runs: settings, quantiles, importance; for page, report and terminal alike."""

from thetahat.analysis._cells import CellRule as CellRule
from thetahat.analysis._direction import directions_in as directions_in, sign_of as sign_of
from thetahat.analysis._groups import (
    QUANTILES as QUANTILES,
    Group as Group,
    flat_config as flat_config,
    group_runs as group_runs,
    quantile as quantile,
    quantile_name as quantile_name,
)
from thetahat.analysis._importance import Effect as Effect, effects as effects, number as number
from thetahat.analysis._study import (
    FAILED as FAILED,
    MARKS as MARKS,
    Setting as Setting,
    Study as Study,
    read_study as read_study,
    value_word as value_word,
)
from thetahat.analysis._sweepfile import (
    SweepFile as SweepFile,
    Swept as Swept,
    read_file as read_file,
)
