"""Programs that are not experiments: ``th.start`` and ``th.log``."""

from thetahat.tracking._start import log as log, start as start

__all__ = ["log", "start"]
