"""Draw the figures of the tutorial: ``python docs/figures.py`` runs its pages.

Each page saves its figure as ``PAGE.png``, which is kept in ``docs/images``.
"""

from __future__ import annotations

import contextlib
import re
import runpy
import shutil
import tempfile
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


if __name__ == "__main__":
    for page in sorted(DOCS.glob("tutorial-*.md")):
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            figure = draw(page)
            shutil.copy(figure, DOCS / "images" / figure.name)
