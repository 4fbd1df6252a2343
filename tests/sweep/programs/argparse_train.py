# ruff: noqa: T201
"""argparse, and a line of JSON an epoch."""

import argparse
import json

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--verbose", action="store_true")
args = parser.parse_args()

print("Training begins", {"not": "JSON"})
for epoch in range(args.epochs):
    print(json.dumps({"val_loss": args.lr / (epoch + 1), "epoch": epoch, "best": epoch == 0}))
print(f"verbose={args.verbose}")
