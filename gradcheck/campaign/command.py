"""`gradcheck campaign`: the plan, a bar while it runs, a table when it ends."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.campaign.conductor import campaign
from gradcheck.campaign.executors import LocalPool, dask
from gradcheck.campaign.guard import USUAL, Limits
from gradcheck.campaign.plan import Plan, plan
from gradcheck.campaign.tally import NOTHING, Group, Line, Tally
from gradcheck.progress import Watcher, watching
from gradcheck.render import records

VERDICTS = (("passed", "PASS"), ("failed", "FAIL"), ("inconclusive", "inconclusive"), ("lost", "lost"))
ROWS = 20
"""Of the table; what is worst comes first."""


def main(
    targets: list[str],
    output: str,
    jobs: int | None = None,
    scheduler: str | None = None,
    seconds: float = USUAL.seconds,
    megabytes: float = USUAL.megabytes,
    **planned: Any,
) -> int:
    """Run a campaign, show what came of it on stdout, and return pytest's exit code.

    Raises TargetError, ValueError, LedgerError, OSError or ImportError for what cannot be used, BrokenCampaignError
    where it broke.
    """
    whole = plan(targets, home=Path.cwd(), **planned)
    console = Console(highlight=False)
    make: Callable[[], Executor] = (lambda: dask(scheduler)) if scheduler else (lambda: LocalPool(jobs))
    with watching("cells", len(whole)) as watcher:
        watch = partial(tell, watcher)
        tally = campaign(whole, output, executor=make, limits=Limits(seconds, megabytes), watch=watch)
    show(console, tally, whole, output)
    return tally.exit_code


def tell(watcher: Watcher, tally: Tally) -> None:
    """How far a campaign is."""
    watcher.show(tally.total("cells"), tally.margin, **{word: tally.total(count) for count, word in VERDICTS[1:]})


def show(console: Console, tally: Tally, whole: Plan, output: str) -> None:
    """Print the table, an account of every kind of failure, and one line that says it all."""
    lines = sorted(tally.lines.items(), key=lambda item: _rank(item[1]), reverse=True)
    table = Table("verdicts", "worst resolution", "target, dtype, block", box=None, padding=(0, 2, 0, 0))
    for group, line in lines[:ROWS]:
        counts = ", ".join(f"{getattr(line, count)} {word}" for count, word in VERDICTS if getattr(line, count))
        table.add_row(counts, f"{line.resolution:.1e}" if line.passed else "", Text(_spelled(group)))
    console.print(table)
    if len(lines) > ROWS:
        console.print(f"and {len(lines) - ROWS} more, none of them worse")
    for group, line in lines[: ROWS // 2]:
        _account(console, group, line)
    judged = tally.total("cells")
    counts = ", ".join(f"{tally.total(count)} {word}" for count, word in VERDICTS if tally.total(count)) or "nothing"
    console.print(f"{judged} of {len(whole)} cells, {tally.total('examples')} examples: {counts}; in {output}")
    if tally.interrupted:
        console.print("Interrupted: the same command goes on where it stopped.")
    elif tally.exit_code == NOTHING:
        console.print("Nothing could be judged." if judged else "This shard has no cells: use fewer shards.")


def _rank(line: Line) -> tuple[int, int, int, float]:
    return line.failed, line.lost, line.inconclusive, line.resolution


def _spelled(group: Group) -> str:
    target, dtype, block = group
    return f"{target} {dtype} [{block}]"


def _account(console: Console, group: Group, line: Line) -> None:
    """The smallest failure and the first loss of one line, with what to run to see it again."""
    if line.failure is not None:
        again = records.save({name: value for name, value in line.failure.items() if name != "cell"})
        console.print(Text(f"\nFAIL  {line.failure['headline']}", style="bold red"), soft_wrap=True)
        console.print(Text(f"      {_spelled(group)}, {line.failed} of {line.cells} cells"), soft_wrap=True)
        console.print(Text(f"      smallest case: {line.failure['case']['python']}"), soft_wrap=True)
        console.print(Text(f"      reproduce: {again}"), soft_wrap=True)
    if line.loss is not None:
        reasons = "; then: ".join(dict.fromkeys(line.loss["losses"]))
        cell = ", ".join(repr(value) for value in line.loss["cell"].values())
        headline = f"\nLOST  {_spelled(group)}, {line.lost} of {line.cells} cells"
        console.print(Text(headline, style="bold"), soft_wrap=True)
        console.print(Text(f"      the first: {reasons}"), soft_wrap=True)
        console.print(Text(f"      reproduce: gradcheck.campaign.Cell({cell}).judge()"), soft_wrap=True)
