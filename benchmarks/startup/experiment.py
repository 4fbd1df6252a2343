"""A process that fits one network, and prints what starting cost it, as JSON."""

from __future__ import annotations

import json
from collections import Counter

import jax
import optax

import thetahat as th

EVENTS: Counter[str] = Counter()
jax.monitoring.register_event_listener(lambda event, **_: EVENTS.update([event]))


def mlp_regression(lr: float = 1e-2, epochs: int = 20, seed: th.Seed = 42) -> th.Task:
    """A two-hidden-layer network fitted to a linear data generating process."""
    draw = th.dgp.linear(500, 2, 1e-2, seed=seed)
    data = th.split(draw, train=0.7, val=0.15, test=0.15, seed=seed)
    model = th.models.MLP(2, width=64, depth=2, seed=seed)
    return th.Task(model, data, optimizer=optax.sgd(lr), epochs=epochs, batch_size=32, seed=seed)


if __name__ == "__main__":
    result = th.fit(mlp_regression)
    told = {
        "import_s": result.seconds["import"],
        "compile_s": result.seconds["compile"],
        "run_s": result.seconds["run"],
        "cache_hits": EVENTS["/jax/compilation_cache/cache_hits"],
        "cache_misses": EVENTS["/jax/compilation_cache/cache_misses"],
        "traces": result.traces,
    }
    print(json.dumps(told))
