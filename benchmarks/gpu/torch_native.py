"""Does the PyTorch backend train on this device as it does on a CPU? See ``_torch``."""

from __future__ import annotations

import sys

from benchmarks.gpu import _torch

if __name__ == "__main__":
    sys.exit(_torch.main())
