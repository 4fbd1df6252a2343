"""th.log: at its simplest."""

import sys

from thetahat import log

lr = float(sys.argv[1].removeprefix("--lr="))
for epoch in range(3):
    log({"val_risk": lr / (epoch + 1), "epoch": epoch})
