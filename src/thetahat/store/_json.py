"""Python values as strict JSON text."""

from __future__ import annotations

import json
from typing import Any

from thetahat.core.plain import plain_value as plain_value


def to_json(value: Any, *, numbers: bool = False) -> str:
    """``value`` as strict JSON text; ``numbers=True`` makes NaN and infinity null.

    >>> to_json({"lr": 0.1, "widths": (64, 64), "loss": max, "bad": float("nan")})
    '{"lr":0.1,"widths":[64,64],"loss":"builtins.max","bad":"nan"}'
    >>> to_json({"val_risk": float("inf")}, numbers=True)
    '{"val_risk":null}'
    """
    plain = plain_value(value, numbers=numbers)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate (a file name that is not UTF-8) has no UTF-8 bytes, which databases want.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def from_json(text: str | None) -> Any:
    """The value of JSON text; an empty object for none."""
    return json.loads(text) if text else {}
