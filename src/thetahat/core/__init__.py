"""Types that every room shares. This room imports neither JAX nor PyTorch."""

from thetahat.core.errors import (
    CheckpointError as CheckpointError,
    ConfigError as ConfigError,
    DataError as DataError,
    InputError as InputError,
    Interrupted as Interrupted,
    MissingExtra as MissingExtra,
    NotConverted as NotConverted,
    Notice as Notice,
    RunFailed as RunFailed,
    ShapeError as ShapeError,
    StoreError as StoreError,
    ThetahatError as ThetahatError,
    notify as notify,
)
from thetahat.core.metric import Metric as Metric, Mode as Mode
from thetahat.core.redraw import Redraw as Redraw
from thetahat.core.run import (
    Ended as Ended,
    Event as Event,
    Logged as Logged,
    Started as Started,
    Status as Status,
    Tracker as Tracker,
)
from thetahat.core.signature import (
    Parameter as Parameter,
    Seed as Seed,
    Signature as Signature,
    Static as Static,
    read_signature as read_signature,
)
from thetahat.core.task import Task as Task

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Ended",
    "Event",
    "InputError",
    "Interrupted",
    "Logged",
    "Metric",
    "MissingExtra",
    "Mode",
    "NotConverted",
    "Notice",
    "Parameter",
    "Redraw",
    "RunFailed",
    "Seed",
    "ShapeError",
    "Signature",
    "Started",
    "Static",
    "Status",
    "StoreError",
    "Task",
    "ThetahatError",
    "Tracker",
    "notify",
    "read_signature",
]
