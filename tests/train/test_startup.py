"""The persistent compilation cache: a second process compiles nothing anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def counts(cache: Path, lr: float) -> tuple[int, int, int]:
    """Cache misses, cache hits and traces of a fresh process that fits a cohort."""
    code = CHILD.format(folder=str(Path(__file__).parent), lr=lr)
    environment = {**os.environ, "THETAHAT_CACHE": str(cache)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    misses, hits, traces = map(int, out.stdout.split())
    return misses, hits, traces


def test_a_second_process_compiles_nothing_anew(tmp_path: Path) -> None:
    misses, hits, traces = counts(tmp_path / "cache", 0.2)
    assert misses > 0
    assert traces == 1
    # Other values of a traced parameter are the same program.
    assert counts(tmp_path / "cache", 0.3) == (0, misses + hits, 1)


def test_without_a_cache_folder_fits_run_all_the_same(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    misses, hits, _ = counts(in_the_way / "cache", 0.2)
    assert (misses, hits) == (0, 0)
