"""Where cells are judged: processes of this machine, or a Dask cluster."""

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, cast

from gradcheck.campaign.guard import Guard, belongs_to

_CELLS = 500
"""Threads that a cluster is taken to have at least: it may grow while the campaign runs."""


class LocalPool(ThreadPoolExecutor):
    """So many processes of this machine: a thread each, which waits for the process that it guards."""

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or os.cpu_count() or 1
        self.guards: list[Guard] = []
        super().__init__(self.jobs, "gradcheck-campaign", belongs_to, (self.guards,))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As any executor's; with cancel_futures the processes end at once, and with them the cells they are at."""
        if cancel_futures:
            for guard in list(self.guards):
                guard.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)
        for guard in list(self.guards):
            guard.close()


def dask(address: str) -> Executor:
    """The executor of the Dask cluster whose scheduler is at this address, "tcp://host:8786".

    Raises ImportError without the package distributed, OSError where no scheduler answers, ValueError for what is no
    address.
    """
    from distributed import Client

    class Cluster(Executor):
        """Dask's own executor, whose client goes with it."""

        def __init__(self) -> None:
            self.client = cast(Any, Client)(address)
            self.inner = self.client.get_executor(pure=False)
            self.jobs = max(_CELLS, sum(self.client.nthreads().values()))

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return self.inner.submit(fn, *args, **kwargs)

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            self.inner.shutdown(wait=wait)
            self.client.close()

    return Cluster()
