"""Saved models: the file, another process, pickles, and files that are damaged or hostile."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import thetahat as th

X = np.linspace(-1, 1, 30)[:, None]
ROWS = {"educ": [8, 12.5, 16], "region": ["east", "west", "west"]}


class Net(nnx.Module):
    """A net with dropout and a number of its own."""

    def __init__(self, rngs: nnx.Rngs, scale: Any) -> None:
        self.inner = nnx.Linear(1, 4, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.outer = nnx.Linear(4, 1, rngs=rngs)
        self.scale = scale

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = jnp.tanh(self.scale**2 * self.inner(x))
        return self.outer(self.drop(hidden))[0]


class Kind(Enum):
    SINE = "sine"
    LINE = "line"


@dataclass(frozen=True)
class Rate:
    lr: float = 0.05


def own(
    scale: float = 0.3,
    seed: th.Seed = 0,
    kind: Kind = Kind.LINE,
    rate: Rate = Rate(),
    widths: tuple[int, ...] = (4,),
) -> th.Task:
    """A net of a class of the user's own."""
    assert isinstance(kind, Kind) and isinstance(rate, Rate) and isinstance(widths, tuple)
    y = np.sin(3 * X[:, 0]) if kind is Kind.SINE else X[:, 0]
    model = Net(nnx.Rngs(jax.random.key(seed)), scale)
    return th.Task(model, th.Data((X, y)), optimizer=th.optim.named("adam", rate.lr), epochs=4)


def equinox_net() -> th.Task:
    """An Equinox module."""
    model = eqx.nn.MLP(1, "scalar", 4, 1, key=jax.random.key(0))
    return th.Task(model, th.Data((X, X[:, 0])), epochs=2)


def table() -> th.Task:
    """A table with a category, in double precision."""
    rng = np.random.default_rng(0)
    columns = {
        "wage": 1e6 + rng.normal(size=40),
        "educ": rng.integers(6, 18, 40),
        "region": np.array(["east", "west"])[rng.integers(0, 2, 40)],
    }
    data = th.split(
        th.read_table(columns, target="wage", categorical="region"), train=0.6, val=0.2, test=0.2
    )
    model = th.freeze(th.models.MLP(3, width=4, depth=1, activation=jnp.tanh), "layers/0/bias")
    return th.Task(model, data, epochs=5, dtype="float64")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[th.Result, Path]:
    """A fit of a table, and its file."""
    result = th.fit(table)
    path = tmp_path_factory.mktemp("saved") / "wage.theta"
    result.save(path)
    return result, path


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> tuple[th.Result, Path]:
    """A fit of a module of the user's own, and its file."""
    result = th.fit(own, scale=0.7, seed=3, kind=Kind.SINE, rate=Rate(0.1))
    path = tmp_path_factory.mktemp("saved") / "net.theta"
    result.save(path)
    return result, path


def test_predictions_in_another_process_are_bitwise_equal(fitted, net, tmp_path):
    expected = fitted[0].predict(ROWS), net[0].predict(X)
    code = (
        "import sys, numpy as np, thetahat as th\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_saved_models as here\n"
        f"a = th.load({str(fitted[1])!r}).predict(here.ROWS)\n"
        f"b = th.load({str(net[1])!r}, here.own).predict(here.X)\n"
        f"np.savez({str(tmp_path / 'came.npz')!r}, a=a, b=b)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    came = np.load(tmp_path / "came.npz")
    for one, other in zip(expected, (came["a"], came["b"]), strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()


def test_a_loaded_model_has_the_facts_of_its_result(fitted):
    result, path = fitted
    loaded = th.load(path)
    assert loaded.columns == ("educ", "region") and loaded.target == "wage"
    assert loaded.risk == result.risk and loaded.status is result.status
    assert loaded.best_epoch == result.best_epoch and loaded.n_params == result.n_params
    assert loaded.loss == "squared" and loaded.residual == ""
    assert loaded.provenance["data_train"] == result.provenance["data_train"]
    row = {"educ": 9.0, "region": "west"}
    assert loaded.model(row) == result.model(row)
    assert jax.tree.structure(loaded.params) == jax.tree.structure(result.params)
    for one, other in zip(
        jax.tree.leaves(loaded.params), jax.tree.leaves(result.params), strict=True
    ):
        assert np.array_equal(one, other)
    assert "wage from educ, region" in repr(loaded)


def test_a_transform_is_kept_in_double_precision(fitted):
    result, path = fitted
    loaded = th.load(path).predictor.transform
    for name in ("x_mean", "x_std", "y_mean", "y_std"):
        kept = getattr(loaded, name)
        assert kept.dtype == np.float64
        assert np.array_equal(kept, getattr(result.data.transform, name))


def test_the_file_is_one_that_safetensors_readers_understand(fitted):
    text = fitted[1].read_bytes()
    size = int.from_bytes(text[:8], "little")
    header = json.loads(text[8 : 8 + size])
    entry = header["0/params/layers/0/kernel"]
    first, last = entry["data_offsets"]
    kernel = np.frombuffer(text[8 + size :][first:last], "<f8").reshape(entry["shape"])
    assert entry["dtype"] == "F64" and size % 8 == 0
    assert np.array_equal(kernel, fitted[0].params["layers"][0]["kernel"])
    assert json.loads(header["__metadata__"]["document"])["members"][0]["model"]["kind"] == "MLP"


def test_a_loaded_model_can_be_saved_again_unchanged(fitted, tmp_path):
    th.load(fitted[1]).save(tmp_path / "again.theta")
    assert (tmp_path / "again.theta").read_bytes() == fitted[1].read_bytes()


@pytest.mark.parametrize("loss", ["logistic", "cross_entropy"])
def test_a_loaded_model_of_classes_predicts_labels_and_probabilities(loss, tmp_path):
    rng = np.random.default_rng(0)
    kinds = ["no", "yes"] if loss == "logistic" else ["a", "b", "c"]
    columns = {"work": np.array(kinds)[rng.integers(0, len(kinds), 40)], "age": np.arange(40.0)}
    data = th.split(th.read_table(columns, target="work", categorical="work"), seed=1)
    out = "scalar" if loss == "logistic" else 3
    result = th.fit(th.Task(th.models.Linear(1, out=out), data, loss=loss, epochs=5))
    result.save(tmp_path / "work.theta")
    loaded, rows = th.load(tmp_path / "work.theta"), {"age": [1, 20, 39]}
    assert loaded.classes.tolist() == result.classes.tolist() == kinds
    assert loaded.predict(rows).tolist() == result.predict(rows).tolist()
    assert set(loaded.predict(rows)) <= set(kinds)
    assert np.array_equal(loaded.predict_proba(rows), result.predict_proba(rows))
    assert np.array_equal(loaded.decision_function(rows), result.decision_function(rows))
    copy = pickle.loads(pickle.dumps(result))
    assert copy.predict(rows).tolist() == result.predict(rows).tolist()


def test_a_model_of_ones_own_class_needs_the_experiment(net, tmp_path):
    with pytest.raises(th.InputError, match=r"parameters of Net.*th\.load\(path, experiment\)"):
        th.load(net[1])
    with pytest.raises(th.InputError, match="give the experiment that was fitted"):
        th.load(net[1], lambda scale, seed, kind, rate, widths: equinox_net())
    with pytest.raises(
        th.InputError, match=r"Net is a class; give a model of it, th.load\(path, Net"
    ):
        th.load(net[1], Net)
    result = th.fit(equinox_net)
    result.save(tmp_path / "e.theta")
    for experiment in (equinox_net, equinox_net(), equinox_net().model):
        loaded = th.load(tmp_path / "e.theta", experiment)
        assert np.array_equal(loaded.predict(X), result.predict(X))
        assert isinstance(loaded.model, eqx.nn.MLP)


def test_a_program_that_was_edited_after_the_fit_is_refused(net, monkeypatch):
    message = "Net is not the model that was saved.*its program was edited since"
    expected = net[0].predict(X)  # its first prediction, which traces the model, is of the real one
    with monkeypatch.context() as patch:
        patch.setattr(Net, "__call__", lambda self, x: self.outer(jax.nn.relu(self.inner(x)))[0])
        with pytest.raises(th.InputError, match=message):
            th.load(net[1], own)

    def the_same(self: Net, x: jax.Array) -> jax.Array:
        hidden = self.inner(x) * self.scale * self.scale
        return self.outer(self.drop(2 * jax.nn.sigmoid(2 * hidden) - 1))[0]

    monkeypatch.setattr(Net, "__call__", the_same)
    found = th.load(net[1], own).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_warm_started_model_of_ones_own_class_can_be_loaded(net, tmp_path):
    def warm(seed: th.Seed = 0, start: Any = None) -> th.Task:
        model = Net(nnx.Rngs(jax.random.key(seed)), 0.7)
        return th.Task(model, th.Data((X, X[:, 0])), epochs=2, start=start)

    first = th.fit(warm)
    first.save(tmp_path / "first.theta")
    for start in (first, th.load(tmp_path / "first.theta", warm), tmp_path / "first.theta"):
        result = th.fit(warm, start=start)
        result.save(tmp_path / "second.theta")
        loaded = th.load(tmp_path / "second.theta", warm)
        assert np.array_equal(loaded.predict(X), result.predict(X))


def test_a_bag_is_saved_as_one_model(tmp_path):
    data = th.Data((X, X[:, 0]), (X, X[:, 0]))
    for model, experiment in ((th.models.Linear(1), None), (tuple_of_functions(), bagged)):
        task = th.Task(model, data, optimizer="sgd", epochs=3)
        result = th.fit_bagged(experiment or task, members=2)
        result.save(tmp_path / "bag.theta")
        loaded = th.load(tmp_path / "bag.theta", experiment)
        assert result.predict(X).shape == (30,)
        assert np.array_equal(loaded.predict(X), result.predict(X))


def tuple_of_functions() -> Any:
    """A pair of the user's own."""
    return lambda key: {"a": jax.random.normal(key)}, lambda params, x: params["a"] * x[0]


def bagged(seed: th.Seed = 0) -> th.Task:
    """A pair of functions to bag."""
    data = th.Data((X, X[:, 0]), (X, X[:, 0]))
    return th.Task(tuple_of_functions(), data, optimizer="sgd", epochs=3, seed=seed)


def test_a_result_can_be_pickled(fitted, net):
    for result, x in ((fitted[0], ROWS), (net[0], X)):
        copy = pickle.loads(pickle.dumps(result))
        assert np.array_equal(copy.predict(x), result.predict(x))
        assert copy.risk == result.risk and np.array_equal(
            copy.history["train_risk"], result.history["train_risk"]
        )
        with pytest.raises(th.InputError, match="leaves the data and the Task behind"):
            copy.evaluate("train")
    loaded = pickle.loads(pickle.dumps(th.load(fitted[1])))
    assert np.array_equal(loaded.predict(ROWS), fitted[0].predict(ROWS))


def test_a_pickle_of_a_lambda_says_what_to_do():
    pair = (lambda key: {"a": jax.random.normal(key)}, lambda params, x: params["a"] * x[0])
    result = th.fit(th.Task(pair, th.Data((X, X[:, 0])), epochs=1))
    with pytest.raises(th.InputError, match=r"lambda.*top level of a module.*th\.load"):
        pickle.dumps(result)


def test_saving_replaces_saved_models_only(fitted, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(th.InputError, match="is not a saved model; give another name"):
        fitted[0].save(notes)
    assert notes.read_text() == "mine"
    with pytest.raises(th.InputError, match="folder that exists"):
        fitted[0].save(tmp_path / "none" / "a.theta")
    fitted[0].save(tmp_path / "a.theta")
    fitted[0].save(tmp_path / "a.theta")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.theta", "notes.txt"]


# -- files that are damaged or hostile -------------------------------------------------------------


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    text = path.read_bytes()
    size = int.from_bytes(text[:8], "little")
    return json.loads(text[8 : 8 + size]), text[8 + size :]


def written(path: Path, header: Any, buffer: bytes, *, sign: bool = True) -> Path:
    """A file with this header, whose digest is right if ``sign``."""
    from thetahat.train._tensor_file import _digest  # a hostile writer computes it too

    if sign:
        table = {k: v for k, v in header.items() if k != "__metadata__"}
        metadata = header["__metadata__"]
        metadata["digest"] = _digest(table, metadata["document"], [buffer])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + buffer)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(th.InputError) as error:
        th.load(path)
    assert all(word in str(error.value) for word in (*words, str(path))), str(error.value)


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("a shape of 2**40", {"shape": [2**40]}, "than its shape needs"),
        ("a negative shape", {"shape": [-1, 4]}, "has no shape"),
        ("a dtype of objects", {"dtype": "O"}, "unknown dtype"),
        ("a place beyond the file", {"data_offsets": [0, 2**50]}, "has no place"),
        ("overlapping places", {"data_offsets": [8, 40]}, "another place"),
        ("no dtype", {"dtype": None}, "unknown dtype"),
        ("a shape of text", {"shape": "12"}, "has no shape"),
    ],
)
def test_a_table_of_arrays_that_lies_is_refused(fitted, tmp_path, name, change, word):
    header, buffer = parts(fitted[1])
    header["0/params/layers/0/kernel"].update(change)
    refused(written(tmp_path / "x.theta", header, buffer), word)


def test_lengths_are_compared_with_the_file_before_memory_is_taken(fitted, tmp_path):
    whole, path = fitted[1].read_bytes(), tmp_path / "x.theta"
    path.write_bytes((2**63).to_bytes(8, "little") + whole[8:])
    refused(path, "cut, or of another kind")
    for n in (0, 4, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:n])
        refused(path)
    path.write_bytes(whole + b"more")
    refused(path, "bytes")
    with path.open("wb") as file:  # a sparse file: its length is right and its header absurd
        file.write((1 << 40).to_bytes(8, "little"))
        file.truncate((1 << 40) + 8)
    refused(path, "the most is")


def test_every_flipped_byte_is_noticed(fitted, tmp_path):
    whole, path = bytearray(fitted[1].read_bytes()), tmp_path / "x.theta"
    for at in np.linspace(0, len(whole) - 1, 60).astype(int).tolist():
        changed = bytearray(whole)
        changed[at] ^= 0x15
        path.write_bytes(changed)
        try:
            th.load(path)
        except th.InputError:
            continue
        raise AssertionError(f"byte {at} was changed, and the file was loaded")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("members", 0, "model", "depth"), 10**9),
        (("members", 0, "model", "d"), 10**12),
        (("members", 0, "model", "kind"), "os"),
        (("members", 0, "model", "activation"), "__import__"),
        (("members", 0, "transform", "kind"), "Popen"),
        (("members", 0, "transform", "fields", "encoder"), "text"),
        (("members", 0, "transform", "fields", "x_mean"), {"array": "0/transform/y_mean/none"}),
        (("members", 0, "dtype"), "object"),
        (("members", 0, "shape"), [10**9]),
        (("members", 0, "tables"), []),
        (("members", 0, "tables"), {"policy": {"k": "0/tables/0/0"}}),
        (("members", 0, "tables"), {"policy": {"k": [1, 2], "c": [1]}}),
        (("members", 0, "tables"), {"policy": {"k": 7}}),
        (("members", 0, "status"), "well"),
        (("members", 0, "config"), []),
        (("members",), {}),
        (("members",), []),
        (("members", 0), None),
    ],
    ids=str,
)
def test_a_document_that_lies_is_refused(fitted, tmp_path, place, value):
    header, buffer = parts(fitted[1])
    document = json.loads(header["__metadata__"]["document"])
    at: Any = document
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    header["__metadata__"]["document"] = json.dumps(document)
    refused(written(tmp_path / "x.theta", header, buffer))


def test_json_that_is_deep_or_strange_is_refused(fitted, tmp_path):
    header, buffer = parts(fitted[1])
    path = tmp_path / "x.theta"
    for text in ("[" * 100_000, "[" * 90 + "]" * 90, '{"a": 1, "a": 2}', "NaN", "1" * 5000, "null"):
        header["__metadata__"]["document"] = text
        refused(written(path, header, buffer))


def test_a_file_of_another_kind_or_version_says_so(fitted, tmp_path):
    refused(tmp_path / "none.theta", "there is no file")
    refused(tmp_path, "is not a file")
    other = tmp_path / "x.csv"
    other.write_text("a,b\n1,2\n" * 10)
    refused(other, "another kind")
    header, buffer = parts(fitted[1])
    header["__metadata__"]["version"] = "2"
    with pytest.raises(th.InputError, match="version 2, and this thetahat reads version 1"):
        th.load(written(other, header, buffer))
