"""The house is in order: documents that match the tree, public names with docstrings, files that name no machine."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gradcheck
from properties.test_layout import PACKAGE, imported, room_of

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())
ROOMS.remove("__init__")

# What no file may contain: an absolute path into somebody's machine, or where packages are fetched from.
FOREIGN = {
    "a path of a machine": re.compile(r"(?<![\w.~/:)])/(?:home|Users|root|work|tmp|opt|mnt|var)/\w|\b[A-Z]:\\\w"),
    "a registry": re.compile(r"(?:index[-]url|find[-]links)\b|https?://[\w.-]*(?:pypi|pythonhosted|pytorch)\b"),
}


def foreign(text: str) -> list[str]:
    """What a text contains that belongs to one machine, with its line."""
    lines = enumerate(text.splitlines(), start=1)
    return [f"{n}: {what}: {line}" for n, line in lines for what, rule in FOREIGN.items() if rule.search(line)]


def arrows(text: str) -> set[tuple[str, str]]:
    """The arrows of a mermaid diagram."""
    return set(re.findall(r"^ *(\w+) --> (\w+)$", text, re.MULTILINE))


def test_no_tracked_file_names_a_machine_or_a_registry():
    """The project can be checked out anywhere and installed from anywhere."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    found = [f"{name}:{line}" for name in names for line in foreign((ROOT / name).read_text(encoding="utf-8"))]
    assert len(names) > 50
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "open('" + "/home" + "/ada/digits.npz')",
        "cd " + "/work" + "/main",
        "C:" + "\\Users",
        "pip install --extra-index-" + "url x",
        "https://" + "download.pytorch.org/whl",
        "https://" + "pypi.org/simple",
    ],
)
def test_a_planted_path_or_registry_is_noticed(planted):
    """The rule can fail."""
    assert len(foreign(planted)) == 1


@pytest.mark.parametrize("innocent", ["docs/" + "work/main", "https://arxiv.org/abs/1", "sum(x)/tmp/2", "/N"])
def test_relative_paths_and_papers_are_allowed(innocent):
    """The rule does not cry wolf."""
    assert foreign(innocent) == []


@pytest.mark.parametrize("name", gradcheck.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name):
    """Written for it: not the one that a dataclass, an Enum or a base class would give."""
    thing = getattr(gradcheck, name)
    assert thing.__doc__
    assert not thing.__doc__.startswith(f"{name}(")
    assert all(thing.__doc__ != base.__doc__ for base in inspect.getmro(thing)[1:]) if inspect.isclass(thing) else True


def test_the_lazy_face_and_the_type_checker_see_the_same_names():
    """The names imported under TYPE_CHECKING are those of ``__all__``, and come from the same modules."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname: statement.module
        for node in tree.body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == gradcheck._HOME
    assert sorted(typed) == gradcheck.__all__
    assert set(gradcheck.__all__) <= set(dir(gradcheck))


def test_an_unknown_public_name_is_an_error_that_lists_the_known_ones():
    """A typing error is an AttributeError that says what there is."""
    with pytest.raises(AttributeError, match=r"module 'gradcheck' has no attribute 'chekc'; it offers .*\bcheck\b"):
        gradcheck.chekc  # noqa: B018 - looking it up is what raises


def test_types_ship_with_the_package():
    """The marker of PEP 561 lies beside the modules, so users' type checkers read our annotations."""
    assert (PACKAGE / "py.typed").is_file()


def test_dependencies_are_imported_and_imports_are_dependencies():
    """The package imports, anywhere in it, what pyproject.toml declares: no more and no less; extras beside that."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]
    declared, extras = (
        {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in lines}
        for lines in (project["dependencies"], [*extra["report"], *extra["cluster"]])
    )
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) if not node.level]
    used = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"gradcheck"}
    assert used - extras == declared
    assert extras <= used


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CHANGELOG.md"])
def test_documents_mention_every_room(document):
    """Each module and sub-package directly under gradcheck/ is named between backquotes."""
    text = (ROOT / document).read_text(encoding="utf-8")
    assert "backprop" in ROOMS
    assert [room for room in ROOMS if f"`{room}`" not in text] == []


def test_the_diagram_shows_the_imports_that_there_are():
    """The arrows of ARCHITECTURE.md are the imports between rooms, no more and no fewer."""
    drawn = arrows((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    there = set()
    for path in PACKAGE.rglob("*.py"):
        parts = ("gradcheck", *path.relative_to(PACKAGE).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        for _, name in imported(path.read_text(encoding="utf-8"), module, is_package):
            there.add(tuple(room_of(m).split(".")[0] for m in (module, name)))
    there = {(room, other) for room, other in there if room and other and room != other}
    assert there - drawn == set(), "ARCHITECTURE.md lacks these arrows"
    assert drawn - there == set(), "ARCHITECTURE.md has arrows without an import"
