"""The meaning of a word of YAML to W&B's reader (YAML 1.1), and its traps.

W&B reads sweep files by YAML 1.1, so a file must mean the same here. There is one exception: 1e-4
is text to that reader, and a number here. Messages name the other traps.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_BOOL = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False),
}
_BEYOND = "for it is beyond all numbers that a computer has; give a smaller one"
_NULL = ("", "~", "null", "Null", "NULL")
_INT = re.compile(
    r"[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+"
)
_FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
    r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?"
)
_EXPONENT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+")
"""Numbers except in YAML 1.1: 1e-4, 1E5, 1.5e3, -.5e2."""
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_MOST_DIGITS = 1000
"""Of a whole number: Python itself writes some thousands at most."""
_BARE_NUMBERS = ("inf", "Inf", "INF", "nan", "NaN", "NAN")
_TAGS = {
    f"tag:yaml.org,2002:{name}": name
    for name in ("str", "int", "float", "bool", "null", "seq", "map")
}


def known_tag(tag: str) -> str | None:
    """Return the short name of a standard tag (``!!float``); None for others."""
    return _TAGS.get(tag)


def read_word(text: str, *, plain: bool, strict: bool = False) -> tuple[Any, str, str]:
    """Read a scalar: its value, its kind, and its trap ("" mostly).

    Args:    text: as written.   plain: without quotes.   strict: read 1e-4 as text, as W&B does.
    Returns: the value; "text", "int", "float", "bool", "null" or "date"; a message about the trap.
    Raises:  ValueError: a whole number of more than a thousand digits.

    >>> read_word("0x10", plain=True)
    (16, 'int', '')
    >>> read_word("off", plain=True)[0], read_word("off", plain=False)[0]
    (False, 'off')
    """
    if not plain:
        return text, "text", ""
    if text in _BOOL:
        return _BOOL[text], "bool", _of_bool(text)
    if text in _NULL:
        shown = text or "nothing after the colon"
        return None, "null", f"{shown} is Python's None; write 'None' in quotes for the word"
    if _INT.fullmatch(text):
        return (value := _int(text)), "int", _of_int(text, value)
    if _FLOAT.fullmatch(text):
        return (value := _number(text, float)), "float", _of_float(text, value)
    if _DATE.fullmatch(text):
        return text, "date", f"{text} is a date to YAML, and is kept as text; write '{text}'"
    if _EXPONENT.fullmatch(text):
        value = float(text.replace("_", ""))
        far = f", {_BEYOND}" if math.isinf(value) else ""
        fix = f"write {dotted(value)}{far}"
        if strict:
            return text, "text", f"{text} is text to W&B's YAML; {fix}"
        return value, "float", f"{text} is text to W&B's YAML, and a number here; {fix}"
    if _LEADING_ZERO.fullmatch(text):
        bare = text.replace("_", "").lstrip("+-0") or "0"
        return text, "text", f"{text} is text to YAML (a zero in front means base 8); write {bare}"
    if text.lstrip("+-") in _BARE_NUMBERS:
        return text, "text", f"{text} is text to YAML; the number is written .{text.lstrip('+-')}"
    return text, "text", ""


def tagged_word(text: str, tag: str) -> tuple[Any, str]:
    """Read a scalar under a standard tag: its value and its kind.

    Raises:  ValueError: the scalar is of another type.
    """
    if tag == "str":
        return text, "text"
    value, kind, _ = read_word(text, plain=True)
    if tag == "float" and kind in ("int", "float"):
        return float(value), "float"
    if kind != tag:
        raise ValueError(text)
    return value, kind


def dotted(value: float) -> str:
    """Write a number so that every reader of YAML reads it as a number.

    >>> dotted(1e-4), dotted(1e-9), dotted(64.0)
    ('0.0001', '1.0e-09', '64.0')
    """
    text = repr(value)
    if not math.isfinite(value):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    if text == "1e-05":
        return "0.00001"
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}"


def flow(value: Any) -> str:
    """Write a value in YAML's flow style, as every reader of YAML 1.1 reads it.

    >>> flow({"cap": [float("inf"), 1e-5, None], "word": "inf"})
    '{"cap": [.inf, 0.00001, null], "word": "inf"}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, float):
        return dotted(value)
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def _int(text: str) -> int:
    value = _number(text, int) if len(text) <= _MOST_DIGITS else None
    if value is None or value.bit_length() > 4 * _MOST_DIGITS:
        raise ValueError(text)
    return value


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    digits = text.replace("_", "").lower()
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-")
    if ":" in digits:  # base 60
        parts = map(kind, digits.split(":"))
        return sign * functools.reduce(lambda total, part: total * 60 + part, parts, 0)
    if kind is float:
        return sign * float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    if digits[:2] in ("0b", "0x"):
        return sign * int(digits[2:] or "0", 2 if digits[1] == "b" else 16)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _of_bool(text: str) -> str:
    if text.lower() in ("true", "false"):
        return ""
    truth = "true" if _BOOL[text] else "false"
    return f"{text} is {truth} to YAML; write {truth}, or '{text}' for the word"


def _of_int(text: str, value: int) -> str:
    if ":" in text:
        return f"{text} is {value} to YAML (base 60); write '{text}' for the word"
    if _LEADING_ZERO.fullmatch(text) and value != int(text):
        bare = text.lstrip("+-0_")
        return f"{text} is {value} to YAML (base 8); write {bare}, or '{text}' for the word"
    return ""


def _of_float(text: str, value: float) -> str:
    if ":" in text:
        return f"{text} is {value} to YAML (base 60); write '{text}' for the word"
    if "inf" not in text.lower() and math.isinf(value):
        return f"{text} is {dotted(value)} here, {_BEYOND}"
    return ""
