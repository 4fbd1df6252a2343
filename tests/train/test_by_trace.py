"""Programs that look at a state are named by their trace: shared where it is equal, and only there."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_reuse import DATA, X, Y, anew, numbers, task

import thetahat as th
from thetahat.train.jax import _by_trace, _compiled, _program, _settings  # no public names
from thetahat.train.jax._by_trace import TracedFunction, trace_key

ONE, TWO = np.float32(1.0), np.arange(2, dtype=np.float32)


# -- a key holds all that a program depends on ---------------------------------------------------------


def key(function, *leaves, compiler=("jit",), names=()):
    return trace_key(jax.jit(function).trace(*leaves), leaves, compiler, names)


def double(x, _):
    return [2.0 * x]


def base():
    return key(double, TWO, ONE)


def inner(constant: float):
    return jax.jit(lambda x: x + constant)


def next_number(x, _):
    return [float(np.nextafter(np.float32(2), np.float32(3))) * x]


def looped(steps: int):
    return lambda x, _: [jax.lax.fori_loop(0, steps, lambda _, a: 2.0 * a, x)]


TABLES = [np.array([1.0, 2.0], np.float32), np.array([1.0, 2.5], np.float32)]

ANOTHER_TRACE = {
    "operation": (double, lambda x, _: [2.0 + x]),
    "literal": (double, next_number),
    "operand": (lambda x, y: [x - x[0]], lambda x, y: [x[0] - x]),
    "constant array": tuple(lambda x, _, t=t: [x * t] for t in TABLES),
    "inner function": tuple(lambda x, _, c=c: [inner(c)(x)] for c in (1.0, 2.0)),
    "steps of a loop": (looped(2), looped(3)),
    "order of outputs": (lambda x, y: [x * 2, x * 3], lambda x, y: [x * 3, x * 2]),
    "number of outputs": (double, lambda x, _: [2.0 * x, x]),
}


@pytest.mark.parametrize("functions", ANOTHER_TRACE.values(), ids=ANOTHER_TRACE)
def test_another_trace_has_another_key(functions) -> None:
    keys = [key(function, TWO, ONE) for function in functions]
    assert keys[0] is not None
    assert keys[0] != keys[1]


def test_the_argument_that_is_read_is_part_of_a_key() -> None:
    assert key(lambda x, _: [2.0 * x], ONE, ONE) != key(lambda _, y: [2.0 * y], ONE, ONE)


ANOTHER_ARGUMENT = {
    "shape": (np.arange(3, dtype=np.float32), ONE),
    "type": (np.arange(2, dtype=np.float16), ONE),
    "type of one that is not read": (TWO, np.int32(1)),
    "shape of one that is not read": (TWO, TWO),
    "weak type": (TWO, 1.0),
    "device": (jax.device_put(TWO, jax.devices()[0]), ONE),
    "number of arguments": (TWO, ONE, ONE),
}


@pytest.mark.parametrize("leaves", ANOTHER_ARGUMENT.values(), ids=ANOTHER_ARGUMENT)
def test_other_arguments_have_another_key(leaves) -> None:
    assert key(lambda x, *_: [2.0 * x], *leaves) != key(lambda x, *_: [2.0 * x], TWO, ONE)


def test_the_compiler_its_options_and_names_of_outputs_are_part_of_a_key() -> None:
    options = ("jit", ("xla_backend_optimization_level", 0))
    found = [
        base(),
        key(double, TWO, ONE, compiler=("read",)),
        key(double, TWO, ONE, compiler=options),
        key(double, TWO, ONE, names=("val_risk",)),
        key(double, TWO, ONE, names=("test_risk",)),
    ]
    assert len(set(found)) == 5


SETTINGS = {
    "products": lambda: jax.default_matmul_precision("highest"),
    "double precision": lambda: jax.enable_x64(True),
    "random numbers": lambda: jax.threefry_partitionable(False),
    "nan checks": lambda: jax.debug_nans(True),
    "device": lambda: jax.default_device(jax.devices()[0]),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_jax_are_part_of_a_key(setting) -> None:
    before = base()
    with setting():
        inside = base()
    assert base() == before != inside


def test_flags_of_xla_and_versions_are_part_of_a_key(monkeypatch) -> None:
    found = [base()]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
    found.append(base())
    monkeypatch.setattr(_settings, "_versions", lambda: ("jax 99",))
    _settings._settings_key.cache_clear()
    found.append(base())
    monkeypatch.undo()
    _settings._settings_key.cache_clear()
    assert len(set(found)) == 3
    assert base() == found[0]


def test_names_globals_and_dead_code_are_no_part_of_a_key() -> None:
    two = 2.0

    def other(x, rate):
        optax.adam(rate).init({"w": jax.random.normal(jax.random.key(0), (3,))})
        return [two * x]

    assert key(other, TWO, ONE) == base()


def test_what_a_trace_does_not_tell_has_no_key(monkeypatch) -> None:
    def on_the_host(x, _):
        shape = jax.ShapeDtypeStruct((2,), np.float32)
        return [jax.pure_callback(lambda x: x, shape, x)]

    assert key(on_the_host, TWO, ONE) is None
    monkeypatch.setattr(_by_trace, "MOST_CONSTANTS", 4)
    table = np.arange(8, dtype=np.float32)
    assert key(lambda x, _: [x[0] * table], TWO, ONE) is None
    assert base() is not None
    monkeypatch.setenv("THETAHAT_CACHE", "off")
    assert base() is None


def test_what_is_traced_inside_another_trace_has_no_key() -> None:
    found = []

    def outer(c):
        found.append(key(lambda x, _: [x * c], TWO, ONE))
        return c

    jax.make_jaxpr(outer)(1.0)
    assert found == [None]


# -- a function whose programs are shared ----------------------------------------------------------------


@pytest.fixture
def compilations(monkeypatch) -> list[str]:
    """What is compiled to look at states: "read", or "jit"."""
    found: list[str] = []
    read, jit = _program.compile_read, TracedFunction._compile
    monkeypatch.setattr(
        _program, "compile_read", lambda *args: (found.append("read"), read(*args))[1]
    )
    monkeypatch.setattr(
        TracedFunction, "_compile", lambda *args: (found.append("jit"), jit(*args))[1]
    )
    return found


@pytest.mark.usefixtures("fresh_programs")
def test_functions_of_one_trace_share_a_program(compilations) -> None:
    def functions():
        return [
            TracedFunction(lambda a, k=k: {"out": a["x"] * k, "same": a["x"]}) for k in (2, 2, 3)
        ]

    first = [f({"x": TWO})["out"].tolist() for f in functions()]
    assert first == [[0.0, 2.0], [0.0, 2.0], [0.0, 3.0]]
    assert len(compilations) == 2
    (one, *_) = functions()
    for x in (TWO, np.arange(3, dtype=np.float32), TWO + 1):
        assert one({"x": x})["out"].tolist() == (2 * x).tolist()
    assert (len(compilations), len(one.programs)) == (3, 2)
    with jax.default_matmul_precision("highest"):
        one({"x": TWO})
    assert len(one.programs) == 3
    with jax.enable_x64(True):
        wide = one({"x": np.arange(2) / 3})["out"]
    assert wide.dtype == np.float64
    assert wide.tolist() == (2 * (np.arange(2) / 3)).tolist()
    same = TracedFunction(lambda tree: tree)
    assert [list(same({name: TWO})) for name in "ab"] == [["a"], ["b"]]


# -- evaluations and predictions of fits --------------------------------------------------------------------


def of_table(weights=None, val=True) -> th.Data:
    rows = th.Observations(X, Y, weights)
    return th.Data(rows, val=rows[:8]) if val else th.Data(rows)


SHARED = {
    "optimizer": {"optimizer": optax.adam(0.05)},
    "learning rate": {"optimizer": optax.sgd(0.2)},
    "momentum": {"optimizer": optax.sgd(0.1, momentum=0.9)},
    "batch size": {"batch_size": 12},
    "order": {"sampling": "sequential"},
    "epochs": {"epochs": 3},
    "stopping rule": {"stopping": [th.Threshold("val_risk", below=1e-9)]},
    "penalty": {"penalty": th.ridge(0.1)},
    "seed": {"seed": 5},
}


@pytest.mark.usefixtures("fresh_programs")
def test_evaluations_do_not_depend_on_how_a_state_was_found(compilations, monkeypatch) -> None:
    first = th.fit(task())
    first.predict(X)
    assert compilations == ["read", "jit"]
    for change in SHARED.values():
        found = th.fit(task(**change))
        assert found.predict(X).tobytes() == found.predict(X).tobytes()
        assert compilations == ["read", "jit"], change
        kept, expected = list(compilations), anew(monkeypatch, task(**change))
        assert numbers(found) == numbers(expected), change
        with monkeypatch.context() as off:
            off.setenv("THETAHAT_CACHE", "off")
            assert found.predict(X).tobytes() == expected.predict(X).tobytes(), change
        assert len(compilations) > len(kept)  # those of programs of their own
        compilations[:] = kept


def error(power: int):
    return {"error": lambda h, z: jnp.abs(h(z[0]) - z[1]) ** power}


NOT_SHARED = {
    "loss": {"loss": th.huber(0.5)},
    "constant of a residual": {"residual": lambda h, z: 1.5 * (h(z[0]) - z[1])},
    "model": {"model": th.models.MLP(2, width=2, depth=1, activation="tanh")},
    "activation": {"model": th.models.MLP(2, width=2, depth=1, activation="relu")},
    "metric": {"metrics": error(1)},
    "function of a metric": {"metrics": error(2)},
    "metric of a part": {"metrics": {"error": "mae"}},
    "name of a metric": {"metrics": {"far": "mae"}},
    "weights": {"data": of_table(np.linspace(0.1, 2, 24, dtype=np.float32))},
    "parts": {"data": of_table(val=False)},
    "rows": {"data": th.Data((np.repeat(X, 20, 0), np.repeat(Y, 20)), val=DATA.val)},
    "precision": {"dtype": "float64"},
}


@pytest.mark.usefixtures("fresh_programs")
def test_evaluations_depend_on_all_that_they_compute(compilations, monkeypatch) -> None:
    th.fit(task())
    for n, change in enumerate(NOT_SHARED.values(), start=2):
        found = th.fit(task(**change))
        assert len(compilations) == n, change
        kept = list(compilations)
        assert numbers(found) == numbers(anew(monkeypatch, task(**change))), change
        compilations[:] = kept


@pytest.mark.usefixtures("fresh_programs")
def test_cohorts_of_other_sizes_evaluate_by_other_programs(compilations) -> None:
    def seeded(optimizer: str, rate: float = 0.1, seed: th.Seed = 0) -> th.Task:
        made = {"sgd": optax.sgd, "adam": optax.adam}[optimizer]
        return task(optimizer=made(rate), seed=seed)

    for size, expected in ((2, 1), (3, 2)):
        for optimizer in ("sgd", "adam"):
            configs = [{"optimizer": optimizer, "seed": k} for k in range(size)]
            together = th.fit_many(seeded, configs)
            assert len(compilations) == expected
            for config, one in zip(configs, together, strict=True):
                params = jax.tree.leaves(one.params)
                h = X @ np.asarray(params[1]).ravel() + np.asarray(params[0]).ravel()
                if np.ndim(params[0]) > np.ndim(params[1]):
                    h = X @ np.asarray(params[0]).ravel() + np.asarray(params[1]).ravel()
                risk = np.mean((h - Y) ** 2)
                np.testing.assert_allclose(one.risk["train"], risk, rtol=1e-5, err_msg=str(config))


def test_another_process_evaluates_by_a_program_on_disk(on_disk, compilations, monkeypatch) -> None:
    adam = task(optimizer=optax.adam(0.1))
    th.fit(task())
    _compiled.compiled.clear()
    found = th.fit(adam)
    assert compilations == ["read"]
    # Its own key leads there too: not even a trace is needed.
    _compiled.compiled.clear()
    monkeypatch.setattr(_program, "by_trace", None)
    assert numbers(th.fit(adam)) == numbers(found)
    assert {path.stat().st_mode & 0o777 for path in on_disk.iterdir()} == {0o600}
