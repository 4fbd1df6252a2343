"""What every test shares: pinned threads, a compilation cache, and no skipped test in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("THETAHAT_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed one: CI installs what every test needs."""
    if os.environ.get("CI") and _skipped and not hasattr(session.config, "workerinput"):
        print("\nskipped in CI, which must run every test:", *_skipped, sep="\n  ")  # noqa: T201
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
