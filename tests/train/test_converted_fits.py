"""Fits of PyTorch modules by the JAX engine: against PyTorch's own loop, in cohorts, and saved."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thetahat as th
from thetahat.core import ConfigError, NotConverted, Notice, ShapeError

torch = pytest.importorskip("torch")
nn = torch.nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0]) + 0.1 * RNG.normal(size=60)).astype(np.float32)


class Net(nn.Module):
    """A small net with a buffer and a dropout."""

    def __init__(self, width: int = 4, rate: float = 0.0):
        super().__init__()
        self.hidden, self.last = nn.Linear(2, width), nn.Linear(width, 1)
        self.drop = nn.Dropout(rate)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.hidden(x)))) * self.scale


def loop(module, lr, epochs, order=lambda _: [slice(None)]):
    """PyTorch's own loop; the mean squared error of each epoch."""
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    optimizer, risks = torch.optim.SGD(module.parameters(), lr=lr), []
    for epoch in range(epochs):
        total = 0.0
        for rows in order(epoch):
            loss = ((module(x[rows])[:, 0] - y[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y[rows])
        risks.append(total / len(y))
    return risks


def seeded(seed, make=Net):
    torch.manual_seed(seed)
    return make()


def own(lr: float = 0.05, epochs: int = 20, rate: float = 0.0, seed: th.Seed = 0) -> th.Task:
    model = functools.partial(Net, 4)
    data = th.split((X, Y), train=0.7, val=0.3, test=0.0, seed=0)
    return th.Task(model, data, optimizer=optax.sgd(lr), epochs=epochs, batch_size=8, seed=seed)


def test_a_fit_is_the_loop_of_pytorch_and_leaves_the_module_alone():
    module = seeded(3)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    result = th.fit(th.Task(module, (X, Y), optimizer=optax.sgd(0.05), epochs=30))
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    risks = loop(module, 0.05, 30)
    np.testing.assert_allclose(result.history["train_risk"], risks, 1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(result.predict(X), module(torch.from_numpy(X))[:, 0], 1e-4, 1e-5)
    assert result.provenance["backend"] == "jax"
    assert result.provenance["backend_why"] == "the PyTorch module Net is converted"


def test_the_model_is_the_users_module_with_the_fitted_state():
    result = th.fit(own, lr=0.1)
    assert type(result.model) is Net
    assert not result.model.training
    with torch.no_grad():
        theirs = result.model(torch.from_numpy(X))[:, 0].numpy()
    np.testing.assert_allclose(result.predict(X), theirs, 1e-5, 1e-6)
    assert set(result.model.state_dict()) == set(Net().state_dict())


def test_seeds_train_as_one_program_from_the_parameters_of_pytorch():
    results = th.fit_many(own, [{"seed": s, "lr": 1e-20, "epochs": 1} for s in range(3)])
    assert {r.traces for r in results} == {1}
    for seed, result in enumerate(results):
        module = seeded(seed)
        for name in ("hidden", "last"):
            np.testing.assert_array_equal(
                result.params[name]["weight"], getattr(module, name).weight.detach()
            )
    assert len({float(r.risk["val"]) for r in results}) == 3


def test_a_function_of_the_seed_and_a_class_make_the_same_modules():
    def task(model, seed):
        return th.Task(model, (X, Y), optimizer=optax.sgd(0.1), epochs=2, seed=seed)

    found = [
        th.fit(task(make, 5)).predict(X)
        for make in (Net, lambda seed: Net(), functools.partial(Net))
    ]
    assert all((one == found[0]).all() for one in found)
    assert (th.fit(task(Net, 6)).predict(X) != found[0]).any()


def test_a_saved_model_predicts_the_same_and_is_the_users_module(tmp_path):
    result = th.fit(own, seed=7)
    result.save(tmp_path / "net.theta")
    loaded = th.load(tmp_path / "net.theta", own)
    np.testing.assert_array_equal(loaded.predict(X), result.predict(X))
    assert type(loaded.model) is Net
    with pytest.raises(ConfigError, match="a model of your own"):
        th.load(tmp_path / "net.theta")


def test_a_resumed_fit_is_the_whole_one_bit_for_bit(tmp_path):
    path = tmp_path / "fit.checkpoint"
    whole = th.fit(own, rate=0.0, epochs=8)
    th.fit(own, epochs=3, checkpoint=path)
    rest = th.fit(own, epochs=8, checkpoint=path, resume=True)
    np.testing.assert_array_equal(rest.history["train_risk"], whole.history["train_risk"])
    np.testing.assert_array_equal(rest.predict(X), whole.predict(X))


def test_a_module_of_a_table_predicts_in_its_units():
    wage = {"a": 10 + 3 * X[:, 0], "b": X[:, 1], "y": 100 * Y}
    data = th.split(th.read_table(wage, target="y"), train=0.7, val=0.3, test=0.0, seed=0)
    result = th.fit(th.Task(Net, data, optimizer="adam", epochs=150, seed=1))
    assert np.corrcoef(result.predict(wage), wage["y"])[0, 1] > 0.9
    one = {name: float(column[3]) for name, column in wage.items() if name != "y"}
    assert float(np.ravel(result.model(one))[0]) == pytest.approx(
        float(result.predict(wage)[3]), rel=1e-4
    )
    assert type(result.model.standardized) is Net


def test_dropout_draws_in_training_and_never_in_evaluation():
    def task(rate):
        return th.Task(
            seeded(1, lambda: Net(16, rate)), (X, Y), optimizer=optax.sgd(0.05), epochs=5
        )

    dropped, plain = th.fit(task(0.5)), th.fit(task(0.0))
    assert not np.allclose(dropped.history["train_risk"], plain.history["train_risk"], rtol=1e-3)
    np.testing.assert_array_equal(dropped.predict(X), dropped.predict(X))
    again = th.fit(task(0.5))
    np.testing.assert_array_equal(dropped.history["train_risk"], again.history["train_risk"])


def test_dropout_keeps_the_mean_and_the_share_of_pytorch():
    from thetahat.models import adapt

    adapted = adapt(
        nn.Dropout(0.25).__class__ and nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.25)), 0
    )
    params = jax.tree.map(jnp.ones_like, adapted.params)
    keys = jax.random.split(jax.random.key(0), 4000)

    def one(key):
        return adapted.bind(params, adapted.frozen, key=key, train=True)(jnp.ones(1))[0]

    drawn = np.asarray(jax.jit(jax.vmap(one))(keys))
    assert set(np.unique(drawn.round(4))) == {0.0, np.float32(2.6667)}
    assert abs((drawn == 0).mean() - 0.25) < 0.03


def test_a_batch_norm_is_refused_in_training_and_used_where_it_is_fixed():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    task = th.Task(module, (X, Y), optimizer=optax.sgd(0.05), epochs=2, backend="jax")
    with pytest.raises(NotConverted, match=r"BatchNorm1d \(1\) takes its statistics from a whole"):
        th.fit(task)
    module[1].running_mean += 1
    module[1].eval()
    result = th.fit(task)
    expected = loop(module, 0.05, 2)
    np.testing.assert_allclose(result.history["train_risk"], expected, 1e-5)


def to_torch(lr: float) -> object:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr)


NORMALISED = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": NORMALISED}, "Sequential cannot be converted to JAX: BatchNorm1d"),
        ({"optimizer": to_torch(0.1)}, "optimizer is the function"),
        ({"optimizer": functools.partial(torch.optim.SGD, lr=0.1)}, "optimizer=SGD is PyTorch's"),
        ({"loss": nn.SoftMarginLoss()}, "loss=SoftMarginLoss of PyTorch has no counterpart"),
        ({"residual": lambda h, z: torch.sin(h(z[0])[0] - z[1])}, "calls PyTorch with a JAX array"),
        ({"loss": lambda r: 2 * torch.abs(r)}, "calls PyTorch with a JAX array"),
    ],
)
def test_what_jax_cannot_take_pytorch_trains_and_both_ways_are_said(fields, reason):
    given = {"model": Net(), "optimizer": "adam", **fields}
    y = np.sign(Y) if "loss" in fields else Y
    with pytest.warns(Notice, match=rf"{reason}.*PyTorch trains it \(backend='torch'\)"):
        result = th.fit(th.Task(**given, data=(X, y), epochs=2, batch_size=20))
    assert result.provenance["backend"] == "torch"
    assert reason in result.provenance["backend_why"]
    with pytest.raises(NotConverted, match=reason):
        th.fit(th.Task(**given, data=(X, y), epochs=2, batch_size=20, backend="jax"))


def test_inputs_in_parts_are_the_arguments_of_forward():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 1)

        def forward(self, left, right):
            return self.linear(torch.stack([left, right], 1))

    names = {"left": X[:, 0], "right": X[:, 1]}
    found = [
        th.fit(th.Task(seeded(0, Two), th.Data((x, Y)), optimizer=optax.sgd(0.1), epochs=3)).risk
        for x in (names, (X[:, 0], X[:, 1]))
    ]
    expected = loop(seeded(0, lambda: nn.Sequential(nn.Linear(2, 1))), 0.1, 4)[3]
    assert [risk["train"] for risk in found] == pytest.approx([expected] * 2, rel=1e-5)


class Calling(nn.Module):
    """A linear layer, then a function."""

    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(2, 2), function
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        return self.function(self, self.linear(x))


class Own(torch.autograd.Function):
    """A function with a derivative of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.sum(1)

    @staticmethod
    def backward(ctx, slope):
        return slope[:, None].expand(-1, 2) * 7


def counted(module, h):
    module.calls += 1
    return h.sum(1)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (
            lambda m, h: torch.linalg.svdvals(h[:, :, None])[:, 0],
            r"the operator aten\.\w*svd\w* has",
        ),
        (lambda m, h: h[:, 0] if float(h.detach()[0, 0]) > 9 else h[:, 1], "reads the value of a"),
        (lambda m, h: (h - h.mean(0)).sum(1), "depends on the others of the batch"),
        (lambda m, h: Own.apply(h), "Own is a torch.autograd.Function"),
        (counted, "forward changes calls"),
        (lambda m, h: h.sum(1) + torch.randn(1), "draws random numbers in evaluation"),
        (lambda m, h: torch.view_as_complex(h).abs(), "has no rule"),
    ],
)
def test_what_cannot_be_converted_is_named(function, reason):
    task = th.Task(Calling(function), (X, Y), optimizer="adam", epochs=1, backend="jax")
    with pytest.raises(NotConverted, match=f"module Calling cannot be converted.*{reason}"):
        th.fit(task)


def test_a_module_that_pytorch_cannot_call_either_is_told_in_its_words():
    with pytest.raises(ShapeError, match=r"Sequential fails at a batch .* shape \(2,\): .*mat1"):
        th.fit(th.Task(nn.Sequential(nn.Linear(3, 1)), (X, Y), epochs=1))
    with pytest.raises(ShapeError, match=r"returns shape \(\) for a batch of 2"):
        th.fit(th.Task(Calling(lambda m, h: h.sum()), (X, Y), epochs=1))
    with pytest.raises(ConfigError, match="model Linear needs in_features, out_features"):
        th.fit(th.Task(nn.Linear, (X, Y), epochs=1))


def test_one_module_for_many_seeds_is_said():
    def shared(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        return th.Task(Net(), (X, Y), optimizer=optax.sgd(lr), epochs=1, seed=seed)

    from thetahat.models.torch import _module  # its notice comes once in a process

    _module._say_shared.cache_clear()
    with pytest.warns(Notice, match="all seeds start from the parameters of one Net; give a func"):
        results = th.fit_many(shared, [{"seed": 0}, {"seed": 1}])
    np.testing.assert_array_equal(results[0].predict(X), results[1].predict(X))


def test_an_experiment_that_seeds_pytorch_itself_compiles_once_per_seed():
    def seeding(lr: float = 0.1, seed: th.Seed = 0) -> th.Task:
        torch.manual_seed(seed)
        return th.Task(Net(), (X, Y), optimizer=optax.sgd(lr), epochs=1)

    with pytest.warns(Notice, match="'seed' is static"):
        results = th.fit_many(seeding, [{"seed": 0}, {"seed": 1}])
    assert (results[0].predict(X) != results[1].predict(X)).any()


LOSSES = {
    "squared": (nn.MSELoss(), nn.functional.mse_loss),
    "absolute": (nn.L1Loss(), nn.functional.l1_loss),
    "huber": (nn.HuberLoss(), nn.functional.huber_loss),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_pytorch_are_those_of_their_names(name):
    def risk(loss):
        return th.fit(
            th.Task(seeded(2), (X, Y), loss=loss, optimizer=optax.sgd(0.1), epochs=2)
        ).risk

    module = seeded(2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)[:, None]
    for _ in range(2):
        optimizer.zero_grad()
        LOSSES[name][0](module(x), y).backward()
        optimizer.step()
    expected = LOSSES[name][0](module(x), y).item()
    assert [risk(loss)["train"] for loss in (name, *LOSSES[name])] == pytest.approx(
        [expected] * 3, rel=1e-5
    )


def test_other_losses_of_pytorch_match_it_at_single_residuals():
    from thetahat import risk

    r = np.linspace(-2, 2, 9, dtype=np.float32)
    for theirs in (
        nn.SmoothL1Loss(beta=0.5, reduction="none"),
        nn.HuberLoss(delta=0.7, reduction="none"),
    ):
        mine = risk.resolve_loss(theirs)(jnp.asarray(r))
        np.testing.assert_allclose(mine, theirs(torch.from_numpy(r), torch.zeros(9)), 1e-6, 1e-7)
    score, label = torch.tensor([0.3, -1.0]), torch.tensor([1.0, 0.0])
    mine = risk.resolve_loss(nn.BCEWithLogitsLoss())(
        jnp.asarray(score.numpy()), jnp.asarray(label.numpy())
    )
    np.testing.assert_allclose(mine, nn.BCEWithLogitsLoss(reduction="none")(score, label), 1e-6)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.MSELoss(reduction="sum"), "a risk is a mean over observations; leave reduction out"),
        (nn.MSELoss, r"loss is the class MSELoss; call it: MSELoss\(\)"),
        (
            nn.KLDivLoss(),
            "loss=KLDivLoss of PyTorch has no counterpart in JAX; give one of squared",
        ),
        (nn.CrossEntropyLoss(label_smoothing=0.1), "loss=CrossEntropyLoss of PyTorch has no count"),
    ],
)
def test_losses_without_a_counterpart_are_refused_by_name(loss, message):
    with pytest.raises(ConfigError, match=message):
        th.fit(th.Task(Net(), (X, Y), loss=loss, optimizer="adam", epochs=1, backend="jax"))


def test_an_optimizer_of_pytorch_names_ours():
    task = th.Task(Net(), (X, Y), optimizer=torch.optim.Adam, epochs=1, backend="jax")
    with pytest.raises(NotConverted, match=r'optimizer=Adam is PyTorch\'s.*th.optim.named\("adam"'):
        th.fit(task)


def test_frozen_parameters_stay():
    module = seeded(4)
    module.hidden.weight.requires_grad_(False)
    result = th.fit(th.Task(module, (X, Y), optimizer=optax.sgd(0.1), epochs=2))
    np.testing.assert_array_equal(result.model.hidden.weight, module.hidden.weight)
    assert result.n_params == 4 + 4 + 1
    result = th.fit(th.Task(th.freeze(module, "last"), (X, Y), optimizer=optax.sgd(0.1), epochs=2))
    torch.testing.assert_close(result.model.last.weight, module.last.weight, rtol=0, atol=0)
    assert result.n_params == 4


def test_embeddings_take_whole_numbers_also_in_predictions():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 1)

        def forward(self, x):
            return self.table(x).sum(1)

    x = np.random.default_rng(0).integers(0, 5, (200, 2))
    y = (x**2).sum(1).astype(np.float32) / 10
    result = th.fit(th.Task(seeded(0, Embedded), (x, y), optimizer="adam", epochs=400))
    with torch.no_grad():
        theirs = result.model(torch.from_numpy(x))[:, 0].numpy()
    np.testing.assert_allclose(result.predict(x), theirs, 1e-5, 1e-6)


def test_a_residual_may_use_derivatives_of_the_module():
    def residual(h, z):
        return jax.grad(lambda x: h(x)[0])(z[0])[0] - z[1]

    result = th.fit(th.Task(seeded(1), (X, 0 * Y + 1), residual, optimizer="adam", epochs=300))
    x = torch.from_numpy(X).requires_grad_()
    (slope,) = torch.autograd.grad(result.model(x).sum(), x)
    assert float(((slope[:, 0] - 1) ** 2).mean()) == pytest.approx(result.risk["train"], rel=1e-3)


def test_no_torch_is_loaded_without_a_module():
    import subprocess
    import sys

    code = (
        "import sys; from thetahat.models import MLP, adapt; adapt(MLP(2), 0); import thetahat.train;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
