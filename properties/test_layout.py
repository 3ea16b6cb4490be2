"""The layout holds: imports point downwards only, and importing gradcheck costs nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gradcheck

PACKAGE = Path(gradcheck.__file__).parent

# The rooms from top to bottom, and what each may import besides itself. ``gradcheck`` is the lazy public face.
MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"commands"},
    "commands": {
        "campaign", "census", "plugin", "replay", "suite", "render", "systems", "cost", "judge", "backprop", "numeric",
        "target", "progress", "report",
    },
    "census": {"strategies", "adapters", "judge.search", "judge", "target", "progress", "report"},
    "campaign": {
        "plugin", "suite", "render", "strategies", "adapters", "judge.search", "judge", "backprop", "target",
        "progress", "report",
    },
    "catalogues": {"adapters", "target"},
    "replay": {"plugin", "suite", "render", "judge", "judge.search", "report"},
    "plugin": {
        "suite", "render", "cost", "strategies", "adapters", "judge.search", "judge", "target", "progress", "report",
    },
    "suite": {
        "systems", "cost", "strategies", "adapters", "judge.search", "judge", "backprop", "numeric", "target",
        "progress", "report",
    },
    "render": {"judge", "judge.search", "report"},
    "systems": {"backprop", "numeric"},
    "cost": {"strategies", "adapters", "backprop", "target", "report"},
    "judge.search": {"strategies", "adapters", "judge", "target", "progress", "report", "floats"},
    "strategies": {"backprop", "floats"},
    "judge": {"judge.search", "adapters", "numeric", "target", "report", "floats"},
    "adapters": {"target", "report", "floats"},
    "backprop": {"target", "report"},
    "numeric": set(),
    "target": {"report"},
    "progress": set(),
    "report": {"render"},
    "floats": set(),
}
# judge/search.py drives Hypothesis and so sits above strategies; judge itself only passes its name on. A report's text
# is drawn by the room that draws, when somebody asks for it.
UPWARD_BY_DESIGN = {("judge", "judge.search"), ("report", "render")}


def room_of(module: str) -> str:
    """``gradcheck.judge.probe`` is in room ``judge``; ``gradcheck.judge.search`` is a room of its own."""
    parts = module.split(".")[1:]
    return next((room for room in (".".join(parts[:2]), *parts[:1]) if room in MAY_IMPORT), parts[0] if parts else "")


def imported(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every module of gradcheck that ``source`` imports, anywhere in it but under TYPE_CHECKING, with its line."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            names = [f"{origin}.{alias.name}" for alias in node.names]  # a submodule or a name: the room is the same
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "gradcheck")


def complaints(source: str, module: str, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one module, one sentence each."""
    room = room_of(module)
    if room not in MAY_IMPORT:
        return [f"{module} is in no room: give {room!r} a place in MAY_IMPORT"]
    found = []
    for line, name in imported(source, module, is_package):
        other = room_of(name)
        if other not in (room, "") and other not in MAY_IMPORT[room]:
            found.append(f"{module}:{line} imports {name}, but {room} may import only {sorted(MAY_IMPORT[room])}")
    return found


def test_the_table_itself_points_downwards_only():
    """Every room may import only rooms listed below it, so the imports cannot form a cycle."""
    order = list(MAY_IMPORT)
    for room, others in MAY_IMPORT.items():
        for other in others:
            assert order.index(room) < order.index(other) or (room, other) in UPWARD_BY_DESIGN


def test_imports_point_downwards_only():
    """No module of the package imports a room that its own room may not."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("gradcheck", *path.relative_to(PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        if module != "gradcheck":
            found += complaints(path.read_text(encoding="utf-8"), module, is_package)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gradcheck.numeric.noise", "from gradcheck.backprop import ops"),
        ("gradcheck.numeric.noise", "def lazily():\n    import gradcheck.target"),
        ("gradcheck.backprop.graph", "from ..judge import probe"),
        ("gradcheck.backprop.graph", "from .. import strategies"),
        ("gradcheck.judge.probe", "from gradcheck import strategies"),
        ("gradcheck.strategies.shapes", "import gradcheck.suite.reference as main_job"),
        ("gradcheck.junkdrawer", "x = 1"),
    ],
)
def test_a_planted_upward_import_is_seen(module, source):
    """The rule can fail: absolute, relative, lazy and aliased imports are all noticed, and so is an unknown room."""
    assert len(complaints(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gradcheck.judge.probe", "from gradcheck.numeric import Estimate"),
        ("gradcheck.judge.search", "from gradcheck.strategies import palettes"),
        ("gradcheck.judge.probe", "from .verdict import judge\nfrom ..report import Verdict"),
        ("gradcheck.report", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gradcheck import check"),
    ],
)
def test_a_downward_import_is_allowed(module, source):
    """The rule does not cry wolf: downward, sibling and type-only imports pass."""
    assert complaints(source, module) == []


def test_importing_gradcheck_imports_nothing_heavy():
    """Pytest loads its plugins on every run, so ``import gradcheck`` loads no numpy, hypothesis, scipy, rich."""
    code = "import sys, gradcheck; print(sorted({name.split('.')[0] for name in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(run.stdout))
    assert "gradcheck" in loaded
    assert loaded.isdisjoint({"numpy", "scipy", "hypothesis", "pytest", "rich", "torch", "jax"})
