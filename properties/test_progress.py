"""Progress: a bar in a terminal, silence elsewhere, and the worst margin either way."""

import io
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from gradcheck.plugin.run import Teller
from gradcheck.progress import silence, watching
from gradcheck.report import Block, Report, Verdict
from gradcheck.suite.job import Job
from gradcheck.suite.reference import _accuse


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


def test_a_search_inside_moves_the_bar_of_the_run_and_brings_none_of_its_own() -> None:
    """Half of the second layer's examples: one and a half of four, and the worst of them all."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with watching("layers", 4, console) as outer:
        outer.saw(report(Verdict.PASS, 1e-6))
        with watching("examples", 10) as inner:
            for _ in range(5):
                inner.saw(report(Verdict.PASS, 5e-4))
            assert outer._bar is not None
            assert outer._bar.tasks[0].completed == 1.5
            assert inner._bar is None
        outer.saw(report(Verdict.PASS, 1e-6))
    assert outer.margin == "worst error/bound 0.5"
    assert outer.done == 2


def test_what_is_taken_up_again_does_not_count_as_fast() -> None:
    """A campaign that finds 9000 of its cells done does not say that it did them in a moment."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with watching("cells", 10_000, console) as watcher:
        watcher.show(9000, 0.1)
        assert watcher._bar is not None
        assert watcher._bar.tasks[0].completed == 9000
        assert not watcher._bar.tasks[0].speed


def test_the_bar_fits_80_columns_with_everything_it_says() -> None:
    """It is the bar itself that gives way."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    with watching("architectures", 10_000, console) as watcher:
        watcher.show(9999, 1234.5, FAIL=3, inconclusive=12)
    for words in ("architectures", "9999/10000", "worst error/bound 1e+03, 3 FAIL, 12 inconclusive"):
        assert words in out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_bar_leaves_room_for_what_ctrl_c_echoes(width: int) -> None:
    """A terminal writes ^C behind the bar: were that to wrap, the line erased would be the next one."""
    out = io.StringIO()
    with watching("layers", 10, Console(file=out, force_terminal=True, width=width, color_system=None)) as watcher:
        watcher.show(3, 0.5, FAIL=1)
    drawn = [re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", out.getvalue())]
    assert max(map(len, drawn)) == width - len("^C")


def test_an_interrupted_run_says_how_far_it_came() -> None:
    """And so does the main job, whose summary says it."""
    out = io.StringIO()
    console = Console(file=out, width=80)
    with watching("layers", 10) as watcher:
        watcher.show(3, 0.5)
        teller = Teller(console, watcher)
        teller.expected = 10
        teller.pytest_keyboard_interrupt()
    _accuse(console, Job(), pytest.ExitCode.INTERRUPTED)
    assert out.getvalue() == "Interrupted: 3 of 10 layers judged.\nInterrupted.\n"


def test_where_others_show_progress_there_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As inside a test of pytest, -s or not."""
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: pytest.fail("nobody asks"), fileno=lambda: 2))
    with silence(), watching("examples", 3) as watcher:
        watcher.saw(report(Verdict.PASS, 0.0))
        assert watcher._bar is None


LAYERS = """
import time
import numpy as np
import gradcheck
import gradcheck.judge.search as search

search.PATIENCE = 0.0  # what would be seen, is seen at once

def slowly(x):
    time.sleep(0.002)
    return np.sin(x)

def made(factor):
    return gradcheck.from_pair(slowly, lambda inputs, dy: (factor * dy * np.cos(inputs[0]),), name="slowly")

LAYERS = [made(1.0), made(2.0)]

def test_here():
    gradcheck.search(made(1.0), x=("n",), max_examples=3)

if __name__ == "__main__":
    print(gradcheck.search(made(1.0), x=("n",), max_examples=5, seed=0).verdict)
"""
COMMANDS = {
    "run": (["-m", "gradcheck", "run", "slow:LAYERS", "--shapes", "x: n", "--examples", "4"], 1, "layers", "2/2"),
    "search": (["slow.py"], 0, "examples", "5/5"),
    "pytest": (["-m", "pytest", "-s", "-q", "-pno:cacheprovider", "slow.py"], 0, "", ""),
}


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_bar_is_for_terminals_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    """In a pseudo-terminal it says how far the work is, below pytest it is silent, and so it is in a pipe."""
    arguments, code, what, count = COMMANDS[name]
    (tmp_path / "slow.py").write_text(LAYERS, encoding="utf-8")
    run = [sys.executable, *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    piped = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (piped.returncode, piped.stderr) == (code, "")
    assert "error/bound 0" not in piped.stdout
    master, slave = os.openpty()
    with subprocess.Popen(run, cwd=tmp_path, env=environment, stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        with suppress(OSError):  # Linux says so when the other end is closed
            while chunk := os.read(master, 4096):
                shown += chunk
    os.close(master)
    assert process.returncode == code
    frames = [line for line in re.split(r"[\r\n]+", shown.decode()) if "worst error/bound" in line]
    if not what:
        assert frames == []
    else:
        assert what in frames[-1]
        assert any(count in line for line in frames)
        assert shown.rindex(b"\x1b[2K") > shown.rindex(b"worst error/bound")  # and erased
