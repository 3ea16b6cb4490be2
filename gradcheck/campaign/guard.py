"""The guard: a process of its own for the cells, so that a layer which crashes, hangs or eats all memory costs one.

`concurrent.futures.ProcessPoolExecutor` fails every cell in flight when one worker dies, and cannot say whose fault it
was; a process per thread, that answers one cell at a time, can.
"""

import atexit
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from gradcheck.campaign.cell import Cell
from gradcheck.render.records import Record

PERIOD = 0.1
"""Seconds between two looks at the processes."""
START = 120.0
"""Seconds that a process may take to be ready, which is mostly the import of NumPy and Hypothesis from some disk."""
GRACE = 5.0
"""Seconds that a process has to say where it was before it is killed; one that was stopped cannot say it."""

_THREADS = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "BLIS_NUM", "VECLIB_MAXIMUM")  # of NumPy's possible BLAS, of torch


class LostError(Exception):
    """A cell came to no end: its process died, or it cannot be judged. The message says why."""


class RefusedError(LostError):
    """What was asked cannot be done, says the process, and lives."""


class StartError(Exception):
    """No process can be started to judge cells in; the message has its last words."""


@dataclass(frozen=True)
class Limits:
    """What one cell may take: seconds, and megabytes of the process that judges it (on Linux)."""

    seconds: float = 600.0
    megabytes: float = 4096.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be a positive number, got {value!r}")


USUAL = Limits()
"""The limits where none are given: what a search of 100 examples takes is less than a hundredth of them."""


class Guard:
    """One process that judges cells one at a time, started when it is needed and again when it has died."""

    def __init__(self, limits: Limits = USUAL) -> None:
        self.limits = limits
        self.closed = False
        self._child: subprocess.Popen[bytes] | None = None
        self._until = self._aborted = math.inf  # by the monotonic clock
        self._seconds, self._excess = 0.0, ""
        self._looking = threading.Lock()
        self._said: IO[bytes] | None = None
        _watched(self)

    def judge(self, cell: Cell) -> Record:
        """The record of a cell. Raises LostError where there is none, StartError where no process can be started."""
        return self._ask(asdict(cell))

    def shapes_of(self, target: str, block: str) -> str:
        """The shapes of a target's inputs, `block` or, where that is empty, found by trying; raises as `judge`."""
        return str(self._ask({"target": target, "block": block})["shapes"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._child or self._start()
        assert child.stdin is not None
        assert self._said is not None
        self._said.seek(0)
        self._said.truncate()  # its last words are to be about this request
        answer = None
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            answer = self._answer(child, self.limits.seconds)
        if not isinstance(answer, dict) or self._excess:
            raise LostError(self._bury(child))
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return answer

    def look(self) -> None:
        """Abort the process if its cell takes more than it may; called every now and then, from another thread."""
        with self._looking:
            child, now = self._child, time.monotonic()
            if child is None or self._until == math.inf:
                return
            if self._excess:
                if now > self._aborted + GRACE:
                    child.kill()
                return
            if now > self._until:
                self._excess = f"it took more than {self._seconds:g} s"
            elif _peak(child.pid) > self.limits.megabytes:
                self._excess = f"it took more than {self.limits.megabytes:g} MB"
            if self._excess:
                self._aborted = now
                child.send_signal(signal.SIGABRT)  # faulthandler says where it is, even while C holds the GIL

    def kill(self) -> None:
        """End the process at once, and let no other be started; from any thread."""
        self.closed = True
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> None:
        """End the process at once; from the thread that it belongs to, or when that has ended."""
        self.kill()
        if self._child is not None:
            self._bury(self._child)

    __del__ = close

    def _start(self) -> "subprocess.Popen[bytes]":
        if self.closed:
            raise LostError("the campaign was stopped")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _bury
        threads = {f"{name}_THREADS": "1" for name in _THREADS}
        path = {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
        longest = self.limits.seconds + 2 * GRACE  # for a process whose guard has been killed
        child = subprocess.Popen(
            [sys.executable, "-m", "gradcheck.campaign.worker", str(longest)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env={**os.environ, **threads, **path},
        )  # fmt: skip
        self._child = child
        if self._answer(child, START) != "ready":
            words = self._bury(child)
            if child.returncode < 0:  # killed, which can happen to any process
                raise LostError(words)
            raise StartError(f"no process to judge cells in could be started: {words}")
        return child

    def _answer(self, child: "subprocess.Popen[bytes]", seconds: float) -> object:
        """The next line, None where it is torn or there is none because the process has died."""
        assert child.stdout
        self._seconds, self._until = seconds, time.monotonic() + seconds
        line = child.stdout.readline()
        with self._looking:
            self._until = math.inf
        return json.loads(line) if line.endswith(b"\n") else None

    def _bury(self, child: "subprocess.Popen[bytes]") -> str:
        """Make room for another process; return what ended this one, and where."""
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        assert self._said is not None
        with self._said as said:
            said.seek(0)
            words = said.read().decode(errors="replace")
        with self._looking:
            excess, self._excess, self._child = self._excess, "", None
        return _cause(child.returncode, words, excess)


_mine = threading.local()
_guards: "weakref.WeakSet[Guard]" = weakref.WeakSet()
_lock = threading.Lock()


def _watched(guard: Guard) -> None:
    """Have one thread of this process look after all its guards."""
    with _lock:
        first = not _guards
        _guards.add(guard)
    if first:
        threading.Thread(target=_watch, name="gradcheck-campaign-watch", daemon=True).start()


def _watch() -> None:
    while True:
        time.sleep(PERIOD)
        with _lock:
            guards = list(_guards)
            if not guards:
                return
        for guard in guards:
            guard.look()


def guarded(cell: Cell, limits: Limits) -> Record | str:
    """Judge a cell in the process that belongs to the calling thread: what is submitted to an executor, of any kind.

    Returns the record, or why there is none: an error raised would be logged by some executors as their own. Raises
    StartError, see `Guard.judge`.
    """
    guard: Guard | None = getattr(_mine, "guard", None)
    if guard is None or guard.limits != limits or guard.closed:
        guard = _mine.guard = Guard(limits)
        getattr(_mine, "guards", []).append(guard)
    try:
        return guard.judge(cell)
    except LostError as error:
        return str(error)


def belongs_to(guards: list[Guard]) -> None:
    """Enter the guards that the calling thread makes in this list."""
    _mine.guards = guards


@atexit.register
def _close_all() -> None:
    for guard in list(_guards):
        guard.close()


def _peak(pid: int) -> float:
    """Megabytes of memory that a process has had at its largest; 0 where nothing says, which is not on Linux."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
        return int(status.partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024 / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


def _cause(code: int, said: str, excess: str) -> str:
    """Why a process ended, and where it was: from its exit code, its last words, and what it took too much of.

    >>> _cause(-9, "", ""), _cause(3, "bye", "")
    ('its process was killed by SIGKILL', 'its process exited with code 3: bye')
    """
    frames = re.findall(r'most recent call first\):\n +File "(?:.*[/\\])?(.+?)", line (\d+) in (\S+)', said)
    where = f", in {frames[-1][0]}:{frames[-1][1]} {frames[-1][2]}" if frames else ""  # the main thread comes last
    if excess or code < 0:
        return (excess or f"its process was killed by {signal.Signals(-code).name}") + where
    words = f": {said.strip().splitlines()[-1]}" if said.strip() else ""
    return f"its process exited with code {code}{words}"
