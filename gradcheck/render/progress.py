"""Progress: a bar for long work, with rate, time left and the worst margin so far; silence outside a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from gradcheck.report import Report, Verdict


class Watcher:
    """Hears reports and keeps the counts; feed it as `watcher.saw(report)` wherever verdicts are reached."""

    def __init__(self, bar: Progress, what: str, total: int | None) -> None:
        self.fails = self.unclear = 0
        self.worst = 0.0
        self._bar = bar
        self._task = bar.add_task(what, total=total, margin=self.margin)

    def saw(self, report: Report | None) -> None:
        """Count one verdict; None for a piece of work that came to none."""
        if report is not None:
            self.fails += report.verdict is Verdict.FAIL
            self.unclear += report.verdict is Verdict.INCONCLUSIVE
            ratios = [row.error / row.bound for row in report.blocks if row.error is not None and row.bound]
            self.worst = max([self.worst, *ratios])
        self._bar.update(self._task, advance=1, margin=self.margin)

    @property
    def margin(self) -> str:
        """How near to its bound, or how far beyond it, the worst block was; and what there is beside passes."""
        counts = (f"{n} {word}" for n, word in ((self.fails, "FAIL"), (self.unclear, "inconclusive")) if n)
        return ", ".join([f"worst error/bound {self.worst:.1g}", *counts])


@contextmanager
def watching(what: str, total: int | None = None, console: Console | None = None) -> Iterator[Watcher]:
    """A watcher with a bar on stderr, which is gone when the work is done; without one where stderr is no terminal.

    total: how many verdicts there will be, None where nobody knows.

    >>> from gradcheck.report import Block, Report, Verdict
    >>> block = Block("x", (3,), "float64", Verdict.PASS, None, 1.0, 1.5, 2.0)
    >>> with watching("layers", total=2) as watcher:
    ...     for _ in range(2):
    ...         watcher.saw(Report(Verdict.PASS, "tanh", blocks=(block,)))
    >>> watcher.margin
    'worst error/bound 0.2'
    """
    console = console or Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
        TextColumn("{task.fields[margin]}"),
    )  # fmt: skip
    silent = not console.is_terminal
    with Progress(*columns, console=console, disable=silent, transient=True, redirect_stdout=False) as bar:
        yield Watcher(bar, what, total)


class _Rate(ProgressColumn):
    """Verdicts a second."""

    def render(self, task: Task) -> Text:
        """The rate of the last seconds, nothing before there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min")
