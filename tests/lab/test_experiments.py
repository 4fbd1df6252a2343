"""The numbers of the lab's experiments, at short settings; docs/lab.md has those of the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.figures import image


def run(name: str, **settings: Any) -> Mapping[str, Any]:
    """What an experiment finds; its answer and figure are made of it."""
    experiment = th.lab.read_experiment(name)
    found = experiment.run(**settings)
    assert experiment.answer(found).endswith(".")
    assert image(experiment.draw(found), "png", dpi=20).startswith(b"\x89PNG")
    return found


def test_double_descent_in_epochs_with_noise_and_none_without():
    noisy = run("double_descent", simulations=20)
    assert noisy["test_loss"].shape == noisy["error_f"].shape == (10, 50)
    assert (noisy["best_epoch"] < 50).all()
    assert np.median(noisy["best_epoch"]) > 4
    # What is beside the error in f is the noise of the test outcomes.
    assert np.median(noisy["test_loss"] - noisy["error_f"]) == pytest.approx(1.5**2, rel=0.1)
    quiet = run("low_noise", simulations=20)
    assert (quiet["best_epoch"] == 50).all()


def test_the_error_on_random_features_peaks_at_interpolation():
    found = run("wide_interpolation", simulations=6, widest=160, epochs=30)
    width, error, risk = (found[f"random_{name}"] for name in ("width", "error", "risk"))
    # Some features are zero at all observations: somewhat more than 40 are needed.
    assert 36 <= width[error.argmax()] <= 64
    assert error[-1] < error.max() / 5
    assert (risk[width >= 100] < 1e-8).all()
    assert (risk[width <= 20] > 1e-3).all()


def test_approximation_errors_fall_and_estimation_errors_are_the_theory_of_least_squares():
    found = run("error_decomposition", samples=20, starts=2, largest=6)
    for which in ("cosines", "polynomials"):
        assert (np.diff(found[f"{which}_approximation"]) < 1e-9).all()
    assert found["nets_approximation"][-1] < 0.1 * found["nets_approximation"][0]
    # Least squares with k terms: the variance of noise and misfit times k / n.
    k = found["size"]
    for which in ("cosines", "polynomials"):
        theory = (0.3**2 + found[f"{which}_approximation"]) * k / 50
        excess = found[f"{which}_estimation"] - theory
        assert (np.abs(excess) < 4 * found[f"{which}_estimation_se"] + 0.5 * theory).all()


def test_descent_takes_the_reference_numbers_of_steps():
    found = run("quadratic_descent")
    steps = dict(zip(found["k"].astype(int).tolist(), found["gradient descent"], strict=True))
    assert (steps[2], steps[10], steps[100]) == (46, 254, 2597)
    assert found["preconditioned"][-1] == 1042
    assert found["newton"].tolist() == [1] * len(found["k"])
    assert found["heavy ball"][-1] < found["nesterov"][-1] < 300
    quarter = run("quadratic_descent", turn=np.pi / 4, epochs=1400)
    assert quarter["preconditioned"][-1] == 1344


def test_the_variance_of_batch_gradients_is_that_of_the_formula():
    found = run("batch_gradients", draws=200, epochs=5)
    for scheme in ("replacement", "shuffle"):
        apart = np.abs(found[scheme] - found[f"{scheme}_exact"])
        assert (apart <= 4.5 * found[f"{scheme}_se"] + 1e-9).all()
    assert found["shuffle"][-1] < 0.6 * found["replacement"][-1]  # half of the observations
    assert found["sequential 1 end"] > 3 * found["shuffle 1 end"]


def test_falling_rates_get_nearer_than_a_constant_one():
    found = run("rate_schedules", seeds=4, epochs=20)
    assert found["1 / t end"] < found["constant end"] / 5
    assert found["cosine end"] < found["constant end"] / 5


def test_exclusive_or_needs_a_hidden_layer():
    found = run("xor")
    assert found["linear"] == pytest.approx(0.25, rel=1e-12)
    assert found["solved"] >= 18
    corners = found["surface"][np.ix_([15, 45], [15, 45])]  # at 0 and 1
    np.testing.assert_allclose(corners, [[0, 1], [1, 0]], atol=0.1)


def test_a_deep_set_needs_fewer_observations():
    found = run("deep_sets", draws=2, epochs=40, largest=50)
    sets, nets = found["deep set"][-1].mean(), found["MLP"][-1].mean()
    assert sets > 0.9
    assert sets > nets + 0.3


def test_an_autoencoder_follows_the_manifold():
    found = run("autoencoder", draws=1, epochs=400)
    coded, linear = (found[name].mean(1) for name in ("autoencoder", "PCA"))
    assert (coded < linear).all()
    assert (coded[1:3] < linear[1:3] / 2).all()  # two and three numbers, on a surface of two


def test_a_learned_representation_helps_with_few_observations():
    found = run("transfer", tasks=4, epochs=150, source_epochs=25)
    frozen, scratch = (np.median(found[how], axis=1) for how in ("frozen", "from scratch"))
    assert (frozen < scratch / 2).all()
    # Its curve is below the band of the other from 20 observations on.
    assert (frozen[2:] < found["from scratch"][2:].min(1)).all()


def test_the_winning_ticket_is_below_the_same_mask_re_initialised():
    found = run("lottery_tickets", seeds=5, epochs=150)
    ticket, again = (found[how][2] for how in ("winning ticket", "re-initialised"))
    assert found["kept"][2] == 0.2
    assert np.median(ticket) < np.median(again) / 2
    assert (ticket < again).sum() >= 3


def test_activations_let_through_at_most_their_largest_derivative():
    found = run("activations", draws=200)
    assert found["sigmoid most"] == pytest.approx(0.25)
    assert [found[f"{n} most"] for n in ("relu", "tanh", "softplus")] == pytest.approx(
        [1, 1, 1], abs=0.02
    )
    assert found["sigmoid through"] < 0.25 ** found["depth"]


def test_the_path_of_a_fit_ends_near_the_function():
    found = run("fit_path", epochs=200)
    assert (found["perceptron params"], found["deep params"]) == (61, 73)
    for which in ("perceptron", "deep"):
        assert found[which].shape == (200, 41)
        assert found[f"{which} risk"][-1] < found[f"{which} risk"][0] / 3
        assert found[f"{which} error"][-1] < found[f"{which} error"][0]


def test_derivatives_cost_what_the_lectures_count():
    found = run("derivative_cost", largest=64)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(found[mode], found[f"{mode} formula"], rtol=0.1)
    assert (found["vjp"] < 5).all()
    assert (found["jvp"] < 4).all()


def test_all_ways_of_filtering_give_the_same_parameters():
    found = run("filtering", steps=20, rounds=1)
    assert found["distance"] < 1e-5
    assert all(min(found[way]) > 0 for way in ("nnx.jit", "split once, jax.jit", "compiled loop"))


def test_a_net_fits_permuted_outcomes_and_learns_nothing_from_them():
    found = run("random_labels", draws=2, epochs=200)
    fitted, new, linear = (
        np.median(found[k], axis=1) for k in ("net fitted", "net new", "linear fitted")
    )
    assert (fitted > 0.9).all()
    assert new[0] > 0.7 and new[-1] < 0
    assert linear[-1] < 0.4
    # What can be learned is learned sooner.
    assert np.median(found["epochs"], axis=1)[0] < np.median(found["epochs"], axis=1)[-1] / 2


def test_fits_part_where_the_data_end():
    found = run("distribution_shift", draws=4)
    at, beyond = (
        {which: np.median(found[f"{which} error"][:, k]) for which in ("linear", "polynomial")}
        for k in (0, -1)
    )
    assert at["polynomial"] < at["linear"] / 10
    assert beyond["polynomial"] > 10 * beyond["linear"]
    for which in ("tanh net", "ReLU net"):
        assert np.median(found[f"{which} error"][:, 0]) < 0.05
        assert np.median(found[f"{which} error"][:, -1]) > 0.1


def test_the_error_of_least_squares_falls_with_n_and_rises_with_sigma_squared():
    found = run("sample_size", draws=6, largest=400)
    # Linear in the outcomes, and no approximation error: sigma scales the errors exactly.
    assert found["polynomial slopes"][0] == pytest.approx(2, abs=1e-6)
    assert found["polynomial slopes"][1] == pytest.approx(-1.15, abs=0.25)
    theory = 6 * found["sigma"] ** 2 / 400
    assert (np.abs(found["polynomial"][:, -1] / theory - 1) < 0.6).all()
    assert (found["net"][:, -1] < found["net"][:, 0]).all()


def test_learned_features_win_where_fixed_ones_do_not_fit():
    found = run("features", draws=2, largest=8)
    smooth, kinked, five = (
        {which: np.median(found[f"{f} {which}"][-1]) for which in ("polynomials", "net")}
        for f in ("smooth", "kinked", "kinked, five inputs")
    )
    assert smooth["polynomials"] < smooth["net"]
    assert kinked["net"] < kinked["polynomials"]
    assert five["net"] < five["polynomials"] / 50


def test_each_remedy_lowers_the_error_of_a_net_that_learns_the_noise():
    found = run("regularisation", draws=2, epochs=200)
    nothing = np.median(found["nothing"])
    for how in ("early stopping", "ridge", "dropout"):
        assert np.median(found[how]) < 0.8 * nothing, how
    # Without strength all remedies are the same fit.
    first = [found[f"{how} by strength"][0] for how in ("ridge", "weight decay")]
    np.testing.assert_allclose(*first, rtol=1e-4)


def test_ridge_is_weight_decay_for_gradient_descent_and_not_for_adam():
    def line(how: str = "ridge", adam: bool = False) -> th.Task:
        step = optax.scale_by_adam() if adam else optax.identity()
        decayed = optax.add_decayed_weights(0.3 if how == "decay" else 0.0)
        return th.Task(
            th.models.Linear(2),
            th.Data(th.dgp.linear(50, 2, 0.1, seed=0).obs),
            optimizer=optax.chain(step, decayed, optax.scale_by_learning_rate(0.05)),
            penalty=th.ridge(0.3 if how == "ridge" else 0.0),
            epochs=30,
        )

    for adam, close in ((False, True), (True, False)):
        one, other = (
            th.fit(line, how=how, adam=adam).predict(np.eye(2)) for how in ("ridge", "decay")
        )
        assert np.allclose(one, other, rtol=1e-4) == close


def test_second_order_methods_fit_a_net_in_fewer_passes():
    found = run("net_optimizers", starts=2, epochs=100)
    ends = {how: np.nanmedian(found[how][:, -1]) for how in ("sgd", "adam", "momentum", "lm")}
    assert ends["lm"] < ends["adam"] / 10
    assert max(ends["adam"], ends["momentum"]) < ends["sgd"] / 3
