"""Numbers about many runs: settings, quantiles, importance; for page, report and terminal alike."""

from thetahat.analysis._bands import (
    BAND_LEAST as BAND_LEAST,
    Band as Band,
    curve_band as curve_band,
)
from thetahat.analysis._best import (
    Standing as Standing,
    best_run as best_run,
    is_seed as is_seed,
    may_repeat as may_repeat,
    names_of as names_of,
    replicates_of as replicates_of,
    running_best as running_best,
    runs_planned as runs_planned,
    seeds_of as seeds_of,
    settings_of as settings_of,
    standings as standings,
    tied as tied,
)
from thetahat.analysis._cells import CellRule as CellRule
from thetahat.analysis._design import caution as caution
from thetahat.analysis._direction import directions_in as directions_in, sign_of as sign_of
from thetahat.analysis._groups import (
    FEW as FEW,
    QUANTILES as QUANTILES,
    Group as Group,
    Spread as Spread,
    band_words as band_words,
    best_first as best_first,
    by_experiment as by_experiment,
    check_over as check_over,
    ending as ending,
    finite as finite,
    flat_config as flat_config,
    group_by as group_by,
    group_runs as group_runs,
    make_group as make_group,
    members_of as members_of,
    place_of as place_of,
    quantile as quantile,
    quantile_name as quantile_name,
    settled as settled,
    spread_of as spread_of,
)
from thetahat.analysis._importance import Effect as Effect, effects as effects
from thetahat.analysis._number import number as number
from thetahat.analysis._search_file import (
    SweepFile as SweepFile,
    Swept as Swept,
    read_file as read_file,
)
from thetahat.analysis._study import (
    MARKS as MARKS,
    Setting as Setting,
    Study as Study,
    plain as plain,
    read_study as read_study,
    value_word as value_word,
)
