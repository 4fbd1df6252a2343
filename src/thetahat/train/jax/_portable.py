"""A predictor as JSON types and arrays, and back: what a saved model holds of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thetahat import models
from thetahat.core import ConfigError, InputError
from thetahat.data import Classes, from_stored, to_stored
from thetahat.train._classify import BINARY, LINKS, SEVERAL, ClassScores
from thetahat.train._columns_json import columns_json, read_columns
from thetahat.train._program import Build, GivenTask
from thetahat.train.jax._precision import precision
from thetahat.train.jax._predictor import (
    DescribedModel,
    ModelSource,
    OfBuild,
    OfModel,
    Predictor,
    source_of_program,
)

_DTYPES = ("float32", "float64")
_SCORES = ("loss", "residual", "decides", "link")


def pack_predictor(one: Predictor, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """Describe a predictor as JSON types; its arrays go into ``arrays``, named ``name``/...

    Raises:  ConfigError: it holds a value that a file cannot.
    """
    for kind, tree in (("params", one.trained), ("frozen", one.frozen)):
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            arrays[f"{name}/{kind}/{_path(path)}"] = np.asarray(leaf)
    for key, value in one.values.items():
        arrays[f"{name}/values/{key}"] = np.asarray(value)
    if one.source.description is None and (values := one.probe()) is not None:
        arrays[f"{name}/probe"] = values
    return {
        "class": one.source.name,
        "model": one.source.description,
        "average": _average(one.source),
        "values": list(one.values),
        "transform": to_stored(one.transform, arrays, f"{name}/transform"),
        "classes": to_stored(one.scores.classes, arrays, f"{name}/classes"),
        "dtype": one.dtype,
        "shape": None if one.shape is None else list(one.shape),
        "whole": one.whole,
        "columns": columns_json(one.columns),
        **{word: getattr(one.scores, word) for word in _SCORES},
    }


def unpack_predictor(
    held: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    name: str,
    build: Build | None,
    shared: dict[str, ModelSource],
) -> Predictor:
    """Make the predictor that ``pack_predictor`` described.

    Args:    build: of the user's own model, from the traced parameters ``held["values"]``.
             shared: sources of other members of the file, by what makes them.
    Raises:  ConfigError: the model needs ``build``, or ``build`` gives another model.
             ValueError, TypeError, LookupError: the file does not hold what it should.
    """
    dtype, shape = held["dtype"], held["shape"]
    if dtype not in _DTYPES:
        raise ValueError(f"the dtype is {dtype!r}")
    mine = {n.removeprefix(f"{name}/"): a for n, a in arrays.items() if n.startswith(f"{name}/")}
    values = {key: mine[f"values/{key}"][()] for key in held["values"]}
    with precision(dtype):
        static = {k: v for k, v in held["config"].items() if k not in values}
        key = json.dumps([held["class"], held["model"] or static, dtype, len(mine)])
        source = shared.setdefault(key, _source(held, len(mine), build))
        if source.description is not None:
            layout = source.layout
            params, frozen = _filled(layout, mine, "params"), _filled(layout, mine, "frozen")
            found = jax.tree.leaves((params, frozen))
            if len(found) != len(jax.tree.leaves(layout)):
                raise ValueError("its arrays are not those of its model")
        else:
            own = source.make({key: value.item() for key, value in values.items()})
            params, frozen = (_own(tree, mine, source.name) for tree in (own.params, own.frozen))
    for leaf in jax.tree.leaves((params, frozen)):
        if leaf.dtype.kind == "f" and leaf.dtype != dtype:
            raise ValueError(f"an array of {leaf.dtype} in a model of {dtype}")
    one = Predictor(
        source=source,
        values=values,
        trained=params,
        frozen=frozen,
        transform=from_stored(held["transform"], arrays),
        scores=_scores(held, arrays),
        dtype=dtype,
        shape=None if shape is None else tuple(map(int, shape)),
        whole=bool(held.get("whole", False)),
        columns=read_columns(held),
    )
    try:
        one.check()
    except InputError as error:
        raise ValueError(str(error)) from error
    if one.source.description is None and "probe" in mine:
        _check_program(one, mine["probe"])
    return one


def _check_program(one: Predictor, saved: np.ndarray) -> None:
    """Compare what the user's program computes now with what it computed when it was saved.

    Raises:  ConfigError: other values.
    """
    found = one.probe()
    if found is None or found.shape != saved.shape:
        same = False
    else:
        size = np.max(np.abs(saved), initial=0.0, where=np.isfinite(saved))
        same = np.allclose(found, saved, rtol=1e-3, atol=1e-4 * size, equal_nan=True)
    if not same:
        raise ConfigError(
            f"{one.source.name} is not the model that was saved: with the saved parameters it"
            " computes other values, so its program was edited since; restore the program, or fit"
            " the new one"
        )


def _scores(held: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ClassScores:
    """What a file says that the scores mean."""
    classes = from_stored(held["classes"], arrays)
    words = {word: str(held[word]) for word in _SCORES}
    known = words["decides"] in ("", BINARY, SEVERAL) and words["link"] in LINKS
    if not known or not isinstance(classes, Classes | None) or (classes and classes.array is None):
        raise ValueError("its scores mean nothing")
    return ClassScores(**words, classes=classes)


def _source(held: Mapping[str, Any], most: int, build: Build | None) -> ModelSource:
    """The source of a file's model."""
    name, description = str(held["class"]), held["model"]
    if description is not None:
        try:
            models.described(description, most)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return ModelSource(DescribedModel(description, most), name, description)
    if build is None:
        raise ConfigError(
            f"the file holds parameters of {name}, a model of your own, and no program; give the"
            " function that builds its Task too: th.load(path, experiment)"
        )
    if held["values"]:
        return source_of_program(OfBuild(build), name)
    task = build.given if isinstance(build, GivenTask) else build({})
    model = task.model
    if held["average"] is not None and not isinstance(model, models.Average):
        model = models.Average(model, *held["average"])
    return source_of_program(OfModel(model, task.seed), name)


def _average(source: ModelSource) -> list[Any] | None:
    """How a bag averages members of the user's own model; None for other models."""
    model = source.make.model if isinstance(source.make, OfModel) else None
    return [model.n, model.of] if isinstance(model, models.Average) else None


def _filled(layout: Any, mine: Mapping[str, np.ndarray], kind: str) -> Any:
    """The arrays of one kind in a model's layout; None where there is none."""

    def leaf(path: Any, like: Any) -> np.ndarray | None:
        found = mine.get(f"{kind}/{_path(path)}")
        if found is not None and found.shape != like.shape:
            raise ValueError(f"{_path(path)} has shape {found.shape}, and its model {like.shape}")
        return found

    return jax.tree_util.tree_map_with_path(leaf, layout)


def _own(tree: Any, mine: Mapping[str, np.ndarray], name: str) -> Any:
    """The file's arrays in the layout of the user's own model, trained or frozen.

    Raises:  ConfigError: the model has other arrays.
    """

    def leaf(path: Any, like: Any) -> np.ndarray:
        at = _path(path)
        found = mine.get(f"params/{at}", mine.get(f"frozen/{at}"))
        if found is None or found.shape != jnp.shape(like):
            has = "none there" if found is None else f"one of shape {found.shape}"
            raise ConfigError(
                f"the experiment's model has an array {at} of shape {jnp.shape(like)}, and the file"
                f" of a {name} has {has}; give the experiment that was fitted"
            )
        return found

    return jax.tree_util.tree_map_with_path(leaf, tree)


def _path(path: Any) -> str:
    """The name of a leaf: its steps, with "/" inside a step escaped as in JSON pointers."""
    steps = [str(getattr(e, "key", getattr(e, "idx", getattr(e, "name", e)))) for e in path]
    return "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)
