"""The command line: ``thetahat``, and ``th.main`` for scripts."""

from thetahat.cli._begin import main as main, run as run
