"""Did it become slower? Base and head in processes of their own, in turns; the ratio with its interval decides.

A process is one sample: where its memory came to lie moves a timing by a per cent or two, for as long as it lives.
"""

import enum
import math
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gradcheck.cost.scaling import Interval
from gradcheck.cost.spec import Spec
from gradcheck.cost.trees import Tree

# What is worth stopping for. Noise of one job is about 0.3% by minima of rounds, and a process more or less 1–2%.
SLOWER = 1.03
PROCESSES, MOST_PROCESSES, ROUNDS = 5, 15, 6


class Outcome(enum.Enum):
    """What the interval of the ratio head/base says about a slowdown of 3%; the value is the sentence's verb."""

    SLOWER = "is slower"
    NOT_SLOWER = "is not slower"
    UNDECIDED = "cannot be told from base within 3%"


@dataclass(frozen=True)
class Sample:
    """What one process took: seconds of every size, and of the calibration kernel, each the shortest of its rounds."""

    seconds: tuple[float, ...]
    kernel: float


@dataclass(frozen=True)
class Comparison:
    """Two samples of processes, and the ratio head/base with its 95% confidence interval."""

    base: tuple[Sample, ...]
    head: tuple[Sample, ...]
    ratio: Interval

    @property
    def outcome(self) -> Outcome:
        """Slower, not slower, or undecided: the interval contains the limit of 3%."""
        if self.ratio.low > SLOWER:
            return Outcome.SLOWER
        return Outcome.NOT_SLOWER if self.ratio.high <= SLOWER else Outcome.UNDECIDED


def interleaved(spec: Spec, trees: Sequence[Tree], sizes: Sequence[int], processes: int) -> list[tuple[Sample, ...]]:
    """So many processes of each tree, one of each alive at a time, and their sizes measured in turns.

    Raises RuntimeError, naming the tree and the last line that it said, where one cannot be measured.
    """
    samples: list[list[Sample]] = [[] for _ in trees]
    for number in range(processes):
        with ExitStack() as stack:
            running = [stack.enter_context(_running(spec, tree, sizes)) for tree in trees]
            order = list(range(len(trees)))
            for turn in range(ROUNDS):
                for place in range(len(sizes)):
                    for who in order if (turn + number) % 2 else reversed(order):
                        running[who].time(place)
            for found, process in zip(samples, running, strict=True):
                found.append(process.sample())
    return [tuple(found) for found in samples]


def against(spec: Spec, base: Tree, head: Tree, sizes: Sequence[int]) -> Comparison:
    """Measure base and head in one job, five pairs of processes, and up to fifteen while it is undecided."""
    bases: tuple[Sample, ...] = ()
    heads: tuple[Sample, ...] = ()
    while True:
        more = interleaved(spec, (base, head), sizes, PROCESSES)
        bases, heads = bases + more[0], heads + more[1]
        logs = [_mean_log(h) - _mean_log(b) for b, h in zip(bases, heads, strict=True)]
        found = Comparison(bases, heads, paired(logs))
        if found.outcome is not Outcome.UNDECIDED or len(bases) >= MOST_PROCESSES:
            return found


def paired(logs: Sequence[float]) -> Interval:
    """The geometric mean of ratios whose logarithms these are, with Student's 95% interval.

    >>> print(f"{paired([0.09, 0.1, 0.11]):.2f}")
    1.11 (1.08 … 1.13)
    """
    from scipy.special import stdtrit

    mean, count = float(np.mean(logs)), len(logs)
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(logs, ddof=1)) / math.sqrt(count)
    return Interval(math.exp(mean - half), math.exp(mean), math.exp(mean + half))


def separate(base: Sequence[Sample], head: Sequence[Sample]) -> Comparison:
    """Compare two runs that were not interleaved: each time is divided by the kernel's of its own process.

    The interval is Welch's: two samples of different spread.
    """
    from scipy.stats import ttest_ind

    found = ttest_ind([relative(s) for s in head], [relative(s) for s in base], equal_var=False)
    interval = found.confidence_interval(0.95)
    value = float(np.mean([relative(s) for s in head]) - np.mean([relative(s) for s in base]))
    ratio = Interval(math.exp(interval.low), math.exp(value), math.exp(interval.high))
    return Comparison(tuple(base), tuple(head), ratio)


def relative(sample: Sample) -> float:
    """The mean logarithm of the times in units of the calibration kernel."""
    return _mean_log(sample) - math.log(sample.kernel)


def _mean_log(sample: Sample) -> float:
    return float(np.mean(np.log(sample.seconds)))


class _Running:
    """A worker of one tree, and what it answered."""

    def __init__(self, tree: Tree, sizes: Sequence[int], process: subprocess.Popen[str], said: IO[str]) -> None:
        self.tree, self.process, self.said = tree, process, said
        self.rows: list[list[tuple[float, float]]] = [[] for _ in sizes]
        home = Path(self._answer().rstrip("\n"))
        if tree.root and tree.root.resolve() not in home.resolve().parents:
            raise RuntimeError(f"{tree.name} cannot be measured: its code was imported from {home}, not from it")

    def time(self, place: int) -> None:
        """Measure one size once."""
        assert self.process.stdin
        print("time", place, file=self.process.stdin, flush=True)
        spent, kernel = map(float, self._answer().split())
        self.rows[place].append((spent, kernel))

    def sample(self) -> Sample:
        """The shortest of all rounds."""
        table: NDArray[np.float64] = np.array(self.rows)
        return Sample(tuple(table[:, :, 0].min(axis=1).tolist()), float(table[:, :, 1].min()))

    def _answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.said.seek(0)
            lines = [text for text in self.said.read().splitlines() if text.strip()]
            raise RuntimeError(f"{self.tree.name} cannot be measured: {lines[-1] if lines else 'its process ended'}")
        return line


@contextmanager
def _running(spec: Spec, tree: Tree, sizes: Sequence[int]) -> Iterator[_Running]:
    """A worker that has made its works; it ends with the context."""
    command = [tree.python, "-m", "gradcheck.cost.worker", str(spec), *map(str, sizes)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(tree.path)}
    pipe = subprocess.PIPE
    with TemporaryFile("w+") as said:  # not a pipe, which a process that says much would fill
        worker = subprocess.Popen(
            command, cwd=tree.folder, stdin=pipe, stdout=pipe, stderr=said, text=True, env=environment
        )
        with worker as process:
            yield _Running(tree, sizes, process, said)
