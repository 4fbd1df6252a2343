"""Cross-fitting and double machine learning."""

from thetahat.causal._crossfit import CrossFit as CrossFit, crossfit as crossfit
from thetahat.causal._dml import DML as DML, dml as dml
from thetahat.causal._effect import Trimmed as Trimmed
from thetahat.causal._net import net as net
from thetahat.causal._overlap import Overlap as Overlap
from thetahat.causal._sensitivity import Sensitivity as Sensitivity

__all__ = [
    "DML",
    "CrossFit",
    "Overlap",
    "Sensitivity",
    "Trimmed",
    "crossfit",
    "dml",
    "net",
]
