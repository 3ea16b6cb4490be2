"""`gradcheck run MODULE:ATTR …`: pytest on the packaged suite for layers by name, told layer by layer."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from rich.console import Console
from rich.text import Text

from gradcheck.plugin.recording import counted
from gradcheck.progress import Watcher, watching
from gradcheck.suite import test_target

SUITE = Path(test_target.__file__)
PROFILE = "gradcheck-run"
STYLE = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "error": "bold red"}


def main(
    targets: Sequence[str],
    *,
    shapes: Sequence[str] = (),
    dtype: Sequence[str] = (),
    examples: int = 200,
    seed: int | None = None,
    strict: bool = False,
    report: str | None = None,
    xfails: str | None = None,
    plot: bool = False,
) -> int:
    """Judge each layer over `examples` drawn cases and print what is found; return pytest's exit code.

    targets: "module:attr" each. shapes: "x: n,k; w: k,m"; found by trying where not given. The same `seed` draws the
    same cases. xfails: a file of known failures, "test_target.py::test_gradient_is_right[MODULE:ATTR]" each. plot:
    draw each failure, in characters. Nothing of the caller's pytest is used: no ini file, no plugins, no cache, no
    terminal.
    """
    single = {name: [value] for name, value in (("report", report), ("xfails", xfails)) if value}
    several = {"target": targets, "shapes": shapes, "dtype": dtype, **single}
    arguments = [
        str(SUITE),
        f"--rootdir={SUITE.parent}",
        f"--config-file={os.devnull}",
        "--disable-plugin-autoload",
        "-p_hypothesis_pytestplugin",
        "-pgradcheck.plugin",
        "-pno:cacheprovider",
        "-pno:terminal",
        f"--hypothesis-profile={PROFILE}",
        *([] if seed is None else [f"--hypothesis-seed={seed}"]),
        *(["--gradcheck-strict"] if strict else []),
        *(["--gradcheck-plot"] if plot else []),
        *(f"--gradcheck-{name}={value}" for name, values in several.items() for value in values),
    ]
    before = settings.get_current_profile_name()
    settings.register_profile(PROFILE, settings.get_profile("default"), max_examples=examples)
    try:
        with watching("layers") as watcher:
            teller = Teller(Console(highlight=False), watcher)
            code = int(pytest.main(arguments, plugins=[teller]))
    finally:
        settings.load_profile(before)
    if teller.verdicts:
        teller.line(counted(teller.verdicts))
    return code


class Teller:
    """A pytest plugin that tells each layer's verdict when it is known."""

    def __init__(self, console: Console, watcher: Watcher) -> None:
        """The console to print on, and who shows how far the run is."""
        self.console, self.watcher = console, watcher
        self.verdicts: list[dict[str, Any]] = []
        self.expected = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Now it is known how many there are."""
        self.expected = len(session.items)
        self.watcher.expect(self.expected)

    def line(self, text: str, style: str = "") -> None:
        """Print text that can be pasted: neither wrapped nor read as markup."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A line for a layer that is right, the whole block for one that is not, pytest's words for an error."""
        told = getattr(report, "gradcheck", [])
        self.verdicts += told
        if told or report.failed:
            with self.watcher.aside():
                self.tell(report, told)
        if report.when == "teardown":
            words = [verdict["verdict"] for verdict in self.verdicts]
            counts = {"FAIL": words.count("fail"), "inconclusive": words.count("inconclusive")}
            self.watcher.show(self.watcher.done + 1, self.watcher.worst, **counts)

    def pytest_keyboard_interrupt(self) -> None:
        """What was told before stands."""
        with self.watcher.aside():
            self.line(f"Interrupted: {self.watcher.done:.0f} of {self.expected} layers judged.")

    def tell(self, report: pytest.TestReport, told: Sequence[dict[str, Any]]) -> None:
        """One layer."""
        for verdict in told:
            ref, word = verdict["ref"], verdict["verdict"]
            known = f"  (known: {report.wasxfail})" if hasattr(report, "wasxfail") else ""
            self.line(f"{word.upper():12}  {ref}  {verdict['headline']}{known}", STYLE[word])
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            if told and crash:
                self.line(crash.message.partition("\n")[2])  # its first line is the headline
            else:
                self.line(f"ERROR         {report.nodeid}\n{report.longreprtext}", STYLE["error"])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """The words of a suite that could not be read."""
        if report.failed:
            self.line(report.longreprtext, STYLE["error"])
