"""Compose a program from a style and a seed; lines that hold the error are marked ``#!``."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from students._jax_styles import functional, nnx_objects, optax_functions
from students._shared import NAMES, Style
from students._torch_styles import by_hand, classes, data_loader

FAMILIES: dict[str, Callable[[Style], str]] = {
    "torch loader": data_loader,
    "jax functional": functional,
    "torch classes": classes,
    "flax nnx": nnx_objects,
    "torch by hand": by_hand,
    "jax optax": optax_functions,
}


@dataclass(frozen=True)
class Student:
    """A program: its family, its text, and its error (0 if it is correct) with its lines."""

    family: str
    text: str
    error: int
    lines: tuple[int, ...]


def correct(number: int) -> Student:
    """The correct program of a number."""
    return _compose(number, 0)


def wrong(error: int, number: int) -> Student:
    """A program with one error: its lines are those that the error changed."""
    return _compose(1000 * error + number, error)


def _compose(seed: int, error: int) -> Student:
    names = list(FAMILIES)
    family = names[seed % 1000 % len(names)]
    style = Style(random.Random(f"{family}-{seed}"), error)
    text = _renamed(FAMILIES[family](style), style.rng)
    text = re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"
    lines = text.split("\n")
    marked = tuple(i for i, line in enumerate(lines, 1) if line.endswith("#!"))
    assert bool(marked) == bool(error), (family, error)
    text = "\n".join(line.removesuffix("#!").rstrip() for line in lines)
    return Student(family, text, error, marked)


def _renamed(text: str, rng: random.Random) -> str:
    """Give the names that begin with N_ other names."""
    for name, others in NAMES.items():
        text = re.sub(rf"\bN_{name}\b", rng.choice(others), text)
    left = re.findall(r"\bN_\w+", text)
    assert not left, left
    return text
