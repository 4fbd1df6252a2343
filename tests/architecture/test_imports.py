"""The rooms and the arrows: imports point down, no circles; a class name means one thing."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import thetahat

SOURCE = Path(thetahat.__file__).parent

BELOW: dict[str, set[str]] = {
    "core": set(),
    "format": {"core"},
    "figures": {"core"},
    "data": {"core"},
    "models": {"core", "data"},
    "risk": {"core", "data"},
    "optim": {"core", "data"},
    "quadrature": {"core", "data"},
    "train": {"core", "format", "figures", "data", "models", "risk", "optim"},
    "sklearn": {"core", "data", "models", "risk", "optim", "train"},
    "search": {"core"},
    "store": {"core"},
    "tracking": {"core", "store"},
    "sweep": {"core", "train", "search", "store"},
    "wandb": {"core", "store", "tracking", "sweep"},
    "analysis": {"core", "search", "store"},
    "report": {"core", "format", "figures", "store", "analysis"},
    "causal": {"core", "format", "figures", "data", "models", "optim", "train", "report"},
    "lab": {"core", "figures", "data", "models", "risk", "optim", "train"},
    "grade": {"core"},
    "web": {"core", "format", "search", "store", "analysis", "report"},
    "notebook": {
        *("core", "format", "figures", "search", "store", "tracking", "sweep", "analysis"),
        *("report", "cli"),
    },
    "cli": {
        *(
            "core",
            "format",
            "figures",
            "data",
            "models",
            "risk",
            "optim",
            "train",
            "search",
            "store",
        ),
        *("tracking", "sweep", "wandb", "analysis", "report", "web", "lab", "grade"),
    },
}
"""What each room may import beside itself."""

INSIDE: dict[str, dict[str, set[str]]] = {
    "sweep": {
        "spec": set(),
        "processes": {"spec"},
        "workers": {"spec", "processes"},
        "agent": {"spec", "workers", "processes"},
        "launch": {"spec", "agent"},
    },
    "cli": {"terminal": set(), "commands": {"terminal"}},
    "train": {"jax": set(), "torch": set()},
}
"""Rooms that are divided: what each part may import of the others."""

HEAVY = (
    "jax",
    "flax",
    "optax",
    "torch",
    "equinox",
    "pandas",
    "polars",
    "pyarrow",
    "numpy",
    "sqlalchemy",
    "rich",
    "jsonargparse",
    "optuna",
    "scipy",
    "cmaes",
    "matplotlib",
)


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The statements of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def walked(path: Path) -> Sequence[ast.AST]:
    """Its nodes, the parts of statements too."""
    return tuple(ast.walk(parsed(path)))


@functools.cache
def is_module(name: str) -> bool:
    """Whether a dotted name is a file or a folder of this package."""
    path = SOURCE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


@functools.cache
def imports_of(path: Path) -> set[str]:
    """Modules of this package that a file imports, anywhere in it."""
    found = set()
    for node in walked(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if is_module(whole) else node.module)
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: write absolute imports")
    return {name for name in found if name.split(".")[0] == "thetahat"}


def rooms() -> dict[str, list[Path]]:
    """Files by room."""
    return {room: sorted((SOURCE / room).rglob("*.py")) for room in BELOW}


def test_every_room_is_in_the_table() -> None:
    folders = {p.name for p in SOURCE.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    assert folders == set(BELOW)


def test_imports_point_down() -> None:
    wrong = []
    for room, files in rooms().items():
        assert files, room
        for path in files:
            for name in imports_of(path):
                target = name.split(".")[1] if "." in name else ""
                if target in BELOW and target != room and target not in BELOW[room]:
                    wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert wrong == []


def test_imports_of_divided_rooms_point_down() -> None:
    wrong = []
    for room, parts in INSIDE.items():
        for part, below in parts.items():
            for path in (SOURCE / room / part).rglob("*.py"):
                for name in imports_of(path):
                    words = name.split(".")
                    target = words[2] if words[1:2] == [room] and len(words) > 2 else part
                    if target in parts and target != part and target not in below:
                        wrong.append(f"{path.relative_to(SOURCE)} imports {name}")
    assert wrong == []


def test_training_knows_its_backends_by_their_entry_alone() -> None:
    for path in (SOURCE / "train").glob("*.py"):
        names = {n.name for n in walked(path) if isinstance(n, ast.alias)}
        assert not names & {"jax", "jax.numpy", "optax", "flax", "torch"}, path
        assert not any(name.startswith("thetahat.train.jax.") for name in imports_of(path)), path
    others = [p for p in SOURCE.rglob("*.py") if p.parts[len(SOURCE.parts)] != "train"]
    for path in others:
        assert not any(name.startswith("thetahat.train.jax") for name in imports_of(path)), path


def test_there_are_no_circles() -> None:
    arrows: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        arrows[module] = imports_of(path)
    # The package's own front door loads its rooms when they are first used, never on import.
    arrows["thetahat"] = {"thetahat._names"}
    del arrows["thetahat._public"]
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"a circle: {' -> '.join((*trail, module))}"
        if module in done:
            return
        for target in arrows.get(module, set()):
            visit(target, (*trail, module))
        done.add(module)

    for module in arrows:
        visit(module, ())


def test_core_knows_no_library() -> None:
    for path in rooms()["core"]:
        names = {
            a.name.split(".")[0] for n in walked(path) if isinstance(n, ast.Import) for a in n.names
        }
        names |= {
            (n.module or "").split(".")[0] for n in walked(path) if isinstance(n, ast.ImportFrom)
        }
        assert not names & set(HEAVY), path


def test_a_class_name_means_one_thing() -> None:
    classes, places = set(), defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] == "wandb":
            continue  # its names are those of W&B's client
        own = {node.name for node in walked(path) if isinstance(node, ast.ClassDef)}
        classes |= own
        for name in (*own, *assigned(parsed(path))):
            places[name].add(str(path.relative_to(SOURCE)))
    twice = {name: sorted(places[name]) for name in sorted(classes) if len(places[name]) > 1}
    assert twice == {}


def assigned(tree: ast.Module) -> Iterator[str]:
    """Names that a module assigns at its top: aliases of types are among them."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def front_doors() -> list[Path]:
    """The file of each package that re-exports its names: ``_public.py`` if they load when used."""
    doors = [path for room in BELOW for path in (SOURCE / room).rglob("__init__.py")]
    lazy = [path.with_name("_public.py") for path in doors]
    return [later if later.exists() else door for door, later in zip(doors, lazy, strict=True)]


def test_front_doors_only_reexport() -> None:
    for path in front_doors():
        for node in parsed(path).body:
            doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            exports = ast.unparse(node).startswith("__all__ = ")
            reexports = doc or exports or isinstance(node, ast.ImportFrom)
            assert reexports, f"{path}:{node.lineno}"


def test_front_doors_export_what_they_import() -> None:
    for path in front_doors():
        body = parsed(path).body
        lists = [ast.literal_eval(node.value) for node in body if isinstance(node, ast.Assign)]
        imported = sorted(
            alias.asname or alias.name
            for node in body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        )
        assert [sorted(names) for names in lists] == ([imported] if imported else []), path


def test_import_loads_neither_jax_nor_numpy() -> None:
    code = "import sys, thetahat; print(*(m for m in sys.argv[1:] if m in sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == ""


def test_a_store_in_sqlite_loads_no_driver_of_postgresql() -> None:
    code = "import sys, thetahat.store as s; s.open_store; print('sqlalchemy.sql' in sys.modules,"
    code += " *(m for m in sys.modules if 'postgresql' in m or 'psycopg' in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "True"


def test_functions_fit_on_a_screen() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in walked(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno
                doc = ast.get_docstring(node) or ""
                assert length - doc.count("\n") <= 60, f"{path}:{node.lineno} {node.name}"


TESTS = Path(__file__).parents[1]


def private_imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """The imports of modules and names that begin with an underscore, in their order."""
    every = walked(path)
    nodes = [n for n in every if isinstance(n, (ast.Import, ast.ImportFrom)) and is_private(n)]
    return sorted(nodes, key=lambda node: node.lineno)


def is_private(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether a statement imports something private of this package."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return any(name.startswith("thetahat.") and "._" in name for name in names)
    words = [*(node.module or "").split("."), *names]
    return words[0] == "thetahat" and any(word.startswith("_") for word in words)


def test_tests_of_private_modules_say_why() -> None:
    """In a comment on the import or right above it; imports in a row share one."""
    silent = []
    for path in sorted(TESTS.rglob("*.py")):
        lines, told = path.read_text(encoding="utf-8").splitlines(), 0
        for node in private_imports(path):
            end = node.end_lineno or node.lineno
            above = lines[node.lineno - 2].strip().startswith("# ")
            beside = any("  # " in line for line in lines[node.lineno - 1 : end])
            if above or beside or told == node.lineno - 1:
                told = end
            else:
                silent.append(f"{path.relative_to(TESTS)}:{node.lineno}")
    assert silent == [], "import the public name, or say why in a comment"
