"""Bound a check in seconds: an evaluation that never returns cannot be left any other way."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitError(BaseException):
    """The time given by the caller is over. Not an Exception, so that a target's own `except Exception` does not eat
    it.
    """


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimitError inside the block after `seconds`; None for no limit.

    Uses SIGALRM, so it needs a platform that has it and the main thread; raises ValueError with the remedy elsewhere.
    Code that never returns to the interpreter (a loop inside a C extension) is interrupted only when it does.
    """
    if seconds is None:
        yield
        return
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise ValueError(
            f"timeout={seconds!r} needs SIGALRM and the main thread, which are not to be had here; "
            f"run the check in a process of its own and bound that"
        )

    def expire(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitError(
            f"the time of {seconds:g} s is over; give a larger timeout, or find out what does not return"
        )

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, expire)
    # again and again: a target may catch everything, and hang again
    outer, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)
    try:
        yield
    finally:
        left = max(outer - (time.monotonic() - started), 1e-3) if outer else 0.0  # a caller's own alarm still rings
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
