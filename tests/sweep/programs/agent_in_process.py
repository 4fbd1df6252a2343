# ruff: noqa: T201
"""Agents whose runs are no processes: each takes a little while and logs two records."""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from thetahat.core.run import Ended, Logged, Started, Status
from thetahat.store import find_sweep, open_store
from thetahat.sweep import Work
from thetahat.sweep.agent import work_on


class Naps:
    """Runs that sleep."""

    ready = True

    def __init__(self, width=3):
        self.width, self.due = width, {}
        self.begun = []

    def follow(self, proposed):
        pass

    @property
    def busy(self):
        return set(self.due)

    def room(self):
        return self.width - len(self.due)

    def take(self, again, fresh):
        for run in [*(r for group in again for r in group), *fresh]:
            self.due[run.id] = (time.monotonic() + random.uniform(0.0, 0.2), run)
            self.begun.append(Started(0, run.config, None, None, {}, run=run.id))

    def poll(self, timeout_s):
        time.sleep(min(timeout_s, 0.02))
        events, self.begun = self.begun, []
        for key, (when, run) in list(self.due.items()):
            if time.monotonic() >= when:
                del self.due[key]
                x = float(run.config["x"])
                events.append(Logged(0, {"epoch": [1, 2], "loss": [x + 1, x]}, key))
                events.append(Ended(0, Status.FINISHED, "", 2, {"loss": x}, run=key))
        return events

    def stop(self, reasons):
        pass

    def forget(self, runs):
        for run in runs:
            self.due.pop(run, None)

    def kept(self):
        pass

    def halt(self):
        self.due = {}

    def close(self):
        pass


def work(sweep):
    """Be an agent, to the end."""
    with open_store(create=False) as store:
        work_on(store, find_sweep(store, sweep), Work(), lambda *_: None, Naps())


if __name__ == "__main__":
    # What agents import is imported once: each line of stdin asks for one more, by fork.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            random.seed(int(line))
            try:
                work(sys.argv[1])
            except BaseException:  # noqa: BLE001 - a child of fork never returns
                traceback.print_exc()
            else:
                Path(f"done-{os.getpid()}").touch()
            os._exit(0)
        print(pid, flush=True)
