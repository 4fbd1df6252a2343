"""The persistent compilation cache: a second process compiles nothing anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

# How programs are compiled shows in no result.
from thetahat.train.jax import _compile

OWN_PYTHONS = True

CHILD = """
import sys
sys.path.insert(0, {folder!r})
from jax import monitoring
counts = dict.fromkeys(("misses", "hits"), 0)
def listen(event, **_):
    for name in counts:
        if event == f"/jax/compilation_cache/cache_{{name}}":
            counts[name] += 1
monitoring.register_event_listener(listen)
import thetahat as th
from small import net
results = th.fit_many(net, [{{"seed": s, "lr": lr}} for s in (0, 1) for lr in (0.1, {lr})])
print(counts["misses"], counts["hits"], results[0].traces)
"""
LAPACK = """
import numpy as np
x = np.linspace(-1, 1, 9)[:, None]
lm = th.optim.levenberg_marquardt()
fit = th.fit(th.Task(th.models.Linear(1), th.Data((x, 2 * x[:, 0])), optimizer=lm, epochs=3))
print(fit.traces, fit.risk["train"])
"""


def printed(cache: Path, lr: float, more: str = "") -> list[str]:
    """Cache misses, cache hits and traces of a fresh process that fits a cohort; and more."""
    code = CHILD.format(folder=str(Path(__file__).parent), lr=lr) + more
    environment = {**os.environ, "THETAHAT_CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()


def test_a_second_process_compiles_nothing_anew(tmp_path: Path) -> None:
    *first, fresh, risk = printed(tmp_path / "cache", 0.2, LAPACK)
    misses, hits, traces = map(int, first)
    assert misses > 0
    assert traces == 1
    # Other values of a traced parameter are the same program, which is not even traced.
    *second, known, again = printed(tmp_path / "cache", 0.3, LAPACK)
    misses, fewer, traces = map(int, second)
    assert (misses, traces) == (0, 0)
    assert fewer < hits + misses or not hits
    # Nor is a program that calls LAPACK, and it gives the same number.
    assert (fresh, known, again) == ("1", "0", risk)


def test_without_a_cache_folder_fits_run_all_the_same(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    misses, hits, _ = printed(in_the_way / "cache", 0.2)
    assert (misses, hits) == ("0", "0")


TOGETHER = """
import sys
from jax import monitoring
compiled = []
monitoring.register_event_listener(
    lambda event, **_: compiled.append(1) if event.endswith("cache_misses") else None
)
import jax, jax.numpy as jnp
from thetahat.data import use_cache
from thetahat.train.jax._compile import compile_loop
use_cache()
def slow(x):
    for k in range(60):
        x = jnp.sin(x @ x.T) + k
    return x
lowered = jax.jit(slow).lower(jnp.ones((8, 8)))
compiled.clear()
print("ready", flush=True)
sys.stdin.readline()
compile_loop(lowered)
print(len(compiled))
"""


def test_processes_that_want_one_program_compile_it_once(tmp_path: Path) -> None:
    environment = {**os.environ, "THETAHAT_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in both) == ["0\n", "1\n"]
    assert list(tmp_path.glob("*.compiling")) == []


def test_nobody_waits_for_ever_for_another_process(tmp_path: Path, monkeypatch) -> None:
    asked = []

    def never(file) -> bool:
        asked.append(file.name)
        return False

    monkeypatch.setattr(_compile, "PATIENCE_S", 0.1)
    monkeypatch.setattr(_compile, "_locked", never)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert _compile.compile_loop(jax.jit(lambda x: x + 1).lower(1.0))(1.0) == 2.0
        assert len(asked) > 1
        # And who can do something else in the meantime does not wait at all.
        asked.clear()
        with pytest.raises(_compile.Busy):
            _compile.compile_draw(jax.jit(lambda x: x + 1).lower(1.0), 1, patient=False)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    assert len(asked) == 1
    assert {Path(name).parent for name in asked} == {tmp_path}


@pytest.mark.parametrize(
    ("shape", "level"), [((), 1), ((4,), 1), ((64,), 1), ((65,), None), ((4, 16), None)]
)
def test_functions_of_whole_arrays_decide_how_a_loop_is_optimised(
    shape: tuple[int, ...], level: int | None, monkeypatch
) -> None:
    given = []
    monkeypatch.setattr(_compile, "_compile", lambda lowered, options: given.append(options))
    _compile.compile_loop(jax.jit(jax.numpy.cos).lower(jax.ShapeDtypeStruct(shape, "float32")))
    assert given[0].get("xla_backend_optimization_level") == level
