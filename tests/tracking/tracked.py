"""A fit that W&B, TensorBoard and MLflow follow, as far as they are installed.

Prints, as JSON, the results of the fit and what each package reads back. The packages are heavy:
this program is run once, in a process of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import thetahat as th

# Records of a .wandb file: their framing is read by ours, their content by W&B's own messages.
from thetahat.sweep.processes._wandb_file import LogTail


def line(lr: float = 0.1, width: int = 2, epochs: int = 6) -> th.Task:
    """A line through points of ``width`` inputs."""
    data = th.split(th.dgp.linear(N=40, M=width, sigma=0.1, seed=0), train=20, val=10, seed=0)
    descent = th.optim.named("sgd", lr)
    return th.Task(th.models.Linear(width), data, optimizer=descent, epochs=epochs)


CONFIGS = [{"lr": 0.9}, {"lr": 1e30}, {"width": 3}]
"""The best epoch of the first is its third; the second diverges; the third is another program."""


def read_wandb() -> list[dict[str, Any]]:
    """The runs of W&B, offline."""
    from wandb.proto import wandb_internal_pb2 as messages

    runs = []
    for path in Path("wandb").glob("offline-run-*/run-*.wandb"):
        run: dict[str, Any] = {"history": {}, "summary": {}}
        for data in LogTail(path).new():
            record = messages.Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                of = record.run
                run |= {"name": of.display_name, "project": of.project, "tags": list(of.tags)}
                run["config"] = {u.key: json.loads(u.value_json) for u in of.config.update}
            elif kind == "history":
                row = {(i.key or i.nested_key[0]): i.value_json for i in record.history.item}
                for key, text in row.items():
                    run["history"].setdefault(key, []).append(json.loads(text))
            elif kind == "summary":
                for u in record.summary.update:
                    run["summary"][u.key or u.nested_key[0]] = json.loads(u.value_json)
            elif kind == "exit":
                run["exit"] = record.exit.exit_code
        runs.append(run)
    return runs


def read_tensorboard() -> list[dict[str, Any]]:
    """The runs of TensorBoard, from its event files: length, checksum, message, checksum."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    def masked(data: bytes) -> int:
        crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    runs = []
    for path in Path("boards").glob("*/events.out.tfevents.*"):
        run: dict[str, Any] = {"name": path.parent.name, "scalars": {}, "hparams": {}}
        data = path.read_bytes()
        while data:
            (length,), (check,) = struct.unpack("<Q", data[:8]), struct.unpack("<I", data[8:12])
            assert check == masked(data[:8])
            body = data[12 : 12 + length]
            assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked(body),)
            data = data[16 + length :]
            event = Event.FromString(body)
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "hparams":
                    found = HParamsPluginData.FromString(value.metadata.plugin_data.content)
                    for name, held in found.session_start_info.hparams.items():
                        run["hparams"][name] = getattr(held, held.WhichOneof("kind"))
                else:
                    series = run["scalars"].setdefault(value.tag, [])
                    series.append([event.step, value.simple_value])
        runs.append(run)
    return runs


def read_mlflow() -> list[dict[str, Any]]:
    """The runs of MLflow, by its client."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri="sqlite:///ml.db")
    experiment = client.get_experiment_by_name("wages")
    assert experiment is not None
    runs = []
    for run in client.search_runs([experiment.experiment_id]):
        values = {
            name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        about = {"name": run.info.run_name, "status": run.info.status}
        runs.append({**about, "params": run.data.params, "tags": run.data.tags, "values": values})
    return runs


if __name__ == "__main__":
    made = {
        "wandb": lambda: th.trackers.wandb(
            "wages", mode="offline", name="line", tags=["ols"], config={"data": "drawn"}
        ),
        "tensorboardX": lambda: th.trackers.tensorboard("boards", name="line"),
        "mlflow": lambda: th.trackers.mlflow("sqlite:///ml.db", experiment="wages", name="line"),
    }
    there = [name for name in made if importlib.util.find_spec(name) is not None]
    # W&B and MLflow print, and warn of their own code.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = th.fit_many(line, CONFIGS)
        results = th.fit_many(line, CONFIGS, on=[made[name]() for name in there])
        off = th.trackers.wandb(mode="disabled")
        th.fit(line, on=[off])
        readers = {"wandb": read_wandb, "tensorboardX": read_tensorboard, "mlflow": read_mlflow}
        read = {name: readers[name]() for name in there}
    answer = {
        "results": [
            {
                "config": dict(r.config),
                "status": str(r.status),
                "risk": r.risk,
                "best_epoch": r.best_epoch,
                "history": {name: list(map(float, r.history[name])) for name in r.history},
                "same": repr(r.risk) == repr(one.risk)
                and all(
                    r.history[n].tobytes() == one.history[n].tobytes()
                    for n in r.history
                    if n != "seconds"
                ),
            }
            for r, one in zip(results, alone, strict=True)
        ],
        "disabled": off.error,
        "read": read,
    }
    sys.stdout.write(json.dumps(answer))
