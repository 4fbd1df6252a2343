"""The command line: ``thetahat``, and ``th.main`` for scripts."""

from thetahat.cli._main import main as main
from thetahat.cli._parser import run as run
