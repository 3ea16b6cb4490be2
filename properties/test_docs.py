"""The pages of docs/ tell the truth: every block of code runs where it stands, and prints what it says.

A block's words after its language say how: `title="file.py"` is written to that file, `fails` lets a command fail, and
`needs="torch"` skips the rest of the page where torch is missing. A text block is what the block before it prints;
three dots stand for anything.
"""

import contextlib
import doctest
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import gradcheck

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUNNABLE = {"gradcheck": ["-m", "gradcheck"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"], "python": []}
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page: its language, the words after that, and its text."""

    language: str
    words: str
    text: str

    def word(self, name: str) -> str | None:
        """The value of name="value"."""
        found = re.search(rf'{name}="([^"]*)"', self.words)
        return None if found is None else found[1]


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall(page)]


def mismatch(promise: str, printed: str) -> str:
    """What is wrong with what was printed; nothing where it is what was promised."""
    checker = doctest.OutputChecker()
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if checker.check_output(promise, printed, options):
        return ""
    return f"promised:\n{promise}\nprinted:\n{printed}"


def ran(page: str, folder: Path, require: Callable[[str], ModuleType]) -> Iterator[str]:
    """Run a page in an empty folder; yield what is wrong with each block that promises something, or fails."""
    namespace: dict[str, object] = {"__name__": "page"}
    blocks = blocks_of(page)
    for block, following in pairwise([*blocks, Block("", "", "")]):
        printed, aside = None, ""
        if (needed := block.word("needs")) is not None:
            require(needed)
        if (title := block.word("title")) is not None:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, "page", "exec"), namespace)
            printed = out.getvalue()
        elif block.language == "sh" and (lines := [line for line in block.text.splitlines() if here(line, folder)]):
            done = [command(line, folder) for line in lines]
            printed, aside = "".join(one.stdout for one in done), "".join(one.stderr for one in done)
            for one in done:
                if (one.returncode != 0) != ("fails" in block.words):
                    yield f"{one.args} exits with {one.returncode}:\n{one.stdout}{one.stderr}"
        if printed is not None and (wrong := mismatch(following.text if following.language == "text" else "", printed)):
            promised = following.language == "text" or block.language == "python"  # what a command says may be left out
            yield from [f"{wrong}\n{aside}"] if promised else []


def here(line: str, folder: Path) -> bool:
    """Whether a command can be run in this folder: ours, and the files it reads are there."""
    words = shlex.split(line)
    outputs = {words[n + 1] for n, word in enumerate(words[:-1]) if word == "-o"}
    files = [word for word in words if re.search(r"\.(jsonl?|py|html)$", word) and word not in outputs]
    return words[:1] != [] and words[0] in RUNNABLE and all((folder / name).exists() for name in files)


def command(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as a user would, piped."""
    name, *arguments = shlex.split(line)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    run = [sys.executable, *RUNNABLE[name], *arguments]
    return subprocess.run(
        run, capture_output=True, text=True, encoding="utf-8", cwd=folder, env=environment, check=False
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_block_of_a_page_does_what_it_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Callable[[str], ModuleType]
) -> None:
    """Python runs, files are written, commands succeed or fail as marked, and the output is what stands below."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    importlib.invalidate_caches()
    try:
        for wrong in ran(path.read_text(encoding="utf-8"), tmp_path, require):
            pytest.fail(wrong)  # at once: a framework that is missing further down would skip it
    finally:
        for name in {name for name in set(sys.modules) - before if (tmp_path / f"{name}.py").exists()}:
            del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(2)\n```\n\n```text\n3\n```\n",
        "```python\nprint(2)\n```\n",
        '```python title="a.py"\nraise SystemExit(1)\n```\n\n```sh\npython a.py\n```\n',
        '```python title="a.py"\nprint(1)\n```\n\n```sh fails\npython a.py\n```\n',
        '```python title="a.py"\nprint(1)\n```\n\n```sh\npython a.py\n```\n\n```text\n2\n```\n',
    ],
)
def test_a_page_that_promises_something_else_is_noticed(
    page: str, tmp_path: Path, require: Callable[[str], ModuleType]
) -> None:
    """Another output, an output that is not shown, a command that fails or should: each is one complaint."""
    assert len(list(ran(page, tmp_path, require))) == 1


def test_pages_have_something_to_run() -> None:
    """A page whose blocks were not recognised would pass in silence."""
    counts = {path.stem: len(blocks_of(path.read_text(encoding="utf-8"))) for path in PAGES}
    assert counts["five-minutes"] >= 10
    assert counts["reading"] >= 6


def test_links_between_pages_lead_to_pages() -> None:
    """As plain Markdown too, and to headings that are there."""
    lost = []
    for path in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            lost += [] if (path.parent / link).is_file() else [f"{path.name}: {link}"]
    assert lost == []


def test_the_site_lists_every_page_and_fetches_nothing() -> None:
    """The navigation of mkdocs.yml has each page once, and its fonts are the reader's own."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert sorted(re.findall(r"(\S+\.md)$", settings, re.MULTILINE)) == [path.name for path in PAGES]
    assert "font: false" in settings


def test_the_api_page_has_every_public_name() -> None:
    """Each name of gradcheck.__all__ once, and no other of gradcheck itself."""
    named = re.findall(r"^::: gradcheck\.(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(gradcheck.__all__)


def test_the_workflows_to_copy_use_commands_that_there_are(require: Callable[[str], ModuleType]) -> None:
    """Both are YAML with jobs and steps, and every option of ours that they give exists."""
    yaml = require("yaml")
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    workflows = [yaml.safe_load(block.text) for block in blocks_of(page) if block.language == "yaml"]
    assert len(workflows) == 2
    steps = [step for flow in workflows for job in flow["jobs"].values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    known = command("pytest --help", ROOT).stdout
    options = {option for run in runs for option in re.findall(r"--(?:gradcheck|hypothesis)-[\w-]+", run)}
    assert len(options) >= 3
    assert {option for option in options if f"{option} " not in known and f"{option}=" not in known} == set()
    profiles = {name for run in runs for name in re.findall(r"--hypothesis-profile=gradcheck-(\w+)", run)}
    from gradcheck.strategies import profiles as registered

    assert profiles == {"ci", "nightly"}
    assert profiles <= set(registered.NAMES)
