"""The command line: ``thetahat``, and ``th.main`` for scripts."""

from thetahat.cli._entry import main as main, run as run

__all__ = ["main", "run"]
