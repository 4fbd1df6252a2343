"""python -m benchmarks.web.screenshots: the pictures of README and docs, docs/images/*.png.

Runs a random search over the lectures' net and fifteen seeds of three rates in a store of its own,
opens the page in Chromium and writes what it shows. It takes a minute or two, most of it the
sweeps.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.web.__main__ import ARGS, COMMAND, serving
from thetahat.store import find_sweep, open_store

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 150_000
TUNING = """\
# Rate, width and batch of the lectures' net, judged on the validation part.
program: mlp_regression.py
name: A net for a linear world
project: lectures
method: random
run_cap: 120
metric:
  name: val_risk
  goal: minimize
parameters:
  lr:
    distribution: log_uniform_values
    min: 0.001
    max: 3.0
  width:
    values: [8, 32, 128]
  batch_size:
    values: [32, 512]
  sigma:
    distribution: log_uniform_values
    min: 0.001
    max: 0.3
  epochs:
    value: 200
"""
SEEDS = """\
program: mlp_regression.py
name: Fifteen seeds of three rates
project: lectures
method: grid
metric:
  name: val_risk
parameters:
  lr:
    values: [0.005, 0.02, 0.1]
  seed:
    min: 1
    max: 15
  width:
    value: 32
  batch_size:
    value: 32
  sigma:
    value: 0.1
  epochs:
    value: 120
"""


def main() -> int:
    """Fill a store, open the page, write the pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web.screenshots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--store", help="a store to keep, or to use again if it is there")
    parser.add_argument("--into", type=Path, default=IMAGES, help="the folder of the pictures")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(asked.store or folder) / "store"
        if not where.exists():
            fill(where)
        asked.into.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(where, asked.chromium).items():
            path = asked.into / f"{name}.png"
            path.write_bytes(smaller(picture))
            size = path.stat().st_size
            print(f"{path}: {size / 1000:.0f} kB")
            if size > MOST_BYTES:
                raise SystemExit(f"{path} has {size} bytes; at most {MOST_BYTES} are wanted")
    return 0


def fill(where: Path) -> None:
    """Both sweeps, worked on as a user would."""
    folder = where.parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "examples" / "mlp_regression.py", folder)
    for name, text in {"tuning": TUNING, "seeds": SEEDS}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        words = [sys.executable, "-c", COMMAND, "sweep", f"{name}.yaml", "--run", "--store"]
        # Exit code 1 says that runs have failed: some rates are meant to diverge.
        code = subprocess.run([*words, str(where)], cwd=folder, check=False).returncode
        if code not in (0, 1):
            raise SystemExit(f"the sweep {name} ended with code {code}")


def pictures(where: Path, chromium: str) -> dict[str, bytes]:
    """PNGs by name."""
    from playwright.sync_api import sync_playwright

    with open_store(where, create=False) as store:
        tuning = find_sweep(store, "A net for a linear world").id
        seeds = find_sweep(store, "Fifteen seeds of three rates").id
        best = store.runs(sweep_id=tuning, status="finished", sort="val_risk", limit=1)[0].id
        ids = ",".join(run.id for run in store.runs(sweep_id=seeds))
    found = {}
    with serving(where, {}) as (url, _), sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGS)

        def look(path: str, theme: Any, high: int) -> bytes:
            size: Any = {"width": 1280, "height": high}
            context = browser.new_context(viewport=size, color_scheme=theme)
            page = context.new_page()
            page.goto(url + path)
            page.wait_for_selector("main[aria-busy=false]")
            # Charts are drawn one after the other, importance comes a little later.
            page.wait_for_timeout(3000)
            picture = page.screenshot()
            context.close()
            return picture

        found["sweep"] = look(f"/sweep/{tuning}", "light", 1180)
        found["run"] = look(f"/run/{best}", "dark", 760)
        found["seeds"] = look(f"/compare?runs={ids}&bands=1", "light", 560)
        browser.close()
    return found


def smaller(picture: bytes) -> bytes:
    """The picture with 128 colours: a third of the bytes, and no eye sees it."""
    from PIL import Image

    made = Image.open(io.BytesIO(picture)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    into = io.BytesIO()
    made.save(into, "PNG", optimize=True)
    return into.getvalue()


if __name__ == "__main__":
    sys.exit(main())
