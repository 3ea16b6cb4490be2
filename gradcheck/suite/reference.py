"""The main job of ``gradcheck run``: pytest on the packaged properties, with a progress bar and a summary."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.backprop import ops
from gradcheck.progress import watching
from gradcheck.strategies import wiring
from gradcheck.suite.job import Job
from gradcheck.systems import SYSTEMS

SUITE = Path(__file__).with_name("test_reference.py")
IMPORTS = "from gradcheck.backprop import Dense\nfrom gradcheck.strategies import Architecture, Batch, Palette, Slot"


def main(examples: int = 250, seed: int | None = None) -> int:
    """Hold the reference backprop to finite differences over random architectures; return pytest's exit code.

    ``examples`` are drawn, one in five of them a dense network with a batch. The same ``seed`` draws the same ones;
    without one, a new seed is drawn, and printed. In a terminal a progress bar shows on stderr while it runs; the
    summary goes to stdout.

    Raises ValueError for fewer than one example.
    """
    if examples < 1:
        raise ValueError(f"examples={examples}: a run needs at least one architecture")
    drawn = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    started = time.monotonic()
    with watching("architectures", examples + len(SYSTEMS)) as watcher:
        job = Job(examples, drawn, watch=lambda: watcher.show(job.done, job.worst, FAIL=len(job.failing)))
        code = int(pytest.main(_arguments(), plugins=[job]))
    _summarise(Console(highlight=False), job, code, time.monotonic() - started)
    return code


def _arguments() -> list[str]:
    """Pytest alone with the suite: none of the caller's ini file, plugins, cache or terminal."""
    return [
        str(SUITE),
        f"--rootdir={SUITE.parent}",
        f"--config-file={os.devnull}",
        "--disable-plugin-autoload",
        "-pno:cacheprovider",
        "-pno:terminal",
    ]


def _summarise(console: Console, job: Job, code: int, seconds: float) -> None:
    drawable = {name for name in wiring.names() if name in ops.TABLE}
    missed = sorted(drawable - set(job.ops))
    never = f" (not drawn: {', '.join(missed)})" if missed and code == 0 else ""
    share = job.inconclusive / job.compared if job.compared else 0.0
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("architectures", f"{job.cases}")
    table.add_row("ops covered", f"{len(drawable) - len(missed)} of {len(drawable)}{never}")
    table.add_row("entries compared", f"{job.entries}, in {job.compared} comparisons, {share:.1%} inconclusive")
    table.add_row("worst error", f"{job.worst:.2f} of its bound")
    table.add_row("visits = edges", f"{job.visits} = {job.edges}")
    table.add_row("systems", ", ".join(f"{name} {'ok' if o.ok else 'WRONG'}" for name, o in job.systems.items()))
    table.add_row("time", f"{seconds:.1f} s")
    table.add_row("seed", f"{job.seed}")
    console.print(table)
    if code == 0:
        console.print("Every gradient agrees with its finite difference.", style="green")
    else:
        _accuse(console, job, code)


def _accuse(console: Console, job: Job, code: int) -> None:
    """Print what is wrong: the smallest architecture, the claims of the systems; else what pytest has to say."""
    if job.failing:
        case, message = min(job.failing.values(), key=lambda found: len(found[0].graph()))
        # Text and soft_wrap: what is printed can be pasted.
        console.print(Text(f"\nWRONG  {message}", style="bold red"), soft_wrap=True)
        console.print(Text(f"smallest failing architecture:\n{IMPORTS}\n{case!r}"), soft_wrap=True)
        console.print(Text(f"reproduce: gradcheck run --examples {job.examples} --seed {job.seed}"), soft_wrap=True)
    wrong = {name: [c for c in outcome.checks if not c.ok] for name, outcome in job.systems.items() if not outcome.ok}
    for name, checks in wrong.items():
        first = f"{checks[0].quantity}: {checks[0].pair}"
        line = f"WRONG  {name} {first} ({len(checks)} claims in all: gradcheck systems {name})"
        console.print(Text(line, style="bold red"), soft_wrap=True)
    if not job.failing and not wrong:
        stopped = "Interrupted." if code == pytest.ExitCode.INTERRUPTED else f"pytest stopped with exit code {code}"
        console.print(Text("\n".join(job.errors) or stopped))
