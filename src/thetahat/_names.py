"""The public names and the room of each: the whole public surface on one page.

``HOMES`` are names of ``thetahat`` itself, loaded from their room when first used; ``ROOMS`` are
its submodules, as in ``th.dgp.linear`` and ``th.models.MLP``.
"""

HOMES = {
    "Task": "thetahat.core",
    "Metric": "thetahat.core",
    "Seed": "thetahat.core",
    "Static": "thetahat.core",
    "Status": "thetahat.core",
    "Notice": "thetahat.core",
    "ThetahatError": "thetahat.core",
    "InputError": "thetahat.core",
    "Data": "thetahat.data",
    "Observations": "thetahat.data",
    "Batches": "thetahat.data",
    "Shuffle": "thetahat.data",
    "split": "thetahat.data",
    "read_table": "thetahat.data",
    "stream_table": "thetahat.data",
    "trainable": "thetahat.models",
    "freeze": "thetahat.models",
    "n_params": "thetahat.models",
    "huber": "thetahat.risk",
    "pinball": "thetahat.risk",
    "ridge": "thetahat.risk",
    "fit": "thetahat.train",
    "fit_many": "thetahat.train",
    "fit_bagged": "thetahat.train",
    "Result": "thetahat.train",
    "Bag": "thetahat.train",
    "History": "thetahat.train",
    "Patience": "thetahat.train",
    "Threshold": "thetahat.train",
    "Divergence": "thetahat.train",
    "WallTime": "thetahat.train",
    "open_store": "thetahat.store",
    "store_tracker": "thetahat.store",
    "start": "thetahat.store",
    "log": "thetahat.store",
    "open_sweep": "thetahat.report",
    "main": "thetahat.cli",
}

ROOMS = {
    "core": "thetahat.core",
    "data": "thetahat.data",
    "dgp": "thetahat.data.dgp",
    "models": "thetahat.models",
    "risk": "thetahat.risk",
    "optim": "thetahat.optim",
    "train": "thetahat.train",
    "store": "thetahat.store",
    "search": "thetahat.search",
    "sweep": "thetahat.sweep",
    "report": "thetahat.report",
}
