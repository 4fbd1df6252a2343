"""Models of every kind, taken as they are."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from thetahat.core import ConfigError
from thetahat.models import MLP, Hypothesis, adapt, freeze, n_params, trainable

# Names of parameters are tested for trees that no model has.
from thetahat.models._leaves import name, steps

KEY = jax.random.key(0)
X = jnp.array([0.4, -1.3])


class Net(nnx.Module):
    def __init__(self, key, rate=0.5):
        rngs = nnx.Rngs(key)
        self.inner = nnx.List([nnx.Linear(2, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)])
        self.dropout = nnx.Dropout(rate, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)
        self.offset = jnp.array([2.0])

    def __call__(self, x):
        for layer in self.inner:
            x = self.dropout(jnp.tanh(layer(x)))
        return self.last(x) + self.offset


class Dropped(eqx.Module):
    linear: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    scale: np.ndarray
    steps: jax.Array

    def __init__(self, key):
        self.linear = eqx.nn.Linear(2, 8, key=key)
        self.dropout = eqx.nn.Dropout(0.5)
        self.scale = np.array(3.0, np.float32)
        self.steps = jnp.array(4)

    def __call__(self, x, key=None):
        return self.scale * jnp.sum(self.dropout(self.linear(x), key=key))


def pair(x0=2.0):
    return (lambda key: {"w": jnp.full(2, x0), "b": 0.5, "degree": 2}, _apply)


def _apply(params, x):
    return params["w"] @ x ** params["degree"] + params["b"]


KINDS = {
    "nnx": lambda: Net(KEY),
    "equinox": lambda: Dropped(KEY),
    "pair": pair,
    "ours": lambda: MLP(2, width=8, depth=2, seed=4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_users_own_model(kind):
    model = KINDS[kind]()
    a = adapt(model, 0)
    got = a.bind(a.params, a.frozen)(X)
    if kind == "nnx":
        model.eval()
        expected = model(X)
    elif kind == "equinox":
        expected = eqx.nn.inference_mode(model)(X)
    elif kind == "pair":
        expected = 2.0 * float(jnp.sum(X**2)) + 0.5
    else:
        expected = model.apply(a.params, X)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    again = a.bind(a.params, a.frozen, key=KEY, train=False)(X)
    np.testing.assert_array_equal(got, again)


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_plain_arrays_and_gradients_follow_the_params(kind):
    a = adapt(KINDS[kind](), 0)
    leaves = jax.tree.leaves((a.params, a.frozen))
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert all(np.asarray(leaf).dtype != object for leaf in leaves)  # typed keys would raise
    g = jax.grad(lambda p: jnp.sum(a.bind(p, a.frozen)(X)))(a.params)
    assert jax.tree.structure(g) == jax.tree.structure(a.params)
    assert any(bool(leaf.any()) for leaf in jax.tree.leaves(g))


def test_nnx_paths_are_the_modules_own():
    a = adapt(Net(KEY), 0)
    assert a.params["inner"][1]["kernel"].shape == (8, 8)
    assert set(a.params) == {"inner", "last"}
    assert set(a.frozen) == {"dropout", "offset"}
    assert a.kind == "nnx"
    assert a.stochastic
    h = a.bind(a.params, a.frozen)
    np.testing.assert_array_equal(h.last.kernel[...], a.params["last"]["kernel"])
    assert n_params(Net(KEY)) == 2 * 8 + 8 + 64 + 8 + 8 + 1


def test_nnx_dropout_follows_the_key_and_nothing_else():
    a = adapt(Net(KEY), 0)
    call = jax.vmap(lambda key: a.bind(a.params, a.frozen, key=key, train=True)(X)[0])
    keys = jax.random.split(jax.random.key(1), 6)
    values = call(keys)
    assert len(set(values.tolist())) > 3
    np.testing.assert_array_equal(values, call(keys))
    whole = a.bind(a.params, a.frozen)(X)[0]
    assert whole not in values
    moved = dict(a.frozen)
    np.testing.assert_array_equal(
        values, jax.vmap(lambda k: a.bind(a.params, moved, key=k, train=True)(X)[0])(keys)
    )


def test_dropout_keeps_the_mean():
    class Only(nnx.Module):
        def __init__(self):
            self.w = nnx.Param(jnp.ones(400))
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return jnp.mean(self.dropout(self.w[...]))

    a = adapt(Only(), 0)
    keys = jax.random.split(KEY, 50)
    masked = jax.vmap(lambda k: a.bind(a.params, a.frozen, key=k, train=True)(X))(keys)
    assert abs(float(masked.mean()) - 1.0) < 0.03
    assert float(masked.std()) > 0.02


def test_nnx_runs_in_scan_vmap_and_a_second_trace():
    def fit(seed, lr):
        def build():
            return adapt(Net(jax.random.key(seed)), 0)

        a = build()
        xs = jax.random.normal(jax.random.key(9), (7, 2))

        def step(params, key):
            b = build()  # the module of the second trace, the arrays of the first

            def risk(p):
                one = lambda x, k: b.bind(p, a.frozen, key=k, train=True)(x)[0] ** 2  # noqa: E731
                return jnp.mean(jax.vmap(one)(xs, jax.random.split(key, 7)))

            value, g = jax.value_and_grad(risk)(params)
            return jax.tree.map(lambda p, s: p - lr * s, params, g), value

        return jax.lax.scan(step, a.params, jax.random.split(KEY, 20))[1]

    risks = jax.jit(jax.vmap(fit, in_axes=(0, None)))(jnp.arange(3), 0.01)
    assert risks.shape == (3, 20)
    assert (risks[:, -1] < risks[:, 0]).all()


def test_exports_are_of_the_users_kind_in_evaluation_mode():
    a = adapt(Net(KEY), 0)
    module = a.export(a.params, a.frozen)
    assert isinstance(module, Net)
    assert module.dropout.deterministic
    b = adapt(Dropped(KEY), 0)
    exported = b.export(b.params, b.frozen)
    assert isinstance(exported, Dropped)
    assert exported.dropout.inference
    c = adapt(pair(), 0)
    h = c.export(c.params, c.frozen)
    assert isinstance(h, Hypothesis)
    assert h.params["degree"] == 2
    assert float(h(X)) == pytest.approx(2 * float(jnp.sum(X**2)) + 0.5)


def test_an_exported_module_trains_again_with_its_dropout():
    a = adapt(Net(KEY), 0)
    b = adapt(a.export(a.params, a.frozen), 0)
    values = [b.bind(b.params, b.frozen, key=jax.random.key(n), train=True)(X)[0] for n in range(4)]
    assert len({float(v) for v in values}) == 4


def test_nnx_batch_norm_is_refused_by_path():
    class Normed(nnx.Module):
        def __init__(self):
            self.linear = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
            self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))

    message = (
        "the model has a BatchNorm (norm), whose statistics need a whole batch, while a residual"
        " sees one observation; use nnx.LayerNorm, or use_running_average=True, in its call too"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        adapt(Normed(), 0)


def test_nnx_shared_layers_are_one_set_of_parameters():
    class Tied(nnx.Module):
        def __init__(self):
            self.a = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
            self.b = self.a

        def __call__(self, x):
            return self.b(self.a(x))

    model = Tied()
    assert n_params(model) == 6
    a = adapt(model, 0)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, a.params)
    np.testing.assert_allclose(a.bind(doubled, a.frozen)(X), 4 * model(X), rtol=1e-6)


def test_equinox_trains_what_its_own_filter_calls_inexact_arrays():
    a = adapt(Dropped(KEY), 0)
    assert a.params["linear"]["weight"].shape == (8, 2)
    assert set(a.params) == {"linear", "scale"}
    assert set(a.frozen) == {"steps"}
    assert n_params(Dropped(KEY)) == 25
    train = a.bind(a.params, a.frozen, key=KEY, train=True)
    assert float(train(X)) != float(a.bind(a.params, a.frozen)(X))
    assert train.linear.weight.shape == (8, 2)
    assert float(train(X)) == float(a.bind(a.params, a.frozen, key=KEY, train=True)(X))


def test_equinox_mlp_without_noise_ignores_the_key():
    model = eqx.nn.MLP(2, "scalar", 4, 2, key=KEY)
    a = adapt(model, 0)
    np.testing.assert_allclose(a.bind(a.params, a.frozen, key=KEY, train=True)(X), model(X))


def test_equinox_call_that_insists_on_a_key_gets_one():
    class Insists(eqx.Module):
        w: jax.Array

        def __call__(self, x, key):
            return self.w @ x + 0 * jax.random.normal(key)

    a = adapt(Insists(jnp.ones(2)), 0)
    assert float(a.bind(a.params, a.frozen)(X)) == pytest.approx(float(X.sum()))


def test_equinox_batch_norm_is_refused():
    class Normed(eqx.Module):
        norm: eqx.nn.BatchNorm

    model = Normed(eqx.nn.BatchNorm(3, axis_name="batch", mode="batch"))
    message = (
        "the model has a stateful layer (BatchNorm), while a residual sees one observation and"
        " returns no state; use eqx.nn.LayerNorm in place of BatchNorm"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        adapt(model, 0)


def test_pair_with_a_key_gets_it_in_training_only():
    def apply(params, x, key=None):
        return params @ x + (0.0 if key is None else jax.random.normal(key))

    a = adapt((lambda key: jnp.ones(2), apply), 0)
    assert a.stochastic
    assert float(a.bind(a.params, a.frozen)(X)) == pytest.approx(float(X.sum()))
    assert float(a.bind(a.params, a.frozen, key=KEY, train=True)(X)) != pytest.approx(
        float(X.sum())
    )


def test_linen_through_a_pair():
    net = linen.Dense(3)
    a = adapt((lambda key: net.init(key, X), net.apply), 0)
    assert n_params((lambda key: net.init(key, X), net.apply)) == 9
    assert a.bind(a.params, a.frozen)(X).shape == (3,)


# --- trainable and freeze -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_trainable_and_freeze_are_complements(kind):
    model = KINDS[kind]()
    paths = {
        "nnx": "inner/0",
        "equinox": "linear/weight",
        "pair": "w",
        "ours": "layers/0/kernel",
    }
    chosen, rest = adapt(trainable(model, paths[kind]), 0), adapt(freeze(model, paths[kind]), 0)
    whole = adapt(model, 0)
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(a.params)) for a in (chosen, rest, whole)]
    assert sizes[0] + sizes[1] == sizes[2]
    assert 0 < sizes[0] < sizes[2]
    for a in (chosen, rest):
        np.testing.assert_array_equal(
            a.bind(a.params, a.frozen)(X), whole.bind(whole.params, whole.frozen)(X)
        )
        moved = jax.tree.map(lambda leaf: leaf + 1, a.params)
        assert (a.bind(moved, a.frozen)(X) != a.bind(a.params, a.frozen)(X)).any()


def test_selection_by_wildcard_list_and_predicate():
    model = MLP(2, width=8, depth=2)
    kernels = 16 + 64 + 8
    assert n_params(trainable(model, "*kernel")) == kernels
    assert n_params(trainable(model, "layers/*/kernel")) == kernels
    assert n_params(trainable(model, ["layers/0", "layers/2/bias"])) == 24 + 1
    assert n_params(trainable(model, lambda path, leaf: leaf.ndim == 2)) == kernels
    assert n_params(freeze(trainable(model, "*kernel"), "layers/0")) == kernels - 16


def test_selection_that_matches_nothing_lists_the_paths():
    model = MLP(2, width=8, depth=1)
    message = (
        "trainable: 'linear1.kernel' matches no parameter; the paths are layers/0/bias,"
        " layers/0/kernel, layers/1/bias, layers/1/kernel"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        adapt(trainable(model, "linear1.kernel"), 0)
    with pytest.raises(
        ConfigError, match=r"^freeze: the predicate matches no parameter; the paths"
    ):
        adapt(freeze(model, lambda path, leaf: False), 0)
    message = (
        "every parameter is frozen; leave one of layers/0/bias, layers/0/kernel, layers/1/bias,"
        " layers/1/kernel to be trained"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        adapt(freeze(model, "layers"), 0)


def test_paths_of_every_kind_of_node():
    tree = {"a": [jnp.ones(1), (jnp.ones(1),)], "b": eqx.nn.Linear(1, 1, key=KEY)}
    found = [name(steps(path)) for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    assert found == ["a/0", "a/1/0", "b/weight", "b/bias"]


# --- what is no model -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            3,
            "the model is an int; give a Flax NNX or Equinox module, an (init, apply) pair with"
            " init(key) -> params and apply(params, x), or one of th.models",
        ),
        (
            Net,
            "the model is the class Net; give a Flax NNX or Equinox module, an (init, apply) pair"
            " with init(key) -> params and apply(params, x), or one of th.models",
        ),
        (
            linen.Dense(3),
            "the model is a Dense whose init needs a sample; give the pair"
            " (lambda key: net.init(key, x0), net.apply), with one observation x0",
        ),
        (
            (lambda key, x: None, lambda params, x: x),
            "init needs key, x; the engine gives a key only: close over the others, as in"
            " (lambda key: init(key, x0), apply)",
        ),
        (
            (lambda key: {"n": 3}, lambda params, x: x),
            "the model has no trainable array; give it at least one parameter",
        ),
    ],
)
def test_what_is_no_model(model, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        adapt(model, 0)


def test_our_models_load_neither_flax_nor_equinox():
    import subprocess
    import sys

    code = (
        "import sys; from thetahat.models import MLP, adapt; adapt(MLP(2), 0);"
        "print([m for m in ('flax', 'equinox') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
