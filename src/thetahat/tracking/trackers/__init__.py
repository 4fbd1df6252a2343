"""Trackers: functions of events that keep a fit in W&B, TensorBoard, MLflow, CSV or JSON lines."""

from thetahat.tracking.trackers._csv import csv as csv
from thetahat.tracking.trackers._jsonl import jsonl as jsonl
from thetahat.tracking.trackers._mlflow import mlflow as mlflow
from thetahat.tracking.trackers._stored import (
    describe as describe,
    with_stored as with_stored,
)
from thetahat.tracking.trackers._tensorboard import tensorboard as tensorboard
from thetahat.tracking.trackers._wandb import wandb as wandb

__all__ = ["csv", "describe", "jsonl", "mlflow", "tensorboard", "wandb", "with_stored"]
