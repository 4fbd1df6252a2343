"""Keys of values: equal where nothing can tell the values apart, and only there."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from thetahat.core.content import content_key, static_part


def module(text: str, name: str = "one") -> Any:
    """A module of a user's, from its text."""
    made = ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), made.__dict__)
    return made


def long_array(middle: float) -> np.ndarray:
    array = np.zeros(5000)
    array[2500] = middle
    return array


@dataclass(frozen=True)
class Hidden:
    """Two of them look the same."""

    shown: int
    secret: Any = field(repr=False, compare=False)


class Same:
    """All look the same."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __repr__(self) -> str:
        return "Same()"


class Slotted:
    """No ``__dict__``."""

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


def scaled(by: Any) -> Any:
    return lambda r: by * r


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (long_array(1.0), long_array(2.0)),
        (jnp.asarray(long_array(1.0)), jnp.asarray(long_array(2.0))),
        (np.zeros(3, np.float32), np.zeros(3)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([1, "a"], object), np.array([1, "b"], object)),
        (jax.random.key(0), jax.random.key(1)),
        (Hidden(1, "a"), Hidden(1, "b")),
        (Same(1), Same(2)),
        (Slotted(1), Slotted(2)),
        (scaled(2.0), scaled(3.0)),
        (scaled(long_array(1.0)), scaled(long_array(2.0))),
        (scaled(scaled(2.0)), scaled(scaled(3.0))),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (Same(1).__repr__, Same(2).__repr__),
        (jax.jit(scaled(2.0)), jax.jit(scaled(3.0))),
        (optax.adam(1e-3), optax.adam(1e-2)),
        (optax.adam(optax.cosine_decay_schedule(0.1, 10)), optax.adam(0.1)),
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, {1, 3}),
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ("x" * 100 + "a", "x" * 100 + "b"),
        (Path("a"), "a"),
        (Same, Hidden),
        (object(), object()),
    ],
)
def test_keys_differ_where_values_do(one: Any, other: Any) -> None:
    assert content_key(one) != content_key(other)
    assert content_key([one]) != content_key([other])
    assert content_key(one) == content_key(one)


def test_keys_are_equal_where_values_are() -> None:
    for make in (
        lambda: long_array(1.0),
        lambda: Hidden(1, {"a": [1, 2]}),
        lambda: scaled(long_array(1.0)),
        lambda: optax.chain(optax.clip(1.0), optax.adam(1e-3)),
        lambda: {1, "a", 2.0},
        lambda: (np.float64(3.0), None, b"x", ...),
    ):
        assert content_key(make()) == content_key(make())


RESIDUAL = """\
SCALE = 2.0
def inner(r):
    return r * 3
def residual(h, z, power=1):
    return inner(SCALE * (h(z[0]) - z[1])) ** power
"""


def test_a_function_that_moved_is_the_same_function() -> None:
    moved = RESIDUAL.replace("def residual", "\n\n# moved\ndef residual").replace(
        "    return inner", '    """With a docstring."""\n\n    return inner'
    )
    before, after = module(RESIDUAL), module(moved, "two")
    assert content_key(before.residual) == content_key(after.residual)


@pytest.mark.parametrize(
    "edit", [("r * 3", "r * 4"), ("h(z[0]) - z[1]", "z[1] - h(z[0])"), ("power=1", "power=2")]
)
@pytest.mark.parametrize("reach", ["all", "fixed", "code"])
def test_an_edited_function_is_another_one(edit: tuple[str, str], reach: Any) -> None:
    before, after = module(RESIDUAL), module(RESIDUAL.replace(*edit))
    assert content_key(before.residual, reach=reach) != content_key(after.residual, reach=reach)


def test_data_among_the_globals_count_as_far_as_asked() -> None:
    before, after = module(RESIDUAL), module(RESIDUAL.replace("2.0", "2.5"))
    keys = [
        content_key(before.residual, reach=reach) == content_key(after.residual, reach=reach)
        for reach in ("all", "fixed", "code")
    ]
    assert keys == [False, False, True]


def test_what_holds_itself_has_a_key() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    other: list[Any] = [2]
    other.append(other)
    assert content_key(ring) != content_key(other)


def test_between_processes_types_stand_for_what_cannot_be_compared() -> None:
    assert content_key(object(), here=False) == content_key(object(), here=False)
    assert content_key((1, 2), here=False) == content_key([1, 2], here=False)
    assert content_key(np.float64(0.5), here=False) == content_key(0.5, here=False)


def test_static_parts_ignore_what_is_traced() -> None:
    one = static_part({"lr": 0.1, "grid": long_array(1.0)}, frozenset({"lr"}))
    assert one == static_part({"grid": long_array(1.0), "lr": 0.2}, frozenset({"lr"}))
    assert one != static_part({"grid": long_array(2.0), "lr": 0.1}, frozenset({"lr"}))
