"""The README tells the truth: its Python runs and prints what it says, its commands exist and succeed."""

import contextlib
import functools
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
GRADCHECK = [line for line in COMMANDS if line.startswith("gradcheck ")]


FRAMEWORKS = {"torch", "jax"}


def needs(block: str) -> set[str]:
    """The frameworks that a block imports."""
    return FRAMEWORKS.intersection(re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE))


def printed_by(blocks: list[tuple[str, str]], frameworks: set[str] = frozenset()) -> Iterator[tuple[str, str, str]]:
    """Run the Python blocks in order, in one namespace: each with what it printed, and the text block that follows.

    Those that need other frameworks than these are left out.
    """
    namespace: dict[str, object] = {"__name__": "readme"}
    for (language, block), (next_language, promise) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "python" and needs(block) <= frameworks:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, "README.md", "exec"), namespace)
            yield block, out.getvalue(), promise if next_language == "text" else ""


@functools.cache
def run(line: str) -> subprocess.CompletedProcess[str]:
    """One gradcheck command of the README, as a user would give it, piped."""
    _, *arguments = shlex.split(line)
    command = [sys.executable, "-m", "gradcheck", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


def words(text: str) -> list[str]:
    """The first cell of every row: what a command prints whatever the numbers are; not where a long cell is wrapped."""
    return re.findall(r"^ {0,3}(\S.*?)(?:  |: |$)", text, re.MULTILINE)


def test_every_python_block_prints_what_the_readme_says():
    """The blocks run in order, and what each prints is the text block below it, character for character."""
    seen = list(printed_by(BLOCKS))
    assert len(seen) >= 2
    for block, printed, promise in seen:
        assert printed == promise, block


@pytest.mark.parametrize("name", sorted(FRAMEWORKS))
def test_every_block_of_a_framework_prints_what_the_readme_says(require, name):
    """Where the framework is installed its blocks run among the others; where it is not the test is skipped."""
    require(name)
    blocks = [(block, printed, promise) for block, printed, promise in printed_by(BLOCKS, {name}) if needs(block)]
    assert blocks
    for block, printed, promise in blocks:
        assert printed == promise, block


def test_a_readme_that_promises_something_else_is_noticed():
    """The comparison can fail: a block is held to the text that follows it, and to nothing where none follows."""
    python, text = ("python", "print(1 + 1)\n"), ("text", "3\n")
    assert list(printed_by([python, text])) == [("print(1 + 1)\n", "2\n", "3\n")]
    assert list(printed_by([python, python])) == [("print(1 + 1)\n", "2\n", "")] * 2


def test_the_library_is_shown_in_about_ten_lines():
    """The block that uses the reference is short enough to take in: at most a dozen lines of code."""
    block = next(block for language, block in BLOCKS if language == "python" and "gradcheck.backprop" in block)
    code = [line for line in block.splitlines() if line and not line.startswith(("import", "from"))]
    assert "backward(" in block
    assert len(code) <= 12


def test_every_make_target_named_exists():
    """Whatever the README says to make is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for line in COMMANDS if line.startswith("make ") for word in line.split()[1:2]}
    assert {"verify", "test"} <= named <= targets


def test_every_file_named_exists():
    """Links, and paths between backquotes, lead to files of this project; .venv is made by make."""
    linked = re.findall(r"\]\(([\w./]+)\)", README)
    quoted = [path for path in re.findall(r"`([\w.]+/[\w./]+)`", README) if not path.startswith(".venv")]
    assert linked
    assert quoted
    assert [path for path in linked + quoted if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("line", GRADCHECK)
def test_every_gradcheck_command_succeeds(line):
    """The commands are run as they stand, and exit with 0."""
    done = run(line)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("line", "first"), [("gradcheck run", "architectures"), ("gradcheck systems", "S2")])
def test_the_rows_shown_are_those_printed(line, first):
    """The rows of the README's output of a command are, in order and without their numbers, those it prints today."""
    shown = words(next(block for language, block in BLOCKS if language == "text" and block.startswith(first)))
    printed = words(run(next(command for command in GRADCHECK if command.startswith(line))).stdout)
    start = printed.index(shown[0])
    assert printed[start : start + len(shown)] == shown
