"""Fits on as many devices as XLA_FLAGS makes, for tests/train/test_devices.py.

python on_devices.py FOLDER    writes what was fitted to FOLDER/NAME.npz
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import optax

import thetahat as th


def net(lr: float = 0.05, seed: th.Seed = 0, epochs: int = 12) -> th.Task:
    return th.Task(
        th.models.MLP(2, width=4, depth=1, seed=seed),
        th.split(th.dgp.linear(N=40, M=2, sigma=0.1, seed=seed), seed=seed),
        optimizer=optax.sgd(lr, momentum=0.9),
        epochs=epochs,
        batch_size=8,
        sampling=th.Shuffle(seed=seed),
        stopping=th.Patience(3),
        tables={"line": lambda h: {"h": jax.vmap(h)(np.eye(2, dtype=np.float32))}},
        seed=seed,
    )


def configs(n, **more):
    return [{"seed": k, "lr": 0.02 * (k + 1), **more} for k in range(n)]


def numbers(result):
    """All numbers of a Result as one array."""
    curves = [result.history[name] for name in ("train_risk", "val_risk")]
    parts = [*jax.tree.leaves(result.params), *curves, *result.risk.values()]
    parts += [column for table in result.tables.values() for column in table.values()]
    return np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in parts])


def main(folder, only=None):
    facts = {"devices": jax.local_device_count()}

    def keep(name, results):
        np.savez(folder / f"{name}.npz", *map(numbers, results))
        facts[name] = {
            "traces": [r.traces for r in results],
            "width": [r.provenance.get("members_per_device") for r in results],
        }

    if only == "vmap":
        keep("vmap", th.fit_many(net, configs(5), mode="vmap"))
        return
    keep("exact", th.fit_many(net, configs(5), mode="exact"))
    if jax.local_device_count() == 1:
        keep("three", th.fit_many(net, configs(3), mode="vmap"))
    else:
        keep("vmap", th.fit_many(net, configs(5), mode="vmap"))
        path = folder / "half.ckpt"
        th.fit_many(net, configs(5, epochs=5), mode="vmap", checkpoint=path)
        keep("resumed", th.fit_many(net, configs(5), mode="vmap", checkpoint=path, resume=True))
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
