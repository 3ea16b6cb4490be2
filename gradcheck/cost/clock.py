"""Timing: calls of several sizes in turns, so that a slow minute of the machine falls on all of them.

The time is the processor's, of all threads of the process. On a machine with twice as many busy processes as processors
linear code was taken for super-linear in 12 of 16 runs by the time on the wall, because the large sizes are interrupted
always and the small ones hardly ever, and in 0 of 16 by the processor's.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Prepare = Callable[[], Callable[[], Any]]
# What is small stays in the processor's caches from call to call and what is large does not: left alone, linear code
# looks 14% super-linear. So every call begins with caches full of something else, 32 MB of it.
_FOREIGN = np.zeros(2**22)
CLOCK = time.process_time if time.get_clock_info("process_time").resolution < 1e-6 else time.perf_counter
SLICE, CALLS = 2e-3, 5


@contextmanager
def no_collections() -> Iterator[None]:
    """The garbage collected, its collector switched off meanwhile: a collection is a cost of the whole process."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def seconds(prepare: Prepare) -> float:
    """The time of one call with cold caches; what `prepare` does before it is not timed.

    >>> seconds(lambda: lambda: sum(range(1000))) > 0
    True
    """
    call = prepare()
    np.add(_FOREIGN, 1.0, out=_FOREIGN)
    start = CLOCK()
    call()
    return CLOCK() - start


def interleaved(prepared: Sequence[Prepare], rounds: int) -> NDArray[np.float64]:
    """Seconds of shape (rounds, calls): in every round each call in turn, upwards and downwards by turns.

    An entry is the shortest of up to five calls, or of as many as fit into two milliseconds: its noise is one-sided, a
    delay.
    """
    times = np.empty((rounds, len(prepared)))
    with no_collections():
        for number in range(rounds):
            order = range(len(prepared)) if number % 2 == 0 else reversed(range(len(prepared)))
            for place in order:
                times[number, place] = shortest(prepared[place])
    return times


def shortest(prepare: Prepare) -> float:
    """The shortest time of up to five calls, or of as many as fit into two milliseconds."""
    least = spent = seconds(prepare)
    calls = 1
    while spent < SLICE and calls < CALLS:
        last = seconds(prepare)
        least, spent, calls = min(least, last), spent + last, calls + 1
    return least
