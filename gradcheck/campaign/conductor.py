"""The conductor: puts the cells of a plan through an executor, and every one of them into the ledger once."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import cast

from gradcheck.campaign.cell import Cell
from gradcheck.campaign.executors import LocalPool
from gradcheck.campaign.guard import USUAL, Limits, StartError, guarded
from gradcheck.campaign.ledger import Ledger
from gradcheck.campaign.plan import Plan
from gradcheck.campaign.tally import Tally
from gradcheck.render.records import Record

TRIES = 2
"""A cell that is lost gets one more chance: its process may have been killed for another's sake."""


class BrokenCampaignError(Exception):
    """There is nothing left to judge cells with; what was judged is in the ledger. The message says what to do."""


def campaign(
    plan: Plan,
    path: str | Path,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    in_flight: int | None = None,
    limits: Limits = USUAL,
    watch: Callable[[Tally], object] = lambda tally: None,
) -> Tally:
    """Judge the cells of a plan that are not in the file yet, append each as it completes; return what all add up to.

    executor: any executor, or what makes one, anew where it has broken; by default a process a core. in_flight: how
    many cells to have submitted at a time, by default two a core. watch: called with the tally of the cells that were
    there, and after every new one. Ctrl-C ends it early, with a good file: Tally.interrupted says so.

    Raises LedgerError for a file that cannot be used, BrokenCampaignError where the executor is broken for good, and
    what the executor raises where it takes no cells.
    """
    tally = Tally()
    with Ledger(path) as ledger:
        done = {group: bytearray(plan.draws) for group in plan.groups}  # 10 MB for ten million cells
        for cell, made in ledger.records():
            if cell in plan and not done[cell.group][cell.number]:
                done[cell.group][cell.number] = True
                tally.take(cell, made)
        watch(tally)
        left = (cell for cell in plan if not done[cell.group][cell.number])
        try:
            with closing(judged(left, executor or LocalPool, in_flight=in_flight, limits=limits)) as completed:
                for cell, made in completed:
                    ledger.append(made)
                    tally.take(cell, made)
                    watch(tally)
        except KeyboardInterrupt:
            tally.interrupted = True
    return tally


@dataclass(frozen=True)
class _Flight:
    """A cell in an executor, what it was lost to before, and whether it flies alone, having seen an executor break."""

    cell: Cell
    losses: tuple[str, ...] = ()
    alone: bool = False


def judged(
    cells: Iterable[Cell],
    executor: Executor | Callable[[], Executor],
    *,
    in_flight: int | None = None,
    limits: Limits = USUAL,
) -> Generator[tuple[Cell, Record]]:
    """The record of every cell, as they complete; a cell that is lost twice has one that says why.

    At most `in_flight` cells are taken from `cells` before the first is done. An executor that breaks takes all cells
    in flight with it, and cannot say whose fault it was: they are judged again, one at a time.
    """
    lent = executor if isinstance(executor, Executor) else None
    make = cast(Callable[[], Executor], executor)
    current = lent or make()
    most = in_flight or 2 * getattr(current, "jobs", os.cpu_count() or 1)
    fresh = iter(cells)
    waiting: deque[_Flight] = deque()
    flying: dict[Future[Record | str], tuple[_Flight, Executor]] = {}
    landed: SimpleQueue[Future[Record | str]] = SimpleQueue()

    def next_flight() -> _Flight | None:
        if len(flying) == 1 and next(iter(flying.values()))[0].alone:
            return None
        if waiting:
            return None if waiting[0].alone and flying else waiting.popleft()
        cell = next(fresh, None)
        return None if cell is None else _Flight(cell)

    def renewed(broken: Executor, error: BaseException) -> Executor:
        if broken is not current:
            return current
        if lent is not None:
            raise BrokenCampaignError(
                f"the executor broke ({type(error).__name__}: {error}); give a function that makes one, for example "
                f"executor=lambda: ProcessPoolExecutor(4), and it is made anew. What was judged is in the file"
            ) from error
        broken.shutdown(wait=False)
        return make()

    try:
        while True:
            while len(flying) < most and (flight := next_flight()):
                try:
                    future = current.submit(guarded, flight.cell, limits)
                except BrokenExecutor as error:
                    waiting.appendleft(flight)
                    current = renewed(current, error)
                    continue
                flying[future] = flight, current
                future.add_done_callback(landed.put)
            if not flying:
                return
            future = landed.get()
            flight, used = flying.pop(future)
            alone = flight.alone
            try:
                made = future.result()
            except StartError as error:
                raise BrokenCampaignError(str(error)) from error
            except BrokenExecutor as error:
                current = renewed(used, error)
                if not alone:
                    waiting.append(_Flight(flight.cell, flight.losses, alone=True))
                    continue
                loss = f"the executor broke: {error}"
            except CancelledError as error:
                current = renewed(used, error)
                loss = "the executor cancelled it"
            except Exception as error:  # of the executor: a worker that died under Dask, say
                loss = f"{type(error).__name__}: {error}"
            else:
                if not isinstance(made, str):
                    yield flight.cell, made | {"losses": list(flight.losses)}
                    continue
                loss = made
            losses = (*flight.losses, loss)
            if len(losses) < TRIES:
                waiting.append(_Flight(flight.cell, losses, alone))
            else:
                yield flight.cell, flight.cell.lost(losses)
    finally:
        for future in flying:
            future.cancel()
        if lent is None:
            current.shutdown(wait=True, cancel_futures=True)
