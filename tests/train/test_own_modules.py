"""Modules of a user's own, written as Flax's examples are: with flags, streams and a batch axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from small import draw

import thetahat as th

KEY = jax.random.key(0)


class Net(nnx.Module):
    """Two layers and a dropout of one half; a subclass says how it is called."""

    def __init__(self, rngs: nnx.Rngs, rate: float = 0.5) -> None:
        self.inner = nnx.Linear(2, 8, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.outer = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.outer(self.drop(nnx.relu(self.inner(x))))


def fitted(make: Callable[[nnx.Rngs], Any], **fields: Any) -> th.Result:
    def experiment(epochs: int = 2, seed: th.Seed = 0) -> th.Task:
        model = make(nnx.Rngs(jax.random.key(seed)))
        data = th.Data(draw(20))
        return th.Task(model, data, optimizer=optax.sgd(0.05), epochs=epochs, seed=seed, **fields)

    return th.fit(experiment)


class Required(Net):
    def __call__(self, x: Any, train: bool) -> Any:
        return self.outer(self.drop(nnx.relu(self.inner(x)), deterministic=not train))


class OffByDefault(Net):
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return Required.__call__(self, x, train)  # type: ignore[arg-type]


class OnByDefault(Net):
    def __call__(self, x: Any, deterministic: bool = False) -> Any:
        return Required.__call__(self, x, not deterministic)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Required, OffByDefault, OnByDefault])
def test_a_flag_of_the_call_trains_in_training_and_not_in_evaluation(kind: type[Net]) -> None:
    plain, flagged = fitted(Net), fitted(kind)
    assert list(flagged.history["train_risk"]) == list(plain.history["train_risk"])
    np.testing.assert_array_equal(flagged.predict(np.eye(2)), plain.predict(np.eye(2)))
    assert type(flagged.model) is kind
    off = flagged.model(jnp.eye(2)) if kind is OffByDefault else None
    if off is not None:
        np.testing.assert_allclose(off[:, 0], flagged.predict(np.eye(2)), rtol=1e-5)
    dry = fitted(lambda rngs: Net(rngs, 0.0))
    assert list(dry.history["train_risk"]) != list(plain.history["train_risk"])


def test_a_flag_that_a_residual_gives_comes_first() -> None:
    never = fitted(OffByDefault, residual=lambda h, z: h(z.x, train=False)[0] - z.y)
    dry = fitted(lambda rngs: OffByDefault(rngs, 0.0))
    np.testing.assert_allclose(never.history["train_risk"], dry.history["train_risk"], rtol=1e-6)


def test_the_model_of_a_table_does_not_train_when_it_is_called() -> None:
    rows = {"a": np.arange(12.0), "b": np.arange(12.0) % 5, "y": np.arange(12.0) % 3}
    data = th.split(th.read_table(rows, target="y"), val=0, test=0, train=1.0)
    result = th.fit(th.Task(OnByDefault(nnx.Rngs(0)), data, epochs=2))
    called = [result.model({"a": a, "b": b})[0] for a, b in ((0.0, 0.0), (3.0, 1.0))]
    np.testing.assert_allclose(
        called, result.predict({"a": [0.0, 3.0], "b": [0.0, 1.0]}), rtol=1e-5
    )


def test_a_metric_sees_the_arrays_of_a_module_with_dropout() -> None:
    def size(h: Any) -> Any:
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(nnx.state(h, nnx.Param)))

    result = fitted(OffByDefault, metrics={"size": size})
    arrays = jax.tree.leaves(nnx.state(result.model, nnx.Param))
    assert result.metrics["size"] == pytest.approx(sum(float(jnp.sum(a**2)) for a in arrays))


def test_a_rate_that_is_no_probability_diverges() -> None:
    def net(rate: float = 1.5) -> th.Task:
        return th.Task(Net(nnx.Rngs(0), rate), th.Data(draw(20)), epochs=2)

    assert str(th.fit(net).status) == "diverged"


def test_a_call_that_takes_rngs_gets_streams_in_training() -> None:
    class Streams(Net):
        def __init__(self, rngs: nnx.Rngs) -> None:
            super().__init__(rngs)
            self.drop = nnx.Dropout(0.5)

        def __call__(self, x: Any, rngs: Any) -> Any:
            return self.outer(self.drop(nnx.relu(self.inner(x)), rngs=rngs))

    result, dry = fitted(Streams), fitted(lambda rngs: Net(rngs, 0.0))
    assert list(result.history["train_risk"]) != list(dry.history["train_risk"])
    # In evaluation nothing is dropped: the predictions are those of the layers alone.
    inner, outer = result.model.inner, result.model.outer
    by_hand = np.maximum(np.eye(2) @ inner.kernel[...] + inner.bias[...], 0) @ outer.kernel[...]
    np.testing.assert_allclose(
        result.predict(np.eye(2)), by_hand[:, 0] + outer.bias[...][0], rtol=1e-5
    )


@pytest.mark.usefixtures("fresh_programs")
def test_rates_of_dropout_train_as_one_program_and_equal_fixed_rates() -> None:
    def net(rate: float = 0.1, seed: th.Seed = 0) -> th.Task:
        model = Net(nnx.Rngs(jax.random.key(seed)), rate)
        return th.Task(model, th.Data(draw(20)), optimizer=optax.sgd(0.05), epochs=3, seed=seed)

    def fixed(rate: th.Static[float] = 0.1, seed: th.Seed = 0) -> th.Task:
        return net(rate, seed)

    rates = (0.0, 0.5, 1.0)
    together = th.fit_many(net, [{"rate": rate} for rate in rates])
    assert [result.traces for result in together] == [1, 1, 1]
    for rate, result in zip(rates, together, strict=True):
        alone = th.fit(fixed, rate=rate)
        np.testing.assert_allclose(
            result.history["train_risk"], alone.history["train_risk"], rtol=1e-5
        )
        assert float(result.model.drop.rate) == rate


def test_a_rate_of_dropout_in_an_equinox_module_is_not_trained() -> None:
    class Dropped(eqx.Module):
        linear: eqx.nn.Linear
        drop: eqx.nn.Dropout

        def __call__(self, x: Any, key: Any) -> Any:
            return self.linear(self.drop(x, key=key))

    def net(rate: float = 0.2, seed: th.Seed = 0) -> th.Task:
        model = Dropped(eqx.nn.Linear(2, "scalar", key=jax.random.key(seed)), eqx.nn.Dropout(rate))
        decay = optax.adamw(0.1, weight_decay=0.5)
        return th.Task(model, th.Data(draw(20)), optimizer=decay, epochs=3, seed=seed)

    result = th.fit(net)
    assert result.n_params == 3
    assert float(result.model.drop.p) == pytest.approx(0.2)


def test_a_recurrent_module_trains_and_predicts() -> None:
    class Recurrent(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.cells = nnx.RNN(nnx.SimpleCell(1, 3, rngs=rngs))
            self.outer = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.outer(self.cells(x[:, None])[-1])

    result = fitted(Recurrent)
    expected = [result.model(row)[0] for row in jnp.eye(2)]
    np.testing.assert_allclose(result.predict(np.eye(2)), expected, rtol=1e-5)


class Normed(Net):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.norm = nnx.BatchNorm(8, use_running_average=True, rngs=rngs)


class NormedByFlag(Normed):
    def __call__(self, x: Any, train: bool = True) -> Any:
        return self.outer(self.norm(self.inner(x), use_running_average=not train))


class NormedInCall(Normed):
    def __call__(self, x: Any) -> Any:
        return self.outer(self.norm(self.inner(x), use_running_average=False))


@pytest.mark.parametrize("kind", [NormedByFlag, NormedInCall])
def test_batch_norm_that_a_call_switches_on_is_refused_by_name(kind: type[Net]) -> None:
    with pytest.raises(th.InputError, match=r"has a BatchNorm \(norm\).*use nnx.LayerNorm"):
        fitted(kind)


class Counting(Net):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.calls = nnx.Variable(jnp.zeros(()))

    def __call__(self, x: Any) -> Any:
        self.calls[...] += 1
        return super().__call__(x)


class WithoutStream(Net):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.drop = nnx.Dropout(0.5)


class OfABatch(Net):
    def __call__(self, x: Any) -> Any:
        return super().__call__(x)[:, 0]


class OfTwo(Net):
    def __call__(self, x: Any, previous: Any) -> Any:
        return super().__call__(x + previous)


class TooWide(Net):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.inner = nnx.Linear(5, 8, rngs=rngs)


class NeverCalled(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(2, 8, rngs=rngs)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Counting, r"a call of the model changes calls \(nnx.Variable\)"),
        (WithoutStream, r"Dropout \(drop\) without a random stream.*Dropout\(rate, rngs=rngs\)"),
        (OfABatch, r"OfABatch expects a batch: .*\(1, 2\).*\(2,\).*x\[0\] in place of x\[:, 0\]"),
        (OfTwo, "OfTwo is called as h.x., .* also needs previous"),
        (TooWide, r"TooWide fails at one observation, x of shape \(2,\): .*\(2,\) and \(5,\)"),
        (NeverCalled, r"NeverCalled cannot be called; give it __call__\(self, x\)"),
    ],
)
def test_a_module_that_cannot_be_called_is_one_message(kind: Any, says: str) -> None:
    with pytest.raises(th.InputError, match=says):
        fitted(kind)


def test_an_error_of_the_users_own_stays_as_it_is() -> None:
    class Broken(Net):
        def __call__(self, x: Any) -> Any:
            return self.inner(x) * undefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(NameError, match="undefined"):
        fitted(Broken)
