"""python -m benchmarks.web.screenshots: the pictures of README and docs, docs/images/*.png.

Runs a random search over the lectures' net, fifteen seeds of three rates and the sweep of
docs/tables.md in a store of its own, opens the page in Chromium and writes what it shows. It takes
a minute or two, most of it the sweeps.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
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
POLICIES = """\
program: policies.py
name: Policies of ten seeds
project: growth
method: grid
metric:
  name: val_risk
parameters:
  lr:
    values: [0.01, 0.05]
  seed:
    min: 1
    max: 10
"""
SWEEPS = {
    "tuning": ("mlp_regression.py", TUNING),
    "seeds": ("mlp_regression.py", SEEDS),
    "policies": ("policies.py", POLICIES),
}
NEEDED = {"sweep": "tuning", "run": "tuning", "seeds": "seeds", "tables": "policies"}
"""The sweep of each picture."""


def main() -> int:
    """Fill a store, open the page, write the pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.web.screenshots",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of pictures (default: all)")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    parser.add_argument("--store", help="a store to keep, or to use again if it is there")
    parser.add_argument("--into", type=Path, default=IMAGES, help="the folder of the pictures")
    asked = parser.parse_args()
    names = asked.names or list(NEEDED)
    if unknown := set(names) - set(NEEDED):
        parser.error(f"no pictures {sorted(unknown)}; there are {', '.join(NEEDED)}")
    with tempfile.TemporaryDirectory() as folder:
        where = Path(asked.store or folder) / "store"
        if not where.exists():
            fill(where, {NEEDED[name] for name in names})
        asked.into.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures(where, asked.chromium, names).items():
            path = asked.into / f"{name}.png"
            path.write_bytes(smaller(picture))
            size = path.stat().st_size
            print(f"{path}: {size / 1000:.0f} kB")
            if size > MOST_BYTES:
                raise SystemExit(f"{path} has {size} bytes; at most {MOST_BYTES} are wanted")
    return 0


def fill(where: Path, wanted: Collection[str]) -> None:
    """The sweeps, worked on as a user would."""
    folder = where.parent
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(wanted):
        program, text = SWEEPS[name]
        if name == "policies":
            (folder / program).write_text(first_snippet() + "th.main(root)\n", encoding="utf-8")
        else:
            shutil.copy(ROOT / "examples" / program, folder)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        words = [sys.executable, "-c", COMMAND, "sweep", f"{name}.yaml", "--run", "--store"]
        # Exit code 1 says that runs have failed: some rates are meant to diverge.
        code = subprocess.run([*words, str(where)], cwd=folder, check=False).returncode
        if code not in (0, 1):
            raise SystemExit(f"the sweep {name} ended with code {code}")


def first_snippet() -> str:
    """Return the experiment of docs/tables.md, without its first fit."""
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    return text.partition("```python\n")[2].partition("result = ")[0]


def pictures(where: Path, chromium: str, names: Collection[str]) -> dict[str, bytes]:
    """PNGs by name."""
    from playwright.sync_api import sync_playwright

    found = {}
    with (
        open_store(where, create=False) as store,
        serving(where, {}) as (url, _),
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(executable_path=chromium, args=ARGS)

        def sweep(name: str) -> str:
            return find_sweep(store, SWEEPS[name][1].partition("name: ")[2].splitlines()[0]).id

        def look(path: str, theme: Any, high: int, section: str = "") -> bytes:
            size: Any = {"width": 1280, "height": high}
            context = browser.new_context(viewport=size, color_scheme=theme)
            page = context.new_page()
            page.goto(url + path)
            page.wait_for_selector("main[aria-busy=false]")
            # Charts are drawn one after the other, importance comes a little later.
            page.wait_for_timeout(3000)
            shown: Any = page.locator(f"section[aria-label={section}]") if section else page
            picture = shown.screenshot()
            context.close()
            return picture

        if "sweep" in names:
            found["sweep"] = look(f"/sweep/{sweep('tuning')}", "light", 1180)
        if "run" in names:
            best = store.runs(sweep_id=sweep("tuning"), status="finished", sort="val_risk", limit=1)
            found["run"] = look(f"/run/{best[0].id}", "dark", 760)
        if "seeds" in names:
            ids = ",".join(run.id for run in store.runs(sweep_id=sweep("seeds")))
            found["seeds"] = look(f"/compare?runs={ids}&bands=1", "light", 560)
        if "tables" in names:
            found["tables"] = look(f"/sweep/{sweep('policies')}", "light", 1400, "Tables")
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
