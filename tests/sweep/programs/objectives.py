"""A program with three numbers: ``a`` is least at x = 0, ``b`` at x = 2."""

import json
import sys

given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
x, y = float(given.get("x", 0)), float(given.get("y", 0))
sys.stdout.write(json.dumps({"a": x**2 + y, "b": (x - 2) ** 2 + y, "c": x}) + "\n")
