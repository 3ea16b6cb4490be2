"""What a campaign costs beside its cells; that killing its workers costs no verdict. Figures, and the bounds of both.

    pytest benchmarks/test_campaign_overhead.py --benchmark-enable -s

Seconds are of CPU, of this process and all that it started, so that they mean something on a machine that does other
things too.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gradcheck.campaign import Cell, Ledger, LocalPool, Plan, Tally, campaign, dask

LAYERS = "properties.campaign_layers"
FLOATS = ("float64", "float32", "float16")
CELLS = int(os.environ.get("CAMPAIGN_CELLS", "10000"))
DEATHS = 0.01
"""Of workers, for each cell that completes: a hundred and more in a run."""


def cpu() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def plan_of(cells: int) -> Plan:
    """So many cells of one example, some 10 ms each; one in ten is of a wrong layer."""
    right = tuple((f"{LAYERS}:double", dtype, block) for dtype in FLOATS for block in ("x:", "x: n", "x: n,k"))
    return Plan((*right, (f"{LAYERS}:negated", "float64", "x: n")), 1, cells // 10)


def test_overhead_over_the_plain_loop_is_below_five_percent(tmp_path: Path, benchmark: Any) -> None:
    """At 2 workers: CPU seconds of the campaign, without the start of its workers, over those of two processes that
    loop over half of the cells each, side by side: what shares a core with another takes longer.
    """
    plan = Plan((("gradcheck.suite.dense:dense", "float64", "x: n,k; w: k,m; b: m"),), 100, 12)

    def children(*bodies: str) -> float:
        """CPU seconds of these codes at the same time, each after a warm-up cell, as they see themselves."""
        code = f"""
from benchmarks.test_campaign_overhead import *
from gradcheck.campaign import judged
cells = list(Plan({plan.groups!r}, {plan.examples}, {plan.draws}))
warm = Plan({plan.groups!r}, 1, 2)
def loop(cells):
    for cell in cells: cell.judge()
def pool(cells):
    for _ in judged(cells, lambda: LocalPool(2)): pass
"""
        run = [sys.executable, "-c"]
        started = [subprocess.Popen([*run, code + body], stdout=subprocess.PIPE, text=True) for body in bodies]
        return sum(float(process.communicate()[0]) for process in started)

    looped = "loop(list(warm)); began = cpu(); loop(cells[{}::2]); print(cpu() - began)"
    # the start of two workers is measured by itself, by judging two cells of one example
    pooled = "began = cpu(); pool(list(warm)); start = cpu() - began; pool(cells); print(cpu() - began - 2 * start)"
    rounds: list[tuple[float, float]] = []
    halves = looped.format(0), looped.format(1)
    benchmark.pedantic(lambda: rounds.append((children(*halves), children(pooled))), rounds=5)
    ratios = sorted(campaign / plain for plain, campaign in rounds)
    benchmark.extra_info["CPU of the campaign over the plain loop"] = ratios
    print(f"\nplain loop and campaign, CPU s: {rounds}; ratios {ratios}")
    assert ratios[2] <= 1.05


class Instant(Executor):
    """An executor whose cells are judged already: what is left is the cost of scheduling them."""

    def __init__(self) -> None:
        self.made = Cell(f"{LAYERS}:double", "float64", "x: n", 1, 0).judge()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future with a record of the right cell."""
        future: Future[Any] = Future()
        future.set_result(self.made | {"cell": asdict(args[0])})
        return future


@pytest.mark.parametrize("cells", [10**3, 10**4, 10**5])
def test_scheduling_cost_per_cell_does_not_grow(cells: int, tmp_path: Path, benchmark: Any) -> None:
    """Planning, submission, record, tally, watching: seconds a cell; then those of resuming with all of it there."""
    path, plan, instant = tmp_path / "ledger.jsonl", plan_of(cells), Instant()

    def run() -> Tally:
        path.unlink(missing_ok=True)
        return campaign(plan, path, executor=instant, in_flight=4)

    began = time.process_time()
    tally = benchmark.pedantic(run, rounds=1)
    scheduling = (time.process_time() - began) / cells
    assert tally.total("cells") == cells
    began = time.process_time()
    assert campaign(plan, path, executor=instant).total("cells") == cells
    resuming = (time.process_time() - began) / cells
    size, peak = path.stat().st_size / cells, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    benchmark.extra_info |= {"µs a cell": scheduling * 1e6, "µs a cell to resume": resuming * 1e6}
    told = f"{scheduling * 1e6:.0f} µs each, {resuming * 1e6:.0f} to resume, {size:.0f} B; {peak:.0f} MB in all"
    print(f"\n{cells} cells: {told}")
    assert scheduling < 2e-3


def campaign_with_deaths(
    plan: Plan, path: Path, make: Callable[[], Executor], pids: Callable[[], list[int]]
) -> tuple[Tally, int]:
    """Run a campaign while its workers are killed at random; the tally, and how many were."""
    rng, killed = random.Random(0), 0

    def watch(tally: Tally) -> None:
        nonlocal killed
        if rng.random() < DEATHS and (alive := pids()):
            with suppress(ProcessLookupError):
                os.kill(rng.choice(alive), signal.SIGKILL)
                killed += 1

    return campaign(plan, path, executor=make, watch=watch), killed


def account(plan: Plan, path: Path, tally: Tally, killed: int, where: str) -> None:
    """Every cell once, with the verdict and the whole report of a serial run; what was lost twice said so."""
    with Ledger(path) as ledger:
        made = list(ledger.records())
    assert Counter(cell for cell, _ in made) == Counter(plan)
    lost = [cell for cell, record in made if len(record["losses"]) == 2]
    retried = [cell for cell, record in made if len(record["losses"]) == 1]
    assert all(cell.judge()["report"] == record["report"] for cell, record in made if cell not in set(lost))
    print(
        f"\n{where}: {len(made)} cells, {killed} workers killed, {len(retried)} cells judged at the second try, "
        f"{len(lost)} lost twice, {tally.total('passed')} PASS, {tally.total('failed')} FAIL; as in a serial run"
    )
    assert killed > 0


def test_ten_thousand_cells_with_local_workers_killed_at_random(tmp_path: Path, benchmark: Any) -> None:
    """A process pool of this machine."""
    plan, path, pools = plan_of(CELLS), tmp_path / "ledger.jsonl", []

    def make() -> Executor:
        pools.append(LocalPool(2))
        return pools[-1]

    def pids() -> list[int]:
        return [guard._child.pid for pool in pools for guard in pool.guards if guard._child]

    outcome = benchmark.pedantic(campaign_with_deaths, (plan, path, make, pids), rounds=1)
    account(plan, path, *outcome, "local pool")


def test_ten_thousand_cells_with_dask_workers_killed_at_random(tmp_path: Path, benchmark: Any) -> None:
    """A LocalCluster on loopback: worker processes with their nannies."""
    distributed = pytest.importorskip("distributed")
    plan, path = plan_of(CELLS), tmp_path / "ledger.jsonl"
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with closing(distributed.LocalCluster(2, threads_per_worker=1, host="127.0.0.1", **quiet)) as cluster:
        cluster.adapt(minimum=2, maximum=2)  # a nanny gives up when its worker dies at the start, and is replaced

        def make() -> Executor:
            return dask(cluster.scheduler_address)

        def pids() -> list[int]:
            """Workers that run; a nanny whose worker dies before that gives up, and a cluster without any waits."""
            running = [worker for worker in cluster.workers.values() if worker.status.name == "running"]
            return [worker.pid for worker in running if worker.pid is not None]  # None: its nanny is about to notice

        outcome = benchmark.pedantic(campaign_with_deaths, (plan, path, make, pids), rounds=1)
    account(plan, path, *outcome, "Dask")
