"""What a cohort begins with: data apart from the model, the bits that a member has alone."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

import thetahat as th
from thetahat.train import Hyper

# The programs of the first state show in no result.
from thetahat.train.jax import _compile, _compiled, _init
from thetahat.train.jax._init import Beginning
from thetahat.train.jax._staging import stage

STANDARD_PROGRAMS = True


def net(width: int, seed: th.Seed = 0, lr: float = 0.1) -> th.Task:
    """A net on a line, drawn from a seed."""
    data = th.split(th.dgp.linear(40, 2, 0.1, seed=seed), train=0.5, val=0.5, test=0.0, seed=seed)
    model, descent = th.models.MLP(2, width=width, seed=seed), th.optim.named("sgd", lr)
    return th.Task(model=model, data=data, optimizer=descent, seed=seed)


def beginning(width: int, hyper: Hyper, size: int) -> Beginning:
    """The beginning of a cohort of nets."""
    return Beginning(stage(lambda values: net(width, **values), hyper), size)


def shared(seed: int) -> Hyper:
    """One seed for all members."""
    return Hyper({}, {"seed": np.int32(seed)})


def test_the_program_of_the_data_knows_nothing_of_the_model():
    texts, programs = set(), []
    given = {}, {"seed": np.int32(3)}
    for width in (4, 8):
        (keep, part), (_, model) = beginning(width, shared(3), 1)._parts
        assert len(keep) == 4  # x and y of two parts
        texts.add(jax.jit(part.draw).lower(part.tables, *given).as_text())
        programs.append((_init._compile([part], *given)[0], _init._compile([model], *given)[0]))
    assert len(texts) == 1
    assert programs[0][0] is programs[1][0]
    assert programs[0][1] is not programs[1][1]


def test_what_draws_from_other_arrays_is_another_program():
    drawn = []
    inner = jax.jit(lambda x, table: x + table)
    for k, add in itertools.product((1, 2), (inner, lambda x, table: x + table)):
        table = np.arange(40.0, dtype=np.float32) * k

        def moved(seed: th.Seed = 0, table=table, add=add) -> th.Task:
            x = add(jax.random.normal(jax.random.key(seed), (40,)), table)
            y = jax.jit(lambda x: x * jax.numpy.asarray(table))(x)  # held further down
            return th.Task(model=th.models.MLP(1, width=4), data=(x[:, None], y), seed=seed)

        begin = Beginning(stage(lambda values, moved=moved: moved(**values), shared(3)), 1)
        _, (x, y) = begin.draw({}, {"seed": np.int32(3)})
        np.testing.assert_allclose(y, x[:, 0] * table, rtol=1e-6)
        drawn.append(x[:, 0] - table)
    for other in drawn:
        np.testing.assert_allclose(other, drawn[0], rtol=1e-4, atol=1e-4)


def test_arrays_too_large_to_compare_are_compiled_anew(monkeypatch):
    monkeypatch.setattr(_init, "_COMPARED", 8)
    table = np.arange(40.0, dtype=np.float32)

    def moved(seed: th.Seed = 0) -> th.Task:
        x = jax.random.normal(jax.random.key(seed), (40,)) + table
        return th.Task(model=th.models.MLP(1, width=4), data=(x[:, None], x), seed=seed)

    given = {}, {"seed": np.int32(3)}
    parts = [
        Beginning(stage(lambda values: moved(**values), shared(3)), 1)._parts[0][1] for _ in "ab"
    ]
    assert parts[0].key(*given) is None
    one, other = (_init._compile([part], *given)[0] for part in parts)
    assert one is not other


def test_what_another_process_compiles_comes_last(monkeypatch):
    monkeypatch.setattr(_init, "compiled", _compiled.CompiledPrograms())
    order = []

    def compile_draw(lowered, numbers, *, patient):
        order.append((numbers, patient))
        if numbers == 40 and not patient:
            raise _compile.Busy
        return numbers

    monkeypatch.setattr(_init, "compile_draw", compile_draw)
    plus = jax.make_jaxpr(lambda a: a + 1)(0)
    parts = [_init._Part(plus, (), (False,), 1, n) for n in (40, 7)]
    given = {}, {"seed": np.int32(3)}
    assert _init._compile(parts, *given) == [40, 7]
    assert order == [(40, False), (7, False), (40, True)]


def test_a_process_keeps_the_last_programs_alone(monkeypatch):
    monkeypatch.setattr(_init, "compiled", _compiled.CompiledPrograms(most=2))
    for n in (30, 40, 50):

        def net(seed: th.Seed = 0, n: int = n) -> th.Task:
            return th.Task(th.models.MLP(2, width=3), th.dgp.linear(n, 2, 0.1, seed=seed))

        begin = Beginning(stage(lambda values, net=net: net(**values), shared(3)), 1)
        begin.draw({}, {"seed": np.int32(3)})
    assert len(_init.compiled) == 2


def test_a_drawn_beginning_has_the_shapes_that_were_promised():
    begin = beginning(4, shared(3), 1)
    promised, drawn = (f({}, {"seed": np.int32(3)}) for f in (begin.shapes, begin.draw))
    assert jax.tree.structure(promised) == jax.tree.structure(drawn)
    for shape, array in zip(jax.tree.leaves(promised), jax.tree.leaves(drawn), strict=True):
        assert (shape.shape, shape.dtype) == (array.shape, array.dtype)


@pytest.mark.parametrize("own", [True, False])
def test_members_begin_with_the_bits_that_they_have_alone(own):
    seeds = np.array([5, 7, 9], np.int32)
    if own:
        hyper = Hyper({"seed": seeds}, {})
    else:  # the members differ in what no draw depends on
        hyper = Hyper({"lr": np.array([0.1, 0.2, 0.3])}, {"seed": np.int32(5)})
    begin = beginning(4, hyper, 3)
    state, made = begin.draw(dict(hyper.own), dict(hyper.common))
    for k in range(3):
        values = {name: value[k : k + 1] for name, value in hyper.own.items()}
        alone = Hyper({}, {**{n: v[0] for n, v in values.items()}, **hyper.common})
        one_state, one_made = beginning(4, alone, 1).draw({}, dict(alone.common))
        for many, one in zip(jax.tree.leaves(state), jax.tree.leaves(one_state), strict=True):
            np.testing.assert_array_equal(many[k], one[0])
        for many, one, owned in zip(made, one_made, begin.owned[-len(made) :], strict=True):
            np.testing.assert_array_equal(many[k] if owned else many, one)
    assert begin.owned[-len(made) :] == (own,) * 4


def test_a_model_made_of_the_data_begins_with_them():
    def standardized(seed: th.Seed = 0) -> th.Task:
        data = th.dgp.linear(40, 2, 0.1, seed=seed)
        scale = data.x.std()
        return th.Task(
            model=th.models.MLP(2, width=4, seed=seed),
            data=data,
            residual=lambda f, z: f(z.x / scale) - z.y,
            epochs=2,
            seed=seed,
        )

    ends = th.fit_many(standardized, [{"seed": 1}, {"seed": 2}])
    for seed, many in zip((1, 2), ends, strict=True):
        alone = th.fit(standardized, seed=seed)
        np.testing.assert_allclose(many.risk["train"], alone.risk["train"], rtol=1e-5)
