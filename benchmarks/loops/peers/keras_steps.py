"""Keras on JAX with ``steps_per_execution``: compiled steps, an epoch in one call."""

from __future__ import annotations

from benchmarks.loops.peers import keras_default
from benchmarks.loops.problems import Problem
from benchmarks.loops.rounds import Loop

NAME = "Keras on JAX, compiled steps"


def prepare(problem: Problem) -> Loop:
    """One fit, an epoch's steps in one execution."""
    return keras_default.prepare(problem, steps_per_execution=problem.steps)
