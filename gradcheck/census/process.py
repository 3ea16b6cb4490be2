"""Process: a layer judged in a process of its own, with limits on its time and memory."""

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SILENT = {"MPLBACKEND": "Agg"}  # no window opens


def alone(work: Callable[..., Iterator[Any]], *arguments: Any, seconds: float, megabytes: float) -> Iterator[Any]:
    """Yield what `work(*arguments)` yields, computed in another process; at the end a str if that came to no end.

    What was yielded before the time was up, or the process died, is kept. work: a function of a module, as it is
    sent by name. seconds: by the clock, for all of it. megabytes: of data.
    """
    os.environ.update({name: "1" for name in _THREADS} | _SILENT)
    _CONTEXT.set_forkserver_preload(["gradcheck.census.judge"])
    here, there = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(there, int(megabytes * 1e6), work, *arguments), daemon=True)
    process.start()
    there.close()
    until = time.monotonic() + seconds
    try:
        while here.poll(max(0.0, until - time.monotonic())):
            kind, answer = here.recv()
            if kind == "end":
                return
            yield answer
        yield f"it took more than {seconds:g} s"
    except EOFError:
        process.join()  # to know how it ended
        if process.exitcode:
            yield f"its process ended with code {process.exitcode}"
    finally:
        process.kill()
        process.join()
        here.close()


def _run(there: Connection, most: int, work: Callable[..., Iterator[Any]], *arguments: Any) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # a module that prints, or waits for input, is not heard
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        for answer in work(*arguments):
            there.send(("seen", answer))
        there.send(("end", None))
    except Exception as error:
        there.send(("seen", " ".join(f"{type(error).__name__}: {error}".split())[:200]))
