"""The public names as imports, for type checkers and editors; no program imports this."""

from thetahat import (
    causal as causal,
    core as core,
    data as data,
    grade as grade,
    lab as lab,
    models as models,
    notebook as notebook,
    optim as optim,
    quadrature as quadrature,
    report as report,
    risk as risk,
    search as search,
    sklearn as sklearn,
    store as store,
    sweep as sweep,
    train as train,
)
from thetahat.causal import (
    crossfit as crossfit,
    dml as dml,
)
from thetahat.cli import (
    main as main,
)
from thetahat.core import (
    Ended as Ended,
    InputError as InputError,
    Logged as Logged,
    Metric as Metric,
    Notice as Notice,
    Redraw as Redraw,
    Seed as Seed,
    Started as Started,
    Static as Static,
    Status as Status,
    Task as Task,
    ThetahatError as ThetahatError,
)
from thetahat.data import (
    Batches as Batches,
    Data as Data,
    Observations as Observations,
    Shuffle as Shuffle,
    dgp as dgp,
    folds as folds,
    read_table as read_table,
    split as split,
    stream_table as stream_table,
)
from thetahat.models import (
    freeze as freeze,
    n_params as n_params,
    trainable as trainable,
)
from thetahat.notebook import (
    open_sweep as open_sweep,
    run_sweep as run_sweep,
)
from thetahat.risk import (
    accept as accept,
    huber as huber,
    metrics as metrics,
    pinball as pinball,
    ridge as ridge,
)
from thetahat.store import (
    open_store as open_store,
    store_tracker as store_tracker,
)
from thetahat.tracking import (
    log as log,
    start as start,
    trackers as trackers,
)
from thetahat.train import (
    Bag as Bag,
    Divergence as Divergence,
    Fitted as Fitted,
    History as History,
    Patience as Patience,
    Result as Result,
    Results as Results,
    Threshold as Threshold,
    WallTime as WallTime,
    fit as fit,
    fit_bagged as fit_bagged,
    fit_many as fit_many,
    load as load,
)
from thetahat.train.torch import (
    from_lightning as from_lightning,
)
