"""Return a sweep's failed runs to the queue, after their program was fixed."""

from __future__ import annotations

from sqlalchemy import func, select, update

from thetahat.core.json import from_json, to_json
from thetahat.core.run import Status
from thetahat.store._run_writer import WORK
from thetahat.store._schema import runs, sweeps
from thetahat.store._store import Store
from thetahat.store._sweeps import CANCELLED, RUNNING, SweepRow, read_sweep_row


def retry_failed(store: Store, sweep_id: str, *, diverged: bool = False) -> int:
    """Queue the failed runs of a sweep from their beginning; return their number.

    Args:    diverged: also those that diverged.

    If the sweep is over, it goes on with these runs and begins no others. Their provenance keeps
    the earlier attempts: the code that failed, and why.
    """
    with store.batch() as writer:
        connection = writer.connection
        which = [str(Status.FAILED), *([str(Status.DIVERGED)] if diverged else [])]
        mine = (runs.c.sweep_id == sweep_id) & runs.c.status.in_(which)
        columns = (runs.c.id, runs.c.provenance, runs.c.reason, runs.c.attempt)
        failed = connection.execute(select(*columns).where(mine)).all()
        if not failed:
            return 0
        writer.told = WORK
        for run_id, provenance, reason, attempt in failed:
            before = from_json(provenance)
            earlier = before.pop("earlier", [])
            now = {**before, "attempt": attempt, "failed": reason}
            cleared = ("agent", "cohort", "member", "checkpoint", "started", "finished")
            values = dict.fromkeys(cleared)
            values |= {"status": str(Status.QUEUED), "reason": "", "epochs": 0, "metrics": "{}"}
            values |= {"failures": runs.c.failures + 1, "alone": False}
            values["provenance"] = to_json({"earlier": [*earlier, now]})
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        this = sweeps.c.id == sweep_id
        sweep = read_sweep_row(connection.execute(select(sweeps).where(this)).mappings().one())
        if sweep.over:
            values = {"state": RUNNING, "reason": "", "finished": None}
            if sweep.state == CANCELLED or sweep.reason:
                # It ended before its search did.
                count = select(func.count()).where(runs.c.sweep_id == sweep_id)
                begun = connection.execute(count).scalar()
                values["plan"] = to_json({**sweep.plan, "limit": begun})
            connection.execute(update(sweeps).where(this).values(values))
        return len(failed)


def nothing_to_retry(store: Store, sweep: SweepRow, flag: str, *, diverged: bool) -> str:
    """Say that no run of a sweep has failed, and how runs that diverged run again.

    Args:    flag: how the caller asks for runs that diverged.
    """
    count = select(func.count()).where(
        (runs.c.sweep_id == sweep.id) & (runs.c.status == str(Status.DIVERGED))
    )
    with store.reading() as connection:
        many = connection.execute(count).scalar() or 0
    if diverged:
        return f"no run of the sweep {sweep.name} has failed or diverged"
    said = f"no run of the sweep {sweep.name} has failed"
    if not many:
        return said
    ones = "one that diverged runs" if many == 1 else f"the {many:,} that diverged run"
    return f"{said}; after a change of the program {ones} again with {flag}"
