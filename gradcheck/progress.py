"""Progress: one bar for all long work, with rate, time left and the worst margin so far; silence outside a terminal."""

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from gradcheck.report import Report

PERIOD = 300.0
"""Seconds over which the rate is taken: cells of a campaign take from 0.1 s to minutes, and the time left is not to
jump with each of them."""

_running: "Watcher | None" = None


class Watcher:
    """Counts the verdicts of long work; feed it as `watcher.saw(report)`, or with sums as `watcher.show(…)`.

    patience: seconds before there is anything to see.
    """

    def __init__(self, total: int | None = None, outer: "Watcher | None" = None, patience: float = 0.0) -> None:
        self.done = 0.0
        self.worst = 0.0
        self.counts: dict[str, int] = {}
        self._total, self._outer = total, outer
        self._bar: Progress | None = None
        self._from = time.monotonic() + patience

    def expect(self, total: int) -> None:
        """By now it is known how much there will be."""
        self._total = total
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], total=total)

    def saw(self, report: "Report | None") -> None:
        """Count one verdict; None for a piece of work that came to none."""
        counts = {"FAIL": self.counts.get("FAIL", 0), "inconclusive": self.counts.get("inconclusive", 0)}
        margin = 0.0
        if report is not None:
            counts["FAIL"] += report.verdict.value == "fail"
            counts["inconclusive"] += report.verdict.value == "inconclusive"
            margin = report.margin
        self.show(self.done + 1, margin, **counts)

    def show(self, done: float, margin: float, **counts: int) -> None:
        """So much is done, so far from its bound is the worst of it, and so many of it are not right."""
        first, self.done = not self.done, done
        self.worst = max(self.worst, 0.0 if math.isnan(margin) else margin)
        self.counts = counts
        if self._outer is not None:
            self._outer._within(done / self._total if self._total else 0.0, self.worst)
        if self._bar is not None:
            if first and done > 1:  # where the work is taken up again, which says nothing of its rate
                self._bar.reset(self._bar.task_ids[0], completed=int(done), margin="", rate="")
            self._draw(done)

    @property
    def margin(self) -> str:
        """How near to its bound, or how far beyond it, the worst was; and what there is beside passes."""
        worst = [f"worst error/bound {self.worst:.1g}"] if self.worst else []
        return ", ".join([*worst, *(f"{count} {word}" for word, count in self.counts.items() if count)])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something else is printed."""
        if self._bar is not None:
            self._bar.stop()
        yield
        if self._bar is not None and time.monotonic() >= self._from:
            self._bar.start()

    def _within(self, share: float, worst: float) -> None:
        """What another watcher sees is the piece that this one is at."""
        self.worst = max(self.worst, worst)
        if self._bar is not None:
            self._draw(self.done + min(share, 1.0))

    def _draw(self, done: float) -> None:
        assert self._bar is not None
        if time.monotonic() >= self._from and not self._bar.live.is_started:
            self._bar.start()
        speed = self._bar.tasks[0].speed or 0.0
        rate = f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min" if speed else ""
        self._bar.update(self._bar.task_ids[0], completed=done, margin=self.margin, rate=rate)


@contextmanager
def watching(
    what: str, total: int | None = None, console: "Console | None" = None, patience: float = 0.0
) -> Iterator[Watcher]:
    """A watcher with a bar on stderr, which is gone when the work is done; without one where stderr is no terminal.

    total: how many verdicts there will be, None where nobody knows. patience: seconds before the bar shows. Inside
    another `watching` there is no second bar: what is seen moves the first one, within the piece that it is at.

    >>> from gradcheck.report import Block, Report, Verdict
    >>> block = Block("x", (3,), "float64", Verdict.PASS, None, 1.0, 1.5, 2.0)
    >>> with watching("layers", total=2) as watcher:
    ...     for _ in range(2):
    ...         watcher.saw(Report(Verdict.PASS, "tanh", blocks=(block,)))
    >>> watcher.margin
    'worst error/bound 0.2'
    """
    global _running
    if console is None and _running is not None:
        yield Watcher(total, outer=_running)
        return
    watcher = Watcher(total, patience=patience)
    with _terminal(console) as shown:
        before, _running = _running, watcher
        try:
            if shown is not None:
                watcher._bar = _bar(shown, what, total)
                if not patience:
                    watcher._bar.start()
            yield watcher
        finally:
            _running = before
            if watcher._bar is not None:
                watcher._bar.stop()


@contextmanager
def silence() -> Iterator[None]:
    """No bar but one that is there already: for whoever shows progress in a way of his own, as pytest does."""
    global _running
    before, _running = _running, _running or Watcher()
    try:
        yield
    finally:
        _running = before


@contextmanager
def _terminal(console: "Console | None") -> Iterator["Console | None"]:
    """Where to draw: on a copy of stderr, which pytest, capturing what is printed, does not take away."""
    if console is not None:
        yield console if console.is_terminal else None
        return
    try:
        copied = os.dup(sys.stderr.fileno()) if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    except (AttributeError, OSError, ValueError):  # None, closed, or no file
        copied = None
    if copied is None:
        yield None
        return
    from rich.console import Console

    with open(copied, "w", encoding=sys.stderr.encoding, errors="replace") as file:
        yield Console(file=file)


def _bar(console: "Console", what: str, total: int | None) -> "Progress":
    from rich.console import RenderableType
    from rich.constrain import Constrain
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    class Bar(Progress):
        def get_renderable(self) -> RenderableType:
            """Leave room for the ^C that a terminal echoes: on a full line it wraps, and another one is erased."""
            return Constrain(super().get_renderable(), console.width - len("^C"))

    bar = Bar(
        TextColumn("{task.description}"), BarColumn(None, table_column=Column(ratio=1)), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True), TextColumn("{task.fields[margin]}"),
        console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False,
        speed_estimate_period=PERIOD,
    )  # fmt: skip
    bar.add_task(what, total=total, margin="", rate="")
    return bar
