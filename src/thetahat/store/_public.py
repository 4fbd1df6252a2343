"""The public names of the store."""

from thetahat.core.places import locate as locate
from thetahat.store._blocks import Block as Block, pack as pack
from thetahat.store._dead_agents import (
    dead_agents as dead_agents,
    standing as standing,
    standing_runs as standing_runs,
)
from thetahat.store._described_run import describe_run as describe_run
from thetahat.store._filters import (
    Condition as Condition,
    check_columns as check_columns,
    known_columns as known_columns,
    places as places,
    read_condition as read_condition,
    value_of as value_of,
)
from thetahat.store._group_values import (
    GroupedRun as GroupedRun,
    Grouping as Grouping,
    runs_to_group as runs_to_group,
)
from thetahat.store._incremental import Followed as Followed, Follower as Follower
from thetahat.store._live_run import (
    ManualRun as ManualRun,
    begin_run as begin_run,
    columns_of as columns_of,
    continue_run as continue_run,
)
from thetahat.store._page_queries import (
    FIELDS as FIELDS,
    Changed as Changed,
    Origin as Origin,
    TriedRun as TriedRun,
    blocks_after as blocks_after,
    changed_code as changed_code,
    code_digests as code_digests,
    count_all as count_all,
    count_point as count_point,
    detail_of_sweep as detail_of_sweep,
    failure_reasons as failure_reasons,
    first_data_files as first_data_files,
    known_scopes as known_scopes,
    leading_run as leading_run,
    origins as origins,
    pulse as pulse,
    rows_after as rows_after,
    run_columns as run_columns,
    run_configs as run_configs,
    runs_stand as runs_stand,
    scope_of as scope_of,
    shared_orders as shared_orders,
    tried_runs as tried_runs,
)
from thetahat.store._queue import (
    CANCELLED_REASON as CANCELLED_REASON,
    Claim as Claim,
    Offer as Offer,
    Queue as Queue,
    new_agent_id as new_agent_id,
)
from thetahat.store._reserved_space import Reserve as Reserve
from thetahat.store._retry import retry_failed as retry_failed
from thetahat.store._rows import NewRun as NewRun, RunRow as RunRow
from thetahat.store._run_values import metric_series as metric_series, run_values as run_values
from thetahat.store._run_writer import VERSION as VERSION
from thetahat.store._sqlite_errors import found_no_room as found_no_room
from thetahat.store._store import Store as Store, open_store as open_store
from thetahat.store._sweep_records import sweep_records as sweep_records
from thetahat.store._sweeps import (
    NewSweep as NewSweep,
    SweepRow as SweepRow,
    Together as Together,
    cancel_sweep as cancel_sweep,
    change_plan as change_plan,
    count_runs as count_runs,
    create_sweep as create_sweep,
    ended_since as ended_since,
    find_sweep as find_sweep,
    list_agents as list_agents,
    list_sweeps as list_sweeps,
    running_now as running_now,
    set_state as set_state,
)
from thetahat.store._tracker import (
    EXIT_S as EXIT_S,
    StoreTracker as StoreTracker,
    Unkept as Unkept,
    store_tracker as store_tracker,
)
from thetahat.store._writer import Writer as Writer

__all__ = [
    "CANCELLED_REASON",
    "EXIT_S",
    "FIELDS",
    "VERSION",
    "Block",
    "Changed",
    "Claim",
    "Condition",
    "Followed",
    "Follower",
    "GroupedRun",
    "Grouping",
    "ManualRun",
    "NewRun",
    "NewSweep",
    "Offer",
    "Origin",
    "Queue",
    "Reserve",
    "RunRow",
    "Store",
    "StoreTracker",
    "SweepRow",
    "Together",
    "TriedRun",
    "Unkept",
    "Writer",
    "begin_run",
    "blocks_after",
    "cancel_sweep",
    "change_plan",
    "changed_code",
    "check_columns",
    "code_digests",
    "columns_of",
    "continue_run",
    "count_all",
    "count_point",
    "count_runs",
    "create_sweep",
    "dead_agents",
    "describe_run",
    "detail_of_sweep",
    "ended_since",
    "failure_reasons",
    "find_sweep",
    "first_data_files",
    "found_no_room",
    "known_columns",
    "known_scopes",
    "leading_run",
    "list_agents",
    "list_sweeps",
    "locate",
    "metric_series",
    "new_agent_id",
    "open_store",
    "origins",
    "pack",
    "places",
    "pulse",
    "read_condition",
    "retry_failed",
    "rows_after",
    "run_columns",
    "run_configs",
    "run_values",
    "running_now",
    "runs_stand",
    "runs_to_group",
    "scope_of",
    "set_state",
    "shared_orders",
    "standing",
    "standing_runs",
    "store_tracker",
    "sweep_records",
    "tried_runs",
    "value_of",
]
