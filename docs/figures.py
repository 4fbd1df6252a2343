"""Draw the figures of the documentation.

``python docs/figures.py`` runs the pages of the tutorial: each saves its figure as ``PAGE.png``,
which is kept in ``docs/images``. ``python docs/figures.py lab [NAME ...]`` runs experiments of the
lab, draws ``lab-NAME.png``, and puts their answers into ``docs/lab.md``.
"""

from __future__ import annotations

import contextlib
import re
import runpy
import shutil
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parent
_BLOCK = re.compile(r"^```(python|yaml|console)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def draw(page: Path) -> Path:
    """Run a page's blocks in an empty folder and return the figure that they save."""
    script: list[str] = []
    for language, name, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if name:
            Path(name).write_text(text, encoding="utf-8")
        if language == "console":
            commands = re.findall(r"^\$ thetahat (.*)$", text, flags=re.MULTILINE)
            script += [
                f"subprocess.run(['thetahat', *{c.split()!r}], check=True)" for c in commands
            ]
        elif language == "python":
            script.append(text.replace('if __name__ == "__main__":', "if False:"))
    Path("page.py").write_text("import subprocess\n" + "\n".join(script), encoding="utf-8")
    runpy.run_path("page.py", run_name="page")
    return Path(f"{page.stem}.png")


def draw_lab(names: list[str]) -> None:
    """Run experiments, keep their figures, and put their answers into the page of the lab."""
    import thetahat as th
    from thetahat.figures import image

    page = DOCS / "lab.md"
    for name in names or th.lab.list_questions():
        experiment = th.lab.read_experiment(name)
        began = time.process_time()
        found = experiment.run()
        cpu_s = time.process_time() - began
        picture = image(experiment.draw(found), "png", dpi=110)
        (DOCS / "images" / f"lab-{name}.png").write_bytes(picture)
        answer = experiment.answer(found)
        sys.stdout.write(f"{name}: {cpu_s:.1f} CPU s\n{answer}\n")
        before, command, after = page.read_text(encoding="utf-8").partition(f"lab run {name}\n")
        if command:
            fence, quote, rest = after.partition("> ")
            rest = rest.partition("\n\n")[2]
            page.write_text(f"{before}{command}{fence}{quote}{answer}\n\n{rest}", "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["lab"]:
        draw_lab(sys.argv[2:])
        sys.exit()
    for page in sorted(DOCS.glob("tutorial-*.md")):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            figure = draw(page)
            shutil.copy(figure, DOCS / "images" / figure.name)
