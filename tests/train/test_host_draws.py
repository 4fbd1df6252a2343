"""First states on the host: the bits of the compiled program, which no net needs any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import thetahat as th
from thetahat.train import Hyper

# How a first state is drawn shows in no result.
from thetahat.train.jax import _host_draws, _init, _random_draws
from thetahat.train.jax._host_draws import host_draws
from thetahat.train.jax._init import Beginning
from thetahat.train.jax._precision import precision
from thetahat.train.jax._staging import stage

STANDARD_PROGRAMS = True


class Net(nnx.Module):
    """A net of NNX, as NNX initialises it."""

    def __init__(self, d: int, width: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(d, width, rngs=rngs)
        self.last = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.last(nnx.tanh(self.first(x)))[0]


def net(
    d: int, model: Callable[[Any], Any], optimizer: Any, dtype: str = "float32"
) -> Callable[..., Any]:
    """An experiment: a model, made of its seed, for ``d`` inputs."""
    x = np.random.default_rng(0).normal(size=(20, d))

    def build(values: Any) -> th.Task:
        seed = values["seed"]
        return th.Task(model(seed), (x, x[:, 0]), optimizer=optimizer, seed=seed, dtype=dtype)

    return build


def _drawn(key: Any) -> dict[str, Any]:
    """First parameters, one of them a single number."""
    slope = jax.random.normal(key, (3, 1))[:, 0]
    level = {"level": jax.random.normal(key), "one": jnp.ones((1,)).reshape(())}
    return {"slope": slope, "order": jnp.arange(3.0), **level}


def _line(params: Any, x: Any) -> Any:
    return x @ (params["slope"] * params["order"]) + params["level"] * params["one"]


SEEDS = np.array([0, 7, 2**31 - 1], np.int32)
ADAM = th.optim.named("adam", 0.01)
MODELS = {
    "MLP": (18, lambda _: th.models.MLP(18, width=30, depth=2), ADAM),
    "MLP of several blocks": (3, lambda _: th.models.MLP(3, widths=(64, 50)), "sgd"),
    "MLP without hidden layers": (1, lambda s: th.models.MLP(1, depth=0, bias=False, seed=s), ADAM),
    "TabularMLP": (
        5,
        lambda _: th.models.TabularMLP(5, width=9, depth=3),
        th.optim.tabular(15, 0.05, 0.1),
    ),
    "pair": (3, lambda _: (_drawn, _line), ADAM),
    "Linear": (23, lambda _: th.models.Linear(23), ADAM),
    "NNX": (7, lambda s: Net(7, 11, nnx.Rngs(jax.random.key(s))), ADAM),
    "NNX of a split key": (
        7,
        lambda s: Net(7, 5, nnx.Rngs(jax.random.split(jax.random.key(s), 3)[1])),
        ADAM,
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("initial", ["uniform", "lecun_normal"])
def test_the_host_draws_masked_nets_of_traced_widths(initial: str, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 5))
    # Widths outside of 1 to 12 have NaN for parameters.
    widths = np.array([*range(1, 13), 6.5, 0.4, 13.0, -3.0, 1e30, -np.inf, np.nan])
    seeds = (np.arange(len(widths)) * 7919).astype(np.int32)

    def build(values: Any) -> th.Task:
        model = th.lab.MaskedMLP(5, 12, values["width"], depth=2, initial=initial)
        return th.Task(model, (x, x[:, 0]), optimizer=ADAM, seed=values["seed"], dtype=dtype)

    hyper = Hyper({"width": widths, "seed": seeds}, {})
    with precision(dtype):
        ((_, part),) = Beginning(stage(build, hyper), len(widths))._parts
        given = part.tables, dict(hyper.own), ({}, None)
        host = host_draws(part.closed, len(widths))
        assert host is not None
        (program,) = _init._compile([part], *given[1:])
        drawn = host.members(*given, len(widths), part.owned)
        for compiled, here in zip(program(*given), drawn, strict=True):
            same_bits(here, compiled)
        alone = {"width": widths[4:5], "seed": seeds[4:5]}
        one = host.members(part.tables, alone, ({}, None), 1, part.owned)
        for here, all_ in zip(one, drawn, strict=True):
            same_bits(here[0], all_[4])


@pytest.mark.parametrize(
    ("model", "dtype"),
    # NNX makes numbers of 32 bits, which become 64 bits in a way of XLA's.
    [(m, d) for m in MODELS for d in ("float32", "float64") if d == "float32" or m[:3] != "NNX"],
)
def test_the_host_draws_the_bits_of_the_compiled_program(model: str, dtype: str) -> None:
    build = net(*MODELS[model], dtype=dtype)
    hyper = Hyper({"seed": SEEDS}, {})
    with precision(dtype):
        (_, part), *others = Beginning(stage(build, hyper), len(SEEDS))._parts
        given = part.tables, {"seed": SEEDS}, ({}, None)
        host = host_draws(part.closed, len(SEEDS))
        assert not others
        assert host is not None
        (program,) = _init._compile([part], *given[1:])
        drawn = host.members(*given, len(SEEDS), part.owned)
        for compiled, here in zip(program(*given), drawn, strict=True):
            same_bits(here, compiled)
        # A member alone has the same bits.
        for k, seed in enumerate(SEEDS):
            given = part.tables, {"seed": seed[None]}, ({}, None)
            alone = host.members(*given, 1, part.owned)
            for one, all_ in zip(alone, drawn, strict=True):
                same_bits(one[0], all_[k])


def same_bits(one: Any, other: Any) -> None:
    """Assert that two arrays have the same type, shape and bytes."""
    one, other = np.asarray(one), np.asarray(other)
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tobytes() == other.tobytes()


def test_nets_of_any_size_begin_by_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def compile_draw(*given: Any, compile: Any = _init.compile_draw, **how: Any) -> Any:
        compiled.append(given)
        return compile(*given, **how)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a program of its own")

    monkeypatch.setattr(_random_draws, "compiled", type(_random_draws.compiled)())
    monkeypatch.setattr(_random_draws, "load", lambda key: None)
    monkeypatch.setattr(_random_draws, "compile_draw", compile_draw)
    monkeypatch.setattr(_init, "compile_draw", never)
    for width, depth in ((3, 1), (50, 2)):
        task = net(
            4, lambda _, w=width, n=depth: th.models.MLP(4, width=w, depth=n), ADAM, "float32"
        )
        begin = Beginning(stage(task, Hyper({}, {"seed": np.asarray(3, np.int32)})), 1)
        state, _ = begin.draw({}, ({"seed": np.int32(3)}, None))
        assert state.params["layers"][0]["kernel"].shape == (1, 4, width)
    assert len(compiled) == 1


def test_data_that_members_take_from_a_table_are_taken_on_the_host() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)

    def build(values: Any) -> th.Task:
        data = th.split((x, x[:, 0]), train=0.75, val=0.25, test=0, seed=0)
        task = th.Task(th.models.MLP(2, width=4, depth=1), data, seed=values["seed"])
        return th.train.rotated(task, values["member"], 4)

    members = np.arange(4, dtype=np.int32)
    hyper = Hyper({"member": members, "seed": members}, {})
    begin = Beginning(stage(build, hyper), 4)
    for _, part in begin._parts:
        given = part.tables, dict(hyper.own), ({}, None)
        host = host_draws(part.closed, 4)
        assert host is not None
        (program,) = _init._compile([part], *given[1:])
        for compiled, here in zip(
            program(*given), host.members(*given, 4, part.owned), strict=True
        ):
            same_bits(here, compiled)


@jax.jit
def _truncated_normal(key: Any, lower: Any, upper: Any) -> Any:
    return jax.random.normal(key, (4,)) + lower + upper


def jaxpr(function: Callable[[Any], Any]) -> Any:
    """The jaxpr of a function of a seed."""
    return jax.make_jaxpr(lambda seed: function(jax.random.key(seed)))(3)


ELSEWHERE = {
    "a function of the name of JAX's": lambda key: _truncated_normal(key, -2, 2),
    "a sum of floats": lambda key: jax.random.normal(key, (4,)) + 1,
    "a product of a product": lambda key: 3 * jax.random.normal(key, (4,)),
    "a product of two draws": lambda key: jnp.square(jax.random.truncated_normal(key, -2, 2, (4,))),
    "a function of floats": lambda key: jnp.exp(jax.random.truncated_normal(key, -2, 2, (4,))),
    "bounds that are drawn": lambda key: jax.random.truncated_normal(
        key, jnp.float32(key.shape == ()), jax.random.uniform(key) + 2, (4,)
    ),
    "numbers of half precision": lambda key: jax.random.normal(key, (4,), jnp.bfloat16),
    "keys of another generator": lambda key: jax.random.normal(jax.random.key(3, impl="rbg"), (4,)),
    "uniform numbers whose bounds round": lambda key: jax.random.uniform(
        key, (4,), minval=-0.1, maxval=0.7
    ),
    "uniform numbers far from zero": lambda key: jax.random.uniform(
        key, (4,), minval=100, maxval=101
    ),
    "a gather with a value for what is outside": lambda key: (
        jax.random.uniform(key, (4,)).at[jnp.arange(3)].get(mode="fill")
    ),
    "a root of a draw": lambda key: jnp.sqrt(jax.random.uniform(key, (4,))),
    "a quotient of draws": lambda key: (
        jax.random.uniform(key, (4,)) / (jax.random.uniform(key, (4,)) * 2)
    ),
    "a floor of floats": lambda key: jax.random.truncated_normal(key, -2, 2, (4,)).astype(int),
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_numpy_may_round_otherwise_is_compiled(what: str) -> None:
    assert host_draws(jaxpr(ELSEWHERE[what]), 1) is None


def test_other_bounds_are_other_numbers() -> None:
    closed = jaxpr(lambda key: jax.random.truncated_normal(key, -1, 3, (5,)) / 3)
    host = host_draws(closed, 1)
    assert host is not None
    (found,) = host.members((), (), 3, 1, (False,))
    key = jax.random.key(3)
    expected = jax.jit(lambda key: jax.random.truncated_normal(key, -1, 3, (5,)) / 3)(key)
    same_bits(found, expected)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (-0.25, 0.25), (0, 8)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_those_of_the_compiled_program(low, high, dtype) -> None:
    def drawn(seed: Any) -> Any:
        key = jax.random.key(seed)
        return jax.random.uniform(key, (3000,), dtype, low, high)

    with precision(dtype):
        host = host_draws(jax.make_jaxpr(drawn)(3), 1)
        assert host is not None
        (found,) = host.members((), (), 3, 1, (False,))
        same_bits(found, jax.jit(drawn)(3))


def test_many_numbers_and_other_ways_to_draw_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = jaxpr(lambda key: jax.random.truncated_normal(key, -2, 2, (40,)))
    assert host_draws(closed, 1) is not None
    assert host_draws(closed, 2**20) is None
    monkeypatch.setattr(_host_draws, "MOST", 39)
    assert host_draws(closed, 1) is None
    monkeypatch.undo()
    before = jax.config.values["jax_threefry_partitionable"]
    try:
        jax.config.update("jax_threefry_partitionable", False)
        assert host_draws(closed, 1) is None
    finally:
        jax.config.update("jax_threefry_partitionable", before)
