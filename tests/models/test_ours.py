"""Our own hypothesis classes: shapes, counts, closed forms, messages."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from thetahat.core import ConfigError, Notice, ShapeError
from thetahat.models import ACTIVATIONS, MLP, Linear, Polynomial, TabularMLP, adapt, n_params

KEY = jax.random.key(3)


def allocated(model):
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(model.init, KEY)))


@pytest.mark.parametrize(("w", "count"), [(64, 4417), (128, 17025), (256, 66817)])
def test_two_hidden_layers_have_the_published_counts(w, count):
    model = MLP(2, width=w, depth=2)
    assert model.n_params == count == w**2 + 5 * w + 1
    assert n_params(model) == count == allocated(model)


def test_1_4_4_4_4_1_has_73_parameters():
    assert n_params(MLP(1, width=4, depth=4)) == 73
    assert n_params(MLP(1, widths=(4, 4, 4, 4))) == 73


@settings(max_examples=25, deadline=None)
@given(
    d=st.integers(1, 5),
    widths=st.lists(st.integers(1, 6), max_size=3),
    out=st.one_of(st.just("scalar"), st.integers(1, 3)),
    bias=st.booleans(),
)
def test_closed_form_count_is_what_init_allocates(d, widths, out, bias):
    for model in (MLP(d, widths=widths, out=out, bias=bias), Linear(d, out=out, bias=bias)):
        assert model.n_params == allocated(model) == n_params(model)
        shape = () if out == "scalar" else (out,)
        predicted = jax.eval_shape(lambda m=model: m.apply(m.init(KEY), jnp.ones(d)))
        assert predicted.shape == shape


def test_mlp_is_the_hand_written_formula():
    model = MLP(3, widths=(4, 5), activation="tanh", out=2, out_activation="softplus")
    params = model.init(KEY)
    x = jnp.array([0.3, -1.0, 2.0])
    a, b, c = (layer["kernel"] for layer in params["layers"])
    expected = np.log1p(np.exp(np.tanh(np.tanh(x @ a) @ b) @ c))
    np.testing.assert_allclose(model.apply(params, x), expected, rtol=1e-5)
    shifted = jax.tree.map(lambda leaf: leaf + 0.5, params)
    first = np.tanh(x @ (a + 0.5) + 0.5)
    expected = np.log1p(np.exp(np.tanh(first @ (b + 0.5) + 0.5) @ (c + 0.5) + 0.5))
    np.testing.assert_allclose(model.apply(shifted, x), expected, rtol=1e-5)


def test_kernels_have_the_lecun_variance_and_biases_are_zero():
    first = MLP(400, width=300, depth=1).init(KEY)["layers"][0]
    assert abs(float(first["kernel"].std()) * 20 - 1) < 0.01
    assert not first["bias"].any()


def test_first_layers_do_not_change_with_the_depth():
    shallow, deep = (MLP(2, width=5, depth=n).init(KEY)["layers"] for n in (1, 3))
    np.testing.assert_array_equal(shallow[0]["kernel"], deep[0]["kernel"])


def test_scalar_input_is_taken_where_d_is_one():
    model = MLP(1, width=4, depth=4)
    params = model.init(KEY)
    assert model.apply(params, jnp.array(0.7)) == model.apply(params, jnp.array([0.7]))


def test_integer_inputs_become_floats():
    model = Linear(2)
    params = {"kernel": jnp.array([2.0, 3.0]), "bias": jnp.array(1.0)}
    assert float(model.apply(params, jnp.array([1, 2]))) == 9.0


def test_every_activation_runs_and_their_own_functions_too():
    x = jnp.array([0.5, -2.0])
    assert set(ACTIVATIONS) >= {"relu", "tanh", "sigmoid", "softplus", "gelu", "silu", "elu"}
    values = {
        name: float(MLP(2, width=8, depth=1, activation=name).apply(_ones(2, 8), x))
        for name in ACTIVATIONS
    }
    assert values["identity"] == pytest.approx(-12.0)
    assert values["relu"] == 0.0
    assert values["tanh"] == pytest.approx(8 * np.tanh(-1.5), rel=1e-5)
    own = MLP(2, width=8, depth=1, activation=lambda a: a**2)
    assert float(own.apply(_ones(2, 8), x)) == pytest.approx(8 * 2.25)


def _ones(d, w):
    params = MLP(d, width=w, depth=1).init(KEY)
    return {
        "layers": [
            {"kernel": jnp.ones_like(p["kernel"]), "bias": p["bias"]} for p in params["layers"]
        ]
    }


@pytest.mark.parametrize("start", ["lecun_normal", "zeros"])
def test_linear_starts_as_told(start):
    params = Linear(4, start=start).init(KEY)
    assert params["kernel"].shape == (4,)
    assert params["bias"].shape == ()
    assert bool(params["kernel"].any()) is (start == "lecun_normal")


@pytest.mark.parametrize("degree", [0, 1, 2, 7])
def test_polynomial_bases_are_numpys(degree):
    xs = np.linspace(-1, 1, 13)
    coefficients = np.linspace(1.0, -2.0, degree + 1)
    references = {
        "monomial": np.polynomial.polynomial.polyval,
        "chebyshev": np.polynomial.chebyshev.chebval,
        "legendre": np.polynomial.legendre.legval,
    }
    for basis, reference in references.items():
        model = Polynomial(degree, basis=basis)
        assert model.n_params == degree + 1 == allocated(model)
        params = {"coefficients": jnp.asarray(coefficients, jnp.float32)}
        got = [float(model.apply(params, jnp.asarray(x))) for x in xs]
        np.testing.assert_allclose(got, reference(xs, coefficients), atol=1e-5)


def test_polynomial_maps_its_domain_and_takes_shape_one():
    model = Polynomial(4, "chebyshev", domain=(2.0, 6.0))
    np.testing.assert_allclose(model.terms(jnp.array(6.0)), np.ones(5), atol=1e-6)
    np.testing.assert_allclose(model.terms(jnp.array(2.0)), [1, -1, 1, -1, 1], atol=1e-6)
    params = model.init(KEY)
    assert model.apply(params, jnp.array([3.0])) == model.apply(params, jnp.array(3.0))


def test_seed_and_domain_may_be_traced():
    def first(seed, hi):
        model = adapt(Polynomial(3, "legendre", seed=seed, domain=(0.0, hi)), 0)
        return model.bind(model.params, model.frozen)(jnp.array(0.5))

    values = jax.jit(jax.vmap(first, in_axes=(0, None)))(jnp.arange(3), 2.0)
    assert len(set(values.tolist())) == 3
    model = adapt(Polynomial(3, "legendre", seed=2, domain=(0.0, 2.0)), 0)
    np.testing.assert_allclose(
        values[2], model.bind(model.params, model.frozen)(jnp.array(0.5)), rtol=1e-6
    )


def test_the_models_seed_goes_before_the_tasks():
    own = adapt(Linear(3, seed=7), 1).params["kernel"]
    np.testing.assert_array_equal(own, adapt(Linear(3), 7).params["kernel"])
    assert (own != adapt(Linear(3), 1).params["kernel"]).any()


def test_float64_parameters_where_jax_has_them():
    with jax.enable_x64(True):
        model = MLP(2, width=3, depth=1)
        assert {leaf.dtype for leaf in jax.tree.leaves(model.init(KEY))} == {np.dtype("float64")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(2, width=0), "MLP(width=0); give an integer of at least 1"),
        (lambda: MLP(2, width=8.0), "MLP(width=8.0); give an integer of at least 1"),
        (lambda: MLP(2, depth=-1), "MLP(depth=-1); give an integer of at least 0"),
        (lambda: MLP(0), "MLP(d=0); give an integer of at least 1"),
        (lambda: MLP(2, widths=(8, 0)), "MLP(widths=0); give an integer of at least 1"),
        (
            lambda: MLP(2, out="vector"),
            "MLP(out='vector'); give out=\"scalar\", or the number of outputs",
        ),
        (
            lambda: MLP(2, activation="rleu"),
            "activation='rleu' is unknown; did you mean 'relu'?",
        ),
        (
            lambda: MLP(2, activation=3),
            f"activation=3 is not a function; give one, or one of {', '.join(ACTIVATIONS)}",
        ),
        (lambda: Linear(2, start="zero"), "Linear(start='zero'); give one of lecun_normal, zeros"),
        (
            lambda: Polynomial(3, basis="chebychev"),
            "basis='chebychev' is unknown; did you mean 'chebyshev'?",
        ),
        (
            lambda: Polynomial(3, domain=(1.0, 1.0)),
            "Polynomial(domain=(1.0, 1.0)); give (lo, hi) with lo < hi",
        ),
        (lambda: Polynomial(-1), "Polynomial(degree=-1); give an integer of at least 0"),
    ],
)
def test_fields_that_no_model_can_have(make, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (
            MLP(3),
            (4,),
            "MLP(d=3) got x of shape (4,); one observation has 4 inputs: use MLP(4, ...).",
        ),
        (
            MLP(3),
            (10, 3),
            "MLP(d=3) got x of shape (10, 3); it takes one observation, shape (3,):"
            " use jax.vmap(h)(x), or result.predict(x).",
        ),
        (
            Linear(2),
            (),
            "Linear(d=2) got x of shape (); one observation must have shape (2,):"
            " use jnp.ravel(x) in the data or the residual.",
        ),
    ],
)
def test_inputs_of_the_wrong_shape_name_both(model, shape, message):
    with pytest.raises(ShapeError, match=f"^{re.escape(message)}$"):
        model.apply(model.init(KEY), jnp.ones(shape))


def test_a_traced_width_raises_what_the_engine_looks_for():
    def build(width):
        return MLP(2, width=width).n_params

    with pytest.raises(jax.errors.TracerIntegerConversionError):
        jax.eval_shape(build, jnp.array(4))


@pytest.mark.parametrize("model", [MLP, TabularMLP])
def test_very_deep_nets_say_that_they_compile_for_minutes(model) -> None:
    with pytest.warns(Notice, match="has .* layers, each of which is compiled: .* minutes"):
        model(2, width=4, depth=1000)
    model(2, width=4, depth=99)
