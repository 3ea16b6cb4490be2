"""Progress: a bar in a terminal, silence elsewhere, and the worst margin either way."""

import io

import pytest
from rich.console import Console

from gradcheck.render.progress import watching
from gradcheck.report import Block, Report, Verdict


def report(verdict: Verdict, error: float) -> Report:
    return Report(verdict, "f", blocks=(Block("x", (1,), "float64", verdict, None, 1.0, 1.0 + error, 1e-3),))


def run(*, terminal: bool) -> tuple[str, str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    with watching("layers", 4, console) as watcher:
        for verdict, error in [(Verdict.PASS, 1e-6), (Verdict.FAIL, 1.0), (Verdict.INCONCLUSIVE, 0.0)]:
            watcher.saw(report(verdict, error))
        watcher.saw(None)
    return out.getvalue(), watcher.margin


def test_a_terminal_sees_a_bar_with_count_and_worst_margin() -> None:
    """What is watched, how many of how many, and how far the worst is from its bound."""
    text, margin = run(terminal=True)
    assert "layers" in text
    assert "4/4" in text
    assert margin == "worst error/bound 1e+03, 1 FAIL, 1 inconclusive"
    assert margin in text


def test_what_is_no_terminal_sees_nothing() -> None:
    """A log or a pipe gets no bar, and the counts are kept all the same."""
    text, margin = run(terminal=False)
    assert text.strip() == ""
    assert margin == "worst error/bound 1e+03, 1 FAIL, 1 inconclusive"


def test_the_bar_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is for what a script reads."""
    with watching("layers") as watcher:
        watcher.saw(report(Verdict.PASS, 0.0))
    assert capsys.readouterr().out == ""
