"""The module ``wandb`` of a program that an agent or ``thetahat exec`` started.

The folder above is put in front of the program's path, so that its ``import wandb`` finds this
file. The answers are in ``thetahat.wandb``; if that cannot be loaded (another Python that lacks
thetahat), it is loaded from the folder in which this file lies.
"""

import sys

try:
    import thetahat  # noqa: F401 (the names below come from it)
except ImportError:
    import importlib.util
    import os.path

    _here = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    _spec = importlib.util.spec_from_file_location(
        "thetahat", os.path.join(_here, "__init__.py"), submodule_search_locations=[_here]
    )
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["thetahat"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["thetahat"])

from thetahat.wandb._module import (
    __getattr__ as __getattr__,
    __version__ as __version__,
    init as init,
)
from thetahat.wandb._submodules import answer_submodules

__path__: list[str] = []
"""It has submodules, which are found by name alone."""
answer_submodules(__name__)
