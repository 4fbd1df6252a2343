"""``python -m thetahat``: the command of this Python, where its script is not on the PATH."""

import sys

from thetahat.cli import run

if __name__ == "__main__":
    sys.argv[0] = "thetahat"
    sys.exit(run())
