"""Write the tree of modules into docs/architecture.md, from the first line of every docstring.

Run as ``python tools/tree.py``; with ``--check`` it writes nothing and exits with 1 if the page is
out of date.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "thetahat"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tree: begin -->\n", "<!-- tree: end -->\n"
ORDER = (
    *(
        "cli",
        "web",
        "notebook",
        "sklearn",
        "sweep",
        "report",
        "causal",
        "lab",
        "grade",
        "analysis",
        "tracking",
        "wandb",
        "train",
        "search",
        "store",
        "figures",
    ),
    *("data", "models", "risk", "optim", "quadrature", "format", "core"),
)
"""The rooms from the faces down."""


def about(path: Path) -> str:
    """The first sentence of a module's docstring, on one line.

    Raises:  SystemExit: the module has no docstring.
    """
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not doc:
        sys.exit(f"{path.relative_to(ROOT)} has no docstring; write what it does")
    return " ".join(doc.partition("\n\n")[0].split())


def tree() -> str:
    """All modules, room by room: one line each."""
    rooms = {p.name for p in SOURCE.iterdir() if (p / "__init__.py").is_file()}
    if rooms != set(ORDER):
        sys.exit(f"tools/tree.py lists other rooms than src/thetahat: {rooms ^ set(ORDER)}")
    lines = []
    for room in ORDER:
        for front in sorted((SOURCE / room).rglob("__init__.py")):
            folder = front.parent
            lines += ["", f"**{folder.relative_to(SOURCE).as_posix()}/**: {about(front)}", ""]
            for path in sorted(folder.glob("*.py")):
                if path.name != "__init__.py":
                    lines.append(f"- `{path.name}`: {about(path)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def main() -> int:
    """Write the page, or check it; the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{tree()}\n{END}{after}"
    if "--check" in sys.argv[1:]:
        if new != text:
            print("docs/architecture.md is out of date; run: python tools/tree.py")
        return int(new != text)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
