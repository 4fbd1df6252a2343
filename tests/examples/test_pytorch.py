"""The lectures' PyTorch programs of examples/ against closed forms and PyTorch's own loops."""

from __future__ import annotations

import numpy as np
import pytest

import thetahat as th

torch = pytest.importorskip("torch")


def sample(result):
    """x, y and theta of the draw that the example made."""
    config = result.config
    draw = th.dgp.linear(config["N"], config["M"], config["sigma"], seed=config["seed"])
    return (np.asarray(a, np.float64) for a in (draw.x, draw.y, draw.theta))


def test_gradient_descent_is_the_matrix_power_from_the_parameters_of_pytorch(example, path):
    result = th.fit(example("pytorch_gd").pytorch_gd, lr=0.05, epochs=25)
    x, y, _ = sample(result)
    torch.manual_seed(42)
    start = torch.nn.Linear(2, 1, bias=False).weight.detach().numpy()[0]
    there = path(x, y, start.astype(np.float64), 0.05, 25)
    np.testing.assert_allclose(result.model.weight.detach()[0], there, rtol=1e-5, atol=1e-6)


def test_minibatches_of_many_seeds_come_as_near_as_least_squares(example):
    configs = [{"seed": seed, "epochs": 100, "lr": 3e-3} for seed in range(3)]
    for result in th.fit_many(example("pytorch_sgd").pytorch_sgd, configs):
        assert result.metrics["distance"] < 5 * 1e-3 * np.sqrt(2 / 500)


def test_adam_stops_early_halves_its_rate_and_keeps_the_best(example):
    result = th.fit(example("pytorch_adam").pytorch_adam, epochs=150)
    rates = result.history["learning_rate"]
    assert rates[-1] < rates[0]
    assert result.best_epoch == 1 + np.argmin(result.history["val_risk"])
    part = result.data.test
    with torch.no_grad():
        found = result.model(torch.from_numpy(np.asarray(part.x)))[:, 0].numpy()
    risk = np.mean((found - np.asarray(part.y)) ** 2)
    assert result.risk["test"] == pytest.approx(risk, rel=1e-3)
    assert risk < 0.01


def test_a_logged_module_records_its_distance_in_every_epoch(example):
    result = th.fit(example("pytorch_logging").pytorch_logging, epochs=60, lr=5e-3)
    distances = result.history["distance"]
    assert len(distances) == 60
    assert distances[-1] < 1e-2 * distances[0]
    assert type(result.model).__name__ == "LinearMap"


@pytest.mark.parametrize(("name", "size"), [("perceptron", 61), ("mlp", 73)])
def test_nets_of_the_lecture_have_its_sizes_and_estimate_the_function(example, name, size):
    module = example("pytorch_nets")
    results = th.fit_many(getattr(module, name), [{"seed": s, "epochs": 800} for s in range(4)])
    assert results[0].n_params == size
    at = np.linspace(-1.5, 1.5, 31)
    error = np.mean((results.predict(at[:, None]) - module.truth(at)) ** 2, axis=-1)
    assert np.min(error) < 0.01
