"""Who is to blame when a worker dies: of its jobs mostly one, and none that it had not begun."""

from __future__ import annotations

from thetahat.sweep._updates import Crashed
from thetahat.sweep.workers._slot import Seat, Task

FROM_OUTSIDE = (-9, -15)
"""How a process ends whom the system, short of memory, or a person has killed."""


def charge(seat: Seat, code: int, reason: str) -> tuple[list[Crashed], list[Task]]:
    """Charge a worker's death to its jobs.

    A worker does one thing at a time, and says which before it does it. What it aborts at is that
    job's doing when it was beginning it (compiling it, say) or held no other. In training, beside
    others, it may have been their memory: then that job is tried again by itself. Killed from
    outside, all that it held are. The others go on as they were.

    Args:    code: the exit code, negative for a signal.
    Returns: what is to be written, and the jobs that it had not begun: they have lost nothing.
    """
    begun = [task for task in seat.tasks.values() if task.begun]
    crashed: list[Crashed] = []
    for task in begun:
        at_work = task.job.id == seat.at
        if len(begun) == 1 or (at_work and seat.begins and code not in FROM_OUTSIDE):
            guilt = "sure"
        elif at_work or code in FROM_OUTSIDE:
            guilt = "maybe"
        else:
            guilt = "none"
        crashed.append(Crashed(task.held, reason, guilt))
    return crashed, [task for task in seat.tasks.values() if not task.begun]
