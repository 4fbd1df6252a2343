"""A sweep whose every word is out to do harm."""

from __future__ import annotations

from typing import Any

import stores

from thetahat.core.run import Status
from thetahat.store import NewSweep, Store, create_sweep

HOSTILE = stores.HOSTILE
NASTY = [
    HOSTILE,
    "$\\frac{1}{0}$ \\input{/etc/passwd} 50% & #1 _{x}^~",
    "a|b`c*d_e]f[g](javascript:alert(1))",
    "\x1b[31mred\x07\u202e\r\n<b>",
    "日本語 🎈 ‰",
    "x" * 3000,
]


def hostile_sweep(store: Store) -> str:
    """A sweep whose every word is out to do harm; its id."""
    text = f"program: {HOSTILE}\nmethod: random\ndescription: {HOSTILE}\n"
    sweep = create_sweep(store, NewSweep(text, f"name {HOSTILE}", HOSTILE, file=HOSTILE))
    for k, nasty in enumerate(NASTY):
        config = {nasty: k, "word": nasty, "</style>": [nasty], "lr": 0.1 * (k + 1)}
        curve = {"epoch": [1, 2, 3], "train_risk": [3.0, 2.0, 1.0], "val_risk": [3.0, 2.0, 1.5]}
        bad = Status.FAILED if k % 2 else Status.FINISHED
        more: dict[str, Any] = {"experiment": HOSTILE, "source": HOSTILE, "command": HOSTILE}
        origin = {"versions": {HOSTILE: HOSTILE}, "git": {"commit": HOSTILE}, "device": HOSTILE}
        metrics = {"val_risk": 1.5 + k, f"m {nasty[:60]}": 2.0} if bad is Status.FINISHED else {}
        run = stores.add_run(
            *(store, sweep, config, curve, bad),
            **{"reason": f"{nasty} {k}", "metrics": metrics, "provenance": origin, **more},
        )
        with store.batch() as writer:
            writer.note(run, nasty)
    return sweep.id
