"""Programs are reused by a fingerprint of their mathematics: never for another function."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from numpy_backend import Descent, NumpyLinear

import thetahat as th
from thetahat.core import ConfigError
from thetahat.train import Hyper, Interrupt, _cohort  # whose bar is lowered
from thetahat.train._driver import Clock, Driver  # below the front door: no Session
from thetahat.train.jax import _compiled, _disk, prepare  # the store of programs has no public name

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 2)).astype(np.float32)
Y = (X @ np.array([0.5, -1.0]) + 0.3 * RNG.normal(size=24)).astype(np.float32)
DATA = th.Data((X, Y), val=(X[:8] + 0.5, Y[:8]))


pytestmark = pytest.mark.usefixtures("fresh_programs")


def task(**changes) -> th.Task:
    """A small task of two epochs in batches, with a short last one."""
    known = {"model": th.models.Linear(2), "data": DATA, "optimizer": optax.sgd(0.1)}
    return th.Task(**{**known, "epochs": 2, "batch_size": 10, **changes})


def numbers(result: th.Result) -> list[bytes]:
    """All that a fit gives, bit for bit."""
    recorded = [result.history[name] for name in result.history if name != "seconds"]
    last = [*result.risk.values(), *result.metrics.values()]
    return [np.asarray(a).tobytes() for a in (*recorded, *jax.tree.leaves(result.params), *last)]


def anew(monkeypatch: pytest.MonkeyPatch, what: th.Task) -> th.Result:
    """Fit by a program that is compiled for this fit alone."""
    with monkeypatch.context() as off:
        off.setenv("THETAHAT_CACHE", "off")
        return th.fit(what)


def residual(scale) -> Callable:
    return lambda h, z: scale() * (h(z[0]) - z[1])


# -- the same mathematics ---------------------------------------------------------------------------


def test_a_second_fit_of_a_task_is_neither_traced_nor_compiled(monkeypatch) -> None:
    first, second = th.fit(task()), th.fit(task())
    assert (first.traces, second.traces) == (1, 0)
    assert numbers(first) == numbers(second) == numbers(anew(monkeypatch, task()))
    assert anew(monkeypatch, task()).traces == 1


def test_other_data_seeds_and_epochs_train_by_the_same_program(monkeypatch) -> None:
    th.fit(task())
    other = th.Data((X[::-1] + 1, Y * 2), val=(X[8:16], Y[8:16]))
    changed = task(data=other, epochs=5, seed=7)
    again = th.fit(changed)
    assert again.traces == 0
    assert numbers(again) == numbers(anew(monkeypatch, changed))


def test_experiments_share_programs_with_tasks_and_with_each_other(monkeypatch) -> None:
    def one(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        return task(optimizer=optax.sgd(lr), seed=seed)

    def other(rate: float = 0.1, seed: th.Seed = 0) -> th.Task:
        return task(optimizer=optax.sgd(rate), seed=seed)

    assert th.fit(one, lr=0.1).traces == 1
    assert th.fit(one, lr=0.3, seed=2).traces == 0
    configs = [{"lr": lr} for lr in (0.1, 0.2)]
    together = [th.fit_many(one, configs) for _ in range(2)]
    assert [r.traces for r in together[0]] == [1, 1]
    assert [r.traces for r in together[1]] == [0, 0]
    assert [numbers(r) for r in together[0]] == [numbers(r) for r in together[1]]
    assert th.fit(other).traces in (0, 1)  # other names, never other numbers
    assert numbers(th.fit(other)) == numbers(th.fit(one))


@pytest.mark.parametrize("model", [th.models.Linear(2), NumpyLinear(2)], ids=["jax", "numpy"])
def test_a_program_trains_on_other_data_as_a_fit_of_them(model) -> None:
    given = task(
        model=model, optimizer=Descent(0.1) if model.__class__ is NumpyLinear else optax.sgd(0.1)
    )
    one, other = (
        th.Data(th.Observations(x, y), val=th.Observations(x[:8], y[:8]))
        for x, y in ((X, Y), (X[::-1], Y + 1))
    )
    given = dataclasses.replace(given, data=one)

    def trained(program) -> list[bytes]:
        driver = Driver(program, program.init(), 2, 0, Clock(), Interrupt(), lambda _: None)
        while driver.step():
            pass
        risks = program.evaluate(driver.state, ("train", "val"))
        fitted = program.fitted(driver.state, 0, {})
        arrays = [*risks.values(), *jax.tree.leaves(fitted.params)]
        assert fitted.task.data is other
        return [np.asarray(a).tobytes() for a in arrays]

    none = Hyper({}, {})
    first = prepare(lambda _: given, none, 1, "exact")
    first.init()
    again = first.again(none, other)
    alone = prepare(lambda _: dataclasses.replace(given, data=other), none, 1, "exact")
    assert trained(again) == trained(alone)
    assert again.traces == 0


def test_a_program_refuses_data_of_other_shapes() -> None:
    program = prepare(lambda _: task(), Hyper({}, {}), 1, "exact")
    with pytest.raises(ConfigError, match="of the shapes and types .*; give at most 384 training"):
        program.again(Hyper({}, {}), th.Data((np.repeat(X, 20, 0), np.repeat(Y, 20)), val=(X, Y)))


def test_any_thread_may_reuse_a_program() -> None:
    expected, found = numbers(th.fit(task())), []
    threads = [threading.Thread(target=lambda: found.append(th.fit(task()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.traces for r in found] == [0] * 4
    assert all(numbers(r) == expected for r in found)


def test_a_process_keeps_the_programs_that_it_used_last() -> None:
    store = _compiled.CompiledPrograms(most=2)
    for key in "aba":
        store.keep(key, key.upper())
    assert store.get("a") == "A"
    store.keep("c", "C")
    assert (store.get("a"), store.get("b"), store.get("c"), len(store)) == ("A", None, "C", 2)


# -- another function, however it came about --------------------------------------------------------

SCALE, TABLE = 1.0, {"scale": 1.0}


def edited_global(monkeypatch) -> Iterator[th.Task]:
    what = task(residual=residual(lambda: SCALE))
    yield what
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    yield what


def value_in_a_global_container(monkeypatch) -> Iterator[th.Task]:
    what = task(residual=residual(lambda: TABLE["scale"]))
    yield what
    monkeypatch.setitem(TABLE, "scale", 2.0)
    yield what


def closure_cell(monkeypatch) -> Iterator[th.Task]:
    scale = 1.0
    what = task(residual=residual(lambda: scale))
    yield what
    scale = 1.0 + 2.0**-23  # the next number in float32
    yield what


def list_in_a_closure(monkeypatch) -> Iterator[th.Task]:
    scales = [1.0, 2.0]
    what = task(residual=residual(lambda: scales[0]))
    yield what
    scales.reverse()
    yield what


def default_argument(monkeypatch) -> Iterator[th.Task]:
    def scaled(h, z, scale=1.0):
        return scale * (h(z[0]) - z[1])

    yield task(residual=scaled)
    scaled.__defaults__ = (2.0,)
    yield task(residual=scaled)


def attribute_of_a_callable(monkeypatch) -> Iterator[th.Task]:
    class Scaled:
        scale = 1.0

        def __call__(self, h, z):
            return self.scale * (h(z[0]) - z[1])

    scaled = Scaled()
    yield task(residual=scaled)
    scaled.scale = 2.0
    yield task(residual=scaled)


def lambdas_of_one_source(monkeypatch) -> Iterator[th.Task]:
    for scale in (1.0, 2.0):
        yield task(residual=lambda h, z, scale=scale: scale * (h(z[0]) - z[1]))


def patched_activation(monkeypatch) -> Iterator[th.Task]:
    model = th.models.MLP(2, width=3, depth=1, activation="tanh")
    yield task(model=model, residual=lambda h, z: jax.nn.tanh(h(z[0])) - z[1])
    monkeypatch.setattr(jax.nn, "tanh", lambda x: x / (1 + jnp.abs(x)))
    yield task(model=model, residual=lambda h, z: jax.nn.tanh(h(z[0])) - z[1])


def backward_rule(monkeypatch) -> Iterator[th.Task]:
    for factor in (1.0, 3.0):

        @jax.custom_vjp
        def half(x):
            return x / 2

        half.defvjp(lambda x: (x / 2, None), lambda _, g, factor=factor: (factor * g,))
        yield task(residual=lambda h, z, half=half: half(h(z[0]) - z[1]))


def forward_rule(monkeypatch) -> Iterator[th.Task]:
    for factor in (1.0, 3.0):

        @jax.custom_jvp
        def half(x):
            return x / 2

        half.defjvps(lambda t, out, x, factor=factor: factor * t)
        yield task(residual=lambda h, z, half=half: half(h(z[0]) - z[1]))


def backward_rule_of_the_penalty(monkeypatch) -> Iterator[th.Task]:
    for factor in (1.0, 3.0):

        @jax.custom_jvp
        def square(x):
            return x * x

        square.defjvps(lambda t, out, x, factor=factor: factor * t * x)

        def penalty(params, square=square):
            return sum(jnp.sum(square(leaf)) for leaf in jax.tree.leaves(params))

        yield task(penalty=penalty)


def stopped_gradient(monkeypatch) -> Iterator[th.Task]:
    for stop in (lambda x: x, jax.lax.stop_gradient):
        yield task(residual=lambda h, z, stop=stop: h(z[0]) * stop(h(z[0])) - z[1])


def static_field_of_a_module(monkeypatch) -> Iterator[th.Task]:
    class Powered(nnx.Module):
        def __init__(self, power: float) -> None:
            self.layer = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
            self.power = power

        def __call__(self, x):
            return self.power * self.layer(x)[0]

    for power in (1.0, 2.0):
        yield task(model=Powered(power))


def static_field_that_is_changed(monkeypatch) -> Iterator[th.Task]:
    class Named(nnx.Module):
        def __init__(self) -> None:
            self.layer, self.kind = nnx.Linear(2, 1, rngs=nnx.Rngs(0)), "plain"

        def __call__(self, x):
            out = self.layer(x)[0]
            return jnp.sin(out) if self.kind == "sine" else out

    module = Named()
    yield task(model=module)
    module.kind = "sine"
    yield task(model=module)


def array_that_is_changed_in_place(monkeypatch) -> Iterator[th.Task]:
    offsets = np.zeros(2, np.float32)
    what = task(residual=lambda h, z: h(z[0] + offsets) - z[1])
    yield what
    offsets[1] = 1.0
    yield what


def penalty_weight(monkeypatch) -> Iterator[th.Task]:
    for weight in (0.1, 0.2):
        yield task(
            penalty=lambda params, weight=weight: (
                weight * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
            )
        )


def threshold_of_a_rule(monkeypatch) -> Iterator[th.Task]:
    for below in (1e-9, 1e9):
        yield task(stopping=[th.Threshold("val_risk", below=below)])


def column_of_a_rule(monkeypatch) -> Iterator[th.Task]:
    def tall(name):
        return task(epochs=3, stopping=[th.Threshold(name, below=1e9)], metrics={"far": far})

    def far(h, z):
        return 1e10 + h(z[0])

    yield tall("val_risk")
    yield task(
        epochs=3,
        stopping=[th.Threshold("val_far", below=1e9)],
        metrics={"far": th.Metric(far, mode="min")},
    )


def bound_of_divergence(monkeypatch) -> Iterator[th.Task]:
    for bound in (1e9, 1e-9):
        yield task(stopping=[th.Divergence(bound)])


def metric_function(monkeypatch) -> Iterator[th.Task]:
    for power in (1, 2):
        yield task(metrics={"error": lambda h, z, p=power: jnp.abs(h(z[0]) - z[1]) ** p})


def metric_of_a_part(monkeypatch) -> Iterator[th.Task]:
    for name in ("mae", "rmse"):
        yield task(metrics={"error": name})


def what_chooses_the_best(monkeypatch) -> Iterator[th.Task]:
    for mode in ("min", "max"):
        size = th.Metric(lambda h: jnp.abs(h(jnp.ones(2))), mode=mode)
        yield task(metrics={"size": size}, best_by="size", epochs=4)


def weights(monkeypatch) -> Iterator[th.Task]:
    yield task()
    yield task(data=th.Data(th.Observations(X, Y, np.linspace(0.1, 2, 24, dtype=np.float32))))


def dtype(monkeypatch) -> Iterator[th.Task]:
    for name in ("float32", "float64"):
        yield task(dtype=name)


def optimizer_constant(monkeypatch) -> Iterator[th.Task]:
    for rate in (0.1, 0.1 + 2e-9):
        yield task(optimizer=optax.sgd(rate), dtype="float64")


def searching_optimizer(monkeypatch) -> Iterator[th.Task]:
    for scale in (1.0, 2.0):
        pulled = residual(lambda scale=scale: scale)
        yield task(optimizer=th.optim.lbfgs(), batch_size=None, epochs=3, residual=pulled)


def batch_size(monkeypatch) -> Iterator[th.Task]:
    for size in (10, 12):
        yield task(batch_size=size)


CASES = [
    *(edited_global, value_in_a_global_container, closure_cell, list_in_a_closure),
    *(default_argument, attribute_of_a_callable, lambdas_of_one_source, patched_activation),
    *(backward_rule, forward_rule, backward_rule_of_the_penalty, stopped_gradient),
    *(static_field_of_a_module, static_field_that_is_changed, array_that_is_changed_in_place),
    *(penalty_weight, threshold_of_a_rule, column_of_a_rule, bound_of_divergence),
    *(metric_function, metric_of_a_part, what_chooses_the_best, weights, dtype),
    *(optimizer_constant, searching_optimizer, batch_size),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_another_function_trains_by_a_program_of_its_own(case, monkeypatch) -> None:
    tasks = case(monkeypatch)
    before = th.fit(next(tasks))
    changed = next(tasks)
    after = th.fit(changed)
    assert after.traces == 1
    assert numbers(after) == numbers(anew(monkeypatch, changed))
    assert numbers(after) != numbers(before)
    assert th.fit(changed).traces == 0


# -- what has no fingerprint --------------------------------------------------------------------------


def test_a_function_on_the_host_is_never_reused(monkeypatch) -> None:
    def calling(scale: float) -> th.Task:
        def on_host(x):
            return np.asarray(scale * x, np.float32)

        def metric(h, z):
            shape = jax.ShapeDtypeStruct((), np.float32)
            return jax.pure_callback(on_host, shape, h(z[0]), vmap_method="sequential")

        return task(metrics={"called": metric})

    for scale in (1.0, 1.0, 2.0):
        found = th.fit(calling(scale))
        assert found.traces == 1
        mean = np.mean([scale * found.predict(x) for x in DATA.val[0]])
        assert found.metrics["val_called"] == pytest.approx(mean, rel=1e-5)


@pytest.mark.filterwarnings("ignore:the best state")
def test_constants_that_are_drawn_while_tracing_are_drawn_anew() -> None:
    def drawing(seed: int) -> th.Task:
        rng = np.random.default_rng(seed)
        return task(residual=lambda h, z: h(z[0]) - z[1] + rng.normal())

    found = [th.fit(drawing(seed)) for seed in (1, 2, 1)]
    assert [r.traces for r in found] == [1, 1, 1]
    assert numbers(found[0]) == numbers(found[2]) != numbers(found[1])


@pytest.mark.filterwarnings("ignore:the best state")
def test_a_trace_leaves_the_global_generators_as_it_found_them(monkeypatch) -> None:
    what = task(residual=lambda h, z: h(z[0]) - z[1] + np.random.normal())

    def after(fit) -> tuple[list[bytes], float]:
        np.random.seed(3)
        return numbers(fit(what)), float(np.random.normal())

    expected = after(lambda what: anew(monkeypatch, what))
    assert [after(th.fit) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize(
    "setting",
    [lambda: jax.default_matmul_precision("highest"), lambda: jax.numpy_rank_promotion("warn")],
)
def test_settings_of_jax_compile_programs_of_their_own(setting) -> None:
    th.fit(task())
    with setting():
        assert [th.fit(task()).traces for _ in range(2)] == [1, 0]
    assert th.fit(task()).traces == 0


def test_a_program_keeps_its_constants_when_an_array_is_changed_later(monkeypatch) -> None:
    def offset(array: np.ndarray) -> th.Task:
        return task(residual=lambda h, z: h(z[0] + array) - z[1])

    array = np.array([1.0, 2.0], np.float32)
    first = numbers(th.fit(offset(array)))
    array[:] = 5.0
    again = th.fit(offset(np.array([1.0, 2.0], np.float32)))
    assert again.traces == 0
    assert numbers(again) == first


# -- on disk ------------------------------------------------------------------------------------------


def test_another_process_reads_programs_from_disk(on_disk) -> None:
    first = th.fit(task())
    _compiled.compiled.clear()
    second = th.fit(task())
    assert (first.traces, second.traces) == (1, 0)
    assert numbers(first) == numbers(second)
    assert on_disk.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in on_disk.iterdir()} == {0o600}


def test_programs_from_the_cache_of_jax_are_not_written_again(tmp_path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import thetahat as th
from test_reuse import numbers, task
print(repr(numbers(th.fit(task()))))
"""
    environment = {**os.environ, "THETAHAT_CACHE": str(tmp_path)}

    def fit() -> str:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    first = fit()
    for path in (tmp_path / "programs").iterdir():
        path.unlink()
    assert fit() == first  # compiled by the cache of JAX, which cannot be serialised again
    assert not list((tmp_path / "programs").iterdir())
    assert fit() == first


def test_a_damaged_program_is_compiled_anew_with_one_message(on_disk) -> None:
    first = numbers(th.fit(task()))
    for path in on_disk.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[:-100] + bytes(100))
    _compiled.compiled.clear()
    with pytest.warns(th.Notice, match="is damaged, and is compiled anew") as said:
        assert numbers(th.fit(task())) == first
    assert len(said) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="modes of files are POSIX's")
def test_programs_that_others_may_write_are_not_read(on_disk) -> None:
    first = numbers(th.fit(task()))
    on_disk.chmod(0o777)
    for path in on_disk.iterdir():
        path.write_bytes(b"not a program")
    _compiled.compiled.clear()
    again = th.fit(task())
    assert (again.traces, numbers(again)) == (1, first)


def test_the_oldest_programs_are_removed_from_disk(on_disk, monkeypatch) -> None:
    monkeypatch.setattr(_disk, "MOST_FILES", 2)
    th.fit(task())
    assert len(list(on_disk.iterdir())) == 2


def test_the_mode_one_by_one_that_is_probed_is_reused_too(monkeypatch) -> None:
    monkeypatch.setattr(_cohort, "PROBE_WORTH_S", 0.0)

    def shuffled(seed: th.Seed = 0) -> th.Task:
        return task(seed=seed, sampling="shuffle", epochs=40)

    first, second = (th.fit_many(shuffled, [{"seed": s} for s in range(3)]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one.risk["train"], other.risk["train"], rtol=1e-5)
