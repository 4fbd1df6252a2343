"""What every test shares: pinned threads, a compilation cache, the command; no skipped test in CI."""

from __future__ import annotations

import gc
import math
import os
import re
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import few_contexts
import jax
import pytest
import stated_shapes
from hypothesis import HealthCheck, settings

os.environ.setdefault("THETAHAT_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An example of hypothesis may take long on a busy machine, and so may the first draw.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# A quarter of the time to import all test files: what they load stays.
gc.disable()
stated_shapes.install("thetahat.risk", "thetahat.optim", "thetahat.models", "thetahat.train.jax")
few_contexts.install()
sys.path.insert(0, str(Path(__file__).parent))

_skipped: list[str] = []
_NO_RANK_PROMOTION = (
    *("cli", "data", "models", "optim", "recompute", "reference", "report", "risk", "web"),
)
"""Folders of tests in which an array of shape (N,) beside one of shape (N, 1) is an error."""


@pytest.fixture(autouse=True)
def _ranks(request: pytest.FixtureRequest) -> None:
    """Let arrays of different rank broadcast only where users' own functions may do so."""
    folder = request.path.relative_to(Path(__file__).parent).parts[0]
    allowed = "raise" if folder in _NO_RANK_PROMOTION else "allow"
    jax.config.update("jax_numpy_rank_promotion", allowed)


@pytest.fixture(autouse=True, scope="module")
def _pythons(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pythons that tests start have JAX loaded, but in modules with OWN_PYTHONS."""
    import preloaded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preloaded, "serving", not getattr(request.module, "OWN_PYTHONS", False))
        patch.setattr(subprocess, "Popen", preloaded.Popen)
        yield


_STANDARD = re.compile(r"^STANDARD_PROGRAMS = True$", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make test`` run the files of one kind; by default all run, with the flags there are."""
    parser.addoption(
        "--programs",
        choices=("standard", "quick"),
        help="standard: test files with STANDARD_PROGRAMS, whose programs are compiled as users' are:"
        " their numbers are the subject, or they train for long; quick: all others",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the test files of the other kind."""
    kind = config.getoption("programs")
    if kind is None or not collection_path.match("test_*.py"):
        return None
    standard = _STANDARD.search(collection_path.read_text(encoding="utf-8")) is not None
    return True if standard != (kind == "standard") else None


def pytest_collection_finish() -> None:
    """Keep what is loaded by now out of every later garbage collection, and let these be rare."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lines of progress in what is said, however slow the machine is."""
    # The time after which lines are due has no public name.
    from thetahat.cli.terminal import _fit_progress

    monkeypatch.setattr(_fit_progress, "FIRST_LINE_S", math.inf)


@pytest.fixture
def fresh_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program of an earlier test, or of an earlier session, is reused."""
    # What a process keeps is emptied between tests.
    from thetahat.train.jax import _compiled, _disk

    monkeypatch.setattr(_compiled.compiled, "_programs", OrderedDict())
    monkeypatch.setattr(_disk, "_folder", lambda: None)


@pytest.fixture
def thetahat(
    capsys: pytest.CaptureFixture[str], no_progress: None
) -> Callable[..., tuple[int, str, str]]:
    """The ``thetahat`` command in this process: exit code, standard output, standard error."""
    from thetahat.cli import run

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Any]:
    """Chromium, started for the first module that uses it."""
    from chromium import Browser, chromium  # of tests/web

    where = chromium()
    if where is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium; as root on Debian: apt-get install -y chromium")
    assert where is not None, "CI needs Chromium: apt-get install -y chromium"
    opened = Browser(where)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser(_chromium: Any) -> Iterator[Any]:
    """Chromium, as Playwright gives it."""
    with _chromium.used() as opened:
        yield opened


@pytest.fixture
def shared_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers come from one server, but in modules with OWN_WORKERS."""
    if sys.platform == "linux" and not getattr(request.module, "OWN_WORKERS", False):
        from worker_server import fork

        where = "thetahat.sweep.workers._early_start"
        monkeypatch.setattr(f"{where}.spawn", fork)
        monkeypatch.setattr(f"{where}.ForkServer", lambda preloads: SimpleNamespace(fork=fork))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed one: CI installs what every test needs."""
    if "worker_server" in sys.modules:
        sys.modules["worker_server"].close()
    if os.environ.get("CI") and _skipped and not hasattr(session.config, "workerinput"):
        print("\nskipped in CI, which must run every test:", *_skipped, sep="\n  ")  # noqa: T201
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
